"""The side of a farm that compiles: the two functions that a Dask worker is asked to call, by name, bytes in and out.

The compiler runs in a process of its own beside the worker, so one that dies takes nothing else with it. Results stay
in the worker's own cache too, and go from there to whatever remote its settings name.
"""

from __future__ import annotations

import time
from functools import lru_cache
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TYPE_CHECKING
from uuid import uuid4

from jitload import __version__, config, forks
from jitload.batch.parcel import COMPILED, DIED, FAILED, Parcel, Reply, Row, decode_parcel
from jitload.batch.remote import give_to_remote
from jitload.batch.work import Batch, Result
from jitload.batch.workers import compile_in_processes
from jitload.compiler.isolate import CompilerDied
from jitload.compiler.toolkit import toolchain
from jitload.errors import JitloadError
from jitload.format.entry import encode_entry
from jitload.road import look_up
from jitload.tiers.cache import default_cache
from jitload.workloads.workload import planned_requests

if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.compiler.isolate import CompilerProcess
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.values import Toolchain

#: How long a compiler process without work is kept.
IDLE_SECONDS = 60.0

# NVRTC costs a quarter of a second to load, a small kernel a tenth to compile.
_idle: list[CompilerProcess[Batch, Result]] = []
_guard = forks.ProcessLock()
_timers: list[Timer] = []  # the one that runs, if any does
_worked = [0.0]  # when there was work last


@lru_cache(maxsize=1)
def worker_name() -> str:
    """What this process goes by in its replies."""
    return uuid4().hex


def introduce(parcel: bytes) -> bytes:
    """Whether this worker can do what a parcel without requests asks for, as a reply without rows."""
    wanted = decode_parcel(parcel)
    return Reply(worker_name(), refused=why_refused(wanted)).encode()


def answer(parcel: bytes) -> bytes:
    """Compile what a parcel asks for, and give a reply.

    Raises:
        ArtifactError: it is no parcel.
    """
    wanted = decode_parcel(parcel)
    refused = why_refused(wanted)
    if refused:
        return Reply(worker_name(), refused=refused).encode()
    cache = default_cache()
    apart = config.configure(strict=False, bundles=())  # bundles of this machine may be of another compiler
    with apart, wanted.workload.unpacked() as programs, TemporaryDirectory(prefix="jitload-") as scratch:
        there = {request.digest: request for request in planned_requests(programs)}
        requests = [there[digest] for digest in wanted.requests if digest in there]
        known = [] if wanted.policy == "always" else [one for one in requests if _kept(one, cache)]
        rows = [_row(Result(request, "cached"), cache) for request in known]
        found = set(known)
        missing = [request for request in requests if request not in found]
        if missing:
            batch = Batch(missing, cache, scratch, wanted.policy)
            try:  # what has come is read while the next one compiles
                rows += [_row(result, cache) for result in compile_in_processes([batch], 1, idle=_idle)]
            finally:
                _end_idle_later()
        return Reply(worker_name(), rows).encode()


def why_refused(wanted: Parcel) -> str:
    """Why this worker cannot stand for whoever asks: its jitload or its compiler is another one. "" where it can."""
    if wanted.version != __version__:
        return f"it has jitload {__version__}, and {wanted.version} is asked for"
    for compiler in wanted.compilers:
        if compiler not in (found := _compilers()):
            has = " and ".join(map(str, found)) or "no compiler"
            return f"it has {has}, and {compiler} is asked for"
    return ""


def _compilers() -> list[Toolchain]:
    """NVRTC, and NVRTC with nvFatbin."""
    memo = default_cache().memo_dir()
    found = (toolchain(memo), toolchain(memo, fatbin=True))
    return list(dict.fromkeys(one for one in found if one is not None))


def _row(result: Result, cache: Cache) -> Row:
    request = result.request
    if result.error is not None:
        death = result.error.__cause__
        if isinstance(death, CompilerDied):
            return Row(request.digest, DIED, f"the compiler {death.how}")
        return Row(request.digest, FAILED, str(result.error).encode("utf-8", "backslashreplace").decode())
    try:
        artifact = result.artifact or _kept(request, cache)
    except JitloadError as error:
        return Row(request.digest, FAILED, str(error))
    if artifact is None:
        return Row(request.digest, DIED, _lost(request, cache))
    if result.outcome == "compiled":
        give_to_remote(request, cache)
    return Row(request.digest, COMPILED, "", encode_entry(artifact))


def _kept(request: CompileRequest, cache: Cache) -> Artifact | None:
    """What the cache here has."""
    return look_up(request, cache, config.current(), ()).artifact


def _lost(request: CompileRequest, cache: Cache) -> str:
    return f"{request.name} was compiled, and is not in {cache.directory or 'memory'} any more"


def _end_idle_later() -> None:
    """End the compiler processes when nobody has had work for them for a while; those in use are not among them."""
    with _guard.here:
        _worked[0] = time.monotonic()
        if not _timers or not _timers[0].is_alive():  # in a child of a fork there is the entry without its thread
            _look_later(IDLE_SECONDS)


def _look_later(seconds: float) -> None:
    timer = Timer(seconds, _end_if_idle)
    timer.daemon = True
    timer.start()
    _timers[:] = [timer]


def _end_if_idle() -> None:
    with _guard.here:
        left = _worked[0] + IDLE_SECONDS - time.monotonic()
        if left > 0:
            _look_later(left)
            return
        _timers.clear()
    end_idle()


def end_idle() -> None:
    """End the compiler processes that wait for work."""
    while _idle:
        try:
            process = _idle.pop()
        except IndexError:  # somebody has work for the last one
            return
        process.close()
