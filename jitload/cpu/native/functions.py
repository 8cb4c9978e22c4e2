"""The two functions of a kernel: for one thread, and for eight in a row where that has a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload import log
from jitload.cpu.faults import Refused
from jitload.cpu.native.frame import WORDS
from jitload.cpu.native.shapes import Shapes
from jitload.cpu.native.wide import Varies, WideWriter, find_entries
from jitload.cpu.native.widen import Unwidened
from jitload.cpu.native.writer import KernelWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.cpu.code.control import Block
    from jitload.cpu.native.frame import Meet
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.native.writer import Arrive, Emit
    from jitload.cpu.text.ir import Register, Symbol, Written


class Functions(NamedTuple):
    """The text of a kernel's functions.

    Attributes:
        text: of them.
        meetings: the blocks that end in one, in the order of their numbers.
        meets: what each of them is.
        near: how many sites access global memory.
        frame_bytes: what a thread keeps while it waits.
        common: what rows must have in common behind each meeting, as slots; None where nothing runs rows.
        words: of the frame, by numbers of the registers that lie there.
    """

    text: str
    meetings: list[Block]
    meets: list[Meet]
    near: int
    frame_bytes: int
    common: list[list[int]] | None
    words: dict[int, int]


def write_functions(
    blocks: list[Block],
    sites: Mapping[Written, int],
    resolve: Callable[[Symbol], Resolved],
    emit: tuple[Emit, Arrive],
    carry: Register,
) -> Functions:
    """Write them.

    Raises:
        Refused: something has no native form, and nothing may run.
    """
    kept: dict[int, int] = {}
    known: frozenset[int] = frozenset()
    refusal: Exception | None = None
    while True:
        shapes = Shapes(blocks, known)
        row = WideWriter(blocks, sites, resolve, emit, carry, shapes, kept)
        try:
            wide = row.write()
        except Varies as found:
            known |= {found.register}
            continue
        except (Refused, Unwidened) as why:
            refusal, wide = why, ""
        break
    one = KernelWriter(blocks, sites, resolve, emit, carry, find_entries(blocks, shapes) if wide else ())
    one.kept, one.near = kept, row.near
    text = one.write()
    if refusal is not None:
        log.debug("no function runs eight threads in a row: %s", refusal)
    common = row.common() if wide else None
    frame_bytes = 8 * (WORDS + len(kept))
    words = {index: WORDS + slot for index, slot in kept.items()}
    return Functions(f"{text}\n{wide}", one.meetings, [*one.meets.values()], one.near, frame_bytes, common, words)
