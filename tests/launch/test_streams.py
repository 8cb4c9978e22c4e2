"""What is a stream, and which one None means."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from jitload import ArgumentError, LaunchError
from jitload.launch.streams import current_device, current_stream, stream_handle


class Protocol:
    def __init__(self, answer=(0, 0x77)):
        self.answer = answer

    def __cuda_stream__(self):
        return self.answer


class Legacy:
    __cuda_stream__ = (0, 0x66)


class CUstream:
    def __int__(self):
        return 0x55


@pytest.mark.parametrize(
    ("stream", "handle"),
    [
        (0, 0),
        (2, 2),
        (2**64 - 1, 2**64 - 1),
        (np.int64(7), 7),
        (Protocol(), 0x77),
        (Legacy(), 0x66),
        (SimpleNamespace(cuda_stream=0x44), 0x44),
        (SimpleNamespace(ptr=0x33), 0x33),
        (CUstream(), 0x55),
    ],
)
def test_streams_of_every_kind(stream, handle):
    assert stream_handle(stream, "cuda") == handle
    assert stream_handle(stream, "cpu") == 0


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize(
    ("stream", "error", "words"),
    [
        ("s", ArgumentError, "str is no stream"),
        (1.0, ArgumentError, "float is no stream"),
        (True, ArgumentError, "bool is no stream"),
        (object(), ArgumentError, "object is no stream"),
        (-1, LaunchError, "not an address"),
        (2**64, LaunchError, "not an address"),
        (Protocol((1, 5)), LaunchError, "version 1"),
        (Protocol(5), LaunchError, "must give"),
        (Protocol((0, None)), LaunchError, "must give"),
    ],
)
def test_what_is_no_stream(stream, error, words, device):
    with pytest.raises(error, match=words):
        stream_handle(stream, device)


@pytest.fixture
def frameworks(monkeypatch):
    """Stand-ins for torch and CuPy; `torch`, `cupy` are their current streams."""
    state = SimpleNamespace(torch=0, cupy=0, initialised=True)
    torch_cuda = SimpleNamespace(
        is_initialized=lambda: state.initialised, current_stream=lambda: SimpleNamespace(cuda_stream=state.torch)
    )
    cupy_cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=state.cupy))

    def install(torch=True, cupy=True):
        if torch:
            monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=torch_cuda))
        if cupy:
            monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cupy_cuda))

    state.install = install
    return state


def test_none_is_the_current_stream_of_a_framework(frameworks):
    assert stream_handle(None, "cuda") == 0
    frameworks.install()
    frameworks.cupy = 0xC0
    assert current_stream() == 0xC0
    frameworks.torch = 0x70
    assert current_stream() == 0x70
    frameworks.initialised = False  # torch is imported and has never touched the GPU
    assert stream_handle(None, "cuda") == 0xC0
    assert stream_handle(None, "cpu") == 0


def test_a_framework_that_is_still_being_imported_has_no_stream(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace())
    assert current_stream() == 0


def test_a_cupy_that_cannot_use_the_driver_has_neither_stream_nor_device(monkeypatch):
    """One for another CUDA than the driver has: `import cupy` works, and whatever asks for a GPU raises."""

    def refuse():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")

    cuda = SimpleNamespace(get_current_stream=refuse, Device=refuse)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    assert stream_handle(None, "cuda") == 0
    assert current_device() is None


def test_a_bound_launch_follows_the_current_stream(saxpy, frameworks):
    """Also when the framework is imported after binding, and for arguments that need converting."""
    kernel, function = saxpy
    bound = kernel.bind(grid=1, block=1)
    fixed = kernel.bind(grid=1, block=1, stream=0)
    bound(1.0, 1, 2, 3)
    frameworks.install(cupy=False)
    frameworks.torch = 0x70
    bound(1.0, 1, 2, 3)
    bound(1.0, 1, 2, np.int32(3))
    kernel[1, 1](1.0, 1, 2, 3)
    kernel(1.0, 1, 2, 3, grid=1, block=1)
    frameworks.torch = 0x71
    bound(1.0, 1, 2, 3)
    fixed(1.0, 1, 2, 3)
    assert [launch[4] for launch in function.launches] == [0, 0x70, 0x70, 0x70, 0x70, 0x71, 0]


def test_on_the_cpu_nothing_is_followed(make_kernel, frameworks):
    frameworks.install()
    frameworks.torch = 0x70
    kernel, function = make_kernel(device="cpu")
    kernel[1, 1]()
    assert function.launches[0][4] == 0
