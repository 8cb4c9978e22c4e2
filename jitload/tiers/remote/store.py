"""The protocol of a store: the few operations that a remote needs, each over at a moment that its caller names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from jitload.format.arriving import Arrived

    class Store(Protocol):
        """A place for bytes that machines share. Every method may be called from any thread.

        An operation is over at `until` (as `time.monotonic` counts), done or not.

        Attributes:
            writes: why nothing can be written to it, or "".
            leases: why it has no leases, or "".
        """

        writes: str
        leases: str

        def read_entry(self, key: str, most_bytes: int, until: float) -> bytes | None:
            """What stands under a key; None where nothing does.

            Args:
                key: the key.
                most_bytes: more is not taken.
                until: when the operation is over.

            Raises:
                StoreError: it cannot be had, or is longer than `most_bytes`.
            """

        def receive_entry(self, key: str, most_bytes: int, until: float) -> bytes | Arrived | None:
            """The same, in pieces where it comes in parts.

            Raises:
                StoreError: it cannot be had, or is longer than `most_bytes`.
            """

        def read_records(self, digest: str, most_bytes: int, until: float) -> list[bytes]:
            """The closure records of a request, the newest first; as many as are of use.

            Raises:
                StoreError: they cannot be had, or are longer than `most_bytes` together.
            """

        def keys(self) -> Iterator[str]:
            """Every key under which an entry stands, in no order, some perhaps twice, page by page.

            Raises:
                StoreError: they cannot be listed.
            """

        def digests(self) -> Iterator[str]:
            """The same of the requests that have closure records.

            Raises:
                StoreError: they cannot be listed.
            """

        def write_entry(self, key: str, data: bytes, until: float, *, replace: bool = False) -> bool:
            """Put bytes under a key; False where something stands there and is not to be replaced.

            Raises:
                StoreError: they are not kept.
            """

        def drop_entry(self, key: str, until: float) -> None:
            """Have nothing stand under a key.

            Raises:
                StoreError: it is not removed.
            """

        def add_record(self, digest: str, data: bytes, until: float) -> None:
            """Put one more record to those of a request; one that is there already changes nothing.

            Raises:
                StoreError: it is not kept.
            """

        def take_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
            """Take the lease on the compile of a request, where nobody has it or who had it has let it run out.

            Args:
                digest: of the request.
                token: what no other holder has.
                seconds: so long it holds where it is not renewed.
                until: when the operation is over.

            Raises:
                StoreError: that cannot be said.
            """

        def renew_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
            """Have it hold so long from now on; False where another has it.

            Raises:
                StoreError: that cannot be said.
            """

        def free_lease(self, digest: str, token: str, until: float) -> None:
            """Give it back; nothing where another has it.

            Raises:
                StoreError: that cannot be done.
            """

        def ping(self, until: float) -> None:
            """Nothing, where the store answers.

            Raises:
                StoreError: it does not.
            """


#: It could not be reached, or is left alone since it could not.
AWAY = "away"
#: It did not answer in time.
TIMED_OUT = "timed out"
#: It answered, and will not have it: no right to it, no room, no such bucket.
REFUSED = "refused"
#: Nobody has signed it.
UNSIGNED = "unsigned"
#: Signed, and not by keys that are trusted, or altered since.
UNTRUSTED = "untrusted"
#: More bytes than are taken.
TOO_LARGE = "too large"
#: Something else than was put there.
DAMAGED = "damaged"
#: After these it makes no sense to ask again at once.
OUTAGES = (AWAY, TIMED_OUT, REFUSED)


class StoreError(Exception):
    """An operation of a store failed.

    Attributes:
        word: the reason in a word or two, as `stats().misses` counts it.
        text: the reason at length, in our own words: those of clients may hold what is secret.
    """

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word, self.text = word, text
