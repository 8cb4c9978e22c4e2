"""The compiler: NVRTC, its bindings, a real compile, the packer, the linker and the toolkit's headers."""

from __future__ import annotations

import ctypes
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.cli.checks.finding import missing, ok, problem
from jitload.cli.checks.sample import PTX
from jitload.compiler import nvrtc, toolkit
from jitload.compiler.fatbin import pack_fatbin
from jitload.compiler.nvjitlink import LinkerMissing
from jitload.cuda.linker import link_anew
from jitload.errors import CompileError, JitloadError, LoadError
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample

#: Component -> a header that must be there, and where in the same directory it says its version.
HEADERS = {
    "cuda": ("cuda_fp16.h", "cuda_runtime_api.h", "CUDART_VERSION"),
    "cccl": ("cub/cub.cuh", "cuda/std/__cccl/version.h", "CCCL_VERSION"),
}


def check_nvrtc(_sample: Sample) -> Finding:
    """Where NVRTC is, and whether its bindings load it."""
    bindings = bindings_version()
    found = toolkit.find_nvrtc()
    if found is None:
        beside = f"; cuda-bindings {bindings} needs the NVRTC of its major version" if bindings else ""
        return missing(f"not found{beside}", f"{pip_command()}; or set CUDA_HOME to a CUDA toolkit", bindings=bindings)
    number = toolkit.nvrtc_version(found)
    details = {"library": found.library, "version": number, "bindings": bindings}
    try:
        nvrtc.bindings()
        archs = nvrtc.supported_archs()
    except CompileError as error:
        return problem(f"{number} at {found.library}, which cannot be used: {error}", pip_command(), **details)
    text = f"{number} at {found.library}, cuda-bindings {bindings}, for sm_{archs[0]} to sm_{archs[-1]}"
    return ok(text, **details, archs=list(archs))


def check_compile(sample: Sample) -> Finding:
    """A tiny kernel compiles to machine code."""
    arch = sample.arch
    try:
        artifact = sample.compile(Kind.CUBIN, arch)
    except CompileError as error:
        if _nvrtc_is_missing():
            return missing("nothing can be compiled without NVRTC", pip_command(), arch=arch)
        return problem(str(error), f"reinstall NVRTC, or get one that knows {arch}: {pip_command('-U')}", arch=arch)
    seconds = artifact.compile_seconds
    return ok(f"a cubin for {arch} in {seconds:.3f} s", arch=arch, bytes=len(artifact.data), seconds=seconds)


def check_nvfatbin(_sample: Sample) -> Finding:
    """An image is packed by nvFatbin; only fatbins need it."""
    try:
        packed = pack_fatbin([("compute_75", PTX.encode() + b"\0")])
    except CompileError as error:
        fix = f"{pip_command()} (needed for kind 'fatbin' only)"
        return missing(f"not found: {_reason(error)}", fix) if _is_absent(error) else problem(str(error), fix)
    return ok(f"{package_version('nvidia-nvfatbin')}, packs a fatbin", bytes=len(packed))


def check_nvjitlink(sample: Sample) -> Finding:
    """A real LTO-IR image is linked by nvJitLink; only loading LTO-IR needs it."""
    fix = f"{pip_command()} (needed to load kind 'ltoir' only)"
    try:
        image = sample.compile(Kind.LTOIR, sample.arch)
    except JitloadError:
        return missing("not tried: there is no LTO-IR to link without a compile", fix)
    try:
        cubin = link_anew("ltoir", image.data, sample.arch)
    except LoadError as error:
        return missing(f"not found: {_reason(error)}", fix) if _is_absent(error) else problem(str(error), fix)
    number = package_version("nvidia-nvjitlink")
    return ok(f"{number}, links LTO-IR for {sample.arch}", bytes=len(cubin), arch=sample.arch)


def check_headers(_sample: Sample) -> Finding:
    """Headers of the CUDA runtime and of CCCL; kernels that include nothing do without."""
    if toolkit.find_nvrtc() is None:
        return missing("not looked for without NVRTC: they belong to it", pip_command())
    searched = [directory for _, directory in toolkit.toolkit_roots()]
    roots: dict[str, str] = {}
    versions: dict[str, object] = {}
    for component, (header, where, macro) in HEADERS.items():
        directory = next((path for path in searched if Path(path, header).is_file()), None)
        if directory is not None:
            roots[component] = directory
            versions[component] = _read_macro(Path(directory, where), macro)
    details: dict[str, object] = {"roots": roots, "searched": searched, "versions": versions}
    absent = [f"<{header}>" for component, (header, _, _) in HEADERS.items() if component not in roots]
    if absent:
        beside = f"; there is {', '.join(searched)}" if searched else ""
        return missing(f"no {', '.join(absent)}{beside}", f"{pip_command()} (for kernels that include them)", **details)
    found = ", ".join(f"{component} {number} at {roots[component]}" for component, number in versions.items())
    nvrtc = toolkit.find_nvrtc()
    if nvrtc is not None and not str(versions["cuda"]).startswith(f"{nvrtc.major}."):
        return problem(f"{found}; they are not those of NVRTC {nvrtc.major}", pip_command(), **details)
    return ok(found, **details)


def bindings_version() -> str | None:
    """The version of cuda-bindings, or None."""
    return _distribution_version("cuda-bindings")


def pip_command(*options: str) -> str:
    """The command that installs everything for the CUDA version that fits this machine."""
    extra = f"cu{_fitting_major()}"
    return " ".join(["pip install", *options, f"'jitload[{extra}]'"])


def package_version(stem: str) -> str:
    """The version of a component's package; its name ends in -cu12 for CUDA 12 and in nothing for 13."""
    fitting = (stem, f"{stem}-cu12") if _fitting_major() == 13 else (f"{stem}-cu12", stem)
    return next((found for name in fitting if (found := _distribution_version(name))), "of an unknown version")


def driver_version() -> tuple[int, int] | None:
    """The CUDA version of the installed driver, or None without one. No GPU and no bindings are needed to ask."""
    number = ctypes.c_int(0)
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return number.value // 1000, number.value % 1000 // 10


def _fitting_major() -> int:
    """What is installed in part decides; then the driver, which cannot load what is newer than itself; then 12."""
    nvrtc, bindings = toolkit.find_nvrtc(), bindings_version()
    if nvrtc is not None:
        return nvrtc.major
    if bindings is not None:
        return int(bindings.partition(".")[0])
    driver = driver_version()
    return 13 if driver is not None and driver >= (13, 0) else 12


def _nvrtc_is_missing() -> bool:
    return toolkit.find_nvrtc() is None


def _is_absent(error: BaseException) -> bool:
    """Whether an error says that a package or its library is not there, rather than that it failed."""
    cause = error.__cause__
    known = isinstance(cause, (ImportError, OSError, LinkerMissing))
    return known or (cause is not None and "NotFound" in type(cause).__name__)


def _reason(error: BaseException) -> str:
    """The first line of what an error came from."""
    line = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
    return line.partition(": No such file")[0]  # what follows names every place that was looked at


def _distribution_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _read_macro(header: Path, macro: str) -> str:
    """The version in a header, e.g. 12.9 for 12090 (CUDA) and 2.8.2 for 2008002 (CCCL)."""
    try:
        text = header.read_text("utf-8", "replace")
    except OSError:
        return "of an unknown version"
    match: Sequence[str] | None = re.findall(rf"#\s*define\s+{macro}\s+([0-9]+)", text)
    if not match:
        return "of an unknown version"
    number = int(match[0])
    if macro == "CUDART_VERSION":
        return f"{number // 1000}.{number % 1000 // 10}"
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"
