"""jitload: compile, cache, load and launch CUDA C++ kernels from Python.

    compile()       CUDA C++ text or file -> Artifact (cubin, PTX, LTO-IR, fatbin), from a cache when it can
    jit_kernel      the same as a decorator, launched like a function
    load_module*    bytes or files of any registered kind -> Module -> kernels

Importing this package loads nothing else: every name below comes in when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Artifact, KernelInfo, Kind, Parameter, Toolchain
    from jitload.bundles.bundle import Bundle
    from jitload.bundles.record import record
    from jitload.bundles.tier import stop_bundle, use_bundle
    from jitload.compiler.request import CompileRequest
    from jitload.config import configure
    from jitload.cpu.profile.report import CpuProfile, cpu_profile
    from jitload.errors import (
        ArgumentError,
        ArtifactError,
        BundleError,
        CompileDisabledError,
        CompileError,
        CompileWarning,
        CpuFault,
        DriverError,
        JitloadError,
        LaunchError,
        LoaderNotFoundError,
        LoadError,
        NotPrecompiledError,
        SourceNotFoundError,
        SymbolNotFoundError,
        TrustError,
        UsageError,
        UsageTypeError,
        UsageValueError,
    )
    from jitload.events import Event, on_event
    from jitload.jit import JitKernel, jit_kernel
    from jitload.launch.kernel import Kernel
    from jitload.launch.occupancy import Occupancy
    from jitload.loader.create import create_module, module_from_cubin, module_from_fatbin, module_from_ptx
    from jitload.loader.files import load_module
    from jitload.loader.module import Module
    from jitload.loader.registry import (
        load_module_from_bytes,
        register_loader,
        registered_kinds,
        unregister_loader,
    )
    from jitload.loader.system import register_system_symbol, system_lib
    from jitload.loader.whole import LibraryModule, load_whole_module, pack_module
    from jitload.lookup import explain, seal
    from jitload.pipeline import compile  # noqa: A004 - the public name, as in `re.compile`
    from jitload.precompile import precompile
    from jitload.residency import occupancy
    from jitload.tiers.cache import Cache
    from jitload.tiers.stats import Stats, stats
    from jitload.values import Resources

__version__ = "0.1.0.dev0"

_ERRORS = (
    "ArgumentError",
    "ArtifactError",
    "BundleError",
    "CompileDisabledError",
    "CompileError",
    "CompileWarning",
    "CpuFault",
    "DriverError",
    "JitloadError",
    "LaunchError",
    "LoadError",
    "LoaderNotFoundError",
    "NotPrecompiledError",
    "SourceNotFoundError",
    "SymbolNotFoundError",
    "TrustError",
    "UsageError",
    "UsageTypeError",
    "UsageValueError",
)

#: Public name -> the module that has it.
_HOMES = {
    **dict.fromkeys(_ERRORS, "errors"),
    "Artifact": "artifact",
    "Bundle": "bundles.bundle",
    "Cache": "tiers.cache",
    "CompileRequest": "compiler.request",
    "CpuProfile": "cpu.profile.report",
    "Event": "events",
    "JitKernel": "jit",
    "Kernel": "launch.kernel",
    "KernelInfo": "artifact",
    "Kind": "artifact",
    "LibraryModule": "loader.whole",
    "Module": "loader.module",
    "Occupancy": "launch.occupancy",
    "Parameter": "artifact",
    "Resources": "values",
    "Stats": "tiers.stats",
    "Toolchain": "artifact",
    "compile": "pipeline",
    "configure": "config",
    "cpu_profile": "cpu.profile.report",
    "create_module": "loader.create",
    "explain": "lookup",
    "jit_kernel": "jit",
    "load_module": "loader.files",
    "load_module_from_bytes": "loader.registry",
    "load_whole_module": "loader.whole",
    "module_from_cubin": "loader.create",
    "module_from_fatbin": "loader.create",
    "module_from_ptx": "loader.create",
    "occupancy": "residency",
    "on_event": "events",
    "pack_module": "loader.whole",
    "precompile": "precompile",
    "record": "bundles.record",
    "register_loader": "loader.registry",
    "register_system_symbol": "loader.system",
    "registered_kinds": "loader.registry",
    "seal": "lookup",
    "stats": "tiers.stats",
    "stop_bundle": "bundles.tier",
    "system_lib": "loader.system",
    "unregister_loader": "loader.registry",
    "use_bundle": "bundles.tier",
}

__all__ = [
    "ArgumentError",
    "Artifact",
    "ArtifactError",
    "Bundle",
    "BundleError",
    "Cache",
    "CompileDisabledError",
    "CompileError",
    "CompileRequest",
    "CompileWarning",
    "CpuFault",
    "CpuProfile",
    "DriverError",
    "Event",
    "JitKernel",
    "JitloadError",
    "Kernel",
    "KernelInfo",
    "Kind",
    "LaunchError",
    "LibraryModule",
    "LoadError",
    "LoaderNotFoundError",
    "Module",
    "NotPrecompiledError",
    "Occupancy",
    "Parameter",
    "Resources",
    "SourceNotFoundError",
    "Stats",
    "SymbolNotFoundError",
    "Toolchain",
    "TrustError",
    "UsageError",
    "UsageTypeError",
    "UsageValueError",
    "compile",
    "configure",
    "cpu_profile",
    "create_module",
    "explain",
    "jit_kernel",
    "load_module",
    "load_module_from_bytes",
    "load_whole_module",
    "module_from_cubin",
    "module_from_fatbin",
    "module_from_ptx",
    "occupancy",
    "on_event",
    "pack_module",
    "precompile",
    "record",
    "register_loader",
    "register_system_symbol",
    "registered_kinds",
    "seal",
    "stats",
    "stop_bundle",
    "system_lib",
    "unregister_loader",
    "use_bundle",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'jitload' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"jitload.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
