"""Locks between processes: the kernel's own (flock), so that one whose holder is killed is free.

The file is opened by the caller, with the rules for opening files. A lock guards work, never correctness: one that
cannot be taken or given back costs no more than work done twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress

from jitload import forks

#: How often a lock is tried while another process has it.
POLL_SECONDS = 0.01
#: What the system says where somebody else has the lock; some network file systems say the last.
_HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
_MAX_NOTE_BYTES = 512


class FileLock:
    """An exclusive lock on an open file or directory. A child that is forked while it is held does not have it.

    Args:
        descriptor: of the file; it is this object's from now on, and closed by `release`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        forks.after_fork(self._close)

    def acquire(self, wait_seconds: float) -> bool:
        """Take the lock; False when others still have it when the wait is over.

        Raises:
            OSError: there are no locks here (a file system without them), or none to be had now.
        """
        end = time.monotonic() + wait_seconds
        while not self._try():
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise
            return False
        return True

    def is_removed(self) -> bool:
        """Whether the file has lost its name: whoever comes now locks another one."""
        try:
            return os.fstat(self._descriptor).st_nlink == 0
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock back, if it is held, and close the file. What the system says against it changes nothing."""
        if self._descriptor >= 0:
            with suppress(OSError):
                # Closing alone would leave it to a process that was forked meanwhile and has the file open too.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def write_holder(self) -> None:
        """Note in the file who holds the lock, for those who wait; a file that cannot be written says nothing."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {os.uname().nodename}\n".encode(), 0)

    def read_holder(self) -> str:
        """Who holds the lock, in words: as the holder wrote it, or "somebody".

        A holder that has ended, and whose successor could not write, is not named.
        """
        note = b""
        with suppress(OSError):
            note = os.pread(self._descriptor, _MAX_NOTE_BYTES, 0)
        pid, _, host = note.decode("utf-8", "replace").strip().partition(" ")
        if not (pid.isascii() and pid.isdecimal() and host and host.isprintable()):
            return "somebody"
        if host != os.uname().nodename:
            return f"pid {pid} on {host} (as it wrote)"
        if int(pid) == os.getpid():
            return "another thread of this process, for another kernel,"
        return f"pid {pid} (as it wrote)" if _is_alive(int(pid)) else "somebody"

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def _is_alive(pid: int) -> bool:
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError as error:
        return error.errno == errno.EPERM
    return True
