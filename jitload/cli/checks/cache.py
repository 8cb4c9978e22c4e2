"""The user's cache directory: private, writable, and with an index that works. Without it everything still runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.finding import missing, ok, problem
from jitload.cli.console import describe_os_error
from jitload.cli.tables import entries_of
from jitload.files.ownership import check_parents
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample

ELSEWHERE = "set JITLOAD_CACHE_DIR to a directory of your own that can be written"


def check_cache(_sample: Sample) -> Finding:
    """Where the cache is, whether it can be used, and what is in it."""
    settings = config.current()
    path = settings.cache_dir
    if path is None:
        return missing("no home directory: kernels are kept in memory only", f"set HOME, or {ELSEWHERE}")
    directory = Path(path)
    cache = Cache(directory, max_bytes=settings.cache_max_bytes)
    try:
        if not directory.exists():
            check_parents(path)
            return _check_unmade(directory)
        _write_and_remove(cache)
    except OSError as error:
        return problem(f"{path} cannot be used: {describe_os_error(error)}", ELSEWHERE, directory=path, writable=False)
    return _describe(cache, path)


def check_read_only_dirs(_sample: Sample) -> Finding:
    """The cache directories of others: each can be read, or is passed over."""
    paths = config.current().read_only_dirs
    if not paths:
        return ok("none", directories=[])
    lines, rows, bad = [], [], []
    for path in paths:
        obstacle, entries = _look_into(path)
        lines.append(f"{path}: {obstacle or entries_of(entries)}")
        rows.append({"directory": path, "entries": entries, "obstacle": obstacle or None})
        bad += [path] if obstacle else []
    if bad:
        fix = f"make {', '.join(bad)} readable, or take it out of JITLOAD_READ_ONLY_DIRS: it is passed over"
        return missing("\n".join(lines), fix, directories=rows)
    return ok("\n".join(lines), directories=rows)


def _look_into(path: str) -> tuple[str, int]:
    """Why a directory of others cannot be used, or "", and how many entries it has."""
    if not os.path.lexists(path):
        return "missing", 0
    if not Path(path).is_dir():
        return "not a directory", 0
    if not os.access(path, os.R_OK | os.X_OK):
        return "cannot be read", 0
    (store,) = Cache(layers=[path]).layers
    try:
        store.directory.check()
        return "", sum(1 for _ in store.contents.scan_keys())
    except OSError as error:
        return describe_os_error(error), 0


def _check_unmade(directory: Path) -> Finding:
    """A directory that the first compile will make: can it?"""
    path = str(directory)
    above = next(parent for parent in directory.parents if parent.exists() or parent.is_symlink())
    if not above.is_dir():
        return problem(f"{path} cannot be made: {above} is not a directory", ELSEWHERE, directory=path, writable=False)
    if not os.access(above, os.W_OK | os.X_OK):
        return problem(f"{path} cannot be made: {above} is not writable", ELSEWHERE, directory=path, writable=False)
    return ok(f"{path}, made at the first compile", directory=path, exists=False, writable=True)


def _write_and_remove(cache: Cache) -> None:
    """A real write through the door that entries go through: it refuses what is not private.

    Raises:
        OSError: the directory refuses, or is refused.
    """
    disk = cache.disk
    if disk is None:
        return
    probe = f"incoming/doctor.{os.getpid()}"
    disk.directory.write(probe, b"jitload doctor\n", durable=False)
    disk.directory.remove(probe)


def _describe(cache: Cache, path: str) -> Finding:
    stats = cache.stats()
    index = cache.index
    # Writing nothing opens the database and takes its lock: that is what a compile will do.
    indexed = index is not None and index.write({})
    details: dict[str, object] = {
        "directory": path,
        "exists": True,
        "writable": True,
        "entries": stats.entries,
        "bytes": stats.bytes,
        "max_bytes": stats.max_bytes,
        "index": indexed,
    }
    found = f"{path}, private and writable, {entries_of(stats.entries)}, {stats.bytes} of {stats.max_bytes} bytes"
    if not indexed:
        fix = f"remove the index, it is made again: rm -r {path}/index"
        return problem(f"{found}; its index does not work", fix, **details)
    return ok(f"{found}, index works", **details)
