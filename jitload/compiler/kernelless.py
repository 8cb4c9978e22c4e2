"""A program that compiles to nothing that can be launched: most often a template that nobody has instantiated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.deduce import kernel_templates
from jitload.errors import CompileError
from jitload.headers.cpp import BLANK, COMMENT, NEWLINE, tokens
from jitload.values import Kind

if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.compiler.deduce import KernelTemplate
    from jitload.source.request import CompileRequest

#: What is made to be linked may have no kernel of its own.
_RELOCATABLE = {"--relocatable-device-code=true", "--device-c"}
#: A variable that others can reach (`Module.get_global`): in PTX its declaration, in machine code a section of its own.
_GLOBAL = re.compile(rb"^[ \t]*(?:\.(?:visible|weak|common)[ \t]+)?\.(?:global|const)\b", re.MULTILINE)
_GLOBAL_SECTIONS = (b"\0.nv.global", b"\0.nv.constant3")
_MAX_NAMED = 5


def refuse_uninstantiated(request: CompileRequest) -> None:
    """Nothing for a program that was compiled and gave no kernel, if that can be what was meant.

    Raises:
        CompileError: it has kernel templates, which nothing instantiates, or no code; the text says what to write.
    """
    if _is_relocatable(request):
        return
    templates = kernel_templates(request.source)
    if templates:
        raise _error(request, _name_templates(templates))
    text = request.source.encode("utf-8", "surrogateescape")
    if all(kind in {BLANK, COMMENT, NEWLINE} for kind, _, _ in tokens(text)):
        raise _error(request, "there is no code in it")


def refuse_unlaunchable(request: CompileRequest, artifact: Artifact) -> None:
    """Nothing for an artifact that has kernels, or globals, or is to be linked: for who makes kernels of files.

    What has no file is a text that an application brought, or recorded: it knows what for.

    Raises:
        CompileError: it has nothing of the sort.
    """
    if artifact.kernels or request.path is None or _is_relocatable(request) or _has_globals(artifact.data):
        return
    refuse_uninstantiated(request)
    raise _error(
        request,
        "it has no __global__ function, or has templates in a header that nothing instantiates (--name, or names in "
        "precompile.toml). Device functions alone are compiled to be linked: -rdc=true, or kind 'ltoir'",
    )


def _is_relocatable(request: CompileRequest) -> bool:
    return request.kind is Kind.LTOIR or bool(_RELOCATABLE.intersection(request.options))


def _has_globals(image: bytes) -> bool:
    return _GLOBAL.search(image) is not None or any(section in image for section in _GLOBAL_SECTIONS)


def _error(request: CompileRequest, why: str) -> CompileError:
    what = request.path or request.name
    return CompileError(f"{what}: no kernel for {request.arch}: {why}", file=what)


def _name_templates(templates: list[KernelTemplate]) -> str:
    names = ", ".join(template.name for template in templates[:_MAX_NAMED])
    more = f" and {len(templates) - _MAX_NAMED} more" if len(templates) > _MAX_NAMED else ""
    are, them = ("is a template", "it") if len(templates) == 1 else ("are templates", "them")
    return (
        f'{names}{more} {are}, and nothing instantiates {them}: give names=["{templates[0].example()}"] '
        f"(entry= of a jit_kernel, --name on the command line, names in precompile.toml)"
    )
