"""What makes machine code here, kept from one process to the next, so that one that finds some imports no LLVM.

To ask LLVM which processor this is takes its import, longer than all else that a process does for its first launch. So
the answer is kept, sealed like machine code: under what the file system says of llvmlite, what the system says of the
processor, and the start of the system, since a machine that was moved or changed has started anew.
"""

from __future__ import annotations

import functools
import os
import pathlib
import time
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from jitload.cpu.native import machine
from jitload.digest import sha256
from jitload.format.json import canonical_json, read_canonical
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.tiers import cache as caches
    from jitload.tiers import own
else:
    caches = lazy("jitload.tiers.cache")
    own = lazy("jitload.tiers.own")

NAMESPACE = "maker of machine code"
#: What the system says of its own start, and of processors.
STARTED = pathlib.Path("/proc/sys/kernel/random/boot_id")
PROCESSORS = pathlib.Path("/proc/cpuinfo")
_PROCESSOR_BYTES = 1 << 14  # the first of them is described in less
#: A file system may give two changes one time that are closer together.
_SETTLED_NS = 2_000_000_000


@functools.cache
def known_maker() -> machine.Maker:
    """What makes machine code here, by what is kept, or else by LLVM itself.

    Raises:
        ImportError: nothing does.
    """
    here = _description()
    if here is None:
        return machine.maker()
    key = sha256(repr((machine.Maker._fields, here)).encode("utf-8", "surrogateescape"))
    blobs = own.OwnBlobs(caches.default_cache(), NAMESPACE)
    kept = blobs.get(key)
    if kept is not None:
        return machine.Maker(*read_canonical(kept))
    found = machine.maker()
    if max(max(times) for *_, times in here[1]) + _SETTLED_NS < time.time_ns():
        blobs.put(key, canonical_json([*found]))
    return found


def _description() -> tuple[str, list[tuple[str, int, int, int, tuple[int, int]]]] | None:
    """(the processor and when the system started, the files of llvmlite), or None where that is not to be had."""
    found = PathFinder.find_spec("llvmlite")
    if found is None or not found.submodule_search_locations:
        return None
    try:
        with PROCESSORS.open("rb") as file:
            first = file.read(_PROCESSOR_BYTES).partition(b"\n\n")[0]
        steady = [line for line in first.splitlines() if not line.startswith(b"cpu MHz")]
        processor = repr((STARTED.read_text(), steady))
        (folder,) = found.submodule_search_locations
        return processor, [*_files(folder), *_files(f"{folder}/binding")]
    except (OSError, ValueError):
        return None


def _files(folder: str) -> list[tuple[str, int, int, int, tuple[int, int]]]:
    """Path, file system, inode, size and times of each file of a directory, in order."""
    with os.scandir(folder) as entries:
        stats = [(one.path, one.stat()) for one in entries if one.is_file()]
    return sorted((path, at.st_dev, at.st_ino, at.st_size, (at.st_mtime_ns, at.st_ctime_ns)) for path, at in stats)
