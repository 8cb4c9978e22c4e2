"""Single flight: one at a time per key over threads and processes, and nobody waits for the dead."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from jitload.files.directory import Directory
from jitload.files.lock import FileLock
from jitload.tiers import flight
from jitload.tiers.flight import single_flight, turns

DIGEST = "ab" * 32


def test_threads_take_turns(tmp_path):
    directory = Directory(str(tmp_path / "cache"))
    inside, most = [0], [0]

    def work():
        with single_flight(DIGEST, directory):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert len(turns) == 0


def test_other_keys_do_not_wait(tmp_path):
    directory = Directory(str(tmp_path / "cache"))
    with single_flight(DIGEST, directory):
        done = threading.Event()

        def other():
            with single_flight("cd" * 32, directory):
                done.set()

        threading.Thread(target=other).start()
        assert done.wait(10)


HOLDER = """
import sys, time
from jitload.files.directory import Directory
from jitload.tiers.flight import single_flight
with single_flight(sys.argv[2], Directory(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def start_holder(path: str) -> subprocess.Popen:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path, DIGEST], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_killed_holder_frees_the_lock(tmp_path):
    path = str(tmp_path / "cache")
    holder = start_holder(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    started = time.monotonic()
    with single_flight(DIGEST, Directory(path), wait_seconds=30):
        pass
    assert time.monotonic() - started < 5


def test_a_holder_that_hangs_is_waited_for_and_then_ignored(tmp_path, caplog):
    path = str(tmp_path / "cache")
    holder = start_holder(path)
    try:
        with single_flight(DIGEST, Directory(path), wait_seconds=0.2):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert "another process has been compiling abababababab for 0.2 s: compiling it as well" in caplog.text


def test_who_waits_for_a_process_says_once_for_which_and_for_what(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(flight, "SAY_SECONDS", 0.1)
    path = str(tmp_path / "cache")
    holder = start_holder(path)
    try:
        with single_flight(DIGEST, Directory(path), wait_seconds=0.5, what="k.cu (ptx, compute_75)"):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    held = f"pid {holder.pid} (as it wrote) holds {path}/locks/aba"
    assert [record.getMessage() for record in caplog.records] == [
        f"waiting for another process to compile k.cu (ptx, compute_75): {held}",
        f"another process has been compiling k.cu (ptx, compute_75) for 0.5 s: compiling it as well ({held})",
    ]


def test_who_waits_for_a_thread_says_once_for_which_and_for_what(caplog, monkeypatch):
    monkeypatch.setattr(flight, "SAY_SECONDS", 0.1)
    inside, done = threading.Event(), threading.Event()

    def hold():
        with single_flight(DIGEST, None):
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=hold, name="the holder")
    thread.start()
    inside.wait(60)
    with single_flight(DIGEST, None, wait_seconds=0.3, what="k.cu"):
        pass
    done.set()
    thread.join()
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for another thread of this process to compile k.cu: the holder",
        "another thread has been compiling k.cu for 0.3 s: compiling it as well",
    ]


def test_a_short_wait_is_not_said(tmp_path, caplog):
    directory = Directory(str(tmp_path / "cache"))
    with single_flight(DIGEST, directory):
        thread = threading.Thread(target=lambda: single_flight(DIGEST, directory, wait_seconds=5).__enter__())
        thread.start()
    thread.join()
    assert caplog.records == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOLCK, errno.ENOSYS])
@pytest.mark.parametrize("operation", [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN], ids=["taken", "given back"])
def test_a_lock_that_cannot_be_taken_or_given_back_costs_one_warning_at_most(
    tmp_path, caplog, monkeypatch, number, operation
):
    """Nothing is raised, nothing stays open, and the next one does not wait for it."""
    right = fcntl.flock

    def flock(descriptor, wanted):
        if wanted == operation:
            raise OSError(number, os.strerror(number))
        right(descriptor, wanted)

    directory = Directory(str(tmp_path / "cache"))
    directory.make("locks")
    gc.collect()  # caches of other tests have directories open
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with single_flight(DIGEST, directory, wait_seconds=5):
            pass
    monkeypatch.undo()
    started = time.monotonic()
    with single_flight(DIGEST, directory, wait_seconds=20):
        pass
    assert time.monotonic() - started < 5
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(caplog.records) == (1 if operation != fcntl.LOCK_UN else 0)


def test_an_interrupted_wait_leaves_nothing_behind(tmp_path):
    """Ctrl-C while another process compiles."""
    directory = Directory(str(tmp_path / "cache"))
    holder = start_holder(directory.path)
    directory.make("locks")
    before = len(os.listdir("/proc/self/fd"))

    def interrupt(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt), single_flight(DIGEST, directory):
            pass
    finally:
        signal.signal(signal.SIGALRM, previous)
        holder.kill()
        holder.communicate()
    assert len(turns) == 0
    assert len(os.listdir("/proc/self/fd")) == before - 1  # the holder's pipe
    with single_flight(DIGEST, directory, wait_seconds=5):
        pass


def test_a_fault_within_the_flight_gives_the_lock_back(tmp_path):
    directory = Directory(str(tmp_path / "cache"))
    with pytest.raises(KeyError), single_flight(DIGEST, directory):
        raise KeyError
    with single_flight(DIGEST, Directory(directory.path), wait_seconds=0):
        pass


@pytest.mark.parametrize("gone", ["file", "locks", "everything"])
def test_lock_files_removed_meanwhile_are_made_again_and_private(tmp_path, caplog, gone):
    """A cleaner removes them under a running process whose umask is open to all."""
    before = os.umask(0)
    try:
        directory = Directory(str(tmp_path / "cache"))
        for _ in range(2):
            with single_flight(DIGEST, directory):
                if gone == "file":
                    os.unlink(f"{directory.path}/locks/aba")
                else:
                    shutil.rmtree(f"{directory.path}/locks" if gone == "locks" else directory.path)
        with single_flight(DIGEST, directory):
            modes = [stat.S_IMODE(os.stat(f"{directory.path}/{name}").st_mode) for name in ("", "locks", "locks/aba")]
    finally:
        os.umask(before)
    assert modes == [0o700, 0o700, 0o600]
    assert caplog.records == []


def test_a_lock_file_that_is_removed_while_it_is_waited_for_does_not_let_two_in(tmp_path):
    """Whoever got the old file opens the new one, which the third has."""
    directory = Directory(str(tmp_path / "cache"))
    inside, most = [0], [0]

    def work():
        with single_flight(DIGEST, directory):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.2)
            inside[0] -= 1

    first = FileLock(directory.open_own("locks/aba"))
    assert first.acquire(0)
    waiting = threading.Thread(target=work)
    waiting.start()
    time.sleep(0.2)
    os.unlink(f"{directory.path}/locks/aba")
    others = FileLock(directory.open_own("locks/aba"))
    assert others.acquire(0)
    first.release()
    time.sleep(0.1)
    assert inside == [0]
    others.release()
    waiting.join(60)
    assert most == [1]


def test_no_place_for_a_lock_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    directory = Directory(str(tmp_path / "file"))
    for _ in range(2):
        with single_flight(DIGEST, directory):
            pass
    assert len(caplog.records) == 1


FORK = """
import os
from jitload.tiers.flight import single_flight
with single_flight("ab" * 32, None):
    child = os.fork()
    if child == 0:
        with single_flight("ab" * 32, None, wait_seconds=5):
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_fork_in_the_middle_of_a_flight_does_not_block_the_child():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=4)
