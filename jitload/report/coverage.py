"""What GPUs get of some images: programs by GPUs, with the image that each would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.bundles.check import check_coverage
from jitload.bundles.choose import CPU, PTX_RANK, judge_all
from jitload.report.page import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jitload.bundles.bundle import Bundle
    from jitload.workloads.workload import Workload

#: A GPU of each kind that is in use: V100, T4, A100, RTX 30, Orin, RTX 40, H100, B200, RTX 50; and the executor.
GPUS = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_120", CPU)
_NOTE = "The image that each GPU would run. PTX is compiled by its driver at the first use; an empty cell is a miss."


def image_coverage(images: Mapping[str, Iterable[tuple[str, str]]]) -> Table | None:
    """Programs by GPUs, from the kinds and archs of their images; None where there are no images.

    Args:
        images: program -> (kind, arch) of each of its images.
    """
    rows = [[Cell(name), *(_best(list(targets), gpu) for gpu in GPUS)] for name, targets in sorted(images.items())]
    return Table("What each GPU gets", ("Program", *GPUS), rows, _NOTE, figures=False) if rows else None


def workload_coverage(workload: Workload, bundles: Sequence[Bundle], driver: int | None = None) -> Table:
    """Requests of an application by GPUs, by the rules of a look-up.

    Raises:
        BundleError: a bundle is damaged.
    """
    by_request: dict[str, dict[str, Cell]] = {}
    for gpu in GPUS:
        for number, row in enumerate(check_coverage(workload, bundles, gpu, driver)):
            names = f" ({', '.join(row.names)})" if row.names else ""
            cell = Cell(row.found or "missing", tone="good" if row.covered else "bad", note="; ".join(row.reasons))
            by_request.setdefault(f"{number + 1}. {row.program}{names}", {})[gpu] = cell
    rows = [[Cell(name), *(found.get(gpu, Cell("")) for gpu in GPUS)] for name, found in by_request.items()]
    with_driver = f" With driver {driver}." if driver is not None else ""
    return Table("Coverage of the workload", ("Request", *GPUS), rows, f"{_NOTE}{with_driver}", figures=False)


def _best(targets: Sequence[tuple[str, str]], gpu: str) -> Cell:
    verdicts = judge_all(targets, gpu)
    rank = verdicts[0].rank if verdicts else None
    if rank is None:
        return Cell("", tone="bad", note="; ".join(str(verdict) for verdict in verdicts[:4]))
    best = verdicts[0]
    tone = "fair" if rank[0] == PTX_RANK and gpu != CPU else "good"
    return Cell(f"{best.kind} {best.arch}", tone=tone, note=best.reason)
