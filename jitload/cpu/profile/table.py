"""A profile as text: aligned columns, no colours, the same on a terminal, in a log and in a document."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from jitload.cpu.profile.instruction_class import CLASSES
from jitload.cpu.profile.metrics import SPACES, WAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.profile.kernel_profile import KernelProfile, LineProfile
    from jitload.cpu.profile.metrics import Traffic

_NOTHING = "-"
_GAP = 2
#: What is left out first where a table is to be narrow; columns in which nothing stands go before these.
_SPARE = ("branches", "barriers", "atomics", "sectors", "bytes", "serialized", "wavefronts", "thread instructions")
#: No name is cut to less.
_LEAST = 12


def kernel_table(kernel: KernelProfile, columns: int | None = None) -> str:
    """One kernel: what was launched, the mix of instructions, memory by space, and every line.

    Args:
        kernel: the profile.
        columns: how wide the text may be; None: as wide as it is.
    """
    parts = [_head(kernel), _columns(_class_rows(kernel), columns)]
    if columns is not None:
        parts[0] = "\n".join(line for long in parts[0].splitlines() for line in wrap(long, columns))
    if kernel.traffic:
        parts.append(_columns(_memory_rows(kernel), columns))
    if kernel.lines:
        parts.append(_columns(_line_rows(kernel.lines), columns))
    return "\n\n".join(parts)


def _head(kernel: KernelProfile) -> str:
    shapes = "; ".join(
        f"grid {grid}, block {block}" + (f", {number} times" if number > 1 else "")
        for grid, block, number in kernel.shapes
    )
    threads = f"{kernel.active_threads_per_warp:.1f} active threads per warp instruction"
    branches = f"{kernel.branches:,} branches, {kernel.divergent_branches:,} divergent"
    return f"{kernel.name}: {shapes}\n{threads} ({_percent(kernel.warp_efficiency)}); {branches}"


def _class_rows(kernel: KernelProfile) -> list[list[str]]:
    counts = [(name, kernel.classes[name]) for name in CLASSES if name in kernel.classes]
    counts.append(("all", (kernel.inst_executed, kernel.thread_inst_executed)))
    head = ["class", "warp instructions", "thread instructions"]
    return [head, *([name, *(f"{number:,}" for number in pair)] for name, pair in counts)]


def _memory_rows(kernel: KernelProfile) -> list[list[str]]:
    rows = [["memory", "requests", "bytes", "sectors", "per request", "efficiency", "wavefronts", "bank conflicts"]]
    rows[0].append("serialized")
    for space in SPACES:
        for way in WAYS:
            traffic = kernel.traffic.get((space, way))
            if traffic is not None:
                rows.append([f"{space} {way}", f"{traffic.requests:,}", f"{traffic.bytes:,}", *_costs(traffic)])
    return rows


def _costs(traffic: Traffic) -> list[str]:
    shared = [f"{traffic.wavefronts:,}", f"{traffic.bank_conflicts:,}"] if traffic.wavefronts else [_NOTHING, _NOTHING]
    return [*_sectors(traffic), *shared, _count(traffic.serialized)]


def _sectors(traffic: Traffic) -> list[str]:
    if not traffic.sectors:
        return [_NOTHING] * 3
    return [f"{traffic.sectors:,}", f"{traffic.sectors_per_request:.1f}", _percent(traffic.sector_efficiency)]


def _short_names(names: list[str]) -> list[str]:
    """Names of lines without the directories of absolute paths, where they can be told apart without."""
    short = [name.rpartition("/")[2] if name.startswith("/") else name for name in names]
    return short if len(set(short)) == len(set(names)) else names


def _line_rows(lines: Sequence[LineProfile]) -> list[list[str]]:
    rows = [["line", "instructions", "threads/warp", "branches", "divergent", "sectors", "per request", "efficiency"]]
    rows[0] += ["conflicts", "atomics", "barriers"]
    names = _short_names([line.name for line in lines])
    for name, line in zip(names, lines, strict=True):
        shared = line.memory("shared")
        rows.append([
            name,
            f"{line.inst_executed:,}",
            f"{line.active_threads_per_warp:.1f}" if line.inst_executed else _NOTHING,
            _count(line.branches),
            f"{line.divergent_branches:,}" if line.branches else _NOTHING,
            *_sectors(line.memory("global")),
            f"{shared.bank_conflicts:,}" if shared.requests else _NOTHING,
            _count(line.atomics),
            _count(line.barriers),
        ])  # fmt: skip
    return rows


def _count(number: int) -> str:
    return f"{number:,}" if number else _NOTHING


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _columns(rows: Sequence[Sequence[str]], room: int | None = None) -> str:
    """The first column to the left, the others to the right."""
    if room is not None:
        rows = _narrowed(rows, room)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(
        [lines[0].rstrip(), "  ".join("-" * width for width in widths), *(line.rstrip() for line in lines[1:])]
    )


def _narrowed(rows: Sequence[Sequence[str]], room: int) -> list[list[str]]:
    """The rows in that room: without columns that tell nothing, then without what tells least, with shorter names."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    empty = [column[0] for column in columns if set(column[1:]) == {_NOTHING}]
    for name in (*empty, *_SPARE, *(column[0] for column in reversed(columns[2:]))):
        if sum(map(_width, columns[1:])) + min(_width(columns[0]), _LEAST) + _GAP * (len(columns) - 1) <= room:
            break
        columns = [column for column in columns if column[0] != name]
    names = max(room - sum(map(_width, columns[1:])) - _GAP * (len(columns) - 1), _LEAST)
    columns[0] = [name if len(name) <= names else f"...{name[3 - names :]}" for name in columns[0]]
    return [list(row) for row in zip(*columns, strict=True)]


def _width(column: Sequence[str]) -> int:
    return max(map(len, column))
