"""Which registers a thread must put into its frame before it waits: those it has written since it did so last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Meeting
from jitload.cpu.code.liveness import carries, results_and_sources, successors

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Register


def find_unsaved(blocks: list[Block], carry: Register) -> list[int]:
    """By the number of a block: the registers, as bits, whose frame may hold another value where the block ends.

    Behind a meeting the frame holds all that is needed but for what that gave; where a thread starts, nothing.

    Args:
        blocks: of the kernel.
        carry: the register that holds the carry flag.
    """
    written = [_written(block, carry) for block in blocks]
    entering = [0] * len(blocks)
    entering[0] = -1
    waiting = [0]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        seen.add(number)
        end = blocks[number].end
        left = _given(end) if isinstance(end, Meeting) else entering[number] | written[number]
        for to in successors(end):
            if to not in seen or left & ~entering[to]:
                entering[to] |= left
                waiting.append(to)
    return [before | made for before, made in zip(entering, written, strict=True)]


def _written(block: Block, carry: Register) -> int:
    """The registers that a block writes, what its meeting gives among them."""
    ended = [block.end.instruction] if isinstance(block.end, Meeting) else []
    found = (1 << carry.index) * any(carries(one)[0] for one in block.instructions)
    for instruction in (*block.instructions, *ended):
        for register in results_and_sources(instruction)[0]:
            found |= 1 << register.index
    return found


def _given(end: Meeting) -> int:
    return sum({1 << register.index for register in results_and_sources(end.instruction)[0]})
