"""Whose frames an error shows: those of the user's code, and of jitload the one that this code called.

A traceback is cut where a public function lets an error go (`jitload/trace.py` asks the settings whether). Notebooks
ask an error for its lines: there what went wrong stands first, and the user's line below it.
"""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

_OURS = "jitload"
#: Where the code of the standard library comes from: a user's own queue.py is none of it.
_LIBRARY = (f"{Path(os.__file__).parent}{os.sep}", "<frozen ")
#: What runs the cells of a notebook.
_SHELLS = ("IPython", "ipykernel")


def shorten(error: BaseException) -> None:
    """Take out of the traceback of an error, and of what led to it, the frames below the one that is called first.

    Frames of others among them, such as a callback of the user's, stay; so does what a user was handling when this was
    called, which did not come about here.
    """
    for one in _chain(error):
        if one.__traceback__ is None:
            continue
        if one is not error and _root_of(one.__traceback__.tb_frame) != _OURS:
            return
        _cut(one.__traceback__)


def _cut(kept: TracebackType) -> None:
    entry = kept.tb_next
    while entry is not None:
        following = entry.tb_next
        if not _is_inside(entry.tb_frame):
            kept.tb_next = entry
            kept = entry
        entry = following
    kept.tb_next = None


def _is_inside(frame: FrameType) -> bool:
    """Whether a frame below one of jitload is of its own, or of the standard library, which it called."""
    root = _root_of(frame)
    return root == _OURS or (root in sys.stdlib_module_names and frame.f_code.co_filename.startswith(_LIBRARY))


def _root_of(frame: FrameType) -> str:
    """The package whose code runs in a frame. Code that the executor writes has no name, and is ours."""
    return str(frame.f_globals.get("__name__", _OURS)).partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that a traceback shows with it, the last one first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def lines_for_notebook(error: BaseException) -> list[str]:
    """What a notebook shows of an error: what went wrong, then where, the user's own line among it."""
    lines: list[str] = []
    for one in _chain(error):
        if lines:
            lines.append("\nwhich came from:\n")
        lines += (
            "".join(traceback.format_exception_only(type(one), one))
            .rstrip()
            .removeprefix("jitload.errors.")
            .split("\n")
        )
        places = [place for entry in _entries(one.__traceback__) for place in _place(entry)]
        lines += ["", *places] if places else []
    return lines


def _entries(first: TracebackType | None) -> Iterator[TracebackType]:
    """The entries of a traceback below those of the shell that ran the cell."""
    entries = []
    while first is not None:
        entries.append(first)
        first = first.tb_next
    shells = [number for number, entry in enumerate(entries) if _root(entry.tb_frame) in _SHELLS]
    yield from entries[shells[-1] + 1 if shells else 0 :]


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _place(entry: TracebackType) -> list[str]:
    code = entry.tb_frame.f_code
    file = cell_name(code.co_filename) or f'File "{code.co_filename}"'
    inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
    text = linecache.getline(code.co_filename, entry.tb_lineno, entry.tb_frame.f_globals).strip()
    return [f"{file}, line {entry.tb_lineno}{inside}", *([f"    {text}"] if text else [])]


def cell_name(code_file: str) -> str | None:
    """What IPython calls the code of a cell, e.g. "Cell In[3]"; None for other code."""
    ipython = sys.modules.get("IPython")
    try:
        shell = ipython.get_ipython() if ipython is not None else None
        named = shell.compile.format_code_name(code_file) if shell is not None else None
        return " ".join(named) if named else None
    except (AttributeError, TypeError):  # an older IPython
        return None
