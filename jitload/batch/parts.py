"""Which requests go together, and in which order: as few headers parsed as can be, and nobody left with a long rest.

Requests that begin with the same includes are a part, whose headers are parsed once, unless that would keep one worker
busy for longer than the others have work. The part that is expected to take longest comes first: what is long and
begins late is what all others wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.batch.expected import header_seconds, own_seconds, parse_seconds
from jitload.compiler.prefix import leading_directives

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.batch.expected import ClosureOf
    from jitload.source.request import CompileRequest

# What is spent on headers when they are as good as none: parts of such requests lose nothing when they become one.
_FEW_HEADERS_SECONDS = 0.02


class _Group:
    """Requests that may share headers.

    Attributes:
        requests: the requests.
        header: the seconds that one of them takes to parse its headers.
    """

    def __init__(self, requests: list[CompileRequest], header: float) -> None:
        self.requests = requests
        self.header = header
        self._own = sum(map(own_seconds, requests))

    def seconds(self, pieces: int) -> float:
        """What the largest takes of so many pieces."""
        return parse_seconds(self.header, -(-len(self.requests) // pieces)) + self._own / pieces

    def cut(self, pieces: int) -> list[_Group]:
        """So many pieces."""
        return [_Group(self.requests[number::pieces], self.header) for number in range(pieces)]


def parts_of(
    requests: list[CompileRequest], jobs: int, most: int | None = None, closure_of: ClosureOf | None = None
) -> list[list[CompileRequest]]:
    """Requests in parts, the longest first; what is short goes together, and less of it towards the end.

    Args:
        requests: what to compile.
        jobs: how many workers there are.
        most: the most requests in a part.
        closure_of: finds the headers of a request; default: they are looked for now.
    """
    most = len(requests) if most is None else most
    groups = _cut(requests, jobs, most, closure_of)
    left = sum(group.seconds(1) for group in groups)
    parts: list[list[CompileRequest]] = []
    room = 0.0
    for group in groups:
        seconds = group.seconds(1)
        alone = group.header > _FEW_HEADERS_SECONDS
        if alone or seconds > room or len(parts[-1]) + len(group.requests) > most:
            parts.append([])
            room = 0.0 if alone else left / (2 * jobs)
        parts[-1] += group.requests
        room -= seconds
        left -= seconds
    return parts


def _cut(requests: list[CompileRequest], jobs: int, most: int, closure_of: ClosureOf | None) -> list[_Group]:
    """The requests that share headers, cut where one worker would have too many of them, the longest first."""
    groups = _groups(requests, closure_of)
    total = sum(group.seconds(1) for group in groups)
    pieces: list[_Group] = []
    for group in groups:
        fewest = -(-len(group.requests) // most)
        others = total - group.seconds(1)
        choices = range(fewest, max(fewest, min(jobs, len(group.requests))) + 1)
        pieces += group.cut(min(choices, key=lambda count: _span(group, count, others, jobs)))
    return sorted(pieces, key=lambda piece: piece.seconds(1), reverse=True)


def _span(group: _Group, pieces: int, others: float, jobs: int) -> float:
    """When everything is done, where a group is cut so."""
    seconds = group.seconds(pieces)
    return max(seconds, (others + pieces * seconds) / jobs)


def _groups(requests: Iterable[CompileRequest], closure_of: ClosureOf | None) -> list[_Group]:
    groups: dict[object, list[CompileRequest]] = {}
    including: dict[object, object] = {}  # a group -> what it includes and from where, whatever its kind and archs
    for request in requests:
        directives = leading_directives(request.source.encode("utf-8", "surrogateescape"))
        same = (request.options, request.defines, request.undefines, request.headers)
        # A guess: where headers of one name differ after all, the worker sees it in their texts and shares nothing.
        group: object = (directives, request.kind, request.archs, same) if directives else request
        groups.setdefault(group, []).append(request)
        including[group] = (directives, same, request.source_dir, request.include_dirs) if directives else None
    known: dict[object, float] = {None: 0.0}
    if len(groups) > 1:  # else there is nothing to put in order
        for group, what in including.items():
            if what not in known:
                known[what] = header_seconds(groups[group][0], closure_of)
    return [_Group(members, known.get(including[group], 0.0)) for group, members in groups.items()]
