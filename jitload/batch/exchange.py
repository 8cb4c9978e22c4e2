"""A remote filled from a machine, and a machine from a remote, before anybody asks for a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.artifact import decode_factors
from jitload.batch.expand import expanded
from jitload.compiler.key import readable_factors
from jitload.errors import JitloadError, UsageValueError
from jitload.format.json import canonical_json
from jitload.frozen import Value
from jitload.tiers.database import is_entry_key
from jitload.tiers.lookup import ask
from jitload.tiers.remote.store import StoreError
from jitload.tiers.stats import stats

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jitload.artifact import Kept
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.remote.tier import RemoteTier
    from jitload.tiers.tier import Tier

    Items = Iterable[CompileRequest | Path]

#: So many are under way before what was handed over is waited for.
AT_ONCE = 16


class Exchanged(Value):
    """What was moved between a cache and its remote.

    Attributes:
        moved: entries that were handed over.
        present: entries that were on the machine already, of those that were to come.
        missing: what was asked for and is not where it should come from, a line each.
        failed: entries and records that the remote did not take, and what was damaged here.
    """

    __slots__ = ("failed", "missing", "moved", "present")
    moved: int
    present: int
    missing: tuple[str, ...]
    failed: int

    def __init__(self, moved: int, present: int, missing: Iterable[str], failed: int) -> None:
        self._set(moved=moved, present=present, missing=tuple(missing), failed=failed)


def push_everything(cache: Cache) -> Exchanged:
    """Give the remote of a cache every entry and closure record of its directory; what is there already stays.

    Raises:
        UsageValueError: there is no remote or no directory, or nothing may be written there.
    """
    disk, remote = _ends(cache, writes=True)
    giver = _Giver(remote)
    for key in [key for key, _ in disk.contents.scan_keys()]:
        try:
            artifact, data = disk.read_entry(key)
        except FileNotFoundError:
            continue  # dropped meanwhile
        except (OSError, JitloadError):
            giver.failed += 1
            continue
        giver.give(artifact, canonical_json(decode_factors(data, key)))
    for digest in list(disk.contents.scan_records()):
        for variant in reversed(disk.variants(digest)[0]):
            giver.add_variant(digest, variant)
    return Exchanged(giver.given, 0, (), giver.finish())


def push(cache: Cache, items: Items, archs: Iterable[str] | None, kinds: Iterable[str] | None) -> Exchanged:
    """Give the remote of a cache what workloads, sources or plans name, as far as the machine has it.

    Raises:
        UsageValueError: there is no remote or no directory, or nothing may be written there.
        OSError, BundleError: one of them cannot be read.
    """
    _, remote = _ends(cache, writes=True)
    giver = _Giver(remote)
    missing = []
    with expanded(items, archs, kinds) as requests:
        for request in requests:
            answer = ask(request, _here(cache), cache.compiler)
            if answer.artifact is None or answer.variant is None:
                missing.append(_describe(request, answer.reason))
                continue
            giver.give(answer.artifact, canonical_json(readable_factors(request, answer.variant.headers())))
            giver.add_variant(request.digest, answer.variant)
    return Exchanged(giver.given, 0, missing, giver.finish())


def pull(cache: Cache, items: Items, archs: Iterable[str] | None, kinds: Iterable[str] | None) -> Exchanged:
    """Take from the remote of a cache what workloads, sources or plans name, as far as it has it.

    Raises:
        UsageValueError: there is no remote or no directory.
        OSError, BundleError: one of them cannot be read.
    """
    _, remote = _ends(cache, writes=False)
    moved = present = 0
    missing = []
    with expanded(items, archs, kinds) as requests:
        for request in requests:
            if ask(request, _here(cache), cache.compiler).artifact is not None:
                present += 1
                continue
            answer = ask(request, cache.tiers, cache.compiler)
            if answer.artifact is None:
                missing.append(_describe(request, answer.reason))
                continue
            moved += 1
            if moved % AT_ONCE == 0:
                remote.flush()  # it lands before more comes than can wait
    cache.flush()
    return Exchanged(moved, present, missing, 0)


def pull_everything(cache: Cache) -> Exchanged:
    """Take every entry and closure record of the remote of a cache; the bound of the directory holds as ever.

    Raises:
        UsageValueError: there is no remote or no directory.
        OSError: the remote cannot be listed, or fails meanwhile.
    """
    disk, remote = _ends(cache, writes=False)
    taker = _Taker(cache, disk, remote)
    try:
        # Records first: an entry that nobody asks for by its headers is the first that the bound takes.
        for digest in filter(is_entry_key, remote.store.digests()):
            taker.take_record(digest)
        for key in filter(is_entry_key, remote.store.keys()):
            taker.take_entry(key)
    except StoreError as error:
        cache.flush()
        raise OSError(f"{remote.place} cannot be read as a whole, {taker.moved} entries came: {error.text}") from None
    cache.flush()
    return Exchanged(taker.moved, taker.present, taker.missing, 0)


class _Taker:
    """Takes things from a remote no faster than they land."""

    def __init__(self, cache: Cache, disk: DiskStore, remote: RemoteTier) -> None:
        self._cache = cache
        self._disk = disk
        self._remote = remote
        self.moved = self.present = 0
        self.missing: list[str] = []

    def take_entry(self, key: str) -> None:
        if not self._disk.contents.is_gone(key):
            self.present += 1
            return
        self._remote.begin(key)  # each has a deadline of its own
        found, word = self._remote.read(key)
        if found is None:
            if self._remote.breaker.why is not None:
                raise self._remote.breaker.why
            self.missing.append(f"{key[:12]}: {word}")
            return
        self.moved += 1
        if self.moved % AT_ONCE == 0:
            self._cache.flush()  # it lands before more comes than can wait

    def take_record(self, digest: str) -> None:
        self._remote.begin(digest)
        known = {(one.closure, one.toolchain) for one in self._disk.variants(digest)[0]}
        found, word = self._remote.variants(digest)
        if not found:
            if self._remote.breaker.why is not None:
                raise self._remote.breaker.why
            if word != "absent":
                self.missing.append(f"{digest[:12]}: {word}")
        for variant in reversed(found):
            if (variant.closure, variant.toolchain) not in known:
                self._disk.add_variant(digest, variant)


class _Giver:
    """Hands things to a remote no faster than it takes them."""

    def __init__(self, remote: RemoteTier) -> None:
        self._remote = remote
        self._before = _errors()
        self._waiting = 0
        self.given = self.failed = 0

    def give(self, artifact: Kept, factors: bytes) -> None:
        self._pace()
        if self._remote.put(artifact, factors):
            self.given += 1
        else:
            self.failed += 1

    def add_variant(self, digest: str, variant: Variant) -> None:
        self._pace()
        self._remote.add_variant(digest, variant)

    def finish(self) -> int:
        """How many did not arrive, when everything has been tried."""
        self._remote.flush()
        return self.failed + _errors() - self._before

    def _pace(self) -> None:
        self._waiting += 1
        if self._waiting % AT_ONCE == 0:
            self._remote.flush()


def _ends(cache: Cache, *, writes: bool) -> tuple[DiskStore, RemoteTier]:
    disk, remote = cache.disk, cache.remote
    if disk is None:
        raise UsageValueError("there is no cache directory: set JITLOAD_CACHE_DIR")
    if remote is None:
        raise UsageValueError("there is no remote that can be used: set JITLOAD_REMOTE, and not JITLOAD_OFFLINE")
    if writes and not remote.writes:
        raise UsageValueError(f"nothing may be written to {remote.place}: JITLOAD_REMOTE_MODE must be readwrite")
    return disk, remote


def _here(cache: Cache) -> tuple[Tier, ...]:
    return tuple(tier for tier in cache.tiers if tier.name != "remote")


def _describe(request: CompileRequest, reason: str) -> str:
    return f"{request.path or request.name} ({request.kind}, {request.arch}): {reason}"


def _errors() -> int:
    return sum(stats().remote_errors.values())
