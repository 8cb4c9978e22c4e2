"""Arrays and streams of torch, CuPy and JAX on the card."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu.check import NotHere, needs, within
from gpu.smoke.program import BLOCK, GRID, N, artifact, expect, module, ramp
from jitload.errors import ArgumentError

SECONDS = 60.0


def torch_with_a_card() -> Any:
    """torch, where it sees the card.

    Raises:
        NotHere: it is not installed, or does not.
    """
    torch = needs("torch")
    if not torch.cuda.is_available():
        raise NotHere(f"torch {torch.__version__} sees no GPU")
    return torch


def cupy_with_a_card() -> Any:
    """CuPy, where it sees the card.

    Raises:
        NotHere: it is not installed, or does not.
    """
    cupy = needs("cupy")
    try:
        cupy.zeros(1).get()
    except Exception as error:
        raise NotHere(f"CuPy {cupy.__version__} cannot use the GPU: {error}") from error
    return cupy


def torch_tensors() -> str:
    """With a gradient, as views, in half precision refused, pinned, and of the host."""
    torch = torch_with_a_card()
    kernel = module()["saxpy"]
    x = torch.arange(N, device="cuda", dtype=torch.float32, requires_grad=True)
    y = torch.ones(N, device="cuda")
    kernel[GRID, BLOCK](2.0, x, y, N)
    expect(y.cpu().numpy(), 1 + 2 * ramp())
    behind = torch.zeros(2 * N, device="cuda")
    kernel[GRID, BLOCK](1.0, x, behind[N:], N)
    expect(behind.cpu().numpy(), np.concatenate([np.zeros(N), ramp()]))
    for pinned in (torch.ones(N).pin_memory(), torch.ones(N)):
        kernel[GRID, BLOCK](1.0, x, pinned, N)
        torch.cuda.synchronize()
        expect(pinned.numpy(), 1 + ramp())
    try:
        kernel[GRID, BLOCK](1.0, x.detach().half(), y, N)
    except ArgumentError:
        return f"torch {torch.__version__}"
    raise AssertionError("float16 was taken for float")


def torch_streams() -> str:
    """The current stream is followed, a named one used, and two of them keep their own order."""
    torch = torch_with_a_card()
    kernel, x = module()["saxpy"], torch.arange(N, device="cuda", dtype=torch.float32)
    stream, y = torch.cuda.Stream(), torch.full((N,), 7.0, device="cuda")
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        y.zero_()
        kernel[GRID, BLOCK](1.0, x, y, N)
    kernel[GRID, BLOCK, stream](1.0, x, y, N)
    stream.synchronize()
    expect(y.cpu().numpy(), 2 * ramp())
    return "a launch waits for what its stream was given before, and for nothing else"


def torch_graph() -> str:
    """A kernel that was never launched before is captured by torch."""
    torch = torch_with_a_card()
    x, y = torch.arange(N, device="cuda", dtype=torch.float32), torch.zeros(N, device="cuda")
    kernel, graph = artifact("ptx").load()["saxpy"], torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kernel[GRID, BLOCK](1.0, x, y, N)
    expect(y.cpu().numpy(), 0)
    graph.replay()
    graph.replay()
    torch.cuda.synchronize()
    expect(y.cpu().numpy(), 2 * ramp())
    return "captured, and replayed twice"


def cupy_arrays() -> str:
    """Arrays, the current stream, a capture, and memory that both sides share."""
    cupy = cupy_with_a_card()
    kernel, x = module()["saxpy"], cupy.arange(N, dtype="f4")
    y = cupy.ones(N, "f4")
    kernel[GRID, BLOCK](2.0, x, y, N)
    expect(y.get(), 1 + 2 * ramp())
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        y = cupy.zeros(N, "f4")
        kernel[GRID, BLOCK](1.0, x, y, N)
    stream.synchronize()
    expect(y.get(), ramp())
    with stream:
        stream.begin_capture()
        kernel[GRID, BLOCK](1.0, x, y, N)
        graph = stream.end_capture()
        graph.launch(stream)
    stream.synchronize()
    expect(y.get(), 2 * ramp())
    shared = cupy.ndarray(N, "f4", cupy.cuda.malloc_managed(4 * N))
    shared[:] = 0
    kernel[GRID, BLOCK](1.0, x, shared, N)
    expect(shared.get(), ramp())
    return f"CuPy {cupy.__version__}: arrays, current stream, capture, managed memory"


def jax_arrays() -> str:
    """They are read, and never written."""
    jax = needs("jax")
    if jax.default_backend() != "gpu":
        raise NotHere(f"JAX {jax.__version__} sees no GPU")
    kernel = module()["saxpy"]
    x, y = jax.numpy.arange(N, dtype="float32"), np.ones(N, np.float32)
    kernel[GRID, BLOCK](2.0, x, y, N)
    expect(y, 1 + 2 * ramp())
    for wrong in (jax.numpy.ones(N, "bfloat16"), jax.numpy.ones(N, "int32")):
        try:
            kernel[GRID, BLOCK](2.0, wrong, y, N)
        except ArgumentError:
            continue
        raise AssertionError(f"{wrong.dtype} was taken for float")
    try:
        kernel[GRID, BLOCK](2.0, x, x, N)
    except ArgumentError as error:
        return f"JAX {jax.__version__}; {str(error)[:160]}"
    raise AssertionError("an array that JAX never changes was written")


CHECKS = {
    check.__name__.replace("_", " "): within(SECONDS)(check)
    for check in (torch_tensors, torch_streams, torch_graph, cupy_arrays, jax_arrays)
}
