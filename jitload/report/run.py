"""The page of a precompile run: when each worker compiled what, and what came out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jitload.batch.report import describe_request
from jitload.report.kernels import kernel_parts
from jitload.report.page import Cell, Page, Table, cells, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.batch.report import PrecompileReport
    from jitload.report.kernels import Row
    from jitload.report.page import Timeline

_NOTE = "Each row is a worker process. Requests that share headers go to one, which parses these once."


def run_page(report: PrecompileReport, rows: Iterable[Row]) -> Page:
    """The page of a run.

    Args:
        report: what came of it.
        rows: what its kernels take, as `kernel_row` gives it, with program and options.
    """
    failed = {request for request, _ in report.failed}
    jobs = [
        (
            f"process {turn.worker}",
            turn.began,
            turn.began + turn.seconds,
            f"{Path(describe_request(turn.request)).name}: {turn.seconds:.3f} s",
            "bad" if turn.request in failed else "",
        )
        for turn in report.turns
    ]
    busy = sum(turn.seconds for turn in report.turns)
    workers = len({turn.worker for turn in report.turns})
    facts = [
        ("Requests", str(report).splitlines()[0]),
        ("Workers", f"{workers} process{'' if workers == 1 else 'es'}, busy for {busy:.1f} s together"),
    ]
    errors = [[Cell(describe_request(requests[0]), tone="bad"), *cells(text)] for requests, text in report.errors]
    parts: list[Table | Timeline] = [
        *filter(None, [timeline("Workers", jobs, _NOTE)]),
        *([Table("What failed", ("Request", "Error"), errors, figures=False)] if errors else []),
        *kernel_parts(rows),
    ]
    return Page("Precompile run", facts, parts)
