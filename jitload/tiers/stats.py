"""Counters of this process: what was served from where, what was missed and why, what was compiled."""

from __future__ import annotations

from threading import Lock
from types import MappingProxyType

from jitload import forks
from jitload.frozen import Value
from jitload.settings.scope import session_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TIERS = ("memory", "bundle", "disk", "remote")


class Stats(Value):
    """A snapshot of the counters.

    Attributes:
        compiles: how often NVRTC compiled a request.
        compile_seconds: the time that took, in seconds.
        seconds_saved: what the artifacts that were served from a tier had taken to compile, in seconds.
        bytes_stored: size of the entries that this process wrote to the disk, in bytes.
        evictions: entries that this process dropped from the disk to keep to a bound.
        quarantined: damaged files that this process put aside.
        hits: tier -> count; the tiers are "memory", "bundle", "disk" and "remote".
        misses: reason -> count.
    """

    __slots__ = (
        "bytes_stored",
        "compile_seconds",
        "compiles",
        "evictions",
        "hits",
        "misses",
        "quarantined",
        "seconds_saved",
    )
    compiles: int
    compile_seconds: float
    seconds_saved: float
    bytes_stored: int
    evictions: int
    quarantined: int
    hits: Mapping[str, int]
    misses: Mapping[str, int]

    def __init__(self, *, hits: Mapping[str, int], misses: Mapping[str, int], **figures: float) -> None:
        self._set(hits=MappingProxyType(dict(hits)), misses=MappingProxyType(dict(misses)), **figures)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "hits": dict(self.hits), "misses": dict(self.misses)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        maps = {name: MappingProxyType(state[name]) for name in ("hits", "misses")}
        super().__setstate__({**state, **maps})


class Counters:
    """The counters themselves; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._hits = dict.fromkeys(TIERS, 0)
        self._misses: dict[str, int] = {}
        self._compiles = 0
        self._compile_seconds = 0.0
        self._seconds_saved = 0.0
        self._bytes_stored = 0
        self._evictions = 0
        self._quarantined = 0
        forks.after_fork(self._renew_lock)

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

    def count_stored(self, nbytes: int) -> None:
        """One entry of that size was written to the disk."""
        with self._lock:
            self._bytes_stored += nbytes

    def count_evictions(self, entries: int) -> None:
        """Entries were dropped to keep to a bound."""
        with self._lock:
            self._evictions += entries

    def count_quarantined(self) -> None:
        """One damaged file was put aside."""
        with self._lock:
            self._quarantined += 1

    def _renew_lock(self) -> None:
        """After a fork: another thread may have been counting. The child goes on from what its parent had counted."""
        self._lock = Lock()

    def snapshot(self) -> Stats:
        """The counters as they are now."""
        with self._lock:
            return Stats(
                compiles=self._compiles,
                compile_seconds=self._compile_seconds,
                seconds_saved=self._seconds_saved,
                bytes_stored=self._bytes_stored,
                evictions=self._evictions,
                quarantined=self._quarantined,
                hits=self._hits,
                misses=self._misses,
            )


def counters() -> Counters:
    """Those of the session in force."""
    return session_part(Counters)


def stats() -> Stats:
    """The counters of this process, or of the `Session` in force."""
    return counters().snapshot()
