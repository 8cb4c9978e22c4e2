"""The lock between processes: free when its holder is killed, told to those who wait, harmless where it fails."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time

import pytest

from jitload.files.lock import FileLock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def opened(path: str) -> FileLock:
    return FileLock(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def test_one_has_it_at_a_time(path):
    first, second = opened(path), opened(path)
    assert first.acquire(0)
    assert not second.acquire(0.05)
    first.release()
    assert second.acquire(0)
    second.release()
    first.release()  # a second time is fine


def test_a_directory_can_be_locked(tmp_path):
    first, second = (FileLock(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)) for _ in range(2))
    assert first.acquire(0)
    assert not second.acquire(0)
    first.release()
    second.release()


HOLDER = """
import os, sys, time
from jitload.files.lock import FileLock
lock = FileLock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600))
assert lock.acquire(0)
lock.write_holder()
print("held", flush=True)
time.sleep(600)
"""


def test_the_holder_is_named_and_a_dead_one_is_not(path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    lock = opened(path)
    assert not lock.acquire(0)
    assert lock.read_holder() == f"pid {holder.pid} (as it wrote)"
    holder.kill()
    holder.communicate()
    assert lock.read_holder() == "somebody"
    assert lock.acquire(5)
    lock.release()


@pytest.mark.parametrize(
    "note",
    [b"", b"\n", b"17", b"x y\n", b"-1 {host}\n", b"0 {host}\n", b"1\xb2 {host}", b"9" * 400 + b" {host}", b"7 a\x1bb"],
)
def test_a_note_that_makes_no_sense_names_nobody(path, note):
    with open(path, "wb") as file:
        file.write(note.replace(b"{host}", os.uname().nodename.encode()))
    lock = opened(path)
    assert lock.read_holder() == "somebody"
    lock.release()


def test_a_holder_on_another_host_is_named_with_it(path):
    with open(path, "w") as file:
        file.write("17 elsewhere\n")
    lock = opened(path)
    assert lock.read_holder() == "pid 17 on elsewhere (as it wrote)"
    lock.release()


def test_a_long_note_of_somebody_else_is_replaced(path):
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    lock = opened(path)
    assert lock.acquire(0)
    lock.write_holder()
    lock.release()
    with open(path) as file:
        assert file.read() == f"{os.getpid()} {os.uname().nodename}\n"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOLCK])
def test_a_lock_that_cannot_be_given_back_is_free_all_the_same(path, monkeypatch, number):
    right = fcntl.flock

    def flock(descriptor, operation):
        if operation == fcntl.LOCK_UN:
            raise OSError(number, os.strerror(number))
        right(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    before = len(os.listdir("/proc/self/fd"))
    lock = opened(path)
    assert lock.acquire(0)
    lock.release()
    assert len(os.listdir("/proc/self/fd")) == before
    again = opened(path)
    assert again.acquire(0)
    again.release()


def test_an_interrupted_wait_leaves_nothing_open(path):
    first, second = opened(path), opened(path)
    assert first.acquire(0)
    before = len(os.listdir("/proc/self/fd"))
    del second
    assert len(os.listdir("/proc/self/fd")) == before - 1
    first.release()


CHILD_HOLDS = """
import os, sys, time
from jitload.files.lock import FileLock
def opened(): return FileLock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600))
lock = opened()
assert lock.acquire(0)
child = os.fork()
if child == 0:
    time.sleep(600)
    os._exit(0)
lock.release()
other = opened()
assert other.acquire(0), "the child has it"
child_of_free = os.fork()
if child_of_free == 0:
    os._exit(0 if not opened().acquire(0) else 1)  # the parent's, still
assert os.waitstatus_to_exitcode(os.waitpid(child_of_free, 0)[1]) == 0
os.kill(child, 9)
"""


def test_a_child_neither_has_nor_frees_the_lock_that_its_parent_holds(path):
    subprocess.run([sys.executable, "-c", CHILD_HOLDS, path], check=True, timeout=60)


def test_a_removed_file_is_noticed(path):
    lock = opened(path)
    assert not lock.is_removed()
    os.unlink(path)
    assert lock.is_removed()
    lock.release()


def test_waiting_takes_the_time_that_is_said(path):
    first, second = opened(path), opened(path)
    assert first.acquire(0)
    started = time.monotonic()
    assert not second.acquire(0.3)
    assert 0.3 <= time.monotonic() - started < 5
    first.release()
    second.release()


def test_a_lock_that_is_given_back_is_free_even_where_the_file_stays_open_elsewhere(path):
    """In a process that was started meanwhile by other means than Python's."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    lock = FileLock(descriptor)
    assert lock.acquire(0)
    elsewhere = os.dup(descriptor)
    lock.release()
    other = opened(path)
    assert other.acquire(0)
    other.release()
    os.close(elsewhere)


ORPHAN = """
import os, sys, time
from jitload.files.lock import FileLock
lock = FileLock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600))
assert lock.acquire(0)
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(600)
    os._exit(0)
print(child, flush=True)
os._exit(0)
"""


def test_the_children_of_a_holder_that_died_do_not_have_its_lock(path):
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN, path], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    child = int(done.stdout)
    lock = opened(path)
    try:
        assert lock.acquire(5)
    finally:
        os.kill(child, 9)
    lock.release()


def test_a_holder_in_this_process_is_not_called_another_one(path):
    """Two kernels whose keys begin alike share a lock file."""
    first, second = opened(path), opened(path)
    assert first.acquire(0)
    first.write_holder()
    assert not second.acquire(0)
    assert second.read_holder() == "another thread of this process, for another kernel,"
    first.release()
    second.release()
