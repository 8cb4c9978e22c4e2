"""Which requests go together: those that begin with the same includes, whose headers are then parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.prefix import leading_directives

if TYPE_CHECKING:
    from jitload.source.request import CompileRequest


def parts_of(requests: list[CompileRequest], jobs: int) -> list[list[CompileRequest]]:
    """Requests that share headers together, cut so that every worker gets some; the longest first."""
    groups: dict[object, list[CompileRequest]] = {}
    for request in requests:
        directives = leading_directives(request.source.encode("utf-8", "surrogateescape"))
        same = (request.kind, request.archs, request.options, request.defines, request.undefines, request.headers)
        # A guess: where headers of one name differ after all, the worker sees it in their texts and shares nothing.
        groups.setdefault((directives, same) if directives else request, []).append(request)
    most = -(-len(requests) // jobs)
    parts: list[list[CompileRequest]] = []
    for group in groups.values():
        count = -(-len(group) // most)
        parts += [group[number::count] for number in range(count)]
    return sorted(parts, key=len, reverse=True)
