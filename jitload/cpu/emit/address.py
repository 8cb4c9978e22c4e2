"""What every access to memory has: hints that need no code, and an address in brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.text.ir import Memory, Register, Symbol

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_ORDER = ("weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio", "sc")
SCOPES = ("cta", "cluster", "gpu", "sys")
HINTS = (
    *("ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "unified", "L2::64B", "L2::128B", "L2::256B", "L1::no_allocate"),
    *(f"L{level}::evict_{how}" for level in (1, 2) for how in ("normal", "unchanged", "first", "last")),
)


def take_hints(modifiers: Modifiers, instruction: Instruction) -> tuple[Operand, ...]:
    """Take what only concerns caches and ordering; give the operands without a cache policy."""
    return instruction.operands[:-1] if take_modifiers(modifiers) else instruction.operands


def take_modifiers(modifiers: Modifiers) -> bool:
    """Take what only concerns caches and ordering; whether a cache policy is the last operand."""
    modifiers.flag(*_ORDER)
    modifiers.flag(*SCOPES)
    modifiers.flag(*HINTS)
    return modifiers.flag("L2::cache_hint")


def address_name(writer: BlockWriter, space: str, operand: Operand) -> tuple[str, int]:
    """(name of the checked addresses, constant offset) of an operand in brackets."""
    if not isinstance(operand, Memory):
        raise Refused("an address in brackets is expected")
    if space == "param":
        if isinstance(operand.base, Symbol):
            space = writer.function.resolve(operand.base)[0]
        elif not writer.function.entry:
            space = "local"
    return writer.address("global" if space == "const" else space, operand)


def address_parts(writer: BlockWriter, space: str, operand: Operand) -> tuple[str, str, int]:
    """(space, expression of the base as lanes, constant offset), for accesses that add offsets of their own."""
    if not isinstance(operand, Memory):
        raise Refused("an address in brackets is expected")
    space, text, offset = writer.address_text(space, operand)
    if not isinstance(operand.base, Register):
        return space, f"u64({text})", offset
    signed = ".view(s32)" if operand.base.type.bits == 32 else ""
    return space, f"{text}{signed}.astype(u64)", offset


def number_text(writer: BlockWriter, space: str, operand: Operand) -> str:
    """An address in brackets as an expression of u64."""
    _, text, offset = address_parts(writer, space, operand)
    return f"({text} + {writer.function.constant('u64', offset)})"
