"""Where lanes promise an order of threads that one thread after the other has as well.

Lanes run the lowest block of code first, so whoever can still come to a place is there when it runs: in the order of
threads, all thread blocks of a batch at once. One thread after the other comes to the same where a thread is there
once, from the blocks before it alone, and none goes ahead of those that wait at a meeting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Meeting
from jitload.cpu.code.liveness import successors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.code.control import Block


class Order:
    """What may run before what among the blocks of a kernel."""

    def __init__(self, blocks: list[Block]) -> None:
        self._ways = {block.number: successors(block.end) for block in blocks}
        self._meetings = {block.number for block in blocks if isinstance(block.end, Meeting)}
        self._first = blocks[0].number

    def is_in_turn(self, number: int) -> bool:
        """Whether threads come to a block in their order, each at most once."""
        before = _before(self._ways, number)
        if number in before or any(one > number for one in before):
            return False
        return not any(self._goes_ahead(one, number) for one in self._meetings & before)

    def _goes_ahead(self, meeting: int, number: int) -> bool:
        """Whether threads may come to a block while others wait at a meeting on the way to it."""
        around = {one: tuple(to for to in ways if to != meeting) for one, ways in self._ways.items()}
        missed = meeting != self._first and self._first in {number} | _before(around, number)
        return missed or meeting in _before(self._ways, meeting)

    def is_together(self, number: int) -> bool:
        """Whether all threads that come to a block within as many turns of its loop can be there at once.

        Then no way leads around it within its loop, of which there is one at most, and none comes from behind it.
        """
        before = _before(self._ways, number)
        if number not in before:
            return all(one < number for one in before)
        loop = {one for one in before if number in _before(self._ways, one)} | {number}
        ends = [(one, to) for one in loop for to in self._ways[one] if to in loop and to <= one]
        around = [(tail, head) for tail, head in ends if head <= number <= tail]
        if len(around) != 1 or any(one >= number for one in before - loop):
            return False
        tail, head = around[0]
        without = {one: tuple(to for to in ways if to in loop and to != number) for one, ways in self._ways.items()}
        missed = head != number and (tail == head or head in _before(without, tail))
        return not missed and all(head <= one <= tail for one in loop)


def _before(ways: dict[int, tuple[int, ...]], number: int) -> set[int]:
    """The blocks from which one can be reached; itself where it lies in a loop."""
    from_where: dict[int, list[int]] = {}
    for one, targets in ways.items():
        for to in targets:
            from_where.setdefault(to, []).append(one)
    found: set[int] = set()
    waiting: list[int] = [*_of(from_where, number)]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _of(from_where, one)
    return found


def _of(ways: dict[int, list[int]], number: int) -> Iterable[int]:
    return ways.get(number, ())
