"""What came of `jitload.precompile`; what failed is told once for each source, not for each arch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.frozen import Value
from jitload.notebook import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.source.request import CompileRequest

_FOR_ARCH = re.compile(r" for (?:sm|compute)_[0-9a-z_,]+")


class Turn(Value):
    """When a request was compiled, and where.

    Attributes:
        request: the request.
        worker: the process, by its number.
        began: when, in seconds since the epoch.
        seconds: how long it took.
    """

    __slots__ = ("began", "request", "seconds", "worker")
    request: CompileRequest
    worker: str
    began: float
    seconds: float

    def __init__(self, request: CompileRequest, worker: str, began: float, seconds: float) -> None:
        self._set(request=request, worker=worker, began=began, seconds=seconds)


class PrecompileReport(Value):
    """What came of a `precompile`.

    Attributes:
        compiled: requests that were compiled now and are in the cache.
        cached: requests that the cache held already.
        failed: (request, error) of the others.
        seconds: what it took, in seconds of wall clock.
        incidents: what went wrong on the way without a request being lost for it, a sentence each: workers of a farm
            that died, or were refused.
        turns: when and where each request was compiled, as far as it is known: the workers of a farm do not tell.
        unkept: those of `compiled` that the directory of the cache did not take, as the log says, such as one on a full
            disk; they are in this process alone.
    """

    __slots__ = ("cached", "compiled", "failed", "incidents", "seconds", "turns", "unkept")
    compiled: tuple[CompileRequest, ...]
    cached: tuple[CompileRequest, ...]
    failed: tuple[tuple[CompileRequest, Exception], ...]
    seconds: float
    incidents: tuple[str, ...]
    turns: tuple[Turn, ...]
    unkept: tuple[CompileRequest, ...]

    def __init__(
        self,
        compiled: Iterable[CompileRequest],
        cached: Iterable[CompileRequest],
        failed: Iterable[tuple[CompileRequest, Exception]],
        seconds: float,
        incidents: Iterable[str] = (),
        turns: Iterable[Turn] = (),
        unkept: Iterable[CompileRequest] = (),
    ) -> None:
        self._set(
            compiled=tuple(compiled),
            cached=tuple(cached),
            failed=tuple(failed),
            seconds=seconds,
            incidents=tuple(incidents),
            turns=tuple(turns),
            unkept=tuple(unkept),
        )

    @property
    def ok(self) -> bool:
        """True when every request is in the cache."""
        return not (self.failed or self.unkept)

    @property
    def errors(self) -> list[tuple[tuple[CompileRequest, ...], str]]:
        """What failed: (requests, text), one row where a source fails for several archs in the same words."""
        groups: dict[tuple[object, ...], list[tuple[CompileRequest, str]]] = {}
        for request, error in self.failed:
            text = str(error).strip()
            source = (request.path or request.name, request.names, request.defines)
            groups.setdefault((*source, _without_target(text, request)), []).append((request, text))
        return [
            (tuple([request for request, _ in rows]), _for_targets(rows[0][1], [request for request, _ in rows]))
            for rows in groups.values()
        ]

    def __repr__(self) -> str:
        return f"<PrecompileReport of {str(self).splitlines()[0]}>"

    def _repr_html_(self) -> str:
        rows = [(describe_request(request), "compiled") for request in self.compiled]
        rows += [(describe_request(request), "cached") for request in self.cached]
        rows = [(describe_requests(requests), text) for requests, text in self.errors] + rows
        return html_table(str(self).splitlines()[0], ("request", "outcome"), rows)

    def __str__(self) -> str:
        total = len(self.compiled) + len(self.cached) + len(self.failed)
        counts = f"{len(self.compiled)} compiled, {len(self.cached)} cached, {len(self.failed)} failed"
        lines = [f"{total} request{'' if total == 1 else 's'} in {self.seconds:.1f} s: {counts}"]
        for requests, text in self.errors:
            indented = text.replace("\n", "\n    ")
            lines.append(f"  {describe_requests(requests)}\n    {indented}")
        lines += [f"  {describe_request(request)}\n    could not be kept" for request in self.unkept]
        lines += [f"  {incident}" for incident in self.incidents]
        return "\n".join(lines)


def describe_request(request: CompileRequest) -> str:
    """A request in a few words: "reduce.cu (cubin, sm_90)"."""
    names = f", {', '.join(request.names)}" if request.names else ""
    return f"{request.path or request.name} ({request.kind}, {request.arch}{names})"


def describe_requests(requests: tuple[CompileRequest, ...]) -> str:
    """The requests for one source in a few words: "reduce.cu (cubin sm_80, cubin sm_90)"."""
    first = requests[0]
    if len(requests) == 1:
        return describe_request(first)
    names = f"; {', '.join(first.names)}" if first.names else ""
    targets = ", ".join(f"{request.kind} {request.arch}" for request in requests)
    return f"{first.path or first.name} ({targets}{names})"


def _without_target(text: str, request: CompileRequest) -> str:
    """An error with nothing in it of what the request was to be compiled for."""
    return _FOR_ARCH.sub("", text, count=1).replace(f"({request.kind}, {request.arch})", "()")


def _for_targets(text: str, requests: list[CompileRequest]) -> str:
    """The error of the first of several requests, as that of all of them."""
    if len(requests) == 1:
        return text
    first = requests[0]
    archs = ", ".join(dict.fromkeys(request.arch for request in requests))
    targets = "; ".join(f"{request.kind}, {request.arch}" for request in requests)
    return _FOR_ARCH.sub(f" for {archs}", text, count=1).replace(f"({first.kind}, {first.arch})", f"({targets})")
