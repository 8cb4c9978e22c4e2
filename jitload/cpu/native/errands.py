"""Errands: what has no native form is done by lanes, for the threads that stop there.

The blocks of a kernel are cut around such instructions, so that each is a meeting at the end of a block: threads leave
the registers that it reads in their frames, as at any meeting, and find there what it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Block, Call, Meeting, moved
from jitload.cpu.code.draft import BUILTINS
from jitload.cpu.code.liveness import find_liveness
from jitload.cpu.faults import Refused
from jitload.cpu.native.errand_code import END
from jitload.cpu.native.kernel import ErrandPlace
from jitload.cpu.text.ir import Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.cpu.native.errand_code import ErrandCode, ErrandWriter
    from jitload.cpu.text.ir import Instruction, Register

    Missing = Callable[[Instruction, bool], Refused | None]

#: What costs no more with machine code around it: whoever calls it is slow in any case, or stops.
_CHEAP = frozenset({"vprintf", "__assertfail"})


class Errand(Meeting):
    """The end of a block at which lanes do something; then block `target`.

    Attributes:
        code: what they do.
        origin: (number of the block, position in it) where it stands in the kernel as it was read.
    """

    __slots__ = ("code", "origin")

    def __init__(self, code: ErrandCode, target: int, origin: tuple[int, int]) -> None:
        super().__init__(code.stand_in(), target)
        self.code = code
        self.origin = origin


def cut(blocks: list[Block], missing: Missing, writer: ErrandWriter, carry: Register) -> tuple[list[Block], list[int]]:
    """(the blocks with every errand at the end of one, the number that each of them had).

    Args:
        blocks: of a kernel, which stay as they are.
        missing: says why an instruction, or a meeting, has no native form.
        writer: of errands.
        carry: the register that holds the carry flag.

    Raises:
        Refused: neither machine code nor lanes alone can do something.
    """
    found = _find(blocks, missing)
    if not found:
        return blocks, [block.number for block in blocks]
    cuts = [
        sorted(position for number, position in found if number == block.number and position != END) for block in blocks
    ]
    starts, total = [], 0
    for positions in cuts:
        starts.append(total)
        total += 1 + len(positions)
    made: list[Block] = []
    origins: list[int] = []
    for block, positions in zip(blocks, cuts, strict=True):
        begin = 0
        for position in positions:
            errand = _write(writer, block, position, found[block.number, position])
            part = _part(made, block.instructions[begin:position])
            part.end = Errand(errand, part.number + 1, (block.number, position))
            begin = position + 1
        last = _part(made, block.instructions[begin:])
        last.end = moved(block.end, starts)
        if (block.number, END) in found:
            errand = _write(writer, block, END, found[block.number, END])
            assert isinstance(block.end, Meeting | Call)
            last.end = Errand(errand, starts[block.end.target], (block.number, END))
        origins += [block.number] * (1 + len(positions))
    find_liveness(made, carry)
    return made, origins


def _part(made: list[Block], instructions: list[Instruction]) -> Block:
    part = Block(len(made))
    part.instructions = instructions
    made.append(part)
    return part


def _write(writer: ErrandWriter, block: Block, position: int, why: Refused | None) -> ErrandCode:
    """An errand; where lanes cannot do it either, why it has no native form."""
    try:
        return writer.write(block, position)
    except Refused as refused:
        raise why or refused from refused


def _find(blocks: list[Block], missing: Missing) -> dict[tuple[int, int], Refused | None]:
    """Why what stands at (block, position) is an errand."""
    found: dict[tuple[int, int], Refused | None] = {}
    for block in blocks:
        for position, instruction in enumerate(block.instructions):
            why = missing(instruction, False)
            if why is not None:
                found[block.number, position] = why
        end = block.end
        if isinstance(end, Meeting):
            why = missing(end.instruction, True)
            if why is not None:
                found[block.number, END] = why
        elif isinstance(end, Call) and isinstance(end.callee, Symbol) and end.callee.name in BUILTINS:
            found[block.number, END] = None
    barriers = dict(_barriers(blocks))
    partly = [found[key] for key in barriers if key in found]
    return found | dict.fromkeys(barriers, partly[0]) if partly else found


def _barriers(blocks: list[Block]) -> Iterator[tuple[tuple[int, int], Instruction]]:
    """Barriers of blocks: who arrives at one is counted in one place, so lanes do all of them or none."""
    for block in blocks:
        end = block.end
        if not isinstance(end, Meeting) or end.instruction.opcode not in {"bar", "barrier"}:
            continue
        if {"warp", "cluster"}.isdisjoint(end.instruction.modifiers):
            yield (block.number, END), end.instruction


def places_of(meetings: list[Block], blocks: list[Block], words: dict[int, int]) -> tuple[ErrandPlace, ...]:
    """The errands among the meetings of a kernel.

    Args:
        meetings: the blocks that end in one, in the order of their numbers.
        blocks: all of them.
        words: of the frame, by numbers of registers.
    """
    numbers = {block.number: number for number, block in enumerate(meetings, 1)}
    found = []
    for block, number in zip(meetings, numbers.values(), strict=True):
        end = block.end
        if isinstance(end, Errand):
            follow = blocks[end.target]
            next_ = numbers[follow.number] if isinstance(follow.end, Errand) and not follow.instructions else 0
            registers = dict.fromkeys(one.index for one in (*end.code.loads, *end.code.written))
            known = tuple((index, words[index]) for index in registers if index in words)
            found.append(ErrandPlace(number, *end.origin, next_, known))
    return tuple(found)


class Dear(Refused):
    """Lanes would do so much for machine code that they do the whole sooner."""


def find_dear(blocks: list[Block]) -> Dear | None:
    """The first errand for which nobody should stop who need not, as a refusal."""
    for block in blocks:
        end = block.end
        if isinstance(end, Errand) and (end.code.call is None or end.code.call.callee not in _CHEAP):
            return Dear("lanes would do this for machine code, and do the whole sooner", end.instruction.place)
    return None


#: `i32 errands(context)` lets lanes do what threads of a block wait for: 0 where some go on, 1 to stop, 2 for nobody.
ERRANDS = """\
define internal i32 @errands(ptr %c) {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  br label %thread
thread:
  %t = phi i64 [ 0, %entry ], [ %next_t, %step ]
  %more = icmp ult i64 %t, %threads
  br i1 %more, label %look, label %nobody
look:
  %state_at = getelementptr i32, ptr %states, i64 %t
  %state = load i32, ptr %state_at
  %ended = icmp slt i32 %state, 0
  %next_t = add i64 %t, 1
  br i1 %ended, label %step, label %kind
kind:
  %index = and i32 %state, $MEETING
  %errand_at = getelementptr i32, ptr @errand, i32 %index
  %errand = load i32, ptr %errand_at
  %is_errand = icmp ne i32 %errand, 0
  br i1 %is_errand, label %ask, label %step
step:
  br label %thread
ask:
  %left = call i64 @word(ptr %c, i64 $FUEL)
  %rest = sub i64 %left, $ERRAND_FUEL
  call void @set(ptr %c, i64 $FUEL, i64 %rest)
  %do_word = call i64 @word(ptr %c, i64 $ERRANDS)
  %do = inttoptr i64 %do_word to ptr
  %answer = call i32 %do(ptr %c)
  ret i32 %answer
nobody:
  ret i32 2
}
"""
NO_ERRANDS = """\
define internal i32 @errands(ptr %c) {
  ret i32 2
}
"""
