"""The door to the road: `compile`, `link`, `seal`, and what they fill in where the caller left it out.

What is left out is taken from the session in force (settings, cache, bundles, seal) and from the device that is here
(kind, arch, options, and what else would do: jitload/target.py).
"""

from __future__ import annotations

import os
from contextlib import suppress

from jitload import config, road
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.process import compile_alone, compile_here
from jitload.compiler.toolkit import toolkit_roots
from jitload.device import resolve_device
from jitload.errors import JitloadError
from jitload.given import given_cache, given_truth, kept
from jitload.lazy import lazy
from jitload.road import Roles
from jitload.settings.scope import scope_in_force
from jitload.source.arch import EXECUTOR_OPTIONS, given_arch
from jitload.source.request import CompileRequest
from jitload.target import ANY_IMAGE, NO_STAND_INS, StandIns, default_target, stand_ins, wanted_options
from jitload.tiers.cache import default_cache
from jitload.trace import is_mistake, short_errors, shorten, shown_without_misfits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    from typing_extensions import Buffer, Unpack

    from jitload import calls, linking
    from jitload.artifact import Artifact
    from jitload.compiler import diagnostics
    from jitload.diagnostic import Diagnostic
    from jitload.road import Compiler, Warn
    from jitload.source.fields import Written
    from jitload.tiers.cache import Cache
    from jitload.values import Kind, KindName
else:  # not on the way to a hit
    calls = lazy("jitload.calls")
    linking = lazy("jitload.linking")
    diagnostics = lazy("jitload.compiler.diagnostics")

__tracebackhide__ = is_mistake
# Requests made from the same plain arguments, so that a memory hit does not canonicalise again.
# With each the working directory, where one of the options is a directory.
_requests: dict[tuple[object, ...], tuple[CompileRequest, str | None]] = {}
_NO_REQUEST: tuple[CompileRequest | None, None] = (None, None)
_MAX_REQUESTS = 1024


@shown_without_misfits
def compile(  # noqa: A001, D417 - the public name, as in `re.compile`; it takes no more than is said
    source: str | os.PathLike[str] | None = None,
    *excess: Unpack[tuple[()]],
    name: str | None = None,
    kind: KindName | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    names: Iterable[str] = (),
    cache: Cache | None = None,
    isolate: bool = False,
    sources: Iterable[str | os.PathLike[str]] | None = None,
    host_headers: bool = True,
    **unknown: Unpack[calls.Nothing],
) -> Artifact:
    """Compile CUDA C++ to an artifact, or take it from a cache. No GPU and no driver is needed.

    Args:
        source: CUDA C++ text (str) or a file (os.PathLike).
        name: the program name for messages and line information; default: the file's name, or "kernel.cu".
        kind: "cubin", "ptx", "ltoir" or "fatbin"; default: cubin for an "sm_*" arch, PTX for "compute_*", fatbin for
            several archs, and what the current device runs when `arch` is left out too.
        arch: "sm_90", "sm_90a", "sm_100f", "compute_80"; a list for a fatbin; default: the current device's, or the
            CPU executor's own ("compute_90") where there is none, as "native" says too.
        options: NVRTC options in any spelling, as a list or as one string that is split as a shell would.
        include_dirs: directories for `#include`, in order of search.
        headers: include name -> text, found before any directory.
        defines: macro -> value; None defines it bare.
        names: C++ name expressions to instantiate, e.g. "reduce<float, 256>".
        cache: where to look and to keep; default: the user's cache.
        isolate: run NVRTC in a child process, so that one that dies or hangs is a CompileError and no more. A hit costs
            the same; a compile takes the start of an interpreter longer (some 0.2 s).
        sources: in place of `source` several translation units that call each other's device functions, compiled to
            LTO-IR with all that is given here and linked to a cubin or PTX; `names` are of the first.
        host_headers: whether <cstdint>, <stdio.h> and the like, of which NVRTC has none, come from jitload
            (docs/headers.md); one that `headers` or `include_dirs` have is found before.

    Returns:
        The artifact, in memory: nothing is loaded.

    Raises:
        CompileError: the source does not compile (with file, line and NVRTC's log), no NVRTC is installed, or what
            comes out has no kernel because `names` instantiates none of its templates, or because it is empty.
        CompileDisabledError: compiling is off and no tier has it.
        UsageValueError: a kind and an arch, or an option, that cannot be; the text says what to write instead.
    """
    try:
        if excess or unknown:  # type: ignore[redundant-expr]
            raise calls.refused_call(compile, (source, *excess), unknown)
        if cache is not None or isolate is not False:
            given_cache(cache)
            given_truth("isolate", isolate)
        settings = config.current()
        device = resolve_device(settings) if arch is None else ""
        if type(arch) is not str or type(options) is not tuple or type(names) is not tuple:
            arch, options, names = kept(arch), kept(options), kept(names)
        plain = isinstance(source, str) and host_headers is True and not include_dirs and not headers and not defines
        request: CompileRequest | None = None
        memo: tuple[object, ...] | None = None
        if plain and sources is None:
            memo = (source, name, kind, arch, options, names, device, settings.compile_options)
            request = _remembered(memo)
        if request is None:
            if arch is not None and given_arch(arch) is None:  # as if it had been left out
                arch, device, memo = None, resolve_device(settings), None
            include_dirs, defines = kept(include_dirs), kept(defines)
            fields: Written = {
                "name": name,
                "options": wanted_options(options) if settings.compile_options else options,
                "include_dirs": include_dirs,
                "headers": headers,
                "defines": defines,
                "names": names,
                "host_headers": host_headers,
            }
            if source is None or sources is not None:
                units = linking.units_of(source, sources, kind=kind, arch=arch, **fields)
                return compile_linked(units, (), cache, name=name, isolate=isolate)
            request = _make_request(source, kind, arch, device, fields, memo)
        chosen = stand_ins(request, device, kind) if device else NO_STAND_INS
        store = default_cache(settings) if cache is None else cache
        alone = compile_alone if isolate else None
        return road.compile_request(request, store, settings, _ROLES, compiler=alone, stand_ins=chosen)
    except JitloadError as error:
        shorten(error)
        raise


def _remembered(memo: tuple[object, ...]) -> CompileRequest | None:
    """The request that was made of these arguments, unless it was elsewhere and -I meant another directory there."""
    try:
        request, there = _requests.get(memo, _NO_REQUEST)
    except TypeError:  # what cannot be hashed is for the request to refuse, by its name
        return None
    return request if there is None or there == _working_directory() else None


def _make_request(
    source: str | os.PathLike[str],
    kind: KindName | None,
    arch: str | Iterable[str] | None,
    device: str,
    fields: Written,
    memo: tuple[object, ...] | None,
) -> CompileRequest:
    """The request for a source, remembered under `memo`."""
    wanted, archs = default_target(kind, arch) if kind is None or arch is None else (kind, arch)
    extra = EXECUTOR_OPTIONS if device == "cpu" else ()
    request = CompileRequest(source, kind=wanted, arch=archs, device_options=extra, **fields)
    if memo is not None:
        if len(_requests) >= _MAX_REQUESTS:
            _requests.clear()
        with suppress(TypeError):  # as above: what can be made of it is a request all the same
            _requests[memo] = (request, _working_directory() if request.include_dirs else None)
    return request


def _working_directory() -> str:
    """Where a directory behind -I is looked for."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is not on the way to a hit
    except OSError:  # it was removed
        return ""


@short_errors
def link(
    inputs: Iterable[Artifact | Buffer | str | os.PathLike[str]],
    *,
    kind: Kind | Literal["cubin", "ptx"] = "cubin",
    arch: str | None = None,
    options: str | Iterable[str] = (),
    name: str | None = None,
    cache: Cache | None = None,
) -> Artifact:
    """Link images to one that can be loaded: from a cache when it can, else by nvJitLink. No GPU is needed.

    The artifact is kept under the content of all inputs, the options and the linker's version and bytes. A hit needs no
    nvJitLink, and is looked for in bundles, memory, directories and a remote like that of a compile.

    Args:
        inputs: artifacts, images as bytes (LTO-IR, PTX, relocatable cubins, fatbins; what each is, its content tells)
            and paths (str or os.PathLike) of such images, of archives (".a") and of artifacts that were saved. A name
            without a directory such as "libcudadevrt.a", which is not here, is looked for in the toolkit.
        kind: "cubin", or "ptx", for which all inputs must be LTO-IR.
        arch: "sm_90"; default: what a relocatable cubin among the inputs is for, else the current device's, and where
            there is no GPU the highest that an input was compiled for.
        options: of nvJitLink: "-maxrregcount=32", "-O1", "-lineinfo", ...; link-time optimisation (-lto) goes with
            inputs of LTO-IR.
        name: what messages and listings call it; default: "linked".
        cache: where to look and to keep; default: the user's cache.

    Returns:
        An artifact whose kernels have the names and C++ types of the inputs' where those are known, else what the image
        tells; `log` is what the linker said.

    Raises:
        LinkError: they do not link: what is undefined is in the text and in `.undefined`, and all that nvJitLink said
            in `.log`; or there is no nvJitLink.
        CompileDisabledError: compiling is off and no tier has it.
        UsageValueError: an input, a kind, an arch or an option that cannot be.
        UsageTypeError: an argument of the wrong type.
        OSError: a file cannot be read.
    """
    given_cache(cache)
    settings = config.current()
    request = linking.link_request(
        inputs, kind=kind, arch=arch, options=options, name=name, device=resolve_device(settings)
    )
    store = default_cache(settings) if cache is None else cache
    return road.compile_request(request, store, settings, _ROLES)


def compile_linked(
    units: Sequence[CompileRequest],
    others: Iterable[object],
    cache: Cache | None = None,
    *,
    name: str | None = None,
    isolate: bool = False,
) -> Artifact:
    """The artifact of several sources, and of what is linked with them.

    Args:
        units: the sources, each with the kind, arch and options of the whole.
        others: what is linked with them, as for `link`.
        cache: where to look and to keep; the default cache when None.
        name: of the whole; default: the first unit's.
        isolate: as for `compile`.

    Raises:
        CompileError, CompileDisabledError: as `compile` and `link`.
        UsageValueError: an input that cannot be linked, or neither a cubin nor PTX is wanted.
    """

    def make(request: CompileRequest) -> Artifact:
        return compile_request(request, cache, isolate=isolate)

    return make(linking.linked_request(units, others, make, name=name))


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
        CompileError, CompileDisabledError, BundleError, TrustError: as `road.compile_request`.
    """
    settings = config.current()
    return road.compile_request(
        request,
        default_cache(settings) if cache is None else cache,
        settings,
        _ROLES,
        compiler=compile_alone if isolate and compiler is None else compiler,
        stand_ins=StandIns(device, tuple(kinds)),
        warn=warn,
    )


@short_errors
def seal(sealed: bool = True) -> None:
    """From now on a compile in this session is a `CompileDisabledError`; `seal(False)` allows it again.

    That is everywhere in the process, but for what runs in a `Session` of its own.

    Args:
        sealed: False takes it back.

    Raises:
        UsageTypeError: it is no truth value.
    """
    scope_in_force().state.sealed = given_truth("sealed", sealed)


def is_sealed() -> bool:
    """Whether `seal` was called."""
    return scope_in_force().state.sealed


def _give_warnings(said: Iterable[Diagnostic]) -> None:
    diagnostics.give_warnings(said)


_ROLES = Roles(
    bundles=bundles_in_force,
    sealed=is_sealed,
    toolkit=toolkit_roots,
    compile=compile_here,
    compile_alone=compile_alone,
    warn=_give_warnings,
)
