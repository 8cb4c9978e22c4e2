"""Step "tensors": kernels and modules under tvm-ffi, with tensors that lie on the card."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.check import needs, within
from gpu.device_array import DeviceArray, wait
from gpu.machine import ROOT
from gpu.smoke.frameworks import torch_with_a_card
from gpu.smoke.launches import new_stream
from gpu.smoke.program import BLOCK, GRID, N, artifact, expect, module, ramp
from jitload.cuda import driver

if TYPE_CHECKING:
    from collections.abc import Callable

#: What tensors look at, and do not keep alive.
_producers: list[Any] = []
CONFIGURATION = (GRID, 1, 1, BLOCK, 1, 1)


def tensor(array: DeviceArray) -> Any:
    """A tensor of tvm-ffi over an array of the card, by DLPack."""
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    from tests.launch.stand_ins import OldDLPack, Shown

    producer = OldDLPack(Shown(array.address, array.dtype.name, array.shape))
    _producers.append(producer)
    return needs("tvm_ffi").from_dlpack(producer)


def two_tensors() -> tuple[DeviceArray, Any, Any]:
    """y as it lies on the card, and x and y as tensors."""
    x, y = DeviceArray(ramp()), DeviceArray(np.ones(N, np.float32))
    return y, tensor(x), tensor(y)


def launches_take_them() -> str:
    """By subscript and bound, as any other array."""
    y, x_tensor, y_tensor = two_tensors()
    assert str(y_tensor.device).startswith("cuda"), str(y_tensor.device)
    kernel = module()["saxpy"]
    kernel[GRID, BLOCK](2.0, x_tensor, y_tensor, N)
    kernel.bind(grid=GRID, block=BLOCK)(1.0, x_tensor, y_tensor, N)
    expect(y.host(), 1 + 3 * ramp())
    return f"tvm-ffi {needs('tvm_ffi').__version__}, {y_tensor.device}"


def modules_of_theirs() -> str:
    """A module of ours as one of theirs, and one that their registry loads: kernels are called with tensors."""
    ffi = needs("tvm_ffi")
    from jitload.interop import tvm_ffi as bridge

    bridge.install()
    try:
        y, x_tensor, y_tensor = two_tensors()
        theirs = bridge.to_tvm_ffi(artifact().load())
        theirs["saxpy"](2.0, x_tensor, y_tensor, N, *CONFIGURATION)
        expect(y.host(), 1 + 2 * ramp())
        loaded = ffi.get_global_func("ffi.ModuleLoadFromBytes")("ptx", artifact("ptx").data)
        loaded["saxpy"](1.0, x_tensor, y_tensor, N, *CONFIGURATION)
        expect(y.host(), 1 + 3 * ramp())
    finally:
        bridge.uninstall()
    return "a cubin given to them, and PTX loaded by them"


def their_stream() -> str:
    """The stream that tvm-ffi's environment has is followed: a launch on it is captured there."""
    ffi = needs("tvm_ffi")
    from jitload.interop import tvm_ffi as bridge

    bindings, stream = driver.ensure_context(), new_stream()
    y, x_tensor, y_tensor = two_tensors()
    theirs = bridge.to_tvm_ffi(artifact().load())
    theirs["saxpy"](0.0, x_tensor, y_tensor, N, *CONFIGURATION)
    wait()
    mode = bindings.CUstreamCaptureMode(2)  # CU_STREAM_CAPTURE_MODE_RELAXED
    driver.check("cuStreamBeginCapture", bindings.cuStreamBeginCapture(stream, mode))
    with ffi.use_raw_stream(ffi.device("cuda", 0), int(stream)):
        theirs["saxpy"](2.0, x_tensor, y_tensor, N, *CONFIGURATION)
    graph = driver.check("cuStreamEndCapture", bindings.cuStreamEndCapture(stream))
    expect(y.host(), 1)
    runnable = driver.check("cuGraphInstantiate", bindings.cuGraphInstantiate(graph, 0))
    driver.check("cuGraphLaunch", bindings.cuGraphLaunch(runnable, stream))
    driver.check("cuStreamSynchronize", bindings.cuStreamSynchronize(stream))
    expect(y.host(), 1 + 2 * ramp())
    return "captured on the stream of the environment"


def tensors_of_torch() -> str:
    """torch's tensors as theirs, on torch's current stream."""
    ffi, torch = needs("tvm_ffi"), torch_with_a_card()
    from jitload.interop import tvm_ffi as bridge

    theirs = bridge.to_tvm_ffi(artifact().load())
    x, y = torch.arange(N, dtype=torch.float32, device="cuda"), torch.ones(N, device="cuda")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with ffi.use_torch_stream(torch.cuda.stream(stream)):
        torch.cuda._sleep(20_000_000)
        y.mul_(3)
        theirs["saxpy"](2.0, ffi.from_dlpack(x), ffi.from_dlpack(y), N, *CONFIGURATION)
    stream.synchronize()
    expect(y.cpu().numpy(), 3 + 2 * ramp())
    return f"torch {torch.__version__}"


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """All of them."""
    del short
    found = (launches_take_them, modules_of_theirs, their_stream, tensors_of_torch)
    return {check.__name__.replace("_", " "): within(40)(check) for check in found}
