"""A Dask cluster as a farm sees it: the one file that knows `distributed`, whose exceptions become ours here."""

from __future__ import annotations

import time
from asyncio import CancelledError
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from jitload.errors import ArtifactError, UsageValueError
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    import distributed
else:
    distributed = lazy("distributed")

#: How long to wait for the scheduler.
CONNECT_SECONDS = 10.0

_INSTALL = "a farm needs the package distributed: pip install 'jitload[dask]'"


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """An executor on the cluster of a scheduler, such as "tcp://scheduler:8786" ("tls://": with Dask's own settings).

    Raises:
        UsageValueError: `distributed` is not installed, or that is no address.
        OSError: no scheduler answers there.
    """
    if not address.strip():
        raise UsageValueError("the address of the Dask scheduler is empty")  # which the client takes for a cluster here
    try:
        kind: Any = distributed.Client
    except ImportError:
        raise UsageValueError(_INSTALL) from None
    client = kind.__new__(kind)
    try:
        client.__init__(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # noqa: BLE001 - time-outs, closed connections, TLS: whatever a network has
        client.status = "closed"  # nothing of it began, and its end would wait for that
        if isinstance(error, (ValueError, TypeError)):
            raise UsageValueError(f"{address!r} is no address of a Dask scheduler: {error}") from None
        raise OSError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        yield client.get_executor()


class ClusterLost(Exception):  # noqa: N818 - never leaves: it becomes an error or a line of the report
    """The scheduler, or the last of the workers, is gone."""


class Cluster:
    """The workers that an executor of Dask may use.

    Attributes:
        names: address -> name of every worker that was there since.
    """

    def __init__(self, executor: Any) -> None:
        self._client = executor._client
        options = executor._kwargs
        self._options = {name: options[name] for name in ("resources", "retries") if name in options}
        chosen = options.get("workers")
        self._chosen = [chosen] if isinstance(chosen, str) else list(chosen or ())
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._pending: dict[Any, None] = {}
        self._begun = time.time()
        self._fields: dict[str, dict[str, Any]] = {}  # address -> what the scheduler says of a worker
        self.names: dict[str, str] = {}

    def submit(self, function: Callable[..., object], data: object, workers: Iterable[str] = ()) -> Any:
        """Have one of some workers, or of all, call a function; `next_ended` gives the future when it has ended.

        A worker that lacks the module of a function ends when it is sent it: it is to be asked for that first.

        Raises:
            ClusterLost: the scheduler is gone. So for all of these methods but `cancel`.
        """
        names = sorted(workers)
        where = {"workers": names, "allow_other_workers": False} if names else {}
        future = self._call(self._client.submit, function, data, pure=False, **{**self._options, **where})
        self._pending[future] = None
        future.add_done_callback(self._ended.put)
        return future

    def next_ended(self, seconds: float) -> Any | None:
        """The next future that has ended, or None where there is none for so long."""
        try:
            future = self._ended.get(timeout=seconds)
        except Empty:  # a callback is a thread's work, which may come late
            future = next((one for one in self._pending if one.status != "pending"), None)
        self._pending.pop(future, None)
        return future

    def workers(self) -> dict[str, int]:
        """Address -> threads of the workers that are there now and may be used."""
        # Who is there does not say `scheduler_info`: where it leaves that for its caller, a callback of the client's
        # puts an answer without workers every two seconds. One of whom it does not tell yet is there the next time.
        there = self._call(self._client.nthreads)
        if there.keys() - self._fields.keys():
            self._fields |= self._call(self._client.scheduler_info, n_workers=-1)["workers"]
        self._fields = {address: fields for address, fields in self._fields.items() if address in there}
        found = {address: fields for address, fields in self._fields.items() if self._may_use(address, fields)}
        for address, fields in found.items():
            self.names[address] = str(fields.get("name", address))
        return {address: max(int(there[address]), 1) for address in found}

    def lost(self) -> list[tuple[str, set[str]]]:
        """(address, keys of the tasks that it had) of every worker that went away since."""
        rows = self._call(self._client.get_events, "all")
        gone = [event for when, event in rows if when >= self._begun and event.get("action") == "remove-worker"]
        return [(event["worker"], set(map(str, event["processing-tasks"]))) for event in gone]

    def cancel(self, futures: Iterable[Any]) -> None:
        """Take back what has not begun; what has ends unheard."""
        if asked := list(futures):  # to cancel nothing is a question to the scheduler as well
            with suppress(Exception):  # a cluster that is gone has nothing to cancel
                self._client.cancel(asked, force=True)

    def describe(self, address: str) -> str:
        """A worker for people: by its name, where it has one, and its address."""
        name = self.names.get(address, address)
        return f"worker {address}" if name == address else f"worker {name} ({address})"

    def _may_use(self, address: str, fields: dict[str, Any]) -> bool:
        names = {address, address.partition("://")[2], fields.get("host"), fields.get("name")}
        return not self._chosen or not names.isdisjoint(self._chosen)

    def _call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except Exception as error:
            raise ClusterLost(f"{type(error).__name__}: {error}") from error


def result_of(future: Any) -> object:
    """What a future that has ended has.

    Raises:
        ArtifactError: the worker raised something, or died several times, or the task was cancelled.
    """
    try:
        expect_done(future)
        return _ours(future.result)
    finally:
        future.release()  # what its __del__ does too, but Python drops a Ctrl-C that comes in there


def expect_done(future: Any) -> None:
    """Nothing where a future has ended well; its result stays where it is.

    Raises:
        ArtifactError: as for `result_of`.
    """
    if future.status != "finished":
        error = _ours(future.exception)
        raise ArtifactError(f"{type(error).__name__}: {error}")


def _ours(ask: Callable[..., object]) -> object:
    try:
        return ask(timeout=CONNECT_SECONDS)
    except (Exception, CancelledError) as error:  # noqa: BLE001 - of any type, from another machine
        raise ArtifactError(f"{type(error).__name__}: {error}") from None
