"""Several images in one fatbin, by nvFatbin; the only file that knows its functions.

They are called by themselves: cuda-bindings 13.0 has none for them. Their names and types are those of nvFatbin.h, the
same in 12.4 and in 13.x.
"""

from __future__ import annotations

import ctypes
import functools
import os
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_size_t, c_void_p
from typing import TYPE_CHECKING

from jitload import forks
from jitload.compiler import toolkit
from jitload.errors import CompileError
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cuda import pathfinder
else:
    pathfinder = lazy("cuda.pathfinder")

FATBIN_MISSING = (
    "nvFatbin is not installed, so no fatbin can be made here: pip install 'jitload[cu12]' (or 'jitload[cu13]'), "
    "or ask for kind='cubin', one arch at a time"
)
FORKED = (
    "this process was forked while another thread of its parent was at work with nvFatbin, whose locks nobody gives "
    "back here: make fatbins before the fork, or start processes with multiprocessing's 'spawn'"
)
_ARGUMENTS = {
    "nvFatbinCreate": (POINTER(c_void_p), POINTER(c_char_p), c_size_t),
    "nvFatbinDestroy": (POINTER(c_void_p),),
    "nvFatbinAddPTX": (c_void_p, c_char_p, c_size_t, c_char_p, c_char_p, c_char_p),
    "nvFatbinAddCubin": (c_void_p, c_char_p, c_size_t, c_char_p, c_char_p),
    "nvFatbinSize": (c_void_p, POINTER(c_size_t)),
    "nvFatbinGet": (c_void_p, c_char_p),
}

_calls = forks.Calls(short=True)


class _Refused(Exception):  # noqa: N818 - never leaves: it becomes a CompileError
    """A function of nvFatbin gave something other than NVFATBIN_SUCCESS."""


def pack_fatbin(members: Iterable[tuple[str, bytes]]) -> bytes:
    """One fatbin of several images.

    Args:
        members: arch and image: a cubin for "sm_NN", PTX for "compute_NN".

    Raises:
        CompileError: nvFatbin is missing or refuses, or was at work when this process was forked.
    """
    listed = list(members)
    if _calls.torn:
        raise CompileError(FORKED)
    try:
        with _calls, _handle(nvfatbin := _nvfatbin()) as handle:
            for arch, image in listed:
                kind, _, number = arch.partition("_")
                if kind == "sm":
                    _call(nvfatbin, "nvFatbinAddCubin", handle, image, len(image), number.encode(), arch.encode())
                else:
                    text = image + b"\0"  # nvFatbin counts the NUL
                    _call(nvfatbin, "nvFatbinAddPTX", handle, text, len(text), number.encode(), arch.encode(), b"")
            size = c_size_t()
            _call(nvfatbin, "nvFatbinSize", handle, byref(size))
            packed = ctypes.create_string_buffer(size.value)
            _call(nvfatbin, "nvFatbinGet", handle, packed)
    except _Refused as error:
        raise CompileError(f"nvFatbin could not pack {', '.join(arch for arch, _ in listed)}: {error}") from None
    return packed.raw


@contextmanager
def _handle(nvfatbin: ctypes.CDLL) -> Iterator[c_void_p]:
    handle = c_void_p()
    _call(nvfatbin, "nvFatbinCreate", byref(handle), (c_char_p * 1)(b"-64"), 1)
    try:
        yield handle
    finally:
        nvfatbin.nvFatbinDestroy(byref(handle))


def _call(nvfatbin: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(nvfatbin, function)(*arguments)
    if status != 0:
        text = nvfatbin.nvFatbinGetErrorString(status) or b"no text"
        raise _Refused(f"{function}: {text.decode('utf-8', 'replace')} ({status})")


@functools.cache
def _nvfatbin() -> ctypes.CDLL:
    """The library that keys are made with, loaded once."""
    try:
        library = ctypes.CDLL(_path(), mode=os.RTLD_NOW)
        for name, types in _ARGUMENTS.items():
            getattr(library, name).argtypes = types
        library.nvFatbinGetErrorString.restype = c_char_p
    except (
        ImportError,
        OSError,
        AttributeError,
        RuntimeError,
    ) as error:  # the last: pathfinder's DynamicLibNotFoundError
        raise CompileError(FATBIN_MISSING) from error
    return library


def _path() -> str:
    found = toolkit.find_nvrtc()
    packer = None if found is None else found.packer()
    if packer is None:
        packer = pathfinder.load_nvidia_dynamic_lib("nvfatbin").abs_path or "libnvfatbin.so"
    return packer
