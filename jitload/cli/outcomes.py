"""What became of many compiles, as rows of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.batch.report import PrecompileReport
    from jitload.cli.tables import JsonRow
    from jitload.source.request import CompileRequest


def outcome_rows(
    report: PrecompileReport, resources: dict[CompileRequest, list[JsonRow]] | None = None
) -> list[JsonRow]:
    """A row for each image of a report, as `--json` gives them.

    Args:
        report: what was compiled, found and failed.
        resources: request -> what its kernels take, where that is to be in the row.
    """
    outcomes = [(request, "compiled", None) for request in report.compiled]
    outcomes += [(request, "cached", None) for request in report.cached]
    rows = [*outcomes, *((request, "failed", str(error)) for request, error in report.failed)]
    return [
        {
            "file": request.path,
            "kind": request.kind.value,
            "arch": request.arch,
            "names": list(request.names),
            "outcome": outcome,
            "error": error,
            **({} if resources is None else {"resources": resources.get(request, [])}),
        }
        for request, outcome, error in rows
    ]
