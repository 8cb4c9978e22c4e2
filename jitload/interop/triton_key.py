"""What Triton puts into every key of its own: a digest of all of itself, remembered instead of made in every process.

Half a gigabyte is hashed for it, which takes 0.3 s, more than half of a process that then finds all its kernels. Here
the digest is remembered as that of a compiler is: by the stamps of the files that it is made of.

    DIRECTORY/triton-key.json    a memo: the digest of the stamps, and Triton's key

A memo that is not as it was written, in any place, is none: Triton makes its key.
"""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.digest import sha256_hex
from jitload.files.regular import file_stamp
from jitload.format.json import canonical_json, decode_memo, encode_memo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.files.directory import Directory
    from jitload.format.json import Json

_FILE = "triton-key.json"
_MAX_BYTES = 1 << 20
#: Of Triton 3.9, below its package: what its key is made of, as far as it is in packages of Python.
_PACKAGES = ("compiler", "backends", "language")
_SINGLE = ("__init__.py", "runtime/cache.py")


def remembered(root: str, make: Callable[[], str], directory: Directory | None) -> Callable[[], str]:
    """Triton's `triton_key`, which makes its key only where none is remembered.

    Args:
        root: the directory of the package triton.
        make: Triton's own.
        directory: a private directory for the memo; None where there is none, and nothing is remembered.
    """

    @functools.cache
    def triton_key() -> str:
        try:
            stamps = sha256_hex(canonical_json(sorted(_stamps(root))))
        except OSError:  # not laid out as it was
            return make()
        known = _recall(directory, stamps)
        if known is None:
            known = make()
            _note(directory, stamps, known)
        return known

    return triton_key


def _stamps(root: str) -> Iterator[list[object]]:
    """[path, *its stamp] of each file that Triton's key is made of."""
    for name in _SINGLE:
        yield [name, *file_stamp(Path(root, name).stat())]
    with os.scandir(f"{root}/_C") as found:
        for entry in found:
            if entry.name.startswith("libtriton."):
                yield [f"_C/{entry.name}", *file_stamp(entry.stat())]
    for package in _PACKAGES:
        yield from _package_stamps(root, package)


def _package_stamps(root: str, package: str) -> Iterator[list[object]]:
    with os.scandir(f"{root}/{package}") as found:
        entries = list(found)
    for entry in entries:
        if entry.name.endswith(".py"):
            yield [f"{package}/{entry.name}", *file_stamp(entry.stat())]
        elif entry.is_dir() and Path(entry.path, "__init__.py").exists():
            yield from _package_stamps(root, f"{package}/{entry.name}")


def _recall(directory: Directory | None, stamps: str) -> str | None:
    if directory is None:
        return None
    try:
        body = decode_memo(directory.read(_FILE, _MAX_BYTES))
    except (OSError, ValueError):
        return None  # no memo, or not one of ours
    key: Json = body.get("key")
    return key if body == {"key": key, "stamps": stamps} and isinstance(key, str) else None


def _note(directory: Directory | None, stamps: str, key: str) -> None:
    if directory is None:
        return
    with suppress(OSError):
        directory.write(_FILE, encode_memo({"key": key, "stamps": stamps}), durable=False)
