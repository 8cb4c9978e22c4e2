"""What kernels take of a multiprocessor: a row for each kernel and arch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.images.multiprocessor import find_multiprocessor
from jitload.images.resources import resources_by_arch
from jitload.launch.occupancy import best_threads, block_occupancy
from jitload.report.page import Cell, Table, cells, filled
from jitload.source.arch import capability
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.artifact import Artifact
    from jitload.format.json import Json
    from jitload.values import KernelInfo, Resources

    Row = dict[str, Json]  # the fields of Resources, and what stands beside them

_HEADER = ("Kernel", "Arch", "Registers", "Stack", "Shared", "Spills", "Code", "Block", "Occupancy", "Limited by")
_NOTE = (
    "Registers, stack and spills (bytes stored / loaded) are per thread, shared memory (bytes) is per block. Block is "
    "the one with most resident threads, without dynamic shared memory; occupancy is its share of the warps that a "
    "multiprocessor holds."
)
_MAX_REGISTERS = 255


def kernel_row(info: KernelInfo, arch: str, taken: Resources) -> Row:
    """A kernel on an arch, as plain values: kernel, arch, the fields of `Resources`, and occupancy or None."""
    figures = {name: getattr(taken, name) for name in taken.__slots__}
    return {"kernel": info.name, "arch": arch, **figures, "occupancy": _occupancy(info, arch, taken)}


def artifact_rows(artifact: Artifact, options: str) -> list[Row]:
    """A row for each kernel and arch of the machine code in an artifact; PTX and LTO-IR give none.

    Raises:
        LoadError: the image is damaged.
    """
    if artifact.kind not in {Kind.CUBIN, Kind.FATBIN}:
        return []
    return [
        {"program": artifact.name, "options": options, **kernel_row(artifact.kernels[name], arch, taken)}
        for arch, kernels in resources_by_arch(artifact).items()
        for name, taken in kernels.items()
    ]


def kernel_parts(rows: Iterable[Row]) -> list[Table]:
    """Kernels by archs at a glance, where there are several archs; then everything that is known of each."""
    known = sorted(rows, key=lambda row: (row["program"], row["kernel"], row["options"], capability(row["arch"])))
    if not known:
        return []
    archs = sorted({row["arch"] for row in known}, key=capability)
    parts = [_overview(known, archs)] if len(archs) > 1 else []
    shown = [_cells(row) for row in known]
    return [*parts, Table("Kernels", _HEADER, shown, _NOTE)]


def _overview(rows: Sequence[Row], archs: Sequence[str]) -> Table:
    by_kernel: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_kernel.setdefault(kernel_name(row), {})[row["arch"]] = row
    table = [
        [Cell(name), *(_glance(found[arch]) if arch in found else Cell("") for arch in archs)]
        for name, found in by_kernel.items()
    ]
    note = "Registers per thread; the bar is the occupancy of the best block. Spills are red."
    return Table("Kernels by arch", ("Kernel", *archs), table, note)


def _glance(row: Row) -> Cell:
    occupancy = row["occupancy"]
    share = None if occupancy is None else occupancy["fraction"]
    return Cell(str(row["registers"]), share, _tone(row), f"{row['kernel']} on {row['arch']}: {_spoken(occupancy)}")


def kernel_name(row: Row) -> str:
    """The kernel with its options, so that no two rows of an arch are alike; with its program where that says more."""
    name: str = row["kernel"]
    return f"{name} ({row['options']})" if row["options"] else name


def _cells(row: Row) -> list[Cell]:
    spills = (row["spill_store_bytes"], row["spill_load_bytes"])
    occupancy = row["occupancy"]
    last = cells("?", "?", "")
    if occupancy is not None:
        fraction = occupancy["fraction"]
        share = filled(fraction, 1.0, f"{fraction:.0%}", tone="good" if fraction >= 0.5 else "fair")
        last = [Cell(str(occupancy["block"])), share, Cell(occupancy["limited_by"])]
    return [
        Cell(kernel_name(row), note=row["program"]),
        Cell(row["arch"]),
        filled(row["registers"], _MAX_REGISTERS),
        *cells(f"{row['stack_bytes']:,}", f"{row['shared_bytes']:,}"),
        Cell("?" if None in spills else f"{spills[0]:,} / {spills[1]:,}", tone="bad" if any(spills) else ""),
        Cell(f"{row['code_bytes']:,}"),
        *last,
    ]


def _tone(row: Row) -> str:
    if row["spill_store_bytes"] or row["spill_load_bytes"]:
        return "bad"
    occupancy = row["occupancy"]
    return "" if occupancy is None else "good" if occupancy["fraction"] >= 0.5 else "fair"


def _spoken(occupancy: Row | None) -> str:
    if occupancy is None:
        return "a multiprocessor that is not known here"
    return f"{occupancy['fraction']:.0%} in blocks of {occupancy['block']}, limited by {occupancy['limited_by']}"


def _occupancy(info: KernelInfo, arch: str, taken: Resources) -> Row | None:
    """That of the best block, or None for a GPU that this version does not know."""
    sm = find_multiprocessor(arch)
    if sm is None:
        return None
    if info.required_block is None:
        threads = best_threads(taken, 0, sm)
    else:
        x, y, z = info.required_block
        threads = x * y * z
    if not threads:
        return None
    found = block_occupancy(taken, threads, 0, sm)
    return {"block": threads, **{name: getattr(found, name) for name in found.__slots__}}
