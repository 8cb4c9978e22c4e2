"""The one opener of a directory that others may reach: private, made 0700, refused when it is not ours.

Every file of the disk cache is read and written through here, so this is where the rules live:

- The directory is held open and everything below is opened relative to it, so that one which is put in its place
  between two looks is never read by mistake; at every use the path must still lead to the directory that is held.
- No link is followed below it. A file is read in one go, and only when it is a regular file of a sane size; it and the
  directories around it must be of an owner that is trusted, and others may not write to them.
- A file is written beside the others and renamed into its place.
"""

from __future__ import annotations

import errno
import os
import stat
from os import geteuid

from jitload import log
from jitload.files.held import LIST, Held, list_directory, make_directories
from jitload.files.ownership import Refused, check_member, check_parents, is_in_the_way, make_private
from jitload.files.regular import read_on
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import shutil
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from jitload.files import atomic

    Found = TypeVar("Found")
else:
    shutil = lazy("shutil")
    atomic = lazy("jitload.files.atomic")  # a hit writes nothing

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: a FIFO must not hang a look-up
_UPDATE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


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
        self._held: Held | None = None

    def check(self) -> None:
        """Refuse a directory that others could have filled, or could replace. One that does not exist is fine.

        Raises:
            Refused: it belongs to somebody else, or others may write to it or to a directory that it is in.
        """
        try:
            self._hold()
        except FileNotFoundError:
            check_parents(self.path)

    def say_refused(self, error: Refused) -> None:
        """Log why the directory is not used, once."""
        log.warn_once(("refused", self.path), f"the cache is not used: {error.strerror}")

    def is_private(self) -> bool:
        """Whether `check` passes."""
        try:
            self.check()
        except OSError:
            return False
        return True

    def exists(self) -> bool:
        """Whether there is a directory that passes."""
        try:
            self._hold()
        except OSError:
            return False
        return True

    def read(self, relative: str, max_bytes: int) -> bytes:
        """The bytes of a regular file; raises like `read_file`."""
        return self.read_file(relative, max_bytes)[0]

    def read_file(self, relative: str, max_bytes: int) -> tuple[bytes, os.stat_result]:
        """The bytes of a regular file, and its status.

        Raises:
            Refused: the directory is not private.
            Foreign: others could have written the file, or may write to a directory below this one that it is in.
            OSError: it is missing, unreadable, a link, no regular file, or larger than `max_bytes`.
        """
        held = self._hold()
        try:
            held.check_below(relative.rpartition("/")[0])
            descriptor = os.open(relative, _READ, dir_fd=held.descriptor)
        except OSError:
            if held.is_open():
                raise
            return self.read_file(relative, max_bytes)  # the descriptor was not ours any more: it is opened anew
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, f"{relative} is not a regular file")
            if status.st_mode & 0o022 or status.st_uid not in held.owners:
                check_member(relative, status, held.owners)
            if status.st_size > max_bytes:
                raise OSError(errno.EFBIG, f"{relative} has {status.st_size} bytes, more than {max_bytes}")
            data = os.read(descriptor, status.st_size)
            return data if len(data) == status.st_size else read_on(descriptor, data, status.st_size), status
        finally:
            os.close(descriptor)

    def write(self, relative: str, *pieces: bytes, durable: bool) -> None:
        """Write a file as a whole, its pieces one behind the other.

        A temporary file, fsync if `durable`, rename, fsync of the directory.

        Raises:
            OSError: it could not be written; nothing is left behind.
        """
        self.make("incoming")
        held = self._make(os.path.dirname(relative))
        temporary = f"incoming/{os.uname().nodename}.{os.getpid()}.{atomic.unguessable()}"
        atomic.replace_file(relative, *pieces, temporary=temporary, durable=durable, root=held.descriptor)

    def make(self, relative: str) -> str:
        """Make a directory below this one (and this one), private, and give its path.

        One of ours that others may write to is made private again: what they have put there is not read all the same.

        Raises:
            OSError: it cannot be made.
        """
        self._make(relative)
        return f"{self.path}/{relative}" if relative else self.path

    def open_own(self, relative: str) -> int:
        """Open a file of ours to be read and changed in place, made if need be, and give the descriptor.

        What is there and is not a private file of this user's with one name is removed first.

        Raises:
            OSError: it cannot be opened, or what is there cannot be removed.
        """
        held = self._make(os.path.dirname(relative))
        for attempt in (1, 2):
            try:
                descriptor = os.open(relative, _UPDATE, 0o600, dir_fd=held.descriptor)
            except OSError as error:
                if attempt == 2 or not is_in_the_way(relative, held.descriptor, error):
                    raise
            else:
                private = False
                try:
                    if private := make_private(descriptor):
                        return descriptor
                finally:
                    if not private:
                        os.close(descriptor)
            os.unlink(relative, dir_fd=held.descriptor)
        raise OSError(errno.EEXIST, f"{self.path}/{relative} is not a file of ours: remove it")

    def files(self, relative: str) -> Iterator[tuple[str, os.stat_result]]:
        """(path below this directory, status) of what lies two levels below a directory of shards."""
        for shard, status in self.scan(relative):
            if stat.S_ISDIR(status.st_mode):
                for name, found in self.scan(f"{relative}/{shard}"):
                    yield f"{relative}/{shard}/{name}", found

    def status(self, relative: str) -> os.stat_result:
        """The status of what is at a path; a link is not followed.

        Raises:
            OSError: there is nothing, or it cannot be asked.
        """
        return os.stat(relative, dir_fd=self._hold().descriptor, follow_symlinks=False)

    def names(self, relative: str) -> list[str]:
        """The names of what is in one directory, in no order; nothing where `scan` gives nothing."""
        return self._list(relative, os.listdir)

    def scan(self, relative: str) -> list[tuple[str, os.stat_result]]:
        """(name, status) of what is in one directory, by name; nothing where it does not exist or is not ours.

        What cannot be listed is said once: its entries count towards no bound and show in no listing.
        """
        return self._list(relative, list_directory)

    def _list(self, relative: str, listed: Callable[[int], list[Found]]) -> list[Found]:
        try:
            held = self._hold_open()
            held.check_below(relative)
            descriptor = os.open(relative, LIST, dir_fd=held.descriptor)
            try:
                return listed(descriptor)
            finally:
                os.close(descriptor)
        except Refused as error:
            self.say_refused(error)
            return []
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                log.warn_once(
                    ("unlisted", self.path),
                    f"{self.path}/{relative} cannot be listed ({error.strerror}), so what is in it is neither shown "
                    f"nor counted: chmod u+rx it, or set JITLOAD_CACHE_DIR",
                )
            return []

    def remove(self, relative: str) -> bool:
        """Remove a file; False when it was not there or could not be removed."""
        if self.read_only:
            return False
        try:
            held = self._hold_open()
            held.check_below(os.path.dirname(relative))
            os.unlink(relative, dir_fd=held.descriptor)
        except OSError:
            return False
        return True

    def move(self, relative: str, into: str, name: str) -> str:
        """Move what is at a path into a directory below this one, which is made, and give its path there.

        Raises:
            OSError: it cannot be moved.
        """
        held = self._make(into)
        held.check_below(os.path.dirname(relative))  # a link would lead to what is not ours to move
        os.rename(relative, f"{into}/{name}", src_dir_fd=held.descriptor, dst_dir_fd=held.descriptor)
        return f"{self.path}/{into}/{name}"

    def touch(self, relative: str) -> None:
        """Set the times of a file to now.

        Raises:
            OSError: they cannot be set.
        """
        os.utime(relative, dir_fd=self._hold_open().descriptor, follow_symlinks=False)

    def remove_tree(self, relative: str) -> None:
        """Remove a directory with everything in it, as far as that can be done; links in it are not followed."""
        if not self.read_only and self.is_private():
            shutil.rmtree(f"{self.path}/{relative}", ignore_errors=True)

    def _hold(self) -> Held:
        """The directory that the path leads to now, held open.

        Raises:
            Refused: it is not private.
            OSError: it is missing, or cannot be opened.
        """
        status = os.stat(self.path)
        held = self._held
        if held is not None and held.descriptor >= 0 and held.state == (status[:3], status[4], geteuid()):
            return held
        return self._hold_again()

    def _hold_open(self) -> Held:
        """Like `_hold`, with a descriptor that is certain to be ours: before anything is changed."""
        held = self._hold()
        return held if held.is_open() else self._hold_again()

    def _hold_again(self) -> Held:
        self._held = None
        check_parents(self.path)
        held = Held(self.path, read_only=self.read_only)
        self._held = held
        return held

    def _make(self, relative: str) -> Held:
        """Hold the directory, made if need be, with one below it.

        Raises:
            OSError: it cannot be made, or must not be.
        """
        if self.read_only:
            raise OSError(errno.EROFS, f"{self.path} is used read-only")
        try:
            held = self._hold_open()
        except FileNotFoundError:
            check_parents(self.path)
            make_directories(self.path)
            held = self._hold_open()
        held.make_below(relative)
        return held
