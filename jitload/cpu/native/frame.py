"""What a thread leaves in its frame where it waits: words at its start for others, and behind them registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.cpu.text.ir import Register

#: Threads of a row, whose frames lie word by word among each other.
LANES = 8
#: Of the state of a thread that waits: its meeting is the rest.
HELD = 1 << 30
#: Words at the start of a frame: the member mask, up to three values, two results.
MASK, VALUE, RESULT = 0, 1, 4
WORDS = 6


class Meet(NamedTuple):
    """One meeting.

    Attributes:
        name: of a warp operation, with its type: those that have it in common meet; "" for barriers.
        barrier: its number.
        aligned: whether the threads of a warp must wait at the same barrier instruction.
        fold: what `bar.red` asks about its predicates, or "".
        errand: whether lanes do what is asked for there.
        results: registers that are written, each with the word of the frame that it comes from.
        lanes: the last two operands of a shuffle, where the code says them.
    """

    name: str = ""
    barrier: int = 0
    aligned: bool = False
    fold: str = ""
    errand: bool = False
    results: tuple[tuple[Register, int], ...] = ()
    lanes: tuple[int, int] | None = None
