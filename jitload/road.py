"""The one road: a request becomes a key, the key finds an artifact in a tier, or causes one compile.

    bundles in force           the request; then, for the CPU executor, the request as the application wrote it
    memory and directories     the request
    stand-ins                  where nothing can be compiled, and nobody chose the arch: the best image of a bundle for
                               the device; for the CPU executor also, in memory and directories, the request as written
                               and those of an earlier version
    one compile                kept in every tier of the cache

Everything comes in as arguments: nothing here or below asks a device, and who does what is said by `Roles`.
"""

from __future__ import annotations

from functools import partial

from jitload import events, log
from jitload.errors import BundleError, TrustError
from jitload.lazy import lazy
from jitload.source.arch import FORMER_EXECUTOR_ARCHS
from jitload.target import ANY_IMAGE, NO_STAND_INS
from jitload.tiers.counters import counters
from jitload.tiers.lookup import Answer, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jitload.artifact import Artifact
    from jitload.bundles import choose, missing, nearest
    from jitload.bundles.bundle import Bundle
    from jitload.compiler import diagnostics
    from jitload.config import Config
    from jitload.diagnostic import Diagnostic
    from jitload.dumps import dump as dumping
    from jitload.dumps import override as overrides
    from jitload.headers.closure import Closure
    from jitload.headers.record import Variant
    from jitload.source import options as spellings
    from jitload.source.request import CompileRequest
    from jitload.target import StandIns
    from jitload.tiers import fill as filling
    from jitload.tiers import flight
    from jitload.tiers.cache import Cache
    from jitload.values import Toolchain
    from jitload.workloads import record as recording

    Warn = Callable[[Iterable[Diagnostic]], object]
    Compiler = Callable[[CompileRequest, Closure, Toolchain], Artifact]
    #: The artifact, the headers that it was compiled with (None where it cannot be kept), and the compiler's warnings.
    Provided = tuple[Artifact, Variant | None, list[Diagnostic]]
else:  # not on the way to a hit
    choose = lazy("jitload.bundles.choose")
    missing = lazy("jitload.bundles.missing")
    nearest = lazy("jitload.bundles.nearest")
    dumping = lazy("jitload.dumps.dump")
    overrides = lazy("jitload.dumps.override")
    diagnostics = lazy("jitload.compiler.diagnostics")
    filling = lazy("jitload.tiers.fill")
    flight = lazy("jitload.tiers.flight")
    spellings = lazy("jitload.source.options")
    recording = lazy("jitload.workloads.record")


class Roles:
    """Who does what on the road, each a function, asked when it is its turn.

    Attributes:
        bundles: settings -> the bundles that are asked, in order; a BundleError or TrustError where one is refused.
        sealed: whether a compile is an error, whatever the settings say.
        toolkit: (id, directory) of the toolkit's headers.
        compile: compiles in this process.
        compile_alone: compiles in one that ends with it.
        warn: is told the compiler's warnings.
    """

    __slots__ = ("bundles", "compile", "compile_alone", "sealed", "toolkit", "warn")

    def __init__(
        self,
        *,
        bundles: Callable[[Config], tuple[Bundle, ...]],
        sealed: Callable[[], bool],
        toolkit: Callable[[], Iterable[tuple[str, str]]],
        compile: Compiler,  # noqa: A002 - the name of the role
        compile_alone: Compiler,
        warn: Warn,
    ) -> None:
        self.bundles = bundles
        self.sealed = sealed
        self.toolkit = toolkit
        self.compile = compile
        self.compile_alone = compile_alone
        self.warn = warn


def compile_request(
    request: CompileRequest,
    cache: Cache,
    settings: Config,
    roles: Roles,
    *,
    compiler: Compiler | None = None,
    stand_ins: StandIns = NO_STAND_INS,
    warn: Warn | None = None,
) -> Artifact:
    """The artifact of a request: from a tier, or from one compile that is then kept.

    Args:
        request: what is wanted, with every choice made.
        cache: where to look and to keep.
        settings: what is asked, whether compiling is allowed, and where the workload is recorded.
        roles: who does what.
        compiler: what compiles in the place of `roles.compile`; what the options let outlive its call is always
            compiled alone.
        stand_ins: what will do where no tier has the exact image and none can be compiled.
        warn: what is told the compiler's warnings in the place of `roles.warn`, when the artifact is kept.

    Raises:
        CompileError: it does not compile, or there is no compiler and no tier has it.
        CompileDisabledError: no tier has it and compiling is off.
        BundleError, TrustError: a bundle in force is refused; nothing is compiled in its place.
        LoadError: an override that cannot be used.
    """
    try:
        bundles = roles.bundles(settings)  # one that is refused stops a compile that asks nobody, too
        answer = Answer(request) if settings.compile == "always" else look_up(request, cache, settings, bundles)
    except (BundleError, TrustError) as error:
        if events.listeners:
            _tell("reject", request, reason=str(error), tier="bundle")
        raise
    artifact, variant = answer.artifact, answer.variant
    said: list[Diagnostic] = []
    if artifact is None:
        artifact, variant, said = _provide(
            request, answer, cache, settings, roles, compiler or roles.compile, stand_ins
        )
    if settings.record is not None:
        chosen = stand_ins.kinds is not ANY_IMAGE
        recording.note_request(
            request, artifact, variant, settings.record, device=stand_ins.device is not None, kind=chosen
        )
    if settings.dump is not None:
        dumping.dump(request, artifact, settings.dump, compiles=settings.compile != "never" and not roles.sealed())
    if said:  # last, so that a warning that is an error loses nothing
        (warn or roles.warn)(said)
    if settings.override is not None:
        return overrides.overridden(artifact, settings.override, strict=settings.strict)
    return artifact


def look_up(
    request: CompileRequest, cache: Cache, settings: Config, bundles: Sequence[Bundle], *, use: bool = True
) -> Answer:
    """What bundles and a cache have for a request. NVRTC is not loaded for it.

    A bundle comes first, whatever compiled it. In strict mode only bundles are asked.

    Args:
        request: what is wanted.
        cache: the memory and directories to ask.
        settings: those in force.
        bundles: to ask, in order.
        use: False for an explanation: nothing is counted or kept then, and every tier of the cache is asked.

    Raises:
        BundleError: a bundle is damaged.
    """
    answer: Answer | None = None
    if bundles:
        answer = _ask_bundles(request, bundles, use=use)
        if answer.artifact is None and request.device_options:  # bundles are built from what applications write
            answer = _ask_bundles(request.as_written(), bundles, before=answer, about=_without(request), use=use)
        if answer.artifact is not None:
            return answer
    if settings.strict:
        return Answer(request) if answer is None else answer
    return ask(request, cache.tiers, cache.compiler, before=answer, use=use)


def find_stand_in(
    request: CompileRequest,
    cache: Cache,
    settings: Config,
    bundles: Sequence[Bundle],
    stand_ins: StandIns,
    *,
    before: Answer | None = None,
    use: bool = True,
) -> Answer:
    """What serves on a device in place of the exact image, where that cannot be compiled.

    Args:
        request: what is wanted: a request that took its arch from the device.
        cache: as for `look_up`.
        settings: as for `look_up`.
        bundles: as for `look_up`.
        stand_ins: the device, and the kinds that will do; without a device there is nothing that would.
        before: what was said before, for the answer.
        use: as for `look_up`.

    Raises:
        BundleError: a bundle is damaged.
    """
    if stand_ins.device is None:
        return before or Answer(request)
    answer, _ = choose.choose_from(bundles, request, stand_ins.device, stand_ins.kinds, before=before, use=use)
    if request.device_options and not settings.strict:
        for other, about in _for_the_executor(request):
            if answer.artifact is not None:
                break
            answer = ask(other, cache.tiers, cache.compiler, before=answer, about=about, use=use)
    return answer


def cannot_compile(request: CompileRequest, cache: Cache, policy: str, *, sealed: bool) -> bool:
    """Whether a request can only be served: compiling is off, or no compiler is installed."""
    return sealed or policy == "never" or cache.compiler(request) is None


def _ask_bundles(
    request: CompileRequest, bundles: Iterable[Bundle], before: Answer | None = None, about: str = "", *, use: bool
) -> Answer:
    """What the first bundle that has a request says, else the last.

    Its headers are checked as far as they are the user's; the toolkit that was there when it was built need not be.
    """
    for bundle in bundles:
        before = ask(request, bundle.tiers, before=before, about=about, use=use)
        if before.artifact is not None:
            break
    return before or Answer(request)


def _for_the_executor(request: CompileRequest) -> Iterator[tuple[CompileRequest, str]]:
    """What serves the CPU executor in place of its own request, the best first, and in what it differs.

    That is the same as the application wrote it, then both of an earlier version's arch.
    """
    yield request.as_written(), _without(request)
    for arch in FORMER_EXECUTOR_ARCHS:
        plain = request.replace(arch=arch)
        yield plain.replace(device_options=request.device_options), f"for {arch}"
        yield plain, f"for {arch}, {_without(request)}"


def _without(request: CompileRequest) -> str:
    return f"without {' '.join(request.device_options)}"


def _provide(
    request: CompileRequest,
    asked: Answer,
    cache: Cache,
    settings: Config,
    roles: Roles,
    compiler: Compiler,
    stand_ins: StandIns,
) -> Provided:
    """What no tier has as it was asked for: an image that stands in, or a compile, and what the compiler warns of."""
    policy, device, sealed = settings.compile, stand_ins.device, roles.sealed()
    if device is not None and policy != "always" and cannot_compile(request, cache, policy, sealed=sealed):
        answer = find_stand_in(request, cache, settings, roles.bundles(settings), stand_ins, before=asked)
        if answer.artifact is not None:
            return answer.artifact, answer.variant, []
    reason = "compile=always" if policy == "always" else asked.reason
    counters().count_miss(reason)
    if events.listeners:
        _tell("miss", request, reason=reason)
    log.debug("miss: %s (%s)", request, reason)
    if sealed or policy == "never":
        raise missing.refusal(request, asked, cache, reason, sealed=sealed, device=device)
    return _compile_once(request, cache, settings, roles, compiler)


def _compile_once(
    request: CompileRequest, cache: Cache, settings: Config, roles: Roles, compiler: Compiler
) -> Provided:
    """One compile over threads, processes and, where there is a remote, hosts; or what another of them has made."""
    directory = None if cache.disk is None else cache.disk.directory
    waited = partial(_tell, "wait", request) if events.listeners else None
    what = f"{request.name} ({request.kind}, {request.arch})"
    looks = settings.compile != "always"

    def look() -> Answer:
        return look_up(request, cache, settings, roles.bundles(settings))

    with flight.single_flight(request.digest, directory, what=what, waited=waited):
        found = look() if looks else None
        if found is not None and found.artifact is not None:
            return found.artifact, found.variant, []
        shared = cache.remote if looks else None
        if shared is not None and cache.compiler(request) is None:
            shared = None  # nobody waits for who cannot compile
        with flight.fleet_flight(shared, request.digest, look, what, waited) as found:
            if found is not None and found.artifact is not None:
                return found.artifact, found.variant, []
            return _compile(request, cache, settings, roles, compiler)


def _compile(request: CompileRequest, cache: Cache, settings: Config, roles: Roles, compiler: Compiler) -> Provided:
    lasting = request.options and spellings.outlive_compile(request.options)
    worker = roles.compile_alone if lasting else compiler
    filled = filling.fill(request, cache, roles.toolkit(), worker, scan_first=settings.compile != "always")
    if filled is None:
        raise missing.not_compilable(request)
    if filled.compiled is None:
        return filled.artifact, filled.variant, []
    if filled.variant is not None and roles.bundles(settings):
        nearest.warn_of_stale_bundles(request, filled.artifact)
    said = filled.artifact.log
    return filled.artifact, filled.variant, diagnostics.users_warnings(said, filled.compiled) if said else []


def _tell(name: str, request: CompileRequest, seconds: float = 0.0, reason: str = "", tier: str = "") -> None:
    """Tell an event of a request whose artifact is not there."""
    kernel = ", ".join(request.names or diagnostics.kernel_names(request.source)) or request.name
    told = {"kernel": kernel, "key": request.digest, "kind": str(request.kind), "arch": request.arch}
    events.tell(name, **told, seconds=seconds, reason=reason, tier=tier)
