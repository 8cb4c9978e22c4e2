"""The only importer of the nvJitLink bindings: images in, one image out. Its status codes and errors become ours here.

It is no library to run in a process that matters (measured on 12.9.86): one bit of an LTO-IR image that is changed ends
the process with exit code 1, and after a link that left a function undefined, a link of two PTX texts that define the
same function ends it with SIGSEGV. So links are made in a child (link.py); what a driver asks for (cuda/linker.py) is
one verified image, and stays in the process.
"""

from __future__ import annotations

import ctypes
import os
import re
from importlib import import_module
from typing import TYPE_CHECKING

from jitload.compiler import memo
from jitload.compiler.toolkit import digest_files, find_library
from jitload.files.regular import file_stamp
from jitload.settings.scope import session_part
from jitload.values import Toolchain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from jitload.files.regular import Stamp

    #: What it is (source/link.py, `INPUT_TYPES`), its bytes, and what the log calls it.
    Input = tuple[str, bytes, str]

LINKER_MISSING = (
    "nvJitLink is not installed, so nothing can be linked here: pip install 'jitload[cu12]' (or 'jitload[cu13]'), "
    "or bring what was linked elsewhere in a cache or a bundle"
)
_PACKAGE = re.compile(r"nvidia_nvjitlink(?:_cu\d+)?-([0-9.]+)\.dist-info\Z")


class LinkerMissing(Exception):  # noqa: N818 - never leaves: it becomes a LinkError or a LoadError
    """There is no nvJitLink, or no bindings for it."""


class LinkerRefused(Exception):  # noqa: N818 - never leaves: it becomes a LinkError or a LoadError
    """nvJitLink did not link; the log says why."""

    def __init__(self, status: str, log: str) -> None:
        super().__init__(status)
        self.status = status
        self.log = log


class _Known(dict["Stamp", Toolchain]):
    """What a session knows of linkers: stamp of the library -> its identity."""


def linker_toolchain(memo_dir: str | None = None) -> Toolchain | None:
    """The identity of the nvJitLink that a link would use, or None where there is none. It is not loaded for that.

    Args:
        memo_dir: where the digest of the library is remembered.
    """
    path = find_library("nvJitLink")
    if path is None:
        return None
    stamp, session = file_stamp(os.stat(path)), session_part(_Known)
    known = session.get(stamp) or memo.recall(memo_dir, (stamp,))
    if known is None:
        known = Toolchain("nvjitlink", _version(path), digest_files([path]))
        memo.note(memo_dir, (stamp,), known)
    session[stamp] = known
    return known


def link_images(
    inputs: Iterable[Input], options: Iterable[str], *, to: str = "cubin", library: str | None = None
) -> tuple[bytes, str]:
    """Link images to one.

    Args:
        inputs: what to link, in order.
        options: of nvJitLink, with the arch.
        to: "cubin" or "ptx".
        library: path of the library; default: the one that is found.

    Returns:
        The image, and what nvJitLink had to say.

    Raises:
        LinkerMissing: it is not installed.
        LinkerRefused: it does not link.
    """
    nvjitlink = _bindings(library or find_library("nvJitLink"))
    given, handle = list(options), 0
    try:
        handle = nvjitlink.create(len(given), given)
        for kind, data, name in inputs:
            nvjitlink.add_data(handle, getattr(nvjitlink.InputType, kind.upper()), data, len(data), name)
        nvjitlink.complete(handle)
        image = bytearray(getattr(nvjitlink, f"get_linked_{to}_size")(handle))
        getattr(nvjitlink, f"get_linked_{to}")(handle, image)
        said = _log(nvjitlink, handle, "info")
    except nvjitlink.nvJitLinkError as error:
        raise LinkerRefused(str(error), _log(nvjitlink, handle, "error") if handle else "") from error
    except RuntimeError as error:  # the bindings' way to say that libnvJitLink.so is missing
        raise LinkerMissing(str(error)) from error
    finally:
        if handle:
            nvjitlink.destroy(handle)
    return (bytes(image).rstrip(b"\0") if to == "ptx" else bytes(image)), said


def _bindings(library: str | None) -> ModuleType:
    """The nvJitLink bindings, with the library loaded: they look for a package of it in the interpreter's site only."""
    try:
        if library is not None:
            ctypes.CDLL(library, mode=os.RTLD_NOW | os.RTLD_GLOBAL)
        return import_module("cuda.bindings.nvjitlink")
    except OSError as error:
        raise LinkerMissing(f"nvJitLink at {library} cannot be loaded: {error}") from error
    except ImportError as error:
        raise LinkerMissing("no nvJitLink bindings") from error


def _log(nvjitlink: ModuleType, handle: int, which: str) -> str:
    try:
        size = getattr(nvjitlink, f"get_{which}_log_size")(handle)
        if size <= 1:  # an empty log is its NUL
            return ""
        log = bytearray(size)
        getattr(nvjitlink, f"get_{which}_log")(handle, log)
    except nvjitlink.nvJitLinkError:
        return ""
    return log.partition(b"\0")[0].decode(errors="replace").strip()


def _version(path: str) -> str:
    """Version with build number: from the package's metadata, else from the file's real name."""
    site = path.split("/nvidia/", maxsplit=1)[0]
    if "/nvidia/" in path and os.path.isdir(site):
        for name in os.listdir(site):
            if match := _PACKAGE.match(name):
                return match[1]
    real = re.search(r"\.so\.([0-9.]+)\Z", os.path.realpath(path))
    return real[1] if real else "0"
