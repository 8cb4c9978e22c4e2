"""`RemoteTier`: the tier behind the directories. It asks a store, believes nothing it says, and never waits for long.

What it has lands in the tiers before it, so the next process asks nobody. What was compiled here is written back by a
thread. Whatever the store does is an artifact, or a miss with its reason.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import local

from jitload import events, forks, log
from jitload.artifact import decode_entry
from jitload.compiler.key import key_of
from jitload.errors import ArtifactError, LoadError
from jitload.format.entry import encode_entry
from jitload.headers.record import Variant, decode_record, encode_record
from jitload.tiers.remote.breaker import Breaker
from jitload.tiers.remote.deadline import OPERATION_SECONDS
from jitload.tiers.remote.store import AWAY, DAMAGED, OUTAGES, TOO_LARGE, StoreError
from jitload.tiers.remote.writer import Writer
from jitload.tiers.stats import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.tiers.remote.store import Store

    #: Keeps what came from the remote: the artifact, its entry, and its request and headers, if known.
    Land = Callable[[Artifact, bytes, "tuple[str, Variant] | None"], object]

#: Keys whose request and headers are remembered between the two questions of a look-up.
_MAX_REMEMBERED = 4096


class RemoteTier:
    """A `Tier` in a store that other machines use too.

    Args:
        store: the store.
        place: what an explanation calls it, without anything secret.
        writes: True where what is compiled here goes there.
        most_bytes: an entry that is longer is neither read nor written.
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
        verify: Callable[[str, bytes], None],
        land: Land,
    ) -> None:
        self.store = store
        self.place = f"remote {place}"
        self.writes = writes and not store.writes
        self.most_bytes = most_bytes
        self.breaker = Breaker(self.place, "kernels are compiled here meanwhile", store.ping)
        self.write_breaker = Breaker(f"writing to {self.place}", "what is compiled here stays here", store.ping)
        self._writer = Writer(self.place)
        self._lander = Writer(self.place)  # a store that is slow to take things delays no landing
        self._verify = verify
        self._land = land
        self._led: OrderedDict[str, tuple[str, Variant]] = OrderedDict()
        self._look_up = local()
        forks.after_fork(self._begin_anew)

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """The headers that a request is known to have had on any machine, and "hit"; or none and the reason."""
        self._look_up.until = until = time.monotonic() + OPERATION_SECONDS
        self._look_up.digest = request_digest
        return self._variants(request_digest, until)

    def read(self, key: str) -> tuple[Artifact | None, str]:
        """The verified artifact of that key and "hit", and it has landed; or None and the reason."""
        led = self._led.get(key)
        # One deadline for a look-up: what led to the key has used up some of it.
        same = led is not None and led[0] == getattr(self._look_up, "digest", None)
        until = self._look_up.until if same else time.monotonic() + OPERATION_SECONDS
        artifact, data, word = self._read(key, until)
        if artifact is not None:
            self._lander.add(lambda: self._land(artifact, data, led), len(data))
        return artifact, word

    def peek(self, key: str) -> tuple[Artifact | None, str]:
        """The same for an explanation: nothing lands."""
        why = self.breaker.why
        artifact, _, word = self._read(key, time.monotonic() + OPERATION_SECONDS)
        if word == AWAY and why is not None:
            word = f"{AWAY} ({why.text}; asked again in {self.breaker.pause_left:.1f} s)"
        return artifact, word

    def put(self, artifact: Artifact, factors: bytes = b"{}") -> bool:
        """Have an artifact written by the thread that writes; False where it is not."""
        if not self.writes or not self.breaker.allows():
            return False
        return self._writer.add(self._writes_entry(artifact, factors), len(artifact.data))

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Have written which headers a request had, beside what others have written."""
        if self.writes and self.breaker.allows():
            # Where a file lies on the disk of this machine is nothing to others.
            files = [(root, relative, digest, None) for root, relative, digest, _ in variant.files]
            bare = Variant(variant.closure, variant.toolchain, files, variant.absent)
            self._writer.add(self._writes_record(request_digest, bare))

    def flush(self) -> None:
        """Wait, not for long, until what came has landed and what goes there has gone."""
        self._lander.flush()
        self._writer.flush()

    def _variants(self, request_digest: str, until: float) -> tuple[tuple[Variant, ...], str]:
        records, word = self._ask(lambda: self.store.read_records(request_digest, self.most_bytes, until))
        if records is None:
            return (), word
        found: dict[Variant, None] = {}
        for data in records:
            try:
                found.update(dict.fromkeys(map(_bare, decode_record(data, request_digest))))
            except ArtifactError as error:
                word = self._reject(request_digest, DAMAGED, str(error))
        for variant in found:
            self._remember(key_of(request_digest, variant.closure, variant.toolchain), request_digest, variant)
        return tuple(found), "hit" if found else (word or "absent")

    def _read(self, key: str, until: float) -> tuple[Artifact | None, bytes, str]:
        data, word = self._ask(lambda: self.store.read_entry(key, self.most_bytes, until))
        if data is None:
            return None, b"", word or "absent"
        try:
            artifact = decode_entry(data, key)
            self._verify(artifact.kind, artifact.data)
        except (ArtifactError, LoadError) as error:
            return None, b"", self._reject(key, DAMAGED, str(error))
        return artifact, data, "hit"

    def _ask(self, ask: Callable[[], Any]) -> tuple[Any, str]:
        """What an operation of the store gives, and ""; or None and the reason."""
        if not self.breaker.allows():
            return None, AWAY
        try:
            found = ask()
        except StoreError as error:
            counters().count_remote_error(error.word)
            if error.word in OUTAGES:
                self.breaker.note_failure(error)
            else:
                log.debug("%s: %s: %s", self.place, error.word, error.text)
            return None, error.word
        self.breaker.note_success()
        if found:
            counters().count_received(len(found) if isinstance(found, bytes) else sum(map(len, found)))
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

    def _writes_entry(self, artifact: Artifact, factors: bytes) -> Callable[[], None]:
        def write() -> None:
            data = encode_entry(artifact, factors)
            if len(data) > self.most_bytes:
                counters().count_remote_error(TOO_LARGE)
                return
            self._write(lambda until: self._put_entry(artifact.key, data, until))

        return write

    def _put_entry(self, key: str, data: bytes, until: float) -> int:
        """Put an entry where nothing stands, or nothing that anybody could use; the bytes that were sent."""
        if self.store.write_entry(key, data, until):
            return len(data)
        try:
            there = self.store.read_entry(key, self.most_bytes, until)
            if there is not None:
                self._verify_bytes(key, there)
                return 0
        except StoreError as error:
            if error.word in OUTAGES:
                raise
        except (ArtifactError, LoadError):
            pass
        self.store.write_entry(key, data, until, replace=True)
        return len(data)

    def _verify_bytes(self, key: str, data: bytes) -> None:
        artifact = decode_entry(data, key)
        self._verify(artifact.kind, artifact.data)

    def _writes_record(self, request_digest: str, variant: Variant) -> Callable[[], None]:
        def write() -> None:
            data = encode_record(request_digest, (variant,))
            self._write(lambda until: self._add_record(request_digest, data, until))

        return write

    def _add_record(self, request_digest: str, data: bytes, until: float) -> int:
        self.store.add_record(request_digest, data, until)
        return len(data)

    def _write(self, write: Callable[[float], int]) -> None:
        """Write something, or lose it."""
        if not self.breaker.allows() or not self.write_breaker.allows():
            return
        try:
            counters().count_sent(write(time.monotonic() + OPERATION_SECONDS))
        except StoreError as error:
            counters().count_remote_error(error.word)
            # A store that has no room can be read as ever.
            self.write_breaker.note_failure(error)
        else:
            self.write_breaker.note_success()

    def _begin_anew(self) -> None:
        """After a fork: another thread may have been changing it."""
        self._led = OrderedDict()
        self._look_up = local()


def _bare(variant: Variant) -> Variant:
    """A variant without what only the machine that wrote it can know: nobody is to believe its stamps of files here."""
    if all(stamp is None for _, _, _, stamp in variant.files):
        return variant
    files = [(root, relative, digest, None) for root, relative, digest, _ in variant.files]
    return Variant(variant.closure, variant.toolchain, files, variant.absent)
