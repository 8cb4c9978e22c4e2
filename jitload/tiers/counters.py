"""What this process counts: served from where, missed and why, compiled; a hit loads no more of it than this."""

from __future__ import annotations

from _thread import allocate_lock

from jitload import forks
from jitload.settings.scope import session_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TIERS = ("memory", "bundle", "disk", "remote")
#: What is counted without a reason.
FIGURES = (
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


class Counters:
    """Counts of one process, or of one session in it; thread-safe."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._hits = dict.fromkeys(TIERS, 0)
        self._seconds_saved = 0.0
        self._figures = dict.fromkeys(FIGURES, 0.0)
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

    def total(self) -> dict[str, float]:
        """All that was counted, by name as `take` has it, zeros too."""
        with self._lock:
            return self._flat()

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
        self._lock = allocate_lock()
        self._taken = self._flat()


def counters() -> Counters:
    """Those of the session in force."""
    return session_part(Counters)
