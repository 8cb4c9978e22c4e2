"""`jitload.occupancy`: how full a kernel makes the multiprocessors of any GPU, for whatever stands for the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload.artifact import Artifact
from jitload.bundles.choose import judge_image
from jitload.device import resolve_device
from jitload.errors import UsageTypeError, UsageValueError
from jitload.given import given_count
from jitload.images.multiprocessor import multiprocessor
from jitload.images.resources import resources_by_arch
from jitload.launch.kernel import Kernel
from jitload.launch.occupancy import block_occupancy
from jitload.source.arch import normalize_arch
from jitload.trace import is_mistake, short_errors
from jitload.values import KernelInfo, Resources

if TYPE_CHECKING:
    from jitload.jit import JitKernel
    from jitload.launch.occupancy import Occupancy

__tracebackhide__ = is_mistake

_MACHINE_CODE = "no GPU is needed to compile it for one: kind='cubin', arch='sm_90'"


@short_errors
def occupancy(
    kernel: Kernel | JitKernel | Artifact | KernelInfo | Resources,
    block: int | tuple[int, ...],
    shared_bytes: int = 0,
    arch: str | None = None,
) -> Occupancy:
    """How many blocks of a kernel are resident on a multiprocessor at once, and what allows no more.

    The figures are those of cuOccupancyMaxActiveBlocksPerMultiprocessor, with the largest share of its memory as shared
    memory, for every GPU from compute capability 7.0 to 12.1; no GPU is needed.

    Args:
        kernel: a kernel, a decorated one (which is compiled for `arch`), an artifact of one kernel, or one of
            `Artifact.kernels` or its `resources`.
        block: threads per block, as in a launch: a number, or up to three.
        shared_bytes: dynamic shared memory per block, in bytes.
        arch: the GPU, "sm_90". Default: what a cubin was compiled for; for a loaded kernel the current device.

    Returns:
        The occupancy; `blocks_per_sm` is 0, with the reason, where a launch would be refused.

    Raises:
        UsageValueError: the kernel is no machine code, `arch` is not known, is missing or does not run it.
        UsageTypeError: an argument of another type.
        CompileError, SymbolNotFoundError: a decorated kernel does not compile, or is not in its source.
    """
    threads, dynamic = _threads(block), given_count("shared_bytes", shared_bytes)
    device = None if arch is None else _known(arch)
    resources, device = _found(kernel, device)
    return block_occupancy(resources, threads, dynamic, multiprocessor(device))


def _known(arch: Any) -> str:
    if not isinstance(arch, str):
        raise UsageTypeError(f"arch is one GPU, such as 'sm_90', got {type(arch).__name__}")
    name = normalize_arch(arch)
    multiprocessor(name)
    return name


def _threads(block: Any) -> int:
    parts: Any = block if isinstance(block, (tuple, list)) else (block,)
    if not 1 <= len(parts) <= 3:
        raise UsageValueError(f"block={block!r} has {len(parts)} dimensions; it needs 1 to 3")
    sizes = [given_count("block", part, 1) for part in parts]
    x, y, z = (*sizes, 1, 1)[:3]
    return x * y * z


def _found(kernel: Any, arch: str | None) -> tuple[Resources, str]:
    """The resources, and the GPU."""
    if isinstance(kernel, (KernelInfo, Resources)):
        found = kernel if isinstance(kernel, Resources) else _machine_code(kernel.resources, kernel.name)
        if arch is None:
            raise UsageValueError(f"occupancy of a {type(kernel).__name__} needs arch=, such as 'sm_90'")
        return found, arch
    if isinstance(kernel, Kernel):
        return _machine_code(kernel.resources, kernel.name), arch or kernel.arch
    if isinstance(kernel, Artifact):
        return _in_artifact(kernel, _only_kernel(kernel), arch)
    if hasattr(kernel, "specialize"):
        if arch is None and resolve_device() == "cpu":
            raise UsageValueError(f"{kernel!r} runs on the CPU here: name a GPU, arch='sm_90'; it need not be there")
        if arch is None:
            return _found(kernel.kernel(), None)
        artifact = kernel.artifact(kind="cubin", arch=arch)
        return _in_artifact(artifact, kernel.described(artifact).name, arch)
    raise UsageTypeError(f"occupancy takes a kernel, an artifact or one of its kernels, got {type(kernel).__name__}")


def _only_kernel(artifact: Artifact) -> str:
    if len(artifact.kernels) != 1:
        names = ", ".join(map(repr, artifact.kernels)) or "none"
        raise UsageValueError(
            f"the artifact of {artifact.name} has {len(artifact.kernels)} kernels ({names}): pass one of "
            f"artifact.kernels, with arch={artifact.arch!r}"
        )
    return next(iter(artifact.kernels))


def _in_artifact(artifact: Artifact, name: str, arch: str | None) -> tuple[Resources, str]:
    images = resources_by_arch(artifact)
    if arch is None:
        if len(images) > 1:
            raise UsageValueError(
                f"{artifact.name} was compiled for {', '.join(images)}: choose one of them with arch="
            )
        arch = next(iter(images), None)
    if arch is None:
        return _machine_code(None, name), ""
    verdicts = {member: judge_image("cubin", member, arch) for member in images}
    fitting = [(verdict.rank, member) for member, verdict in verdicts.items() if verdict.rank is not None]
    if not fitting:
        why = "; ".join(verdict.reason for verdict in verdicts.values())
        raise UsageValueError(
            f"no machine code of {artifact.name} ({artifact.kind}, {artifact.arch}) runs on {arch}"
            + (f": {why}" if why else f"; {_MACHINE_CODE}")
        )
    return _machine_code(images[min(fitting)[1]].get(name), name), arch


def _machine_code(resources: Resources | None, name: str) -> Resources:
    if resources is None:
        raise UsageValueError(
            f"what kernel {name!r} takes of a multiprocessor is known of its machine code alone, and this is not a "
            f"cubin; {_MACHINE_CODE}"
        )
    return resources
