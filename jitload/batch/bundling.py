"""From kernels to a bundle, `Bundle.create`: what the caches lack is compiled, then all is written as one file."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitload.batch.expand import WORKLOAD_SUFFIX, requests_of, with_parts
from jitload.batch.plan import PLAN_SUFFIX, Plan
from jitload.batch.precompile import precompile
from jitload.batch.report import PrecompileReport, describe_request, describe_requests
from jitload.bundles.build import collect, refuse_unstable, write
from jitload.bundles.tier import bundles_in_force
from jitload.errors import BundleError, UsageTypeError, UsageValueError
from jitload.given import given_path, given_truth
from jitload.source.request import CompileRequest
from jitload.source.targets import image_targets, parse_choice
from jitload.tiers.cache import default_cache
from jitload.values import Kind
from jitload.workloads.record import recorded_workload
from jitload.workloads.workload import Workload, planned_requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from jitload.batch.precompile import Progress
    from jitload.bundles.build import Absent, Found
    from jitload.bundles.bundle import Bundle
    from jitload.bundles.manifest import About
    from jitload.tiers.cache import Cache

    Plans = dict[Cache, dict[CompileRequest, Absent | None]]

#: How many errors of images that cannot be made are told in one.
_MAX_SHOWN = 10


class Images:
    """The images that a bundle is made of.

    Attributes:
        report: what became of them.
    """

    def __init__(self, plans: Plans, workload: Workload, report: PrecompileReport) -> None:
        self.report = report
        self._plans = plans
        self._workload = workload

    def write(
        self,
        path: str | os.PathLike[str],
        about: About,
        workload: Workload | str | None = None,
        *,
        with_workload: bool = False,
    ) -> Bundle:
        """Write an unsigned bundle of them, and open it.

        Args:
            path: the file.
            about: for its manifest.
            workload: what they were made from, or its digest; None: the workloads among the items, and for
                `with_workload` what the other items were compiled from.
            with_workload: carry the sources.

        Raises:
            BundleError: an image is not there; the text says why.
            OSError: the file cannot be written.
        """
        self._expect_all()
        found: Found = {}
        for cache, plan in self._plans.items():
            # A look-up asks the bundles in force before a cache, so what they have was not compiled.
            part, missing = collect(plan, cache, bundles=bundles_in_force())
            if missing:
                shown = ", ".join(map(describe_request, missing[:_MAX_SHOWN]))
                raise BundleError(f"no bundle is written: the cache {cache.directory} has not kept {shown}")
            for digest, rows in part.items():
                found.setdefault(digest, {}).update(rows)
        refuse_unstable(found)
        sources = self._sources(found, with_workload=with_workload) if workload is None else workload
        return write(path, found, about, sources, with_workload=with_workload)

    def _expect_all(self) -> None:
        failed = self.report.failed
        if not failed:
            return
        total = len(failed) + len(self.report.compiled) + len(self.report.cached)
        lines = [f"no bundle is written: {len(failed)} of {total} images cannot be made"]
        errors = self.report.errors
        for requests, text in errors[:_MAX_SHOWN]:
            lines.append(f"  {describe_requests(requests)}: {text}".replace("\n", "\n    "))
        lines += [f"  and {len(errors) - _MAX_SHOWN} more"] * (len(errors) > _MAX_SHOWN)
        refusal = BundleError("\n".join(lines))
        refusal.__context__ = failed[0][1]  # for programs; as its cause, a traceback would show the same text above it
        raise refusal from None

    def _sources(self, found: Found, *, with_workload: bool) -> Workload | str:
        """The workload of all images; without a wish to carry it, only where the items are workloads altogether."""
        own = [request for plan in self._plans.values() for request in plan if plan[request] is None]
        if not own:
            return self._workload if self._workload.programs else ""
        if not with_workload:
            return ""
        served = [(request, next(iter(found[request.digest].values()))[0]) for request in own]
        return self._workload.merged(recorded_workload(served))


@contextmanager
def images_for(
    items: object,
    archs: str | Iterable[str] | None = None,
    kinds: str | Iterable[str] | None = None,
    *,
    cache: Cache | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
    absent: Mapping[CompileRequest, Absent] | None = None,
) -> Iterator[Images]:
    """The images of some items: those that the caches hold, and the others compiled now. As `create_bundle` has it.

    The headers of workloads are on the disk for as long.
    """
    names, wanted = parse_choice(archs, kinds)
    targets = image_targets(names, wanted or ()) if names else None
    plans: Plans = {}
    workloads: list[Workload] = []
    for item in _listed(items):
        workload = _workload(item)
        if workload is not None:
            workloads.append(workload)
            continue
        store = _store(item, cache)
        if isinstance(item, os.PathLike) and Path(item).suffix == PLAN_SUFFIX:
            requests = Plan.read(item).requests(names, wanted)
        elif targets is None and not isinstance(item, CompileRequest):
            requests = _known_requests(item, wanted, store)
        else:
            requests = requests_of(item, targets, wanted)
        exact = isinstance(item, CompileRequest) and targets is None
        plan = plans.setdefault(store, {})
        for request in with_parts(requests):
            # What the device in force would add has no place in a bundle, which serves others.
            plan.setdefault(request if exact else request.as_written(), (absent or {}).get(request))
    merged = Workload().merged(*workloads)
    with merged.unpacked() as programs:
        if programs:
            plans.setdefault(_store(None, cache), {}).update(planned_requests(programs, names or (), wanted or ()))
        if not any(plans.values()):
            raise UsageValueError("no bundle is written: there is nothing to make, neither items nor programs in them")
        reports = [
            precompile(list(plan), cache=store, executor=executor, progress=progress, jobs=jobs)
            for store, plan in plans.items()
        ]
        yield Images(plans, merged, _together(reports))


def create_bundle(
    path: str | os.PathLike[str],
    items: object,
    *,
    about: About,
    workload: Workload | str | None,
    with_workload: bool,
    **how: Any,
) -> Bundle:
    """What `Bundle.create` does.

    Args:
        path: the file.
        items: what to make it of.
        about: for its manifest.
        workload: what the items were made from, or its digest; None where the items say it.
        with_workload: carry the sources.
        how: the other arguments of `images_for`.
    """
    target = Path(given_path("path", path))
    given_truth("with_workload", with_workload)
    if target.is_dir() or not target.parent.is_dir():  # said now rather than when everything has compiled
        code = errno.EISDIR if target.is_dir() else errno.ENOENT
        raise OSError(code, os.strerror(code), str(target if target.is_dir() else target.parent))
    with images_for(items, **how) as images:
        return images.write(target, about, workload, with_workload=with_workload)


def _listed(items: object) -> list[object]:
    if isinstance(items, (Workload, os.PathLike, CompileRequest)) or hasattr(items, "request"):
        return [items]
    if isinstance(items, (str, bytes)) or not hasattr(items, "__iter__"):
        raise UsageTypeError(
            f"a bundle is made of a list of kernels, CompileRequests, workloads and paths, got {type(items).__name__}: "
            f"write [kernel], or [pathlib.Path(...)] for a file"
        )
    return list(items)


def _workload(item: object) -> Workload | None:
    if isinstance(item, os.PathLike) and Path(item).suffix == WORKLOAD_SUFFIX:
        return Workload.read(item)
    return item if isinstance(item, Workload) else None


def _store(item: object, cache: Cache | None) -> Cache:
    """Where the images of an item are kept: as `precompile` has it."""
    own: Cache | None = getattr(item, "cache", None) if cache is None else cache
    return default_cache() if own is None else own


def _known_requests(item: object, kinds: tuple[Kind, ...] | None, cache: Cache) -> list[CompileRequest]:
    """The requests for all that a cache holds of a kernel or a source; where that is nothing, for its own arch."""
    if getattr(item, "is_linked", False):
        return requests_of(item, None, kinds)
    targets = sorted({(entry.kind, entry.arch) for entry in cache.entries() if entry.kind})
    found = []
    for kind, arch in targets:
        if kinds is None or Kind(kind) in kinds:
            (request,) = requests_of(item, [(Kind(kind), tuple(arch.split(",")))], None)
            if cache.variants(request.digest):
                found.append(request)
    return found or requests_of(item, None, kinds)


def _together(reports: list[PrecompileReport]) -> PrecompileReport:
    rows = {name: [row for report in reports for row in getattr(report, name)] for name in ("compiled", "cached")}
    failed = [row for report in reports for row in report.failed]
    incidents = [incident for report in reports for incident in report.incidents]
    seconds = sum(report.seconds for report in reports)
    return PrecompileReport(rows["compiled"], rows["cached"], failed, seconds, incidents)
