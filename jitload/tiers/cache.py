"""`Cache`: the memory tier over the disk tier, with its index, as one object."""

from __future__ import annotations

import atexit
import os
from _weakref import ref

from jitload import config, log
from jitload.artifact import Artifact, decode_factors, decode_kept
from jitload.format.json import canonical_json
from jitload.given import given_directory, given_list, given_name, given_truth
from jitload.lazy import lazy
from jitload.settings.scope import session_part
from jitload.tiers.counters import counters
from jitload.tiers.disk import disk_store, verify_kept
from jitload.tiers.housekeeping import Housekeeping
from jitload.tiers.lookup import read_key, reason_of
from jitload.tiers.memory import MemoryStore
from jitload.trace import is_mistake, short_errors
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from jitload.artifact import Kept
    from jitload.compiler import nvjitlink as linkers
    from jitload.compiler import toolkit as toolkits
    from jitload.format.arriving import Arrived
    from jitload.headers.record import Variant
    from jitload.source import request as requests
    from jitload.source.request import CompileRequest
    from jitload.tiers import blobs as blob_stores
    from jitload.tiers import explain as explanations
    from jitload.tiers.blobs import BlobStore
    from jitload.tiers.explain import Explanation
    from jitload.tiers.remote import late
    from jitload.tiers.remote.late import LateRemote
    from jitload.tiers.remote.tier import RemoteTier
    from jitload.tiers.tier import Tier
    from jitload.values import Toolchain

    class Explainable(Protocol):
        """A kernel that knows its request."""

        def request(self) -> CompileRequest:
            """What it compiles."""
else:
    weakref = lazy("weakref")  # 0.4 ms, and most have no remote
    linkers = lazy("jitload.compiler.nvjitlink")
    # Of requests: who keeps bytes under keys of their own does without.
    toolkits = lazy("jitload.compiler.toolkit")
    requests = lazy("jitload.source.request")
    blob_stores = lazy("jitload.tiers.blobs")
    explanations = lazy("jitload.tiers.explain")
    late = lazy("jitload.tiers.remote.late")

__tracebackhide__ = is_mistake


#: To ask an enum for a member goes through its metaclass in Python 3.11: a hundredth of a hit.
_FATBIN = Kind.FATBIN


class Cache(Housekeeping):
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
        below = [given_directory("layers", layer) for layer in given_list("layers", layers)]
        place = None if directory is None else given_directory("directory", directory)
        bound = 0 if place is None else config.byte_count("max_bytes", max_bytes)
        self._open(place, bound, below, remote, read_only=writes_nothing)

    @classmethod
    def _of_settings(cls, settings: config.Config) -> Cache:
        """The cache that settings name, which checked each of its values when it was set."""
        made = cls.__new__(cls)
        made._open(settings.cache_dir, settings.cache_max_bytes, settings.read_only_dirs, settings)
        return made

    def _open(
        self,
        place: str | None,
        max_bytes: int,
        layers: Iterable[str],
        remote: config.Config | None,
        *,
        read_only: bool = False,
    ) -> None:
        self.memory = MemoryStore()
        self.layers = tuple([disk_store(layer, 0, read_only=True) for layer in layers])
        self.disk = None if place is None else disk_store(place, max_bytes, read_only=read_only)
        own = () if self.disk is None else (self.disk,)
        self._remote = None if remote is None or remote.remote is None else self._remote_of(remote)
        shared = () if self._remote is None else (self._remote,)
        self.tiers: tuple[Tier, ...] = (self.memory, *self.layers, *own, *shared)
        self._counters = counters()
        self._upkeeps = {}
        if self.disk is not None:
            self.disk.call_at_intervals(self.note)
        self._compilers: dict[bool, Toolchain] = {}
        self._known_linker: Toolchain | None = None
        atexit.register(_flush_at_exit, ref(self))

    @property
    def remote(self) -> RemoteTier | None:
        """The remote, opened now if it was not; None where there is none, or none that can be used."""
        return None if self._remote is None else self._remote.opened()

    def _remote_of(self, settings: config.Config) -> LateRemote | None:
        if settings.offline:
            return None
        land = weakref.WeakMethod(self._land)
        return late.LateRemote(settings, verify_kept, lambda *came: (keep := land()) and keep(*came))

    def _land(self, key: str, pieces: tuple[bytes, ...], led: tuple[str, Variant] | None, came: Arrived | None) -> None:
        """Keep on the disk what came from the remote, so that the next process does not ask for it."""
        if self.disk is None or self.read_only:
            return
        if self.disk.put_entry(key, *pieces):
            self._note_row(decode_kept(pieces[0], key, came=came), decode_factors(pieces[0], key, came))
        if led is not None:
            self.disk.add_variant(*led)

    @staticmethod
    @short_errors
    def default() -> Cache:
        """The cache that `compile` and `jit_kernel` use when none is given."""
        return default_cache()

    def memo_dir(self) -> str | None:
        """Where small facts about this machine may be kept: the directory, once it exists and is private."""
        if self.disk is None or self.disk.directory.read_only or not self.disk.directory.exists():
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

    @short_errors
    def explain(self, request: CompileRequest | Explainable) -> Explanation:
        """Why a request, or a `jit_kernel`, is a hit or a miss in this cache as it is now; nothing is compiled.

        `jitload.explain` gives the same, and before it what the bundles in force say.

        Args:
            request: the request, or a kernel.

        Returns:
            The explanation; `print` it.
        """
        return explanations.explain_request(requests.request_of(request), self)


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
                log.warn_once(("layer", path), f"{path} is passed over: no directory (JITLOAD_READ_ONLY_DIRS)")
        if len(self._known) >= _MAX_DEFAULTS:
            self._known.pop(list(self._known)[0], None)  # noqa: RUF015 - another thread may change it between two steps
        made = Cache._of_settings(settings)
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


def _flush_at_exit(reference: ref[Cache]) -> None:
    cache = reference()
    if cache is not None:
        cache.flush()
