"""Launches: streams, graphs, clusters, whole grids, and what happens to a module that is closed meanwhile."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gpu.check import NotHere
from gpu.device_array import DeviceArray, wait
from gpu.machine import need_hardware
from gpu.smoke.program import BLOCK, GRID, WHOLE_GRID, N, artifact, check_saxpy, expect, module, ramp
from jitload.cuda import driver
from jitload.errors import JitloadError, LaunchError, LoadError

MULTIPROCESSORS, COOPERATIVE_LAUNCH = 16, 95  # CU_DEVICE_ATTRIBUTE_..., cuda.h
NON_BLOCKING, RELAXED = 1, 2  # CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED


def large_host_arrays() -> str:
    """64 MB there, 32 MB back."""
    n = 1 << 23
    x, y = np.arange(n, dtype=np.float32) % 1024, np.ones(n, np.float32)
    started = time.perf_counter()
    module()["saxpy"][n // BLOCK, BLOCK](2.0, x, y, n)
    took = time.perf_counter() - started
    expect(y, 1 + 2 * x)
    return f"{took * 1e3:.1f} ms for a launch on two arrays of 32 MB of the host"


def device_arrays() -> None:
    """By `__cuda_array_interface__`, and by address."""
    x, y = DeviceArray(ramp()), DeviceArray(np.ones(N, np.float32))
    kernel = module()["saxpy"]
    kernel[GRID, BLOCK](2.0, x, y, N)
    kernel.bind(grid=GRID, block=BLOCK)(1.0, x.address, y.address, N)
    expect(y.host(), 1 + 3 * ramp())


def new_stream() -> Any:
    """One that does not wait for the default stream."""
    return driver.check("cuStreamCreate", driver.ensure_context().cuStreamCreate(NON_BLOCKING))


def a_stream() -> None:
    """Launches in a stream run in their order."""
    stream, bindings = new_stream(), driver.ensure_context()
    x, y = DeviceArray(ramp()), DeviceArray(np.zeros(N, np.float32))
    bound = module()["saxpy"].bind(grid=GRID, block=BLOCK, stream=int(stream))
    for _ in range(10):
        bound(1.0, x, y, N)
        bound(1.0, y, x, 0)
    driver.check("cuStreamSynchronize", bindings.cuStreamSynchronize(stream))
    expect(y.host(), 10 * ramp())
    driver.check("cuStreamDestroy", bindings.cuStreamDestroy(stream))


def graph_of_a_new_kernel() -> str:
    """A kernel that was fetched and never launched is captured, and runs when the graph does, as often as it does."""
    bindings = driver.ensure_context()
    x, y = DeviceArray(ramp()), DeviceArray(np.zeros(N, np.float32))
    stream = new_stream()
    kernel = artifact("ptx").load()["saxpy"]
    mode = bindings.CUstreamCaptureMode(RELAXED)
    driver.check("cuStreamBeginCapture", bindings.cuStreamBeginCapture(stream, mode))
    kernel[GRID, BLOCK, int(stream)](1.0, x, y, N)
    graph = driver.check("cuStreamEndCapture", bindings.cuStreamEndCapture(stream))
    expect(y.host(), 0)
    runnable = driver.check("cuGraphInstantiate", bindings.cuGraphInstantiate(graph, 0))
    for _ in range(3):
        driver.check("cuGraphLaunch", bindings.cuGraphLaunch(runnable, stream))
    driver.check("cuStreamSynchronize", bindings.cuStreamSynchronize(stream))
    expect(y.host(), 3 * ramp())
    return "captured, and run three times"


def clusters() -> str:
    """2, 8 and 16 blocks; 16 are more than every card of that kind must take."""
    if int(driver.device_arch()[3:]) < 90:
        raise NotHere(f"{driver.device_arch()} has no clusters")
    need_hardware("the executor runs clusters of one block")
    kernel, seen = module()["cluster_sizes"], []
    for size in (2, 8, 16):
        sizes = np.zeros(32, np.uint32)
        try:
            kernel(sizes, grid=32, block=32, cluster=size)
            expect(sizes, size)
            seen.append(f"{size} run")
        except JitloadError as error:
            assert size > 8, f"{size}: {error}"
            seen.append(f"{size} refused: {error}"[:160])
    return "; ".join(seen)


def whole_grid() -> str:
    """As many blocks as fit wait for each other; more are refused."""
    if not driver.device_attribute(COOPERATIVE_LAUNCH):
        raise NotHere("no cooperative launches")
    blocks = driver.device_attribute(MULTIPROCESSORS)
    n, kernel = blocks * BLOCK, artifact(source=WHOLE_GRID).load()["across_the_grid"]
    x, out = np.zeros(n, np.float32), np.zeros(n, np.float32)
    kernel(x, out, n, grid=blocks, block=BLOCK, cooperative=True)
    expect(out, 1)
    try:
        kernel(x, out, n, grid=100_000, block=BLOCK, cooperative=True)
    except LaunchError as error:
        return f"{blocks} blocks; 100000 refused: {str(error)[-160:]}"
    raise AssertionError("100000 blocks were taken")


def closed_while_running() -> str:
    """A module that is closed under a running kernel lets it end; its kernels launch no more."""
    need_hardware("a launch has ended there when it returns")
    program, counter = artifact().load(), DeviceArray(np.zeros(16, np.float32))
    bound = program["slow"].bind(grid=1, block=1)
    bound(counter, 1)
    wait()
    bound(counter, 300_000_000)
    started = time.perf_counter()
    program.close()
    took = time.perf_counter() - started
    expect(counter.host()[0], 2)
    try:
        bound(counter, 1)
    except LoadError as error:
        return f"close() took {took * 1e3:.1f} ms while a kernel of about 200 ms ran; then: {str(error)[:100]}"
    raise AssertionError("a kernel of a closed module was launched")


def every_card() -> str:
    """The same module on every card of the machine."""
    count = driver.device_count()
    if count < 2:
        raise NotHere("one card")
    bindings = driver.ensure_context()
    for ordinal in range(count):
        device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
        context = driver.check("cuDevicePrimaryCtxRetain", bindings.cuDevicePrimaryCtxRetain(device))
        driver.check("cuCtxPushCurrent", bindings.cuCtxPushCurrent(context))
        check_saxpy(artifact("ptx", "compute_75").load()["saxpy"])
        driver.check("cuCtxPopCurrent", bindings.cuCtxPopCurrent())
    return f"{count} cards"


CHECKS = {
    "large arrays of the host": large_host_arrays,
    "arrays of the card": device_arrays,
    "a stream": a_stream,
    "a graph of a new kernel": graph_of_a_new_kernel,
    "clusters": clusters,
    "a whole grid": whole_grid,
    "closed while running": closed_while_running,
    "every card": every_card,
}
