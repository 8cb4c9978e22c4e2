"""`Cache`: the memory tier over the disk tier, with its index, as one object."""

from __future__ import annotations

import atexit
import errno
import os
import weakref

from jitload import config, log
from jitload.artifact import Artifact, decode_factors, decode_kept
from jitload.errors import UsageValueError
from jitload.format.json import canonical_json
from jitload.given import given_count, given_list, given_name, given_path, given_truth
from jitload.lazy import lazy
from jitload.settings.scope import session_part
from jitload.tiers.counters import counters
from jitload.tiers.disk import DiskStore
from jitload.tiers.lookup import read_key, reason_of
from jitload.tiers.memory import MemoryStore
from jitload.trace import is_mistake, short_errors
from jitload.values import BLOB, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Protocol

    from jitload.artifact import Kept
    from jitload.compiler import nvjitlink as linkers
    from jitload.compiler import toolkit as toolkits
    from jitload.headers.record import Variant
    from jitload.images import check as images
    from jitload.source import request as requests
    from jitload.source.request import CompileRequest
    from jitload.tiers import account as accounts
    from jitload.tiers import audit
    from jitload.tiers import blobs as blob_stores
    from jitload.tiers import explain as explanations
    from jitload.tiers import merge as merging
    from jitload.tiers import stats as statistics
    from jitload.tiers import summary as summaries
    from jitload.tiers import upkeep as upkeeps
    from jitload.tiers.audit import CacheStats, EntryInfo, Rebuilt
    from jitload.tiers.blobs import BlobStore
    from jitload.tiers.explain import Explanation
    from jitload.tiers.index import Index
    from jitload.tiers.merge import Merged
    from jitload.tiers.remote import late
    from jitload.tiers.remote.late import LateRemote
    from jitload.tiers.remote.tier import RemoteTier
    from jitload.tiers.stats import Stats
    from jitload.tiers.summary import Summary
    from jitload.tiers.tier import Tier
    from jitload.tiers.upkeep import Upkeep
    from jitload.values import Toolchain

    class Explainable(Protocol):
        """A kernel that knows its request."""

        def request(self) -> CompileRequest:
            """What it compiles."""
else:
    linkers = lazy("jitload.compiler.nvjitlink")
    # Of requests: who keeps bytes under keys of their own does without.
    toolkits = lazy("jitload.compiler.toolkit")
    requests = lazy("jitload.source.request")
    images = lazy("jitload.images.check")  # what comes with the first entry that is read
    merging = lazy("jitload.tiers.merge")
    statistics = lazy("jitload.tiers.stats")
    upkeeps = lazy("jitload.tiers.upkeep")  # at the end of a process
    accounts = lazy("jitload.tiers.account")
    audit = lazy("jitload.tiers.audit")
    blob_stores = lazy("jitload.tiers.blobs")
    explanations = lazy("jitload.tiers.explain")
    summaries = lazy("jitload.tiers.summary")
    late = lazy("jitload.tiers.remote.late")

__tracebackhide__ = is_mistake


#: To ask an enum for a member goes through its metaclass in Python 3.11: a hundredth of a hit.
_FATBIN = Kind.FATBIN


class Cache:
    """Compiled kernels of this user: in memory, and in a private directory.

    Args:
        directory: the directory, made at the first write; None means memory only.
        max_bytes: bound on the entries on the disk, in bytes.
        read_only: nothing is ever written to the directory, not even a lock or a time of use.
        layers: cache directories of others (an administrator's, a colleague's), asked in order before `directory`;
            never written, and hits from them are kept in memory only.
        remote: the settings whose remote is asked last, and gets what is compiled; None for no remote.
    """

    @short_errors
    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        max_bytes: int = config.DEFAULT_CACHE_MAX_BYTES,
        read_only: bool = False,
        layers: Iterable[str | os.PathLike[str]] = (),
        remote: config.Config | None = None,
    ) -> None:
        writes_nothing = given_truth("read_only", read_only)
        self.memory = MemoryStore()
        self.layers = tuple(_disk_store(layer, 0, read_only=True) for layer in given_list("layers", layers))
        self.disk: DiskStore | None = None
        if directory is not None:
            self.disk = _disk_store(directory, config.byte_count("max_bytes", max_bytes), read_only=writes_nothing)
        own = () if self.disk is None else (self.disk,)
        self._remote = None if remote is None else self._remote_of(remote)
        shared = () if self._remote is None else (self._remote,)
        self.tiers: tuple[Tier, ...] = (self.memory, *self.layers, *own, *shared)
        self._counters = counters()
        self._upkeeps: dict[DiskStore, Upkeep] = {}
        if self.disk is not None:
            self.disk.call_at_intervals(self.note)
        self._compilers: dict[bool, Toolchain] = {}
        self._known_linker: Toolchain | None = None
        atexit.register(_flush_at_exit, weakref.ref(self))

    @property
    def remote(self) -> RemoteTier | None:
        """The remote, opened now if it was not; None where there is none, or none that can be used."""
        return None if self._remote is None else self._remote.opened()

    def _remote_of(self, settings: config.Config) -> LateRemote | None:
        if settings.remote is None or settings.offline:
            return None
        land = weakref.WeakMethod(self._land)
        return late.LateRemote(settings, _verify_image, lambda *came: (keep := land()) and keep(*came))

    def _land(self, key: str, entry: bytes, led: tuple[str, Variant] | None) -> None:
        """Keep on the disk what came from the remote, so that the next process does not ask for it."""
        if self.disk is None or self.read_only:
            return
        if self.disk.put_entry(key, entry):
            self._note_row(decode_kept(entry, key), decode_factors(entry, key))
        if led is not None:
            self.disk.add_variant(*led)

    @staticmethod
    def default() -> Cache:
        """The cache that `compile` and `jit_kernel` use when none is given."""
        return default_cache()

    @property
    def directory(self) -> str | None:
        """The directory, or None for a cache in memory only."""
        return None if self.disk is None else self.disk.directory.path

    @property
    def read_only(self) -> bool:
        """True when nothing is written to the directory."""
        return self.disk is not None and self.disk.directory.read_only

    def memo_dir(self) -> str | None:
        """Where small facts about this machine may be kept: the directory, once it exists and is private."""
        if self.disk is None or self.read_only or not self.disk.directory.exists():
            return None
        return self.disk.directory.path

    def get(self, key: str) -> Artifact | None:
        """The verified artifact of that key, or None. A damaged entry is a miss.

        Args:
            key: 64 hex digits, `Artifact.key`.
        """
        return self.find(given_name("key", key))[0]

    def find(self, key: str) -> tuple[Artifact | None, str]:
        """Like `get`, with the reason of a miss; counts a hit for the tier that served it.

        Args:
            key: 64 hex digits, `Artifact.key`.

        Returns:
            (the artifact, "hit"), or (None, the reason of the miss).
        """
        artifact, _, said = read_key(self.tiers, key)
        return (artifact, "hit") if isinstance(artifact, Artifact) else (None, reason_of(said))

    def blobs(self, namespace: str) -> BlobStore:
        """Bytes that another system keeps here under keys of its own, in every tier and within its bounds.

        Args:
            namespace: whose keys they are: "triton". Those of two namespaces never meet.

        Raises:
            UsageTypeError, UsageValueError: it is not 1 to 100 printable characters.
        """
        return blob_stores.BlobStore(self, namespace)

    def begin(self, key: str) -> None:
        """What is asked for now, by its `key`, belongs to no request: the remote has a deadline of its own for it."""
        if self._remote is not None:
            self._remote.begin(key)

    def drop(self, key: str, *, here_only: bool = False) -> bool:
        """Drop an entry from memory and the directory, and from the remote; False where the first two had none.

        One in a layer, or in a remote that is only read, stays, and is found there again.

        Args:
            key: its key.
            here_only: the remote keeps it.
        """
        if self._remote is not None and not here_only:
            self._remote.drop(key)
        if self._upkeep is not None:
            self._upkeep.unindexed.pop(key, None)
        held = self.memory.drop(key)
        return (self.disk is not None and not self.read_only and self.disk.contents.drop(key)) or held

    def put(self, artifact: Kept, factors: Mapping[str, object] | None = None) -> None:
        """Keep an artifact or a blob in every tier; a disk that cannot be written costs a warning, no more.

        Args:
            artifact: what to keep, under its own key.
            factors: what the key was made of, for `explain`.
        """
        encoded = canonical_json(dict(factors or {}))
        for tier in self.tiers:
            if tier.put(artifact, encoded) and tier is self.disk:
                self._note_row(artifact, factors or {})

    def _note_row(self, artifact: Kept, factors: Mapping[str, object]) -> None:
        if self._upkeep is not None:
            self._upkeep.add(artifact, factors)

    @property
    def _upkeep(self) -> Upkeep | None:
        """That of the directory, which a hit does not need; None where there is none."""
        if self.disk is None:
            return None
        known = self._upkeeps.get(self.disk)
        return known or self._upkeeps.setdefault(self.disk, upkeeps.Upkeep(self.disk, self._counters))

    def variants(self, digest: str) -> tuple[Variant, ...]:
        """The header variants that the tiers know for a request by its `digest`, each once."""
        return tuple(dict.fromkeys([variant for tier in self.tiers for variant in tier.variants(digest)[0]]))

    def add_variant(self, digest: str, variant: Variant) -> None:
        """Remember in every tier which headers a request, by its `digest`, had: a `variant` of it."""
        for tier in self.tiers:
            tier.add_variant(digest, variant)

    def compiler(self, request: CompileRequest) -> Toolchain | None:
        """The compiler that this process would use for a `request`, or None where there is none. Looked for once."""
        if request.is_link:
            return self._linker()
        fatbin = request.kind is _FATBIN
        known = self._compilers.get(fatbin)
        if known is None:
            # Its digest is remembered on the disk, in a directory that is private and exists.
            known = toolkits.toolchain(self.memo_dir(), fatbin=fatbin)
            if known is not None:
                self._compilers[fatbin] = known
        return known

    def _linker(self) -> Toolchain | None:
        if self._known_linker is None:
            self._known_linker = linkers.linker_toolchain(self.memo_dir())
        return self._known_linker

    def entries(self) -> Iterator[EntryInfo]:
        """What the disk tier holds, in order of key; what the index does not know is read from the entry itself."""
        return self.survey(audit.IndexState())

    def survey(self, state: audit.IndexState) -> Iterator[EntryInfo]:
        """The same, and how far the index and the entries agree.

        Args:
            state: is told that, and is complete at the end.
        """
        if self.disk is not None and self._upkeep is not None:
            upkeep = self._upkeep
            yield from audit.list_entries(self.disk, upkeep.index, upkeep.unindexed, upkeep.noted_uses(), state)

    def summary(self) -> Summary:
        """What the disk tier holds, in figures: by the sums of its index, as far as those are right."""
        if self.disk is None or self._upkeep is None:
            return summaries.Summary()
        upkeep = self._upkeep
        return summaries.summarise(self.disk, upkeep.index, upkeep.unindexed, upkeep.noted_uses())

    def stats(self) -> CacheStats:
        """Number and size of the entries on the disk."""
        if self.disk is None:
            return audit.CacheStats(None, 0, 0, 0)
        return audit.CacheStats(self.directory, *accounts.count_entries(self.disk, self.index), self.disk.max_bytes)

    def counted(self, since: str = "") -> tuple[str | None, Stats]:
        """What all processes of all hosts that use the directory have counted, as far as they have told it.

        A process tells it at its end, and once a minute while it compiles or reads entries from the disk.

        Args:
            since: the first day to count, "2026-11-28" in UTC; default: the first that is known.

        Returns:
            The first day of which something is known, or None; and the counts from then on.
        """
        return (None, statistics.Stats.of_counts({})) if self._upkeep is None else self._upkeep.counted(since)

    def counted_by_day(self) -> dict[str, Stats]:
        """What `counted` sums up, by day ("2026-11-28" in UTC), the earliest first."""
        return {} if self._upkeep is None else self._upkeep.counted_by_day()

    def verify(self) -> tuple[int, list[str]]:
        """Read and verify every entry; damaged ones are put aside.

        Returns:
            How many are good, and the keys of those that are not.
        """
        if self.disk is None:
            return 0, []

        rows, damaged = audit.verify_entries(self.disk, self.index)
        for damage in damaged:
            log.warn(f"cache entry {damage.key} of {self.directory} is not used: {damage.reason}")
        return len(rows), [damage.key for damage in damaged]

    def explain(self, request: CompileRequest | Explainable) -> Explanation:
        """Why a request, or a `jit_kernel`, is a hit or a miss in this cache as it is now; nothing is compiled.

        `jitload.explain` gives the same, and before it what the bundles in force say.

        Args:
            request: the request, or a kernel.

        Returns:
            The explanation; `print` it.
        """
        return explanations.explain_request(requests.request_of(request), self)

    def rebuild(self) -> Rebuilt | None:
        """Make the index anew from the entries, which are verified; None where there can be no index.

        Raises:
            OSError: the index cannot be written.
        """
        index = self.index
        if self.disk is None or index is None:
            return None
        rebuilt = audit.rebuild_index(self.disk, index)
        if self._upkeep is not None:
            self._upkeep.unindexed.clear()
        return rebuilt

    def merge(self, directories: Iterable[str | os.PathLike[str]]) -> Merged:
        """Take in what other cache directories hold: verified entries, and what is known of the headers of requests.

        Nothing changes there. What is damaged is left out, and named in what is given back.

        Args:
            directories: cache directories; they are only read.

        Raises:
            UsageValueError: there is no directory to take it into, nothing may be written there, or it is among them.
            OSError: one of them does not exist, or others could have filled it.
        """
        own = self.disk
        if own is None or self.read_only:
            raise UsageValueError("merge needs a cache directory that may be written: Cache('/a/directory')")
        others = [_disk_store(directory, 0, read_only=True) for directory in given_list("directories", directories)]
        for other in others:
            path = other.directory.path
            if os.path.realpath(path) == os.path.realpath(own.directory.path):
                raise UsageValueError(f"{path} is the cache itself: name others")
            if not os.path.isdir(path):
                raise FileNotFoundError(errno.ENOENT, "no such directory", path)
            other.directory.check()
        merged = merging.merge_stores(own, others, self._note_row)
        self.flush()
        return merged

    def gc(self, max_bytes: int | None = None) -> int:
        """Drop the least recently used entries until they fit into `max_bytes`; gives how many went.

        Args:
            max_bytes: the bound; default: that of the cache.
        """
        if self.disk is None or self._upkeep is None or self.read_only:
            return 0
        bound = self.disk.max_bytes if max_bytes is None else given_count("max_bytes", max_bytes)
        self.flush()
        return self._upkeep.collect(bound)

    def clear(self) -> int:
        """Drop everything, in memory and on the disk, quarantine included; gives how many entries went."""
        self.memory.clear()
        self.memory.forget_variants()
        if self._upkeep is not None:
            self._upkeep.clear()
        return 0 if self.disk is None or self.read_only else self.disk.contents.clear()

    def flush(self) -> None:
        """Write what the index does not know yet, and collect. Called at exit; losing it loses nothing.

        What came from a remote and is on its way to the disk is waited for, and what goes there.
        """
        if self._remote is not None:
            self._remote.flush()
        if self._upkeep is not None:
            self._upkeep.flush()

    def note(self) -> int:
        """Note what was counted and used since the last time, for the index; gives how long the notes are, in bytes.

        It is called at exit and at intervals, and costs a line appended to a file.
        """
        return 0 if self._upkeep is None else self._upkeep.note()

    @property
    def index(self) -> Index | None:
        """The index of the disk tier, or None where there is none."""
        return None if self._upkeep is None else self._upkeep.index


def _disk_store(directory: object, max_bytes: int, *, read_only: bool) -> DiskStore:
    path = os.path.abspath(os.path.expanduser(given_path("directory", directory)))
    return DiskStore(path, max_bytes=max_bytes, read_only=read_only, verify=_verify_image)


class _Defaults:
    """Settings -> their cache. Threads may have different settings at once, so it is not the last one alone."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Cache] = {}
        # id of settings -> the settings, which keeps the id theirs, and their cache.
        self._seen: dict[int, tuple[config.Config, Cache]] = {}

    def cache(self, settings: config.Config) -> Cache:
        """One object for each directory, and remote behind it, that is in force."""
        seen = self._seen.get(id(settings))
        if seen is not None:
            return seen[1]
        wanted = tuple([getattr(settings, name) for name in _OF_A_CACHE])
        known = self._known.get(wanted)
        if known is None:
            known = self._make(settings, wanted)
        if len(self._seen) >= _MAX_DEFAULTS:
            self._seen.clear()
        self._seen[id(settings)] = (settings, known)
        return known

    def _make(self, settings: config.Config, wanted: tuple[object, ...]) -> Cache:
        if settings.cache_dir is None:
            log.warn_once("home", "no home directory, so no cache on the disk: set JITLOAD_CACHE_DIR to have one")
        for path in settings.read_only_dirs:
            if not os.path.isdir(path):
                log.warn_once(
                    ("layer", path), f"{path} is passed over: JITLOAD_READ_ONLY_DIRS names no directory there"
                )
        if len(self._known) >= _MAX_DEFAULTS:
            self._known.pop(list(self._known)[0], None)  # noqa: RUF015 - another thread may change it between two steps
        made = Cache(
            settings.cache_dir,
            max_bytes=settings.cache_max_bytes,
            layers=settings.read_only_dirs,
            remote=settings,
        )
        if made.disk is not None:
            made.disk.asked = True  # what is served by bundles and layers is counted here too
        return self._known.setdefault(wanted, made)


_MAX_DEFAULTS = 16
#: The settings that a cache comes of.
_OF_A_CACHE = (
    "cache_dir",
    "cache_max_bytes",
    "read_only_dirs",
    "offline",
    "remote",
    "remote_key",
    "remote_lease_seconds",
    "remote_max_entry_bytes",
    "remote_mode",
    "remote_trust",
    "remote_wait_seconds",
)


def default_cache(settings: config.Config | None = None) -> Cache:
    """The cache that the settings in force name, in the session in force.

    Args:
        settings: `config.current()`, where the caller has it already.
    """
    return session_part(_Defaults).cache(config.current() if settings is None else settings)


def _verify_image(kind: str, data: bytes) -> None:
    if kind != BLOB:  # of which nothing is known but its digest
        images.verify_image(kind, data)


def _flush_at_exit(reference: weakref.ref[Cache]) -> None:
    cache = reference()
    if cache is not None:
        cache.flush()
