"""The figures of one kernel and of its lines, from what was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload.cpu.profile.metrics import Metrics, Traffic

if TYPE_CHECKING:
    from jitload.cpu.profile.counter import KernelCounts


class LineProfile(Metrics):
    """The figures of one line, as `CpuProfile.line` gives them.

    Attributes:
        name: "saxpy.cu:7", or "ptx:31" where the PTX was compiled without -lineinfo.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @property
    def number(self) -> int:
        """The line number."""
        return int(self.name.rpartition(":")[2])

    @property
    def file(self) -> str:
        """The source file, or "ptx"."""
        return self.name.rpartition(":")[0]

    def is_called(self, line: int | str) -> bool:
        """Whether `line`, a number of a CUDA line or a name with or without its directories, means this line."""
        if isinstance(line, int):
            return line == self.number and self.file != "ptx"
        return self.name == line or self.name.endswith(f"/{line}")

    def __repr__(self) -> str:
        return f"<LineProfile {self.name}: {self.inst_executed} warp instructions>"

    def as_dict(self) -> dict[str, Any]:
        """The name and the figures."""
        return {"line": self.name, **super().as_dict()}


class KernelProfile(Metrics):
    """The figures of one kernel, over all its launches in the profile, as `CpuProfile.kernel` gives them.

    Attributes:
        name: what the user calls it: "saxpy", "reduce<float, 256>".
        symbol: its lowered name.
        launches: how many.
        shapes: (grid in blocks, block in threads, launches), in the order of the first launch of each.
        lines: one per line that ran, by file and number.
    """

    __slots__ = ("launches", "lines", "name", "shapes", "symbol")

    def __init__(self, counts: KernelCounts) -> None:
        super().__init__()
        self.name, self.symbol = counts.name, counts.symbol
        self.shapes = tuple((grid, block, number) for (grid, block), number in counts.launches.items())
        self.launches = sum(counts.launches.values())
        self.lines = _lines(counts)
        for line in self.lines:
            self.add(line)

    def __repr__(self) -> str:
        return f"<KernelProfile {self.name}: {self.launches} launches, {self.inst_executed} warp instructions>"

    def as_dict(self) -> dict[str, Any]:
        """The name, the launches, the figures and those of every line."""
        shapes = [{"grid": list(grid), "block": list(block), "launches": number} for grid, block, number in self.shapes]
        head = {"kernel": self.name, "symbol": self.symbol, "launches": self.launches, "shapes": shapes}
        return {**head, **super().as_dict(), "lines": [line.as_dict() for line in self.lines]}


def _lines(counts: KernelCounts) -> tuple[LineProfile, ...]:
    lines: dict[str, LineProfile] = {}

    def line_at(site: int) -> LineProfile:
        place = counts.places[site]
        name = place.cuda_line or f"ptx:{place.ptx_line}"
        found = lines.get(name)
        if found is None:
            found = lines[name] = LineProfile(name)
        return found

    for (first, end), (warps, threads) in counts.executed.items():
        for site in range(first, end):
            _count_instruction(counts, site, warps, threads, line_at(site))
    for site, (warps, parted) in counts.branched.items():
        line = line_at(site)
        line.branches += warps
        line.divergent_branches += parted
    for (site, space, way), traffic in counts.traffic.items():
        line_at(site).add_traffic(space, way, traffic)
    return tuple(sorted(lines.values(), key=lambda line: (line.file, line.number)))


def _count_instruction(counts: KernelCounts, site: int, warps: int, threads: int, line: LineProfile) -> None:
    opcode = counts.opcodes[site]
    line.count(opcode.instruction_class, warps, threads)
    if opcode.is_barrier:
        line.barriers += warps
    if opcode.name == "ld" and "param" in opcode.modifiers and (site, "param", "load") not in counts.traffic:
        # A parameter that is read by its name is no access that an observer hears of.
        read = Traffic()
        read.requests, read.accesses, read.bytes = warps, threads, threads * opcode.access_bytes
        line.add_traffic("param", "load", read)
