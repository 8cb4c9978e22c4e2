"""The three ways to launch, and configurations that are refused before a device sees them."""

import pickle
import re
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import jitload
from jitload import ArgumentError, LaunchError, LoadError, Resources, config
from jitload.launch.kernel import MAX_BOUND

SAXPY = struct.Struct("<f4xQQi")


def configurations(function):
    return [launch[1:] for launch in function.launches]


def test_names(saxpy):
    kernel, function = saxpy
    assert (kernel.name, kernel.symbol, kernel.device) == ("saxpy", "saxpy", "cuda")
    assert kernel.info is function.info
    assert repr(kernel) == "<Kernel saxpy(float a, const float *x, float *y, int n) on cuda>"


def test_every_way_to_launch_says_the_same(saxpy):
    kernel, function = saxpy
    arguments = (2.0, 0x1000, 0x2000, 100)
    kernel[3, 64](*arguments)
    kernel[(3,), (64,)](*arguments)
    kernel[(3, 1, 1), (64, 1, 1)](*arguments)
    kernel[[3], [64]](*arguments)
    kernel[np.int32(3), np.uint8(64)](*arguments)
    kernel[3, 64, None](*arguments)
    kernel[3, 64, 0, 0](*arguments)
    kernel(*arguments, grid=3, block=64)
    kernel.bind(grid=3, block=(64,))(*arguments)
    kernel.bind(grid=3, block=64, stream=0, shared_bytes=0)(*arguments)
    assert len(function.launches) == 10
    assert set(function.launches) == {(SAXPY.pack(2.0, 0x1000, 0x2000, 100), (3, 1, 1), (64, 1, 1), 0, 0, None, False)}


def test_stream_and_shared_memory_come_in_the_order_of_numba(saxpy):
    kernel, function = saxpy
    kernel[(2, 3, 4), (8, 8), 0x99, 2048](1.0, 1, 2, 3)
    kernel(1.0, 1, 2, 3, grid=(2, 3, 4), block=(8, 8), stream=0x99, shared_bytes=2048)
    kernel(1.0, 1, 2, 3, grid=(4, 2), block=32, cluster=(2, 1), cooperative=True)
    assert configurations(function) == [
        ((2, 3, 4), (8, 8, 1), 2048, 0x99, None, False),
        ((2, 3, 4), (8, 8, 1), 2048, 0x99, None, False),
        ((4, 2, 1), (32, 1, 1), 0, 0, (2, 1, 1), True),
    ]


@pytest.mark.parametrize(
    ("launch", "words"),
    [
        (lambda k: k(1.0, 1, 2, 3), "needs a grid: write kernel"),
        (lambda k: k(1.0, 1, 2, 3, grid=1), "needs a block"),
        (lambda k: k.bind(block=1), "needs a grid"),
        (lambda k: k[1], r"kernel\[grid, block\]"),
        (lambda k: k[1, 2, 3, 4, 5], r"kernel\[grid, block, stream, shared_bytes\]"),
        (lambda k: k[None, 1], "needs a grid"),
        (lambda k: k[-1, 1], "x = -1; it must not be negative"),
        (lambda k: k[0, 0], "block 0 has x = 0; it must be positive"),
        (lambda k: k.bind(grid=0, block=1, cluster=0), "cluster 0 has x = 0; it must be positive"),
        (lambda k: k[lambda *args: 1.5, 1](1.0, 1, 2, 3), "grid 1.5 must be an integer or a tuple"),
        (lambda k: k.bind(grid=lambda *args: None, block=1)(1.0, 1, 2, 3), "needs a grid"),
        (lambda k: k.bind(grid=1, block=1, pdl=1), "pdl 1 must be True or False"),
        (lambda k: k.bind(grid=1, block=1, cooperative="yes"), "cooperative 'yes' must be True or False"),
        (lambda k: k(1.0, 1, 2, 3, grid=1, block=1, cooperative=None), "cooperative None must be True or False"),
        (lambda k: k.bind(grid=1, block=1, priority=1.0), "priority 1.0 must be an integer from"),
        (lambda k: k.bind(grid=1, block=1, priority=2**31), "priority 2147483648 must be"),
        (lambda k: k.bind(grid=1, block=1, priority=True), "priority True must be"),
        (lambda k: k.bind(grid=1, block=1, cluster_scheduling="fair"), "must be 'spread', 'load_balancing' or None"),
        (lambda k: k.bind(grid=1, block=1, cluster_scheduling=[]), r"cluster_scheduling \[\] must be 'spread'"),
        (lambda k: k(1.0, 1, 2, 3, grid=1, block=1, carveout_percent=101), "carveout_percent 101 must be"),
        (lambda k: k(1.0, 1, 2, 3, grid=1, block=1, carveout_percent=-1), "an integer from 0 to 100, or None"),
        (lambda k: k[1, (1, -2)], "y = -2; it must be positive"),
        (lambda k: k[1, 1025], "CUDA allows 1024"),
        (lambda k: k[1, (32, 33)], "has 1056 threads; CUDA allows 1024"),
        (lambda k: k[1, (1, 1, 65)], "z = 65; CUDA allows 64"),
        (lambda k: k[2**31, 1], "CUDA allows 2147483647"),
        (lambda k: k[(1, 65536), 1], "CUDA allows 65535"),
        (lambda k: k[(), 1], "has 0 dimensions"),
        (lambda k: k[(1, 1, 1, 1), 1], "has 4 dimensions"),
        (lambda k: k[1.0, 1], "must be an integer or a tuple"),
        (lambda k: k["1", 1], "must be an integer or a tuple"),
        (lambda k: k[True, 1], "must be an integer or a tuple"),
        (lambda k: k[1, 1, 0, -1], "shared_bytes -1 must be from 0"),
        (lambda k: k[1, 1, 0, 1.5], "shared_bytes 1.5 must be an integer"),
        (lambda k: k.bind(grid=3, block=1, cluster=2), "not a multiple of cluster"),
    ],
)
def test_impossible_configurations(saxpy, launch, words):
    kernel, function = saxpy
    kernel[1, 1](1.0, 1, 2, 3)  # 1.0 and True equal the 1 that is cached now
    with pytest.raises(LaunchError, match=words):
        launch(kernel)
    assert len(function.launches) == 1


@pytest.mark.parametrize("grid", [0, (0,), (3, 0), (2, 2, 0), np.int64(0), [0, 1]])
def test_a_grid_without_blocks_launches_nothing_and_says_so_in_one_line(saxpy, grid, caplog):
    kernel, function = saxpy
    host = np.zeros(4, np.float32)
    calls = [
        lambda: kernel[grid, 32](1.0, 1, 2, 3),
        lambda: kernel(1.0, host, host, 3, grid=grid, block=32, stream=0x99),
        lambda: kernel.bind(grid=grid, block=32, cooperative=True, pdl=True)(1.0, 1, 2, 3),
        lambda: kernel[lambda a, x, y, n: grid, 32](1.0, 1, 2, 3),
    ]
    for call in calls:
        caplog.clear()
        with caplog.at_level("DEBUG", "jitload"):
            call()
        assert len(caplog.messages) == 1
        assert re.fullmatch(r"kernel 'saxpy': grid \(.*0.*\) has no blocks, so nothing is launched", caplog.messages[0])
    assert (function.launches, function.memory.log) == ([], [])
    with pytest.raises(ArgumentError, match="argument 3"):
        kernel[grid, 32](1.0, 1, 2, "three")
    with pytest.raises(ArgumentError, match="takes 4 arguments, got 1"):
        kernel[grid, 32](1.0)


def test_a_grid_may_follow_from_the_arguments(saxpy):
    kernel, function = saxpy
    seen = []

    def grid(a, x, y, n):
        seen.append((a, x, y, n))
        return (n + 31) // 32, 2

    bound = kernel.bind(grid=grid, block=32, shared_bytes=16)
    for n in (1, 64, 0, 64):
        kernel[grid, 32](1.0, 1, 2, n)
        kernel[grid, 32, 0x99, 8](1.0, 1, 2, n)
        kernel(1.0, 1, 2, n, grid=grid, block=32)
        bound(1.0, 1, 2, n)
    assert seen == [(1.0, 1, 2, n) for n in (1, 64, 0, 64) for _ in range(4)]
    launched = [(grid, shared, stream) for grid, _, shared, stream, _, _ in configurations(function)]
    assert launched == [
        ((blocks, 2, 1), *rest) for blocks in (1, 2, 2) for rest in ((0, 0), (8, 0x99), (0, 0), (16, 0))
    ]


def test_what_the_function_of_a_grid_raises_comes_out_as_it_is(saxpy):
    kernel, function = saxpy
    for launch in (kernel[lambda *args: 1 // 0, 1], kernel.bind(grid=lambda *args: 1 // 0, block=1)):
        with pytest.raises(ZeroDivisionError):
            launch(1.0, 1, 2, 3)
    assert function.launches == []


def test_launch_bounds_and_required_blocks(make_kernel):
    kernel, _ = make_kernel(max_threads=256)
    kernel[1, 256]()
    with pytest.raises(LaunchError, match=r"'k' allows 256 threads per block \(__launch_bounds__\), block .* has 257"):
        kernel[1, 257]()
    kernel, _ = make_kernel(required_block=(8, 8, 1))
    kernel[1, (8, 8)]()
    with pytest.raises(LaunchError, match=r"compiled for blocks of exactly \(8, 8, 1\), got \(64, 1, 1\)"):
        kernel[1, 64]()


def test_a_block_whose_registers_cannot_be_had_is_refused(make_kernel):
    """By the cubin's own figures: no device is asked."""
    kernel, function = make_kernel(resources=Resources(registers=168, max_threads=384))
    kernel[1, 384]()
    with pytest.raises(
        LaunchError, match=r"168 registers per thread, .* at most 384 threads; block \(416, 1, 1\) has 416"
    ):
        kernel[1, 416]()
    assert len(function.launches) == 1


def test_a_kernel_that_is_not_on_a_gpu_has_neither_handle_nor_resources(make_kernel):
    for device in ("cpu", "cuda"):  # the second is a device that does not tell
        kernel, _ = make_kernel(device=device)
        assert kernel.resources is None
        assert kernel.suggest_block() == 256
    kernel, _ = make_kernel(device="cpu", max_threads=100)
    assert kernel.suggest_block() == 100
    assert kernel.arch == "cpu"
    with pytest.raises(LoadError, match="'k' runs on the CPU executor: only a GPU's driver has a CUkernel"):
        kernel.handle  # noqa: B018


def test_the_suggested_block_of_a_kernel_for_one_block_is_that_block(make_kernel):
    assert make_kernel(required_block=(8, 8, 1))[0].suggest_block() == (8, 8, 1)
    assert make_kernel(required_block=(64, 1, 1))[0].suggest_block() == 64


def test_bound_launches_are_kept_and_bounded(saxpy):
    kernel, function = saxpy
    assert kernel[1, 64] is kernel[1, 64]
    assert kernel[1, 64, 5] is kernel[1, 64, 5]
    held = {}
    for grid in range(1, MAX_BOUND + 50):
        held[grid] = kernel[grid, 64]
        held[grid](1.0, 1, 2, 3)
    assert sum(kernel[grid, 64] is held[grid] for grid in reversed(held)) <= MAX_BOUND
    assert [c[0][0] for c in configurations(function)] == list(range(1, MAX_BOUND + 50))


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_what_was_bound_is_found_without_a_look_at_its_configuration(make_kernel, device, monkeypatch):
    monkeypatch.setattr(config, "sync_seen", False)  # a process that has ever had `sync` on looks each time
    kernel, _ = make_kernel(device=device)
    calls = []

    def note(frame, event, _):
        if event == "call":
            calls.append(frame.f_code.co_name)

    for times in range(3):
        sys.setprofile(note)
        try:
            kernel[1, 64]
        finally:
            sys.setprofile(None)
        assert ("configure" in calls) is (times == 0)
        del calls[:]


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**70, True, np.int32(5), 5])
def test_the_short_road_and_the_long_one_agree(saxpy, value):
    """Ints pass on the short road, everything else on the long one; what they accept and send is the same."""
    kernel, function = saxpy
    bound = kernel.bind(grid=1, block=1)
    if -(2**31) <= value < 2**31:
        bound(1, 0, 0, value)
        assert function.launches[0][0] == SAXPY.pack(1, 0, 0, int(value))
    else:
        with pytest.raises(ArgumentError, match="does not fit"):
            bound(1, 0, 0, value)
        assert function.launches == []


def test_a_failed_launch_leaves_the_kernel_usable(saxpy):
    kernel, function = saxpy
    bound = kernel.bind(grid=1, block=1)

    def fail(*_):
        raise LaunchError("once")

    function.body = fail
    with pytest.raises(LaunchError, match="once"):
        bound(1.0, 1, 2, 3)
    function.body = None
    bound(4.0, 1, 2, 3)
    assert function.launches[-1][0] == SAXPY.pack(4.0, 1, 2, 3)


def test_threads_do_not_share_a_parameter_block(saxpy):
    """Each launch sees its own arguments, although the device lets other threads run in the middle of it."""
    kernel, function = saxpy
    gate, seen, failures = threading.Barrier(4), [], []

    def body(_memory, parameters):
        seen.append(parameters)

    real_launch = function.launch

    def slow_launch(parameters, *rest):
        before = bytes(parameters)
        gate.wait(10)
        if bytes(parameters) != before:
            failures.append((before, bytes(parameters)))
        real_launch(parameters, *rest)

    function.body, function.launch = body, slow_launch
    bound = kernel.bind(grid=1, block=1)

    def work(number):
        for _ in range(20):
            bound(float(number), number, number, number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(set(seen)) == sorted(SAXPY.pack(n, n, n, n) for n in range(4))


def test_synchronous_launches(saxpy):
    kernel, function = saxpy
    with jitload.configure(sync=True):
        waiting = kernel.bind(grid=1, block=1, stream=3)
        following = kernel.bind(grid=1, block=1)
    waiting(1.0, 1, 2, 3)
    following(1.0, 1, 2, 3)
    assert function.synchronized == [3, 0]
    kernel.bind(grid=1, block=1)(1.0, 1, 2, 3)
    assert function.synchronized == [3, 0]


def test_a_launch_waits_in_its_block_alone_whatever_was_launched_before(saxpy):
    """`kernel[grid, block]` remembers what it bound, and the setting is not part of what is written there."""
    kernel, function = saxpy
    for configuration in ((1, 1), (1, 1, 3), (1, [1])):
        del function.synchronized[:]
        kernel[configuration](1.0, 1, 2, 3)
        assert function.synchronized == []
        with jitload.configure(sync=True):
            kernel[configuration](1.0, 1, 2, 3)
            with ThreadPoolExecutor(1) as other:
                other.submit(lambda key=configuration: kernel[key](1.0, 1, 2, 3)).result()
        assert len(function.synchronized) == 1
        kernel[configuration](1.0, 1, 2, 3)
        assert len(function.synchronized) == 1


def test_a_kernel_costs_no_numpy_until_it_is_bound():
    program = (
        "import sys, jitload.launch.kernel; print(sorted({'numpy', 'ctypes', 'cuda.bindings'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_kernel_says_why_it_is_not_pickled(saxpy):
    with pytest.raises(TypeError, match="cannot be pickled: send the Artifact"):
        pickle.dumps(saxpy[0])
