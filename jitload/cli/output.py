"""Where images go: file names made from a pattern, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.files.atomic import write_file
from jitload.loader.files import ENTRY_SUFFIX

if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.values import Kind

STDOUT = "-"
PLACEHOLDER = "{arch}"
#: What reports read: a page in the place of one would destroy it.
_READ_SUFFIXES = frozenset({".jlb", ".jlw", ".json"})


def default_pattern(source: Path, kind: Kind, *, per_arch: bool) -> str:
    """The file name for an image when the user gave none: in the current directory, after the source."""
    return f"{source.stem}.{PLACEHOLDER}.{kind}" if per_arch else f"{source.stem}.{kind}"


def page_destination(out: str) -> Path:
    """The file for a page of HTML.

    Raises:
        ValueError: stdout was asked for, or a file named like a bundle, a workload or a profile.
        OSError: as `destination`.
    """
    path = destination(out, "")
    if path is None:
        raise ValueError(f"a page is a file: write its name in the place of {STDOUT}")
    if path.suffix.lower() in _READ_SUFFIXES:
        raise ValueError(f"{out} is named like what a page is about, and would hold HTML: write a name in .html")
    return path


def destination(pattern: str, arch: str) -> Path | None:
    """The file for the image of one arch, or None for stdout. Links are followed: what they lead to is replaced.

    Args:
        pattern: what the user wrote behind -o.
        arch: "sm_90"; several, joined by ",", for a fatbin.

    Raises:
        OSError: there is no such directory, or a directory is in the way.
    """
    if pattern == STDOUT:
        return None
    path = Path(pattern.replace(PLACEHOLDER, arch.replace(",", "+")))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory: write the name of a file behind -o", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such directory to write into: make it first", str(path.parent))
    return path


def write_image(path: Path | None, artifact: Artifact) -> None:
    """Write what the user gets: the raw image, or for a file in ".jle" the entry that verifies itself.

    Raises:
        OSError: it cannot be written; no part of it is left behind.
    """
    try:
        _write(path, artifact)
    except OSError as error:
        # What the user called it: the system names a temporary file, or for a write no file at all.
        error.filename = "stdout" if path is None else str(path)
        del error.filename2
        raise


def _write(path: Path | None, artifact: Artifact) -> None:
    if path is None:
        sys.stdout.buffer.write(artifact.data)
        sys.stdout.buffer.flush()
    elif path.suffix.lower() == f".{ENTRY_SUFFIX}":
        artifact.save(path.resolve())
    else:
        write_file(path.resolve(), artifact.data)
