"""The `jitload` command. One file per command; each is imported when it is called."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cli import app as commands
else:
    commands = lazy("jitload.cli.app")


def main() -> None:
    """Run the command line of this process and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A path or a compiler's text that the terminal cannot show must not turn a message into a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    commands.app(prog_name="jitload")
