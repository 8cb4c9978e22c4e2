"""Where the bytes of a bundle come from: a file, or memory. Never a mapping.

A file that shrinks under a mapping ends the process; here it is an error.
"""

from __future__ import annotations

import os
import stat
import weakref

from jitload.errors import BundleError


class Source:
    """Bytes of a known size."""

    name: str
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Exactly those bytes.

        Raises:
            BundleError: they cannot be read.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""


class MemorySource(Source):
    """Bytes that are in memory already."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name, self._data = name, bytes(data)
        self.size = len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        """Those bytes, as far as there are any."""
        return self._data[offset : offset + size]


class FileSource(Source):
    """A regular file, read with `pread`.

    Args:
        path: the file.
        name: what to call it in messages; default: its absolute path.

    Raises:
        BundleError: it cannot be opened, or is something else.
    """

    def __init__(self, path: str, name: str = "") -> None:
        target = os.path.abspath(path)
        self.name = name or target
        try:
            # NONBLOCK: a FIFO in the place of the file must not hang the application. A link is fine: who names the
            # file decides what is there, and its contents are verified anyway.
            self._descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise BundleError(f"{path}: cannot open the bundle: {error.strerror or error}") from None
        except ValueError as error:  # a NUL, or half of a surrogate pair
            raise BundleError(f"{path!r:.200}: no file can have such a name: {error}") from None
        self._close = weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise BundleError(f"{path}: not a regular file")

    def read(self, offset: int, size: int) -> bytes:
        """Exactly those bytes.

        Raises:
            BundleError: the file cannot be read, or became shorter.
        """
        parts = []
        try:
            while size > 0 and (data := os.pread(self._descriptor, min(size, 1 << 30), offset)):
                parts.append(data)
                offset, size = offset + len(data), size - len(data)
        except OSError as error:
            raise BundleError(f"cannot read the bundle: {error.strerror or error}") from None
        if size > 0:
            raise BundleError("the file became shorter while it was open")
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        self._close()
