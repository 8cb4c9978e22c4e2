"""`jitload.cpu_profile` counts what a GPU would do: every figure here was worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import jitload
from jitload.cpu import function
from jitload.cpu.profile.table import kernel_table

SOURCE = r"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = a * x[i] + y[i];                                            // 6
}
extern "C" __global__ void strided(const float *x, float *y, int stride)
{
    int i = threadIdx.x;
    float value = x[i * stride];                                           // 11
    y[i] = value;                                                          // 12
}
extern "C" __global__ void wide(const float4 *x, float4 *y)
{
    int i = threadIdx.x;
    y[i] = x[i];                                                           // 17
}
extern "C" __global__ void branches(int *y, int n)
{
    int i = threadIdx.x;
    int v = y[i];
    if (i % 2)                                                             // 23
        atomicMax(y + v, 3);                                               // 24
    else
        atomicMin(y + v, 5);                                               // 26
    if (n > 100)                                                           // 27
        v = y[v & 31];                                                     // 28
    y[i] = v;                                                              // 29
}
template <int PITCH> __device__ void transpose(const float *x, float *y, int n)
{
    __shared__ float tile[32 * PITCH];
    int c = blockIdx.x * 32, r = blockIdx.y * 32, t = threadIdx.x, u = threadIdx.y;
    tile[u * PITCH + t] = x[(r + u) * n + c + t];                          // 35
    __syncthreads();                                                       // 36
    float value = tile[t * PITCH + u];                                     // 37
    y[(c + u) * n + r + t] = value;                                        // 38
}
extern "C" __global__ void transpose_32(const float *x, float *y, int n) { transpose<32>(x, y, n); }
extern "C" __global__ void transpose_33(const float *x, float *y, int n) { transpose<33>(x, y, n); }
extern "C" __global__ void count(int *one, int *many, const int *where)
{
    __shared__ int bins[32];
    bins[threadIdx.x % 32] = 0;
    __syncthreads();
    atomicAdd(one, 1);                                                     // 47
    atomicAdd(many + threadIdx.x, 1);                                      // 48
    atomicAdd(bins + where[0], 1);                                         // 49
    __syncthreads();
    if (threadIdx.x == 0)
        many[0] = bins[where[0]];                                          // 52
}
__constant__ float table[8];
extern "C" __global__ void spaces(const int *n, float *y, int k)
{
    float own[64];
    #pragma unroll 1
    for (int i = 0; i < n[0]; i++) own[i] = y[i] + k;                      // 59
    y[threadIdx.x] = own[n[1]] + table[n[1]];                              // 60
}
"""
F4 = np.float32


def numbers(count, dtype=F4):
    return np.arange(count, dtype=dtype)


@pytest.fixture
def run(cuda):
    """(kernel, grid, block, *arguments) -> profile; the arguments are changed as by a launch."""
    device = cuda(SOURCE, "-lineinfo")

    def launch(name, grid, block, *arguments):
        with jitload.configure(device="cpu"), jitload.cpu_profile() as profile:
            device.run(name, grid, block, *arguments)
        return profile

    return launch


def test_a_coalesced_access_takes_four_sectors(run):
    profile = run("saxpy", 4, 256, F4(2), numbers(1024), numbers(1024), 1024)
    line = profile.line(6)
    assert line.requests == 3 * 32  # two loads and a store by 32 warps
    assert line.sectors_per_request == 4.0
    assert line.sector_efficiency == 1.0
    assert line.memory("global", "load").bytes == 2 * 4096
    assert line.memory("global", "store").bytes == 4096
    assert line.classes["fp32"] == (32, 1024)  # one fma
    assert line.active_threads_per_warp == 32.0
    assert line.bank_conflicts == line.atomics == line.barriers == 0


def test_a_stride_of_two_takes_eight_sectors_and_a_column_thirty_two(run):
    for stride, sectors, efficiency in (
        (1, 4.0, 1.0),
        (2, 8.0, 0.5),
        (3, 12.0, 1 / 3),
        (64, 32.0, 0.125),
        (0, 1.0, 1.0),
    ):
        profile = run("strided", 1, 64, numbers(4096), numbers(64), stride)
        line = profile.line(11)
        assert (line.requests, line.sectors_per_request, line.sector_efficiency) == (2, sectors, efficiency)
        assert profile.line(12).sectors_per_request == 4.0


def test_sixteen_bytes_per_thread_take_sixteen_sectors(run):
    profile = run("wide", 2, 32, numbers(256), numbers(256))
    load = profile.line(17).memory("global", "load")
    assert (load.requests, load.accesses, load.bytes, load.sectors, load.ideal_sectors) == (2, 64, 1024, 32, 32)
    assert profile.line(17).memory("global", "store").sectors_per_request == 16.0


def test_threads_that_part_halve_the_efficiency(run):
    y = numbers(64, np.int32) % 32
    profile = run("branches", 1, 64, y, 7)
    odd, even = profile.line(24), profile.line(26)
    for line in (odd, even):
        assert line.active_threads_per_warp == 16.0
        assert line.warp_efficiency == 0.5
        assert line.memory("global", "atomic").requests == 2
    assert (profile.line(23).branches, profile.line(23).divergent_branches) == (2, 2)
    assert profile.line(23).branch_efficiency == 0.0
    assert (profile.line(27).branches, profile.line(27).divergent_branches) == (2, 0)
    assert profile.line(29).active_threads_per_warp == 32.0  # they are together again
    assert profile.total.branch_efficiency == 0.5
    with pytest.raises(LookupError, match=r"28 did not run; those that ran: .*kernel\.cu:29"):
        profile.line(28)


def test_a_partial_warp_is_a_warp_with_idle_threads(run):
    profile = run("saxpy", 1, 40, F4(2), numbers(64), numbers(64), 40)
    line = profile.line(6)
    assert line.memory("global", "load").requests == 4
    assert line.active_threads_per_warp == 20.0
    assert line.memory("global", "load").sectors == 2 * (4 + 1)


@pytest.mark.parametrize(("name", "ways", "conflicts"), [("transpose_32", 32, 31), ("transpose_33", 1, 0)])
def test_padding_frees_a_transposition_of_bank_conflicts(run, name, ways, conflicts):
    x, y = numbers(64 * 64).reshape(64, 64), np.zeros((64, 64), F4)
    profile = run(name, (2, 2), (32, 32), x, y, 64)
    assert np.array_equal(y, x.T)
    warps = 4 * 32
    column = profile.line(37).memory("shared", "load")
    assert (column.requests, column.wavefronts, column.bank_conflicts) == (warps, warps * ways, warps * conflicts)
    assert profile.total.bank_conflicts == warps * conflicts
    assert profile.line(35).bank_conflicts == 0
    assert profile.line(35).sectors_per_request == profile.line(38).sectors_per_request == 4.0
    assert profile.line(36).barriers == warps


def test_atomics_on_one_address_take_a_turn_per_thread(run):
    one, many = np.zeros(1, np.int32), np.zeros(64, np.int32)
    profile = run("count", 1, 64, one, many, np.array([3], np.int32))
    assert one[0] == many[0] == 64
    same, other, shared = (profile.line(number) for number in (47, 48, 49))
    assert same.atomics == other.atomics == shared.atomics == 64
    # The compiler leaves the atomic to one thread of a warp only where it can prove that all agree; here it does not.
    assert same.memory("global", "atomic").serialized == 64
    assert same.sectors_per_request == 1.0
    assert other.memory("global", "atomic").serialized == 2
    assert other.sectors_per_request == 4.0
    assert shared.memory("shared", "atomic").serialized == 64
    assert shared.bank_conflicts == 0  # one word
    assert profile.line(52).thread_inst_executed == profile.line(52).inst_executed  # one thread
    assert profile.total.barriers == 2 * 2


def test_local_constant_and_parameter_memory_are_told_apart(run):
    profile = run("spaces", 1, 32, np.array([5, 2], np.int32), numbers(64), 3)
    store = profile.line(59).memory("local", "store")
    assert (store.requests, store.bytes, store.sectors, store.ideal_sectors) == (5, 5 * 128, 5 * 4, 5 * 4)
    assert profile.line(59).memory("global", "load").sectors_per_request == 1.0
    assert profile.line(60).memory("const", "load").bytes == 128
    assert profile.line(60).memory("local", "load").sectors_per_request == 4.0
    assert profile.total.memory("param").bytes == 32 * (8 + 8 + 4)


def test_the_classes_add_up_to_all_instructions(run):
    total = run("count", 1, 64, np.zeros(1, np.int32), np.zeros(64, np.int32), np.array([3], np.int32)).total
    assert sum(warps for warps, _ in total.classes.values()) == total.inst_executed
    assert sum(threads for _, threads in total.classes.values()) == total.thread_inst_executed
    assert total.classes["synchronization"] == (4, 128)
    assert total.classes["atomic"] == (6, 192)


def test_profiles_are_the_same_bytes_in_every_run_and_for_every_batch_size(run, monkeypatch):
    def profiled():
        x, y = numbers(64 * 64).reshape(64, 64), np.zeros((64, 64), F4)
        branching = run("branches", 1, 64, numbers(64, np.int32) % 32, 107)
        return run("transpose_32", (2, 2), (32, 32), x, y, 64).to_json() + branching.to_json()

    expected = profiled()
    for lanes in (1, 64, 2048, 1 << 15):
        monkeypatch.setattr(function, "BATCH_LANES", lanes)
        assert profiled() == expected


def test_the_json_says_what_the_attributes_say(run):
    profile = run("saxpy", 4, 256, F4(2), numbers(1024), numbers(1024), 1000)
    (kernel,) = json.loads(profile.to_json())["kernels"]
    assert json.loads(profile.to_json()) == profile.as_dict()
    assert kernel["kernel"] == "saxpy"
    assert kernel["shapes"] == [{"grid": [4, 1, 1], "block": [256, 1, 1], "launches": 1}]
    line = next(one for one in kernel["lines"] if one["line"].endswith(":6"))
    assert line["memory"]["global"]["load"]["sectors"] == profile.line(6).memory("global", "load").sectors == 250
    assert kernel["inst_executed"] == sum(one["inst_executed"] for one in kernel["lines"])
    assert kernel["divergent_branches"] == 1


def test_the_table_is_aligned_and_holds_the_figures(run):
    profile = run("transpose_32", (2, 2), (32, 32), numbers(4096).reshape(64, 64), np.zeros((64, 64), F4), 64)
    assert str(profile) == profile.table() == kernel_table(profile.kernel())
    lines = profile.table().splitlines()
    assert lines[0] == "transpose_32: grid (2, 2, 1), block (32, 32, 1)"
    memory = next(number for number, line in enumerate(lines) if line.startswith("memory"))
    block = lines[memory : lines.index("", memory)]
    assert len({len(line) for line in block}) == 1
    assert block[4].split() == ["shared", "load", "128", "16,384", "-", "-", "-", "4,096", "3,968", "-"]
    assert any("kernel.cu:37 " in line and "3,968" in line for line in lines)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_table_is_as_narrow_as_is_asked(run, columns):
    """Columns in which nothing stands go first, then those that tell least."""
    profile = run("transpose_32", (2, 2), (32, 32), numbers(4096).reshape(64, 64), np.zeros((64, 64), F4), 64)
    lines = profile.table(columns).splitlines()
    assert max(map(len, lines)) <= columns
    head = next(line for line in lines if line.startswith("line")).split()
    assert head[:2] == ["line", "instructions"]
    assert ("conflicts" in head) == (columns > 40)
    assert ("atomics" in head) <= (columns == 120)
