"""In a worker process of `precompile`: batches in, results out, each kept in the cache before it is told."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import lru_cache, partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from jitload import config
from jitload.batch.work import Result
from jitload.compiler.kernelless import refuse_unlaunchable
from jitload.compiler.prefix import SharedHeaders
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolkit_roots
from jitload.door import compile_request
from jitload.errors import CompileError, JitloadError
from jitload.headers.closure import Closure
from jitload.headers.survey import unsharable
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from jitload.artifact import Artifact
    from jitload.batch.work import Batch
    from jitload.diagnostic import Diagnostic
    from jitload.road import Compiler
    from jitload.source.request import CompileRequest


def compile_batch(batch: Batch) -> list[Result]:
    """In a worker of an executor: the results of a whole batch."""
    results = list(answer_batch(batch))
    if _is_elsewhere(batch):
        _cache_of(batch).flush()  # such a worker ends without a word
    return results


def answer_batch(batch: Batch) -> Iterator[Result]:
    """In a worker: the result of each request of a batch, in order."""
    settings = {**batch.settings, "compile": batch.policy, "override": None}  # nothing edited is kept
    if not _is_elsewhere(batch):
        cache = Cache(batch.directory, max_bytes=batch.max_bytes, layers=batch.layers)
        with config.configure(**settings):  # a thread of an executor begins without them
            results = [_timed(request, cache, None) for request in batch.requests]
        cache.flush()
        yield from results
        return
    cache = _cache_of(batch)
    # The bundles were asked by whoever asks.
    with config.configure(**{**settings, "strict": False, "bundles": ()}), _scratch(batch) as directory:
        compiler: Compiler = compile_artifact
        if directory is not None:
            shared = SharedHeaders(directory, len(batch.requests))
            compiler = partial(compile_artifact, compile_program=shared.compile_program)
        yield from _overlapped(batch.requests, cache, compiler)


def _overlapped(requests: Sequence[CompileRequest], cache: Cache, compiler: Compiler) -> Iterator[Result]:
    """The result of each, in order. While what one has made is kept, and waits for the disk, the next one compiles.

    They compile in that order too, and none begins before the one ahead of it has been compiled: who waits for the
    result of one waits for no other's, and knows of which one a compiler hangs.
    """
    if len(requests) == 1:
        yield _timed(requests[0], cache, compiler)
        return
    # The compiler has one thread, and one program at a time: it may keep for a thread what that has precompiled.
    with ThreadPoolExecutor(1) as alone, ThreadPoolExecutor(2) as pool:

        def answer(request: CompileRequest, compiled: Event) -> Result:
            def compile_in_turn(*program: Any) -> Artifact:
                try:
                    return alone.submit(copy_context().run, compiler, *program).result()
                finally:
                    compiled.set()

            try:
                return _timed(request, cache, compile_in_turn)
            finally:
                compiled.set()  # a hit, or what fails before

        begun: deque[Future[Result]] = deque()
        for request in requests:
            compiled = Event()
            begun.append(pool.submit(copy_context().run, answer, request, compiled))
            if len(begun) == 2:
                yield begun.popleft().result()
            compiled.wait()
        yield begun.popleft().result()


def _is_elsewhere(batch: Batch) -> bool:
    """True in another process than the one that asks, whose settings and compiler are not to be touched."""
    return os.getpid() != batch.owner


def _scratch(batch: Batch) -> AbstractContextManager[str | None]:
    """A directory for precompiled headers, where there are requests to share them and a place for it."""
    if batch.scratch is None or len(batch.requests) < 2 or not Path(batch.scratch).is_dir():
        return nullcontext()
    return tempfile.TemporaryDirectory(dir=batch.scratch, ignore_cleanup_errors=True)


def _timed(request: CompileRequest, cache: Cache, compiler: Compiler | None) -> Result:
    began, started = time.time(), time.perf_counter()
    result = _compile_one(request, cache, compiler)
    return result.timed(began, time.perf_counter() - started)


def _compile_one(request: CompileRequest, cache: Cache, compiler: Compiler | None) -> Result:
    said: list[Diagnostic] = []
    try:
        # A link has no headers, and is made by another library.
        artifact = compile_request(request, cache, compiler=None if request.is_link else compiler, warn=said.extend)
        refuse_unlaunchable(request, artifact)
    except (JitloadError, OSError, ValueError) as error:
        return Result(request, "failed", error)
    except Exception as error:  # noqa: BLE001 - goes to the caller, who cannot be sent every type of exception
        file = request.path or request.name
        return Result(request, "failed", CompileError(f"{file}: {type(error).__name__}: {error}", file=file))
    if cache.memory.read(artifact.key)[0] is None:
        file = request.path or request.name
        reason = unsharable(Closure(request, toolkit_roots())) or "the cache did not take it"
        return Result(request, "failed", CompileError(f"{file} compiles, but cannot be kept: {reason}", file=file))
    if cache.disk is not None and not cache.read_only and cache.disk.read(artifact.key)[0] is not None:
        return Result(request, "compiled", warnings=said)
    return Result(request, "compiled", None, artifact, cache.variants(request.digest), said)


def _cache_of(batch: Batch) -> Cache:
    if batch.directory is None:
        return Cache(layers=batch.layers)
    return _disk_cache(batch.directory, batch.layers, batch.max_bytes)


@lru_cache(maxsize=8)
def _disk_cache(directory: str, layers: tuple[str, ...], max_bytes: int) -> Cache:
    """One cache object per process and directory, so that its index is written once, when the process ends."""
    return Cache(directory, max_bytes=max_bytes, layers=layers)
