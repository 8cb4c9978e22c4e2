"""Why a request was a hit or a miss: its factors, what each place said, and the nearest entries with what differs."""

from __future__ import annotations

from jitload import config
from jitload.compiler.headers import Closure
from jitload.compiler.key import artifact_key
from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import CompileError, JitloadError
from jitload.format.entry import decode_factors
from jitload.frozen import Value
from jitload.tiers.difference import differences, factors_now
from jitload.tiers.lookup import Trail, ask_key, find_cached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.compiler.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.tiers.difference import Difference
    from jitload.tiers.disk import DiskStore
    from jitload.values import Toolchain

#: How many entries are compared, the most recently used first, and how many are shown.
MAX_COMPARED = 5000
MAX_SHOWN = 3


class Nearest(Value):
    """An entry that is like the request.

    Attributes:
        key: its key.
        artifact: a line about it.
        differences: what differs; empty for the entry that the request hits.
    """

    __slots__ = ("artifact", "differences", "key")
    key: str
    artifact: str
    differences: tuple[Difference, ...]

    def __init__(self, key: str, artifact: str, differences: tuple[Difference, ...]) -> None:
        self._set(key=key, artifact=artifact, differences=differences)


class Explanation(Value):
    """The answer to "what would it get, and why?". `str()` gives it as text.

    Attributes:
        request: a line about the request.
        outcome: what asking for it now would come to: "hit", "compile" or "error".
        launch: that in words: the image and the place that would serve it, or why it is compiled or refused.
        tier: the tier for which `stats()` would count the hit: "memory", "bundle" or "disk"; None where there is none.
        key: the key of the image that would be served, else the one that the request has now; None when that cannot be
            known without a compile.
        factors: (name, value) of every factor of the key.
        tiers: (place, what it said), in the order in which they are asked.
        nearest: the nearest entries on the disk, the most alike first.
    """

    __slots__ = ("factors", "key", "launch", "nearest", "outcome", "request", "tier", "tiers")
    request: str
    outcome: str
    launch: str
    tier: str | None
    key: str | None
    factors: tuple[tuple[str, str], ...]
    tiers: tuple[tuple[str, str], ...]
    nearest: tuple[Nearest, ...]

    def __init__(self, **fields: object) -> None:
        self._set(**fields)

    @property
    def hit(self) -> bool:
        """True when it would be served, by the image that was asked for or by one that stands in for it."""
        return self.outcome == "hit"

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        nearest = [
            {
                "key": entry.key,
                "entry": entry.artifact,
                "differences": [{"factor": d.factor, "old": d.old, "new": d.new} for d in entry.differences],
            }
            for entry in self.nearest
        ]
        return {
            "request": self.request,
            "key": self.key,
            "hit": self.hit,
            "outcome": self.outcome,
            "launch": self.launch,
            "tier": self.tier,
            "factors": dict(self.factors),
            "tiers": dict(self.tiers),
            "nearest": nearest,
        }

    def __str__(self) -> str:
        lines = [f"{self.request}: {'a hit' if self.hit else 'a miss'}", f"  gets     {self.launch}"]
        lines += [f"  key      {self.key or 'not known'}"]
        lines += [f"  factor   {name}: {value}" for name, value in self.factors]
        lines += [f"  asked    {place}: {said}" for place, said in self.tiers]
        for entry in self.nearest:
            lines.append(f"  nearest  {entry.key[:12]} {entry.artifact}")
            lines += [f"             {difference}" for difference in entry.differences]
            if not entry.differences:
                lines.append("             no factor differs")
        return "\n".join(lines)


def explain_request(request: CompileRequest, cache: Cache, toolchain: Toolchain | None) -> Explanation:
    """Explain a request against a cache alone, as it is now; nothing is compiled or counted.

    Args:
        request: the request.
        cache: where it would be looked for.
        toolchain: the compiler in use, or None where there is none.
    """
    trail = Trail()
    find_cached(request, cache, trail)
    return explanation_of(request, cache, toolchain, trail, obstacle(config.current(), toolchain))


def obstacle(settings: config.Config, toolchain: Toolchain | None, *, sealed: bool = False) -> str:
    """Why nothing is compiled here, or "" where a miss is a compile."""
    if sealed:
        return "this process is sealed (jitload.seal())"
    if settings.strict:
        return "strict mode is on (JITLOAD_STRICT)"
    if settings.compile == "never":
        return "compiling is off (JITLOAD_COMPILE=never)"
    return "" if toolchain is not None else "NVRTC is not installed"


def explanation_of(
    request: CompileRequest,
    cache: Cache,
    toolchain: Toolchain | None,
    trail: Trail,
    hindered: str,
    *,
    scan: bool = True,
) -> Explanation:
    """The explanation of a request whose places have been asked.

    Args:
        request: the request.
        cache: where it would be kept.
        toolchain: the compiler in use, or None where there is none.
        trail: what the places said.
        hindered: what `obstacle` gives.
        scan: False where a compile would not first look for an entry that the manifest no longer names.
    """
    key = None
    try:
        closure: Closure | None = Closure(request, toolkit_roots())
    except (CompileError, OSError) as error:
        closure = None
        trail.note("headers", str(error))
    if closure is not None and toolchain is not None:
        now = artifact_key(request, closure.digest(), toolchain)
        key = None if closure.asks_compiler() else now
        if trail.served is None and not hindered and scan and closure.unsharable() is None:
            trail.begin("")
            said = ask_key(cache, now, trail)
            if ": hit" in said:
                trail.note(f"headers as they lie there ({now[:12]})", said)
    factors = factors_now(request, closure, toolchain)
    served = trail.served
    return Explanation(
        request=f"{request.name} ({request.kind}, {request.arch})",
        outcome="hit" if served is not None else "error" if hindered else "compile",
        launch=_describe_launch(trail, hindered),
        tier=trail.tier or None,
        key=key if served is None else served.key,
        factors=tuple((name, value) for name, value in factors.items() if not name.startswith(("header ", "define "))),
        tiers=tuple(trail.said),
        nearest=_nearest(request, cache, factors),
    )


def _describe_launch(trail: Trail, hindered: str) -> str:
    if trail.served is None:
        return f"an error: no image serves, and {hindered}" if hindered else "a compile"
    image = f"{trail.served.kind} {trail.served.arch} from {trail.place}"
    return f"{image}, which stands in: {trail.about}" if trail.about else image


def _nearest(request: CompileRequest, cache: Cache, now: dict[str, str]) -> tuple[Nearest, ...]:
    """The entries of the same program that differ in the fewest factors."""
    entries = [(status.st_mtime, key, store) for store in cache.stores for key, status in store.scan_keys()]
    newest = sorted(entries, key=lambda item: -item[0])[:MAX_COMPARED]
    found: list[Nearest] = []
    for _, key, store in newest:
        entry = _read_entry(store, key)
        if entry is None:
            continue
        artifact, factors = entry
        same_source = str(factors.get("source", ""))[:12] == now["source"]
        if artifact.name != request.name and not same_source:
            continue
        differing = tuple(differences(request, artifact, factors, now))
        seconds = f"compiled in {artifact.compile_seconds:.3f} s"
        found.append(Nearest(key, f"{artifact.name} ({artifact.kind}, {artifact.arch}), {seconds}", differing))
    return tuple(sorted(found, key=lambda entry: len(entry.differences))[:MAX_SHOWN])


def _read_entry(store: DiskStore, key: str) -> tuple[Artifact, dict[str, Any]] | None:
    try:
        artifact, data = store.read_entry(key)
        return artifact, decode_factors(data, key)
    except (OSError, JitloadError):
        return None
