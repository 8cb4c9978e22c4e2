"""Code for `wgmma` (PTX ISA section 9.7.15): products of four warps, whose factors lie in shared memory.

A product is carried out when all threads of the warpgroup have come to it, so fences, commits and waits have nothing
left to do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.emit.product import registers, results_of
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.warpgroup import GroupProduct, is_shape
from jitload.cpu.text.ir import Immediate, Register, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_SHAPE = re.compile(r"m64n(\d+)k(\d+)")
_FACTORS = ("f16", "bf16", "tf32", "e4m3", "e5m2", "s8", "u8", "b1")
_HALVES = {"f16", "bf16"}  # which alone may lie along m or n
_WHOLE = {"s8", "u8", "b1"}  # which alone are never negated


def emit_order(_writer: BlockWriter, _instruction: Instruction, modifiers: Modifiers) -> None:
    """`wgmma.fence`, `.commit_group` and `.wait_group`."""
    modifiers.need("fence", "commit_group", "wait_group")
    modifiers.need("sync")
    modifiers.need("aligned")


def emit_group_product(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`wgmma.mma_async`: a meeting of whole warpgroups."""
    for part in ("mma_async", "sync", "aligned"):
        modifiers.need(part)
    shape = _SHAPE.fullmatch(modifiers.matching(_SHAPE))
    assert shape is not None
    saturate = modifiers.flag("satfinite")
    modifiers.flag("and", "popc")
    d = modifiers.need("f16", "f32", "s32")
    a, b = modifiers.need(*_FACTORS), modifiers.need(*_FACTORS)
    sums, first, second, added, *literals = instruction.operands
    negated, turned_a, turned_b = _literals(a, literals, registers_a := isinstance(first, Vector))
    sizes = int(shape[1]), int(shape[2])
    product = GroupProduct(*sizes, d, a, b, registers_a, negated, turned_a, turned_b, saturate)
    fragment = registers(sums)
    if not is_shape(product) or len(fragment) != product.registers_d:
        raise Refused(f"{len(fragment)} registers where {product.registers_d} hold the sums of {shape[0]}")
    places, written = results_of(fragment, 32)
    factor = [writer.source(one, "u32") for one in _four(first)] if registers_a else [writer.source(first, "u64")]
    rest = [writer.source(second, "u64"), writer.source(added, "p"), *(writer.source(one, "u32") for one in fragment)]
    full = writer.function.constant("u32", 0xFFFFFFFF)
    code = MeetingCode("warp", "wgmma", str(tuple(product)), tuple(places), writer.site, True, group=product)
    return code, f"({', '.join([full, *factor, *rest])},)", written


def _four(fragment: Operand) -> tuple[Operand, ...]:
    found = registers(fragment)
    if len(found) != 4:
        raise Refused(f"{len(found)} registers where 4 hold the rows of A")
    return found


def _literals(a: str, given: list[Operand], registers_a: bool) -> tuple[bool, bool, bool]:
    """(whether the product is negated, whether A and B are turned), of the literals at the end."""
    values = [one.value for one in given if isinstance(one, Immediate)]
    signs = [] if a in _WHOLE else values[:2]
    turns = values[len(signs) :]
    expected = (2 - registers_a) if a in _HALVES else 0
    if len(values) != len(given) or len(turns) != expected or not {*signs} <= {1, -1} or not {*turns} <= {0, 1}:
        raise Refused("1 or -1 for the sign of each factor, and 0 or 1 for its order, are expected at the end")
    negated = bool(signs) and signs[0] != signs[1]
    turned_b = bool(turns) and turns[-1] == 1
    return negated, len(turns) == 2 and turns[0] == 1, turned_b
