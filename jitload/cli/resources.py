"""`--resources`: what each kernel of some images takes of a multiprocessor, and how full it makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jitload.cli.tables import JsonRow, describe_kernels, table, wrapped
from jitload.compiler.ptxas import VERBOSE
from jitload.errors import JitloadError
from jitload.images.resources import resources_by_arch
from jitload.lazy import lazy
from jitload.report.kernels import kernel_row
from jitload.source.arch import capability
from jitload.tiers.row import written_options
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload import door
    from jitload.artifact import Artifact
    from jitload.source.request import CompileRequest
    from jitload.values import Resources

    Row = JsonRow
else:
    door = lazy("jitload.door")  # 20 ms, which most reports do without

ShowResources = Annotated[
    bool,
    typer.Option(
        "--resources",
        help="Show for each kernel and sm_* arch the registers, stack, shared memory and spills (bytes stored/loaded), "
        "and the occupancy of the block with most resident threads.",
    ),
]
_COLUMNS = ("NAME", "KERNEL", "ARCH", "REGISTERS", "STACK", "SHARED", "SPILLS", "CODE", "BLOCK", "OCCUPANCY", "LIMIT")
_NOTE = (
    "Stack and spills are bytes per thread, shared memory is bytes per block. BLOCK is the one with most resident "
    "threads, without dynamic shared memory."
)
#: Left out, in this order, where the terminal is narrow.
_SPARE = ("CODE", "STACK", "BLOCK", "LIMIT", "SHARED", "NAME", "SPILLS")
_NO_MACHINE_CODE = "no machine code, so nothing to tell of registers: name an arch such as sm_90"


def resource_rows(artifact: Artifact, request: CompileRequest | None = None) -> list[Row]:
    """One row for each kernel and arch of the machine code in an artifact, as `--json` gives them.

    Args:
        artifact: the image. PTX and LTO-IR give no rows.
        request: what it was compiled from; then the spills of which the image does not tell are asked of the compiler,
            where it is there and may compile. They are in bytes, and None where nobody knows them.

    Raises:
        LoadError: the image is damaged.
    """
    rows = []
    for arch, kernels in resources_by_arch(artifact).items():
        if request is not None and any(taken.spill_store_bytes is None for taken in kernels.values()):
            kernels = _with_spills(kernels, request, arch)  # noqa: PLW2901 - the same, completed
        rows += [kernel_row(artifact.kernels[name], arch, taken) for name, taken in kernels.items()]
    return rows


def request_options(request: CompileRequest) -> str:
    """The macros and options of a request as they would be written."""
    options = [option for option in request.options if option not in request.device_options]
    return written_options({"defines": dict(request.defines), "undefines": list(request.undefines), "options": options})


def resource_lines(images: Iterable[tuple[str, str, list[Row]]], margin: int = 0) -> list[str]:
    """The table of some images.

    Args:
        images: program name, options and `resource_rows` of each.
        margin: how far the lines will be moved to the right.
    """
    rows = [(name, options, row) for name, options, rows in images for row in rows]
    if not rows:
        return [_NO_MACHINE_CODE]
    rows.sort(key=lambda item: (item[0], item[2]["kernel"], item[1], *capability(item[2]["arch"])))
    right = set(_COLUMNS) - {"NAME", "KERNEL", "ARCH", "LIMIT"}
    lines = table(_COLUMNS, [_cells(*item) for item in rows], right, _SPARE, margin)
    return [*lines, *wrapped(_NOTE, margin)]


def _with_spills(kernels: dict[str, Resources], request: CompileRequest, arch: str) -> dict[str, Resources]:
    """The kernels with the spills that a compile tells which asks for them, where there can be one."""
    for asking in _asking(request, arch):
        try:
            told = door.compile_request(asking, warn=list).kernels
        except JitloadError:
            continue
        known = {name: info.resources for name, info in told.items() if info.resources is not None}
        kernels = {name: known.get(name, taken) for name, taken in kernels.items()}
        if all(taken.spill_store_bytes is not None for taken in kernels.values()):
            break
    return kernels


def _asking(request: CompileRequest, arch: str) -> Iterator[CompileRequest]:
    if request.kind is not Kind.CUBIN:  # what a fatbin is packed of may tell it unasked
        yield request.replace(kind=Kind.CUBIN, arch=arch)
    options = [option for option in request.options if option not in request.device_options]
    yield request.replace(kind=Kind.CUBIN, arch=arch, options=[*options, VERBOSE])


def _cells(name: str, options: str, row: Row) -> list[str]:
    spills = [row["spill_store_bytes"], row["spill_load_bytes"]]
    figures = [str(row[field]) for field in ("registers", "stack_bytes", "shared_bytes")]
    figures += ["?" if None in spills else "/".join(map(str, spills)), str(row["code_bytes"])]
    occupancy = row["occupancy"]
    if occupancy is None:
        found = ["?", "?", ""]
    else:
        found = [str(occupancy["block"]), f"{occupancy['fraction']:.0%}", occupancy["limited_by"]]
    return [name, describe_kernels([row["kernel"]], options), row["arch"], *figures, *found]
