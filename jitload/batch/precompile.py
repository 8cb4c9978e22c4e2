"""`jitload.precompile`: many requests to many artifacts in the cache, on all cores, without a GPU.

What is there already is found here, without NVRTC. The rest goes in batches to worker processes: there a compiler that
dies is one request lost, precompiled headers stay out of the caller's process, and the Python half of the work runs on
all cores as well. Requests that begin with the same includes are one batch, whose headers are parsed once. Workers
write to the same cache, so what comes back is who is done; only a cache without a directory is sent the artifacts.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from jitload import config
from jitload.batch.answer import compile_batch
from jitload.batch.expand import executor_images, expanded, names_archs
from jitload.batch.intake import taken_in, taken_in_together
from jitload.batch.parts import parts_of
from jitload.batch.report import PrecompileReport
from jitload.batch.shard import Shard
from jitload.batch.work import Batch, Result
from jitload.batch.workers import compile_in_processes
from jitload.bundles.missing import refusal
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.diagnostics import give_warnings
from jitload.compiler.kernelless import refuse_unlaunchable
from jitload.door import is_sealed
from jitload.errors import CompileError, UsageTypeError
from jitload.given import given_cache, given_count, given_list
from jitload.lazy import lazy
from jitload.road import cannot_compile, look_up
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import Answer
from jitload.trace import is_mistake, short_errors
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from jitload.artifact import Artifact
    from jitload.batch import farm
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache, Explainable

    Progress = Callable[[int, int, CompileRequest, str], None]
    from jitload.values import KindName
else:
    farm = lazy("jitload.batch.farm")  # only who has a Dask cluster has a use for it

__tracebackhide__ = is_mistake


@short_errors
def precompile(
    requests: Iterable[CompileRequest | Explainable | Workload | os.PathLike[str]] | Workload | os.PathLike[str],
    archs: str | Iterable[str] | None = None,
    *,
    kinds: KindName | Iterable[KindName] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
    cache: Cache | None = None,
    shard: str | None = None,
) -> PrecompileReport:
    """Compile what a cache lacks. No GPU and no driver is needed.

    Args:
        requests: `CompileRequest`s, `jit_kernel`s, source files (`os.PathLike`), recorded workloads (or their files, in
            ".jlw") and plans (files in ".toml", such as precompile.toml).
        archs: compile each for each of these: a cubin for "sm_*", PTX for "compute_*"; default: each for its own arch,
            which for kernels and files is the current device's. Of a workload, what the application left to the device.
            PTX for "compute_90" is what the CPU executor runs too: its image, with line information, is made as well.
        kinds: "cubin", "ptx", "ltoir" and "fatbin" (one for all archs together) in place of that, one or several; which
            of them is made for which arch, `jitload.source.targets` says.
        executor: where to compile; default: `jobs` processes that are started for it. In the processes of an executor
            headers are shared as well; in threads of this process they are not, and a compiler that dies takes it down.
            With that of a Dask client (`client.get_executor()`) its workers compile: docs/fleet.md.
        progress: called here as `progress(done, total, request, outcome)`; the outcome is "compiled", "cached" or
            "failed".
        jobs: worker processes, and into how many parts a large batch is cut; default: the cores of this process.
        cache: where to look and to keep; default: a kernel's own cache where it has one, else the user's.
        shard: only this part of it: "3/8" is the third of eight. The parts have nothing in common, and are together all
            of it, on whatever machines and in whatever order the requests come.

    Returns:
        The report. What does not compile is in it and does not keep the others from being compiled; nor does a
        compiler that dies.

    Raises:
        OSError: a source file cannot be read.
        BundleError: a workload is damaged, or a bundle in force is.
        TrustError: a bundle in force is refused.
        UsageTypeError: what should be an executor is none.
        UsageValueError: a kind and an arch that cannot be, a plan that cannot be, fewer than one job, or no such part.
    """
    part_of_all = Shard.parse(shard) if shard is not None else None
    started = time.perf_counter()
    workers = _cores() if jobs is None else given_count("jobs", jobs, 1)
    given_cache(cache)
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise UsageTypeError(f"an executor has submit(), as those of concurrent.futures, got {type(executor).__name__}")
    results: list[Result] = []
    incidents: list[str] = []
    with ExitStack() as stack:
        wanted = [
            (store, _chosen(stack.enter_context(expanded(items, archs, kinds)), part_of_all), names_archs(items, archs))
            for store, items in _by_cache(requests, cache).items()
        ]
        asked = [request for _, part, _ in wanted for request in part]
        expect = getattr(progress, "expect", None)  # of a bar: the count, before anything is done
        if expect is not None:
            expect(len(asked))
        for store, part, warms_executor in wanted:
            extra = _beside(part, store) if warms_executor else {}
            run = stack.enter_context(closing(_run([*part, *extra], store, executor, workers, incidents)))
            for result in _asked_for(run, extra):
                results.append(result)
                if progress is not None and result.request not in extra:
                    progress(len(results), len(asked), result.request, result.outcome)
    order = {request: number for number, request in enumerate(asked)}
    results.sort(key=lambda result: order.get(result.request, len(asked)))
    for result in results:  # at the end: a warning that is an error takes nothing away from the cache
        give_warnings(result.warnings)
    return _report(results, time.perf_counter() - started, incidents)


def _report(results: Sequence[Result], seconds: float, incidents: Iterable[str]) -> PrecompileReport:
    return PrecompileReport(
        [result.request for result in results if result.outcome == "compiled"],
        [result.request for result in results if result.outcome == "cached"],
        [(result.request, result.error) for result in results if result.error is not None],
        seconds,
        incidents,
        [result.turn for result in results if result.turn is not None],
        [result.request for result in results if not result.kept],
    )


def _asked_for(results: Iterable[Result], extra: Mapping[CompileRequest, CompileRequest]) -> Iterator[Result]:
    """Results as they come, but of what nobody asked for at the end, and then only what alone has failed."""
    beside: list[Result] = []
    failed: set[CompileRequest] = set()
    for result in results:
        if result.request in extra:
            beside.append(result)
            continue
        if result.error is not None:
            failed.add(result.request)
        yield result
    yield from (one for one in beside if one.error is not None and extra[one.request] not in failed)


def _chosen(requests: list[CompileRequest], shard: Shard | None) -> list[CompileRequest]:
    return requests if shard is None else [request for request in requests if shard.has(request)]


def _beside(requests: list[CompileRequest], store: Cache) -> dict[CompileRequest, CompileRequest]:
    """`executor_images`, where they can be made."""
    policy, sealed = config.current().compile, is_sealed()
    images = executor_images(requests).items()
    return {own: request for own, request in images if not cannot_compile(request, store, policy, sealed=sealed)}


def _by_cache(requests: Any, cache: Cache | None) -> dict[Cache, list[Any]]:
    """What is to be compiled, by where it is to be kept."""
    groups: dict[Cache, list[Any]] = {}
    for item in [requests] if isinstance(requests, (Workload, os.PathLike)) else given_list("requests", requests):
        store = getattr(item, "cache", None) if cache is None else cache  # a kernel's own
        groups.setdefault(default_cache() if store is None else store, []).append(item)
    return groups


def _run(
    wanted: list[CompileRequest], store: Cache, executor: Executor | None, jobs: int, incidents: list[str]
) -> Generator[Result, None, None]:
    """The result of every request, in the order in which they come."""
    settings = config.current()
    policy = settings.compile
    bundles = bundles_in_force(settings)  # one that is refused stops this as it stops a launch
    sealed = is_sealed()
    missing: list[CompileRequest] = []
    for request in wanted:
        answer = Answer(request)
        if policy != "always":
            answer = look_up(request, store, settings, bundles)
            if answer.artifact is not None:
                yield _cached(request, answer.artifact)
                continue
        if sealed or policy == "never":
            reason = "compile=always" if policy == "always" else answer.reason
            yield Result(request, "failed", refusal(request, answer, store, reason, sealed=sealed))
        else:
            missing.append(request)
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="jitload-", ignore_cleanup_errors=True) as scratch:

        def batches_of(requests: list[CompileRequest]) -> list[Batch]:
            return [Batch(part, store, scratch, policy) for part in parts_of(requests, jobs)]

        def at_home(requests: list[CompileRequest]) -> Generator[Result, None, None]:
            return taken_in(store, compile_in_processes(batches_of(requests), jobs))

        if executor is None:
            found = at_home(missing)
        elif type(executor).__module__.partition(".")[0] == "distributed":
            keep = partial(taken_in_together, store)
            found = farm.compile_on_farm(
                executor, missing, store, policy, at_home=at_home, keep=keep, incidents=incidents
            )
        else:
            found = taken_in(store, _on_executor(executor, batches_of(missing), jobs))
        with closing(found) as results:
            yield from results


def _cached(request: CompileRequest, artifact: Artifact) -> Result:
    try:
        refuse_unlaunchable(request, artifact)
    except CompileError as error:
        return Result(request, "failed", error)
    return Result(request, "cached")


def _on_executor(executor: Executor, batches: Sequence[Batch], jobs: int) -> Generator[Result, None, None]:
    """What an executor gives. What one of processes loses with a dead worker is compiled in processes of our own."""
    futures: dict[Future[list[Result]], Batch] = {}
    lost: list[Batch] = []
    for batch in batches:
        try:
            futures[executor.submit(compile_batch, batch)] = batch
        except BrokenExecutor:
            lost.append(batch)
        except Exception as error:  # noqa: BLE001 - such as that of one that was shut down
            yield from _not_compiled(batch, error)
    try:
        for future in as_completed(futures):
            try:
                yield from future.result()
            except BrokenExecutor:
                lost.append(futures[future])
            except Exception as error:  # noqa: BLE001 - whatever an executor or its worker raises, the others go on
                yield from _not_compiled(futures[future], error)
    finally:
        for future in futures:
            future.cancel()
    yield from compile_in_processes(lost, jobs)


def _not_compiled(batch: Batch, error: Exception) -> Iterator[Result]:
    for request in batch.requests:
        file = request.path or request.name
        failure = CompileError(f"{file}: the executor gave no result: {type(error).__name__}: {error}", file=file)
        failure.__cause__ = error
        yield Result(request, "failed", failure)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
