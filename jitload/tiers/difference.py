"""What a key is made of, as text, and in which of it an entry differs from a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.key import readable_factors
from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import CompileError
from jitload.frozen import Value
from jitload.headers.roots import VIRTUAL_ROOT, Roots
from jitload.headers.search import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.artifact import Artifact
    from jitload.compiler.key import Factors
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain


class Difference(Value):
    """One factor in which an entry differs from the request.

    Attributes:
        factor: its name, e.g. "arch", "define N", "header /path/to/value.h".
        old: the entry's value.
        new: the request's value.
    """

    __slots__ = ("factor", "new", "old")
    factor: str
    old: str
    new: str

    def __init__(self, factor: str, old: str, new: str) -> None:
        self._set(factor=factor, old=old, new=new)

    def __str__(self) -> str:
        return f"{self.factor}: {self.old} -> {self.new}"


def factors_now(request: CompileRequest, closure: Closure | None, toolchain: Toolchain | None) -> dict[str, str]:
    """Every factor of a request as text, by its name.

    Args:
        request: the request.
        closure: its headers, or None where they cannot be known.
        toolchain: the compiler in use, or None where there is none.
    """
    headers = {} if closure is None else {name: header.digest for name, header in closure.headers.items()}
    return _spell_factors(
        kind=request.kind.value,
        arch=request.arch,
        name=request.name,
        toolchain="none installed" if toolchain is None else str(toolchain),
        factors=readable_factors(request, headers),
    )


def _spell_factors(*, kind: str, arch: str, name: str, toolchain: str, factors: Factors) -> dict[str, str]:
    """Every factor under its own name, as text."""
    headers = len(factors.get("headers", {}))
    spelled = {
        "kind": kind,
        "arch": arch,
        "program name": name,
        "source": str(factors.get("source", ""))[:12],
        "options": " ".join(factors.get("options", ())) or "none",
        "undefines": " ".join(factors.get("undefines", ())) or "none",
        "name expressions": ", ".join(factors.get("name expressions", ())) or "none",
        "compiler": toolchain,
        "headers": f"{headers} {'file' if headers == 1 else 'files'}",
    }
    for macro, value in factors.get("defines", {}).items():
        spelled[f"define {macro}"] = "1" if value is None else str(value)
    for header, digest in factors.get("headers", {}).items():
        spelled[f"header {header}"] = str(digest)
    return spelled


def differences(
    request: CompileRequest, artifact: Artifact, factors: Factors, now: Mapping[str, str]
) -> list[Difference]:
    """In what an entry differs from a request.

    Args:
        request: the request.
        artifact: the artifact of the entry.
        factors: what its key was made of, from the entry.
        now: `factors_now` of the request.
    """
    then = _spell_factors(
        kind=artifact.kind.value,
        arch=artifact.arch,
        name=artifact.name,
        toolchain=str(artifact.toolchain),
        factors=factors,
    )
    roots = Roots(request, toolkit_roots())
    found = []
    for name in dict.fromkeys((*then, *now)):
        if name == "headers":
            continue
        old = then.get(name, "absent")
        new = now.get(name) or _header_now(name, roots) or "absent"
        if old != new:
            label = name
            if name.startswith("header "):
                label = f"header {_path_now(name[7:], roots)}"
                old, new = old[:12], new[:12]
            found.append(Difference(label, old, new))
    return found


def _header_now(name: str, roots: Roots) -> str | None:
    """The digest of a header that the scan does not reach (a macro names it), from the name of its factor."""
    path = _path_now(name.removeprefix("header "), roots)
    try:
        return read_header(path)[0]
    except (OSError, CompileError):
        return None


def _path_now(name: str, roots: Roots) -> str:
    """Where a header lies on this machine, from its virtual name; the name itself when it has no file."""
    first, _, below = name.removeprefix(VIRTUAL_ROOT).partition("/")
    if first not in roots:  # "include/0" and "toolkit/cuda" are two words
        second, _, below = below.partition("/")
        first = f"{first}/{second}"
    return (roots.path(first, below) if first in roots else None) or name
