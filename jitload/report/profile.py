"""The page of a profile: the kernel's source, with what the executor counted in each line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import UsageValueError
from jitload.files.regular import open_regular
from jitload.report.page import Cell, Line, Page, Source, Table, cells, filled

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from jitload.format.json import Json

    Places = Sequence[str | os.PathLike[str]]

#: Of the profiles that the executor writes.
_SCHEMA = 1
#: Longer than any profile of a program, and any file of kernels.
MAX_PROFILE_BYTES, MAX_SOURCE_BYTES = 64 << 20, 4 << 20
_SUFFIXES = frozenset({".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".h", ".hh", ".hpp", ".inl", ".ipp", ".ptx", ".py"})
_HEADER = ("Instructions", "Threads per warp", "Divergent", "Sectors per request", "Conflicts", "Atomics")
_NOTE = (
    "The fuller a cell, the more of that is in its line. Instructions of the PTX, once per warp; threads of 32 that "
    "took part; branches at which threads of a warp parted; sectors of 32 bytes that a request of global memory "
    "touches (4 is coalesced, for 4 bytes a thread); wavefronts of shared memory beyond the fewest possible; atomics, "
    "once per thread."
)
#: Lines without figures that are shown around those with some.
_AROUND = 3


class Figures(NamedTuple):
    """What was counted in a kernel, or in a line of it: the words of docs/cpu.md, of global and of shared memory."""

    executed: int
    threads: int
    branches: int
    divergent: int
    atomics: int
    conflicts: int
    requests: int
    sectors: int

    @property
    def threads_per_warp(self) -> float:
        """Of 32."""
        return self.threads / self.executed if self.executed else 0.0

    @property
    def sectors_per_request(self) -> float:
        """4.0 is coalesced, for 4 bytes a thread; 0.0 without a request."""
        return self.sectors / self.requests if self.requests else 0.0


class KernelFigures(NamedTuple):
    """A kernel of a profile.

    Attributes:
        name: what the user calls it.
        shapes: its launches, in words.
        total: of all its lines.
        files: name -> line number -> what was counted there.
    """

    name: str
    shapes: str
    total: Figures
    files: Mapping[str, Mapping[int, Figures]]


def read_profile(path: str | os.PathLike[str]) -> list[KernelFigures]:
    """What `jitload profile -o` or `CpuProfile.to_json` wrote.

    Raises:
        UsageValueError: it is something else.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        data = file.read(MAX_PROFILE_BYTES + 1)
    try:
        if len(data) > MAX_PROFILE_BYTES:
            raise ValueError(f"it is longer than {MAX_PROFILE_BYTES} bytes")
        found = json.loads(data)
        schema = found.get("schema", _SCHEMA)
        if schema != _SCHEMA:
            raise ValueError(f"its schema is {schema!r:.40}, and this version reads {_SCHEMA}")
        return [_kernel(kernel) for kernel in found["kernels"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageValueError(f"{path} is no profile, as `jitload profile -o` writes it: {why}") from None


def _kernel(kernel: Json) -> KernelFigures:
    files: dict[str, dict[int, Figures]] = {}
    for line in kernel["lines"]:
        name, _, number = line["line"].rpartition(":")
        files.setdefault(name, {})[int(number)] = _figures(line)
    shapes = [f"grid {tuple(shape['grid'])}, block {tuple(shape['block'])}" for shape in kernel["shapes"]]
    more = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
    count = _count(kernel["launches"])
    launches = f"{count:,} launch{'' if count == 1 else 'es'}: {'; '.join(shapes[:3])}{more}"
    return KernelFigures(str(kernel["kernel"]), launches, _figures(kernel), files)


def _figures(row: Json) -> Figures:
    traffic = row["memory"].get("global", {}).values()
    names = ("inst_executed", "thread_inst_executed", "branches", "divergent_branches", "atomics", "bank_conflicts")
    counts = [_count(row[name]) for name in names]
    return Figures(*counts, *(sum(_count(way[name]) for way in traffic) for name in ("requests", "sectors")))


def _count(value: Json) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def profile_page(kernels: Sequence[KernelFigures], path: str, places: Places = ()) -> Page:
    """The page of a profile.

    Args:
        kernels: what `read_profile` gives.
        path: its file, for people.
        places: directories, and files themselves, where sources are looked for, by the last part of their names.
    """
    facts = [("File", path), ("Kernels", ", ".join(kernel.name for kernel in kernels) or "none ran")]
    texts = {name: _find_text(name, places) for kernel in kernels for name in kernel.files}
    missing = dict.fromkeys(Path(name).name for name, text in texts.items() if not text)
    if missing:
        facts.append(("No source text", f"of {', '.join(missing)}: name its file or its directory by --source"))
    parts: list[Table | Source] = []
    for kernel in kernels:
        parts.append(_summary(kernel))
        parts += [_source(kernel.name, name, lines, texts[name]) for name, lines in kernel.files.items()]
    return Page("Profile of the CPU executor", facts, parts)


def _summary(kernel: KernelFigures) -> Table:
    total = kernel.total
    rows = [
        cells("Warp instructions", f"{total.executed:,}"),
        [
            Cell("Threads per warp instruction"),
            filled(total.threads_per_warp, 32, f"{total.threads_per_warp:.1f} of 32"),
        ],
        cells("Branches that parted a warp", f"{total.divergent:,} of {total.branches:,}"),
        cells("Sectors per request of global memory", f"{total.sectors_per_request:.2f}"),
        cells("Bank conflicts", f"{total.conflicts:,}"),
        cells("Atomics", f"{total.atomics:,}"),
    ]
    return Table(kernel.name, ("Figure", "Value"), rows, kernel.shapes)


def _source(kernel: str, name: str, lines: Mapping[int, Figures], text: Sequence[str]) -> Source:
    blank = cells(*[""] * len(_HEADER))
    most = Figures(*map(max, zip(*lines.values(), strict=True)))
    near = {number + step for number in lines for step in range(-_AROUND, _AROUND + 1)}
    listed = [
        Line(
            number,
            text[number - 1] if number <= len(text) else "",
            _cells(lines[number], most) if number in lines else blank,
        )
        for number in sorted(near)
        if number in lines or 1 <= number <= len(text)
    ]
    used = [place for place in range(len(_HEADER)) if any(line.cells[place].text for line in listed)]
    narrow = [line._replace(cells=[line.cells[place] for place in used]) for line in listed]
    return Source(f"{kernel}: {Path(name).name}", [_HEADER[place] for place in used], narrow, _NOTE)


def _cells(line: Figures, most: Figures) -> list[Cell]:
    threads, sectors = line.threads_per_warp, line.sectors_per_request
    parted = filled(line.divergent, line.branches, f"{line.divergent:,} of {line.branches:,}", tone="bad")
    return [
        filled(line.executed, most.executed),
        Cell(f"{threads:.1f}", 1 - threads / 32, "bad") if line.executed else Cell(""),
        parted if line.branches else Cell(""),
        # 4 sectors hold 4 bytes of each thread, side by side; 32 are one for each thread.
        Cell(f"{sectors:.2f}", min(1.0, max(0.0, (sectors - 4) / 28)), "bad") if line.requests else Cell(""),
        filled(line.conflicts, most.conflicts, tone="bad") if line.conflicts else Cell(""),
        filled(line.atomics, most.atomics, tone="fair") if line.atomics else Cell(""),
    ]


def _find_text(name: str, places: Places) -> list[str]:
    """The lines of the file of that name in one of the places; none where it is not there.

    A profile is data, and may come from others: no path in it is followed. Its last part alone is looked for, where the
    user said, and only among sources.
    """
    wanted = Path(name).name
    if Path(wanted).suffix.lower() not in _SUFFIXES:
        return []
    for place in map(Path, places):
        path = place / wanted if place.is_dir() else place
        if path.name != wanted:
            continue
        try:
            with open_regular(path) as file:
                return file.read(MAX_SOURCE_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
    return []
