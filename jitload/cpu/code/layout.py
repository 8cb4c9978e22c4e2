"""Where variables lie in the parameter block, in shared memory and in frames; and which loops wait for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Call, Jump
from jitload.cpu.code.liveness import successors
from jitload.cpu.faults import Refused
from jitload.cpu.isa.effects import effects_of, sees_others
from jitload.cpu.text.ir import Immediate, Symbol
from jitload.images.ptx.entries import align, parameter_offsets
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jitload.cpu.code.control import Block
    from jitload.cpu.text import names
    from jitload.cpu.text.ir import Function, Instruction, Variable
else:
    names = lazy("jitload.cpu.text.names")  # of kernels with shared variables alone

_DYNAMIC_ALIGNMENT = 16
#: What compute_80 and later keep at the start of shared memory for the system; cooperative groups meet there.
_RESERVED_BYTES = 1024
#: Atomics that may leave memory as it is, with some literals.
_LOOKS = frozenset({"add", "min", "max"})


class KernelLayout:
    """Shared memory and parameters of one kernel.

    Args:
        entry: the kernel.
        symbols: every symbol that the kernel's instructions name.
        reserved: whether they ask for the reserved part of shared memory.

    Attributes:
        declared_bytes: the sizes of its static shared variables together.
    """

    def __init__(self, entry: Function, symbols: list[Symbol], *, reserved: bool) -> None:
        self.reserved_bytes = _RESERVED_BYTES if reserved else 0
        self._offsets: dict[int, int] = {}
        self._shared: list[tuple[int, int, str]] = []
        self._dynamic: list[Variable] = []
        self.parameter_places: list[tuple[int, int, str]] = []
        for parameter, offset in zip(entry.parameters, parameter_offsets(entry), strict=True):
            self._offsets[id(parameter)] = offset
            self.parameter_places.append((offset, parameter.size, parameter.name))
        end = self.reserved_bytes
        self.declared_bytes = 0
        if reserved:
            self._shared.append((0, _RESERVED_BYTES, "reserved shared memory"))
        for symbol in symbols:
            variable = symbol.variable
            if variable is None or variable.space != "shared" or id(variable) in self._offsets:
                continue
            if variable.count is None:
                self._dynamic.append(variable)
                self._offsets[id(variable)] = -1
                continue
            start = align(end, variable.alignment)
            self._offsets[id(variable)] = start
            self._shared.append((start, variable.size, names.plain_name(variable.name)))
            end = start + variable.size
            self.declared_bytes += variable.size
        alignment = max([_DYNAMIC_ALIGNMENT, *(one.alignment for one in self._dynamic)])
        self.static_bytes = align(end, alignment) if self._dynamic else end
        for variable in self._dynamic:
            self._offsets[id(variable)] = self.static_bytes

    def offset(self, variable: Variable) -> int:
        """The offset of a shared variable or a parameter in its space."""
        found = self._offsets.get(id(variable))
        if found is None:
            raise Refused(f"{variable.name[:80]} in {variable.space} memory cannot be used here")
        return found

    def shared_bytes(self, dynamic: int) -> int:
        """Shared memory per thread block."""
        return self.static_bytes + dynamic

    def shared_places(self, dynamic: int) -> list[tuple[int, int, str]]:
        """(offset, bytes, name) of the shared variables; dynamic arrays all start at one place."""
        sized = "(shared_bytes= of the launch)"
        return [
            *self._shared,
            *((self.static_bytes, dynamic, f"{names.plain_name(one.name)} {sized}") for one in self._dynamic),
        ]


def _may_wait(instruction: Instruction) -> bool:
    """Whether a loop around this instruction may wait for what another thread does."""
    return "polls" in effects_of(instruction.opcode, instruction.modifiers) or (
        instruction.opcode == "atom" and _only_looks(instruction)
    )


def _only_looks(instruction: Instruction) -> bool:
    """Whether an atomic is `atomicAdd(flag, 0)` or the like: who repeats it waits for what others write."""
    if _LOOKS.isdisjoint(instruction.modifiers):
        return False
    given = instruction.operands[2:3]  # behind it there may be a cache policy
    return any(isinstance(one, Immediate) and (one.value == 0 or "add" not in instruction.modifiers) for one in given)


def find_polling(functions: Mapping[str, list[Block]]) -> set[str]:
    """The functions a call of which may look at what other threads write."""
    found = {
        name
        for name, blocks in functions.items()
        if any(_may_wait(one) for block in blocks for one in block.instructions)
    }
    size = 0
    while size != len(found):
        size = len(found)
        found |= {name for name, blocks in functions.items() if any(_calls_one(block, found) for block in blocks)}
    return found


def _calls_one(block: Block, functions: Collection[str]) -> bool:
    """Whether a block ends with a call of one of some functions, or of whatever an address says."""
    end = block.end
    return (
        isinstance(end, Call)
        and bool(functions)
        and (not isinstance(end.callee, Symbol) or end.callee.name in functions)
    )


def find_spins(blocks: list[Block], polling: Collection[str] = (), apart: Collection[str] = ()) -> set[int]:
    """Blocks in a loop that may wait for other threads.

    Args:
        blocks: of a function.
        polling: the functions a call of which may look at what other threads write.
        apart: opcodes that do not count.
    """
    found: set[int] = set()
    for block in blocks:
        looks = any(_may_wait(one) and one.opcode not in apart for one in block.instructions)
        looks = looks or _calls_one(block, polling)
        if block.number not in found and looks:
            forward = _reach(blocks, block.number)
            if block.number in forward:
                found |= {number for number in forward if block.number in _reach(blocks, number)}
    return found


def find_waits(blocks: list[Block]) -> set[int]:
    """Blocks in a loop that does nothing but test an mbarrier: who is there goes on when somebody else does more."""
    idle = {block.number for block in blocks if _is_idle(block)}
    found: set[int] = set()
    for number in idle - found:
        if any(instruction.opcode == "mbarrier" for instruction in blocks[number].instructions):
            forward = _reach(blocks, number, idle)
            if number in forward:
                found |= {other for other in forward if number in _reach(blocks, other, idle)}
    return found


def _is_idle(block: Block) -> bool:
    """Whether a block changes nothing that others see, and sees nothing of others but mbarriers that it tests."""
    return isinstance(block.end, Jump | Branch) and all(
        "polls" in effects
        if one.opcode == "mbarrier"
        else effects.isdisjoint({"stores", "stops"}) and not sees_others(one.opcode, one.modifiers)
        for one in block.instructions
        for effects in (effects_of(one.opcode, one.modifiers),)
    )


def depends_on_others(blocks: list[Block]) -> bool:
    """Whether some loop looks at what other threads may write, or calls what might: it may go round until they do.

    Every cycle of blocks lies between the two ends of jumps backwards, so nothing is overlooked.
    """
    loops = {to: block.number for block in blocks for to in successors(block.end) if to <= block.number}
    last = -1
    for block in blocks:
        last = max(last, loops.get(block.number, -1))
        inside = block.number <= last
        if inside and (
            isinstance(block.end, Call) or any(sees_others(one.opcode, one.modifiers) for one in block.instructions)
        ):
            return True
    return False


def _reach(blocks: list[Block], start: int, within: set[int] | None = None) -> set[int]:
    seen: set[int] = set()
    waiting = list(successors(blocks[start].end))
    while waiting:
        number = waiting.pop()
        if within is not None and number not in within:
            continue
        if number not in seen:
            seen.add(number)
            waiting += successors(blocks[number].end)
    return seen
