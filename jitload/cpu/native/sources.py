"""The digest of the sources that make machine code, and what lets the next process take it without reading them.

They are hundreds. To read them takes longer than all else that a process does to find what is kept, so the digest is
kept too, sealed like machine code: under what the file system says of each file. Whatever is written to a file changes
that, as for the index of git. Where it changes with the same bytes, as in a copy, they are read once more.
"""

from __future__ import annotations

import functools
import os
import pathlib
import time
from typing import TYPE_CHECKING

from jitload.digest import DIGEST_BYTES, sha256, sha256_parts
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.tiers import cache as caches
    from jitload.tiers import own
else:
    caches = lazy("jitload.tiers.cache")
    own = lazy("jitload.tiers.own")

NAMESPACE = "sources of machine code"
#: Where the sources of what makes it lie, within the package.
_MAKERS = ("cpu", "images/ptx")
#: A file system may give two changes one time that are closer together.
_SETTLED_NS = 2_000_000_000


@functools.cache
def digest_of_sources(package: pathlib.Path) -> bytes:
    """SHA-256 of the sources that make machine code of a kernel; of nothing where they are not there.

    What reads PTX, lays it out and finds what lives where decides as much of the code as what writes it.

    Args:
        package: jitload's directory.
    """
    files = sorted(found for place in _MAKERS for found in _find(f"{package}/{place}"))
    key = sha256(repr(files).encode("utf-8", "surrogateescape"))
    blobs = own.OwnBlobs(caches.default_cache(), NAMESPACE)
    kept = blobs.get(key)
    if kept is not None and len(kept) == DIGEST_BYTES:
        return kept
    digest = sha256_parts(pathlib.Path(path).read_bytes() for path, *_ in files)
    if files and max(max(times) for *_, times in files) + _SETTLED_NS < time.time_ns():
        blobs.put(key, digest)
    return digest


def _find(folder: str) -> Iterator[tuple[str, int, int, int, tuple[int, int]]]:
    """Path, file system, inode, size and times of each source in a directory and below."""
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for one in entries:
            if one.name.endswith(".py"):
                found = one.stat()
                yield one.path, found.st_dev, found.st_ino, found.st_size, (found.st_mtime_ns, found.st_ctime_ns)
            elif one.name != "__pycache__" and one.is_dir(follow_symlinks=False):
                yield from _find(one.path)
