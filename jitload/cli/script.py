"""A Python script of the user's: expected to be there, and what it raises is shown as Python shows it."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from jitload.cli.console import Failed
from jitload.cli.inputs import PYTHON, refuse_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def expect_script(path: Path) -> None:
    """Nothing, where a file is there.

    Raises:
        OSError: there is none, or a directory.
    """
    refuse_directory(path, PYTHON)
    if not path.is_file():
        raise FileNotFoundError(2, "no such Python file", str(path))


@contextmanager
def told_apart(path: Path, name: str) -> Iterator[None]:
    """Around the run of a script whose variables are asked for: what it prints goes to stderr, and what it raises.

    Args:
        path: of the script.
        name: its `__name__`.

    Raises:
        Failed: it did not come to its end; stderr was told.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the script's own, shown as Python shows it
        print_script_error(error, name)
        raise Failed(error if isinstance(error, Exception) else RuntimeError(f"{path} ended: {error!r}")) from None


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
