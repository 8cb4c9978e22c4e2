"""Loops that may go round until another thread has written something: one thread alone would never leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Meeting, Table
from jitload.cpu.code.liveness import registers_of, results_and_sources, successors
from jitload.cpu.isa.effects import sees_others

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block

_SHARED = frozenset({"shared", "shared::cta"})


def may_wait(blocks: list[Block]) -> bool:
    """Whether a way out of some loop depends on memory of others, and on nothing that the loop itself moves on.

    Where all threads of a block meet in a loop, what they hold in common changes while one waits: other blocks alone
    are left to wait for.
    """
    back = [(block.number, to) for block in blocks for to in successors(block.end) if to <= block.number]
    return any(_waits(blocks, _body(blocks, tail, head)) for tail, head in back)


def _body(blocks: list[Block], tail: int, head: int) -> set[int]:
    """The blocks of the loop that a jump from `tail` back to `head` closes."""
    before: dict[int, list[int]] = {}
    for block in blocks:
        for to in successors(block.end):
            before.setdefault(to, []).append(block.number)
    body, waiting = {head}, [tail]
    while waiting:
        number = waiting.pop()
        if number not in body:
            body.add(number)
            waiting += before.get(number, ())
    return body


def _waits(blocks: list[Block], body: set[int]) -> bool:
    meets = any(isinstance(blocks[number].end, Meeting) for number in body)
    made, loaded = _dependences(blocks, body, _SHARED if meets else frozenset())
    for number in body:
        end = blocks[number].end
        if all(to in body for to in successors(end)):
            continue
        guards = [end.guard.index] if isinstance(end, Branch) else []
        if isinstance(end, Table):
            guards = [register.index for one in end.instruction.operands for register in registers_of(one)]
        reached = _reached(made, guards)
        if reached & loaded and not any(_moves_on(one, made, loaded) for one in reached):
            return True
    return False


def _moves_on(register: int, made: dict[int, set[int]], loaded: set[int]) -> bool:
    """Whether a register is made of itself, and of nothing that is read from one place again and again.

    A sum of such reads goes on only when another thread has written there.
    """
    sources = _reached(made, list(made.get(register, ())))
    return register in sources and all(_walks(one, made) for one in sources & loaded)


def _walks(register: int, made: dict[int, set[int]]) -> bool:
    """Whether a register is made of one that is made of itself: as of an address that is another each time."""
    sources = _reached(made, list(made.get(register, ())))
    return any(one in _reached(made, list(made.get(one, ()))) for one in sources)


def _dependences(blocks: list[Block], body: set[int], own: frozenset[str]) -> tuple[dict[int, set[int]], set[int]]:
    """(register -> what it is made of, registers that are loaded from memory of others), within a loop.

    Loads of the spaces in `own` are none of the latter.
    """
    made: dict[int, set[int]] = {}
    loaded: set[int] = set()
    for number in body:
        for step in blocks[number].instructions:
            results, sources = results_and_sources(step)
            others = sees_others(step.opcode, step.modifiers) and own.isdisjoint(step.modifiers)
            for register in results:
                # Under a guard the old value is a source, which moves nothing on.
                parts = {one.index for one in sources if step.guard is None or one is not register}
                made.setdefault(register.index, set()).update(parts)
                if others:
                    loaded.add(register.index)
    return made, loaded


def _reached(made: dict[int, set[int]], start: list[int]) -> set[int]:
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += made.get(one, ())
    return found
