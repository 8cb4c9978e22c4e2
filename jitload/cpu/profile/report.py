"""`jitload.cpu_profile`: what kernels did, instruction by instruction, counted while the CPU executor ran them.

The counts are exact and the same in every run, so a test can assert on them. They describe the kernel, not the CPU:
how many warp instructions, which threads took part, what memory a GPU would have moved. Instructions are those of the
PTX; the machine code of a GPU has others. Caches are not modelled.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from jitload import config
from jitload.cpu.profile.counter import Counter
from jitload.cpu.profile.metrics import Metrics, Traffic, total
from jitload.cpu.run.observe import observing
from jitload.errors import LaunchError, SymbolNotFoundError, UsageTypeError

if TYPE_CHECKING:
    from types import TracebackType

    from jitload.cpu.profile.counter import KernelCounts

_SCHEMA = 1


class LineProfile(Metrics):
    """The figures of one line.

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
        """Whether a number of a CUDA line, or a name with or without its directories, means this line."""
        if isinstance(line, int):
            return line == self.number and self.file != "ptx"
        return self.name == line or self.name.endswith(f"/{line}")

    def __repr__(self) -> str:
        return f"<LineProfile {self.name}: {self.inst_executed} warp instructions>"

    def as_dict(self) -> dict[str, Any]:
        """The name and the figures."""
        return {"line": self.name, **super().as_dict()}


class KernelProfile(Metrics):
    """The figures of one kernel, over all its launches in the profile.

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


class CpuProfile:
    """What the launches of a thread did while it was in force. Made by `cpu_profile`.

    The figures are those up to now, at any time: in the block, after it, and after a launch that a fault stopped.
    `print` it for the table.
    """

    def __init__(self) -> None:
        self._counter = Counter()
        self._stack: ExitStack | None = None

    def __enter__(self) -> CpuProfile:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        if self._stack is not None:
            raise RuntimeError("this profile is in force already")
        _require_cpu(config.resolve_device())
        self._begin()
        return self

    def _begin(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(observing(self._counter))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    @property
    def kernels(self) -> tuple[KernelProfile, ...]:
        """One per kernel, in the order of their first launches."""
        return tuple(KernelProfile(counts) for counts in self._counter.kernels)

    @property
    def total(self) -> Metrics:
        """The figures of all kernels together."""
        return total(self.kernels)

    def kernel(self, name: str | None = None) -> KernelProfile:
        """The figures of a kernel, by its name or its symbol; without one, of the only kernel.

        Raises:
            SymbolNotFoundError: there is no such kernel, or not just one.
        """
        found = [one for one in self.kernels if name in {None, one.name, one.symbol}]
        if len(found) != 1:
            known = ", ".join(one.name for one in self.kernels) or "no launch on the CPU executor was seen"
            wanted = "the only kernel" if name is None else f"kernel {name!r}"
            text = f"{wanted} is not there, or there more than once. In this profile: {known}"
            raise SymbolNotFoundError(text, name=name or "", available=tuple(one.name for one in self.kernels))
        return found[0]

    def line(self, line: int | str) -> LineProfile:
        """The figures of a line, over all kernels.

        Args:
            line: a line number of the CUDA source, or a name as the table shows it: "saxpy.cu:7", "ptx:31".

        Raises:
            SymbolNotFoundError: nothing ran there, or the number stands for lines of several files.
        """
        lines = [one for kernel in self.kernels for one in kernel.lines]
        found = [one for one in lines if one.is_called(line)]
        names = sorted({one.name for one in found})
        if len(names) != 1:
            known = ", ".join(dict.fromkeys(one.name for one in lines)) or "none"
            which = f"stands for {' and '.join(names)}" if names else f"did not run; those that ran: {known}"
            raise SymbolNotFoundError(f"line {line!r} {which}", name=str(line), available=tuple(names))
        result = LineProfile(names[0])
        for one in found:
            result.add(one)
        return result

    def as_dict(self) -> dict[str, Any]:
        """Everything, as `to_json` writes it."""
        return {"schema": _SCHEMA, "kernels": [kernel.as_dict() for kernel in self.kernels]}

    def to_json(self) -> str:
        """Everything, as JSON: the same bytes for the same launches, in any run and process."""
        return json.dumps(self.as_dict(), indent=1) + "\n"

    def table(self) -> str:
        """Everything that happened, as text in aligned columns."""
        from jitload.cpu.profile.table import kernel_table

        return "\n\n".join(kernel_table(kernel) for kernel in self.kernels) or "no launch on the CPU executor was seen"

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<CpuProfile of {', '.join(one.name for one in self.kernels) or 'nothing yet'}>"


def cpu_profile(kernel: Any = None, /, *args: Any, **options: Any) -> CpuProfile:
    """Count what kernels do on the CPU executor: of every launch in a `with` block, or of one launch.

        with jitload.cpu_profile() as profile:
            kernel[grid, block](x, y, n)

        profile = jitload.cpu_profile(kernel, x, y, n, grid=grid, block=block)

        print(profile)                                        # a table
        assert profile.line(7).sectors_per_request == 4.0     # line 7 of the file: coalesced
        assert profile.total.bank_conflicts == 0

    Only launches of the calling thread count. Units: warp instructions, threads, bytes, sectors of 32 bytes, wavefronts
    of shared memory. docs/cpu.md says how each is counted.

    Args:
        kernel: a kernel to launch once; None for a context manager.
        *args: its arguments.
        **options: `grid`, `block` and whatever else a launch takes.

    Raises:
        LaunchError: the device in force is a GPU. A profile belongs to the CPU executor.
        UsageTypeError: there are arguments, but no kernel.
    """
    profile = CpuProfile()
    if kernel is None:
        if args or options:
            raise UsageTypeError("cpu_profile(kernel, ..., grid=..., block=...) needs the kernel to launch")
        return profile
    if not callable(kernel):
        raise UsageTypeError(f"cpu_profile takes the kernel to launch first, got {type(kernel).__name__}")
    _require_cpu(getattr(kernel, "device", None) or config.resolve_device())
    with observing(profile._counter):
        kernel(*args, **options)
    return profile


def _require_cpu(device: str) -> None:
    if device != "cpu":
        raise LaunchError(
            "cpu_profile counts what the CPU executor runs, and the device in force is a GPU: set JITLOAD_DEVICE=cpu, "
            'or use `with jitload.configure(device="cpu")` around it. On the GPU itself, use Nsight Compute (ncu)'
        )


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
