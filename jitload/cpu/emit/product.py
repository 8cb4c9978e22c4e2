"""Code for products of matrices: `mma`, `mma.sp`, those with scales, and `wmma.mma` (PTX ISA section 9.7.14)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.code.instruction import Modifiers
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.product import ELEMENT_BITS, Product
from jitload.cpu.lanes.scales import selector_values
from jitload.cpu.lanes.sparse import selectors
from jitload.cpu.text.ir import Immediate, Operand, Register, Sink, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_FEW = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")
INPUTS = ("f16", "bf16", "tf32", "f64", "s8", "u8", "s4", "u4", "b1", *_FEW)
SUMS = ("f16", "f32", "f64", "s32")
_IN_BYTES = ("kind::f8f6f4", "kind::mxf8f6f4")
_KINDS = (*_IN_BYTES, "kind::mxf4", "kind::mxf4nvf4")
#: What stands in a name -> how many scales a row has; without it the kind says.
_SCALES = {"scale_vec::1X": 1, "scale_vec::2X": 2, "scale_vec::4X": 4}
_SCALES_OF = {"kind::mxf8f6f4": 1, "kind::mxf4": 2}


def read_shape(modifiers: Modifiers) -> tuple[str, int, int, int]:
    """(as written, m, n, k)."""
    name = modifiers.matching(_SHAPE)
    match = _SHAPE.fullmatch(name)
    if match is None:
        raise Refused("the shape of the matrices is missing")
    return name, int(match[1]), int(match[2]), int(match[3])


def registers(operand: Operand) -> tuple[Operand, ...]:
    """The registers of a fragment: a vector, or one register."""
    return operand.items if isinstance(operand, Vector) else (operand,)


def results_of(fragment: tuple[Operand, ...], bits: int) -> tuple[list[tuple[int, str] | None], list[Register]]:
    """Where the scheduler writes a fragment."""
    places: list[tuple[int, str] | None] = []
    written = []
    for one in fragment:
        if type(one) is Register and one.type.bits == bits:  # nearly all
            places.append((one.index, one.held))
            written.append(one)
        elif isinstance(one, Sink):
            places.append(None)
        else:
            raise Refused(f"registers of {bits} bits are expected")
    return places, written


def emit_product(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`mma` and `wmma.mma`: a meeting of whole warps."""
    found = [registers(one) for one in instruction.operands]
    product = _read_product(instruction.opcode, modifiers.take(), tuple([len(one) for one in found[1:4]]))
    more = list(found[4:])
    if product.sparse:
        product = _with_selector(product, *more.pop(1))
    _check_product(product, len(found[0]))
    places, written = results_of(found[0], 64 if product.d == "f64" else 32)
    reps = ["u64" if one == "f64" else "u32" for one in (product.a, product.b, product.c)]
    texts = [text for part, rep in zip(found[1:4], reps, strict=True) for text in writer.sources(part, rep)]
    texts += _more_sources(writer, product, more)
    full = writer.function.constant("u32", 0xFFFFFFFF)
    code = MeetingCode("warp", "product", _written(product), tuple(places), writer.site, True, product)
    return code, f"({', '.join([full, *texts])},)", written


@lru_cache(maxsize=256)
def _read_product(opcode: str, parts: tuple[str, ...], counts: tuple[int, ...]) -> Product:
    """What the name says; rows have seen to it that its parts go together."""
    modifiers = Modifiers(parts)
    opaque = opcode == "wmma"
    sparse = modifiers.choice("sp", "sp::ordered_metadata")
    modifiers.need("sync")
    modifiers.need("aligned")
    if opaque:
        modifiers.need("mma")
    rows, columns = modifiers.need("row", "col"), modifiers.need("row", "col")
    shape, m, n, k = read_shape(modifiers)
    kind = modifiers.choice(*_KINDS)
    scaled, vector = modifiers.flag("block_scale"), modifiers.choice(*_SCALES)
    saturate = modifiers.flag("satfinite")
    modifiers.flag("rn")
    operation = modifiers.need("xor", "and") if "b1" in parts else ""
    if operation:
        modifiers.need("popc")
    d = modifiers.need(*SUMS)
    short = opaque and modifiers.left == 1  # .dtype.ctype: the factors are f16
    a, b = ("f16", "f16") if short else (modifiers.need(*INPUTS), modifiers.need(*INPUTS))
    c = modifiers.need(*SUMS)
    scale = modifiers.need("ue8m0", "ue4m3") if scaled else ""
    if kind in _IN_BYTES:
        a, b = (f"{one} in bytes" if one == "e2m1" else one for one in (a, b))
    scales = _SCALES.get(vector) or _SCALES_OF[kind] if scaled else 0
    quads = f"{rows}.{columns}" if not opaque and shape == "m8n8k4" and a == "f16" else ""
    modifiers.finish()
    first, second, third = counts
    return Product(
        opaque, m, n, k, d, a, b, c, saturate, (first, second, third), operation, quads, sparse, 0, scale, scales
    )  # fmt: skip


def _with_selector(product: Product, *given: Operand) -> Product:
    """With the literal that says which threads hold metadata."""
    most = selectors(product)
    one = given[0] if len(given) == 1 else None
    if not isinstance(one, Immediate) or not isinstance(one.value, int) or one.value not in range(most):
        legal = "0" if most == 1 else f"a literal from 0 to {most - 1}"
        raise Refused(f"the sparsity selector of this shape is {legal}")
    return product._replace(selector=one.value)


def _more_sources(writer: BlockWriter, product: Product, more: list[tuple[Operand, ...]]) -> list[str]:
    """The metadata, the scales, and what selects those: numbers of bytes and of threads."""
    shapes = [1] * bool(product.sparse) + [1, 2, 1, 2] * bool(product.scale)
    if [len(one) for one in more] != shapes:
        raise Refused("scales are a register each, with the numbers of a byte and of a thread in braces")
    texts = []
    for part in more:
        if len(part) == 1:
            texts.append(writer.source(part[0], "u32"))
        else:
            texts += [f"{writer.source(one, 'u16')}.astype(u32)" for one in part]
    if product.scale:
        _check_selectors(product, (*more[-3], *more[-1]))
    return texts


def _check_selectors(product: Product, given: tuple[Operand, ...]) -> None:
    """Refuse literals that select no byte or no thread, and registers of another width."""
    for (name, legal), one in zip(selector_values(product.scales).items(), given, strict=True):
        if isinstance(one, Immediate) and one.value not in legal:
            raise Refused(f"{name} is {one.value}: legal is {', '.join(map(str, legal))}")
        if isinstance(one, Register) and one.type.bits != 16:
            raise Refused(f"{name} is a literal or a register of 16 bits")


@lru_cache(maxsize=256)
def _written(product: Product) -> str:
    """A product in a `MeetingCode`."""
    return str(tuple(product))


@lru_cache(maxsize=256)
def _check_product(product: Product, results: int) -> None:
    """Refuse fragments that are larger or smaller than the instruction's."""
    sizes = (product.m * product.stored, product.k * product.n, product.m * product.n)
    for size, type_name, count in zip(sizes, (product.a, product.b, product.c), product.counts, strict=True):
        room = count * (8 if product.quads else 32) * max(32 // ELEMENT_BITS[type_name], 1)
        if room != size and not (product.opaque and room % size == 0):
            raise Refused(f"a fragment of {count} registers does not hold {size} elements of .{type_name}")
    if results != product.registers_d:
        raise Refused(f"a result of {results} registers where {product.registers_d} are expected")
