"""jitload: compile, cache, load and launch CUDA C++ kernels from Python.

    compile()       CUDA C++ text or file -> Artifact (cubin, PTX, LTO-IR, fatbin), from a cache when it can
    jit_kernel      the same as a decorator, launched like a function
    load_module*    bytes or files of any registered kind -> Module -> kernels

Importing this package loads nothing else: every name below comes in when it is first used.
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"

#: Module -> the public names that it has. `__init__.pyi` is written from this, for editors and type checkers.
_PUBLIC = {
    "artifact": ("Artifact",),
    "bundles.bundle": ("Bundle",),
    "workloads.record": ("record",),
    "bundles.tier": (
        "stop_bundle",
        "use_bundle",
    ),
    "source.request": ("CompileRequest",),
    "config": ("configure",),
    "cpu.profile.report": (
        "CpuProfile",
        "cpu_profile",
    ),
    "diagnostic": ("Diagnostic",),
    "door": (
        "compile",
        "link",
        "seal",
    ),
    "errors": (
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
        "LinkError",
        "LoadError",
        "LoaderNotFoundError",
        "NotPrecompiledError",
        "SourceNotFoundError",
        "SymbolNotFoundError",
        "TrustError",
        "UsageError",
        "UsageTypeError",
        "UsageValueError",
    ),
    "events": (
        "Event",
        "on_event",
    ),
    "inquiry": ("explain",),
    "jit": (
        "JitKernel",
        "jit_kernel",
    ),
    "launch.device_global": ("DeviceGlobal",),
    "launch.kernel": ("Kernel",),
    "launch.occupancy": ("Occupancy",),
    "loader.create": (
        "create_module",
        "module_from_cubin",
        "module_from_fatbin",
        "module_from_ptx",
    ),
    "loader.files": ("load_module",),
    "loader.module": ("Module",),
    "loader.registry": (
        "load_module_from_bytes",
        "register_loader",
        "registered_kinds",
        "unregister_loader",
    ),
    "loader.system": (
        "register_system_symbol",
        "system_lib",
    ),
    "loader.whole": (
        "LibraryModule",
        "load_whole_module",
        "pack_module",
    ),
    "batch.precompile": ("precompile",),
    "residency": ("occupancy",),
    "session": ("Session",),
    "surface": ("Surface",),
    "tensor_map": ("TensorMap",),
    "texture": ("Texture",),
    "tiers.cache": ("Cache",),
    "tiers.stats": (
        "Stats",
        "stats",
    ),
    "values": (
        "KernelInfo",
        "Kind",
        "Parameter",
        "Resources",
        "Toolchain",
    ),
}
#: Ways up that are taken from below, without an import in that direction.
_DOORS = {"create_bundle": "batch.bundling", "load_artifact": "loader.registry"}
_HOMES = {**{name: home for home, names in _PUBLIC.items() for name in names}, **_DOORS}

__all__ = sorted({name for names in _PUBLIC.values() for name in names})  # noqa: PLE0605 - the list is in the stub


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'jitload' has no attribute {name!r}")
    __import__(f"jitload.{home}")
    value = getattr(sys.modules[f"jitload.{home}"], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
