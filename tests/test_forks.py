"""Forks beside work in other threads: no child hangs, and what it finds makes sense."""

from __future__ import annotations

import dis
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest

import jitload
from jitload import forks
from jitload.cpu.memory.arena import ARENA_WINDOW, Arena
from jitload.forks import Calls
from jitload.tiers.memory import MemoryStore

PACKAGE = pathlib.Path(jitload.__file__).parent
FORK_WORK = pathlib.Path(__file__).parent / "fork_work.py"


def python(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "JITLOAD_DEVICE": "cpu", **environment}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)


CALLS = """
import os, sys
from jitload import forks

calls = []
class Owner:
    def reset(self): calls.append("method")
kept, dropped = Owner(), Owner()
def fail(): raise ValueError("a reset that fails")
forks.after_fork(lambda: calls.append("function"))
forks.after_fork(kept.reset)
forks.after_fork(dropped.reset)
forks.after_fork(fail)
forks.after_fork(lambda: calls.append("last"))
del dropped
child = os.fork()
if child == 0:
    os._exit(0 if calls == ["function", "method", "last"] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert calls == []
"""


def test_resets_are_called_in_order_in_the_child_and_one_that_fails_stops_none():
    done = python("-c", CALLS)
    assert done.returncode == 0, done.stderr
    assert "a reset that fails" in done.stderr


def test_whoever_makes_a_lock_says_what_becomes_of_it_in_a_child():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        makes = re.search(r"\b(R?Lock|allocate_lock|Condition|Semaphore)\(\)", text)
        assert not makes or "forks.after_fork(" in text, f"{path}: take a forks.ProcessLock"


def test_an_object_is_not_kept_for_the_sake_of_its_lock():
    before = len(forks.resets)
    store = MemoryStore()
    assert len(forks.resets) == before + 1
    del store
    assert len(forks.resets) == before


def lines_of(function):
    """The numbers of the lines of a function that run."""
    starts = {line for _, line in dis.findlinestarts(function.__code__)}
    return sorted(starts - {function.__code__.co_firstlineno, None})  # Python 3.13 tells of code without a line too


def torn_at(function, line, work, check):
    """Whether `check()` passes in a child of this process that begins while another thread, which does `work()`, is
    about to run a line of a function. Without a fork, where the thread never comes there: None.
    """
    there, go_on = threading.Event(), threading.Event()

    def at_line(frame, event, _):
        if event == "line" and frame.f_lineno == line and not there.is_set():
            there.set()
            go_on.wait(60)
        return at_line

    def run():
        sys.settrace(lambda frame, *_: at_line if frame.f_code is function.__code__ else None)
        work()

    thread = threading.Thread(target=run)
    thread.start()
    while not there.wait(0.01):
        if not thread.is_alive():
            return None
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # rather than wait for a lock for ever
        passed = False
        try:
            check()
            passed = True
        finally:
            os._exit(0 if passed else 1)
    status = os.waitpid(child, 0)[1]
    go_on.set()
    thread.join()
    return status == 0


def test_a_memory_tier_that_was_torn_counts_its_bytes_again(artifact_of):
    """Wherever another thread was in `put`: what was there is there, and as much fits in as without the fork."""
    passed = []
    for line in lines_of(MemoryStore.put):
        store = MemoryStore(max_bytes=sum(len(artifact_of(number).data) for number in (1, 2, 3)))
        store.put(artifact_of(1))

        def check(store=store):
            for number in (2, 3):
                store.put(artifact_of(number))
            assert [store.read(artifact_of(number).key)[1] for number in (1, 2, 3)] == ["hit"] * 3

        passed.append(torn_at(MemoryStore.put, line, lambda store=store: store.put(artifact_of(2)), check))
    assert passed.count(True) > 5
    assert False not in passed


@pytest.fixture
def artifact_of():
    from .tiers.conftest import make_artifact

    return make_artifact


@pytest.mark.parametrize("step", [Arena.allocate, Arena.free], ids=["allocate", "free"])
def test_an_arena_that_was_torn_finds_what_lives(step):
    """What a thread had in hand is lost; everything else is found, and can be freed and allocated."""
    passed = []
    for line in lines_of(step):
        arena = Arena()
        first, second = arena.allocate(100, "first"), arena.allocate(100, "second")

        def check(arena=arena, second=second):
            arena.write(second, memoryview(b"data"))
            bounds = arena.bounds()
            sizes = (bounds.ends - bounds.starts).tolist()
            assert sizes in ([100], [100, 100], [100, 100, 200])
            third = arena.allocate(300, "third")
            assert arena.find(third - ARENA_WINDOW).nbytes == 300
            for address in (second, third):
                arena.free(address)
            assert len(arena.bounds().starts) == len(sizes) - 1

        work = {Arena.allocate: lambda arena=arena: arena.allocate(200, "torn")}.get(
            step, lambda arena=arena, first=first: arena.free(first)
        )
        passed.append(torn_at(step, line, work, check))
    assert passed.count(True) > 5
    assert False not in passed


def test_calls_of_other_threads_are_seen_and_own_ones_are_not():
    calls = Calls()
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with calls:
            entered.set()
            leave.wait(60)

    with calls, calls:
        assert not calls.others_inside()
    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(60)
    assert calls.others_inside()
    leave.set()
    thread.join()
    assert not calls.others_inside()


TORN = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
import jitload
from jitload.compiler import nvrtc
SOURCE = 'extern "C" __global__ void k(int *x) {{ x[0] = {}; }}'
jitload.compile(SOURCE.format(1), arch="compute_75", cache=jitload.Cache())
entered, leave = threading.Event(), threading.Event()
def stay():
    with nvrtc.calls:
        entered.set()
        leave.wait()
threading.Thread(target=stay).start()
entered.wait()
child = os.fork()
if child == 0:
    assert nvrtc.calls.torn
    sys.executable = None if sys.argv[1] == "no interpreter" else sys.executable
    try:
        assert b"mov" in jitload.compile(SOURCE.format(2), arch="compute_75", cache=jitload.Cache()).data
        print("compiled", "cuda.bindings.nvrtc" in sys.modules, flush=True)
        jitload.compile("broken", arch="compute_75", cache=jitload.Cache())
    except jitload.CompileError as error:
        print("refused:", error, flush=True)
    try:
        nvrtc.supported_archs()
    except jitload.CompileError as error:
        print("refused:", error, flush=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert not nvrtc.calls.torn
leave.set()
"""


def test_a_child_that_was_forked_while_nvrtc_was_at_work_compiles_in_a_process_of_its_own():
    done = python("-c", TORN, "an interpreter")
    assert done.returncode == 0, done.stderr
    compiled, broken, asked = re.split(r"\n(?=refused:)", done.stdout.strip())
    assert compiled == "compiled True"
    assert "does not compile for compute_75" in broken
    assert "forked while another thread of its parent was at work with NVRTC" in asked


def test_where_it_cannot_it_says_so():
    done = python("-c", TORN, "no interpreter")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: no process can be started for the compiler")


WORK = (
    ("long_launch", "launch"),
    ("compile_other", "launch"),
    ("compile_other", "compile_other"),
    ("compile_same", "compile_same"),
    ("memory_hit", "memory_hit"),
    ("disk_hit", "disk_hit"),
    ("fetch", "fetch"),
    ("decorated", "decorated"),
    ("index", "index"),
)


def fork_beside(busy: str, work: str, count: int, directory: pathlib.Path) -> None:
    done = python(FORK_WORK, busy, work, count, directory / "cache")
    assert done.stdout.split() == [str(count), "False"], done.stderr


@pytest.mark.parametrize(("busy", "work"), WORK)
def test_no_child_hangs_beside_work_of_another_thread(tmp_path, busy, work):
    fork_beside(busy, work, 4 if busy == work == "compile_other" else 8, tmp_path)


@pytest.mark.slow(keep=0)
@pytest.mark.timeout(1600)
@pytest.mark.parametrize(("busy", "work"), WORK)
def test_none_of_100_children_hangs(tmp_path, busy, work):
    fork_beside(busy, work, 100, tmp_path)


COLD = """
import faulthandler, os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import jitload
from jitload import forks
SOURCE = 'extern "C" __global__ void k(int *x) {{ x[0] = {}; }}'
def work(number):
    cache = jitload.Cache(sys.argv[2])
    kernel = jitload.compile(SOURCE.format(number), arch="compute_75", cache=cache).load()["k"]  # imports numpy
    import numpy as np
    x = np.zeros(1, np.int32)
    kernel(x, grid=1, block=1)
    assert x[0] == number
threading.Thread(target=work, args=(1,)).start()
time.sleep(float(sys.argv[1]))
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(60, exit=True)
    work(2)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.06, 0.1, 0.2, 0.3])
def test_no_child_hangs_beside_the_first_compile_and_launch(tmp_path, seconds):
    """Their imports are under way in the other thread: a child would wait for them for ever."""
    done = python("-c", COLD, seconds, tmp_path / "cache")
    assert done.stdout == "0\n", done.stderr
