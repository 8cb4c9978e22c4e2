"""Planted faults are found on the right CUDA line, and the right twins report nothing with every check on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import jitload
from jitload.errors import CpuFault
from jitload.settings.check import CPU_CHECKS

from .checks_cases import PLANTED

# The planted sources share their first lines, and not each uses what stands there.
pytestmark = pytest.mark.filterwarnings("ignore::jitload.CompileWarning")

N = 128


def marked_lines(source, mark):
    return [number for number, line in enumerate(source.splitlines(), 1) if mark in line.partition("//")[2]]


def run(source, case):
    out, values = np.zeros(N, np.int32), np.arange(N, dtype=np.int32)
    with jitload.configure(device="cpu"):
        jitload.compile(source, name="planted.cu").load()["k"][case.grid, case.block](out, values, N)
    return out


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_on_its_line(name):
    case = PLANTED[name]
    with jitload.configure(cpu_check=case.check), pytest.raises(CpuFault) as caught:
        run(case.source, case)
    fault = caught.value
    assert case.text in str(fault)
    assert fault.kernel == "k"
    assert fault.cuda_line in [f"planted.cu:{line}" for line in marked_lines(case.source, "FAULT")]
    assert fault.cuda_line in str(fault)
    assert len(fault.thread) == len(fault.block) == 3
    assert f"thread {fault.thread} of block {fault.block}" in str(fault)
    copy = pickle.loads(pickle.dumps(fault))
    assert (fault.other is not None) == case.other
    if case.other:
        assert fault.other.cuda_line in [f"planted.cu:{line}" for line in marked_lines(case.source, "OTHER")]
        assert (copy.other.thread, copy.other.block) == (fault.other.thread, fault.other.block)
        if case.check == "race":
            assert (fault.thread, fault.block) != (fault.other.thread, fault.other.block)
            assert f"thread {fault.other.thread} of block {fault.other.block}" in str(fault)
            assert fault.other.cuda_line in str(fault)


@pytest.mark.parametrize("name", PLANTED)
def test_the_right_twin_reports_nothing(name):
    case = PLANTED[name]
    assert case.source.count(case.wrong) == 1
    with jitload.configure(cpu_check=CPU_CHECKS):
        run(case.source.replace(case.wrong, case.right), case)


@pytest.mark.parametrize("name", [name for name, case in PLANTED.items() if case.check])
def test_what_nobody_asked_to_check_is_not_checked(name):
    case = PLANTED[name]
    with jitload.configure(cpu_check=[check for check in CPU_CHECKS if check != case.check]):
        if name == "second free":  # known always; where it was freed before, only to the check
            with pytest.raises(CpuFault, match="free of a pointer that malloc did not give"):
                run(case.source, case)
        else:
            run(case.source, case)


THROWN_AWAY = """extern "C" __global__ void k(int *out, const int *in, int n)
{
    int t = threadIdx.x, i = blockIdx.x * 64 + t, v = in[i];
    unsigned some = __ballot_sync(0xffffffffu, t % 3 == 0);
    if (t % 3 == 0) {
        int got = __shfl_xor_sync(some, v, 1), sum = v + got;
        if (some >> ((t & 31) ^ 1) & 1) v = sum;
        int other = __shfl_down_sync(some, v, 5) - 3;
        v = (some >> ((t & 31) + 5) & 1) && (t & 31) < 27 ? other : v;
        for (int d = 8; d; d /= 2) got = __shfl_xor_sync(some, v, d);
        if (got == 12345 && n < 0) out[i] = 1;
    }
    out[i] = v;
}"""


def test_an_undefined_value_that_is_thrown_away_is_no_fault():
    values = np.arange(N, dtype=np.int32)
    want = values.copy()
    for base in range(0, N, 32):
        live = [t for t in range(32) if (base % 64 + t) % 3 == 0]
        first = {t: values[base + t] + values[base + (t ^ 1)] if t ^ 1 in live else values[base + t] for t in live}
        for t in live:
            want[base + t] = first[t + 5] - 3 if t + 5 in live else first[t]
    out = np.zeros(N, np.int32)
    with jitload.configure(device="cpu"):
        jitload.compile(THROWN_AWAY).load()["k"][2, 64](out, values, N)
    np.testing.assert_array_equal(out, want)


STOPS = """
__device__ int calls;
extern "C" __global__ void k(int *out, const int *in, int n)
{
    __shared__ int s[64];
    atomicAdd(&calls, 1);
    int i = blockIdx.x * 64 + threadIdx.x;
    s[threadIdx.x] = in[i];
    out[i] = s[threadIdx.x] + 1;
    __syncthreads();
    if (n < 0)
        out[n] = 1;
    atomicAdd(&out[i], calls);
}
"""


@pytest.mark.parametrize("checks", [(), CPU_CHECKS], ids=["plain", "checked"])
def test_after_a_fault_memory_can_be_read_and_the_next_launch_is_clean(checks):
    """Unlike a GPU's context, nothing is lost: what the kernel did until then is there, also in arrays of the host."""
    values = np.arange(N, dtype=np.int32)
    with jitload.configure(device="cpu", cpu_check=checks):
        module = jitload.compile(STOPS, name="stops.cu").load()
        for launch in (1, 2):
            out = np.zeros(N, np.int32)
            with pytest.raises(CpuFault, match="out of bounds"):
                module["k"][2, 64](out, values, -1)
            assert np.array_equal(out, values + 1)
            address, nbytes = module.get_global("calls")
            calls = np.zeros(1, np.int32)
            module.memory.read(address, memoryview(calls).cast("B"))
            assert (calls[0], nbytes) == (launch * N, 4)
        module["k"][2, 64](out, values, N)
        assert np.array_equal(out, values + 1 + 3 * N)


def test_a_leak_is_said_when_the_results_are_there():
    case = PLANTED["leak"]
    out, values = np.zeros(N, np.int32), np.arange(N, dtype=np.int32)
    with jitload.configure(device="cpu", cpu_check="memory"):
        kernel = jitload.compile(case.source, name="planted.cu").load()["k"]
        with pytest.raises(CpuFault, match=r"2048 bytes in 128 allocations in all"):
            kernel[case.grid, case.block](out, values, N)
    assert np.array_equal(out, values)


RIGHT = """
__device__ int *kept[4];
extern "C" __global__ void give(int *out, const int *in, int n)
{
    __shared__ bool any;
    int i = blockIdx.x * 64 + threadIdx.x;
    if (threadIdx.x == 0) any = false;
    __syncthreads();
    if (in[i] % 3 == 0) any = true;        // several threads set one flag
    out[n - 1] = 7;                        // as do several blocks
#pragma unroll 1
    for (int k = 0; k < 2; k++)            // and one after the other
        if (i % 2 == k) out[n - 2] = 9;
    __syncthreads();
    if (threadIdx.x == 0) {
        kept[blockIdx.x] = (int *)malloc(16);
        kept[blockIdx.x][any] = 5;
    }
}
extern "C" __global__ void take(int *out, const int *in, int n)
{
    if (threadIdx.x == 0) {
        out[blockIdx.x] = kept[blockIdx.x][n == 128];
        free(kept[blockIdx.x]);
        kept[blockIdx.x] = nullptr;
    }
}
"""


def test_equal_values_are_no_race_and_memory_that_a_later_launch_frees_is_no_leak():
    out, values = np.zeros(N, np.int32), np.arange(N, dtype=np.int32)
    with jitload.configure(device="cpu", cpu_check=CPU_CHECKS):
        module = jitload.compile(RIGHT, name="right.cu").load()
        module["give"][2, 64](out, values, N)
        module["take"][2, 64](out, values, N)
    assert out[[0, 1, N - 2, N - 1]].tolist() == [5, 5, 9, 7]
