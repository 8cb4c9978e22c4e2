"""Single flight: one at a time per key over threads and processes, and nobody waits for the dead."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

from jitload.cache.directory import Directory
from jitload.cache.flight import _threads, single_flight

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
    assert _threads == {}


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
from jitload.cache.directory import Directory
from jitload.cache.flight import single_flight
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


def test_no_place_for_a_lock_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    directory = Directory(str(tmp_path / "file"))
    for _ in range(2):
        with single_flight(DIGEST, directory):
            pass
    assert len(caplog.records) == 1


FORK = """
import os
from jitload.cache.flight import single_flight
with single_flight("ab" * 32, None):
    child = os.fork()
    if child == 0:
        with single_flight("ab" * 32, None, wait_seconds=5):
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_fork_in_the_middle_of_a_flight_does_not_block_the_child():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=4)
