"""Counters of this process: what was served from where, what was missed and why, what was compiled."""

from __future__ import annotations

from threading import Lock
from types import MappingProxyType

from jitload import forks
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.settings.scope import session_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jitload import notebook
else:
    notebook = lazy("jitload.notebook")

TIERS = ("memory", "bundle", "disk", "remote")
_FIGURES = (
    "bytes_received",
    "bytes_sent",
    "bytes_stored",
    "compile_seconds",
    "compiles",
    "evictions",
    "lease_wait_seconds",
    "lease_waits",
    "link_seconds",
    "links",
    "quarantined",
)
#: Of a `Stats`, what has a count for each of some names.
MAPS = ("hits", "misses", "remote_errors")


class Stats(Value):
    """A snapshot of the counters.

    Attributes:
        compiles: how often NVRTC compiled a request.
        compile_seconds: the time that took, in seconds.
        links: how often nvJitLink linked a request (`jitload.link`).
        link_seconds: the time that took, in seconds.
        seconds_saved: what the artifacts that were served from a tier had taken to compile, in seconds.
        bytes_stored: size of the entries that this process wrote to the disk, in bytes.
        evictions: entries that this process dropped from the disk to keep to a bound.
        quarantined: damaged files that this process put aside.
        bytes_received: what came from the remote tier, in bytes, whether it was of use or not.
        bytes_sent: what went to the remote tier, in bytes.
        lease_waits: how often this process waited for a compile on another machine.
        lease_wait_seconds: how long it did, in seconds.
        hits: tier -> count; the tiers are "memory", "bundle", "disk" and "remote".
        misses: reason -> count.
        remote_errors: what went wrong with the remote tier, in a word or two -> count.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "bytes_stored",
        "compile_seconds",
        "compiles",
        "evictions",
        "hits",
        "lease_wait_seconds",
        "lease_waits",
        "link_seconds",
        "links",
        "misses",
        "quarantined",
        "remote_errors",
        "seconds_saved",
    )
    compiles: int
    compile_seconds: float
    links: int
    link_seconds: float
    seconds_saved: float
    bytes_stored: int
    evictions: int
    quarantined: int
    bytes_received: int
    bytes_sent: int
    lease_waits: int
    lease_wait_seconds: float
    hits: Mapping[str, int]
    misses: Mapping[str, int]
    remote_errors: Mapping[str, int]

    def __init__(self, figures: Mapping[str, float], maps: Mapping[str, Mapping[str, int]]) -> None:
        self._set(**figures, **{name: MappingProxyType(dict(maps[name])) for name in MAPS})

    @property
    def hit_rate(self) -> float | None:
        """Which part of the requests was served from a tier; None where nothing was asked for."""
        hits, misses = sum(self.hits.values()), sum(self.misses.values())
        return hits / (hits + misses) if hits + misses else None

    @staticmethod
    def of_counts(counts: Mapping[str, float]) -> Stats:
        """Those whose counts by name are as `Counters.take` gives them; what has no name here is left out."""
        figures = {name: counts.get(name, 0) for name in (*_FIGURES, "seconds_saved")}
        maps: dict[str, dict[str, int]] = {name: {} for name in MAPS}
        maps["hits"] = dict.fromkeys(TIERS, 0)
        for name, count in counts.items():
            group, dot, rest = name.partition(".")
            if dot and group in maps and (group != "hits" or rest in TIERS):
                maps[group][rest] = int(count)
        return Stats(_whole(figures), maps)

    def _repr_html_(self) -> str:
        rows: list[tuple[object, object]] = []
        for name in self.__slots__:
            value = getattr(self, name)
            if name in MAPS:
                rows += [(f"{name}: {word}", count) for word, count in value.items() if count]
            elif value:
                rows.append((name, value))
        rate = self.hit_rate
        return notebook.html_table("stats", (), rows, "nothing was asked for" if rate is None else f"{rate:.1%} hits")

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), **{name: dict(getattr(self, name)) for name in MAPS}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        before_links = {"links": 0, "link_seconds": 0.0}  # a pickle of a version without them
        maps = {name: MappingProxyType(state[name]) for name in MAPS}
        super().__setstate__({**before_links, **state, **maps})


class Counters:
    """The counters themselves; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._hits = dict.fromkeys(TIERS, 0)
        self._seconds_saved = 0.0
        self._figures = dict.fromkeys(_FIGURES, 0.0)
        self._reasons: dict[str, dict[str, int]] = {"misses": {}, "remote_errors": {}}
        self._taken: dict[str, float] = {}
        forks.after_fork(self._begin_anew)

    def count_hit(self, tier: str, seconds_saved: float) -> None:
        """One artifact was served by a tier."""
        with self._lock:
            self._hits[tier] += 1
            self._seconds_saved += seconds_saved

    def count_miss(self, reason: str) -> None:
        """One request could not be served."""
        self._add_reason("misses", reason)

    def count_compile(self, seconds: float) -> None:
        """NVRTC compiled one request."""
        self._add(compiles=1, compile_seconds=seconds)

    def count_link(self, seconds: float) -> None:
        """NvJitLink linked one request."""
        self._add(links=1, link_seconds=seconds)

    def count_stored(self, nbytes: int) -> None:
        """One entry of that size was written to the disk."""
        self._add(bytes_stored=nbytes)

    def count_evictions(self, entries: int) -> None:
        """Entries were dropped to keep to a bound."""
        self._add(evictions=entries)

    def count_quarantined(self) -> None:
        """One damaged file was put aside."""
        self._add(quarantined=1)

    def count_received(self, nbytes: int) -> None:
        """So much came from the remote tier."""
        self._add(bytes_received=nbytes)

    def count_sent(self, nbytes: int) -> None:
        """So much went to the remote tier."""
        self._add(bytes_sent=nbytes)

    def count_remote_error(self, reason: str) -> None:
        """Something went wrong with the remote tier.

        Args:
            reason: what, in a word or two, of which there are few: "timed out", "refused"; no address, no key.
        """
        self._add_reason("remote_errors", reason)

    def count_lease_wait(self, seconds: float) -> None:
        """This process waited for a compile on another machine."""
        self._add(lease_waits=1, lease_wait_seconds=seconds)

    def _add(self, **figures: float) -> None:
        with self._lock:
            for name, value in figures.items():
                self._figures[name] += value

    def _add_reason(self, name: str, reason: str) -> None:
        with self._lock:
            counts = self._reasons[name]
            counts[reason] = counts.get(reason, 0) + 1

    def take(self) -> dict[str, float]:
        """What was counted since it was last taken, by name ("compiles", "hits.disk", "misses.absent"); no zeros.

        Each count is given once, whoever takes it; in a child of a fork, from the fork on.
        """
        with self._lock:
            now = self._flat()
            since = {name: value - self._taken.get(name, 0) for name, value in now.items()}
            self._taken = now
        return {name: value for name, value in since.items() if value > 0}

    def give_back(self, taken: Mapping[str, float]) -> None:
        """What `take` gave and could not be written is there again for the next one."""
        with self._lock:
            for name, value in taken.items():
                self._taken[name] = self._taken.get(name, 0) - value

    def _flat(self) -> dict[str, float]:
        flat = {**self._figures, "seconds_saved": self._seconds_saved}
        for name, counts in (("hits", self._hits), *self._reasons.items()):
            flat.update({f"{name}.{reason}": count for reason, count in counts.items()})
        return flat

    def _begin_anew(self) -> None:
        """After a fork: another thread may have been counting. The child goes on from what its parent had counted.

        That is its parent's to write down.
        """
        self._lock = Lock()
        self._taken = self._flat()

    def snapshot(self) -> Stats:
        """The counters as they are now."""
        with self._lock:
            figures = {**self._figures, "seconds_saved": self._seconds_saved}
            return Stats(_whole(figures), {"hits": self._hits, **self._reasons})


def _whole(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures as they are counted: times may have fractions, the rest has none."""
    return {name: float(value) if "seconds" in name else int(value) for name, value in figures.items()}


def counters() -> Counters:
    """Those of the session in force."""
    return session_part(Counters)


def stats() -> Stats:
    """The counters of this process, or of the `Session` in force.

    Returns:
        A snapshot: later hits and compiles do not change it.
    """
    return counters().snapshot()
