"""Name expressions that name no kernel: one line for each, where NVRTC has three or four errors, and what to write."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jitload.compiler.deduce import kernel_templates
from jitload.compiler.diagnostics import kernel_names, read_log
from jitload.source.template import element_text

if TYPE_CHECKING:
    from jitload.compiler.deduce import KernelTemplate
    from jitload.source.request import CompileRequest

#: The file in which NVRTC compiles name expressions.
NAME_MAP = "__nv_name_map"
_EXPRESSION = re.compile(r'Input name expression was: "([^"]*)"')
_UNDEFINED = re.compile(r'identifier "(\w+)" is undefined')
_TYPES = ("bool", "char", "double", "float", "int", "long", "short", "unsigned")
#: A type by NumPy's or torch's name, with the module in front or not.
_ELEMENT = re.compile(r"\b(?:\w+\.)?(\w+)\b")


def without_name_map(log: str, request: CompileRequest) -> str:
    """A log in which each name expression that names no kernel takes one line."""
    if NAME_MAP not in log:
        return log.rstrip()
    kept: list[str] = []
    reasons: dict[int, str] = {}
    for said in read_log(log):
        if said.file != NAME_MAP:
            kept.append(said.text)
            continue
        head = said.text.partition("\n")[0].partition("error: ")[2]
        expression = _EXPRESSION.search(head)
        if expression is None:
            reasons.setdefault(said.line, head)
            continue
        why = reasons.get(said.line) or head.partition(" Input name expression")[0].rstrip(".")
        written = _written(request, expression[1])
        advice = _advice(request, written, why)
        kept.append(
            f"the name expression {written!r} does not name a kernel of this source: {why}"
            f"{f'; {advice}' if advice else ''}"
        )
    return "\n\n".join(dict.fromkeys(kept))


def _advice(request: CompileRequest, expression: str, why: str) -> str:
    """What may be meant by a name expression that names no kernel; "" where nothing is known."""
    head = re.split(r"[<(\[]", expression, maxsplit=1)[0].strip("& ")
    name = head.rpartition("::")[2]
    kernels = kernel_names(request.source)
    template = next((one for one in kernel_templates(request.source) if one.name.rpartition("::")[2] == name), None)
    if template is not None:
        return _about_template(template, expression, why)
    if name in kernels:
        return f"{name} is no template: write {head!r}" if "<" in expression else ""
    near = get_close_matches(name, kernels, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"its kernels are {', '.join(kernels[:8])}" if kernels else ""


def _about_template(template: KernelTemplate, expression: str, why: str) -> str:
    spelled = _with_types_of_cpp(expression)
    if spelled != expression:
        return f"write {spelled!r}"
    unknown = _UNDEFINED.search(why)
    word, name = "" if unknown is None else unknown[1], template.name.rpartition("::")[2]
    if word in template.parameters:
        parameters = template.parameters
        pattern = f"{template.name}<{', '.join(f'{{{one}}}' for one in parameters)}>"
        return (
            f"{word} is a parameter of the template: write e.g. {template.example()!r}, or, where it is left to the "
            f"launch, entry={pattern!r} of a jit_kernel, and declare def {name}(..., *, {', '.join(parameters)})"
        )
    if word in {"", name}:
        return f"{template.name} is a template: write e.g. {template.example()!r}"
    near = get_close_matches(word, _TYPES, 1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else ""


def _with_types_of_cpp(expression: str) -> str:
    """A name expression with C++ types for those that it has by the names of NumPy or torch."""
    name, bracket, arguments = expression.partition("<")
    return name + bracket + _ELEMENT.sub(lambda found: element_text(found[1]) or found[0], arguments)


def _written(request: CompileRequest, spaced: str) -> str:
    """The name expression as the user wrote it: NVRTC prints it with spaces between all tokens."""
    squeezed = spaced.replace(" ", "")
    return next((name for name in request.names if name.replace(" ", "") == squeezed), spaced.strip())
