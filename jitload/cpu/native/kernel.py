"""What is known of a kernel's machine code, made now or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.cpu.native.frame import Meet
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.text.ir import Variable


class NativeKernel(NamedTuple):
    """Machine code of a kernel.

    Attributes:
        code: object code of `i32 launch(context, first block, how many)`.
        near: sites that access global memory.
        frame_bytes: what a thread keeps while it waits.
        meetings: the block in front of each meeting, by its number less one.
        meets: what each meeting is.
        places: what must lie in different allocations, each by what points there (see `expect_order`).
        variables: of the module, in the order of the table of their addresses.
    """

    code: bytes
    near: int
    frame_bytes: int
    meetings: tuple[int, ...]
    meets: tuple[Meet, ...]
    places: tuple[frozenset[Resolved], ...]
    variables: tuple[Variable, ...]
