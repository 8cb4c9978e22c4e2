"""Who else could write to a file, or put another one in its place: rights and owners, as `stat` gives them.

Access control lists are not read: where a directory has one, its group's rights show the most that it allows.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import grp
    import pwd
    from collections.abc import Iterator
else:
    grp = lazy("grp")
    pwd = lazy("pwd")

#: As many links as the kernel follows in one path (path_resolution(7)).
_MAX_LINKS = 40


class Refused(OSError):  # noqa: N818 - a state of a directory
    """The directory is not private to this user; the text says why and what to do."""


class Foreign(OSError):  # noqa: N818 - a state of a file
    """A file below a private directory that others own or may write to; the text says which."""


def check_directory(path: str, status: os.stat_result, *, read_only: bool) -> None:
    """Refuse a directory that others could have filled.

    Args:
        path: the directory, for the text.
        status: of it.
        read_only: it may belong to anybody, since somebody chose it by name.

    Raises:
        Refused: it is none, it belongs to somebody else, or others may write to it.
    """
    if not stat.S_ISDIR(status.st_mode):
        raise Refused(errno.ENOTDIR, f"{path} is not a directory: move it away, or set JITLOAD_CACHE_DIR")
    if status.st_uid != os.geteuid() and not read_only:
        raise Refused(
            errno.EPERM,
            f"{path} belongs to user {status.st_uid}, not to you ({os.geteuid()}), and a kernel from it would "
            f"run with your rights: set JITLOAD_CACHE_DIR to a directory of your own",
        )
    if status.st_mode & 0o022:
        raise Refused(
            errno.EPERM,
            f"{path} can be written by other users (mode {stat.S_IMODE(status.st_mode):04o}), and a kernel "
            f"from it would run with your rights: chmod go-w {path}, or set JITLOAD_CACHE_DIR",
        )


def check_parents(path: str) -> None:
    """Refuse a directory that other users could replace: they may write to a directory that it, or a link to it, is in.

    A sticky bit stops them (/tmp), and so does a group that has this user alone (a home of mode 0775 where every user
    has a group of their own). The owner of a directory above is not asked about: what they put in our place is theirs,
    and refused for that.

    Raises:
        Refused: they could; the text names the directory.
    """
    for parent in _directories_of(path):
        try:
            status = os.stat(parent)
        except OSError:
            continue  # what cannot be looked at is for the opening of the path itself to fail at
        if status.st_mode & stat.S_ISVTX or not _others_write(status):
            continue
        raise Refused(
            errno.EPERM,
            f"{parent} can be written by other users (mode {stat.S_IMODE(status.st_mode):04o}, no sticky bit), who "
            f"could put a directory of theirs in the place of {path}: chmod go-w {parent}, or set JITLOAD_CACHE_DIR",
        )


def check_member(name: str, status: os.stat_result, owners: frozenset[int]) -> None:
    """Refuse a file or directory below a private directory that others have written, or may write.

    Args:
        name: of it, for the text.
        status: of it.
        owners: the users that it may belong to.

    Raises:
        Foreign: another user owns it, or may write to it.
    """
    if status.st_uid not in owners:
        raise Foreign(errno.EPERM, f"{name} belongs to user {status.st_uid}")
    if status.st_mode & 0o022:
        raise Foreign(errno.EPERM, f"{name} can be written by other users (mode {stat.S_IMODE(status.st_mode):04o})")


def make_private(descriptor: int) -> bool:
    """Make a file private; False when it is no file of ours, or has another name too."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        return False
    if stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)
    return True


def is_in_the_way(name: str, root: int, error: OSError) -> bool:
    """Whether what could not be opened is in the way of a file of ours: a link or a pipe, or a file without rights."""
    try:
        mode = os.stat(name, dir_fd=root, follow_symlinks=False).st_mode
    except OSError:
        return False
    return not stat.S_ISDIR(mode) and (not stat.S_ISREG(mode) or error.errno == errno.EACCES)


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not is_own_group(status.st_gid)


def is_own_group(group: int) -> bool:
    """Whether a group is this user's private one: it is their primary group, bears their name, and lists nobody else.

    A primary group that many share ("users") is not.
    """
    user = os.geteuid()
    try:
        account, entry = pwd.getpwuid(user), grp.getgrgid(group)
    except (ImportError, KeyError):  # a user of a container who is in no table
        return group == user == os.getegid()
    named = entry.gr_name == account.pw_name or group == user
    return group == account.pw_gid and named and set(entry.gr_mem) <= {account.pw_name}


def _directories_of(path: str) -> Iterator[str]:
    """The directories that hold a name on the way to an absolute path, links followed."""
    left, seen = [path], set()
    for _ in range(_MAX_LINKS):
        if not left:
            return
        name = left.pop()
        while (parent := os.path.dirname(name)) != name:
            if parent not in seen:
                seen.add(parent)
                yield parent
            with suppress(OSError):  # it is no link
                left.append(os.path.join(parent, os.readlink(name)))
            name = parent
