"""LTO-IR, and PTX that a driver cannot compile, to a cubin with nvJitLink; no other file knows its status codes."""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING

from jitload import events
from jitload.compiler.toolkit import find_library
from jitload.errors import LoadError

if TYPE_CHECKING:
    from types import ModuleType

_WHAT = {"ltoir": "LTO-IR", "ptx": "PTX", "fatbin": "a fatbin"}


def link_ltoir(data: bytes, arch: str) -> bytes:
    """Link one LTO-IR image.

    Args:
        data: the image, as nvrtcGetLTOIR gave it.
        arch: the arch to link for, e.g. "sm_90".

    Returns:
        The cubin.

    Raises:
        LoadError: nvJitLink is not installed or refused the image; `.log` holds what it said.
    """
    return link_image("ltoir", data, arch)


def link_image(kind: str, data: bytes, arch: str) -> bytes:
    """Link one image to a cubin, whatever the driver knows of it.

    Args:
        kind: "ltoir", "ptx" or "fatbin"; of a fatbin the PTX is taken.
        data: the image.
        arch: the arch to link for, e.g. "sm_90".

    Returns:
        The cubin.

    Raises:
        LoadError: nvJitLink is not installed or refused the image; `.log` holds what it said.
    """
    nvjitlink = _bindings(kind)
    handle, started = 0, perf_counter()
    options = [*(["-lto"] if kind == "ltoir" else []), f"-arch={arch}"]
    try:
        handle = nvjitlink.create(len(options), options)
        nvjitlink.add_data(handle, getattr(nvjitlink.InputType, kind.upper()), data, len(data), "jitload")
        nvjitlink.complete(handle)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
    except nvjitlink.nvJitLinkError as error:
        log = _log(nvjitlink, handle) if handle else ""
        shown = f"\n{log}" if log else ""
        raise LoadError(
            f"cannot link {_WHAT[kind]} for {arch}: nvJitLink says {error}{shown}", kind=kind, log=log
        ) from error
    except RuntimeError as error:  # the bindings' way to say that libnvJitLink.so is missing
        raise LoadError(f"cannot link {_WHAT[kind]}: {error}; {_ways_out(kind)}", kind=kind) from error
    finally:
        if handle:
            nvjitlink.destroy(handle)
    if events.listeners:
        events.tell("link", kind="cubin", arch=arch, seconds=perf_counter() - started)
    return bytes(cubin)


def _bindings(kind: str) -> ModuleType:
    """The nvJitLink bindings, with the library loaded: they look for a package of it in the interpreter's site only."""
    path = find_library("nvJitLink")
    try:
        if path is not None:
            ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_GLOBAL)
        return import_module("cuda.bindings.nvjitlink")
    except OSError as error:
        raise LoadError(f"nvJitLink at {path} cannot be loaded: {error}", kind=kind) from error
    except ImportError as error:
        raise LoadError(f"no nvJitLink bindings: {_ways_out(kind)}", kind=kind) from error


def _ways_out(kind: str) -> str:
    other = "a cubin or PTX instead of LTO-IR" if kind == "ltoir" else "a cubin"
    return f"pip install 'jitload[cu12]' (or cu13), or compile to {other}"


def _log(nvjitlink: ModuleType, handle: int) -> str:
    try:
        size = nvjitlink.get_error_log_size(handle)
        if size <= 1:  # an empty log is its NUL
            return ""
        log = bytearray(size)
        nvjitlink.get_error_log(handle, log)
    except nvjitlink.nvJitLinkError:
        return ""
    return log.partition(b"\0")[0].decode(errors="replace").strip()
