"""Code for video instructions: scalar ones, and SIMD in a word (PTX ISA sections 9.7.17 and 9.7.18)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.lanes import video
from jitload.cpu.text.ir import Part

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_NAMES = ("add", "sub", "absdiff", "min", "max")
_TESTS = ("eq", "ne", "lt", "le", "gt", "ge")
_SCALAR = re.compile(r"|b[0-3]|h[01]")
#: Elements in a word -> the letter of their selectors.
_LETTERS = {2: "h", 4: "b"}


def _sign(modifiers: Modifiers) -> bool:
    type_ = modifiers.type()
    if type_.name not in {"u32", "s32"}:
        raise Refused(f"type .{type_.name} is not supported here")
    return type_.kind == "s"


def _signs(modifiers: Modifiers, count: int) -> tuple[bool, ...]:
    """Whether the types are signed, in the order in which they are written."""
    return tuple(_sign(modifiers) for _ in range(count))[::-1]


def _part(operand: Operand) -> tuple[Operand, str, bool]:
    """The register, the selector behind it and whether it is negated."""
    return operand if isinstance(operand, Part) else (operand, "", False)


def _scalar_part(operand: Operand) -> tuple[Operand, str, bool]:
    register, selector, negated = _part(operand)
    if not _SCALAR.fullmatch(selector):
        raise Refused(f"selector .{selector} does not exist here")
    return register, selector, negated


def emit_scalar(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Those of one part of each word."""
    writer.function.use(video)
    d, a, b, *rest = operands(instruction, 3, 4)
    name = instruction.opcode[1:]
    second = modifiers.choice("add") or modifiers.choice("min") or modifiers.choice("max")
    if name == "set":
        name, saturated = modifiers.need(*_TESTS), False
        signs = (False, *_signs(modifiers, 2))
    else:
        saturated = modifiers.flag("sat")
        if name in {"shl", "shr"}:
            name = f"{name}.{modifiers.need('clamp', 'wrap')}"
        signs = _signs(modifiers, 3)
    if "." in name and signs[2]:
        raise Refused("the count of a shift is .u32")
    (target, into, _), (left, first, _), (right, last, _) = (_scalar_part(one) for one in (d, a, b))
    if any(_part(one)[2] for one in (d, a, b)) or (into and second) or bool(into or second) != bool(rest):
        raise Refused("a third source goes with .add, .min, .max or a selector of the result")
    sources = ", ".join(writer.source(one, "u32") for one in (left, right, *rest))
    third = "" if rest else ", None"
    options = f"parts={(into, first, last)!r}, signs={signs!r}, saturate={saturated}, second={second!r}"
    writer.result(target, "u32", f"video({name!r}, {sources}{third}, {options})")


def emit_mad(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`vmad`."""
    writer.function.use(video)
    d, *found = operands(instruction, 4)
    plus_one, saturated = modifiers.flag("po"), modifiers.flag("sat")
    shift = int((modifiers.choice("shr7", "shr15") or "shr0")[3:])
    signs = _signs(modifiers, 3)[1:]
    (a, first, minus_a), (b, last, minus_b), (c, whole, minus_c) = (_scalar_part(one) for one in found)
    product = minus_a != minus_b
    if whole or (product and minus_c) or (plus_one and (minus_a or minus_b or minus_c)):
        raise Refused("vmad negates the product or the last source, and neither with .po")
    negate = "product" if product else "c" if minus_c else ""
    sources = ", ".join(writer.source(one, "u32") for one in (a, b, c))
    options = f"parts={(first, last)!r}, signs={signs!r}, negate={negate!r}, plus_one={plus_one}, shift={shift}"
    writer.result(d, "u32", f"video_mad({sources}, {options}, saturate={saturated})")


def emit_simd(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Those of two or four elements in a word."""
    writer.function.use(video)
    d, a, b, c = operands(instruction, 4)
    name, count = instruction.opcode[1:-1], int(instruction.opcode[-1])
    accumulate, saturated = modifiers.flag("add"), modifiers.flag("sat")
    if name == "set":
        name = modifiers.need(*_TESTS)
        signs = (False, *_signs(modifiers, 2))
    else:
        signs = _signs(modifiers, 3)
    if accumulate and saturated:
        raise Refused(".sat and .add exclude each other")
    target, mask, negated = _part(d)
    (left, first, minus_a), (right, last, minus_b) = _part(a), _part(b)
    if negated or minus_a or minus_b:
        raise Refused("operands of vmad alone may be negated")
    picks = (_picks(first, count, 0), _picks(last, count, count))
    written = _written(mask, count)
    sources = ", ".join(writer.source(operand, "u32") for operand in (left, right, c))
    options = f"picks={picks!r}, written={written!r}, signs={signs!r}, saturate={saturated}, accumulate={accumulate}"
    writer.result(target, "u32", f"simd({name!r}, {sources}, {options})")


def _picks(selector: str, count: int, first: int) -> tuple[int, ...]:
    """Which of the elements of both words a selector names, the lowest first: `.h32` is the second word as it is."""
    if not selector:
        return tuple(range(first, first + count))
    found = tuple(int(one) for one in reversed(selector[1:]))
    if selector[0] != _LETTERS[count] or len(found) != count or max(found) >= 2 * count:
        raise Refused(f"selector .{selector} does not exist here")
    return found


def _written(mask: str, count: int) -> tuple[int, ...]:
    """The elements that a mask names, the lowest first."""
    found = tuple(int(one) for one in reversed(mask[1:])) if mask else tuple(range(count))
    if (mask and mask[0] != _LETTERS[count]) or sorted({*found}) != [*found] or max(found) >= count:
        raise Refused(f"mask .{mask} does not exist here")
    return found
