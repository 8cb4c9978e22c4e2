"""Occupancy against the toolkit's own `cuda_occupancy.h`, compiled here."""

from __future__ import annotations

import ctypes
import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jitload.launch.multiprocessor import _BY_CAPABILITY
from jitload.launch.occupancy import block_occupancy
from jitload.values import Resources

SOURCE = r"""
#include <cuda_occupancy.h>
int blocks(int major, int minor, int warps, int shared, int optin, int reserved, int threads, int registers, int bound,
           int static_bytes, int dynamic_bytes, int barriers, int *factors) {
  struct cudaOccDeviceProp device = {0};
  device.computeMajor = major; device.computeMinor = minor; device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = warps * 32; device.regsPerBlock = 65536; device.regsPerMultiprocessor = 65536;
  device.warpSize = 32; device.sharedMemPerBlock = 49152; device.sharedMemPerMultiprocessor = shared;
  device.numSms = 1; device.sharedMemPerBlockOptin = optin; device.reservedSharedMemPerBlock = reserved;
  struct cudaOccFuncAttributes kernel = {0};
  kernel.maxThreadsPerBlock = bound; kernel.numRegs = registers; kernel.sharedSizeBytes = static_bytes;
  kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN; kernel.maxDynamicSharedSizeBytes = dynamic_bytes;
  kernel.numBlockBarriers = barriers;
  struct cudaOccDeviceState state = {0};
  state.carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT;
  struct cudaOccResult result;
  int failed = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic_bytes);
  *factors = failed ? 0 : result.limitingFactors;
  return failed ? -failed : result.activeBlocksPerMultiprocessor;
}
"""
UNKNOWN_DEVICE = -2
FACTORS = {1: "warps", 2: "registers", 4: "shared memory", 8: "blocks", 16: "barriers"}


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """(capability, threads, registers, static, dynamic, barriers) -> blocks and limiting factors, by NVIDIA's header."""
    from jitload.compiler.toolkit import toolkit_roots

    directory = tmp_path_factory.mktemp("occupancy")
    (directory / "occupancy.c").write_text(SOURCE)
    includes = [f"-I{path}" for _, path in toolkit_roots()]
    library = directory / "occupancy.so"
    subprocess.run(
        ["gcc", "-w", "-O1", "-shared", "-fPIC", *includes, "-o", library, directory / "occupancy.c"], check=True
    )
    call = ctypes.CDLL(str(library)).blocks

    def ask(capability, threads, registers, static_bytes, dynamic_bytes, barriers):
        sm = _BY_CAPABILITY[capability]
        factors = ctypes.c_int()
        device = (
            capability // 10,
            capability % 10,
            sm.warps,
            sm.shared_bytes,
            sm.block_shared_bytes,
            sm.reserved_bytes,
        )
        kernel = (threads, registers, 1024, static_bytes, dynamic_bytes, barriers)
        return call(*device, *kernel, ctypes.byref(factors)), {
            name for bit, name in FACTORS.items() if factors.value & bit
        }

    return ask


@given(
    capability=st.sampled_from(sorted(_BY_CAPABILITY)),
    threads=st.integers(1, 1024),
    registers=st.integers(1, 255),
    static_bytes=st.integers(0, 48 * 1024),
    dynamic_bytes=st.one_of(st.just(0), st.integers(0, 230 * 1024)),
    barriers=st.integers(0, 16),
)
def test_blocks_and_what_limits_them_are_those_of_the_toolkits_header(
    official, capability, threads, registers, static_bytes, dynamic_bytes, barriers
):
    if capability < 90 or capability in {103, 110}:
        barriers = 0  # counted from 9.0 on; of 10.3 and 11.0 the header of 12.9 knows nothing yet
    blocks, factors = official(capability, threads, registers, static_bytes, dynamic_bytes, barriers)
    assume(blocks != UNKNOWN_DEVICE)  # 11.0 for the header of 12.9
    resources = Resources(registers=registers, shared_bytes=static_bytes, barriers=barriers)
    found = block_occupancy(resources, threads, dynamic_bytes, _BY_CAPABILITY[capability])
    assert found.blocks_per_sm == blocks
    reasons = set(found.limited_by.split(", "))
    # Where barriers are the limit, the header leaves the reasons in that it found before it looked at them.
    assert reasons == factors or (reasons <= factors and "barriers" in reasons)
