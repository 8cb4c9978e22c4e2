"""Why a request was a hit or a miss: its factors, what each place said, and the nearest entries with what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config, notebook
from jitload.artifact import Artifact
from jitload.compiler.key import artifact_key, known_factors
from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import CompileError, JitloadError
from jitload.format.entry import decode_factors
from jitload.frozen import Value
from jitload.headers.closure import Closure
from jitload.headers.survey import unsharable
from jitload.tiers.difference import differences, factors_now
from jitload.tiers.lookup import Answer, ask, peek_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from jitload.compiler.key import Factors
    from jitload.source.request import CompileRequest
    from jitload.tiers.difference import Difference
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.remote.tier import RemoteTier
    from jitload.tiers.tier import Tier
    from jitload.values import Toolchain

    class Tiers(Protocol):
        """What a cache is to an explanation."""

        tiers: tuple[Tier, ...]
        layers: tuple[DiskStore, ...]
        disk: DiskStore | None

        @property
        def remote(self) -> RemoteTier | None:
            """What machines share, where they share anything."""

        def compiler(self, request: CompileRequest) -> Toolchain | None:
            """The compiler that this process would use for a request."""


#: How many entries are compared, the most recently used first, and how many are shown.
MAX_COMPARED = 5000
MAX_SHOWN = 3


class Nearest(Value):
    """An entry that is like the request.

    Attributes:
        key: its key.
        artifact: a line about it.
        differences: what differs.
    """

    __slots__ = ("artifact", "differences", "key")
    key: str
    artifact: str
    differences: tuple[Difference, ...]

    def __init__(self, key: str, artifact: str, differences: tuple[Difference, ...]) -> None:
        self._set(key=key, artifact=artifact, differences=differences)


class Explanation(Value):
    """The answer of `explain` to "what would it get, and why?". `str()` gives it as text.

    Attributes:
        request: a line about the request.
        outcome: what asking for it now would come to: "hit", "compile" or "error".
        launch: that in words: the image and the place that would serve it, or why it is compiled or refused.
        tier: the tier for which `stats()` would count the hit: "memory", "bundle", "disk" or "remote"; None where there
            is none.
        key: the key of the image that would be served, else the one that the request has now; None when that cannot be
            known without a compile.
        factors: (name, value) of every factor of the key.
        tiers: (place, what it said), in the order in which they are asked.
        nearest: the nearest other entries on the disk, the most alike first.
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

    def to_json(self) -> dict[str, object]:
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

    def _repr_html_(self) -> str:
        rows = [("gets", self.launch), ("key", self.key or "not known")]
        rows += [(f"asked: {place}", said) for place, said in self.tiers]
        for entry in self.nearest:
            differences = "\n".join(map(str, entry.differences)) or "no factor differs"
            rows.append((f"nearest: {entry.artifact}", differences))
        rows += [(f"factor: {name}", value) for name, value in self.factors]
        return notebook.html_table(f"{self.request}: {'a hit' if self.hit else 'a miss'}", (), rows)

    def __repr__(self) -> str:
        return f"<Explanation of {self.request}: {'a hit' if self.hit else 'a miss'}, {self.launch}>"

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


def explain_request(request: CompileRequest, cache: Tiers) -> Explanation:
    """Explain a request against a cache alone, as it is now; nothing is compiled or counted.

    Args:
        request: the request.
        cache: where it would be looked for.
    """
    answer = ask(request, cache.tiers, cache.compiler, use=False)
    toolchain = cache.compiler(request)
    return explanation_of(request, cache, toolchain, answer, obstacle(config.current(), toolchain))


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
    cache: Tiers,
    toolchain: Toolchain | None,
    answer: Answer,
    hindered: str,
    *,
    scan: bool = True,
    notes: Iterable[tuple[str, str]] = (),
) -> Explanation:
    """The explanation of a request whose tiers have been asked.

    Args:
        request: the request.
        cache: where it would be kept.
        toolchain: the compiler in use, or None where there is none.
        answer: what the tiers said.
        hindered: what `obstacle` gives.
        scan: False where a compile would not first look for an entry that the closure record no longer names.
        notes: (what, what is to be said of it) besides.
    """
    said = [row for one in answer.history() for row in _rows(one, request, cache)]
    said += notes
    key = None
    try:
        closure: Closure | None = Closure(request, toolkit_roots())
    except (CompileError, OSError) as error:
        closure = None
        said.append(("headers", str(error)))
    if closure is not None and toolchain is not None:
        now = artifact_key(request, closure.digest(), toolchain)
        key = None if closure.asks_compiler() else now
        if answer.artifact is None and not hindered and scan and unsharable(closure) is None:
            artifact, tier, answers = peek_key(cache.tiers, now)
            if isinstance(artifact, Artifact):
                answer = Answer(request, cache.tiers, answer)
                answer.artifact, answer.tier = artifact, tier
                said.append((f"headers as they lie there ({now[:12]})", _spell(answers, cache)))
    factors = factors_now(request, closure, toolchain)
    served, tier = answer.artifact, answer.tier
    return Explanation(
        request=f"{request.name} ({request.kind}, {request.arch})",
        outcome="hit" if served is not None else "error" if hindered else "compile",
        launch=_describe_launch(answer, hindered),
        tier=None if tier is None else tier.name,
        key=key if served is None else served.key,
        factors=tuple((name, value) for name, value in factors.items() if not name.startswith(("header ", "define "))),
        tiers=tuple(said),
        nearest=_nearest(request, cache, factors, None if served is None else served.key),
    )


def _describe_launch(answer: Answer, hindered: str) -> str:
    if answer.artifact is None or answer.tier is None:
        return f"an error: no image serves, and {hindered}" if hindered else "a compile"
    image = f"{answer.artifact.kind} {answer.artifact.arch} from {answer.tier.place}"
    return f"{image}, which stands in: {answer.about}" if answer.about else image


def _rows(answer: Answer, wanted: CompileRequest, cache: Tiers) -> list[tuple[str, str]]:
    """(place, what it said) of one answer: a line for a bundle, and one for every variant that a cache knows."""
    rows = list(answer.notes)
    request = answer.request
    if answer.tiers is cache.tiers:
        for number, tried in enumerate(answer.tried, 1):
            key = artifact_key(request, tried.variant.closure, tried.variant.toolchain)
            said = tried.text or f"fits; {_spell(tried.said, cache)}"
            rows.append((f"closure record variant {number} ({key[:12]})", said))
        rows += [(f"closure record in {tier.place}", _at_length(tier, word, cache)) for tier, word in answer.silent]
        if not answer.tried and not answer.silent:
            rows.append(("closure record", "absent: this request was never compiled into this cache"))
            rows += [] if cache.remote is None else [(f"closure record in {cache.remote.place}", "absent")]
        if len(cache.tiers) == 1:
            rows.append(("disk", "none: a cache in memory only"))
    elif answer.tiers:
        another = answer.artifact is not None and (request.kind, request.archs) != (wanted.kind, wanted.archs)
        rows.append((answer.tiers[-1].place, f"hit: {request.kind} {request.arch}" if another else answer.said))
    return [(f"{answer.about}: {place}" if answer.about else place, said) for place, said in rows]


def _at_length(tier: Tier, word: str, cache: Tiers) -> str:
    """What a tier said that could not say which headers it knows."""
    return cache.remote.said(word) if cache.remote is not None and tier.name == "remote" else word


def _spell(said: Iterable[tuple[Tier, str]], cache: Tiers) -> str:
    """What each tier said to a key; the user's own directory needs no path."""
    return "; ".join([f"{tier.name if tier is cache.disk else tier.place}: {word}" for tier, word in said])


def _nearest(request: CompileRequest, cache: Tiers, now: dict[str, str], served: str | None) -> tuple[Nearest, ...]:
    """The entries of the same program that differ in the fewest factors, but for the one that is served."""
    stores = (*cache.layers, *([] if cache.disk is None else [cache.disk]))
    entries = [(status.st_mtime, key, store) for store in stores for key, status in store.contents.scan_keys()]
    newest = sorted(entries, key=lambda item: -item[0])[:MAX_COMPARED]
    found: list[Nearest] = []
    for _, key, store in newest:
        entry = None if key == served else _read_entry(store, key)
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


def _read_entry(store: DiskStore, key: str) -> tuple[Artifact, Factors] | None:
    try:
        artifact, data = store.read_entry(key)
        if not isinstance(artifact, Artifact):
            return None
        return artifact, known_factors(decode_factors(data, key))
    except (OSError, JitloadError):
        return None
