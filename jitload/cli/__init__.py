"""The `jitload` command. One file per command; each is imported when it is called."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process and exit."""
    import sys
    from io import TextIOWrapper

    from jitload.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # A path or a compiler's text that the terminal cannot show must not turn a message into a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="jitload")
