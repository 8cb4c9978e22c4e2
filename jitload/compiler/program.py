"""From a request and its closure to an artifact: the one place where a compile happens."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from jitload.artifact import Artifact
from jitload.compiler import nvrtc, ptxas
from jitload.compiler.advice import advise
from jitload.compiler.diagnostics import (
    errors_alone,
    map_positions,
    read_log,
    relative_log,
    shortened,
)
from jitload.compiler.fatbin import pack_fatbin
from jitload.compiler.kernelless import refuse_uninstantiated
from jitload.compiler.key import artifact_key
from jitload.compiler.layout import name_kernels
from jitload.compiler.name_map import NAME_MAP, without_name_map
from jitload.compiler.types.source import SourceKernels
from jitload.compiler.variables import type_variables, variables_in
from jitload.digest import digest_factors
from jitload.errors import CompileError
from jitload.images.resources import known_resources
from jitload.lazy import lazy
from jitload.source.arch import virtual_arch
from jitload.source.options import option_name
from jitload.source.text import foreign_encoding
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.compiler import misspelt
    from jitload.compiler.nvrtc import Output, Run
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest
    from jitload.values import KernelInfo, Toolchain

    CompileProgram = Callable[[Run], Output]
else:
    misspelt = lazy("jitload.compiler.misspelt")  # for errors

#: A program whose macros name more headers than this, one by one, is not going to end.
MAX_RETRIES = 500

_MISSING_HEADER = re.compile(
    r'^(.+?)\((\d+)\): catastrophic error: (?:could not|cannot) open source file "([^"]+)"', re.MULTILINE
)


def compile_artifact(
    request: CompileRequest,
    closure: Closure,
    toolchain: Toolchain,
    compile_program: CompileProgram = nvrtc.compile_program,
) -> Artifact:
    """Compile a request with NVRTC (never from a cache).

    Headers that only appear after macro expansion are added to `closure` on the way.

    Args:
        request: what to compile.
        closure: its headers.
        toolchain: the compiler, for the key.
        compile_program: what does the work of `nvrtc.compile_program`: there, or in another way or process.

    Raises:
        CompileError: the source does not compile, has kernel templates alone that nothing instantiates, or a
            compiler is missing.
    """
    started = time.perf_counter()
    members = [(arch, _compile_for(request, closure, arch, toolchain, compile_program)) for arch in request.archs]
    if request.kind is Kind.FATBIN:
        image = pack_fatbin([(arch, output.image) for arch, output in members])
    else:
        image = members[0][1].image
    text, headers, closure_digest = closure.program()  # with all that they were found to need
    variables = variables_in(output.ptx for _, output in members)
    source = SourceKernels(request, closure, text, headers, variables=bool(variables))
    kernels: dict[str, KernelInfo] = {}
    for _, output in members:  # a kernel may exist for some archs only
        for kernel in name_kernels(output.ptx, output.lowered, source):
            kernels.setdefault(kernel.name, kernel)
    if not kernels:
        refuse_uninstantiated(request)
    if request.kind is Kind.CUBIN:
        found = known_resources(image, members[0][1].spilled)
        kernels = {name: kernel.replace(resources=found.get(kernel.symbol)) for name, kernel in kernels.items()}
    log = "".join(dict.fromkeys(output.log for _, output in members))
    return Artifact(
        kind=request.kind,
        data=image,
        arch=request.arch,
        name=request.name,
        key=artifact_key(request, closure_digest, toolchain),
        kernels=kernels.values(),
        toolchain=toolchain,
        log=relative_log(log, closure) if log else "",
        compile_seconds=round(time.perf_counter() - started, 6),
        variables=type_variables(variables, source),
    )


def _compile_for(
    request: CompileRequest, closure: Closure, arch: str, toolchain: Toolchain, compile_program: CompileProgram
) -> Output:
    kind = request.kind
    if kind is Kind.FATBIN:
        kind = Kind.CUBIN if arch.startswith("sm_") else Kind.PTX
    output = _compile_retrying(request, closure, kind, arch, _telling(request, kind, arch, toolchain), compile_program)
    if kind is Kind.LTOIR:
        # With link-time optimisation NVRTC gives no PTX, and the parameter layout is read from PTX.
        output.ptx = _compile_retrying(request, closure, Kind.PTX, virtual_arch(arch), [], compile_program).ptx
    return output


def _telling(request: CompileRequest, kind: Kind, arch: str, toolchain: Toolchain) -> list[str]:
    """The option that makes ptxas tell the spills, where it may be added."""
    wanted = kind is Kind.CUBIN and not ptxas.asks_for_figures(request.options)
    return [ptxas.VERBOSE] if wanted and ptxas.tells_for_free(arch, toolchain) else []


def _compile_retrying(
    request: CompileRequest,
    closure: Closure,
    kind: Kind,
    arch: str,
    extra: list[str],
    compile_program: CompileProgram,
) -> Output:
    """Compile; while NVRTC asks for a header whose name a macro makes, find it and try again."""
    options = (*_options(request, closure), *extra)
    for _ in range(MAX_RETRIES):
        source, headers, digest = closure.program()
        try:
            output = compile_program(
                nvrtc.Run(
                    source, closure.main.name, headers, options, kind, arch, request.names, _seed(request, digest)
                )
            )
        except nvrtc.NvrtcFailure as failure:
            failure.log = ptxas.clean_log(failure.log, request.options)
            missing = _MISSING_HEADER.search(failure.log)
            if missing is None or not closure.add_missing(missing[3], missing[1]):
                raise _compile_error(request, closure, arch, failure) from None
        else:
            output.spilled = ptxas.read_spills(output.log)
            output.log = ptxas.clean_log(output.log, request.options)
            return output
    raise CompileError(f"{request.name} names more than {MAX_RETRIES} headers through macros", file=request.path)


def _seed(request: CompileRequest, closure_digest: str) -> str:
    """What the names of anonymous namespaces are made of: the program, so that they are the same in every run.

    Not the kind and the arch: a kernel has one name in all its images.
    """
    if any(option_name(option) == "--frandom-seed" for option in request.options):
        return ""
    factors = [factor for factor in request.factors() if factor[0] not in {"kind", "arch"}]
    return digest_factors([*factors, ("headers", closure_digest.encode())])[:16]


def _options(request: CompileRequest, closure: Closure) -> list[str]:
    options = []
    for option in request.options:
        name, _, value = option.partition("=")
        if name == "--pre-include":
            option = f"{name}={closure.resolve(value) or value}"  # noqa: PLW2901 - the same option, its file in memory
        options.append(option)
    defines = [f"--define-macro={name}" + ("" if value is None else f"={value}") for name, value in request.defines]
    return [*options, *defines, *(f"--undefine-macro={name}" for name in request.undefines)]


def _compile_error(request: CompileRequest, closure: Closure, arch: str, failure: nvrtc.NvrtcFailure) -> CompileError:
    """The error of a failed compile, in the user's file names and lines."""
    log = map_positions(failure.log, closure)
    what = request.path or request.name
    first = next((said for said in read_log(log) if said.severity.endswith("error") and said.file != NAME_MAP), None)
    hints = "".join(f"\n{hint}" for hint in _hints(request, closure, failure))
    plain = without_name_map(log, request)
    return CompileError(
        f"{what} does not compile for {arch} ({failure.status}):\n{shortened(errors_alone(plain))}{hints}",
        file=first.file if first is not None and first.file else what,
        line=first.line if first is not None and first.file else None,
        log=log,
        diagnostics=tuple(read_log(plain)),
    )


def _supported_archs() -> tuple[int, ...]:
    try:
        return nvrtc.supported_archs()
    except CompileError:  # it works in a process of its own, and cannot be asked here
        return ()


def _hints(request: CompileRequest, closure: Closure, failure: nvrtc.NvrtcFailure) -> Iterator[str]:
    """What to do about it, each in one line."""
    if "--gpu-architecture" in failure.log:
        known = ", ".join(map(str, _supported_archs())) or "of its version"
        yield f"this NVRTC compiles for the compute capabilities {known}: write one of them, e.g. arch='sm_90'"
    refused = misspelt.about_options(failure.log, request.options)
    if refused is not None:
        yield f"hint: {refused}"
    missing = _MISSING_HEADER.search(failure.log)
    if missing is not None:
        searched = ", ".join(closure.roots.directories()) or "no directory"
        yield f"header {closure.display(missing[3])!r} was looked for in headers= and in {searched}"
    for header in closure.headers.values():
        encoding = foreign_encoding(header.text)
        if encoding and header.name in failure.log:
            yield f"header {closure.display(header.name)} is {encoding}, which no CUDA compiler reads: save it as UTF-8"
    if request.escaped:
        yield 'hint: Python has read the backslashes of this literal before the compiler did: make it raw, r"""..."""'
    advice = advise(failure.log, closure)
    if advice is not None:
        yield f"hint: {advice}"
