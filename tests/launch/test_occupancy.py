"""Occupancy, the best block and the tables behind them, against NVIDIA's own headers, compiled here."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import UsageValueError
from jitload.images.multiprocessor import (
    BY_CAPABILITY,
    MAX_BLOCK_REGISTERS,
    find_multiprocessor,
    launchable_threads,
    multiprocessor,
    warp_registers,
)
from jitload.launch.occupancy import Occupancy, best_threads, block_occupancy
from jitload.values import Resources

SOURCE = r"""
#include <cuda_occupancy.h>
static struct cudaOccDeviceProp device;
static struct cudaOccFuncAttributes kernel;
static struct cudaOccDeviceState state;
void set_device(int major, int minor, int warps, int shared, int optin, int reserved) {
  device.computeMajor = major; device.computeMinor = minor; device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = warps * 32; device.regsPerBlock = 65536; device.regsPerMultiprocessor = 65536;
  device.warpSize = 32; device.sharedMemPerBlock = 49152; device.sharedMemPerMultiprocessor = shared;
  device.numSms = 1; device.sharedMemPerBlockOptin = optin; device.reservedSharedMemPerBlock = reserved;
  state.carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT;
}
void set_kernel(int registers, int bound, int static_bytes, int dynamic_bytes, int barriers) {
  kernel.maxThreadsPerBlock = bound; kernel.numRegs = registers; kernel.sharedSizeBytes = static_bytes;
  kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN; kernel.maxDynamicSharedSizeBytes = dynamic_bytes;
  kernel.numBlockBarriers = barriers;
}
int blocks(int threads, int dynamic_bytes, int *factors) {
  struct cudaOccResult result;
  int failed = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic_bytes);
  *factors = failed ? 0 : result.limitingFactors;
  return failed ? -failed : result.activeBlocksPerMultiprocessor;
}
int best(int dynamic_bytes) {
  int grid, threads;
  int failed = cudaOccMaxPotentialOccupancyBlockSize(&grid, &threads, &device, &kernel, &state, 0, dynamic_bytes);
  return failed ? -failed : threads;
}
static size_t four_per_thread(int threads) { return 4 * (size_t)threads; }
int best_by_threads(void) {
  int grid, threads;
  int failed = cudaOccMaxPotentialOccupancyBlockSize(&grid, &threads, &device, &kernel, &state, four_per_thread, 0);
  return failed ? -failed : threads;
}
int most_blocks(void) { int n = -1; return cudaOccMaxBlocksPerMultiprocessor(&n, &device) ? -1 : n; }
int shared_unit(void) { int n = -1; return cudaOccSMemAllocationGranularity(&n, &device) ? -1 : n; }
int register_unit(void) { int n = -1; return cudaOccRegAllocationGranularity(&n, &device) ? -1 : n; }
int parts(void) { int n = -1; return cudaOccSubPartitionsPerMultiprocessor(&n, &device) ? -1 : n; }
int fits(int shared) { size_t n = shared; return !cudaOccAlignUpShmemSizeVoltaPlus(&n, &device) && n >= shared; }
int most_barriers(int blocks) {
  int n = -1;
  kernel.numBlockBarriers = 1;
  return cudaOccMaxBlocksPerSMBlockBarrierLimit(&n, blocks, &device, &kernel) ? -1 : n;
}
"""
UNKNOWN_DEVICE = -2
FACTORS = {1: "warps", 2: "registers", 4: "shared memory", 8: "blocks", 16: "barriers"}
CAPABILITIES = sorted(BY_CAPABILITY)


class Header:
    """`cuda_occupancy.h` of the installed toolkit."""

    def __init__(self, library):
        self.call = ctypes.CDLL(str(library))

    def knows(self, capability):
        """Whether it does; after this it speaks of that device."""
        sm = BY_CAPABILITY[capability]
        device = capability // 10, capability % 10
        self.call.set_device(*device, sm.warps, sm.shared_bytes, sm.block_shared_bytes, sm.reserved_bytes)
        return self.call.most_blocks() > 0 and self.call.shared_unit() > 0

    def counts_barriers(self, capability):
        """Whether it says how many named barriers that device has. Of 10.3 it said 64 up to CUDA 13.0, 32 later."""
        sm = BY_CAPABILITY[capability]
        return capability >= 90 and self.knows(capability) and (capability != 103 or self.most_barriers(sm) != 64)

    def most_barriers(self, sm):
        """The blocks of one barrier each that it allows, where nothing else limits them."""
        return self.call.most_barriers(sm.blocks)

    def set_kernel(self, resources, dynamic_bytes):
        self.call.set_kernel(
            resources.registers, resources.max_threads, resources.shared_bytes, dynamic_bytes, resources.barriers
        )

    def blocks(self, resources, threads, dynamic_bytes):
        """Blocks and limiting factors."""
        self.set_kernel(resources, dynamic_bytes)
        factors = ctypes.c_int()
        found = self.call.blocks(threads, dynamic_bytes, ctypes.byref(factors))
        return found, {name for bit, name in FACTORS.items() if factors.value & bit}


@pytest.fixture(scope="session")
def header(tmp_path_factory):
    directory = tmp_path_factory.mktemp("occupancy")
    (directory / "occupancy.c").write_text(SOURCE)
    includes = [f"-I{path}" for _, path in toolkit_roots()]
    command = ["gcc", "-w", "-O1", "-shared", "-fPIC", *includes]
    subprocess.run([*command, "-o", directory / "occupancy.so", directory / "occupancy.c"], check=True)
    return Header(directory / "occupancy.so")


def needs_row(header, capability):
    """Skip where the installed header is of a toolkit that was made before that device."""
    if not header.knows(capability):
        assert capability in {88, 110}
        pytest.skip("the toolkit that comes with NVRTC 13 knows this device, the installed one does not")


def check(header, capability, resources, threads, dynamic_bytes):
    """The same blocks, for the same reasons."""
    blocks, factors = header.blocks(resources, threads, dynamic_bytes)
    found = block_occupancy(resources, threads, dynamic_bytes, BY_CAPABILITY[capability])
    case = capability, resources, threads, dynamic_bytes
    assert found.blocks_per_sm == blocks, case
    reasons = set(found.limited_by.split(", "))
    # Where barriers are the limit, the header leaves the reasons in that it found before it looked at them.
    assert reasons == factors or (reasons <= factors and "barriers" in reasons), case


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_limits_are_those_of_the_toolkits_header(header, capability):
    sm = BY_CAPABILITY[capability]
    needs_row(header, capability)
    call = header.call
    assert (call.register_unit(), call.parts()) == (256, 4)
    assert (call.most_blocks(), call.shared_unit()) == (sm.blocks, sm.shared_unit)
    assert call.fits(sm.shared_bytes)
    assert not call.fits(sm.shared_bytes + 1)
    if sm.barriers is None:
        assert capability < 90, "they are counted from 9.0 on"
    elif header.counts_barriers(capability):
        assert header.most_barriers(sm) == sm.barriers


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_blocks_and_their_reasons_at_every_edge(header, capability):
    sm = BY_CAPABILITY[capability]
    needs_row(header, capability)
    choose = random.Random(capability)
    blocks_of = range(1, sm.blocks + 2)
    edges = {sm.shared_bytes // n - sm.reserved_bytes + step for n in blocks_of for step in (-129, -128, -1, 0, 1, 128)}
    shared = sorted({0, 1, 49151, 49152, 49153, *(edge for edge in edges if 0 <= edge <= sm.shared_bytes + 1024)})
    sizes = [1, 31, 32, 33, *range(64, 1025, 32), 97, 1023]
    for registers, threads in itertools.product((0, 1, 8, 9, *range(16, 256, 8), 168, 169, 255), sizes):
        check(header, capability, Resources(registers=registers), threads, 0)
        total = choose.choice(shared)
        static = choose.randint(0, min(total, 49152))
        check(header, capability, Resources(registers=registers, shared_bytes=static), threads, total - static)
    for total in shared:
        check(header, capability, Resources(registers=16), 64, total)


@given(
    capability=st.sampled_from(CAPABILITIES),
    threads=st.integers(1, 1024),
    registers=st.integers(0, 255),
    static_bytes=st.integers(0, 48 * 1024),
    dynamic_bytes=st.one_of(st.just(0), st.integers(0, 230 * 1024)),
    barriers=st.integers(0, 16),
    bound=st.integers(1, 1024),
)
def test_blocks_reasons_and_the_best_block_are_those_of_the_toolkits_header(
    header, capability, threads, registers, static_bytes, dynamic_bytes, barriers, bound
):
    barriers = barriers if header.counts_barriers(capability) else 0
    assume(header.knows(capability))
    sm = BY_CAPABILITY[capability]
    resources = Resources(registers=registers, shared_bytes=static_bytes, barriers=barriers)
    check(header, capability, resources, threads, dynamic_bytes)
    bounded = Resources(
        **{**resources.__getstate__(), "max_threads": launchable_threads(registers, bound)}
    )  # as cudaFuncAttributes has it
    header.set_kernel(bounded, dynamic_bytes)
    assert best_threads(bounded, dynamic_bytes, sm) == header.call.best(dynamic_bytes)
    header.set_kernel(bounded, 4096)
    assert best_threads(bounded, lambda threads: 4 * threads, sm) == header.call.best_by_threads()


TRAITS = r"""
#include <cuda/__device/arch_traits.h>
#include <cstdio>
template <int Number> void print() {
  constexpr auto traits = cuda::arch_traits_for(cuda::compute_capability{Number});
  std::printf("%d %d %d %d %d %d\n", Number, traits.max_warps_per_multiprocessor, traits.max_blocks_per_multiprocessor,
              (int)traits.max_shared_memory_per_multiprocessor, (int)traits.max_shared_memory_per_block_optin,
              (int)traits.reserved_shared_memory_per_block);
}
int main() { (print<NUMBERS>(), ...); }
"""


def test_the_table_is_that_of_cccl(tmp_path):
    """Warps and reserved shared memory too, which the header of occupancy is told by its caller."""
    roots = [str(path) for _, path in toolkit_roots()]
    if not any(os.path.isfile(f"{root}/cuda/__device/arch_traits.h") for root in roots):
        pytest.skip("CCCL has this table from 3.3 on, which comes with NVRTC 13.3")
    numbers = [capability for capability in CAPABILITIES if capability not in {72, 101}]  # it has no such rows
    lines = "".join(f"print<{number}>(); " for number in numbers)
    (tmp_path / "traits.cpp").write_text(TRAITS.replace("(print<NUMBERS>(), ...);", lines))
    command = ["g++", "-std=c++17", "-w", *(f"-I{root}" for root in roots), "-o", "traits", "traits.cpp"]
    subprocess.run(command, check=True, cwd=tmp_path)
    said = subprocess.run([tmp_path / "traits"], check=True, capture_output=True, text=True).stdout
    rows = {int(number): [*map(int, rest)] for number, *rest in map(str.split, said.splitlines())}
    for number in numbers:
        sm = BY_CAPABILITY[number]
        assert rows[number] == [sm.warps, sm.blocks, sm.shared_bytes, sm.block_shared_bytes, sm.reserved_bytes], number


def test_a_multiprocessor_is_found_by_any_arch_of_its_compute_capability():
    assert multiprocessor("sm_90a") is multiprocessor("sm_90") is BY_CAPABILITY[90]
    assert multiprocessor("sm_100f").warps == 64
    for arch in ("sm_60", "sm_107", "compute_90", "sm_", "90"):
        assert find_multiprocessor(arch) is None
        with pytest.raises(UsageValueError, match=r"is not known: expected one of sm_70, .*sm_121"):
            multiprocessor(arch)


def test_registers_bound_the_block_as_the_hardware_counts_them():
    """168 registers are 5376 of a warp; 12 warps are 64,512 of 65,536, and 13 would be counted as 16."""
    assert warp_registers(168) * 12 <= MAX_BLOCK_REGISTERS < warp_registers(168) * 16
    assert launchable_threads(168, None) == 384
    assert launchable_threads(168, 128) == 128
    assert launchable_threads(255, None) == 256
    assert launchable_threads(0, None) == launchable_threads(64, None) == 1024


def test_what_cannot_run_has_no_occupancy_and_a_reason():
    sm = multiprocessor("sm_90")
    assert block_occupancy(Resources(registers=255, max_threads=256), 512, 0, sm) == Occupancy(0, 0, 0.0, "registers")
    assert block_occupancy(Resources(registers=16), 64, 1 << 20, sm) == Occupancy(0, 0, 0.0, "shared memory")
    assert block_occupancy(Resources(registers=16, max_threads=128), 129, 0, sm).limited_by == "threads"
    assert block_occupancy(Resources(registers=16), 2048, 0, sm) == Occupancy(0, 0, 0.0, "threads")
    assert best_threads(Resources(registers=16, shared_bytes=1 << 20), 0, sm) == 0
    assert str(block_occupancy(Resources(registers=40, max_threads=1024), 256, 0, sm)) == (
        "6 blocks, 48 warps per multiprocessor (75%), limited by registers"
    )
