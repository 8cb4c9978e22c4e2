"""Which registers a thread must put into its frame before it waits: those it has written since it did so last.

What is written in front of a loop in which threads meet, and stays as it is there, goes into the frame where it is
written: at the meeting it would be put there in every turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Jump, Meeting
from jitload.cpu.code.liveness import carries, results_and_sources, successors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Register


def find_unsaved(blocks: list[Block], carry: Register, early: int) -> list[int]:
    """By the number of a block: the registers, as bits, whose frame may hold another value where the block ends.

    Behind a meeting the frame holds all that is needed but for what that gave; where a thread starts, nothing.

    Args:
        blocks: of the kernel.
        carry: the register that holds the carry flag.
        early: registers whose frame has them from where they are written, as bits.
    """
    written = [_written(block, carry) & ~early for block in blocks]
    entering = [0] * len(blocks)
    entering[0] = ~early
    waiting = [0]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        seen.add(number)
        end = blocks[number].end
        left = _given(end) & ~early if isinstance(end, Meeting) else entering[number] | written[number]
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


def find_early(blocks: list[Block], carry: Register) -> int:
    """Registers to put into the frame where they are written, as bits.

    Args:
        blocks: of the kernel.
        carry: the register that holds the carry flag.
    """
    loops = _loops(blocks)
    writers: dict[int, set[int]] = {}
    excluded = blocks[0].live_in | 1 << carry.index
    branched = {way for block in blocks if isinstance(block.end, Branch) for way in (block.end.taken, block.end.other)}
    for block in blocks:
        made = _written(block, carry)
        for index in _indices(made):
            writers.setdefault(index, set()).add(loops[block.number])
        if block.number in branched and isinstance(block.end, Jump):
            excluded |= made  # a short way, which one thread after the other may take
        if isinstance(block.end, Meeting):
            excluded |= _given(block.end)
    worth = 0
    for block in blocks:
        if isinstance(block.end, Meeting):
            here = loops[block.number]
            for index in _indices(blocks[block.end.target].live_in & ~excluded):
                around = writers.get(index, set())
                if any(one & ~here for one in around):
                    excluded |= 1 << index  # in a loop without this meeting: it may turn more often
                elif here not in around:
                    worth |= 1 << index
    return worth & ~excluded


def _loops(blocks: list[Block]) -> list[int]:
    """By the number of a block: the loops that it lies in, as bits."""
    ways = [successors(block.end) for block in blocks]
    before: list[list[int]] = [[] for _ in blocks]
    for number, targets in enumerate(ways):
        for to in targets:
            before[to].append(number)
    found = [0] * len(blocks)
    ends = [(number, to) for number, targets in enumerate(ways) for to in targets if to <= number]
    for loop, (tail, head) in enumerate(ends):
        body, waiting = {head}, [tail]
        while waiting:
            number = waiting.pop()
            if number not in body:
                body.add(number)
                waiting += before[number]
        for number in body:
            found[number] |= 1 << loop
    return found


def _indices(bits: int) -> Iterator[int]:
    """The numbers of bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
