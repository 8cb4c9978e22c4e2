from jitload.artifact import Artifact as Artifact
from jitload.batch.bundling import create_bundle as create_bundle
from jitload.batch.precompile import precompile as precompile
from jitload.bundles.bundle import Bundle as Bundle
from jitload.bundles.tier import stop_bundle as stop_bundle
from jitload.bundles.tier import use_bundle as use_bundle
from jitload.config import configure as configure
from jitload.cpu.profile.report import CpuProfile as CpuProfile
from jitload.cpu.profile.report import cpu_profile as cpu_profile
from jitload.diagnostic import Diagnostic as Diagnostic
from jitload.door import compile as compile
from jitload.door import link as link
from jitload.door import seal as seal
from jitload.errors import ArgumentError as ArgumentError
from jitload.errors import ArtifactError as ArtifactError
from jitload.errors import BundleError as BundleError
from jitload.errors import CompileDisabledError as CompileDisabledError
from jitload.errors import CompileError as CompileError
from jitload.errors import CompileWarning as CompileWarning
from jitload.errors import CpuFault as CpuFault
from jitload.errors import DriverError as DriverError
from jitload.errors import JitloadError as JitloadError
from jitload.errors import LaunchError as LaunchError
from jitload.errors import LinkError as LinkError
from jitload.errors import LoaderNotFoundError as LoaderNotFoundError
from jitload.errors import LoadError as LoadError
from jitload.errors import NotPrecompiledError as NotPrecompiledError
from jitload.errors import SourceNotFoundError as SourceNotFoundError
from jitload.errors import SymbolNotFoundError as SymbolNotFoundError
from jitload.errors import TrustError as TrustError
from jitload.errors import UsageError as UsageError
from jitload.errors import UsageTypeError as UsageTypeError
from jitload.errors import UsageValueError as UsageValueError
from jitload.events import Event as Event
from jitload.events import on_event as on_event
from jitload.inquiry import explain as explain
from jitload.jit import JitKernel as JitKernel
from jitload.jit import jit_kernel as jit_kernel
from jitload.launch.device_global import DeviceGlobal as DeviceGlobal
from jitload.launch.kernel import Kernel as Kernel
from jitload.launch.occupancy import Occupancy as Occupancy
from jitload.loader.create import create_module as create_module
from jitload.loader.create import module_from_cubin as module_from_cubin
from jitload.loader.create import module_from_fatbin as module_from_fatbin
from jitload.loader.create import module_from_ptx as module_from_ptx
from jitload.loader.files import load_module as load_module
from jitload.loader.module import Module as Module
from jitload.loader.registry import load_artifact as load_artifact
from jitload.loader.registry import load_module_from_bytes as load_module_from_bytes
from jitload.loader.registry import register_loader as register_loader
from jitload.loader.registry import registered_kinds as registered_kinds
from jitload.loader.registry import unregister_loader as unregister_loader
from jitload.loader.system import register_system_symbol as register_system_symbol
from jitload.loader.system import system_lib as system_lib
from jitload.loader.whole import LibraryModule as LibraryModule
from jitload.loader.whole import load_whole_module as load_whole_module
from jitload.loader.whole import pack_module as pack_module
from jitload.residency import occupancy as occupancy
from jitload.session import Session as Session
from jitload.source.request import CompileRequest as CompileRequest
from jitload.surface import Surface as Surface
from jitload.tensor_map import TensorMap as TensorMap
from jitload.texture import Texture as Texture
from jitload.tiers.cache import Cache as Cache
from jitload.tiers.stats import Stats as Stats
from jitload.tiers.stats import stats as stats
from jitload.values import KernelInfo as KernelInfo
from jitload.values import Kind as Kind
from jitload.values import Parameter as Parameter
from jitload.values import Resources as Resources
from jitload.values import Toolchain as Toolchain
from jitload.workloads.record import record as record

__version__: str
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
    "DeviceGlobal",
    "Diagnostic",
    "DriverError",
    "Event",
    "JitKernel",
    "JitloadError",
    "Kernel",
    "KernelInfo",
    "Kind",
    "LaunchError",
    "LibraryModule",
    "LinkError",
    "LoadError",
    "LoaderNotFoundError",
    "Module",
    "NotPrecompiledError",
    "Occupancy",
    "Parameter",
    "Resources",
    "Session",
    "SourceNotFoundError",
    "Stats",
    "Surface",
    "SymbolNotFoundError",
    "TensorMap",
    "Texture",
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
    "link",
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
