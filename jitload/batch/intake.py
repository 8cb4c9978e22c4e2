"""What workers have made, on its way into the cache of whoever asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TYPE_CHECKING

from jitload.batch.remote import give_to_remote
from jitload.compiler.key import readable_factors

if TYPE_CHECKING:
    from collections.abc import Generator

    from jitload.batch.work import Result
    from jitload.tiers.cache import Cache

#: So many of what came together are written at once.
WRITERS = 8


def taken_in(store: Cache, results: Generator[Result, None, None]) -> Generator[Result, None, None]:
    """Results as they come, each when the cache has it."""
    with closing(results):
        for result in results:
            yield _take_in(store, result)


def taken_in_together(store: Cache, results: list[Result]) -> list[Result]:
    """Results that came together, when the cache has them all; a disk that is waited for is waited for once."""
    if len(results) < 2:
        return [_take_in(store, result) for result in results]
    with ThreadPoolExecutor(min(len(results), WRITERS)) as pool:
        # In the session of who asks: what is counted counts there.
        writing = [pool.submit(copy_context().run, _take_in, store, result) for result in results]
        return [written.result() for written in writing]


def _take_in(store: Cache, result: Result) -> Result:
    """Make what a worker compiled known to this process; gives the result, with what became of it."""
    if result.artifact is not None:
        factors = [readable_factors(result.request, variant.headers()) for variant in result.variants[:1]]
        store.put(result.artifact, *factors)
        for variant in reversed(result.variants):
            store.add_variant(result.request.digest, variant)
        disk = None if store.read_only else store.disk
        lost = disk is not None and disk.read(result.artifact.key)[0] is None
        return result.unkept() if lost else result
    if result.outcome == "compiled":
        give_to_remote(result.request, store)
    return result
