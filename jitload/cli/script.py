"""What a Python script of the user's raises, shown as Python shows it."""

from __future__ import annotations

import sys
import traceback


def print_script_error(error: BaseException, name: str) -> None:
    """Print a traceback to stderr, without the frames that lie above the script.

    Args:
        error: what it raised.
        name: its `__name__`.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__") != name:
        frame = frame.tb_next
    sys.stdout.flush()
    traceback.print_exception(type(error), error, frame)
