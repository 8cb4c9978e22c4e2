"""Where the compiler and the toolkit's headers are, and what exactly that compiler is.

Nothing here loads a library: a hit must not need NVRTC. The packages from PyPI are looked at first, because the extras
of jitload install them; then an installed CUDA toolkit (`CUDA_HOME`, `CUDA_PATH`, /usr/local/cuda).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys

from jitload import config
from jitload.artifact import Toolchain
from jitload.compiler import memo
from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Stamp = tuple[int, int, int, int, int]

#: What the extras install (CUDA 12: one package per component; CUDA 13: one tree), relative to a site directory.
_WHEEL_LIBRARIES = {12: "nvidia/cuda_nvrtc/lib/libnvrtc.so.12", 13: "nvidia/cu13/lib/libnvrtc.so.13"}
_WHEEL_HEADERS = {
    12: (
        ("cuda", "nvidia/cuda_runtime/include"),
        ("cccl", "nvidia/cuda_cccl/include"),
        ("nvcc", "nvidia/cuda_nvcc/include"),
        ("curand", "nvidia/curand/include"),
    ),
    13: (("cuda", "nvidia/cu13/include"), ("cccl", "nvidia/cu13/include/cccl")),
}
_SYSTEM_HEADERS = (("cuda", "include"), ("cccl", "include/cccl"))


class Nvrtc(Value):
    """An NVRTC on this machine.

    Attributes:
        library: path of libnvrtc.
        major: its major version.
    """

    __slots__ = ("library", "major")
    library: str
    major: int

    def __init__(self, library: str, major: int) -> None:
        self._set(library=library, major=major)

    def files(self, *, fatbin: bool = False) -> list[str]:
        """The files whose bytes decide what it produces: the library, its built-in headers, and nvFatbin."""
        directory = os.path.dirname(self.library)
        builtins = sorted(name for name in os.listdir(directory) if name.startswith("libnvrtc-builtins.so"))
        packer = f"libnvfatbin.so.{self.major}"
        places = (directory, os.path.join(directory, "../../nvfatbin/lib")) if fatbin else ()
        found = [path for place in places if os.path.isfile(path := os.path.join(place, packer))]
        return [self.library, *(os.path.join(directory, name) for name in builtins), *found[:1]]


_nvrtc: Nvrtc | bool | None = False  # False: not looked for yet
_toolchains: dict[tuple[Stamp, ...], Toolchain] = {}
_roots: dict[tuple[object, ...], tuple[tuple[str, str], ...]] = {}


def find_nvrtc() -> Nvrtc | None:
    """The NVRTC that a compile in this process would use, or None. Looked for once per process."""
    global _nvrtc
    if isinstance(_nvrtc, bool):
        _nvrtc = _mapped_nvrtc() or next(_installed_nvrtc(), None)
    return _nvrtc


def toolkit_roots() -> tuple[tuple[str, str], ...]:
    """(id, directory) of the toolkit's headers, in order of search; empty where no compiler is."""
    nvrtc = find_nvrtc()
    if nvrtc is None:
        return ()  # headers that happen to lie here are not those of the compiler that made what is in a cache
    major = nvrtc.major
    home = config.current().cuda_home
    state = (major, home, tuple(sys.path))
    if state not in _roots:
        found = [
            (name, path)
            for site in _sites()
            for name, relative in _WHEEL_HEADERS.get(major, ())
            if os.path.isdir(path := os.path.join(site, relative))
        ]
        if not found:
            found = [
                (name, path)
                for base in _cuda_homes()
                if _toolkit_major(base) in {None, major}  # headers of another CUDA than the compiler's do not fit it
                for name, relative in _SYSTEM_HEADERS
                if os.path.isdir(path := os.path.join(base, relative))
            ]
        _roots[state] = tuple({f"toolkit/{name}": path for name, path in reversed(found)}.items())[::-1]
    return _roots[state]


def toolchain(memo_dir: str | None = None, *, fatbin: bool = False) -> Toolchain | None:
    """The identity of `find_nvrtc()` (with nvFatbin, for that kind), or None where there is none.

    Hashing NVRTC takes about 0.2 s, so the result is remembered by the libraries' stamps: in this process, and in
    `memo_dir` (the private cache directory) when it is given.
    """
    nvrtc = find_nvrtc()
    if nvrtc is None:
        return None
    files = nvrtc.files(fatbin=fatbin)
    stamps = tuple([file_stamp(os.stat(path)) for path in files])
    known = _toolchains.get(stamps) or memo.recall(memo_dir, stamps)
    if known is None:
        known = Toolchain("nvrtc", nvrtc_version(nvrtc), _digest_files(files))
        memo.note(memo_dir, stamps, known)
    _toolchains[stamps] = known
    return known


def nvrtc_version(nvrtc: Nvrtc) -> str:
    """Version with build number, e.g. "12.9.86": from the package's metadata, else from the file's real name."""
    site = nvrtc.library.split("/nvidia/")[0]
    package = re.compile(rf"nvidia_cuda_nvrtc(_cu{nvrtc.major})?-({nvrtc.major}\.[0-9.]+)\.dist-info\Z")
    if "/nvidia/" in nvrtc.library and os.path.isdir(site):
        for name in os.listdir(site):
            if match := package.match(name):
                return match[2]
    real = re.search(r"\.so\.([0-9.]+)\Z", os.path.realpath(nvrtc.library))
    return real[1] if real else str(nvrtc.major)


def file_stamp(status: os.stat_result) -> Stamp:
    """What tells a file from its earlier or later self without reading it."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _mapped_nvrtc() -> Nvrtc | None:
    """An NVRTC that something else in this process has loaded already: it will be the one that compiles."""
    try:
        with open("/proc/self/maps", "rb") as file:
            maps = file.read()
    except OSError:
        return None
    if b"/libnvrtc.so." not in maps:
        return None
    # Address, rights, offset, device, inode, then the path, which may hold blanks (proc_pid_maps(5)).
    match = re.search(rb"^(?:\S+[ ]+){5}(/.*/libnvrtc\.so\.([0-9]+)[0-9.]*)$", maps, re.MULTILINE)
    return Nvrtc(os.fsdecode(match[1]), int(match[2])) if match else None


def _installed_nvrtc() -> Iterator[Nvrtc]:
    bindings = _bindings_major()
    majors = [bindings] if bindings else sorted(_WHEEL_LIBRARIES, reverse=True)
    for major in majors:
        for site in _sites():
            relative = _WHEEL_LIBRARIES.get(major)
            if relative and os.path.isfile(path := os.path.join(site, relative)):
                yield Nvrtc(path, major)
    for base in _cuda_homes():
        for major in majors:
            for directory in ("lib64", "lib", "targets/x86_64-linux/lib"):
                if os.path.isfile(path := os.path.join(base, directory, f"libnvrtc.so.{major}")):
                    yield Nvrtc(os.path.realpath(path), major)


def _bindings_major() -> int | None:
    """Major version of the installed cuda-bindings, without importing them (80 ms)."""
    for site in _sites():
        path = os.path.join(site, "cuda", "bindings", "_version.py")
        try:
            with open(path, encoding="utf-8") as file:
                version = file.read().partition("version = '")[2].partition(".")[0]
        except OSError:
            continue
        if version.isdecimal():
            return int(version)
    return None


def _sites() -> list[str]:
    return [path for path in dict.fromkeys(sys.path) if path]


def _cuda_homes() -> list[str]:
    home = config.current().cuda_home
    return [path for path in (home, "/usr/local/cuda") if path]


def _toolkit_major(base: str) -> int | None:
    """Major version of an installed toolkit, from its cuda.h (`#define CUDA_VERSION 12090`)."""
    try:
        with open(os.path.join(base, "include", "cuda.h"), "rb") as file:
            match = re.search(rb"#define CUDA_VERSION (\d+)\d{3}\b", file.read(1 << 20))
    except OSError:
        return None
    return int(match[1]) if match else None


def _digest_files(paths: list[str]) -> str:
    digest = hashlib.sha256(usedforsecurity=False)
    for path in paths:
        digest.update(f"{os.path.basename(path)}:{os.path.getsize(path)}\n".encode())
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
