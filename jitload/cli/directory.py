"""Which cache directory a command works on, and what it may do there."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jitload import config
from jitload.errors import JitloadError
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def opened_cache(named: Path | None, *, as_compile: bool = False) -> Iterator[Cache]:
    """The cache in the directory that the user named, or the user's own; closed at the end.

    What belongs to somebody else, or cannot be written, is opened read-only, and that is said on stderr. The user's
    own directory may not exist yet: it is an empty cache, and is not made.

    Args:
        named: what the user wrote behind --dir.
        as_compile: open the user's own directory as a compile does: with its layers, and refused if not private.

    Raises:
        JitloadError: there is no directory.
        OSError: it does not exist, cannot be read, is no cache, or can be written by others.
    """
    settings = config.current()
    if named is not None:
        path = named_directory(named)
    elif settings.cache_dir is not None:
        path = Path(settings.cache_dir)
    else:
        raise JitloadError("no home directory, so no cache directory: set JITLOAD_CACHE_DIR, or write --dir DIR")
    own = as_compile and named is None
    obstacle = None if own else _obstacle(path)
    if obstacle is not None:
        typer.echo(f"jitload: {path} {obstacle}: reading only", err=True)
    cache = Cache(
        path,
        max_bytes=settings.cache_max_bytes,
        read_only=obstacle is not None,
        layers=settings.read_only_dirs if own else (),
    )
    if cache.disk is not None:
        cache.disk.directory.check()
    _check_readable(path)
    try:
        yield cache
    finally:
        cache.flush()


def named_directory(named: Path) -> Path:
    """The path of a cache directory that the user named.

    Raises:
        OSError: it does not exist, cannot be read, or is no cache.
    """
    path = named.expanduser().absolute()
    _check_named(path)
    return path


def check_writable(named: Path | None) -> None:
    """Refuse a directory in which nothing may be changed, before `opened_cache` opens it read-only.

    Raises:
        OSError: it belongs to somebody else, or is not writable.
    """
    chosen = named.expanduser() if named is not None else config.current().cache_dir
    if chosen is not None and (obstacle := _obstacle(Path(chosen))) is not None:
        raise PermissionError(errno.EACCES, f"{chosen} {obstacle}: nothing can be changed in it")


def _obstacle(path: Path) -> str | None:
    """Why nothing may be changed in a directory; None when it may, or where there is none."""
    if not path.is_dir():
        return None
    owner, user = path.stat().st_uid, os.geteuid()
    if owner != user:
        return f"belongs to user {owner}, not to you ({user})"
    return None if os.access(path, os.W_OK | os.X_OK) else "is not writable"


def _check_readable(path: Path) -> None:
    # Without this an unreadable directory would look like an empty one: look-ups take it for a miss.
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot be read by you", str(path))


def _check_named(path: Path) -> None:
    """Refuse a path that is no cache directory: a misspelt one would look like an empty cache.

    Raises:
        OSError: there is no such directory, or it holds other things.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such directory", str(path))
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
    _check_readable(path)
    if any(path.iterdir()) and not any((path / name).is_dir() for name in ("objects", "manifests")):
        raise NotADirectoryError(
            errno.ENOTDIR, "not a cache directory: it holds other things, and no objects/", str(path)
        )
