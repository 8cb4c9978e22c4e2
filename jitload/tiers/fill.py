"""What no tier has under a name that it knows: found by its headers, or compiled; counted, told, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload import events, log
from jitload.compiler.key import key_of, readable_factors
from jitload.headers.survey import Survey
from jitload.tiers.counters import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.artifact import Artifact
    from jitload.headers.closure import Closure
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.values import Toolchain


class Filled(NamedTuple):
    """What a cache has now, and how it came to it.

    Attributes:
        artifact: the artifact.
        variant: the headers that it was compiled with; None where it cannot be kept.
        compiled: the headers with which it was compiled now; None where it was there, and no closure record led to it
            any more.
    """

    artifact: Artifact
    variant: Variant | None
    compiled: Closure | None


def fill(
    request: CompileRequest,
    cache: Cache,
    toolkit: Iterable[tuple[str, str]],
    compiler: Callable[[CompileRequest, Closure, Toolchain], Artifact],
    *,
    scan_first: bool,
) -> Filled | None:
    """Give a cache what it lacks, by the compiler that is installed; None where none is.

    Args:
        request: what is wanted.
        cache: where to keep it.
        toolkit: the directories of the toolkit's headers: (id, directory).
        compiler: what compiles.
        scan_first: whether to look whether the artifact is there under what the headers are now.

    Raises:
        CompileError: it does not compile.
    """
    current = cache.compiler(request)
    if current is None:
        return None
    survey = Survey(request, toolkit, current)
    if scan_first and survey.unsharable is None:
        artifact, _ = cache.find(key_of(request.digest, survey.variant.closure, current))
        if artifact is not None:
            cache.add_variant(request.digest, survey.variant)
            return Filled(artifact, survey.variant, None)
    artifact = compiler(request, survey.closure, current)
    survey.renew()
    count = counters().count_link if request.is_link else counters().count_compile
    count(artifact.compile_seconds)
    if events.listeners:
        events.tell_of("link" if request.is_link else "compile", artifact, seconds=artifact.compile_seconds)
    made = ", ".join([str(request.kind), request.arch, request.digest[:12], *request.options])
    log.debug("made: %s (%s) in %.3f s%s", request.name, made, artifact.compile_seconds, f"\n{artifact.log}".rstrip())
    if survey.unsharable is not None:
        what = f"{request.name} is compiled anew each time: it uses {survey.unsharable}"
        log.warn_once(("unsharable", request.digest), what)
        return Filled(artifact, None, survey.closure)
    cache.put(artifact, readable_factors(request, survey.variant.headers()))
    cache.add_variant(request.digest, survey.variant)
    return Filled(artifact, survey.variant, survey.closure)
