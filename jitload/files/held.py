"""A private directory that is held open, so that what is below it stays what it was found to be."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from time import monotonic

from jitload.files.ownership import Foreign, check_directory, check_member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A directory that may be searched but not listed can be held all the same, where the system knows how.
_HOLD = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
#: For so long a directory below is taken to be as it was when it was last looked at.
LOOK_AGAIN_SECONDS = 1.0


class Held:
    """A directory that was found private, open for as long as this object lives.

    Args:
        path: of the directory.
        read_only: it may belong to anybody.

    Attributes:
        descriptor: of the directory.
        owners: the users whom what is below it may belong to.
        state: what tells it from another one, and from itself with other rights, in the eyes of the user at work: mode,
            inode and device, then its owner, then that user.

    Raises:
        Refused: it is not private.
        OSError: it is missing, or cannot be opened.
    """

    def __init__(self, path: str, *, read_only: bool) -> None:
        self.descriptor = -1
        # Asked twice: of what is no directory this says more than the open does.
        check_directory(path, os.stat(path), read_only=read_only)
        descriptor = os.open(path, _HOLD)
        try:
            status = os.fstat(descriptor)
            check_directory(path, status, read_only=read_only)
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor = descriptor
        self.owners = frozenset({os.geteuid(), 0, status.st_uid})
        self.state = (status[:3], status[4], os.geteuid())
        self._looked: dict[str, float] = {}  # directory below -> when it was found to be private

    def is_open(self) -> bool:
        """Whether the descriptor is still ours: who makes a daemon closes what they do not know. If not, let it go."""
        try:
            if os.fstat(self.descriptor)[1:3] == self.state[0][1:]:
                return True
        except OSError as error:
            if error.errno != errno.EBADF:  # ours, and of no use any more
                with suppress(OSError):
                    os.close(self.descriptor)
        self.descriptor = -1
        return False

    def check_below(self, relative: str) -> None:
        """Refuse what is no directory, or one that others may write to, on the way from here to `relative`.

        Raises:
            Foreign: others own it, or may write to it.
            OSError: it is missing, or no directory.
        """
        now = monotonic()
        if now - self._looked.get(relative, -LOOK_AGAIN_SECONDS) >= LOOK_AGAIN_SECONDS:
            for name in _steps(relative):
                self._check_one(name)
            self._looked[relative] = now

    def make_below(self, relative: str) -> None:
        """Make the directories on the way to `relative`, and private those of ours that are not.

        Raises:
            OSError: one cannot be made, or something else is in its place.
        """
        for name in _steps(relative):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.descriptor)
            try:
                self._check_one(name)
            except Foreign:
                self._make_private(name)
                self._check_one(name)

    def _check_one(self, name: str) -> None:
        status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ELOOP, f"{name} is not a directory of ours: remove it")
        check_member(name, status, self.owners)

    def _make_private(self, name: str) -> None:
        descriptor = os.open(name, LIST, dir_fd=self.descriptor)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)

    def __del__(
        self, fstat: Callable[[int], os.stat_result] = os.fstat, close: Callable[[int], None] = os.close
    ) -> None:
        # With functions of its own: what modules hold is gone where the interpreter ends first.
        try:
            if self.descriptor >= 0 and fstat(self.descriptor)[1:3] == self.state[0][1:]:
                close(self.descriptor)
        except (OSError, AttributeError):  # not ours any more, or it was never opened
            pass


def make_directories(path: str) -> None:
    """Make a directory and what is missing above it, private whatever the umask is.

    Raises:
        OSError: one cannot be made.
    """
    missing = [path]
    while not os.path.isdir(parent := os.path.dirname(missing[-1])) and parent != missing[-1]:
        missing.append(parent)
    for name in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(name, 0o700)


def list_directory(descriptor: int) -> list[tuple[str, os.stat_result]]:
    """(name, status) of what is in an open directory, by name; links are not followed."""
    found = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            with suppress(OSError):  # gone meanwhile
                found.append((entry.name, entry.stat(follow_symlinks=False)))
    return sorted(found)


def _steps(relative: str) -> Iterator[str]:
    """The directories on the way to one below: "a", "a/b", "a/b/c"."""
    end = 0
    while relative and end >= 0:
        end = relative.find("/", end + 1)
        yield relative if end < 0 else relative[:end]
