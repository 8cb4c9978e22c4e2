"""Code for `mbarrier` (PTX ISA section 9.7.13.16) and for `cp.async.mbarrier`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.address import address_name
from jitload.cpu.faults import Refused
from jitload.cpu.memory import mbarrier
from jitload.cpu.text.ir import Memory, Sink

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_VERBS = ("init", "inval", "arrive", "arrive_drop", "test_wait", "try_wait", "pending_count")
SPACE_OF = {"shared": "shared", "shared::cta": "shared", "shared::cluster": "cluster"}
_ORDER = ("sem", "acquire", "release", "relaxed", "cta", "cluster")


def emit_mbarrier(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`mbarrier`."""
    verb = modifiers.choice(*_VERBS)
    transaction = modifiers.choice("expect_tx", "complete_tx")
    if not verb and not transaction:
        raise Refused("the operation on the mbarrier is missing")
    modifiers.need("b64")
    space = SPACE_OF.get(modifiers.choice(*SPACE_OF), "generic")
    if not verb:
        _emit_transaction(writer, instruction, modifiers, space, 1 if transaction == "expect_tx" else -1)
    elif verb == "pending_count":
        writer.function.use(mbarrier)
        d, state = operands(instruction, 2)
        writer.result(d, "u32", f"mbarrier_pending({writer.source(state, 'u64')})")
    elif verb == "init":
        memory, count = operands(instruction, 2)
        writer.line(f"mbarrier_init(batch, {_where(writer, space, memory)}, {writer.source(count, 'u32')})")
    elif verb == "inval":
        name, offset = address_name(writer, space, operands(instruction, 1)[0])
        writer.line(f"{name}.store({offset}, 'u64', 8, {writer.site}, {writer.function.constant('u64', 0)})")
    elif verb.startswith("arrive"):
        _emit_arrival(writer, instruction, modifiers, space, verb == "arrive_drop", transaction)
    else:
        _emit_wait(writer, instruction, modifiers, space, verb == "try_wait")


def _where(writer: BlockWriter, space: str, memory: Operand) -> str:
    writer.function.use(mbarrier)
    name, offset = address_name(writer, space, memory)
    return f"{name}, {offset}, {writer.site}"


def _emit_arrival(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, space: str, drop: bool, transaction: str
) -> None:
    modifiers.flag("noComplete", *_ORDER)
    found = operands(instruction, 1, 3)
    # Without a destination it may be an arrival at a barrier of another block.
    d, memory, *rest = found if not isinstance(found[0], Memory) else (Sink(), *found)
    if (transaction and len(rest) != 1) or transaction == "complete_tx" or len(rest) > 1:
        raise Refused("wrong number of operands")
    one = writer.function.constant("u32", 1)
    number = writer.source(rest[0], "u32") if rest else one
    counts = f"{one}, {drop}, {number}" if transaction else f"{number}, {drop}"
    writer.result(d, "u64", f"mbarrier_arrive(batch, {_where(writer, space, memory)}, {counts})")


def _emit_transaction(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, space: str, sign: int
) -> None:
    modifiers.flag(*_ORDER)
    memory, size = operands(instruction, 2)
    writer.line(f"mbarrier_transact(batch, {_where(writer, space, memory)}, {writer.source(size, 'u32')}, {sign})")


def emit_completion(writer: BlockWriter, memory: Operand, size: str, space: str = "cluster") -> None:
    """What a copy that names an mbarrier does at its end."""
    writer.line(f"mbarrier_transact(batch, {_where(writer, space, memory)}, {size}, -1)")


def _emit_wait(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, space: str, timed: bool) -> None:
    modifiers.flag(*_ORDER)
    parity = modifiers.flag("parity")
    d, memory, state, *_ = operands(instruction, 3, 4 if timed else 3)
    known = writer.source(state, "u32" if parity else "u64")
    writer.result(d, "p", f"mbarrier_test({_where(writer, space, memory)}, {known}, {parity})")


def emit_copy_arrival(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cp.async.mbarrier.arrive`: the copies are complete already.

    Without `.noinc` the arrival is first added to those that the phase lacks, so the object does not change.
    """
    modifiers.need("arrive")
    counted = modifiers.flag("noinc")
    space = "shared" if modifiers.choice("shared", "shared::cta") else "generic"
    modifiers.need("b64")
    where = _where(writer, space, operands(instruction, 1)[0])
    if counted:
        writer.line(f"mbarrier_arrive(batch, {where}, {writer.function.constant('u32', 1)}, False)")
