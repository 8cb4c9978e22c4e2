"""Worker processes for `precompile`: batches in, results out, and a compiler that dies costs one request."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from jitload import config
from jitload.compiler.isolate import BOUND_SECONDS, CompilerDied, CompilerProcess
from jitload.compiler.kernelless import refuse_unlaunchable
from jitload.compiler.prefix import SharedHeaders
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolkit_roots
from jitload.door import compile_request
from jitload.errors import CompileError, JitloadError
from jitload.frozen import Value
from jitload.headers.closure import Closure
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from jitload.artifact import Artifact
    from jitload.diagnostic import Diagnostic
    from jitload.headers.record import Variant
    from jitload.road import Compiler
    from jitload.source.request import CompileRequest


class Batch(Value):
    """Requests that one worker compiles, one after the other, and where it keeps the results.

    Attributes:
        requests: what to compile.
        directory: the directory of the cache, or None when the artifacts are to be sent back.
        layers: directories of its read-only layers.
        max_bytes: the bound of the cache.
        scratch: a directory for what lives as long as the batch, or None when headers are not to be shared.
        policy: the compile policy of the process that asks.
        settings: the other settings of whoever asks, as `configure` takes them.
        owner: its process id.
    """

    __slots__ = ("directory", "layers", "max_bytes", "owner", "policy", "requests", "scratch", "settings")
    requests: tuple[CompileRequest, ...]
    directory: str | None
    layers: tuple[str, ...]
    max_bytes: int
    scratch: str | None
    policy: str
    settings: dict[str, Any]
    owner: int

    def __init__(self, requests: Iterable[CompileRequest], cache: Cache, scratch: str, policy: str) -> None:
        self._set(
            requests=tuple(requests),
            directory=None if cache.read_only else cache.directory,
            layers=tuple(layer.directory.path for layer in cache.layers),
            max_bytes=0 if cache.disk is None else cache.disk.max_bytes,
            scratch=scratch,
            policy=policy,
            settings=config.current().options(),
            owner=os.getpid(),
        )

    def of(self, requests: Iterable[CompileRequest], *, share_headers: bool) -> Batch:
        """The same batch with fewer requests."""
        batch = object.__new__(Batch)
        fields = {name: getattr(self, name) for name in self.__slots__}
        batch._set(**{**fields, "requests": tuple(requests), "scratch": self.scratch if share_headers else None})
        return batch


class Result(Value):
    """What came of one request.

    Attributes:
        request: the request.
        outcome: "compiled", "cached" or "failed".
        error: why it failed, or None.
        artifact: what was compiled, where no directory has it.
        variants: with it, what its closure record would hold.
        warnings: what the compiler had to say.
    """

    __slots__ = ("artifact", "error", "outcome", "request", "variants", "warnings")
    request: CompileRequest
    outcome: str
    error: Exception | None
    artifact: Artifact | None
    variants: tuple[Variant, ...]
    warnings: tuple[Diagnostic, ...]

    def __init__(
        self,
        request: CompileRequest,
        outcome: str,
        error: Exception | None = None,
        artifact: Artifact | None = None,
        variants: tuple[Variant, ...] = (),
        warnings: Iterable[Diagnostic] = (),
    ) -> None:
        self._set(
            request=request,
            outcome=outcome,
            error=error,
            artifact=artifact,
            variants=variants,
            warnings=tuple(warnings),
        )


def compile_in_processes(
    batches: Sequence[Batch],
    jobs: int,
    *,
    answer: Callable[[Batch], Iterator[Result]] | None = None,
    bound_seconds: float = BOUND_SECONDS,
    idle: list[CompilerProcess[Batch, Result]] | None = None,
) -> Generator[Result, None, None]:
    """The result of every request, as they come, from processes that are started for it and end with it.

    Args:
        batches: what to compile; each goes to one process.
        jobs: how many processes at most.
        answer: what a process does with a batch; default: `answer_batch`.
        bound_seconds: how long a request may take before its process is killed.
        idle: processes of earlier calls, to be used first; those of this call are put there at its end.
    """
    todo = deque(batches)
    results: SimpleQueue[Result | BaseException] = SimpleQueue()
    give = answer or answer_batch
    drivers = [_Driver(todo, results, give, bound_seconds, idle) for _ in range(min(jobs, len(batches)))]
    for driver in drivers:
        driver.start()
    complete = False
    try:
        for _ in range(sum(len(batch.requests) for batch in batches)):
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
        complete = True
    finally:
        todo.clear()
        for driver in drivers:
            if not complete:
                driver.stop()
        for driver in drivers:
            driver.join()


class _Driver(Thread):
    """Drives one worker process at a time, and finds out which request a dead one died of."""

    def __init__(
        self,
        todo: deque[Batch],
        results: SimpleQueue[Result | BaseException],
        answer: Callable[[Batch], Iterator[Result]],
        bound_seconds: float,
        idle: list[CompilerProcess[Batch, Result]] | None,
    ) -> None:
        super().__init__(name="jitload-precompile", daemon=True)
        self._context = copy_context()
        self._todo = todo
        self._results = results
        self._answer = answer
        self._bound_seconds = bound_seconds
        self._idle = idle
        self._process: CompilerProcess[Batch, Result] | None = None
        self._stopped = False

    def run(self) -> None:
        self._context.run(self._drive)  # with the settings of the thread that asks

    def _drive(self) -> None:
        try:
            while not self._stopped:
                try:
                    batch = self._todo.popleft()
                except IndexError:
                    break
                self._compile(batch)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the results
            self._stopped = True
            self._results.put(error)
        finally:
            if self._process is not None:
                if self._idle is None or self._stopped:
                    self._process.close()
                else:
                    self._idle.append(self._process)

    def stop(self) -> None:
        """End the process, whatever it is doing; no further result is of interest."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def _compile(self, batch: Batch) -> None:
        pending = deque(batch.requests)
        share_headers, alone = True, False
        while pending and not self._stopped:
            part = [pending[0]] if alone else list(pending)
            try:
                if self._process is None:
                    # In "/", so that LTO-IR is the same wherever it is made.
                    self._process = self._waiting() or CompilerProcess(self._answer, "/")
                self._process.ask(batch.of(part, share_headers=share_headers and not alone))
                for _ in part:
                    self._results.put(self._process.reply(self._bound_seconds))
                    pending.popleft()
                # Innocent: whatever it was, it does not happen without shared headers.
                share_headers, alone = share_headers and not alone, False
            except CompilerDied as death:
                self._discard()
                # The first without a result is the suspect. A process can also be killed by others (when memory runs
                # out, say), so it gets a second one, alone and fresh.
                if alone or death.hung:
                    suspect = pending.popleft()
                    error = death.error(suspect)
                    error.__cause__ = death
                    self._results.put(Result(suspect, "failed", error))
                alone = not alone and not death.hung

    def _waiting(self) -> CompilerProcess[Batch, Result] | None:
        try:
            return self._idle.pop() if self._idle else None
        except IndexError:  # another thread has it
            return None

    def _discard(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.close()
            self._process = None


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
            results = [_compile_one(request, cache, None) for request in batch.requests]
        cache.flush()
        yield from results
        return
    cache = _cache_of(batch)
    # The bundles were asked by whoever asks.
    with config.configure(**{**settings, "strict": False, "bundles": ()}), _scratch(batch) as directory:
        compiler: Compiler | None = None
        if directory is not None:
            shared = SharedHeaders(directory, len(batch.requests))
            compiler = partial(compile_artifact, compile_program=shared.compile_program)
        for request in batch.requests:
            yield _compile_one(request, cache, None if request.is_link else compiler)


def _is_elsewhere(batch: Batch) -> bool:
    """True in another process than the one that asks, whose settings and compiler are not to be touched."""
    return os.getpid() != batch.owner


def _scratch(batch: Batch) -> AbstractContextManager[str | None]:
    """A directory for precompiled headers, where there are requests to share them and a place for it."""
    if batch.scratch is None or len(batch.requests) < 2 or not Path(batch.scratch).is_dir():
        return nullcontext()
    return tempfile.TemporaryDirectory(dir=batch.scratch, ignore_cleanup_errors=True)


def _compile_one(request: CompileRequest, cache: Cache, compiler: Compiler | None) -> Result:
    said: list[Diagnostic] = []
    try:
        artifact = compile_request(request, cache, compiler=compiler, warn=said.extend)
        refuse_unlaunchable(request, artifact)
    except (JitloadError, OSError, ValueError) as error:
        return Result(request, "failed", error)
    except Exception as error:  # noqa: BLE001 - goes to the caller, who cannot be sent every type of exception
        file = request.path or request.name
        return Result(request, "failed", CompileError(f"{file}: {type(error).__name__}: {error}", file=file))
    if cache.memory.read(artifact.key)[0] is None:
        file = request.path or request.name
        reason = Closure(request, toolkit_roots()).unsharable() or "the cache did not take it"
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
