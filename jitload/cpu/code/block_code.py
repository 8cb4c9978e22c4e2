"""Decoded functions, as the scheduler runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.registers import RegisterFile
    from jitload.cpu.lanes.product import Product
    from jitload.cpu.lanes.tensor_memory import TensorMove
    from jitload.cpu.lanes.warpgroup import GroupProduct
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.text.ir import Instruction
    from jitload.cpu.types import Array, Lanes

    #: (batch, frame, the lanes that run it or None for all) -> what its end needs: operands, the way of a branch, ...
    BlockRun = Callable[[RunningLanes, RegisterFile, Array | None], Any]

BARRIERS = 16  # per thread block


class MeetingCode(NamedTuple):
    """What the scheduler needs to know about one meeting.

    Attributes:
        kind: "barrier", "arrive", "warp", or "cluster" for the barrier of a cluster.
        name: the operation: "sync", "red.and", "shfl.up", "vote.ballot", ...
        type: the type it works on, or "".
        results: (register, representation in the register file) per result; None where nobody wants it.
        site: for faults.
        masked: whether a member mask is the first operand (`.sync` forms).
        product: of matrices by a warp, for `mma` and `wmma`.
        group: of matrices by a warpgroup, for `wgmma`.
        tensor: what a warp does with tensor memory, for `tcgen05`.
        aligned: whether all threads of a warp must execute this very instruction (barriers).
    """

    kind: str
    name: str
    type: str
    results: tuple[tuple[int, str] | None, ...]
    site: int
    masked: bool = False
    product: Product | None = None
    group: GroupProduct | None = None
    tensor: TensorMove | None = None
    aligned: bool = False


class CallCode(NamedTuple):
    """A call, ready to run: `callee` is None for an indirect one. Places are (frame offset, bytes)."""

    callee: str | None
    arguments: tuple[tuple[int, int], ...]
    results: tuple[tuple[int, int], ...]
    target: int
    site: int


class BlockCode:
    """One block, ready to run: its function, and what happens after it (one of the fields).

    Attributes:
        sites: its instructions, in order, with the one that ends it.
        steps: its instructions as written, where the function shuffles; else ().
        live_out: bit set of registers that a later block reads.
        spins: whether it is in a loop that may wait for other threads.
        waits: whether it is in a loop that does nothing but test an mbarrier.
    """

    __slots__ = ("call", "kind", "live_out", "meeting", "run", "site", "sites", "spins", "steps", "targets", "waits")

    def __init__(self, kind: str, targets: tuple[int, ...], site: int, spins: bool) -> None:
        self.kind = kind
        self.targets = targets
        self.site = site
        self.sites: tuple[int, ...] = ()
        self.steps: tuple[Instruction, ...] = ()
        self.live_out = 0
        self.spins = spins
        self.waits = False
        self.run: BlockRun = _run_nothing
        self.meeting: MeetingCode | None = None
        self.call: CallCode | None = None


def _run_nothing(_batch: RunningLanes, _frame: RegisterFile, _lanes: Array | None) -> None:
    return None


class FunctionCode:
    """One function, ready to run."""

    __slots__ = ("blocks", "formals", "frame_bytes", "name", "results", "zeros")

    def __init__(self, name: str, frame_bytes: int) -> None:
        self.name = name
        self.blocks: list[BlockCode] = []
        self.zeros: list[Lanes] = []
        self.frame_bytes = frame_bytes
        self.formals: list[tuple[int, int]] = []
        self.results: list[tuple[int, int]] = []
