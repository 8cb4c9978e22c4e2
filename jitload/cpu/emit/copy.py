"""Code for asynchronous copies and stores (PTX ISA sections 9.7.9.25 and 9.7.9.12): they are complete at once.

Committing a group and waiting for one need no code then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.address import address_name, number_text, take_hints
from jitload.cpu.emit.mbarrier import SPACE_OF, emit_completion, emit_copy_arrival
from jitload.cpu.emit.memory import emit_atomic, emit_store
from jitload.cpu.faults import Refused
from jitload.cpu.memory import copies, multicast
from jitload.cpu.text.ir import Immediate, Register, Vector
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_SPACES = {"global": "global", **SPACE_OF}
_BYTES = "mbarrier::complete_tx::bytes"


def emit_copy(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cp.async` and `cp.async.bulk`, but for tensors and reductions."""
    writer.function.use(copies, multicast)
    modifiers.need("async")
    if modifiers.choice("bulk"):
        _emit_bulk(writer, instruction, modifiers)
    elif modifiers.choice("mbarrier"):
        emit_copy_arrival(writer, instruction, modifiers)
    elif not modifiers.choice("commit_group", "wait_group", "wait_all"):
        _emit_copy_async(writer, instruction, modifiers)


def _emit_copy_async(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    kind = modifiers.need("ca", "cg")
    modifiers.need("shared", "shared::cta")
    modifiers.need("global")
    found = take_hints(modifiers, instruction)
    if len(found) not in {3, 4} or not isinstance(found[2], Immediate):
        raise Refused("cp.async takes a destination, a source and a literal size")
    size = found[2].value
    if size not in ({16} if kind == "cg" else {4, 8, 16}):
        raise Refused(f"cp.async.{kind} of {size} bytes is not supported")
    target, to = address_name(writer, "shared", found[0])
    source, start = address_name(writer, "global", found[1])
    valid = "None"
    if len(found) == 4 and _is_predicate(found[3]):  # ignore-src: all zeros where it is set
        none, all_ = (writer.function.constant("u32", number) for number in (0, int(size)))
        valid = writer.temporary(f"where({writer.source(found[3], 'p')}, {none}, {all_})")
    elif len(found) == 4:
        valid = writer.source(found[3], "u32")
    writer.line(f"copy_async({target}, {to}, {source}, {start}, {size}, {valid}, {writer.site})")


def _is_predicate(operand: Operand) -> bool:
    return isinstance(operand, Register) and operand.type.bits == 1


def _emit_bulk(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    if modifiers.choice("commit_group", "wait_group"):
        modifiers.flag("read")
        return
    found = take_hints(modifiers, instruction)
    if modifiers.choice("prefetch"):
        modifiers.flag("L2", "global")
        return
    if modifiers.flag("cp_mask"):
        _emit_masked(writer, found[:3], instruction.operands[-1], modifiers)
        return
    if modifiers.flag("multicast::cluster"):
        _emit_multicast(writer, found, modifiers)
        return
    # The spaces of the destination and of the source, in this order.
    into, out = _SPACES[modifiers.need(*_SPACES)], _SPACES[modifiers.need(*_SPACES)]
    counted = modifiers.flag(_BYTES)
    if counted == modifiers.flag("bulk_group") or len(found) != 3 + counted:
        raise Refused("a bulk copy takes a destination, a source, a size, and an mbarrier or a group")
    target, to = address_name(writer, into, found[0])
    source, start = address_name(writer, out, found[1])
    size = writer.source(found[2], "u32")
    writer.line(f"copy_bulk(batch, {target}, {to}, {source}, {start}, {size}, {writer.site})")
    if counted:
        emit_completion(writer, found[3], size)


def _emit_masked(writer: BlockWriter, found: tuple[Operand, ...], mask: Operand, modifiers: Modifiers) -> None:
    """A bulk copy of some of each 16 bytes."""
    modifiers.flag("global", "shared::cta", "bulk_group")
    (target, to), (source, start) = (
        address_name(writer, space, one) for space, one in zip(("global", "shared"), found[:2], strict=True)
    )
    size, bits = writer.source(found[2], "u32"), writer.source(mask, "u16")
    writer.line(f"copy_masked(batch, {target}, {to}, {source}, {start}, {size}, {bits}, {writer.site})")


def _emit_multicast(writer: BlockWriter, found: tuple[Operand, ...], modifiers: Modifiers) -> None:
    """A bulk copy to several blocks of a cluster."""
    modifiers.flag("shared::cluster", "global", _BYTES)
    target, source, barrier = (
        number_text(writer, space, found[place]) for place, space in ((0, "cluster"), (1, "global"), (3, "cluster"))
    )
    size, mask = writer.source(found[2], "u32"), writer.source(found[4], "u16")
    writer.line(f"copy_multicast(batch, {target}, {source}, {size}, {mask}, {barrier}, {writer.site})")


def emit_special_store(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`st.async`, which tells an mbarrier or is plain with `.release`, and `st.bulk`, which writes zeros."""
    modifiers.flag("weak")
    if modifiers.choice("bulk"):
        writer.function.use(copies)
        space = "shared" if modifiers.choice("shared", "shared::cta") else "generic"
        memory, size, value = operands(instruction, 3)
        if not isinstance(value, Immediate) or value.value != 0:
            raise Refused("st.bulk writes zeros")
        target, to = address_name(writer, space, memory)
        wide = isinstance(size, Register) and size.type.bits == 64
        text = writer.source(size, "u64" if wide else "u32")
        writer.line(f"fill_bulk(batch, {target}, {to}, {text}, {writer.site})")
        return
    modifiers.need("async")
    if modifiers.flag("release"):
        emit_store(writer, instruction, modifiers)
        return
    space = "cluster" if modifiers.choice(*SPACE_OF) else "generic"
    modifiers.need(_BYTES)
    type_ = modifiers.type()
    count = int((modifiers.choice("v2", "v4") or "v1")[1])
    memory, value, barrier = operands(instruction, 3)
    values = value.items if isinstance(value, Vector) else (value,)
    if type_.bits not in {32, 64} or type_.kind not in "busf" or len(values) != count:
        raise Refused(f"st.async of {len(values)} values of .{type_.name}")
    target, to = address_name(writer, space, memory)
    sources = ", ".join(writer.source(one, type_.rep) for one in values)
    writer.line(f"{target}.store_vector({to}, {type_.rep!r}, {type_.size}, {writer.site}, [{sources}])")
    emit_completion(writer, barrier, writer.function.constant(TYPES["u32"].rep, count * type_.size), space)


def emit_async_reduction(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`red.async`, which tells an mbarrier, or is plain with `.release`."""
    modifiers.flag("async")
    if modifiers.flag("release"):
        emit_atomic(writer, instruction, modifiers)
        return
    modifiers.flag("relaxed", "cluster", _BYTES)
    space = "cluster" if modifiers.flag("shared::cluster") else "generic"
    name = modifiers.need("inc", "dec", "min", "max", "add", "and", "or", "xor")
    type_ = modifiers.type()
    memory, value, barrier = operands(instruction, 3)
    target, to = address_name(writer, space, memory)
    what = f"{type_.name!r}, {type_.rep!r}, {type_.size}, {writer.site}, {name!r}"
    writer.line(f"atomic(batch, {target}, {to}, {what}, {writer.source(value, type_.rep)}, None, False)")
    emit_completion(writer, barrier, writer.function.constant("u32", type_.size), space)
