"""What a request would get, and nothing done about it: `explain`, and the look-up that others report on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config, road
from jitload.bundles import nearest
from jitload.bundles.tier import bundles_in_force
from jitload.door import is_sealed
from jitload.source.request import CompileRequest, request_of
from jitload.target import ANY_IMAGE, StandIns
from jitload.tiers import explain as explaining
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import Answer
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles.bundle import Bundle
    from jitload.tiers.cache import Cache, Explainable
    from jitload.tiers.explain import Explanation
    from jitload.values import Kind

__tracebackhide__ = is_mistake


def look_up(request: CompileRequest, cache: Cache) -> Answer:
    """What the bundles in force and a cache have for a request, as `road.look_up`."""
    settings = config.current()
    return road.look_up(request, cache, settings, bundles_in_force(settings))


@short_errors
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

    Returns:
        The explanation; `print` it, or look at `outcome`, `tier`, `nearest`.

    Raises:
        BundleError, TrustError: a bundle in force is refused, as it would be there.
    """
    wanted = request_of(request)
    if device is None and hasattr(request, "stand_ins"):
        chosen = request.stand_ins(wanted)
        device, kinds = chosen.device, kinds if chosen.kinds is ANY_IMAGE else chosen.kinds
    own = getattr(request, "cache", None) if cache is None else cache
    settings, sealed = config.current(), is_sealed()
    store = default_cache(settings) if own is None else own
    bundles = bundles_in_force(settings)
    if settings.compile == "always":
        answer = Answer(wanted)
        answer.notes = [("no place is asked", "compile=always")]
    else:
        answer = road.look_up(wanted, store, settings, bundles, use=False)
        if answer.artifact is None and road.cannot_compile(wanted, store, settings.compile, sealed=sealed):
            others = StandIns(device, tuple(kinds))
            answer = road.find_stand_in(wanted, store, settings, bundles, others, before=answer, use=False)
    toolchain = store.compiler(wanted)
    hindered = explaining.obstacle(settings, toolchain, sealed=sealed)
    scan = settings.compile != "always"
    near = [] if answer.artifact is not None and answer.tiers[-1].name == "bundle" else _nearest_in(bundles, wanted)
    return explaining.explanation_of(wanted, store, toolchain, answer, hindered, scan=scan, notes=near)


def _nearest_in(bundles: Iterable[Bundle], request: CompileRequest) -> list[tuple[str, str]]:
    """What bundles have of the program that is not served from one."""
    near = [(bundle, nearest.nearest_in(bundle, request)) for bundle in bundles]
    return [(f"bundle {bundle.path} has", str(images[0])) for bundle, images in near if images]
