"""`jitload.cpu_profile`: what kernels did, instruction by instruction, counted while the CPU executor ran them.

The counts are exact and the same in every run, so a test can assert on them. They describe the kernel, not the CPU:
how many warp instructions, which threads took part, what memory a GPU would have moved. Instructions are those of the
PTX; the machine code of a GPU has others. Caches are not modelled.
"""

from __future__ import annotations

import inspect
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from jitload.cpu.profile.counter import Counter
from jitload.cpu.profile.kernel_profile import KernelProfile, LineProfile
from jitload.cpu.profile.metrics import total
from jitload.cpu.profile.table import kernel_table
from jitload.cpu.run.observer import observing
from jitload.device import resolve_device
from jitload.errors import LaunchError, SymbolNotFoundError, UsageTypeError
from jitload.notebook import html_table
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from types import TracebackType

    from jitload.cpu.profile.metrics import Metrics

__tracebackhide__ = is_mistake

_SCHEMA = 1


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
        _require_cpu(resolve_device())
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

        Args:
            name: "saxpy", "reduce<float, 256>", or a symbol.

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

    def table(self, columns: int | None = None) -> str:
        """Everything that happened, as text in aligned columns.

        Args:
            columns: how wide it may be: what tells least is left out then.
        """
        return (
            "\n\n".join(kernel_table(kernel, columns) for kernel in self.kernels)
            or "no launch on the CPU executor was seen"
        )

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        header = (
            "line",
            "instructions",
            "threads per warp",
            "divergent",
            "sectors per request",
            "conflicts",
            "atomics",
        )
        tables = []
        for kernel in self.kernels:
            rows = [
                (
                    line.name,
                    line.inst_executed,
                    line.active_threads_per_warp,
                    line.divergent_branches or None,
                    line.sectors_per_request or None,
                    line.bank_conflicts or None,
                    line.atomics or None,
                )
                for line in kernel.lines
            ]
            tables.append(html_table(f"{kernel.name}: {kernel.launches} launched", header, rows))
        return "".join(tables) or html_table("no launch on the CPU executor was seen", (), ())

    def __repr__(self) -> str:
        return f"<CpuProfile of {', '.join(one.name for one in self.kernels) or 'nothing yet'}>"


@short_errors
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

    Returns:
        The profile, which is the context manager where no kernel is given.

    Raises:
        LaunchError: the device in force is a GPU, and a profile belongs to the CPU executor; or there is no grid or no
            block.
        UsageTypeError: there are arguments, but no kernel.
    """
    profile = CpuProfile()
    if kernel is None:
        if args or options:
            raise UsageTypeError("cpu_profile(kernel, ..., grid=..., block=...) needs the kernel to launch")
        return profile
    if not callable(kernel):
        raise UsageTypeError(f"cpu_profile takes the kernel to launch first, got {type(kernel).__name__}")
    _require_cpu(getattr(kernel, "device", None) or resolve_device())
    _require_shape(kernel, options)
    with observing(profile._counter):
        kernel(*args, **options)
    return profile


def _require_shape(kernel: Any, options: dict[str, Any]) -> None:
    """Nothing, where a kernel is given grid and block, or has its own, as one that was bound."""
    missing = [f"{word}=" for word in ("grid", "block") if word not in options]
    if not missing or not hasattr(kernel, "bind"):
        return
    info = getattr(kernel, "info", None)
    own = [parameter.name for parameter in info.params] if info else list(inspect.signature(kernel).parameters)
    call = ", ".join([kernel.__name__ if info is None else "kernel", *own, "grid=...", "block=..."])
    raise LaunchError(
        f"cpu_profile launches a kernel once, and lacks {' and '.join(missing)}: write cpu_profile({call}), or "
        f"`with jitload.cpu_profile() as profile:` around launches"
    )


def _require_cpu(device: str) -> None:
    if device != "cpu":
        raise LaunchError(
            "cpu_profile counts what the CPU executor runs, and the device in force is a GPU: set JITLOAD_DEVICE=cpu, "
            'or use `with jitload.configure(device="cpu")` around it. On the GPU itself, use Nsight Compute (ncu)'
        )
