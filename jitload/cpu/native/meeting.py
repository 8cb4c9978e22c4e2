"""Where threads wait for each other: what a thread leaves in its frame there, and finds when it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.native import context
from jitload.cpu.native.frame import MASK, RESULT, VALUE, Meet
from jitload.cpu.native.text import fault_code
from jitload.cpu.text.ir import Immediate, Pair, Register, Sink

if TYPE_CHECKING:
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand

_FULL_WARP = 0xFFFFFFFF
_BARRIERS = 16


def arrive(w: KernelWriter, instruction: Instruction) -> Meet:
    """Write what a thread leaves in its frame.

    Raises:
        Refused: threads cannot meet like this.
    """
    modifiers = Modifiers(read(instruction).parts)
    warp = instruction.opcode not in {"bar", "barrier"} or modifiers.flag("warp")
    found = (_warp if warp else _barrier)(w, instruction, modifiers)
    modifiers.finish()
    return found


def _barrier(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> Meet:
    modifiers.flag("cta")
    aligned = modifiers.flag("aligned") or instruction.opcode == "bar"
    operands = list(instruction.operands)
    fold = ""
    results: tuple[tuple[Register, int], ...] = ()
    if modifiers.flag("red"):
        fold = modifiers.need("popc", "and", "or")
        results = _results((operands.pop(0),), (modifiers.type().bits,))
        _leave(w, VALUE, w.value(operands.pop(), 1), 1)
    elif not modifiers.flag("sync"):
        raise Refused("only a barrier of the whole block has a native form among barriers")
    if len(operands) != 1 or not isinstance(operands[0], Immediate) or operands[0].float_width:
        raise Refused("only a barrier of the whole block has a native form among barriers")
    number = int(operands[0].value)
    if not 0 <= number < _BARRIERS:
        raise Refused(f"barrier {number}, there are {_BARRIERS}")
    return Meet("", number, aligned, fold, results=results)


def _warp(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> Meet:
    opcode = instruction.opcode
    if opcode == "tcgen05":
        raise Refused("tcgen05 has no native form")
    if opcode == "activemask":
        modifiers.type()
        return Meet("activemask", results=_results(instruction.operands, (32,)))
    if not modifiers.flag("sync"):
        raise Refused(f"{opcode} without a member mask has no native form")
    if opcode in {"bar", "barrier"}:
        _leave_mask(w, instruction.operands[0])
        return Meet("sync")
    target, *sources, mask = instruction.operands
    name, bits = _named(w, opcode, modifiers, sources)
    _leave_mask(w, mask)
    targets = (target.first, target.second) if isinstance(target, Pair) else (target,)
    known = [int(one.value) for one in sources[1:] if isinstance(one, Immediate) and not one.float_width]
    lanes = (known[0], known[1]) if opcode == "shfl" and len(known) == 2 else None
    return Meet(name, results=_results(targets, bits), lanes=lanes)


def _named(w: KernelWriter, opcode: str, modifiers: Modifiers, sources: list[Operand]) -> tuple[str, tuple[int, ...]]:
    """(name, widths of the results) of a warp operation, whose sources are left in the frame."""
    if opcode == "elect":
        return "elect", (32, 1)
    kinds = {"shfl": ("up", "down", "bfly", "idx"), "vote": ("all", "any", "uni", "ballot"), "match": ("any", "all")}
    kinds |= {"redux": ("add", "min", "max", "and", "or", "xor")}
    if opcode not in kinds:
        raise Refused(f"{opcode} has no native form")
    mode, type_ = modifiers.need(*kinds[opcode]), modifiers.type()
    if opcode == "redux" and type_.kind == "f":
        raise Refused("redux of floats has no native form")
    bits = 1 if opcode == "vote" else type_.bits
    for number, source in enumerate(sources):
        _leave(w, VALUE + number, w.value(source, bits), bits)
    if opcode == "vote":
        return f"vote.{mode}", (type_.bits,)
    # A type tells apart who does not meet, as for lanes.
    return f"{opcode}.{mode}.{type_.name}", (32, 1) if (opcode, mode) != ("match", "any") else (32,)


def _results(targets: tuple[Operand, ...], bits: tuple[int, ...]) -> tuple[tuple[Register, int], ...]:
    found = []
    for number, (target, width) in enumerate(zip(targets, bits, strict=False)):
        if isinstance(target, Sink):
            continue
        if not isinstance(target, Register) or target.type.bits != width:
            raise Refused(f"a destination register of {width} bits is expected")
        found.append((target, RESULT + number))
    return tuple(found)


def _leave(w: KernelWriter, word: int, value: str, bits: int) -> None:
    if bits < 64 and value.startswith("%"):
        value = w.new(f"zext i{bits} {value} to i64")
    w.leave(word, "i64", value)


def _leave_mask(w: KernelWriter, operand: Operand) -> None:
    """Leave the member mask, in which the thread must be itself."""
    value = w.value(operand, 32)
    mask = value if value == str(_FULL_WARP) else w.new(f"zext i32 {value} to i64")
    w.leave(MASK, "i64", mask)
    if mask == value:
        return
    lane = w.new(f"and i64 {w.word(context.THREAD)}, 31")
    bit = w.new(f"and i64 {w.new(f'lshr i64 {mask}, {lane}')}, 1")
    on, stop = w.label(), w.label()
    w.line(f"br i1 {w.new(f'icmp ne i64 {bit}, 0')}, label %{on}, label %{stop}, !prof !1")
    w.line(f"{stop}:")
    w.set_word(context.ADDRESS, mask)
    fault_code(w, context.OUTSIDE, w.site)
    w.line(f"{on}:")
