"""Files that somebody named: opened at once, and only where they are files; and told from what they were before.

A FIFO without a writer would be waited for, and a device can be read without end.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

    #: Device, inode, size, time of change of the text and of the file, in nanoseconds.
    Stamp = tuple[int, int, int, int, int]

#: The process's own descriptors: what a shell has put there is meant to be read, to its end.
_OWN = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """A regular file, open for reading.

    Raises:
        OSError: it cannot be opened, or is something else; the error has its name.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return file


def read_regular(path: str, max_bytes: int) -> bytes:
    """The bytes of a small regular file, or the first of them; no buffer is made for it, as for a `file`.

    Raises:
        OSError: as `open_regular`.
    """
    descriptor = _open_at_once(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        size = min(status.st_size, max_bytes)
        return read_on(descriptor, os.read(descriptor, size), size)
    finally:
        os.close(descriptor)


def read_on(descriptor: int, data: bytes, size: int) -> bytes:
    """What one read gave, and the rest up to `size`: signals, and file systems that give less than was asked."""
    parts = [data]
    while data and (size := size - len(data)) > 0:
        data = os.read(descriptor, size)
        parts.append(data)
    return b"".join(parts)


def open_input(path: str | os.PathLike[str]) -> BufferedReader:
    """The same for text that may come through a pipe as well, where the path is one of our own descriptors.

    Raises:
        OSError: as `open_regular`.
    """
    if os.fspath(path).startswith(_OWN):
        return open(path, "rb")
    return open_regular(path)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def file_stamp(status: os.stat_result) -> Stamp:
    """What tells a file from its earlier or later self without reading it."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
