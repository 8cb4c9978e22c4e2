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
            _take_in(store, result)
            yield result


def taken_in_together(store: Cache, results: list[Result]) -> list[Result]:
    """Results that came together, when the cache has them all; a disk that is waited for is waited for once."""
    if len(results) < 2:
        for result in results:
            _take_in(store, result)
        return results
    with ThreadPoolExecutor(min(len(results), WRITERS)) as pool:
        # In the session of who asks: what is counted counts there.
        for written in [pool.submit(copy_context().run, _take_in, store, result) for result in results]:
            written.result()
    return results


def _take_in(store: Cache, result: Result) -> None:
    """Make what a worker compiled known to this process."""
    if result.artifact is not None:
        factors = [readable_factors(result.request, variant.headers()) for variant in result.variants[:1]]
        store.put(result.artifact, *factors)
        for variant in reversed(result.variants):
            store.add_variant(result.request.digest, variant)
    elif result.outcome == "compiled":
        give_to_remote(result.request, store)
