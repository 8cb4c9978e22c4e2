"""What is known of a kernel's machine code, made now or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.cpu.native.frame import Meet
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.text.ir import Variable


class ErrandPlace(NamedTuple):
    """An errand, as a launch needs it.

    Attributes:
        meeting: its number among the meetings.
        block, position: where it stands in the kernel and what it calls (`inlined`).
        follows: the number of the errand that comes next with no machine code in between, or 0.
        words: of the frame, by numbers of registers: those that it reads, and those that are read of it.
    """

    meeting: int
    block: int
    position: int
    follows: int
    words: tuple[tuple[int, int], ...]


class NativeKernel(NamedTuple):
    """Machine code of a kernel.

    Attributes:
        code: of `i32 launch(context, first block, how many)`, an image or object code.
        start: where that lies in the image; None where it is object code, which LLVM loads.
        near: sites that access global memory.
        frame_bytes: what a thread keeps while it waits.
        meetings: (function, block) in front of each meeting, by its number less one.
        meets: what each meeting is.
        places: what must lie in different allocations, each by what points there (see `expect_order`).
        variables: of the module, in the order of the table of their addresses.
        errands: what lanes do for it.
        dear: why lanes are quicker with all of it, or "".
    """

    code: bytes
    start: int | None
    near: int
    frame_bytes: int
    meetings: tuple[tuple[str, int], ...]
    meets: tuple[Meet, ...]
    places: tuple[frozenset[Resolved], ...]
    variables: tuple[Variable, ...]
    errands: tuple[ErrandPlace, ...]
    dear: str = ""
