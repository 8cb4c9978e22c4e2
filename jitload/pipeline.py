"""The one road: a request becomes a key, the key finds an artifact in a tier, or causes one compile.

Everything comes in as arguments and below here nothing asks a device or the environment; `compile` at the end is the
public door, which fills in what the caller left out.
"""

from __future__ import annotations

from jitload import config, log
from jitload.artifact import Kind
from jitload.bundles.tier import bundles_in_force, find_bundled, find_for_device, find_in
from jitload.cache.flight import single_flight
from jitload.cache.stats import counters
from jitload.cache.tiers import default_cache
from jitload.compiler.arch import EXECUTOR_OPTIONS
from jitload.compiler.key import artifact_key
from jitload.compiler.manifest import check_variant
from jitload.compiler.request import CompileRequest, request_of
from jitload.compiler.toolkit import toolchain, toolkit_roots
from jitload.errors import CompileDisabledError, CompileError
from jitload.target import ANY_IMAGE, default_target, stand_ins

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from jitload.artifact import Artifact, Toolchain
    from jitload.cache.explain import Explanation
    from jitload.cache.tiers import Cache, Explainable
    from jitload.compiler.headers import Closure
    from jitload.compiler.manifest import Variant

    Compiler = Callable[[CompileRequest, Closure, Toolchain], Artifact]


_sealed = False
# Requests made from the same plain arguments, so that a memory hit does not canonicalise again.
_requests: dict[tuple[object, ...], CompileRequest] = {}
_MAX_REQUESTS = 1024
_keys: dict[tuple[str, str, str], str] = {}
# Variants whose toolkit headers were compared in this process: they do not change under a running process.
_toolkit_checked: set[tuple[str, str]] = set()


def seal(sealed: bool = True) -> None:
    """From now on a compile in this process is a `CompileDisabledError`; `seal(False)` allows it again."""
    global _sealed
    _sealed = sealed


def compile_request(
    request: CompileRequest,
    cache: Cache | None = None,
    *,
    isolate: bool = False,
    compiler: Compiler | None = None,
    device: str | None = None,
    kinds: Iterable[Kind] = ANY_IMAGE,
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

    Raises:
        CompileError: it does not compile, or there is no compiler and no tier has it.
        CompileDisabledError: no tier has it and compiling is off.
        BundleError, TrustError: a bundle in force is refused; nothing is compiled in its place.
    """
    store = default_cache() if cache is None else cache
    settings = config.current()
    artifact = None
    if settings.compile != "always":
        artifact, reason = look_up(request, store, settings)
    else:
        reason = "compile=always"
    if artifact is None:
        artifact = _provide(request, store, settings.compile, reason, compiler, device, kinds, isolate=isolate)
    if settings.record is not None:
        from jitload.bundles.record import note_request

        chosen = kinds is not ANY_IMAGE
        note_request(request, artifact, store, settings.record, device=device is not None, kind=chosen)
    return artifact


def _provide(
    request: CompileRequest,
    store: Cache,
    policy: str,
    reason: str,
    compiler: Compiler | None,
    device: str | None,
    kinds: Iterable[Kind],
    *,
    isolate: bool,
) -> Artifact:
    """What no tier has as it was asked for: an image that stands in, or a compile."""
    if device is not None and _cannot_compile(request, store, policy):
        artifact, _ = find_for_device(request, device, kinds)
        if artifact is None and request.device_options:
            artifact, _ = look_up(request.as_written(), store)
        if artifact is not None:
            return artifact
    counters.count_miss(reason)
    log.debug("miss: %s (%s)", request, reason)
    refuse_if_off(request, store, policy, reason, device)
    directory = None if store.disk is None else store.disk.directory
    with single_flight(request.digest, directory, what=f"{request.name} ({request.kind}, {request.arch})"):
        if policy != "always":
            store.forget_variants(request.digest)
            artifact, _ = look_up(request, store)
            if artifact is not None:
                return artifact
        return _compile(request, store, compiler or _compiler(isolate=isolate), scan_first=policy != "always")


def look_up(
    request: CompileRequest, cache: Cache, settings: config.Config | None = None
) -> tuple[Artifact | None, str]:
    """The artifact of a request from a tier, or None and why not. NVRTC is not loaded for it.

    A bundle comes first, whatever compiled it. In a directory, where NVRTC is installed, an entry must come from that
    very compiler; where none is, the newest entry will do. In strict mode only bundles are asked.
    """
    now = config.current() if settings is None else settings
    reason = "absent"
    if bundles_in_force(now):
        artifact, reason = find_bundled(request)
        if artifact is None and request.device_options:  # bundles are built from what applications write
            artifact, reason = find_bundled(request.as_written())
        if artifact is not None:
            return artifact, "hit"
    if now.strict:
        return None, reason
    variants = cache.variants(request.digest)
    if not variants:
        return None, "absent"
    current = current_toolchain(request, cache)
    reason = "compiler changed"
    for variant in variants:
        if current is not None and variant.toolchain != current:
            continue
        stale = None
        if variant.files or variant.absent:
            # Where there is no compiler, the toolkit's headers are as they were when there was one.
            stale = _check_headers(variant, request, toolkit_roots() if current is not None else ())
        if stale is not None:
            reason = "header changed"
            log.debug("stale: %s: %s", request, stale)
            continue
        artifact, reason = cache.find(_key(request, variant))
        if artifact is not None:
            return artifact, "hit"
    return None, reason


def _cannot_compile(request: CompileRequest, cache: Cache, policy: str) -> bool:
    return _sealed or policy == "never" or current_toolchain(request, cache) is None


def _check_headers(variant: Variant, request: CompileRequest, toolkit: tuple[tuple[str, str], ...]) -> str | None:
    mark = (variant.closure, variant.toolchain.digest)
    stale = check_variant(variant, request, toolkit, skip_toolkit=mark in _toolkit_checked)
    if stale is None:
        _toolkit_checked.add(mark)
    return stale


def _key(request: CompileRequest, variant: Variant) -> str:
    state = (request.digest, variant.closure, variant.toolchain.digest)
    key = _keys.get(state)
    if key is None:
        if len(_keys) >= _MAX_REQUESTS:
            _keys.clear()
        key = _keys[state] = artifact_key(request, variant.closure, variant.toolchain)
    return key


_toolchains: dict[bool, Toolchain] = {}


def current_toolchain(request: CompileRequest, cache: Cache) -> Toolchain | None:
    """The compiler that this process would use, or None where there is none. Looked for once per process."""
    fatbin = request.kind is Kind.FATBIN
    known = _toolchains.get(fatbin)
    if known is None:
        # Its digest is remembered on the disk, in a directory that is private and exists.
        memo_dir = cache.memo_dir()
        known = toolchain(memo_dir, fatbin=fatbin)
        if known is not None:
            _toolchains[fatbin] = known
    return known


def _compiler(*, isolate: bool) -> Compiler:
    if isolate:
        from jitload.compiler.isolate import compile_isolated

        return compile_isolated
    from jitload.compiler.program import compile_artifact

    return compile_artifact


def _compile(request: CompileRequest, cache: Cache, compiler: Compiler, *, scan_first: bool) -> Artifact:
    """Compile, count, keep; or find by its headers what a lost manifest no longer names."""
    from jitload.compiler.headers import Closure
    from jitload.compiler.nvrtc import MISSING

    current = current_toolchain(request, cache)
    if current is None:
        raise CompileError(f"{request.path or request.name} is in no tier, and {MISSING}", file=request.path)
    closure = Closure(request, toolkit_roots())
    unsharable = closure.unsharable()
    if scan_first and unsharable is None:
        artifact, _ = cache.find(artifact_key(request, closure.digest(), current))
        if artifact is not None:
            _remember(request, cache, closure, current)
            return artifact
    artifact = compiler(request, closure, current)
    unsharable = unsharable or closure.unsharable()  # a header that a macro names was not there to be asked before
    counters.count_compile(artifact.compile_seconds)
    log.debug("compiled: %s in %.3f s", request, artifact.compile_seconds)
    if unsharable is not None:
        log.warn_once(
            ("unsharable", request.digest), f"{request.name} is compiled anew each time: it uses {unsharable}"
        )
        return artifact
    cache.put(artifact, factors_of(request, closure))
    _remember(request, cache, closure, current)
    return artifact


def explain(request: CompileRequest | Explainable, cache: Cache | None = None) -> Explanation:
    """Why a request, or a `jit_kernel`, would hit or miss now: its factors, the tiers' answers, the nearest entries.

    Args:
        request: a `CompileRequest`, or anything with a `request()` that gives one.
        cache: where to look; default: a kernel's own cache where it has one, else the user's.
    """
    wanted = request_of(request)
    store = getattr(request, "cache", None) if cache is None else cache
    explanation = (default_cache() if store is None else store).explain(wanted)
    bundles = [(f"bundle {bundle.path}", find_in(bundle, wanted)[1]) for bundle in bundles_in_force()]
    return explanation.preceded_by(bundles)


def _remember(request: CompileRequest, cache: Cache, closure: Closure, current: Toolchain) -> None:
    from jitload.compiler.manifest import variant_of

    variant: Variant = variant_of(closure, current)
    cache.add_variant(request.digest, variant)


def factors_of(request: CompileRequest, closure: Closure) -> dict[str, Any]:
    """What the key was made of, readable: kept in the entry for `explain`. No path of this machine is in it."""
    from jitload.digest import sha256_hex

    return {
        "defines": dict(request.defines),
        "headers": {header.name: header.digest for header in closure.headers.values()},
        "name expressions": list(request.names),
        "options": list(request.options),
        "request": request.digest,
        "source": sha256_hex(request.source.encode("utf-8", "surrogateescape")),
        "undefines": list(request.undefines),
    }


def refuse_if_off(request: CompileRequest, cache: Cache, policy: str, reason: str, device: str | None = None) -> None:
    """Nothing where compiling is allowed.

    Raises:
        CompileDisabledError: this process is sealed, or the policy is "never".
    """
    what = f"{request.name} ({request.kind}, {request.arch})"
    if _sealed:
        raise CompileDisabledError(
            f"{what} needs a compile ({reason}), and this process is sealed: compile it before jitload.seal()"
        )
    if policy == "never":
        from jitload.bundles.missing import not_precompiled

        raise not_precompiled(request, cache, current_toolchain(request, cache), reason, device)


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
        options: NVRTC options, in any spelling that NVRTC knows.
        include_dirs: directories for `#include`, in order of search.
        headers: include name -> text, found before any directory.
        defines: macro -> value; None defines it bare.
        names: C++ name expressions to instantiate, e.g. "reduce<float, 256>".
        cache: where to look and to keep; default: the user's cache.
        isolate: run NVRTC in a child process, so that one that dies or hangs is a CompileError and no more. A hit costs
            the same; a compile takes the start of an interpreter longer (some 0.2 s).

    Raises:
        CompileError: the source does not compile (with file, line and NVRTC's log), or no NVRTC is installed.
        CompileDisabledError: compiling is off and no tier has it.
        ValueError: a kind and an arch, or an option, that cannot be; the text says what to write instead.
    """
    if cache is not None and not hasattr(cache, "add_variant"):
        raise TypeError(f"cache is a jitload.Cache, got {type(cache).__name__}: write jitload.Cache(directory)")
    device = config.resolve_device() if arch is None else ""
    arch, options, names = _frozen(arch), _frozen(options), _frozen(names)
    plain = isinstance(source, str) and not include_dirs and not headers and not defines
    memo = (source, name, kind, arch, options, names, device) if plain else None
    request = _requests.get(memo) if memo is not None else None
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
    return compile_request(request, cache, isolate=isolate, **(stand_ins(request, device, kind) if device else {}))


def _frozen(value: Any) -> Any:
    """An argument that can be looked at twice. One that is no collection is for the request to refuse, by its name."""
    return value if isinstance(value, (str, tuple)) or not hasattr(value, "__iter__") else tuple(value)
