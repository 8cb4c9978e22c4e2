"""Arrays of the host in place: no copies, and everything else is as if there were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import jitload
from jitload.cpu.memory.arena import ALIGNMENT, Arena
from jitload.launch.arrays import read_array
from jitload.launch.staging import HostArray, run_staged
from jitload.settings.check import CPU_CHECKS

SOURCE = """
extern "C" __global__ void twice(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}
extern "C" __global__ void through_const(const int *x, int *seen) {
    int *hidden = (int *)x;
    hidden[threadIdx.x] += 1;
    seen[threadIdx.x] = hidden[threadIdx.x];
}
extern "C" __global__ void alternate(int *x, int *y, int2 *pair, int *sums) {
    int t = threadIdx.x;
    int *mine = t & 1 ? x : y;
    mine[t] += 100 * t;
    atomicAdd(t & 1 ? sums : x, t);
    int2 *two = (int2 *)(t & 1 ? (int2 *)x : pair) + 34 + t;
    int2 value = *two;
    value.y += 7;
    *two = value;
}
extern "C" __global__ void link(const int *x, unsigned long long *addresses, int *out) {
    int t = threadIdx.x;
    addresses[t] = (unsigned long long)(x + t);
    out[t] = *(const int *)addresses[t];
}
extern "C" __global__ void wide(const float *x, float *y) { ((float4 *)y)[threadIdx.x] = ((const float4 *)x)[threadIdx.x]; }
extern "C" __global__ void last_bytes(char *x, int n) { x[n - 1 + threadIdx.x] = 5; }
extern "C" __global__ void count(int *x) { x[threadIdx.x] += 1; }
extern "C" __global__ void shift(int *x, int n) {
    int i = threadIdx.x;
    if (i < n) x[i] = x[i + 1];
}
extern "C" __global__ void keep(unsigned long long *place) { *place = (unsigned long long)malloc(64); }
"""


@pytest.fixture(scope="module")
def kernels():
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC and its Python bindings")
    with jitload.configure(device="cpu"):
        yield jitload.compile(SOURCE, name="in_place.cu").load()


def test_a_memory_that_takes_guests_shows_the_array_itself():
    arena, array = Arena(), np.zeros(64, np.uint8)
    values: list[object] = [None]

    def launch() -> None:
        arena.write(values[0], memoryview(b"kernel"))
        assert bytes(array[:6]) == b"kernel"
        array[6] = 33
        back = bytearray(7)
        arena.read(values[0], memoryview(back))
        assert back == b"kernel!"

    run_staged(arena, [HostArray(0, "array", False, read_array(array, 0, "cpu"))], values, launch)
    with pytest.raises(jitload.CpuFault, match="freed before"):
        arena.read(values[0], memoryview(bytearray(1)))


@pytest.mark.parametrize("dtype", ["f4", "i1", "c16", "M8[s]", "V3", [("a", "i4"), ("b", "f4", 2)]])
def test_an_array_lies_where_numpy_says(dtype):
    whole = np.zeros((6, 4), dtype)
    kept = whole.view()
    kept.flags.writeable = False
    for array in (whole, kept, whole[2:], whole[:0], whole.T, whole[1, 3], whole.view(np.recarray)):
        if isinstance(array, np.ndarray):
            view = read_array(array, 0, "cpu")
            assert (view.address, view.nbytes) == (array.__array_interface__["data"][0], array.nbytes)
            assert bool(view.readonly) is not array.flags.writeable


def test_nothing_is_read_of_what_numpy_has_freed():
    """With Python's debugging allocator what is freed is 0xdd: an address of that would be one of a dead struct."""
    code = (
        "import numpy as np; from jitload.launch.arrays import read_array\n"
        "for array in (np.arange(5), np.zeros((3, 4), 'f4').T, np.zeros(0)):\n"
        "    print(read_array(array, 0, 'cpu').address - array.__array_interface__['data'][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == ["0", "0", "0"]


@pytest.mark.parametrize("n", [0, 1, 255, 70_000])
def test_every_size_and_slice_gives_what_a_copy_gives(kernels, n):
    base = np.random.default_rng(n).standard_normal(2 * n + 8).astype(np.float32)
    for start in (0, 1, 3, 4):
        x, y = base[start : start + n], np.zeros(n + 5, np.float32)
        kernels["twice"][max(-(-n // 256), 1), 256](x, y[start : start + n], n)
        np.testing.assert_array_equal(y[start : start + n], 2 * x)
        assert not y[:start].any()
        assert not y[start + n :].any()


def test_what_is_written_through_const_is_seen_by_the_kernel_and_lost(kernels, tmp_path):
    (tmp_path / "file").write_bytes(np.arange(32, dtype=np.int32).tobytes())
    mapped = np.memmap(tmp_path / "file", np.int32, "r")  # a write to it would end the process
    frozen = np.arange(32, dtype=np.int32)
    for x in (frozen, mapped):
        seen = np.zeros(32, np.int32)
        kernels["through_const"][1, 32](x, seen)
        np.testing.assert_array_equal(seen, np.arange(32) + 1)
        np.testing.assert_array_equal(x, np.arange(32))


@pytest.mark.parametrize("check", [(), CPU_CHECKS], ids=["plain", "checked"])
def test_lanes_that_reach_several_arrays_at_once(kernels, check):
    x, y, pair, sums = (np.arange(count, dtype=np.int32) for count in (200, 200, 201, 3))
    want = [one.copy() for one in (x, y, pair, sums)]
    for t in range(64):
        want[t % 2 == 0][t] += 100 * t
    want[0][0] += sum(range(0, 64, 2))
    want[3][0] += sum(range(1, 64, 2))
    for t in range(64):
        want[0 if t % 2 else 2][2 * (34 + t) + 1] += 7
    with jitload.configure(cpu_check=check):
        kernels["alternate"][1, 64](x, y, pair[:200].reshape(-1, 2), sums)
    for one, expected in zip((x, y, pair, sums), want, strict=True):
        np.testing.assert_array_equal(one, expected)


def test_addresses_are_those_of_copies_and_good_for_the_launch(kernels):
    x, addresses, out = np.arange(64, dtype=np.int32)[3:35], np.zeros(32, np.uint64), np.zeros(32, np.int32)
    kernels["link"][1, 32](x, addresses, out)
    np.testing.assert_array_equal(out, x)
    assert addresses[0] % ALIGNMENT == 0
    np.testing.assert_array_equal(np.diff(addresses), 4)
    with pytest.raises(jitload.ArgumentError, match="address of host memory"):
        kernels["count"][1, 32](x.ctypes.data)


def test_vectors_at_any_alignment_of_the_host(kernels):
    base = np.arange(140, dtype=np.float32)
    for start in range(5):
        y = np.zeros(140, np.float32)
        kernels["wide"][1, 32](base[start : start + 128], y[start + 1 : start + 129])
        np.testing.assert_array_equal(y[start + 1 : start + 129], base[start : start + 128])


@pytest.mark.parametrize("nbytes", [1, 10, 257])
def test_the_last_byte_is_the_last(kernels, nbytes):
    around = np.zeros(nbytes + 32, np.int8)
    kernels["last_bytes"][1, 1](around[16 : 16 + nbytes], nbytes)
    assert around.tolist() == [0] * (15 + nbytes) + [5] + [0] * 16
    with pytest.raises(jitload.CpuFault, match="access ends 1 bytes past its end") as caught:
        kernels["last_bytes"][1, 2](around[16 : 16 + nbytes], nbytes)
    assert "x: " in caught.value.nearest
    assert not around[16 + nbytes :].any()


def test_overlapping_arguments_are_one_memory(kernels):
    base = np.arange(100, dtype=np.float32)
    want = base.copy()
    want[10:42] = 2 * base[0:32]
    kernels["twice"][1, 32](base[0:32], base[10:42], 32)
    np.testing.assert_array_equal(base, want)


def test_what_a_stopped_kernel_did_stays(kernels):
    x = np.arange(64, dtype=np.int32)
    with pytest.raises(jitload.CpuFault):
        kernels["shift"][1, 64](x[:32], 64)
    np.testing.assert_array_equal(x[32:], np.arange(32, 64))


def test_a_pointer_in_an_array_of_the_host_keeps_memory_of_malloc_reachable(kernels):
    place = np.zeros(1, np.uint64)
    with jitload.configure(cpu_check="memory"):
        kernels["keep"][1, 1](place)
    assert place[0]


def test_launches_of_several_threads_on_one_array_lose_nothing(kernels):
    x = np.zeros(32, np.int32)

    def work() -> None:
        with jitload.configure(device="cpu"):
            for _ in range(20):
                kernels["count"][1, 32](x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(x, 80)
