"""The only importer of the NVRTC bindings: source text in, image bytes out, all in memory.

Foreign status codes and exceptions become ours here. NVRTC is imported at the first compile, never for a hit.
"""

from __future__ import annotations

import ctypes
import functools
import os
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from jitload import forks
from jitload.compiler import toolkit
from jitload.compiler.rooted import call_in_root
from jitload.errors import CompileError
from jitload.source.arch import virtual_arch
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any

    from jitload.compiler.toolkit import Nvrtc

    # What the bindings take and give, an nvrtcProgram among others: they have no types for it.
    Program = Any

MISSING = (
    "NVRTC is not installed, so nothing can be compiled here: pip install 'jitload[cu12]' (or 'jitload[cu13]'), "
    "or bring what was compiled elsewhere in a cache or a bundle"
)
FORKED = (
    "this process was forked while another thread of its parent was at work with NVRTC, whose locks nobody gives back "
    "here: compile with isolate=True, compile before the fork, or start processes with multiprocessing's 'spawn'"
)

#: With one of these the working directory is written into what NVRTC gives: LTO-IR, and debug information.
_TELLING = frozenset(
    {"--dlink-time-opt", "-dlto", "--device-debug", "-G", "--generate-line-info", "-lineinfo", "--lineinfo"}
)
#: What is going on inside NVRTC. In a child with `calls.torn` it is not called.
calls = forks.Calls()


class Run(NamedTuple):
    """One program to be compiled for one arch, as NVRTC is given it, and a process of its own is sent it.

    Attributes:
        source: CUDA C++ text.
        name: the program name.
        headers: include name -> text; NVRTC finds no other.
        options: NVRTC options without arch and kind.
        kind: cubin, ptx or ltoir.
        arch: "sm_90" or "compute_90".
        names: C++ name expressions.
        seed: what NVRTC makes names of that no other program may have (`--frandom-seed`, since 12.9); else it takes
            the time and the process id where the program has no external symbol.
    """

    source: bytes
    name: str
    headers: Mapping[str, bytes]
    options: tuple[str, ...]
    kind: Kind
    arch: str
    names: tuple[str, ...] = ()
    seed: str = ""


class NvrtcFailure(Exception):  # noqa: N818 - never leaves the compiler: `program.py` makes it a CompileError
    """NVRTC refused the program; the log says why, in virtual names."""

    def __init__(self, status: str, log: str) -> None:
        super().__init__(status)
        self.status = status
        self.log = log


class Output:
    """What NVRTC gave: the image, the PTX beside it, the lowered names and the log; and the spills that it tells of."""

    def __init__(self, image: bytes, ptx: str, lowered: dict[str, str], log: str) -> None:
        self.image = image
        self.ptx = ptx
        self.lowered = lowered
        self.log = log
        self.spilled: dict[str, tuple[int, int]] = {}  # symbol -> bytes of spill stores and of spill loads


def bindings() -> ModuleType:
    """The NVRTC bindings, bound to the library that the key was made with.

    Raises:
        CompileError: there is no NVRTC, the process has loaded another one since, or it was forked from one in which
            NVRTC was at work.
    """
    if calls.torn:
        raise CompileError(FORKED)
    return _loaded()


@functools.cache
def _loaded() -> ModuleType:
    found = toolkit.find_nvrtc()
    if found is None:
        raise CompileError(MISSING)
    return _import_bindings(found)


def _import_bindings(found: Nvrtc) -> ModuleType:
    try:
        _load(found)
        nvrtc = import_module("cuda.bindings.nvrtc")
        loaded = import_module("cuda.pathfinder").load_nvidia_dynamic_lib("nvrtc").abs_path
    except ImportError as error:
        raise CompileError(
            f"NVRTC is at {found.library} but its Python bindings are missing ({error}): "
            f"pip install 'jitload[cu{found.major}]'"
        ) from None
    except (OSError, AttributeError, RuntimeError) as error:  # the last: pathfinder finds none for these bindings
        raise CompileError(f"NVRTC at {found.library} cannot be loaded: {error}") from None
    if loaded is not None and os.path.realpath(loaded) != os.path.realpath(found.library):
        raise CompileError(
            f"this process has loaded another NVRTC ({loaded}) than the one that kernels are keyed by "
            f"({found.library}): import jitload and compile before what loads it, or remove one of the two"
        )
    return nvrtc


def _load(found: Nvrtc) -> None:
    """Load NVRTC by its path, so that the bindings find this very file, and the library of built-ins beside it.

    NVRTC opens that one by its bare name at the first compile. 13.0 has no RUNPATH and so does not find it in its own
    directory, and where LD_LIBRARY_PATH has another of that name, the others take that one. What is loaded already is
    what they get.

    Raises:
        OSError: a library cannot be loaded.
    """
    library = ctypes.CDLL(found.library, mode=os.RTLD_NOW | os.RTLD_GLOBAL)
    major, minor = ctypes.c_int(), ctypes.c_int()
    if library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)) != 0:
        return
    name = f"libnvrtc-builtins.so.{major.value}.{minor.value}"
    for directory in dict.fromkeys((os.path.dirname(found.library), os.path.dirname(os.path.realpath(found.library)))):
        if os.path.isfile(path := os.path.join(directory, name)):
            ctypes.CDLL(path, mode=os.RTLD_NOW)
            return


def supported_archs() -> tuple[int, ...]:
    """The compute capabilities this NVRTC compiles for, as 75, 80, ... (nvrtcGetSupportedArchs)."""
    with calls:
        return tuple(int(number) for number in invoke("nvrtcGetSupportedArchs"))


def compile_program(run: Run) -> Output:
    """Compile one program for one arch (nvrtcCompileProgram).

    Raises:
        NvrtcFailure: the program does not compile.
        CompileError: NVRTC is missing or failed otherwise.
    """
    with calls, _program(run) as program:
        for expression in run.names:
            invoke("nvrtcAddNameExpression", program, expression.encode())
        log = _run(program, [*run.options, *_flags(run.kind, run.arch)], run.seed)
        lowered = {e: invoke("nvrtcGetLoweredName", program, e.encode()).decode() for e in run.names}
        ptx = _text(program, "nvrtcGetPTX") if run.kind is not Kind.LTOIR else ""
        return Output(_image(program, run.kind, ptx), ptx, lowered, log)


def precompile_headers(run: Run, path: str) -> bool:
    """Write a precompiled header (--create-pch) of the directives at the top of a program.

    It is of use to this process alone: NVRTC maps it to the addresses of the heap that it came from. A heap that is too
    small is grown once; the precompiled headers made before that are then lost (12.9 says so in the log of their use).

    Args:
        run: the directives as a program; its names and its seed do not count.
        path: the file to write.

    Returns:
        False when NVRTC made none.

    Raises:
        NvrtcFailure: the program does not compile.
        CompileError: NVRTC is missing or failed otherwise.
    """
    flags = [*run.options, *_flags(run.kind, run.arch), f"--create-pch={path}", "--pch-messages=false"]
    for _ in range(2):
        with calls, _program(run) as program:
            _run(program, flags)
            results = bindings().nvrtcResult
            (status,) = bindings().nvrtcGetPCHCreateStatus(program)
            if status != results.NVRTC_ERROR_PCH_CREATE_HEAP_EXHAUSTED:
                return bool(status == results.NVRTC_SUCCESS)
            required_bytes = int(invoke("nvrtcGetPCHHeapSizeRequired", program))
        with calls:
            invoke("nvrtcSetPCHHeapSize", required_bytes)
    return False


@contextmanager
def _program(run: Run) -> Iterator[Program]:
    headers = run.headers
    program = invoke("nvrtcCreateProgram", run.source, run.name.encode(), len(headers), *_columns(headers))
    try:
        yield program
    finally:
        bindings().nvrtcDestroyProgram(program)


def _flags(kind: Kind, arch: str) -> list[str]:
    target = virtual_arch(arch) if kind is Kind.PTX else arch
    flags = [f"--gpu-architecture={target}", "--no-source-include"]
    return [*flags, "--dlink-time-opt"] if kind is Kind.LTOIR else flags


def _run(program: Program, flags: list[str], seed: str = "") -> str:
    """Compile; the log, in virtual names."""
    nvrtc = bindings()
    own = {"--no-cache": "--no-cache"}  # NVRTC keeps results on the disk by itself; one cache with one key is enough
    if seed:
        own["--frandom-seed"] = f"--frandom-seed={seed}"
    given = [*flags, *(flag for name, flag in own.items() if name not in _unknown_to(nvrtc))]
    encoded = [flag.encode() for flag in given]

    def compile_it() -> tuple[Program]:
        return nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)  # type: ignore[no-any-return]

    (status,) = compile_it() if _TELLING.isdisjoint(given) else call_in_root(compile_it)
    log = _text(program, "nvrtcGetProgramLog")
    unknown = [name for name, flag in own.items() if f"unrecognized option {flag}" in log]
    if unknown:
        _unknown_to(nvrtc).update(unknown)
        return _run(program, flags, seed)
    if status == nvrtc.nvrtcResult.NVRTC_ERROR_BUILTIN_OPERATION_FAILURE:
        found = toolkit.find_nvrtc()
        raise CompileError(
            f"NVRTC at {found and found.library} cannot use its library of built-ins ({status.name}: {log.strip()}): "
            f"libnvrtc-builtins.so belongs beside it; install both anew"
        )
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise NvrtcFailure(status.name, log)
    return log


@functools.cache
def _unknown_to(nvrtc: ModuleType) -> set[str]:  # noqa: ARG001 - each has a set of its own
    """The names of our own options that an NVRTC has refused: 12.8 and older have neither a cache nor a seed."""
    return set()


def _columns(headers: Mapping[str, bytes]) -> tuple[list[bytes], list[bytes]]:
    return list(headers.values()), [name.encode("utf-8", "surrogateescape") for name in headers]


def _image(program: Program, kind: Kind, ptx: str) -> bytes:
    if kind is Kind.PTX:
        return ptx.encode()  # without NVRTC's NUL: it is text, and the loaders add theirs
    function = "nvrtcGetCUBIN" if kind is Kind.CUBIN else "nvrtcGetLTOIR"
    image = _bytes(program, function)
    if not image:
        raise CompileError(f"NVRTC gave no {kind.value} for this arch and said nothing")
    return image


def _text(program: Program, function: str) -> str:
    return _bytes(program, function).rstrip(b"\0").decode("utf-8", "replace")


def _bytes(program: Program, function: str) -> bytes:
    size = int(invoke(f"{function}Size", program))
    # Not bytes(size): the interpreter shares the empty and the one-byte object, and NVRTC writes into what it gets.
    buffer = b"\0" * max(size, 2)
    invoke(function, program, buffer)
    return buffer[:size]


def invoke(function: str, *arguments: object) -> Program:
    """One NVRTC call; its single result, or the tuple of them."""
    nvrtc = bindings()
    try:
        status, *results = getattr(nvrtc, function)(*arguments)
    except (RuntimeError, AttributeError) as error:
        raise CompileError(f"{function} is not in this NVRTC: {error}") from None
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise CompileError(f"{function} failed: {status.name}")
    return results[0] if len(results) == 1 else tuple(results)
