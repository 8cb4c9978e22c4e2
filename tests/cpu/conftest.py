"""Kernels for the CPU executor's tests: from CUDA C by NVRTC, or from PTX written by hand."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.cpu.module import load_ptx
from jitload.settings.check import CPU_CHECKS
from jitload.source.arch import EXECUTOR_ARCH


@lru_cache(maxsize=64)
def _compile(source: str, options: tuple[str, ...], arch: str) -> bytes:
    from cuda.bindings import nvrtc

    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    includes = [f"-I{path}" for path in _include_directories()]
    flags = [f"-arch={arch}", "-default-device", "--no-cache", *includes, *options]
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
    # CUDA 13 keeps CCCL one level deeper.
    found = [path for root in roots for path in (*root.glob("*/include"), *root.glob("*/include/cccl"))]
    return [str(path) for path in sorted(found)]


class Device:
    """A module and the calls that a test makes: arrays go in, the kernel runs, arrays come back changed."""

    def __init__(self, ptx: bytes | str) -> None:
        self.ptx = ptx if isinstance(ptx, bytes) else ptx.encode()
        self.module = load_ptx(self.ptx)
        self.memory = self.module.memory

    def put(self, array: np.ndarray, label: str = "array") -> int:
        address = self.memory.allocate(array.nbytes, label)
        self.memory.write(address, np.ascontiguousarray(array).reshape(-1).data.cast("B"))
        return address

    def get(self, address: int, array: np.ndarray) -> None:
        flat = np.empty(array.nbytes, np.uint8)
        self.memory.read(address, flat.data)
        array[...] = flat.view(array.dtype).reshape(array.shape)

    def run(self, name, grid, block, *arguments, shared=0, cooperative=False, cluster=None):
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
            function.launch(
                parameters, _three(grid), _three(block), shared, 0, cluster and _three(cluster), cooperative
            )
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

    def compile_source(source: str, *options: str, arch: str = EXECUTOR_ARCH) -> Device:
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


@pytest.fixture(params=[(), CPU_CHECKS], ids=["plain", "checked"])
def checked_too(request):
    """Each kernel runs as it is, and once with every check on: they are right, so nothing is reported."""
    with jitload.configure(cpu_check=request.param):
        yield


_REGISTER = {"u1": "u16", "i1": "s16", "u2": "b16", "i2": "b16", "f2": "b16", "u4": "b32", "i4": "b32", "f4": "f32"}
_REGISTER |= {"u8": "b64", "i8": "b64", "f8": "f64"}
_LOAD = {"u1": "u8", "i1": "s8", "u2": "b16", "i2": "b16", "f2": "b16", "u4": "b32", "i4": "b32", "f4": "f32"}
_LOAD |= {"u8": "b64", "i8": "b64", "f8": "f64"}


def elementwise_ptx(code: str, out: list[np.dtype], inputs: list[np.dtype]) -> str:
    """A kernel that runs `code` per element: inputs are %a %b %c %e, results %d (and %q), predicates %p and %r."""
    names = "abce"[: len(inputs)]
    results = "dq"[: len(out)]
    lines = [".visible .entry k(" + ", ".join(f".param .u64 p{n}" for n in names + results) + ") {"]
    lines += [".reg .pred %p, %r, %s; .reg .b32 %i, %j, %k; .reg .b64 %w, %v, %x; .reg .b16 %h, %g;"]
    lines += ["mov.u32 %i, %ctaid.x; mov.u32 %j, %ntid.x; mov.u32 %k, %tid.x; mad.lo.s32 %i, %i, %j, %k;"]
    for name, dtype in zip(names + results, [*inputs, *out], strict=True):
        kind = dtype.str[1:]
        lines.append(f".reg .{_REGISTER[kind]} %{name}; .reg .b64 %w{name};")
        lines.append(f"ld.param.u64 %w, [p{name}]; mul.wide.u32 %v, %i, {dtype.itemsize}; add.s64 %w{name}, %w, %v;")
    lines += [f"ld.global.{_LOAD[d.str[1:]]} %{n}, [%w{n}];" for n, d in zip(names, inputs, strict=True)]
    lines.append(code)
    lines += [f"st.global.{_LOAD[d.str[1:]]} [%w{n}], %{n};" for n, d in zip(results, out, strict=True)]
    return "\n".join([*lines, "ret;", "}"])


@pytest.fixture(scope="session")
def apply(ptx):
    """(code, result dtypes, inputs) -> results: runs instructions on every element of the inputs."""

    def run(code: str, out, *inputs: np.ndarray):
        several = isinstance(out, tuple)
        dtypes = [np.dtype(one) for one in (out if several else (out,))]
        arrays = [np.ascontiguousarray(one) for one in inputs]
        count = len(arrays[0])
        results = [np.zeros(count, dtype) for dtype in dtypes]
        text = elementwise_ptx(code, dtypes, [one.dtype for one in arrays])
        ptx(text).run(
            "k",
            1 if count <= 1024 else -(-count // 128),
            count if count <= 1024 else 128,
            *_padded(arrays, count),
            *(padded := _padded(results, count)),
        )
        results = [one[:count] for one in padded]
        return tuple(results) if several else results[0]

    return run


def _padded(arrays: list[np.ndarray], count: int) -> list[np.ndarray]:
    extra = 0 if count <= 1024 else -count % 128
    return [np.concatenate([one, np.ones(extra, one.dtype)]) for one in arrays]
