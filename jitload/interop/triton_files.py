"""The files that Triton opens: written for this process, and gone with it.

Triton takes paths, so what is kept as one blob is written out in every process. In memory that takes 10 us a file, on a
disk 150 us, which is more than all the rest of a hit. Files of a process that was killed are removed by the next one:
a directory whose lock nobody has is nobody's.
"""

from __future__ import annotations

import atexit
import errno
import functools
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from jitload.errors import UsageValueError
from jitload.files.atomic import replace_file, unguessable, write_all
from jitload.files.lock import FileLock

#: A file system in memory, of which it is not certain that modules may be loaded from there (noexec).
MEMORY = "/dev/shm"  # noqa: S108 - a directory with an unguessable name and 0700 is made in it
#: What it must have left: others count on it too, and in a container it may be as small as 64 MiB.
_SPARE_BYTES = 1 << 30
_PREFIX = "jitload-files-"
#: A younger directory may be one whose process has not locked it yet.
_SETTLED_SECONDS = 60.0
_MAX_NAME_BYTES = 255
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_plain(name: object) -> bool:
    """Whether a name, which may come from what is stored, is that of a file in a directory and of no other."""
    if not isinstance(name, str) or "/" in name or "\0" in name or name in {"", ".", ".."}:
        return False
    try:
        return len(name) <= _MAX_NAME_BYTES and len(os.fsencode(name)) <= _MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


class ProcessFiles:
    """The files under one of Triton's keys, in this process.

    Args:
        key: the key, which is the name of their directory.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        #: (process, base) -> the directory.
        self._directories: dict[tuple[int, str], str] = {}

    def write(self, name: str, data: bytes, *, loaded: bool = False) -> str:
        """The path of a file with these bytes.

        Args:
            name: of the file.
            data: its bytes.
            loaded: True for a module that is loaded from there.

        Raises:
            UsageValueError: the name, or the key, is not that of a file.
            OSError: it cannot be written.
        """
        if not is_plain(name):
            raise UsageValueError(f"{name!r:.80} is not the name of a file")
        temporary = tempfile.gettempdir()
        base = temporary if loaded else _base(temporary)
        try:
            return self._write_below(base, name, data)
        except OSError as error:
            if base == temporary or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
        return self._write_below(temporary, name, data)

    def _write_below(self, base: str, name: str, data: bytes) -> str:
        here = (os.getpid(), base)
        directory = self._directories.get(here)
        if directory is None:
            if not is_plain(self._key):
                raise UsageValueError(f"{self._key!r:.80} is not the name of a file")
            directory = f"{_process_directory(*here)}/{self._key}"
            os.makedirs(directory, 0o700, exist_ok=True)  # noqa: PTH103 - Path.mkdir takes 25 us more, a twelfth of a hit
            self._directories[here] = directory
        path = f"{directory}/{name}"
        _make_file(path, data)
        return path


def _make_file(path: str, data: bytes) -> None:
    """Have a file hold these bytes. Another thread may be at it: what is half written is replaced."""
    try:
        descriptor = os.open(path, _CREATE, 0o600)
    except FileExistsError:
        if Path(path).read_bytes() != data:
            replace_file(path, data, temporary=f"{path[:200]}.{unguessable()}", durable=False)
        return
    try:
        write_all(descriptor, data)
    except OSError:
        with suppress(OSError):
            Path(path).unlink()
        raise
    finally:
        os.close(descriptor)


@functools.cache
def _base(temporary: str) -> str:
    """Where the files of this process stand: in memory where there is much of it, unless TMPDIR says where."""
    if temporary != "/tmp":  # noqa: S108 - compared, not used
        return temporary
    try:
        room = os.statvfs(MEMORY)
    except OSError:
        return temporary
    spare = room.f_bavail * room.f_frsize
    return MEMORY if spare >= _SPARE_BYTES and os.access(MEMORY, os.W_OK | os.X_OK) else temporary


@functools.cache
def _process_directory(process: int, base: str) -> str:
    """Where this process has its files; a child of a fork has others."""
    if base == MEMORY:
        _sweep(base)
    path = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
    held = FileLock(os.open(path, _OPEN))
    with suppress(OSError):
        held.acquire(0)
    atexit.register(_remove, path, process, held)
    return path


def _remove(path: str, process: int, held: FileLock) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
        held.release()


def _sweep(base: str) -> None:
    """Remove what killed processes of this user have left."""
    with suppress(OSError), os.scandir(base) as found:
        for entry in found:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    held = FileLock(os.open(path, _OPEN))
    try:
        status = Path(path).lstat()
        settled = time.time() - status.st_mtime > _SETTLED_SECONDS
        if settled and status.st_uid == os.geteuid() and held.acquire(0):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        held.release()
