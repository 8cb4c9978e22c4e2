"""Code for tensor memory (PTX ISA section 9.7.16): what whole warps do with it, and what tells an mbarrier.

Moves, copies and products are complete at once, so waits and fences have nothing left to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.emit.address import number_text
from jitload.cpu.emit.product import results_of
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.tensor_memory import COLUMNS, SHAPES, TensorMove
from jitload.cpu.memory import mbarrier, multicast
from jitload.cpu.text.ir import Immediate, Memory, Register, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_MANAGED = ("alloc", "dealloc", "relinquish_alloc_permit")
_COUNTS = tuple(f"x{1 << power}" for power in range(8))


def emit_meeting(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`tcgen05.alloc`, `.dealloc`, `.relinquish_alloc_permit`, `.ld` and `.st`: meetings of whole warps."""
    verb = modifiers.need(*_MANAGED, "ld", "st")
    modifiers.flag("sync", "aligned", "b32", "cta_group::1")
    managed = verb in _MANAGED
    move, texts, results = (_manage if managed else _move)(writer, instruction, modifiers, verb)
    places, written = results_of(results, 32)
    full = writer.function.constant("u32", 0xFFFFFFFF)
    code = MeetingCode("warp", f"tensor.{verb}", str(tuple(move)), tuple(places), writer.site, True, tensor=move)
    return code, f"({', '.join([full, *texts])},)", written


def _manage(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, verb: str
) -> tuple[TensorMove, list[str], tuple[Operand, ...]]:
    found = instruction.operands
    generic = not modifiers.flag("shared::cta")
    if not found:
        return TensorMove(verb), [], ()
    last = found[-1]
    if isinstance(last, Immediate) and last.value not in {32, 64, 128, 256, COLUMNS}:
        raise Refused(f"{last.value} columns of tensor memory: legal are 32, 64, 128, 256 and {COLUMNS}")
    if verb == "dealloc":
        return TensorMove(verb), [writer.source(one, "u32") for one in found], ()
    place = number_text(writer, "generic" if generic else "shared", found[0])
    return TensorMove(verb, generic=generic), [place, writer.source(last, "u32")], ()


def _move(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, verb: str
) -> tuple[TensorMove, list[str], tuple[Operand, ...]]:
    shape, count = modifiers.need(*SHAPES), int(modifiers.need(*_COUNTS)[1:])
    packed = modifiers.flag("pack::16b", "unpack::16b")
    found = list(instruction.operands)
    vector = found.pop(0 if verb == "ld" else -1)
    registers = SHAPES[shape][0] * count
    if not isinstance(vector, Vector) or len(vector.items) != registers:
        given = len(vector.items) if isinstance(vector, Vector) else "no"
        raise Refused(f"{given} registers in braces where .{shape}.x{count} has {registers}")
    split = found[1].value if len(found) == 2 and isinstance(found[1], Immediate) else 0
    move = TensorMove(verb, shape, registers, packed, int(split))
    address = tensor_address(writer, found[0])
    if verb == "ld":
        return move, [address], vector.items
    return move, [address, *(writer.source(one, "u32") for one in vector.items)], ()


def tensor_address(writer: BlockWriter, operand: Operand) -> str:
    """An address of tensor memory as an expression of u32."""
    base = operand.base if isinstance(operand, Memory) else None
    if not isinstance(operand, Memory) or not isinstance(base, Register) or base.type.bits != 32:
        raise Refused("an address of tensor memory is a register of 32 bits in brackets")
    text = writer.source(base, "u32")
    return f"({text} + {writer.function.constant('u32', operand.offset)})" if operand.offset else text


def emit_commit(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tcgen05.commit`: what was begun before is complete, so the mbarrier is told at once."""
    writer.function.use(mbarrier, multicast)
    modifiers.need("commit")
    modifiers.flag("cta_group::1", "mbarrier::arrive::one", "b64")
    space = "cluster" if modifiers.flag("shared::cluster") else "generic"
    memory, *mask = instruction.operands
    place = f"at_{space}(batch, {number_text(writer, space, memory)})"
    if modifiers.flag("multicast::cluster"):
        number = number_text(writer, space, memory)
        told = f"{number}, {writer.source(mask[0], 'u16')}, {writer.site}, generic={space == 'generic'}"
        writer.line(f"arrive_multicast(batch, {told})")
        return
    one = writer.function.constant("u32", 1)
    writer.line(f"mbarrier_arrive(batch, {place}, 0, {writer.site}, {one}, False)")
