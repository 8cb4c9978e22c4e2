"""Counters of this process: what was served from where, what was missed and why, what was compiled."""

from __future__ import annotations

from threading import Lock
from types import MappingProxyType

from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TIERS = ("memory", "bundle", "disk", "remote")


class Stats(Value):
    """A snapshot of the counters.

    Attributes:
        compiles: how often NVRTC compiled a request.
        compile_seconds: the time that took, in seconds.
        seconds_saved: what the artifacts that were served from a tier had taken to compile, in seconds.
        hits: tier -> count; the tiers are "memory", "bundle", "disk" and "remote".
        misses: reason -> count.
    """

    __slots__ = ("compile_seconds", "compiles", "hits", "misses", "seconds_saved")
    compiles: int
    compile_seconds: float
    seconds_saved: float
    hits: Mapping[str, int]
    misses: Mapping[str, int]

    def __init__(
        self,
        compiles: int,
        compile_seconds: float,
        seconds_saved: float,
        hits: Mapping[str, int],
        misses: Mapping[str, int],
    ) -> None:
        self._set(
            compiles=compiles,
            compile_seconds=compile_seconds,
            seconds_saved=seconds_saved,
            hits=MappingProxyType(dict(hits)),
            misses=MappingProxyType(dict(misses)),
        )


class Counters:
    """The counters themselves; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._hits = dict.fromkeys(TIERS, 0)
        self._misses: dict[str, int] = {}
        self._compiles = 0
        self._compile_seconds = 0.0
        self._seconds_saved = 0.0

    def count_hit(self, tier: str, seconds_saved: float) -> None:
        """One artifact was served by a tier."""
        with self._lock:
            self._hits[tier] += 1
            self._seconds_saved += seconds_saved

    def count_miss(self, reason: str) -> None:
        """One request could not be served."""
        with self._lock:
            self._misses[reason] = self._misses.get(reason, 0) + 1

    def count_compile(self, seconds: float) -> None:
        """NVRTC compiled one request."""
        with self._lock:
            self._compiles += 1
            self._compile_seconds += seconds

    def snapshot(self) -> Stats:
        """The counters as they are now."""
        with self._lock:
            return Stats(self._compiles, self._compile_seconds, self._seconds_saved, self._hits, self._misses)


counters = Counters()


def stats() -> Stats:
    """This process's counters."""
    return counters.snapshot()
