"""Worker processes for `precompile`: batches in, results out, and a compiler that dies costs one request."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from jitload.batch.answer import answer_batch
from jitload.batch.work import Batch, Result
from jitload.compiler.isolate import BOUND_SECONDS, CompilerDied, CompilerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence


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
