"""Files that a command is given to read: a directory in their place is refused with what to write."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "*.py"
SOURCES = "*.cu"
WORKLOADS = "*.jlw"


def refuse_directory(path: Path, *patterns: str, several: bool = False) -> None:
    """Nothing, where a path is no directory.

    Args:
        path: what was given.
        patterns: what files are called that the command takes.
        several: whether it takes more than one.

    Raises:
        IsADirectoryError: it is a directory; the text has what to write of what is in it.
    """
    if not path.is_dir():
        return
    found = {pattern: sorted(path.glob(pattern)) for pattern in patterns}
    written = [str(path / pattern if several else names[0]) for pattern, names in found.items() if names]
    if not written:
        hint = f"without {', '.join(patterns)} in it: write the name of a file"
    else:
        hint = f"in its place write {' or '.join(written)}" if several else f"write a file in it, such as {written[0]}"
    raise IsADirectoryError(errno.EISDIR, f"is a directory{':' if written else ''} {hint}", str(path))
