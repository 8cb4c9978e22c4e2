"""Where packages and installed toolkits put the libraries and the headers of CUDA.

Component by component: packages first, because the extras of jitload install them, then installed toolkits, for what no
package brings. Nothing of another major version of CUDA is taken.
"""

from __future__ import annotations

import os

from jitload.files.regular import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What packages install (CUDA 12: one directory per component; CUDA 13: one tree), relative to a site directory.
_PACKAGE_LIBRARIES = {
    12: {"nvrtc": "nvidia/cuda_nvrtc/lib", "nvfatbin": "nvidia/nvfatbin/lib", "nvJitLink": "nvidia/nvjitlink/lib"},
    13: dict.fromkeys(("nvrtc", "nvfatbin", "nvJitLink"), "nvidia/cu13/lib"),
}
_PACKAGE_ARCHIVES = {12: "nvidia/cuda_runtime/lib", 13: "nvidia/cu13/lib"}
_PACKAGE_HEADERS = {
    12: (
        ("cuda", "nvidia/cuda_runtime/include"),
        ("cccl", "nvidia/cuda_cccl/include"),
        ("nvcc", "nvidia/cuda_nvcc/include"),
        ("curand", "nvidia/curand/include"),
    ),
    13: (("cuda", "nvidia/cu13/include"), ("cccl", "nvidia/cu13/include/cccl")),
}
#: Where an installed toolkit has them, relative to it or to its part for this machine.
_ARM, _X86 = ("targets/sbsa-linux", "targets/aarch64-linux"), ("targets/x86_64-linux",)
_TARGETS = _ARM if os.uname().machine == "aarch64" else _X86
_TOOLKIT_LIBRARIES = ("lib64", "lib", *(f"{target}/lib" for target in _TARGETS))
_TOOLKIT_HEADERS = (("cuda", "include"), ("cccl", "include/cccl"))
#: The majors that are known, the newest first.
MAJORS = tuple(sorted(_PACKAGE_LIBRARIES, reverse=True))
#: What tells the CUDA version of a directory of headers: a macro, what it is divided by, and what its major then lacks.
#: It is 12090 for 12.9 in the first two; CCCL 2 came with CUDA 12, and 3 with 13.
_VERSIONS = (
    ("cuda.h", b"CUDA_VERSION", 1000, 0),
    ("cuda_runtime_api.h", b"CUDART_VERSION", 1000, 0),
    ("cuda/std/__cccl/version.h", b"CCCL_VERSION", 1_000_000, 10),
)
#: The majors of CCCL that say which CUDA they came with.
_CCCL_MAJORS = (2, 3)


def find_libraries(
    name: str, majors: Iterable[int], sites: Iterable[str], toolkits: Iterable[str]
) -> Iterator[tuple[str, int]]:
    """(path, major) of every installed library of a name, those of packages first.

    Args:
        name: "nvrtc", "nvfatbin" or "nvJitLink".
        majors: versions of CUDA, in order of preference.
        sites: directories of packages.
        toolkits: directories of installed toolkits.
    """
    for major in majors:
        relative = _PACKAGE_LIBRARIES.get(major, {}).get(name)
        for place in [] if relative is None else [os.path.join(site, relative) for site in sites]:
            if _is_usable(path := os.path.join(place, f"lib{name}.so.{major}")):
                yield path, major
    for base in toolkits:
        for major in majors:
            for directory in _TOOLKIT_LIBRARIES:
                if _is_usable(path := os.path.join(base, directory, f"lib{name}.so.{major}")):
                    yield os.path.realpath(path), major


def find_archive(name: str, majors: Iterable[int], sites: Iterable[str], toolkits: Iterable[str]) -> str | None:
    """The first installed static library of a file name, those of packages first; or None.

    Args:
        name: "libcudadevrt.a".
        majors: versions of CUDA, in order of preference.
        sites: directories of packages.
        toolkits: directories of installed toolkits.
    """
    packages = [_PACKAGE_ARCHIVES[major] for major in majors if major in _PACKAGE_ARCHIVES]
    directories = [os.path.join(site, relative) for relative in packages for site in sites]
    directories += [os.path.join(base, relative) for base in toolkits for relative in _TOOLKIT_LIBRARIES]
    return next(filter(_is_usable, [os.path.join(directory, name) for directory in directories]), None)


def find_headers(major: int, sites: Iterable[str], toolkits: Iterable[str]) -> list[tuple[str, str]]:
    """(component, directory) of the headers of CUDA, in order of search; a component comes once for each place.

    Args:
        major: version of CUDA.
        sites: directories of packages.
        toolkits: directories of installed toolkits.
    """
    found: dict[tuple[int, int], tuple[str, str]] = {}  # a directory by two paths is one
    for name, path in _package_headers(major, sites):
        found.setdefault(_identity(path), (name, path))
    from_packages = len(found)
    for name, path in _toolkit_headers(major, toolkits):
        # A toolkit in /usr shares its directory with the C library. Beside packages that would do more harm than good:
        # an `#include <stdint.h>` for other compilers, which NVRTC passes over, would become a part of the program.
        if not from_packages or not os.path.isfile(os.path.join(path, "stdio.h")):
            found.setdefault(_identity(path), (name, path))
    return list(found.values())


def _package_headers(major: int, sites: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those in packages. CUDA 11 used the directories of CUDA 12."""
    for site in sites:
        for name, relative in _PACKAGE_HEADERS.get(major, ()):
            path = os.path.join(site, relative)
            if os.path.isdir(path) and headers_major(path) in {None, major}:
                yield name, path


def _toolkit_headers(major: int, toolkits: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of installed toolkits of this version; the first of its directories that says one decides."""
    for base in toolkits:
        found = [
            (name, path)
            for tree in ("", *_TARGETS)
            for name, relative in _TOOLKIT_HEADERS
            if os.path.isdir(path := os.path.join(base, tree, relative))
        ]
        if next(filter(None, [headers_major(path) for _, path in found]), major) == major:
            yield from found


def headers_major(directory: str) -> int | None:
    """Major version of the CUDA whose headers these are, or None where they do not say."""
    for name, macro, divisor, offset in _VERSIONS:
        try:
            with open_regular(os.path.join(directory, name)) as file:
                number = _number_of(macro, file.read(1 << 16))
        except OSError:
            continue
        major = number // divisor
        if major in _CCCL_MAJORS if offset else major:
            return major + offset
    return None


def _number_of(macro: bytes, text: bytes) -> int:
    """The number that a header defines a macro as, or 0. No pattern is made for it: a hit with headers asks."""
    at = text.find(macro)
    while at >= 0:
        line = text[text.rfind(b"\n", 0, at) + 1 : at + 80].partition(b"\n")[0]
        words = line.split()
        if words[:2] == [b"#define", macro] and words[2:] and words[2].isdigit():
            return int(words[2])
        at = text.find(macro, at + 1)
    return 0


def _identity(directory: str) -> tuple[int, int]:
    status = os.stat(directory)
    return status.st_dev, status.st_ino


def _is_usable(library: str) -> bool:
    """Whether a library can be read, and be seen what lies beside it."""
    try:  # os.access would answer for the real user, without the capabilities that the effective one may have
        if os.path.isfile(library):
            os.close(os.open(library, os.O_RDONLY | os.O_CLOEXEC))
            os.scandir(os.path.dirname(library)).close()
            return True
    except OSError:
        pass  # of another user
    return False
