"""What is said where nothing has an artifact and it may not or cannot be compiled.

The text of `NotPrecompiledError` says what was wanted, where it was looked for, what came nearest, and what mends it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jitload import config
from jitload.bundles.choose import judge_image
from jitload.bundles.installed import package_of
from jitload.bundles.nearest import describe_nearest, may_be_of, nearest_in
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.nvjitlink import LINKER_MISSING
from jitload.compiler.nvrtc import MISSING
from jitload.errors import CompileDisabledError, CompileError, LinkError, NotPrecompiledError
from jitload.tiers.explain import explain_request
from jitload.tiers.lookup import ask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles.bundle import Bundle
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.tiers.lookup import Answer

#: Targets of a bundle that are named where they are not what is wanted.
MAX_SHOWN = 8


def not_precompiled(
    request: CompileRequest, asked: Answer, cache: Cache, device: str | None = None
) -> NotPrecompiledError:
    """The error for a request that no tier answers while compiling is off.

    Args:
        request: what is wanted.
        asked: what the tiers said to it.
        cache: the cache that was searched.
        device: the device whose arch the request took, or None when it was chosen.
    """
    toolchain = cache.compiler(request)
    tool = "linker" if request.is_link else "compiler"
    compiler = f"{toolchain.name} {toolchain.version}" if toolchain is not None else f"no {tool} installed"
    source = f"{'inputs' if request.is_link else 'source'} {request.source_digest[:12]}"
    wanted = f"{request.kind} {request.arch}  request {request.digest[:12]}  {source}  {compiler}"
    strict = config.current().strict
    bundles = bundles_in_force()
    searched = ["memory: absent", *_searched_bundles(asked, bundles), _searched_disk(asked, cache, strict=strict)]
    nearest = [line for bundle in bundles for line in _nearest_lines(bundle, request, device)]
    if not strict:
        nearest += _nearest_on_disk(request, cache)
    fix = _package_fix(request, bundles) or _file_fix(request, strict=strict)
    fix = fix if strict else f"{fix}. Or set JITLOAD_COMPILE=missing"
    what_for = f"{request.name} ({request.kind}, {request.arch})"
    setting = "strict mode is on (JITLOAD_STRICT)" if strict else "compiling is off (JITLOAD_COMPILE=never)"
    lines = [f"{what_for} is not available and {setting}."]
    lines += _block("wanted", [wanted])
    lines += _block("searched", searched)
    lines += _block("nearest", nearest or ["nothing of this program"])
    lines += _block("fix", [fix])
    return NotPrecompiledError(
        "\n".join(lines), wanted=wanted, searched=tuple(searched), nearest=tuple(nearest), fix=fix
    )


def _file_fix(request: CompileRequest, *, strict: bool) -> str:
    """How a bundle is made that has a request."""
    sign = ". Sign K.jlb: `jitload bundle sign`" if strict else ""
    return (
        f"where compiling is allowed, `jitload bundle create APP.jlw -o K.jlb --arch {request.arch}`, and name K.jlb "
        f"in JITLOAD_BUNDLES here; `jitload check` says beforehand whether the workload with --arch {request.arch} is "
        f"covered{sign}"
    )


def _package_fix(request: CompileRequest, bundles: Iterable[Bundle]) -> str:
    """What to do about a kernel of an installed package that has a bundle; "" where it is of none.

    Who has installed the package has neither its workload nor, as a rule, its build.
    """
    for bundle in bundles:
        package = package_of(bundle.path)
        if not package or request.path is None or not may_be_of(bundle.path, request.path):
            continue
        near = next(iter(nearest_in(bundle, request)), None)
        if near is None:
            what = f"the bundle of the installed package {package} has nothing of {request.name}"
        elif near.stale:
            what = f"the bundle of the installed package {package} is not of the sources and options beside it"
        else:
            what = f"the bundle of the installed package {package} was not built for this"
        again = f"who builds {package}: build the bundle again, with arch {request.arch}, before the wheel"
        return f"{what}: install a release of it whose bundle has this kernel (pip install --upgrade); {again}"
    return ""


def refusal(
    request: CompileRequest, asked: Answer, cache: Cache, reason: str, *, sealed: bool, device: str | None = None
) -> CompileDisabledError:
    """The error for a request that needs a compile where there may be none.

    Args:
        request: what is wanted.
        asked: what the tiers said to it.
        cache: the cache that was searched.
        reason: why it needs a compile.
        sealed: whether that is because the process is sealed; else compiling is off.
        device: the device whose arch the request took, or None when it was chosen.
    """
    if not sealed:
        return not_precompiled(request, asked, cache, device)
    needed = "link" if request.is_link else "compile"
    return CompileDisabledError(
        f"{request.name} ({request.kind}, {request.arch}) needs a {needed} ({reason}), and this "
        f"process is sealed: compile it before jitload.seal(){describe_nearest(request)}"
    )


def not_compilable(request: CompileRequest) -> CompileError:
    """The error for a request that needs a compile where no compiler is installed."""
    what = f"{request.path or request.name} ({request.kind}, {request.arch}) is in no bundle and in no cache directory"
    fix = _package_fix(request, bundles_in_force())
    near = f"{describe_nearest(request)}{f'{chr(10)}  or: {fix}' if fix else ''}"
    if request.is_link:
        return LinkError(f"{what}, and {LINKER_MISSING}{near}", file=request.name)
    return CompileError(f"{what}, and {MISSING}{near}", file=request.path)


def _searched_bundles(asked: Answer, bundles: Iterable[Bundle]) -> list[str]:
    """What each bundle said to the request itself, not to one that would do as well."""
    answers = {one.tiers: one.said for one in asked.history() if not one.about}
    found = [f"bundle {one.path} ({_describe(one)}): {answers.get(one.tiers, 'absent')}" for one in bundles]
    return found or ["bundles: none in force (JITLOAD_BUNDLES)"]


def _searched_disk(asked: Answer, cache: Cache, *, strict: bool) -> str:
    if not cache.directory:
        return "disk: none"
    said = "not asked: in strict mode bundles alone answer" if strict else asked.reason
    return f"disk {cache.directory}: {said}"


def _block(label: str, lines: list[str]) -> list[str]:
    return [f"  {label if number == 0 else '':<9}: {line}" for number, line in enumerate(lines)]


def _describe(bundle: Bundle) -> str:
    signed = f"signed by {', '.join(bundle.signers)}" if bundle.signers else "signatures not asked for"
    return f"{len(bundle)} {'request' if len(bundle) == 1 else 'requests'}, {signed}"


def _nearest_lines(bundle: Bundle, request: CompileRequest, device: str | None) -> list[str]:
    """The same program for other targets, each with why it does not serve; where there is none, what comes near."""
    found = []
    for kind, arch in bundle.manifest["targets"]:
        other = request.replace(kind=kind, arch=arch.split(","))
        if other.digest == request.digest or other.digest not in bundle:
            continue
        answer = ask(other, bundle.tiers, use=False)
        said = answer.said
        if answer.artifact is not None:
            asked = f"asked for was {request.kind} {request.arch}"
            said = asked if device is None else judge_image(kind, arch, device).reason
        found.append(f"same program as {kind} {arch} in {os.path.basename(bundle.path)}: {said}")
    if not found:
        found = [str(near) for near in nearest_in(bundle, request)]
    return found[:MAX_SHOWN]


def _nearest_on_disk(request: CompileRequest, cache: Cache) -> list[str]:
    explanation = explain_request(request, cache)
    found = []
    for entry in explanation.nearest:
        differences = "; ".join(map(str, entry.differences)) or "no factor differs"
        found.append(f"{entry.artifact} on the disk: {differences}")
    return found
