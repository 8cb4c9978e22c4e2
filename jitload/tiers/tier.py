"""The protocol of a tier: one place where artifacts are looked for.

`lookup.py` asks tiers in the order in which they stand in a tuple. The tiers of one tuple share their keys: what one of
them says of the headers of a request leads to a key that each of them is asked for. The first of them is a memory,
which keeps what the others had. `Cache.tiers` and `Bundle.tiers` are such tuples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jitload.artifact import Kept
    from jitload.headers.record import Variant


class Tier(Protocol):
    """Keeps artifacts by key, for as long as it sees fit. Every method may be called from any thread.

    A tier never raises because of what it holds, where it lies or who answers for it: a damaged entry or a server that
    is away is a miss with its reason, and what cannot be written is lost, with one line in the log. It may block, so it
    keeps to a bound of its own. (A bundle is the exception: one that is damaged is an error, never passed over.)

    Attributes:
        name: what its hits are counted as by `stats()`: "memory", "bundle", "disk" or "remote".
        place: where it is, as an explanation names it: "memory", "disk /var/cache/kernels".
        checks_toolkit: True where an entry is good for no other compiler than the one that is installed here, and for
            no other headers than those of its toolkit; False where it is good whatever has made it.
    """

    name: str
    place: str
    checks_toolkit: bool

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """The headers that a request is known to have had, the best first, and "hit"; or none and the reason."""

    def read(self, key: str) -> tuple[Kept | None, str]:
        """The verified artifact of that key and "hit"; or None and the reason: "absent", "damaged", "unreadable"...

        What cannot be asked now is a reason too, in a word or two: `stats().misses` counts them.
        """

    def peek(self, key: str) -> tuple[Kept | None, str]:
        """The same for an explanation, which is no use of the entry: nothing is touched, put aside or logged."""

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:
        """Keep an artifact, with what its key was made of (canonical JSON); False where it is not kept."""

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Keep which headers a request had. Those that it is known to have had besides are kept too."""
