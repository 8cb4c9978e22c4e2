"""Where the artifact of a request comes from, short of compiling it: the bundles in force, the cache, a stand-in.

    bundles in force           the request; then, for the CPU executor, the request as the application wrote it
    memory and directories     the request
    stand-ins                  where nothing can be compiled, and nobody chose the arch: the best image of a bundle for
                               the device; for the CPU executor also the request as written, in memory and directories

A launch takes the first hit; `explain` walks the same way and takes nothing.
"""

from __future__ import annotations

from jitload import config
from jitload.bundles.tier import bundles_in_force
from jitload.given import given_truth
from jitload.settings.scope import scope_in_force
from jitload.source.request import request_of
from jitload.target import ANY_IMAGE
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import Answer, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles.bundle import Bundle
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache, Explainable
    from jitload.tiers.explain import Explanation
    from jitload.values import Kind


def seal(sealed: bool = True) -> None:
    """From now on a compile in this session is a `CompileDisabledError`; `seal(False)` allows it again.

    That is everywhere in the process, but for what runs in a `Session` of its own.
    """
    scope_in_force().state.sealed = given_truth("sealed", sealed)


def is_sealed() -> bool:
    """Whether `seal` was called."""
    return scope_in_force().state.sealed


def look_up(
    request: CompileRequest, cache: Cache, settings: config.Config | None = None, *, use: bool = True
) -> Answer:
    """What the bundles in force and a cache have for a request. NVRTC is not loaded for it.

    A bundle comes first, whatever compiled it. In strict mode only bundles are asked.

    Args:
        request: what is wanted.
        cache: the memory and directories to ask.
        settings: `config.current()`, where the caller has it already.
        use: False for an explanation: nothing is counted or kept then, and every tier of the cache is asked.

    Raises:
        BundleError, TrustError: a bundle in force is refused.
    """
    now = config.current() if settings is None else settings
    bundles = bundles_in_force(now)
    answer: Answer | None = None
    if bundles:
        answer = _ask_bundles(request, bundles, use=use)
        if answer.artifact is None and request.device_options:  # bundles are built from what applications write
            answer = _ask_bundles(request.as_written(), bundles, before=answer, about=_without(request), use=use)
        if answer.artifact is not None:
            return answer
    if now.strict:
        return Answer(request) if answer is None else answer
    return ask(request, cache.tiers, cache.compiler, before=answer, use=use)


def find_stand_in(
    request: CompileRequest,
    cache: Cache,
    device: str,
    kinds: Iterable[Kind],
    *,
    before: Answer | None = None,
    use: bool = True,
) -> Answer:
    """What serves on a device in place of the exact image, where that cannot be compiled.

    Args:
        request: what is wanted: a request that took its arch from the device.
        cache: the memory and directories to ask.
        device: "sm_90", or "cpu" for the CPU executor.
        kinds: the kinds that will do.
        before: what was said before, for the answer.
        use: as for `look_up`.

    Raises:
        BundleError, TrustError: a bundle in force is refused.
    """
    from jitload.bundles.choose import choose_from  # not on the way to a hit

    settings = config.current()
    answer, _ = choose_from(bundles_in_force(settings), request, device, kinds, before=before, use=use)
    if answer.artifact is None and request.device_options and not settings.strict:
        written = request.as_written()
        answer = ask(written, cache.tiers, cache.compiler, before=answer, about=_without(request), use=use)
    return answer


def cannot_compile(request: CompileRequest, cache: Cache, policy: str) -> bool:
    """Whether a request can only be served: compiling is off, or no compiler is installed."""
    return is_sealed() or policy == "never" or cache.compiler(request) is None


def explain(
    request: CompileRequest | Explainable,
    cache: Cache | None = None,
    *,
    device: str | None = None,
    kinds: Iterable[Kind] = ANY_IMAGE,
) -> Explanation:
    """What a request, or the next load of a `jit_kernel`, would get now, and why. Nothing is compiled or counted.

    It names the image that would serve, what each place says, the factors of the key, and the nearest entries.

    Args:
        request: a `CompileRequest`, or anything with a `request()` that gives one.
        cache: where to look; default: a kernel's own cache where it has one, else the user's.
        device: as for `compile_request`; default: a kernel's own.
        kinds: as for `compile_request`.

    Raises:
        BundleError, TrustError: a bundle in force is refused, as it would be there.
    """
    from jitload.tiers.explain import explanation_of, obstacle

    wanted = request_of(request)
    if device is None and hasattr(request, "stand_ins"):
        chosen = request.stand_ins(wanted)
        device, kinds = chosen.device, kinds if chosen.kinds is ANY_IMAGE else chosen.kinds
    own = getattr(request, "cache", None) if cache is None else cache
    store = default_cache() if own is None else own
    settings = config.current()
    if settings.compile == "always":
        bundles_in_force(settings)
        answer = Answer(wanted)
        answer.notes = [("no place is asked", "compile=always")]
    else:
        answer = look_up(wanted, store, settings, use=False)
        if answer.artifact is None and device is not None and cannot_compile(wanted, store, settings.compile):
            answer = find_stand_in(wanted, store, device, kinds, before=answer, use=False)
    near = [] if _is_bundled(answer) else _nearest_bundled(wanted)
    toolchain = store.compiler(wanted)
    hindered = obstacle(settings, toolchain, sealed=is_sealed())
    scan = settings.compile != "always"
    return explanation_of(wanted, store, toolchain, answer, hindered, scan=scan, notes=near)


def _is_bundled(answer: Answer) -> bool:
    """Whether an artifact is of a bundle."""
    return answer.artifact is not None and answer.tiers[-1].name == "bundle"


def _nearest_bundled(request: CompileRequest) -> list[tuple[str, str]]:
    """What the bundles in force have of the program that is not served from one."""
    from jitload.bundles.nearest import nearest_in

    near = [(bundle, nearest_in(bundle, request)) for bundle in bundles_in_force()]
    return [(f"bundle {bundle.path} has", str(images[0])) for bundle, images in near if images]


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


def _without(request: CompileRequest) -> str:
    return f"without {' '.join(request.device_options)}"
