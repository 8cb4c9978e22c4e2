"""`precompile` on a Dask cluster: parcels of requests to its workers, and what they made back to whoever asks.

The headers of a request are found here and go with it, so a worker needs no file of this machine; its key is computed
here, and a reply counts only where the entry in it has that key, which says that the source, every header and the
compiler were the same. What cannot be done there is done here: a request that includes by an absolute path, one whose
headers only a compile tells, and one that does not compile, whose error is then told in the user's own file names.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jitload.batch.cluster import Cluster, ClusterLost, expect_done, result_of
from jitload.batch.farmhand import answer, introduce
from jitload.batch.packer import Packer
from jitload.batch.parcel import COMPILED, FAILED, decode_reply
from jitload.batch.parts import parts_of
from jitload.batch.report import describe_request
from jitload.errors import ArtifactError, CompileError, JitloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from jitload.batch.parcel import Reply
    from jitload.batch.work import Result
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache

#: How long to wait for a first worker (a cluster may have to start one), for the others that are there already, and for
#: another when all are gone.
FIRST_WORKER_SECONDS, OTHER_WORKERS_SECONDS, NEXT_WORKER_SECONDS = 60.0, 2.0, 10.0
#: How often the cluster is looked at.
LOOK_SECONDS = 1.0
#: The most requests in a parcel, which is what a worker that dies loses.
MAX_PARCEL_REQUESTS = 8


def compile_on_farm(
    executor: Any,
    requests: list[CompileRequest],
    store: Cache,
    policy: str,
    *,
    at_home: Callable[[list[CompileRequest]], Iterable[Result]],
    keep: Callable[[list[Result]], Iterable[Result]],
    incidents: list[str],
) -> Generator[Result, None, None]:
    """The result of every request, as they come.

    Args:
        executor: of a Dask client.
        requests: what no tier has.
        store: the cache that will keep them.
        policy: the compile policy.
        at_home: compiles here what the farm does not.
        keep: has the cache keep what came, and gives it on.
        incidents: told what went wrong on the way without a request being lost for it.

    Raises:
        CompileError: no compiler is here, or no worker can be used.
    """
    links = [request for request in requests if request.is_link]  # their inputs are images, and they are soon made
    farm = _Farm(Cluster(executor), Packer(store, policy), keep, incidents)
    try:
        yield from farm.run([request for request in requests if not request.is_link])
    finally:
        farm.end()
    yield from at_home([*farm.left, *links])


class _Sent:
    """Requests that are to go to a worker together, or have gone.

    Attributes:
        requests: the requests.
        avoid: workers that have failed with them.
        workers: those that may have them.
    """

    def __init__(self, requests: list[CompileRequest], avoid: frozenset[str] = frozenset()) -> None:
        self.requests = requests
        self.avoid = avoid
        self.workers: frozenset[str] = frozenset()


class _Farm:
    """One use of a cluster.

    Attributes:
        left: the requests that it has not done.
    """

    def __init__(
        self,
        cluster: Cluster,
        packer: Packer,
        keep: Callable[[list[Result]], Iterable[Result]],
        incidents: list[str],
    ) -> None:
        self._cluster = cluster
        self._packer = packer
        self._keep = keep
        self._incidents = incidents
        self._introduction = b""
        self._asked: dict[Any, str] = {}  # future -> address of the worker that was asked who it is
        self._met: set[str] = set()
        self._introduced: set[str] = set()  # keys of the tasks in which workers say who they are
        self._threads: dict[str, int] = {}  # address of a worker that can be used -> its threads
        self._addresses: dict[str, str] = {}  # what the process of a worker calls itself -> its address
        self._refused: list[str] = []
        self._todo: deque[_Sent] = deque()
        self._sent: dict[Any, _Sent] = {}
        self._sizes: dict[str, int] = {}  # key of a task -> how many requests it has
        self._looked = self._staffed = time.monotonic()
        self.left: list[CompileRequest] = []

    def run(self, requests: list[CompileRequest]) -> Iterator[Result]:
        """The results of what the farm does; what it does not is in `left` afterwards."""
        if requests:
            with suppress(ClusterLost):  # which comes again, where there is something to send
                self._look()  # who is there imports what it needs meanwhile
        travelling, self.left = self._packer.sorted(requests)
        if not travelling:
            return
        self._introduction = self._packer.introduction(travelling)
        try:
            self._expect_workers()
        except ClusterLost as error:
            raise CompileError(f"the farm is lost: {error}") from None
        jobs = sum(self._threads.values())
        self._todo.extend(map(_Sent, parts_of(travelling, jobs, MAX_PARCEL_REQUESTS, self._packer.closure)))
        came: list[Result] = []
        try:
            while self._todo or self._sent or came:
                self._send()
                results, came = came, []
                yield from self._keep(results)  # while others compile
                if self._todo or self._sent:
                    came = self._take(self._cluster.next_ended(LOOK_SECONDS))
                if time.monotonic() - self._looked > LOOK_SECONDS:
                    self._look()
        except ClusterLost as error:
            yield from self._keep(came)
            self._incidents.append(f"the farm was lost ({error}): the rest is compiled here")
            for parcel in (*self._todo, *self._sent.values()):
                self.left += parcel.requests

    def end(self) -> None:
        """Cancel what is under way, and name the workers that were lost."""
        self._cluster.cancel([*self._sent, *self._asked])
        with suppress(ClusterLost):
            for address, keys in self._cluster.lost():
                count = sum(self._sizes.get(key, 0) for key in keys)
                if count:
                    what = "a request" if count == 1 else f"{count} requests"
                    self._note(address, f"was lost with {what}, asked for again elsewhere")

    def _expect_workers(self) -> None:
        """Wait for a first worker that can be used, and a moment for those that are there already.

        Raises:
            CompileError: there is none, and the text says why.
        """
        begun = time.monotonic()
        probe = self._cluster.submit(abs, 0)  # a cluster that starts workers when there is work is to see some
        while (waited := time.monotonic() - begun) < FIRST_WORKER_SECONDS:
            self._look()
            answered = not self._asked and bool(self._threads or self._refused)
            if answered or (self._threads and waited > OTHER_WORKERS_SECONDS):
                break
            self._take(self._cluster.next_ended(LOOK_SECONDS / 10))
        self._cluster.cancel([probe])
        if not self._threads:
            silent = [f"{self._cluster.describe(address)} has not answered" for address in self._asked.values()]
            why = self._refused + silent or [f"none was there within {FIRST_WORKER_SECONDS:g} s"]
            raise CompileError(f"no worker of the farm can be used: {'; '.join(why)}")

    def _look(self) -> None:
        """Take notice of workers that came and went."""
        self._looked = time.monotonic()
        there = self._cluster.workers()
        self._threads = {address: threads for address, threads in self._threads.items() if address in there}
        for address in there.keys() - self._met:
            self._met.add(address)
            self._asked[self._cluster.submit(import_module, introduce.__module__, [address])] = address
        stranded = [future for future, parcel in self._sent.items() if not parcel.workers & there.keys()]
        self._todo.extendleft(map(self._sent.pop, stranded))  # Dask would wait for one of their workers for ever
        self._cluster.cancel(stranded)
        if self._threads:
            self._staffed = self._looked
        elif (self._sent or self._todo) and self._looked - self._staffed > NEXT_WORKER_SECONDS:
            raise ClusterLost("no worker is left")

    def _send(self) -> None:
        """Keep every worker busy and no more than that: what has not gone can still go to any that comes."""
        while self._todo and self._threads and len(self._sent) < 2 * sum(self._threads.values()):
            parcel = self._todo.popleft()
            parcel.workers = frozenset(self._threads) - parcel.avoid
            if not parcel.workers:
                self.left += parcel.requests
                continue
            future = self._cluster.submit(answer, self._packer.pack(parcel.requests), parcel.workers)
            self._sent[future] = parcel
            self._sizes[str(future.key)] = len(parcel.requests)

    def _take(self, future: Any | None) -> list[Result]:
        """What came of a parcel, or of a worker that was asked who it is; what was cancelled ends too."""
        if future in self._asked:
            self._meet(self._asked.pop(future), future)
        elif future in self._sent:
            parcel = self._sent.pop(future)
            try:
                reply = decode_reply(result_of(future))
            except ArtifactError as error:
                self._again(parcel, parcel.requests, str(error), None)
                return []
            address = self._addresses.get(reply.worker)
            if reply.refused:
                self._refuse(address, reply.refused)
                self._todo.append(parcel)
            else:
                return self._read(parcel, reply, address)
        return []

    def _meet(self, address: str, future: Any) -> None:
        """What a worker said: first that it has this jitload at all, then who it is and what it has."""
        try:
            if future.key not in self._introduced:
                expect_done(future)
                second = self._cluster.submit(introduce, self._introduction, [address])
                self._introduced.add(second.key)
                self._asked[second] = address
                return
            reply = decode_reply(result_of(future))
        except ArtifactError as error:
            self._refuse(address, f"it cannot be asked: {error}")
            return
        if reply.refused:
            self._refuse(address, reply.refused)
        else:
            self._addresses[reply.worker] = address
            self._threads[address] = self._cluster.workers().get(address, 1)

    def _read(self, parcel: _Sent, reply: Reply, address: str | None) -> list[Result]:
        results = []
        rows = {row.request: row for row in reply.rows}
        for request in parcel.requests:
            row = rows.get(request.digest)
            if row is None:
                self._again(parcel, [request], "gave no result", address)
            elif row.outcome == FAILED:
                self.left.append(request)
            elif row.outcome == COMPILED:
                try:
                    results.append(self._packer.result(request, row.entry))
                except JitloadError as error:
                    self._again(parcel, [request], f"gave something else: {error}", address)
            else:
                self._again(parcel, [request], row.text, address)
        return results

    def _again(self, parcel: _Sent, requests: list[CompileRequest], why: str, address: str | None) -> None:
        """Ask for requests again elsewhere, each alone; those that two workers have failed with are for home."""
        avoid = parcel.avoid | {address or ""}
        elsewhere = not parcel.avoid and bool(self._threads.keys() - avoid)
        for request in requests:
            what = f"{describe_request(request)}: {why}"
            self._note(address, f"failed with {what}; {'asked for again elsewhere' if elsewhere else 'compiled here'}")
            if elsewhere:
                self._todo.append(_Sent([request], avoid))
            else:
                self.left.append(request)

    def _refuse(self, address: str | None, why: str) -> None:
        self._threads.pop(address or "", None)
        self._note(address, f"is refused: {why}")
        self._refused.append(self._incidents[-1])

    def _note(self, address: str | None, what: str) -> None:
        self._incidents.append(f"{self._cluster.describe(address) if address else 'a worker'} {what}")
