"""Asking the memory and the directories of a cache for the artifact of a request; bundles are asked above.

A launch and an explanation ask by the same loop. An explanation brings a `Trail`: then every place is asked and says
what it has, and nothing is counted, kept or touched.
"""

from __future__ import annotations

from jitload import log
from jitload.compiler.key import artifact_key
from jitload.compiler.manifest import check_variant
from jitload.compiler.toolkit import toolchain, toolkit_roots
from jitload.errors import JitloadError
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.compiler.manifest import Variant
    from jitload.compiler.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.tiers.disk import DiskStore
    from jitload.values import Toolchain

_MAX_KEYS = 1024
_keys: dict[tuple[str, str, str], str] = {}
# Variants whose toolkit headers were compared in this process: they do not change under a running process.
_toolkit_checked: set[tuple[str, str]] = set()
_toolchains: dict[bool, Toolchain] = {}


class Trail:
    """What the places said that were asked for a request, in order.

    Attributes:
        said: (place, what it said).
        served: the artifact that the first of them had, or None.
        place: where it is.
        tier: the tier for which its hit would be counted.
        about: in what it differs from what was asked for, or "".
    """

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.served: Artifact | None = None
        self.place = ""
        self.tier = ""
        self.about = ""
        self._asked = ""

    def begin(self, about: str) -> None:
        """From now on something is asked for that differs in this from what was wanted; "" for nothing."""
        self._asked = about

    def note(self, place: str, said: str) -> None:
        """A place has answered."""
        self.said.append((f"{self._asked}: {place}" if self._asked else place, said))

    def serve(self, artifact: Artifact, place: str, tier: str) -> None:
        """A place has it; the first one counts."""
        if self.served is None:
            self.served, self.place, self.tier, self.about = artifact, place, tier, self._asked


def find_cached(request: CompileRequest, cache: Cache, trail: Trail | None = None) -> tuple[Artifact | None, str]:
    """The artifact of a request from a cache, or None and why not. NVRTC is not loaded for it.

    Where NVRTC is installed, an entry must come from that very compiler; where none is, the newest entry will do.
    """
    variants = cache.variants(request.digest)
    if trail is not None:
        _ask_all(request, cache, variants, trail)
        return trail.served, "hit" if trail.served is not None else "absent"
    if not variants:
        return None, "absent"
    current = current_toolchain(request, cache)
    reason = "compiler changed"
    for variant in variants:
        if current is not None and variant.toolchain != current:
            continue
        stale = _stale(variant, request, current)
        if stale is not None:
            reason = "header changed"
            log.debug("stale: %s: %s", request, stale)
            continue
        artifact, reason = cache.find(_key(request, variant))
        if artifact is not None:
            return artifact, "hit"
    return None, reason


def ask_key(cache: Cache, key: str, trail: Trail) -> str:
    """What memory and each directory say to a key, in one line; the first that has it is noted as serving it."""
    answers = []
    artifact, answer = cache.memory.read(key)
    if artifact is not None:
        trail.serve(artifact, "memory", "memory")
    answers.append(f"memory: {answer}")
    for store in cache.stores:
        name = "disk" if store is cache.disk else f"disk {store.directory.path}"
        artifact, answer = _peek(store, key)
        if artifact is not None:
            trail.serve(artifact, f"disk {store.directory.path}", "disk")
        answers.append(f"{name}: {answer}")
    return "; ".join(answers)


def current_toolchain(request: CompileRequest, cache: Cache) -> Toolchain | None:
    """The compiler that this process would use, or None where there is none. Looked for once per process."""
    fatbin = request.kind is Kind.FATBIN
    known = _toolchains.get(fatbin)
    if known is None:
        # Its digest is remembered on the disk, in a directory that is private and exists.
        known = toolchain(cache.memo_dir(), fatbin=fatbin)
        if known is not None:
            _toolchains[fatbin] = known
    return known


def _ask_all(request: CompileRequest, cache: Cache, variants: tuple[Variant, ...], trail: Trail) -> None:
    """The loop above for an explanation: every variant and every store has its say."""
    current = current_toolchain(request, cache) if variants else None
    for number, variant in enumerate(variants, 1):
        key = artifact_key(request, variant.closure, variant.toolchain)
        if current is not None and variant.toolchain != current:
            said = f"compiled by {variant.toolchain}, here is {current}"
        else:
            said = _stale(variant, request, current) or f"fits; {ask_key(cache, key, trail)}"
        trail.note(f"manifest variant {number} ({key[:12]})", said)
    if not variants:
        trail.note("manifest", "absent: this request was never compiled into this cache")
    if not cache.stores:
        trail.note("disk", "none: a cache in memory only")


def _stale(variant: Variant, request: CompileRequest, current: Toolchain | None) -> str | None:
    """Why a variant no longer fits the headers that lie here, or None where it fits."""
    if not variant.files and not variant.absent:
        return None
    # Where there is no compiler, the toolkit's headers are as they were when there was one.
    toolkit = toolkit_roots() if current is not None else ()
    mark = (variant.closure, variant.toolchain.digest)
    stale = check_variant(variant, request, toolkit, skip_toolkit=mark in _toolkit_checked)
    if stale is None:
        _toolkit_checked.add(mark)
    return stale


def _key(request: CompileRequest, variant: Variant) -> str:
    state = (request.digest, variant.closure, variant.toolchain.digest)
    key = _keys.get(state)
    if key is None:
        if len(_keys) >= _MAX_KEYS:
            _keys.clear()
        key = _keys[state] = artifact_key(request, variant.closure, variant.toolchain)
    return key


def _peek(store: DiskStore, key: str) -> tuple[Artifact | None, str]:
    """What a look-up would get, without being one: nothing is touched, counted or put aside."""
    try:
        return store.read_entry(key)[0], "hit"
    except FileNotFoundError:
        return None, "absent"
    except OSError as error:
        return None, f"unreadable ({error.strerror or error})"
    except JitloadError:
        return None, "damaged"
