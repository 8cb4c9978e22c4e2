"""Where the artifact of a request comes from, short of compiling it: the bundles in force, the cache, a stand-in.

    bundles in force           the request; then, for the CPU executor, the request as the application wrote it
    memory and directories     the request
    stand-ins                  where nothing can be compiled, and nobody chose the arch: the best image of a bundle for
                               the device; for the CPU executor also the request as written, in memory and directories

A launch takes the first hit; `explain` walks the same way with a `Trail` and takes nothing.
"""

from __future__ import annotations

from jitload import config
from jitload.bundles.tier import bundles_in_force, choose_from, find_in
from jitload.compiler.request import request_of
from jitload.target import ANY_IMAGE
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import Trail, current_toolchain, find_cached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.artifact import Artifact
    from jitload.bundles.bundle import Bundle
    from jitload.compiler.request import CompileRequest
    from jitload.tiers.cache import Cache, Explainable
    from jitload.tiers.explain import Explanation
    from jitload.values import Kind

_sealed = False


def seal(sealed: bool = True) -> None:
    """From now on a compile in this process is a `CompileDisabledError`; `seal(False)` allows it again."""
    global _sealed
    _sealed = sealed


def is_sealed() -> bool:
    """Whether `seal` was called."""
    return _sealed


def look_up(
    request: CompileRequest, cache: Cache, settings: config.Config | None = None, trail: Trail | None = None
) -> tuple[Artifact | None, str]:
    """The artifact of a request from a bundle or a cache, or None and why not. NVRTC is not loaded for it.

    A bundle comes first, whatever compiled it. In strict mode only bundles are asked.

    Args:
        request: what is wanted.
        cache: the memory and directories to ask.
        settings: `config.current()`, where the caller has it already.
        trail: for an explanation: takes what each place said; nothing is counted then.

    Raises:
        BundleError, TrustError: a bundle in force is refused.
    """
    now = config.current() if settings is None else settings
    bundles = bundles_in_force(now)
    reason = "absent"
    if bundles:
        artifact, reason = _find_bundled(request, bundles, trail)
        if artifact is None and request.device_options:  # bundles are built from what applications write
            written = request.as_written()
            if trail is not None:
                trail.begin(_without(request))
            artifact, reason = _find_bundled(written, bundles, trail)
        if artifact is not None:
            return artifact, "hit"
    if now.strict:
        return None, reason
    if trail is not None:
        trail.begin("")
    return find_cached(request, cache, trail)


def find_stand_in(
    request: CompileRequest, cache: Cache, device: str, kinds: Iterable[Kind], trail: Trail | None = None
) -> Artifact | None:
    """What serves on a device in place of the exact image, where that cannot be compiled; or None.

    Args:
        request: what is wanted: a request that took its arch from the device.
        cache: the memory and directories to ask.
        device: "sm_90", or "cpu" for the CPU executor.
        kinds: the kinds that will do.
        trail: as for `look_up`.

    Raises:
        BundleError, TrustError: a bundle in force is refused.
    """
    settings = config.current()
    bundles = bundles_in_force(settings)
    artifact, verdicts = choose_from(bundles, request, device, kinds, serve=trail is None)
    if trail is not None:
        trail.begin(f"for {device}")
        for verdict in verdicts:
            trail.note(f"{verdict.kind} {verdict.arch} in bundles", verdict.reason)
        if artifact is not None:
            _note_stand_in(request, artifact, bundles, trail)
    if artifact is None and request.device_options and not settings.strict:
        if trail is not None:
            trail.begin(_without(request))
        artifact, _ = find_cached(request.as_written(), cache, trail)
    return artifact


def _note_stand_in(request: CompileRequest, artifact: Artifact, bundles: Iterable[Bundle], trail: Trail) -> None:
    made_for = request.replace(kind=artifact.kind, arch=artifact.arch.split(","))
    for bundle in bundles:
        if any(key == artifact.key for _, key in bundle.variants(made_for.digest)):
            trail.note(f"bundle {bundle.path}", f"hit: {artifact.kind} {artifact.arch}")
            trail.serve(artifact, f"bundle {bundle.path}", _tier(bundle, artifact))
            return


def cannot_compile(request: CompileRequest, cache: Cache, policy: str) -> bool:
    """Whether a request can only be served: compiling is off, or no compiler is installed."""
    return _sealed or policy == "never" or current_toolchain(request, cache) is None


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
        device, kinds = chosen.get("device"), chosen.get("kinds", kinds)
    own = getattr(request, "cache", None) if cache is None else cache
    store = default_cache() if own is None else own
    settings = config.current()
    trail = Trail()
    if settings.compile == "always":
        bundles_in_force(settings)
        trail.note("no place is asked", "compile=always")
    else:
        look_up(wanted, store, settings, trail)
        if trail.served is None and device is not None and cannot_compile(wanted, store, settings.compile):
            find_stand_in(wanted, store, device, kinds, trail)
    if trail.served is None or not trail.place.startswith("bundle "):
        _note_nearest(wanted, trail)
    toolchain = current_toolchain(wanted, store)
    hindered = obstacle(settings, toolchain, sealed=_sealed)
    return explanation_of(wanted, store, toolchain, trail, hindered, scan=settings.compile != "always")


def _note_nearest(request: CompileRequest, trail: Trail) -> None:
    """What the bundles in force have of the program that is not served from one."""
    from jitload.bundles.nearest import nearest_in

    trail.begin("")
    for bundle in bundles_in_force():
        if near := nearest_in(bundle, request):
            trail.note(f"bundle {bundle.path} has", str(near[0]))


def _find_bundled(
    request: CompileRequest, bundles: Iterable[Bundle], trail: Trail | None
) -> tuple[Artifact | None, str]:
    """The artifact of a request from the first bundle that has it, or None and why not.

    Its headers are checked as far as they are the user's; the toolkit that was there when it was built need not be.
    """
    reason = "absent"
    for bundle in bundles:
        artifact, answer = find_in(bundle, request, serve=trail is None)
        if trail is not None:
            trail.note(f"bundle {bundle.path}", answer)
            if artifact is not None:
                trail.serve(artifact, f"bundle {bundle.path}", _tier(bundle, artifact))
        if artifact is not None:
            return artifact, "hit"
        if answer != "absent":
            reason = answer
    return None, reason


def _tier(bundle: Bundle, artifact: Artifact) -> str:
    """The tier for which a hit in a bundle would be counted: what it has served before is in memory."""
    return "memory" if bundle.served.read(artifact.key)[0] is not None else "bundle"


def _without(request: CompileRequest) -> str:
    return f"without {' '.join(request.device_options)}"
