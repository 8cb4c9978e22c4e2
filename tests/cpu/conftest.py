"""Kernels for the CPU executor's tests: from CUDA C by NVRTC, or from PTX written by hand."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from jitload.cpu.module import load_ptx


@lru_cache(maxsize=64)
def _compile(source: str, options: tuple[str, ...], arch: str) -> bytes:
    from cuda.bindings import nvrtc

    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    includes = [f"-I{path}" for path in _include_directories()]
    flags = [f"-arch={arch}", "-default-device", *includes, *options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    if int(status):
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        log = b" " * size
        nvrtc.nvrtcGetProgramLog(program, log)
        raise AssertionError(log.decode())
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = b" " * size
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx


def _include_directories() -> list[str]:
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    return [str(path) for root in roots for path in sorted(root.glob("*/include"))]


class Device:
    """A module and the calls that a test makes: arrays go in, the kernel runs, arrays come back changed."""

    def __init__(self, ptx: bytes | str) -> None:
        self.ptx = ptx if isinstance(ptx, bytes) else ptx.encode()
        self.module = load_ptx(self.ptx)
        self.memory = self.module.memory

    def put(self, array: np.ndarray, label: str = "array") -> int:
        address = self.memory.allocate(array.nbytes, label)
        self.memory.write(address, memoryview(np.ascontiguousarray(array).reshape(-1)).cast("B"))
        return address

    def get(self, address: int, array: np.ndarray) -> None:
        flat = np.empty(array.nbytes, np.uint8)
        self.memory.read(address, memoryview(flat))
        array[...] = flat.view(array.dtype).reshape(array.shape)

    def run(self, name, grid, block, *arguments, shared=0, cooperative=False):
        function = self.module.device_function(name)
        parameters = bytearray(function.info.parameter_bytes)
        arrays = []
        for position, (parameter, value) in enumerate(zip(function.info.params, arguments, strict=True)):
            if isinstance(value, np.ndarray):
                address = self.put(value, f"argument {position}")
                arrays.append((address, value))
                raw = address.to_bytes(8, "little")
            elif isinstance(value, int):
                raw = (value & (1 << 8 * parameter.size) - 1).to_bytes(parameter.size, "little")
            else:
                raw = bytes(value.tobytes())
            parameters[parameter.offset : parameter.offset + parameter.size] = raw
        try:
            function.launch(parameters, _three(grid), _three(block), shared, 0, None, cooperative)
            for address, array in arrays:
                self.get(address, array)
        finally:
            for address, _ in arrays:
                self.memory.free(address)


def _three(extents) -> tuple[int, int, int]:
    extents = (extents,) if isinstance(extents, int) else tuple(extents)
    return (*extents, 1, 1)[:3]


@pytest.fixture(scope="session")
def cuda():
    """CUDA C -> Device; skips without NVRTC."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC and its Python bindings")

    def compile_source(source: str, *options: str, arch: str = "compute_75") -> Device:
        return Device(_compile(source, options, arch))

    return compile_source


@pytest.fixture(scope="session")
def ptx():
    """PTX text -> Device; the header is added."""

    def load(text: str) -> Device:
        return Device(f".version 8.7\n.target sm_90\n.address_size 64\n{text}")

    return load


@pytest.fixture(scope="session")
def device():
    """The class itself, for bytes as they are."""
    return Device
