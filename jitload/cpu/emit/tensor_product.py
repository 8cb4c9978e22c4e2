"""Code for products and copies in tensor memory: `tcgen05.mma`, `tcgen05.cp` (PTX ISA 9.7.16.9.2, 9.7.16.10.9).

One thread issues each. They are complete at once, so hints for the buffer of A have nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.emit.tensor_memory import tensor_address
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.tensor_product import FACTORS
from jitload.cpu.memory import tensor_product
from jitload.cpu.text.ir import Immediate, Memory, Register, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_COLLECTORS = tuple(f"collector::a::{use}" for use in ("fill", "use", "lastuse", "discard"))
_SHAPES = ("128x256b", "128x128b", "64x128b", "32x128b")
_COUNTS = {"scale_vec::1X": 1, "scale_vec::2X": 2, "scale_vec::4X": 4, "block16": 4}
#: Scales of a row where `.block32`, or nothing, stands.
_BY_KIND = {"kind::mxf8f6f4": 1, "kind::mxf4": 2, "kind::mxf4nvf4": 2}
_MASKS = 4
_MOST_WEAKENED = 15


def emit_product(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tcgen05.mma`."""
    writer.function.use(tensor_product)
    modifiers.need("mma")
    modifiers.flag("cta_group::1", *_COLLECTORS)
    kind = modifiers.need(*FACTORS)
    scaled = modifiers.flag("block_scale")
    scales = _COUNTS.get(modifiers.choice(*_COUNTS, "block32"), _BY_KIND.get(kind, 0)) if scaled else 0
    d, a, b, word, *rest = instruction.operands
    tensor_a = isinstance(a, Memory)
    found = [tensor_address(writer, d), tensor_address(writer, a) if tensor_a else writer.source(a, "u64")]
    found += [writer.source(b, "u64"), writer.source(word, "u32")]
    masks = _masks(writer, rest[0])
    rest = rest[bool(masks) :]
    places = [tensor_address(writer, rest.pop(0)) for _ in "ab"] if scaled else []
    found += [writer.source(rest.pop(0), "p"), *places]
    weaken = _weaken(rest)
    listed = f"({', '.join(found)})"
    hidden = f", masks=({', '.join(masks)})" if masks else ""
    more = f"{listed}, tensor_a={tensor_a}, weaken={weaken}{hidden}"
    writer.line(f"multiply_tensors(batch, {kind!r}, {scales}, {writer.site}, {more})")


def _masks(writer: BlockWriter, operand: Operand) -> list[str]:
    if not isinstance(operand, Vector):
        return []
    items = operand.items
    if len(items) != _MASKS or not all(isinstance(one, Register) for one in items):
        raise Refused(f"lanes that stay as they are: legal are {_MASKS} registers of 32 bits in braces")
    return [writer.source(one, "u32") for one in items]


def _weaken(rest: list[Operand]) -> int:
    """The literal at the end."""
    one = rest[0] if rest else Immediate(0)
    if not isinstance(one, Immediate) or not 0 <= one.value <= _MOST_WEAKENED:
        raise Refused(f"scale-input-d: legal is a literal from 0 to {_MOST_WEAKENED}")
    return int(one.value)


def emit_copy(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tcgen05.cp`."""
    writer.function.use(tensor_product)
    modifiers.need("cp")
    modifiers.flag("cta_group::1", "b8x16")
    shape = modifiers.need(*_SHAPES)
    multicast = modifiers.choice("warpx2::02_13", "warpx2::01_23", "warpx4")
    source = modifiers.choice("b6x16_p32", "b4x16_p64")
    address, word = instruction.operands
    places = f"{tensor_address(writer, address)}, {writer.source(word, 'u64')}, {writer.site}"
    writer.line(f"copy_to_tensor(batch, {shape!r}, {multicast!r}, {int(source[1]) if source else 0}, {places})")
