"""The one way in which a file is written: whole or not at all.

A temporary file that nobody can foresee or have put there before us, in the same file system; its bytes on the disk;
then the rename, and that on the disk too.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: What file systems say that cannot sync a directory (FUSE, CIFS); their renames are as durable as they get.
_NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF})


def write_file(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o666) -> None:
    """Write a file that the user named: it is there whole, or as it was before. A link in its place is replaced.

    What is there and is no file (a pipe, /dev/null) is written to, since a rename would put a file in its place.

    Args:
        path: the file.
        data: its bytes.
        mode: its rights, less the umask.

    Raises:
        OSError: it cannot be written; the error names `path`, and nothing is left behind.
    """
    target = os.fsdecode(path)
    try:
        if _is_special(target):
            _pour(target, data)
            return
        parent = os.path.dirname(target)
        # Not made from the file's own name, which may be as long as names get.
        replace_file(target, data, temporary=os.path.join(parent, f".jitload-{unguessable()}.tmp"), mode=mode)
    except OSError as error:  # under the name that the caller knows, rather than that of the temporary file
        error.filename = target
        del error.filename2  # of a rename; None would be shown
        raise


def replace_file(
    target: str,
    *pieces: bytes,
    temporary: str,
    mode: int = 0o600,
    durable: bool = True,
    root: int | None = None,
) -> None:
    """Write `temporary` and rename it to `target`.

    Args:
        target: the file; what is there is replaced.
        *pieces: its bytes, one piece behind the other.
        temporary: a path in the same file system that does not exist, made with `unguessable`.
        mode: the file's rights, less the umask.
        durable: True when it must be there after a loss of power, once this has returned.
        root: descriptor of the directory that both paths are relative to.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    descriptor = os.open(temporary, _CREATE, mode, dir_fd=root)
    try:
        try:
            for piece in pieces:
                write_all(descriptor, piece)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, target, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=root)
        raise
    if durable:
        _sync_directory(os.path.dirname(target) or ".", root)


def unguessable() -> str:
    """A part of a file's name that nobody can have foreseen."""
    return os.urandom(8).hex()


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, in as many calls as the system takes.

    Raises:
        OSError: it cannot be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _is_special(path: str) -> bool:
    """Whether there is something at a path that is no file: a directory too, which the system then refuses to open."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _pour(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _sync_directory(path: str, root: int | None) -> None:
    descriptor = os.open(path, _DIRECTORY, dir_fd=root)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)
