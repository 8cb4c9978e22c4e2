"""A private directory of ours on the disk: made 0700, refused when it is not ours, written atomically.

Every read and write of the disk cache goes through here, so this is where the rules live: no symlink is followed, a
file is read in one go and only when it is a regular file of a sane size, and a write is a temporary file in the same
file system that is renamed into place.
"""

from __future__ import annotations

import errno
import os
import stat
from binascii import hexlify
from contextlib import suppress

from jitload import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: a FIFO must not hang a look-up
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(OSError):  # noqa: N818 - a state of a directory
    """The directory is not private to this user; the text says why and what to do."""


class Directory:
    """One private directory.

    Args:
        path: absolute path; it is made at the first write.
        read_only: nothing is ever written, made or removed in it. Such a directory may belong to anybody, because
            somebody chose it by name; nobody but its owner may be able to write to it.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._checked = False
        self._real: set[str] = set()

    def check(self) -> None:
        """Refuse a directory that others could have filled.

        Raises:
            Refused: it belongs to somebody else, or others may write to it.
        """
        if self._checked:
            return
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(status.st_mode):
            raise Refused(errno.ENOTDIR, f"{self.path} is not a directory: move it away, or set JITLOAD_CACHE_DIR")
        if status.st_uid != os.geteuid() and not self.read_only:
            raise Refused(
                errno.EPERM,
                f"{self.path} belongs to user {status.st_uid}, not to you ({os.geteuid()}), and a kernel from it would "
                f"run with your rights: set JITLOAD_CACHE_DIR to a directory of your own",
            )
        if status.st_mode & 0o022:
            raise Refused(
                errno.EPERM,
                f"{self.path} can be written by other users (mode {stat.S_IMODE(status.st_mode):04o}), and a kernel "
                f"from it would run with your rights: chmod go-w {self.path}, or set JITLOAD_CACHE_DIR",
            )
        self._checked = True

    def is_private(self) -> bool:
        """Whether `check` passes."""
        try:
            self.check()
        except OSError:
            return False
        return True

    def read(self, relative: str, max_bytes: int) -> bytes:
        """The bytes of a regular file; raises like `read_file`."""
        return self.read_file(relative, max_bytes)[0]

    def read_file(self, relative: str, max_bytes: int) -> tuple[bytes, os.stat_result]:
        """The bytes of a regular file, and its status.

        Raises:
            OSError: it is missing, unreadable, a link, no regular file, or larger than `max_bytes`.
        """
        self.check()
        self._check_real(relative.rpartition("/")[0])
        descriptor = os.open(f"{self.path}/{relative}", _READ)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, f"{relative} is not a regular file")
            if status.st_size > max_bytes:
                raise OSError(errno.EFBIG, f"{relative} has {status.st_size} bytes, more than {max_bytes}")
            # One byte more than the size: a file that is being appended to shows, and its digest refuses it.
            return _read_all(descriptor, status.st_size + 1), status
        finally:
            os.close(descriptor)

    def write(self, relative: str, data: bytes, *, durable: bool) -> None:
        """Write a file as a whole: temporary file, fsync if `durable`, rename, fsync of the directory.

        Raises:
            OSError: it could not be written; nothing is left behind.
        """
        if self.read_only:
            raise OSError(errno.EROFS, f"{self.path} is used read-only")
        self.check()
        parent = os.path.dirname(relative)
        self.make("incoming")
        self.make(parent)
        temporary = f"{self.path}/incoming/{os.uname().nodename}.{os.getpid()}.{hexlify(os.urandom(8)).decode()}"
        target = f"{self.path}/{relative}"
        descriptor = os.open(temporary, _CREATE, 0o600)
        try:
            try:
                _write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
        if durable:
            self._sync(parent)

    def make(self, relative: str) -> str:
        """Make a directory below this one (and this one), private, and give its path.

        Raises:
            OSError: it cannot be made.
        """
        path = f"{self.path}/{relative}" if relative else self.path
        if relative not in self._real or not self._checked:
            if not os.path.isdir(self.path):
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
            for directory in _below(self.path, relative):
                with suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            self._checked = False
            self.check()
            self._check_real(relative)
        return path

    def forget(self) -> None:
        """Look again at what exists: the directory may have been removed under us."""
        self._real.clear()
        self._checked = False

    def files(self, relative: str) -> Iterator[os.DirEntry[str]]:
        """The entries two levels below a directory of shards, none where it does not exist."""
        for shard in self.scan(relative):
            if shard.is_dir(follow_symlinks=False):
                yield from self.scan(f"{relative}/{shard.name}")

    def remove(self, relative: str) -> bool:
        """Remove a file; False when it was not there or could not be removed."""
        if self.read_only:
            return False
        try:
            self._check_real(os.path.dirname(relative))
            os.unlink(f"{self.path}/{relative}")
        except OSError:
            return False
        return True

    def _check_real(self, relative: str) -> None:
        """Refuse a link in the place of a directory below this one, once per directory.

        Raises:
            OSError: a component is missing, a link, or no directory.
        """
        if relative in self._real:
            return
        for directory in _below(self.path, relative)[1:]:
            if not stat.S_ISDIR(os.lstat(directory).st_mode):
                raise OSError(errno.ELOOP, f"{directory} is not a directory of ours: remove it")
        self._real.add(relative)

    def scan(self, relative: str) -> list[os.DirEntry[str]]:
        """The entries of one directory, by name; none where it does not exist, is not ours or cannot be listed.

        What cannot be listed is said once: its entries count towards no bound and show in no listing.
        """
        try:
            self._check_real(relative)
            with os.scandir(f"{self.path}/{relative}") as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                log.warn_once(
                    ("unlisted", self.path),
                    f"{self.path}/{relative} cannot be listed ({error.strerror}), so what is in it is neither shown "
                    f"nor counted: chmod u+rx it, or set JITLOAD_CACHE_DIR",
                )
            return []

    def _sync(self, relative: str) -> None:
        descriptor = os.open(f"{self.path}/{relative}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _below(base: str, relative: str) -> list[str]:
    paths = [base]
    for part in relative.split("/") if relative else []:
        paths.append(f"{paths[-1]}/{part}")
    return paths


def _read_all(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    parts = [data]
    # One read is what happens; the loop is for signals and file systems that give less than was asked.
    while data and (size := size - len(data)) > 1:
        data = os.read(descriptor, size)
        parts.append(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
