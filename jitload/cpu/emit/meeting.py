"""Code for what lanes do together: barriers, shuffles, votes (PTX ISA sections 9.7.9.5, 9.7.13.1 to 9.7.13.9).

The block computes the operands and gives them to the scheduler, which carries the operation out when all lanes that
take part have arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.text.ir import Pair, Register, Sink
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.emit import matrix, tensor_memory, warpgroup
    from jitload.cpu.text.ir import Instruction, Operand
else:
    matrix = lazy("jitload.cpu.emit.matrix")
    tensor_memory = lazy("jitload.cpu.emit.tensor_memory")
    warpgroup = lazy("jitload.cpu.emit.warpgroup")

_OF_MATRICES = {"mma", "wmma", "movmatrix", "ldmatrix", "stmatrix"}


def emit_meeting(writer: BlockWriter, instruction: Instruction) -> tuple[MeetingCode, str, list[Register]]:
    """(code, expression of the operand tuple, registers that the scheduler writes).

    Raises:
        Refused: the operation is not known like this.
    """
    modifiers = Modifiers(read(instruction).parts)
    writer.begin(instruction)
    if instruction.opcode in _OF_MATRICES:
        found = matrix.MEETINGS[instruction.opcode](writer, instruction, modifiers)
    elif instruction.opcode == "wgmma":
        found = warpgroup.emit_group_product(writer, instruction, modifiers)
    elif instruction.opcode == "tcgen05":
        found = tensor_memory.emit_meeting(writer, instruction, modifiers)
    elif instruction.opcode in {"bar", "barrier"} and not modifiers.flag("warp"):
        found = _barrier(writer, instruction, modifiers)
    else:
        found = _warp(writer, instruction, modifiers)
    modifiers.finish()
    return found


def _destination(operand: Operand, bits: int) -> tuple[tuple[int, str] | None, list[Register]]:
    if isinstance(operand, Sink):
        return None, []
    if not isinstance(operand, Register) or operand.type.bits != bits:
        raise Refused(f"a destination register of {bits} bits is expected")
    return (operand.index, operand.held), [operand]


def _barrier(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    if modifiers.choice("cluster"):
        return _cluster_barrier(writer, instruction, modifiers)
    modifiers.flag("cta")
    aligned = modifiers.flag("aligned") or instruction.opcode == "bar"
    name = modifiers.need("sync", "arrive", "red")
    results: tuple[tuple[int, str] | None, ...] = ()
    written: list[Register] = []
    found = list(instruction.operands)
    value = "None"
    if name == "red":
        fold = modifiers.need("popc", "and", "or")
        type_ = modifiers.type()
        if type_.name != ("u32" if fold == "popc" else "pred") or len(found) not in {3, 4}:
            raise Refused("bar.red takes a result, a barrier, perhaps a count, and a predicate")
        one, written = _destination(found.pop(0), type_.bits)
        results = (one,)
        value = writer.source(found.pop(), "p")
        name = f"red.{fold}"
    if not 1 <= len(found) <= 2 or (name == "arrive" and len(found) != 2):
        raise Refused(f"{len(found)} operands are not what a barrier takes")
    number = writer.source(found[0], "u32")
    count = writer.source(found[1], "u32") if len(found) == 2 else "None"
    kind = "arrive" if name == "arrive" else "barrier"
    code = MeetingCode(kind, name, "", results, writer.site, aligned=aligned)
    return code, f"({number}, {count}, {value})", written


def _cluster_barrier(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    operands(instruction, 0)
    aligned = modifiers.flag("aligned")
    name = modifiers.need("arrive", "wait")
    order = modifiers.choice("acquire", "release", "relaxed")
    name = f"{name}.relaxed" if order == "relaxed" else name
    return MeetingCode("cluster", name, "", (), writer.site, aligned=aligned), "None", []


def _warp(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    opcode = instruction.opcode
    if opcode in {"bar", "barrier"}:
        modifiers.need("sync")
        (mask,) = operands(instruction, 1)
        return MeetingCode("warp", "sync", "", (), writer.site, True), f"({writer.source(mask, 'u32')},)", []
    if opcode == "activemask":
        (d,) = operands(instruction, 1)
        modifiers.type()
        result, written = _destination(d, 32)
        return MeetingCode("warp", "activemask", "", (result,), writer.site), "()", written
    masked = modifiers.flag("sync")
    if len(instruction.operands) < 1 + masked:
        raise Refused("wrong number of operands")
    d, *sources = instruction.operands
    masks = [writer.source(sources.pop(), "u32")] if masked else []
    name, type_name, bits, texts = _READERS[opcode](writer, modifiers, sources)
    targets = (d.first, d.second) if isinstance(d, Pair) else (d,)
    if len(targets) > len(bits):
        raise Refused("two results where one is expected")
    pairs = [_destination(target, width) for target, width in zip(targets, bits, strict=False)]
    written = [register for _, registers in pairs for register in registers]
    values = masks + texts
    code = MeetingCode("warp", name, type_name, tuple(result for result, _ in pairs), writer.site, masked)
    return code, f"({', '.join(values)},)" if values else "()", written


def _count(sources: list[Operand], count: int) -> None:
    if len(sources) != count:
        raise Refused("wrong number of operands")


def _read_shuffle(
    writer: BlockWriter, modifiers: Modifiers, sources: list[Operand]
) -> tuple[str, str, list[int], list[str]]:
    mode = modifiers.need("up", "down", "bfly", "idx")
    if modifiers.type().bits != 32:
        raise Refused("shuffles move 32 bits")
    _count(sources, 3)
    return f"shfl.{mode}", "b32", [32, 1], [writer.source(one, "u32") for one in sources]


def _read_vote(
    writer: BlockWriter, modifiers: Modifiers, sources: list[Operand]
) -> tuple[str, str, list[int], list[str]]:
    mode = modifiers.need("all", "any", "uni", "ballot")
    bits = modifiers.type().bits
    if bits != (32 if mode == "ballot" else 1):
        raise Refused("a vote gives .pred, a ballot .b32")
    _count(sources, 1)
    return f"vote.{mode}", "", [bits], [writer.source(sources[0], "p")]


def _read_match(
    writer: BlockWriter, modifiers: Modifiers, sources: list[Operand]
) -> tuple[str, str, list[int], list[str]]:
    mode = modifiers.need("any", "all")
    type_ = modifiers.type()
    if type_.name not in {"b32", "b64"}:
        raise Refused("match takes .b32 and .b64")
    _count(sources, 1)
    return f"match.{mode}", type_.name, [32, 1] if mode == "all" else [32], [writer.source(sources[0], type_.rep)]


def _read_redux(
    writer: BlockWriter, modifiers: Modifiers, sources: list[Operand]
) -> tuple[str, str, list[int], list[str]]:
    name = modifiers.need("add", "min", "max", "and", "or", "xor")
    type_ = modifiers.type()
    if type_.name == "f32" and name in {"min", "max"}:
        name += ".abs" if modifiers.flag("abs") else ""
        name += ".NaN" if modifiers.flag("NaN") else ""
    elif type_.name not in (("b32",) if name in {"and", "or", "xor"} else ("u32", "s32")):
        raise Refused(f"redux.{name} does not exist for .{type_.name}")
    _count(sources, 1)
    return f"redux.{name}", type_.name, [32], [writer.source(sources[0], type_.rep)]


def _read_elect(
    _writer: BlockWriter, _modifiers: Modifiers, sources: list[Operand]
) -> tuple[str, str, list[int], list[str]]:
    _count(sources, 0)
    return "elect", "", [32, 1], []


_READERS = {
    "shfl": _read_shuffle,
    "vote": _read_vote,
    "match": _read_match,
    "redux": _read_redux,
    "elect": _read_elect,
}
