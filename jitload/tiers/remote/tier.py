"""`RemoteTier`: the tier behind the directories. It asks a store, believes nothing it says, and never waits for long.

What it has lands in the tiers before it, so the next process asks nobody. What was compiled here is written back by a
thread. Whatever the store does is an artifact, or a miss with its reason.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import local
from typing import TYPE_CHECKING

from jitload import events, forks, log
from jitload.artifact import decode_kept
from jitload.compiler.key import key_of
from jitload.errors import ArtifactError, LoadError
from jitload.format.entry import encode_entry
from jitload.headers.record import Variant, decode_record, encode_record
from jitload.tiers.counters import counters
from jitload.tiers.remote.breaker import Breaker
from jitload.tiers.remote.deadline import OPERATION_SECONDS, WRITE_SECONDS
from jitload.tiers.remote.seal import ENTRY, RECORD
from jitload.tiers.remote.store import AWAY, DAMAGED, OUTAGES, TIMED_OUT, TOO_LARGE, StoreError
from jitload.tiers.remote.writer import Writer
from jitload.values import BLOB

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jitload.artifact import Kept
    from jitload.format.arriving import Arrived
    from jitload.tiers.remote.seal import Seal
    from jitload.tiers.remote.store import Store

    #: Keeps what came from the remote: its key, what its entry consists of, its request and headers, if known, and the
    #: entry where it came in pieces.
    Land = Callable[[str, tuple[bytes, ...], "tuple[str, Variant] | None", "Arrived | None"], object]

#: An operation that takes longer counts against the time of its look-up; to each is left at least so much; and a
#: request that is looked for after so long is looked for anew.
_SLOW_SECONDS, _LEAST_SECONDS, _SAME_SECONDS = 0.1, 0.1, 10.0
#: What came is on the disk so much later, or at the end of the process.
LAND_SECONDS = 0.005
#: Keys whose request and headers are remembered between the two questions of a look-up.
_MAX_REMEMBERED = 4096


class RemoteTier:
    """A `Tier` in a store that other machines use too.

    Args:
        store: the store.
        place: what an explanation calls it, without anything secret.
        writes: True where what is compiled here goes there.
        most_bytes: an entry that is longer is neither read nor written.
        lease_seconds: so long the lease on a compile holds without its holder; 0 for no leases.
        wait_seconds: so long a compile on another machine is waited for.
        seal: signs what goes there, and judges what comes.
        verify: the structural check of an image, `verify(kind, data)`, raising LoadError.
        land: keeps what came from there.
    """

    name = "remote"
    checks_toolkit = True

    def __init__(
        self,
        store: Store,
        place: str,
        *,
        writes: bool,
        most_bytes: int,
        lease_seconds: float,
        wait_seconds: float,
        seal: Seal,
        verify: Callable[[str, bytes], None],
        land: Land,
    ) -> None:
        self.store = store
        self.place = f"remote {place}"
        self.writes = writes and not store.writes
        self.most_bytes = most_bytes
        self.lease_seconds = 0.0 if store.leases else lease_seconds
        self.wait_seconds = wait_seconds
        self.seal = seal
        self.breaker = Breaker(self.place, "kernels are compiled here meanwhile", store.ping)
        self.write_breaker = Breaker(f"writing to {self.place}", "what is compiled here stays here", store.ping)
        self._writer = Writer(self.place)
        self._lander = Writer(self.place, LAND_SECONDS)  # apart: a store that is slow to take things delays no landing
        self._verify = verify
        self._land = land
        self._led: OrderedDict[str, tuple[str, Variant]] = OrderedDict()
        self._patience = _Patience()
        forks.after_fork(self._begin_anew)

    @property
    def leases(self) -> bool:
        """Whether a compile is to be agreed on with others now: they would get what comes of it."""
        return self.writes and self.lease_seconds > 0 and not (self.breaker.why or self.write_breaker.why)

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """The headers that a request is known to have had on any machine, and "hit"; or none and the reason."""
        self._patience.begin(request_digest)
        records, word = self._ask(lambda until: self.store.read_records(request_digest, self.most_bytes, until))
        if records is None:
            return (), word or "absent"
        found: dict[Variant, None] = {}
        for data in records:
            try:
                body = self.seal.open(data, RECORD, request_digest)
                # Nobody is to believe the stamps of files on another machine.
                found.update(dict.fromkeys([one.unstamped() for one in decode_record(body, request_digest)]))
            except ArtifactError as error:
                word = self._reject(request_digest, DAMAGED, str(error))
            except StoreError as error:
                word = self._reject(request_digest, error.word, error.text)
        for variant in found:
            self._remember(key_of(request_digest, variant.closure, variant.toolchain), request_digest, variant)
        return tuple(found), "hit" if found else (word or "absent")

    def read(self, key: str) -> tuple[Kept | None, str]:
        """The verified artifact of that key and "hit", and it has landed soon; or None and the reason."""
        led = self._led.get(key)
        artifact, entry, word = self._read(key)
        if artifact is not None:
            # Not what was made of it, which may be as large again.
            came, pieces = (None, (entry,)) if isinstance(entry, bytes) else (entry, entry.pieces)
            self._lander.add(lambda: self._land(key, pieces, led, came), len(entry))
        return artifact, word

    def peek(self, key: str) -> tuple[Kept | None, str]:
        """The same for an explanation: nothing lands."""
        artifact, _, word = self._read(key)
        return artifact, self.said(word)

    def said(self, word: str) -> str:
        """A reason at length, as far as more is known of it."""
        why = self.breaker.why
        if why is None or word not in OUTAGES:
            return word
        return f"{word} ({why.text}; asked again in {self.breaker.pause_left:.1f} s)"

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:
        """Have an artifact written by the thread that writes; False where it is not."""
        return self.writes and self.write_later(
            lambda until: self._put_entry(artifact, encode_entry(artifact, factors), until), len(artifact.data)
        )

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Have written which headers a request had, beside what others have written."""
        if self.writes:
            record = encode_record(request_digest, (variant.unstamped(),))
            self.write_later(lambda until: self._add_record(request_digest, record, until), len(record))

    def write_later(self, write: Callable[[float], int], nbytes: int = 0) -> bool:
        """Have something written by the thread that writes, behind what waits there; False where it is lost.

        Args:
            write: writes by a moment, and gives how many bytes it has sent.
            nbytes: what it holds in memory meanwhile.
        """
        if self.breaker.why is not None:
            self.breaker.allows()
            return False

        def work() -> None:
            sent = self.write_now(lambda: write(time.monotonic() + WRITE_SECONDS))
            counters().count_sent(sent or 0)

        return self._writer.add(work, nbytes)

    def write_now(self, write: Callable[[], Any]) -> Any:
        """What an operation that writes gives; None where the store is left alone, or does not do it."""
        if not self.breaker.allows() or not self.write_breaker.allows():
            return None
        try:
            done = write()
        except StoreError as error:
            counters().count_remote_error(error.word)
            # What cannot be reached cannot be read either; a store that has no room can be read as ever.
            broken = self.breaker if error.word in {AWAY, TIMED_OUT} else self.write_breaker
            if error.word in OUTAGES:
                broken.note_failure(error)
            return None
        return done

    def begin(self, key: str) -> None:
        """What is asked from now on is asked for this key, of no request, and has a deadline of its own."""
        self._patience.begin(key)

    def drop(self, key: str) -> None:
        """Have an entry removed there, behind what is on its way, if anything may be written there."""
        if self.writes:
            self.flush()
            self.write_now(lambda: self.store.drop_entry(key, time.monotonic() + OPERATION_SECONDS))

    def flush(self) -> None:
        """Wait, not for long, until what came has landed and what goes there has gone."""
        self._lander.flush()
        self._writer.flush()

    def _read(self, key: str) -> tuple[Kept | None, bytes | Arrived, str]:
        data, word = self._ask(lambda until: self.store.receive_entry(key, self.most_bytes, until))
        if data is None:
            return None, b"", word or "absent"
        try:
            artifact, entry = self._verified(key, data)
        except (ArtifactError, LoadError) as error:
            return None, b"", self._reject(key, DAMAGED, str(error))
        except StoreError as error:
            return None, b"", self._reject(key, error.word, error.text)
        return artifact, entry, "hit"

    def _verified(self, key: str, data: bytes | Arrived) -> tuple[Kept, bytes | Arrived]:
        entry: bytes | Arrived
        if isinstance(data, bytes):
            entry = self.seal.open(data, ENTRY, key)
            artifact = decode_kept(entry, key)
        else:
            entry = self.seal.open_arrived(data, ENTRY, key)
            artifact = decode_kept(entry.head, key, came=entry)
        self._verify(artifact.kind, artifact.data)
        return artifact, entry

    def _ask(self, ask: Callable[[float], Any]) -> tuple[Any, str]:
        """What an operation that reads gives, and ""; or None and the reason."""
        if not self.breaker.allows():
            return None, AWAY
        started = time.monotonic()
        try:
            found = ask(started + self._patience.left())
            self._patience.spend(time.monotonic() - started)
        except StoreError as error:
            counters().count_remote_error(error.word)
            if error.word in OUTAGES:
                self.breaker.note_failure(error)
            else:
                log.debug("%s: %s: %s", self.place, error.word, error.text)
            return None, error.word
        if found:
            counters().count_received(sum(map(len, found)) if isinstance(found, list) else len(found))
        return found, ""

    def _reject(self, digest: str, word: str, reason: str) -> str:
        """Say, once, that something there is not used; gives the word for it."""
        counters().count_remote_error(word)
        log.warn_once(("remote", self.place, digest, word), f"{digest[:12]} of {self.place} is not used: {reason}")
        if events.listeners:
            events.tell("reject", key=digest, tier=self.name, reason=reason)
        return word

    def _remember(self, key: str, request_digest: str, variant: Variant) -> None:
        self._led[key] = (request_digest, variant)
        while len(self._led) > _MAX_REMEMBERED:
            self._led.pop(next(iter(self._led)), None)

    def _put_entry(self, kept: Kept, entry: bytes, until: float) -> int:
        """Put an entry where nothing stands, nothing that others could use, or another blob; the bytes that were sent.

        An artifact's key says all of what it is. What a foreign key stands for is its owner's to say.
        """
        key = kept.key
        data = self.seal.close(entry, ENTRY, key)
        if len(data) > self.most_bytes:
            raise StoreError(TOO_LARGE, f"it has {len(data)} bytes")
        if self.store.write_entry(key, data, until):
            return len(data)
        try:
            there = self.store.read_entry(key, self.most_bytes, until) or b""
            found, _ = self._verified(key, there)
            if self.seal.suffices(there) and (kept.kind != BLOB or found.data == kept.data):
                return 0
        except StoreError as error:
            if error.word in OUTAGES:
                raise
        except (ArtifactError, LoadError):
            pass
        self.store.write_entry(key, data, until, replace=True)
        return len(data)

    def _add_record(self, request_digest: str, record: bytes, until: float) -> int:
        data = self.seal.close(record, RECORD, request_digest)
        self.store.add_record(request_digest, data, until)
        return len(data)

    def _begin_anew(self) -> None:
        """After a fork: another thread may have been changing it."""
        self._led = OrderedDict()
        self._patience = _Patience()


class _Patience(local):
    """One deadline for all that a thread asks to have one request served, however often it asks.

    What is answered at once costs nothing of it: a miss asks several times, and a process for many kernels.
    """

    def __init__(self) -> None:
        self._digest = ""
        self._began = self._spent = 0.0

    def begin(self, digest: str) -> None:
        """A request is looked for: for another one than before, or long after, all the time is there again."""
        now = time.monotonic()
        if digest != self._digest or now - self._began > _SAME_SECONDS:
            self._digest, self._began, self._spent = digest, now, 0.0

    def left(self) -> float:
        """So many seconds are left."""
        return max(OPERATION_SECONDS - self._spent, _LEAST_SECONDS)

    def spend(self, seconds: float) -> None:
        """An operation took so long."""
        if seconds > _SLOW_SECONDS:
            self._spent += seconds
