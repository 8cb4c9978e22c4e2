"""Short ways behind a branch: the threads of a row that part there take them one after the other, and stay a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.control import Branch, Jump
from jitload.cpu.code.liveness import carries, results_and_sources

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.native.shapes import Shapes

#: Instructions of both ways together. Each is written for every thread of the row besides.
_MOST_INSTRUCTIONS = 12


class Ways(NamedTuple):
    """What threads run behind a branch before they are at one place again.

    Attributes:
        taken: the block of those who take the branch, or None where they are at that place.
        other: that of the others.
        join: the number of the block where all go on.
    """

    taken: Block | None
    other: Block | None
    join: int


def find_short(blocks: list[Block], shapes: Shapes) -> dict[int, Ways]:
    """Branches whose ways are short, by the number of the block that ends in one."""
    found = {}
    for block in blocks:
        if isinstance(block.end, Branch) and block.end.guard.index in shapes.varying:
            ways = _ways(blocks, block.number, block.end)
            if ways is not None and _keeps_rows(ways, blocks[ways.join], shapes.varying):
                found[block.number] = ways
    return found


def _ways(blocks: list[Block], number: int, end: Branch) -> Ways | None:
    taken, other = blocks[end.taken], blocks[end.other]
    after_taken, after_other = _after(taken, number), _after(other, number)
    if after_taken == other.number:
        return Ways(taken, None, other.number)
    if after_other == taken.number:
        return Ways(None, other, taken.number)
    if after_taken is not None and after_taken == after_other:
        return Ways(taken, other, after_taken)
    return None


def _after(block: Block, number: int) -> int | None:
    """Where a block behind another one leads, if it leads to one place further on."""
    end = block.end
    return end.target if isinstance(end, Jump) and number < block.number < end.target else None


def _keeps_rows(ways: Ways, join: Block, varying: set[int]) -> bool:
    """Whether the ways are short, and nothing that threads of the row have in common changes on them."""
    own = [block for block in (ways.taken, ways.other) if block is not None]
    instructions = [instruction for block in own for instruction in block.instructions]
    if len(instructions) > _MOST_INSTRUCTIONS or any(True in carries(one) for one in instructions):
        return False
    read = join.live_in
    for block in own:
        read |= block.live_in
    written = {register.index for one in instructions for register in results_and_sources(one)[0]}
    return not any(read >> index & 1 for index in written - varying)
