"""From what the user lists (sources, requests, kernels, workloads, plans) to one request per image."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.batch.plan import PLAN_SUFFIX, Plan
from jitload.errors import UsageTypeError
from jitload.source.arch import EXECUTOR_ARCH, EXECUTOR_OPTIONS
from jitload.source.request import CompileRequest
from jitload.source.targets import image_targets, parse_choice
from jitload.target import default_target, device_options, wanted_options
from jitload.values import Kind
from jitload.workloads.workload import Workload, planned_requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from jitload.tiers.cache import Explainable

    Item: TypeAlias = CompileRequest | Explainable | Workload | os.PathLike[str]
    Targets: TypeAlias = list[tuple[Kind, tuple[str, ...]]]

#: By its suffix a file is a workload, a plan, or else a source.
WORKLOAD_SUFFIX = ".jlw"


@contextmanager
def expanded(
    items: Iterable[Item] | Workload | os.PathLike[str],
    archs: str | Iterable[str] | None,
    kinds: str | Iterable[str] | None,
) -> Iterator[list[CompileRequest]]:
    """One request per image, each once, in order; the headers of workloads are on the disk for as long.

    Args:
        items: requests, kernels, sources, workloads (or their files, ".jlw") and plans (files in ".toml").
        archs: what to compile for; None for each item's own.
        kinds: what to make of it; None for each item's own.

    Raises:
        OSError: a file cannot be read.
        BundleError: a workload is damaged.
        UsageValueError: kinds and archs that do not go together, or a plan that cannot be.
    """
    names, wanted = parse_choice(archs, kinds)
    targets = image_targets(names, wanted or ()) if names else None
    given = [items] if isinstance(items, (Workload, os.PathLike)) else items
    found: list[CompileRequest] = []
    workloads: list[Workload] = []
    for item in given:
        if isinstance(item, os.PathLike) and Path(item).suffix == PLAN_SUFFIX:
            found += Plan.read(item).requests(names, wanted)
        elif isinstance(item, os.PathLike) and Path(item).suffix == WORKLOAD_SUFFIX:
            workloads.append(Workload.read(item))
        elif isinstance(item, Workload):
            workloads.append(item)
        else:
            found += with_parts(requests_of(item, targets, wanted))
    if not workloads:
        yield list(dict.fromkeys(found))
        return
    with Workload().merged(*workloads).unpacked() as programs:
        yield list(dict.fromkeys([*found, *planned_requests(programs, names or (), wanted or ())]))


def names_archs(items: Iterable[Item] | Workload | os.PathLike[str], archs: object) -> bool:
    """Whether somebody listed what to compile for: the caller, or a plan among the items."""
    if archs is not None:
        return True
    given = [items] if isinstance(items, (Workload, os.PathLike)) else items
    return any(isinstance(item, os.PathLike) and Path(item).suffix == PLAN_SUFFIX for item in given)


def executor_images(requests: Iterable[CompileRequest]) -> dict[CompileRequest, CompileRequest]:
    """What the CPU executor asks for -> the request that it comes beside, where PTX is made for the executor's arch.

    The two differ in the executor's own options, and neither can stand for the other: GPUs and bundles have what was
    written, and a fault in the executor names CUDA lines.
    """
    asked = set(requests)
    found = {}
    for request in requests:
        if request.kind is Kind.PTX and request.archs == (EXECUTOR_ARCH,) and not request.device_options:
            own = request.replace(device_options=EXECUTOR_OPTIONS)
            if own.digest != request.digest and own not in asked:
                found[own] = request
    return found


def requests_of(item: object, targets: Targets | None, kinds: tuple[Kind, ...] | None) -> list[CompileRequest]:
    """The requests for the targets that were asked for; without any, for the item's own arch."""
    if targets is None:
        return [_request(item, kind, None) for kind in kinds or (None,)]
    first = _request(item, *targets[0])
    if first.is_link and not isinstance(item, CompileRequest):  # its inputs are compiled for each arch
        return [first, *(_request(item, *target) for target in targets[1:])]
    return [first, *(first.replace(kind=kind, arch=archs) for kind, archs in targets[1:])]


def with_parts(requests: Iterable[CompileRequest]) -> list[CompileRequest]:
    """The requests, each behind those of the inputs that are compiled for it: who links asks for them first."""
    return [one for request in requests for one in (*getattr(request, "parts", ()), request)]


def _request(item: object, kind: Kind | None, archs: tuple[str, ...] | None) -> CompileRequest:
    if isinstance(item, CompileRequest):
        if kind is not None:
            return item.replace(kind=kind) if archs is None else item.replace(kind=kind, arch=archs)
        return item if archs is None else item.replace(arch=archs)
    if isinstance(item, os.PathLike):
        wanted, chosen = default_target(kind, archs)
        options = wanted_options(())
        return CompileRequest(item, kind=wanted, arch=chosen, options=options, device_options=device_options(archs))
    if hasattr(item, "request"):
        request: CompileRequest = item.request(kind=kind, arch=archs)
        return request
    raise UsageTypeError(
        f"precompile takes CompileRequests, kernels, workloads and paths, got {type(item).__name__}: write "
        f"CompileRequest(source, kind=..., arch=...) for text, and pathlib.Path(...) for a file"
    )
