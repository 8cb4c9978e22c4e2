"""`Stats`: a snapshot of what was counted, of this process or of all that use a directory."""

from __future__ import annotations

from types import MappingProxyType

from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.tiers.counters import FIGURES, TIERS, counters
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jitload import notebook
else:
    notebook = lazy("jitload.notebook")

__tracebackhide__ = is_mistake

#: Of a `Stats`, what has a count for each of some names.
MAPS = ("hits", "misses", "remote_errors")


class Stats(Value):
    """A snapshot of the counters, as `stats` gives it.

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
        """Those whose counts by name are as `Counters.take` gives them; what has no name here is left out.

        Args:
            counts: name -> count, such as "compiles" or "hits.disk".
        """
        figures = {name: counts.get(name, 0) for name in (*FIGURES, "seconds_saved")}
        maps: dict[str, dict[str, int]] = {name: {} for name in MAPS}
        maps["hits"] = dict.fromkeys(TIERS, 0)
        for name, count in counts.items():
            group, dot, rest = name.partition(".")
            if dot and group in maps and (group != "hits" or rest in TIERS):
                maps[group][rest] = int(count)
        return Stats(_whole(figures), maps)

    def __repr__(self) -> str:
        """What is not 0."""
        figures = {name: getattr(self, name) for name in self.__slots__}
        figures |= {name: {word: count for word, count in figures[name].items() if count} for name in MAPS}
        shown = ", ".join(f"{name}={value!r}" for name, value in figures.items() if value)
        return f"Stats({shown})"

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


@short_errors
def stats() -> Stats:
    """The counters of this process, or of the `Session` in force. Raises nothing.

    Returns:
        A snapshot: later hits and compiles do not change it.
    """
    return Stats.of_counts(counters().total())


def _whole(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures as they are counted: times may have fractions, the rest has none."""
    return {name: float(value) if "seconds" in name else int(value) for name, value in figures.items()}
