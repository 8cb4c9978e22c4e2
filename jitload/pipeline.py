"""The one road: a request becomes a key, the key finds an artifact in a tier, or causes one compile.

Everything comes in as arguments and below here nothing asks a device or the environment; `compile` at the end is the
public door, which fills in what the caller left out.
"""

from __future__ import annotations

from functools import partial

from jitload import config, events, log
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.key import artifact_key, readable_factors
from jitload.compiler.toolkit import toolkit_roots
from jitload.device import resolve_device
from jitload.errors import BundleError, CompileDisabledError, CompileError, TrustError
from jitload.given import given_cache, given_truth
from jitload.lookup import cannot_compile, find_stand_in, is_sealed, look_up
from jitload.lookup import seal as seal
from jitload.source.arch import EXECUTOR_OPTIONS
from jitload.source.options import outlive_compile
from jitload.source.request import CompileRequest
from jitload.target import ANY_IMAGE, NO_STAND_INS, StandIns, default_target, stand_ins
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import Answer
from jitload.tiers.stats import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.compiler.diagnostics import Diagnostic
    from jitload.headers.closure import Closure
    from jitload.headers.record import Variant
    from jitload.tiers.cache import Cache
    from jitload.values import Kind, Toolchain

    Warn = Callable[[Iterable[Diagnostic]], object]
    Compiler = Callable[[CompileRequest, Closure, Toolchain], Artifact]
    #: The artifact, the headers that it was compiled with (None where it cannot be kept), and the compiler's warnings.
    Provided = tuple[Artifact, Variant | None, list[Diagnostic]]


# Requests made from the same plain arguments, so that a memory hit does not canonicalise again.
_requests: dict[tuple[object, ...], CompileRequest] = {}
_MAX_REQUESTS = 1024


def compile_request(
    request: CompileRequest,
    cache: Cache | None = None,
    *,
    isolate: bool = False,
    compiler: Compiler | None = None,
    device: str | None = None,
    kinds: Iterable[Kind] = ANY_IMAGE,
    warn: Warn | None = None,
) -> Artifact:
    """The artifact of a request: from a tier, or from one compile that is then kept.

    Args:
        request: what is wanted, with every choice made.
        cache: where to look and to keep; the default cache when None.
        isolate: run NVRTC in a child process: one that dies or hangs is then a CompileError.
        compiler: what does the work of `compile_artifact`, the same artifact in another way; default: that, or
            `compile_isolated`.
        device: the device whose arch the request took, when nobody chose one ("sm_90", or "cpu"): where no tier has
            the exact image and none can be compiled, another one of a bundle that the device runs will do.
        kinds: the kinds that will do then.
        warn: what is told the compiler's warnings when the artifact is kept; default: they become a `CompileWarning`.

    Raises:
        CompileError: it does not compile, or there is no compiler and no tier has it.
        CompileDisabledError: no tier has it and compiling is off.
        BundleError, TrustError: a bundle in force is refused; nothing is compiled in its place.
    """
    store = default_cache() if cache is None else cache
    settings = config.current()
    try:
        if settings.compile != "always":
            answer = look_up(request, store, settings)
        else:
            bundles_in_force(settings)  # one that is refused stops this too
            answer = Answer(request)
    except (BundleError, TrustError) as error:
        if events.listeners:
            _tell("reject", request, tier="bundle", reason=str(error))
        raise
    artifact, variant = answer.artifact, answer.variant
    said: list[Diagnostic] = []
    if artifact is None:
        alone = outlive_compile(request.options)
        worker = compiler if compiler and not alone else partial(_compile_here, isolate=isolate or alone)
        artifact, variant, said = _provide(
            request, answer, store, settings.compile, worker, StandIns(device, tuple(kinds))
        )
    if settings.record is not None:
        from jitload.workloads.record import note_request

        chosen = kinds is not ANY_IMAGE
        note_request(request, artifact, variant, settings.record, device=device is not None, kind=chosen)
    if said:  # last, so that a warning that is an error loses nothing
        from jitload.compiler.diagnostics import give_warnings

        (warn or give_warnings)(said)
    return artifact


def _provide(
    request: CompileRequest, asked: Answer, store: Cache, policy: str, compiler: Compiler, stand_ins: StandIns
) -> Provided:
    """What no tier has as it was asked for: an image that stands in, or a compile, and what the compiler warns of."""
    device = stand_ins.device
    if device is not None and policy != "always" and cannot_compile(request, store, policy):
        answer = find_stand_in(request, store, device, stand_ins.kinds, before=asked)
        if answer.artifact is not None:
            return answer.artifact, answer.variant, []
    from jitload.tiers.flight import single_flight  # not on the way to a hit

    reason = _reason(asked, policy)
    counters().count_miss(reason)
    if events.listeners:
        _tell("miss", request, reason=reason)
    log.debug("miss: %s (%s)", request, reason)
    refuse_if_off(request, asked, store, policy, device)
    directory = None if store.disk is None else store.disk.directory
    waited = partial(_tell_wait, request) if events.listeners else None
    what = f"{request.name} ({request.kind}, {request.arch})"
    with single_flight(request.digest, directory, what=what, waited=waited):
        if policy != "always":
            answer = look_up(request, store)
            if answer.artifact is not None:
                return answer.artifact, answer.variant, []
        return _compile(request, store, compiler, scan_first=policy != "always")


def _compile_here(request: CompileRequest, closure: Closure, current: Toolchain, *, isolate: bool) -> Artifact:
    """The compile that is meant where nobody brought another."""
    from jitload.compiler import nvrtc

    if isolate or nvrtc.calls.torn:  # forked from a process that was compiling
        from jitload.compiler.isolate import compile_isolated

        return compile_isolated(request, closure, current)
    from jitload.compiler.program import compile_artifact

    return compile_artifact(request, closure, current)


def _compile(request: CompileRequest, cache: Cache, compiler: Compiler, *, scan_first: bool) -> Provided:
    """Compile, count, keep; or find by its headers what no closure record names any more. With the warnings of it."""
    from jitload.compiler.diagnostics import users_warnings
    from jitload.compiler.nvrtc import MISSING
    from jitload.headers.closure import Closure
    from jitload.headers.record import variant_of

    current = cache.compiler(request)
    if current is None:
        from jitload.bundles.nearest import describe_nearest

        what = (
            f"{request.path or request.name} ({request.kind}, {request.arch}) is in no bundle and in no cache directory"
        )
        raise CompileError(f"{what}, and {MISSING}{describe_nearest(request)}", file=request.path)
    closure = Closure(request, toolkit_roots())
    unsharable = closure.unsharable()
    if scan_first and unsharable is None:
        artifact, _ = cache.find(artifact_key(request, closure.digest(), current))
        if artifact is not None:
            variant = variant_of(closure, current)
            cache.add_variant(request.digest, variant)
            return artifact, variant, []
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
        return artifact, None, said
    variant = variant_of(closure, current)
    cache.put(artifact, readable_factors(request, variant.headers()))
    cache.add_variant(request.digest, variant)
    if bundles_in_force():
        from jitload.bundles.nearest import warn_of_stale_bundles

        warn_of_stale_bundles(request, artifact)
    return artifact, variant, said


def _tell_wait(request: CompileRequest, seconds: float, reason: str) -> None:
    _tell("wait", request, seconds=seconds, reason=reason)


def _tell(name: str, request: CompileRequest, **fields: Any) -> None:
    """Tell an event of a request whose artifact is not there."""
    from jitload.compiler.diagnostics import kernel_names

    kernel = ", ".join(request.names or kernel_names(request.source)) or request.name
    events.tell(name, kernel=kernel, key=request.digest, kind=str(request.kind), arch=request.arch, **fields)


def refuse_if_off(request: CompileRequest, asked: Answer, cache: Cache, policy: str, device: str | None = None) -> None:
    """Nothing where what no tier has may be compiled.

    Args:
        request: what is wanted.
        asked: what the tiers said.
        cache: the cache that was asked.
        policy: the setting `compile`.
        device: the device whose arch the request took, or None where it was chosen.

    Raises:
        CompileDisabledError: this process is sealed, or the policy is "never".
    """
    if is_sealed():
        from jitload.bundles.nearest import describe_nearest

        raise CompileDisabledError(
            f"{request.name} ({request.kind}, {request.arch}) needs a compile ({_reason(asked, policy)}), and this "
            f"process is sealed: compile it before jitload.seal(){describe_nearest(request)}"
        )
    if policy == "never":
        from jitload.bundles.missing import not_precompiled

        raise not_precompiled(request, asked, cache, device)


def _reason(asked: Answer, policy: str) -> str:
    return "compile=always" if policy == "always" else asked.reason


def compile(  # noqa: A001 - the public name, as in `re.compile`
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    kind: str | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    names: Iterable[str] = (),
    cache: Cache | None = None,
    isolate: bool = False,
) -> Artifact:
    """Compile CUDA C++ to an artifact, or take it from a cache. No GPU and no driver is needed.

    Args:
        source: CUDA C++ text (str) or a file (os.PathLike).
        name: the program name for messages and line information; default: the file's name, or "kernel.cu".
        kind: "cubin", "ptx", "ltoir" or "fatbin"; default: cubin for an "sm_*" arch, PTX for "compute_*", fatbin for
            several archs, and what the current device runs when `arch` is left out too.
        arch: "sm_90", "sm_90a", "sm_100f", "compute_80"; a list for a fatbin; default: the current device's, or the
            CPU executor's own ("compute_75") where there is none.
        options: NVRTC options in any spelling, as a list or as one string that is split as a shell would.
        include_dirs: directories for `#include`, in order of search.
        headers: include name -> text, found before any directory.
        defines: macro -> value; None defines it bare.
        names: C++ name expressions to instantiate, e.g. "reduce<float, 256>".
        cache: where to look and to keep; default: the user's cache.
        isolate: run NVRTC in a child process, so that one that dies or hangs is a CompileError and no more. A hit costs
            the same; a compile takes the start of an interpreter longer (some 0.2 s).

    Raises:
        CompileError: the source does not compile (with file, line and NVRTC's log), no NVRTC is installed, or what
            comes out has no kernel because `names` instantiates none of its templates, or because it is empty.
        CompileDisabledError: compiling is off and no tier has it.
        UsageValueError: a kind and an arch, or an option, that cannot be; the text says what to write instead.
    """
    given_cache(cache)
    given_truth("isolate", isolate)
    device = resolve_device() if arch is None else ""
    arch, options, names = _frozen(arch), _frozen(options), _frozen(names)
    plain = isinstance(source, str) and not include_dirs and not headers and not defines
    memo = (source, name, kind, arch, options, names, device) if plain else None
    try:
        request = _requests.get(memo) if memo is not None else None
    except TypeError:  # what cannot be hashed is for the request to refuse, by its name
        memo = request = None
    if request is None:
        wanted, archs = default_target(kind, arch)
        request = CompileRequest(
            source,
            name=name,
            kind=wanted,
            arch=archs,
            options=options,
            include_dirs=include_dirs,
            headers=headers,
            defines=defines,
            names=names,
            device_options=EXECUTOR_OPTIONS if device == "cpu" else (),
        )
        if memo is not None:
            if len(_requests) >= _MAX_REQUESTS:
                _requests.clear()
            _requests[memo] = request
    chosen = stand_ins(request, device, kind) if device else NO_STAND_INS
    return compile_request(request, cache, isolate=isolate, device=chosen.device, kinds=chosen.kinds)


def _frozen(value: Any) -> Any:
    """An argument that can be looked at twice. One that is no collection is for the request to refuse, by its name."""
    return value if isinstance(value, (str, tuple)) or not _is_list(value) else tuple(value)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and not hasattr(value, "keys")
