"""Where a compile runs: in this process, or in one that ends with it."""

from __future__ import annotations

from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.compiler import isolate, link, nvrtc, program
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain
else:  # not on the way to a hit
    isolate = lazy("jitload.compiler.isolate")
    link = lazy("jitload.compiler.link")
    nvrtc = lazy("jitload.compiler.nvrtc")
    program = lazy("jitload.compiler.program")


def compile_here(request: CompileRequest, closure: Closure, toolchain: Toolchain) -> Artifact:
    """`compile_artifact` in this process, where its NVRTC is whole; a link is made in one of its own."""
    if request.is_link:
        return link.link_artifact(request, closure, toolchain)
    if nvrtc.calls.torn:  # forked from a process that was compiling
        return isolate.compile_isolated(request, closure, toolchain)
    return program.compile_artifact(request, closure, toolchain)


def compile_alone(request: CompileRequest, closure: Closure, toolchain: Toolchain) -> Artifact:
    """`compile_isolated`, or a link: one that dies or hangs, or changes what comes later, takes nobody with it."""
    if request.is_link:
        return link.link_artifact(request, closure, toolchain)
    return isolate.compile_isolated(request, closure, toolchain)
