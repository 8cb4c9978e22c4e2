"""Launches of one bound kernel, one after the other: what one leaves to the next, and what it does not."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time

import numpy as np
import pytest

import jitload
from jitload.cpu.module import load_ptx
from jitload.cpu.run.observer import Observer, observing
from jitload.launch.kernel import Kernel

SOURCE = """
extern "C" __global__ void scale(const float *x, float *y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i];
}
extern "C" __global__ void same_place(int *x) { x[0] = threadIdx.x; }
extern "C" __global__ void ticks(long long *out, int n) { *out = clock64(); }
extern "C" __global__ void rounds(unsigned *out, unsigned n) {
    unsigned a = threadIdx.x;
    for (unsigned i = 0; i < n; ++i) a = a * 1664525u + out[i & 31];
    out[32 + threadIdx.x] = a;
}
"""


@pytest.fixture
def function():
    """function(name) -> the kernel on its device; each test has its own."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC and its Python bindings")
    artifact = jitload.compile(SOURCE, kind="ptx", arch="compute_75", name="launches.cu")
    module = load_ptx(artifact.data)
    return lambda name: module.device_function(name, artifact.kernels[name])


@pytest.fixture(params=["lanes", "native"])
def engine(request):
    if request.param == "native" and importlib.util.find_spec("llvmlite") is None:
        pytest.skip("llvmlite is not installed")
    with jitload.configure(cpu_engine=request.param):
        yield request.param


def bound_to(function, name: str, block: int = 32):
    found = function(name)
    return Kernel(found.info, found).bind(grid=1, block=block)


def test_every_launch_has_its_own_arguments(function, engine):
    scale = bound_to(function, "scale")
    x = np.arange(64, dtype=np.float32)
    for a, n in ((2.0, 32), (3, 7), (-1.0, 0), (np.float64(0.5), 32)):
        y = np.full(32, 9, np.float32)
        scale(x[n:], y, a, n)
        np.testing.assert_array_equal(y[:n], np.float32(a) * x[n : 2 * n])
        assert (y[n:] == 9).all()


def test_a_smaller_array_has_its_own_bounds(function, engine):
    scale, x = bound_to(function, "scale"), np.ones(32, np.float32)
    for _ in range(2):
        scale(x, np.zeros(32, np.float32), 2.0, 32)
        short = np.zeros(8, np.float32)
        with pytest.raises(jitload.CpuFault, match=r"y: 32 bytes at .*access ends 4 bytes past its end"):
            scale(x, short, 2.0, 32)
        scale(x, short, 2.0, 8)
        assert (short == 2).all()


def test_what_is_refused_is_refused_after_what_is_not(function, engine):
    scale, x, y = bound_to(function, "scale"), np.ones(32, np.float32), np.zeros(32, np.float32)
    kept = y.copy()
    kept.flags.writeable = False
    for _ in range(2):
        scale(x, y, 2.0, 32)
        for refused in (
            (x, y.astype(np.float64), 2.0, 32),
            (x, kept, 2.0, 32),
            (x, y[::2], 2.0, 32),
            (x, y.astype(">f4"), 2.0, 32),
            (x, y, "2", 32),
            (x, y, 2.0, 2**31),
            (x, y, 1e39, 32),
            (x, x.ctypes.data, 2.0, 32),
            (x, y, 2.0),
        ):
            with pytest.raises(jitload.ArgumentError):
                scale(*refused)
    scale(kept, y, 2.0, 32)  # of a parameter that is const
    assert (kept == 0).all()
    assert (y == 0).all()


def test_memory_that_was_freed_between_two_launches_faults(function, engine):
    found = function("scale")
    scale = Kernel(found.info, found).bind(grid=1, block=32)
    x, address = np.ones(32, np.float32), found.memory.allocate(128, "mine")
    scale(x, address, 2.0, 32)
    found.memory.free(address)
    with pytest.raises(jitload.CpuFault, match=r"mine: 128 bytes at .*, freed before"):
        scale(x, address, 2.0, 32)


def test_an_array_that_a_launch_lent_is_gone_with_it(function, engine):
    """Also where the next launch has the same array: it lies somewhere else then."""
    found, seen = function("scale"), []
    scale = Kernel(found.info, found).bind(grid=1, block=32)

    class Notes(Observer):
        def launched(self, grid):
            seen.append(int(grid.params.views["u64"][1]))

    x, y = np.ones((2, 32), np.float32)
    with observing(Notes()):
        scale(x, y, 2.0, 32)
    with pytest.raises(jitload.CpuFault, match=r"y: 128 bytes at .*, freed before"):
        scale(y, seen[0], 2.0, 32)
    with pytest.raises(jitload.CpuFault, match="freed before"):
        scale(seen[0], y, 2.0, 32)


def test_the_engine_is_the_one_of_each_launch(function):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    found = function("scale")
    kernel, native = Kernel(found.info, found), found.native
    scale = kernel.bind(grid=1, block=32)
    x, y = np.ones((2, 32), np.float32)
    for launches, engine in enumerate(("native", "lanes", "native", "lanes", "native")):
        with jitload.configure(cpu_engine=engine):
            y[:] = 0
            scale(x, y, 2.0, 32)
        assert native.launches == launches // 2 + 1
        assert (y == 2).all()


def test_checks_are_those_of_each_launch(function, engine):
    launch, out = bound_to(function, "same_place", 2), np.zeros(1, np.int32)
    for _ in range(2):
        launch(out)
        with jitload.configure(cpu_check="race"), pytest.raises(jitload.CpuFault, match="race"):
            launch(out)
    with jitload.Session(), jitload.configure(cpu_check="race"), pytest.raises(jitload.CpuFault, match="race"):
        launch(out)
    launch(out)


def test_what_an_observer_keeps_of_a_launch_stays_as_it_was(function, engine):
    scale = bound_to(function, "scale")
    x, y = np.ones((2, 32), np.float32)
    grids = []

    class Notes(Observer):
        def launched(self, grid):
            grids.append(grid)

    for n in (3, 5):
        scale(x, y, 2.0, 32)
        with observing(Notes()):
            scale(x, y, 2.0, n)
    scale(x, y, 2.0, 32)
    assert [int(grid.params.views["u32"][5]) for grid in grids] == [3, 5]


def test_a_launch_begins_when_it_is_called(function, engine):
    ticks, out = bound_to(function, "ticks", 1), np.zeros(1, np.int64)
    ticks(out, 0)
    time.sleep(0.05)
    before = time.time_ns()
    ticks(out, 0)
    assert 0 <= out[0] <= time.time_ns() - before


def test_threads_that_launch_at_once_have_their_own_arguments(function, engine):
    scale, failures = bound_to(function, "scale"), []
    start = threading.Barrier(4)
    settings = {"cpu_engine": engine}

    def work(number: int) -> None:
        x, y = np.full((2, 32), number, np.float32)
        start.wait(20)
        with jitload.configure(**settings):
            for turn in range(20):
                scale(x, y, float(turn), 32)
                if not (y == number * turn).all():
                    failures.append((number, turn, y))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_launches_what_its_parent_has_bound(function, engine):
    scale = bound_to(function, "scale")
    x, y = np.ones((2, 32), np.float32)
    scale(x, y, 2.0, 32)
    child = os.fork()
    if not child:
        scale(x, y, 3.0, 32)
        os._exit(0 if (y == 3).all() else 1)
    scale(x, y, 4.0, 32)
    assert (y == 4).all()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("fails", [False, True])
def test_a_launch_in_the_middle_of_another_has_a_place_of_its_own(function, fails):
    """As a signal handler makes one: machine code asks Python now and then whether to go on."""
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    found = function("rounds")
    launch = Kernel(found.info, found).bind(grid=1, block=32)
    out, alone, inner = (np.arange(64, dtype=np.uint32) for _ in range(3))
    with jitload.configure(cpu_engine="native"):
        launch(alone, 3_000_000)
        inside = []

        def note(frame, event, _):
            if event == "call" and frame.f_code.co_name == "look" and not inside:
                inside.append(frame)
                if fails:
                    with pytest.raises(jitload.CpuFault, match="past its end"):
                        launch(inner[:16], 10)
                launch(inner, 10)

        sys.setprofile(note)
        try:
            launch(out, 3_000_000)
        finally:
            sys.setprofile(None)
        assert inside
        expected = np.arange(64, dtype=np.uint32)
        launch(expected, 10)
    np.testing.assert_array_equal(out, alone)
    np.testing.assert_array_equal(inner, expected)
