"""The `jitload` command. One file per command; each is imported when it is called."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cli import app as commands
    from jitload.cli import console
else:
    commands = lazy("jitload.cli.app")
    console = lazy("jitload.cli.console")


def main() -> None:
    """Run the command line of this process and exit."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A path or a compiler's text that the terminal cannot show must not turn a message into a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        commands.app(prog_name="jitload")
    except OSError as error:  # of stdout itself: files are known failures of the commands
        console.end_with(error)


def _open_closed_streams() -> None:
    """Give /dev/null to what was closed by whoever started this (`>&-`).

    Its number would else go to the next file that is opened, and what a library prints into that.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as it runs
