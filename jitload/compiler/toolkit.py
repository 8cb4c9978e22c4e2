"""Where the compiler and the toolkit's headers are, and what exactly that compiler is.

Nothing here loads a library: a hit must not need NVRTC. The packages on the path are looked at first, then an installed
CUDA toolkit (`CUDA_HOME`, `CUDA_PATH`, /usr/local/cuda).
"""

from __future__ import annotations

import os
import sys

from jitload import config
from jitload.compiler import memo, places
from jitload.digest import sha256_parts
from jitload.files.regular import file_stamp
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.settings.scope import session_part
from jitload.values import Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from jitload.files.regular import Stamp
else:
    re = lazy("re")  # a hit needs no pattern


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
        builtins = sorted(name for name in _listed(directory) if name.startswith("libnvrtc-builtins.so"))
        packer = self.packer() if fatbin else None
        return [self.library, *(os.path.join(directory, name) for name in builtins), *([packer] if packer else ())]

    def packer(self) -> str | None:
        """The nvFatbin that goes with it: the one beside it, else the first that is installed."""
        name = f"libnvfatbin.so.{self.major}"
        directory = os.path.dirname(self.library)
        beside = [os.path.join(directory, name), os.path.join(directory, "../../nvfatbin/lib", name)]
        return next(filter(os.path.isfile, beside), None) or find_library("nvfatbin", self.major)


class _Found:
    """What a session knows of compilers.

    Attributes:
        nvrtc: the one in use; False where it was not looked for yet.
        toolchains: stamps of libraries -> their identity.
        roots: what the search depends on -> `toolkit_roots()`.
    """

    def __init__(self) -> None:
        self.nvrtc: Nvrtc | bool | None = False
        self.toolchains: dict[tuple[Stamp, ...], Toolchain] = {}
        self.roots: dict[tuple[object, ...], tuple[tuple[str, str], ...]] = {}


def find_nvrtc() -> Nvrtc | None:
    """The NVRTC that a compile would use, or None. Looked for once per session."""
    found = session_part(_Found)
    if isinstance(found.nvrtc, bool):
        found.nvrtc = mapped_nvrtc() or next(_installed_nvrtc(), None)
    return found.nvrtc


def use_nvrtc(nvrtc: Nvrtc) -> None:
    """Compile with this one: a child's must be its parent's, which may have found it loaded."""
    session_part(_Found).nvrtc = nvrtc


def find_library(name: str, major: int | None = None) -> str | None:
    """The path of a library of CUDA: in a package, else in an installed toolkit; or None.

    Args:
        name: "nvrtc", "nvfatbin" or "nvJitLink".
        major: of CUDA; default: of the installed bindings.
    """
    wanted = major or _bindings_major()
    majors = places.MAJORS if wanted is None else (wanted,)
    return next((path for path, _ in places.find_libraries(name, majors, _sites(), cuda_homes())), None)


def find_archive(name: str) -> str | None:
    """The path of a static library of CUDA, such as "libcudadevrt.a": in a package, else in a toolkit; or None."""
    wanted = _bindings_major()
    majors = places.MAJORS if wanted is None else (wanted,)
    return places.find_archive(name, majors, _sites(), cuda_homes())


def toolkit_roots() -> tuple[tuple[str, str], ...]:
    """(id, directory) of the toolkit's headers, in order of search; empty where no compiler is.

    Packages come first, then installed toolkits, so that whatever no package brings comes from there. An id may have
    several directories (`roots.py` says how they go together).
    """
    nvrtc = find_nvrtc()
    if nvrtc is None:
        return ()  # headers that happen to lie here are not those of the compiler that made what is in a cache
    state = (nvrtc.major, config.current().cuda_home, tuple(sys.path))
    known = session_part(_Found).roots
    if state not in known:
        found = places.find_headers(nvrtc.major, _sites(), cuda_homes())
        known[state] = tuple((f"toolkit/{name}", path) for name, path in found)
    return known[state]


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
    toolchains = session_part(_Found).toolchains
    known = toolchains.get(stamps) or memo.recall(memo_dir, stamps)
    if known is None:
        known = Toolchain("nvrtc", nvrtc_version(nvrtc), digest_files(files))
        memo.note(memo_dir, stamps, known)
    toolchains[stamps] = known
    return known


def nvrtc_version(nvrtc: Nvrtc) -> str:
    """Version with build number, e.g. "12.9.86": from the package's metadata, else from the file's real name."""
    site = nvrtc.library.split("/nvidia/")[0]
    package = re.compile(rf"nvidia_cuda_nvrtc(_cu{nvrtc.major})?-({nvrtc.major}\.[0-9.]+)\.dist-info\Z")
    if "/nvidia/" in nvrtc.library and os.path.isdir(site):
        for name in _listed(site):
            if match := package.match(name):
                return match[2]
    real = re.search(r"\.so\.([0-9.]+)\Z", os.path.realpath(nvrtc.library))
    return real[1] if real else str(nvrtc.major)


def mapped_nvrtc() -> Nvrtc | None:
    """An NVRTC that something else in this process has loaded already: it will be the one that compiles."""
    try:
        with open("/proc/self/maps", "rb") as file:
            maps = file.read()
    except OSError:
        return None
    if b"/libnvrtc.so." not in maps:
        return None
    bindings = _bindings_major()  # they would not take one of another major version
    # Address, rights, offset, device, inode, then the path, which may hold blanks (proc_pid_maps(5)).
    for match in re.finditer(rb"^(?:\S+[ ]+){5}(/.*/libnvrtc\.so\.([0-9]+)[0-9.]*)$", maps, re.MULTILINE):
        if bindings in {None, int(match[2])}:
            return Nvrtc(os.fsdecode(match[1]), int(match[2]))
    return None


def _installed_nvrtc() -> Iterator[Nvrtc]:
    bindings = _bindings_major()
    majors = places.MAJORS if bindings is None else (bindings,)
    for path, major in places.find_libraries("nvrtc", majors, _sites(), cuda_homes()):
        yield Nvrtc(path, major)


def _bindings_major() -> int | None:
    """Major version of the installed cuda-bindings, without importing them (80 ms)."""
    for site in _sites():
        path = os.path.join(site, "cuda", "bindings", "_version.py")
        try:
            with open(path, encoding="utf-8") as file:
                major = _major_in(file.read())
        except (OSError, ValueError):
            continue
        if major is not None:
            return major
    return None


def _major_in(text: str) -> int | None:
    """The major version in a `_version.py`, which says it as "__version__ = version = '12.9.10'".

    No pattern is made for it: a hit asks.
    """
    for line in text.splitlines():
        names, _, value = line.rpartition(" = ")
        major, dot, _ = value[1:].partition(".")
        if names.endswith(("version", "version__")) and value[:1] in {"'", '"'} and dot and major.isdecimal():
            return int(major)
    return None


def _sites() -> list[str]:
    return [path for path in dict.fromkeys(sys.path) if path]


def cuda_homes() -> list[str]:
    """Where a CUDA toolkit may be installed, in order."""
    home = config.current().cuda_home
    return [path for path in (home, "/usr/local/cuda") if path]


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []  # one that another package has loaded may lie where nothing can be listed


def digest_files(paths: list[str]) -> str:
    """One digest for the bytes of all these files."""
    return sha256_parts(_parts_of(paths)).hex()


def _parts_of(paths: list[str]) -> Iterator[bytes]:
    for path in paths:
        yield f"{os.path.basename(path)}:{os.path.getsize(path)}\n".encode()
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                yield chunk
