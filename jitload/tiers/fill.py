"""What no tier has under a name that it knows: found by its headers, or compiled; counted, told, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload import events, log
from jitload.compiler.diagnostics import users_warnings
from jitload.compiler.key import artifact_key, readable_factors
from jitload.headers.closure import Closure
from jitload.headers.record import variant_of
from jitload.tiers.stats import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.artifact import Artifact
    from jitload.compiler.diagnostics import Diagnostic
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.values import Toolchain


class Filled(NamedTuple):
    """What a cache has now, and how it came to it.

    Attributes:
        artifact: the artifact.
        variant: the headers that it was compiled with; None where it cannot be kept.
        warnings: what the compiler said.
        compiled: False where it was there, and no closure record led to it any more.
    """

    artifact: Artifact
    variant: Variant | None
    warnings: list[Diagnostic]
    compiled: bool


def fill(
    request: CompileRequest,
    cache: Cache,
    current: Toolchain,
    toolkit: Iterable[tuple[str, str]],
    compiler: Callable[[CompileRequest, Closure, Toolchain], Artifact],
    *,
    scan_first: bool,
) -> Filled:
    """Give a cache what it lacks.

    Args:
        request: what is wanted.
        cache: where to keep it.
        current: the compiler that is installed.
        toolkit: the directories of the toolkit's headers: (id, directory).
        compiler: what compiles.
        scan_first: whether to look whether the artifact is there under what the headers are now.

    Raises:
        CompileError: it does not compile.
    """
    closure = Closure(request, toolkit)
    unsharable = closure.unsharable()
    if scan_first and unsharable is None:
        artifact, _ = cache.find(artifact_key(request, closure.digest(), current))
        if artifact is not None:
            variant = variant_of(closure, current)
            cache.add_variant(request.digest, variant)
            return Filled(artifact, variant, [], compiled=False)
    artifact = compiler(request, closure, current)
    unsharable = unsharable or closure.unsharable()  # a header that a macro names was not there to be asked before
    counters().count_compile(artifact.compile_seconds)
    if events.listeners:
        events.tell_of("compile", artifact, seconds=artifact.compile_seconds)
    log.debug("compiled: %s in %.3f s%s", request, artifact.compile_seconds, f"\n{artifact.log}".rstrip())
    said = users_warnings(artifact.log, closure)
    if unsharable is not None:
        log.warn_once(
            ("unsharable", request.digest), f"{request.name} is compiled anew each time: it uses {unsharable}"
        )
        return Filled(artifact, None, said, compiled=True)
    variant = variant_of(closure, current)
    cache.put(artifact, readable_factors(request, variant.headers()))
    cache.add_variant(request.digest, variant)
    return Filled(artifact, variant, said, compiled=True)
