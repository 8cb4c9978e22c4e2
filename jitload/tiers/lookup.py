"""The one look-up: tiers are asked in order for the artifact of a request, and what they said is the answer.

Everybody who wants to know where an artifact is asks by `ask`: a launch, which takes the first hit; an explanation,
which takes nothing and hears every tier; the building, checking and recording of bundles. So they cannot differ.
"""

from __future__ import annotations

from jitload import events, log
from jitload.artifact import Artifact
from jitload.lazy import lazy
from jitload.settings.scope import session_part
from jitload.tiers.counters import Counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jitload.artifact import Kept
    from jitload.compiler import key as keys
    from jitload.compiler import toolkit as toolkits
    from jitload.headers import record as records
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.tier import Tier
    from jitload.values import Toolchain

    Said = Sequence[tuple[Tier, str]]
    Compiler = Callable[[CompileRequest], Toolchain | None]
else:  # of requests: what is looked for by its key alone has none of this
    keys = lazy("jitload.compiler.key")
    toolkits = lazy("jitload.compiler.toolkit")
    records = lazy("jitload.headers.record")

_MAX_KEYS = 1024
_keys: dict[tuple[str, str, str, str, str], str] = {}


class _Compared(set["tuple[str, str]"]):
    """Variants whose toolkit headers were compared in this session: they do not change under a running process."""


class Tried:
    """What became of one variant of a request.

    Attributes:
        variant: the headers, and the compiler.
        word: in a word: "compiler changed", "header changed"; or, of one that fits, the reason why no tier has its
            artifact, or "hit".
        text: the same at length, of one that does not fit; "" of one that does.
        said: (tier, what it said to the key), of one that fits.
    """

    __slots__ = ("said", "text", "variant", "word")

    def __init__(self, variant: Variant, word: str, text: str, said: Said = ()) -> None:
        self.variant, self.word, self.text, self.said = variant, word, text, said


class Answer:
    """What the tiers that share their keys have for a request.

    Attributes:
        request: what they were asked for.
        tiers: the tiers, in the order in which they were asked.
        before: what others had said before, or None.
        about: in what `request` differs from what was wanted, or "".
        artifact: the artifact of the first that has it, or None.
        tier: that tier, or None; also for what was compiled and not found.
        variant: the headers and the compiler of the artifact, or None.
        tried: what became of each variant that did not lead to the artifact; for an explanation, of every one.
        silent: (tier, why it could not say which headers it knows), of those that have not just none.
        notes: (what, what is to be said of it) besides.
    """

    __slots__ = ("about", "artifact", "before", "notes", "request", "silent", "tier", "tiers", "tried", "variant")
    artifact: Artifact | None
    tier: Tier | None
    variant: Variant | None
    tried: Sequence[Tried]
    silent: Said
    notes: Sequence[tuple[str, str]]

    def __init__(
        self, request: CompileRequest, tiers: tuple[Tier, ...] = (), before: Answer | None = None, about: str = ""
    ) -> None:
        self.request = request
        self.tiers = tiers
        self.before = before
        self.about = about
        self.artifact = self.tier = self.variant = None
        self.tried = self.silent = self.notes = ()

    @property
    def reason(self) -> str:
        """Why there is no artifact, in a word or two; "hit" where there is one.

        Bundles are asked one after the other for one request: what any of them had to say counts.
        """
        if self.artifact is not None:
            return "hit"
        words = [tried.word for tried in self.tried if tried.word != "compiler changed"]
        if self.tried:
            return words[-1] if words else "compiler changed"
        if self.silent:
            return self.silent[-1][1]
        before = self.before
        same = before is not None and before.request is self.request and _names(before) == _names(self)
        return before.reason if same and before is not None else "absent"

    @property
    def said(self) -> str:
        """The last that was said of a variant, at length; else as `reason` without what others had said before."""
        if self.artifact is not None:
            return "hit"
        return (self.tried[-1].text or self.tried[-1].word) if self.tried else "absent"

    def history(self) -> Iterator[Answer]:
        """The answers before it and itself, in the order in which they were given."""
        if self.before is not None:
            yield from self.before.history()
        yield self


def ask(
    request: CompileRequest,
    tiers: tuple[Tier, ...],
    compiler: Compiler | None = None,
    *,
    before: Answer | None = None,
    about: str = "",
    use: bool = True,
) -> Answer:
    """What tiers that share their keys have for a request. NVRTC is not loaded for it.

    Where a compiler is installed, a tier that checks the toolkit has what that very compiler made; where none is, the
    best that it has will do.

    Args:
        request: what is wanted.
        tiers: the tiers, in the order in which they are asked; the first is the memory that keeps what others have.
        compiler: tells the compiler that is installed, or None where there is none; default: whatever made it.
        before: what was said before, for the answer.
        about: in what the request differs from what is wanted, for the answer.
        use: True to take the artifact of the first that has it, which counts as a hit; False to hear all of them: then
            nothing is counted, kept or touched.

    Raises:
        BundleError: a bundle among them is damaged.
    """
    answer = Answer(request, tiers, before, about)
    digest = request.digest
    for tier in tiers:
        variants, word = tier.variants(digest)
        if not variants and word != "absent":
            answer.silent = [*answer.silent, (tier, word)]
        for variant in variants:
            if answer.tried and any(tried.variant == variant for tried in answer.tried):
                continue
            misfit = _misfit(variant, request, tier, compiler)
            if misfit is not None:
                answer.tried = [*answer.tried, Tried(variant, *misfit)]
                continue
            key = _key(digest, variant)
            artifact, holder, said = read_key(tiers, key) if use else peek_key(tiers, key)
            if isinstance(artifact, Artifact) and answer.artifact is None:  # under such a key stands no blob
                answer.artifact, answer.tier, answer.variant = artifact, holder, variant
                if use:
                    if tier is not tiers[0]:
                        tiers[0].add_variant(digest, variant)
                    return answer
            answer.tried = [*answer.tried, Tried(variant, reason_of(said), "", said)]
    return answer


def read_key(tiers: tuple[Tier, ...], key: str) -> tuple[Kept | None, Tier | None, Said]:
    """What is kept under a key from the first tier that has it, and that tier; else what each of them said.

    A hit is counted for the tier, and kept in the first of them.
    """
    said: Said = ()
    for tier in tiers:
        artifact, answer = tier.read(key)
        if artifact is not None:
            session_part(Counters).count_hit(tier.name, artifact.compile_seconds)
            if events.listeners:
                events.tell_of("hit", artifact, tier=tier.name)
            if tier is not tiers[0]:
                tiers[0].put(artifact)
            return artifact, tier, said
        said = [*said, (tier, answer)]
    return None, None, said


def peek_key(tiers: tuple[Tier, ...], key: str) -> tuple[Kept | None, Tier | None, Said]:
    """The same for an explanation: every tier says what it has, and nothing is counted or kept."""
    said: list[tuple[Tier, str]] = []
    found: Kept | None = None
    holder: Tier | None = None
    for tier in tiers:
        artifact, answer = tier.peek(key)
        if found is None and artifact is not None:
            found, holder = artifact, tier
        said.append((tier, answer))
    return found, holder, said


def reason_of(said: Said) -> str:
    """What tiers said to a key, in a word: "hit", else the last that is more than "absent"."""
    words = [word for _, word in said]
    return "hit" if "hit" in words else next((word for word in reversed(words) if word != "absent"), "absent")


def _misfit(variant: Variant, request: CompileRequest, tier: Tier, compiler: Compiler | None) -> tuple[str, str] | None:
    """Why what a tier knows is no good here, in a word and at length; or None where it is."""
    if tier.checks_toolkit and compiler is not None:
        here, made_by = compiler(request), variant.toolchain
        # By field: `==` of values takes a microsecond, a fifth of a hit.
        if here is not None and (
            made_by.digest != here.digest or made_by.version != here.version or made_by.name != here.name
        ):
            return "compiler changed", f"compiled by {made_by}, here is {here}"
    if not variant.files and not variant.absent:
        return None
    # Where there is no compiler, the toolkit's headers are as they were when there was one.
    toolkit = toolkits.toolkit_roots() if tier.checks_toolkit else ()
    mark = (variant.closure, variant.toolchain.digest)
    compared = session_part(_Compared)
    stale = records.check_variant(variant, request, toolkit, skip_toolkit=not toolkit or mark in compared)
    if stale is None:
        if toolkit:
            compared.add(mark)
        return None
    log.debug("stale in %s: %s: %s", tier.place, request, stale)
    return "header changed", stale


def _key(request_digest: str, variant: Variant) -> str:
    toolchain = variant.toolchain
    state = (request_digest, variant.closure, toolchain.digest, toolchain.version, toolchain.name)
    key = _keys.get(state)
    if key is None:
        if len(_keys) >= _MAX_KEYS:
            _keys.clear()
        key = _keys[state] = keys.key_of(request_digest, variant.closure, toolchain)
    return key


def _names(answer: Answer) -> set[str]:
    return {tier.name for tier in answer.tiers}
