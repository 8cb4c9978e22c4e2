"""Products in tensor memory, `tcgen05.mma`: what descriptors of them say, and sums (PTX ISA 9.7.16.4, 9.7.16.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.matrix import join_elements
from jitload.cpu.lanes.product import ELEMENT_BITS

if TYPE_CHECKING:
    from jitload.cpu.types import Array

K_BITS = 256  # of a row of A and of a column of B, as far as they are not padded
_NARROW = {0: "e4m3", 1: "e5m2", 3: "e2m3", 4: "e3m2", 5: "e2m1 in bytes"}
#: Kind -> how a descriptor calls the types of factors.
FACTORS = {
    "kind::f16": {0: "f16", 1: "bf16"},
    "kind::tf32": {2: "tf32"},
    "kind::f8f6f4": _NARROW,
    "kind::i8": {0: "u8", 1: "s8"},
    "kind::mxf8f6f4": _NARROW,
    "kind::mxf4": {1: "e2m1"},
    "kind::mxf4nvf4": {1: "e2m1"},
}
_SUMS = {
    "kind::f16": {0: "f16", 1: "f32"},
    "kind::tf32": {1: "f32"},
    "kind::f8f6f4": {0: "f16", 1: "f32"},
    "kind::i8": {2: "s32"},
}
_SCALE_TYPES = {0: "ue4m3", 1: "ue8m0"}
#: Bits of a descriptor that must be zero, without scales and with them.
_RESERVED, _RESERVED_SCALED = 1 << 6 | 1 << 23 | 1 << 29, 0b1001011 | 7 << 24
_PADDED = {"e2m3": 6, "e3m2": 6, "e2m1 in bytes": 4}


class TensorProduct(NamedTuple):
    """What an instruction descriptor asks for.

    Attributes:
        kind: of the instruction.
        m: rows of A.
        n: columns of B.
        d: type of the sums, and `a` and `b` those of the factors.
        negated: whether the product is subtracted.
        turned_a: whether A lies along m in shared memory; `turned_b` whether B lies along n.
        saturate: whether sums of integers are cut to 32 bits.
        scale: type of the scales, or "".
        scales: how many a row has.
        byte_a: the first byte of those of A in a cell, and `byte_b` of those of B.
    """

    kind: str
    m: int
    n: int
    d: str
    a: str
    b: str
    negated: bool
    turned_a: bool
    turned_b: bool
    saturate: bool
    scale: str = ""
    scales: int = 0
    byte_a: int = 0
    byte_b: int = 0

    def padding(self, which: str) -> int:
        """Bits of an element that 16 of stand at the start of 16 bytes in shared memory; 0 where all bytes count."""
        return _PADDED.get(self.a if which == "a" else self.b, 0)


def read_product(kind: str, word: int, scales: int) -> TensorProduct | str:
    """What a descriptor says, or why it says nothing.

    Args:
        kind: of the instruction.
        word: its 32 bits.
        scales: of a row, 0 where there are none.
    """

    def bits(first: int, count: int) -> int:
        return word >> first & (1 << count) - 1

    if word & (_RESERVED_SCALED if scales else _RESERVED):
        return "reserved bits are set: legal is zero"
    if bits(2, 1):
        return "the bit for sparse A is set: legal is zero where the instruction is not tcgen05.mma.sp"
    factors = FACTORS[kind]
    a, b = factors.get(bits(7, 3)), factors.get(bits(10, 3))
    sums = {bits(4, 2): "f32"} if scales else _SUMS[kind]
    d = sums.get(bits(4, 2))
    if a is None or b is None or d is None:
        legal = ", ".join(f"{code} ({name.partition(' ')[0]})" for code, name in factors.items())
        more = "" if scales else f"; of D {', '.join(f'{code} ({name})' for code, name in sums.items())}"
        given = f"types {bits(7, 3)} of A, {bits(10, 3)} of B, {bits(4, 2)} of D"
        return f"{given}: legal for .{kind} are of A and B {legal}{more}"
    n = bits(17, 6) << 3
    m = bits(27, 2) << 7 if scales else bits(24, 5) << 4
    negated, turned = bits(13, 1) != bits(14, 1), (bool(bits(15, 1)), bool(bits(16, 1)))
    found = TensorProduct(kind, m, n, d, a, b, negated, *turned, bool(bits(3, 1)) and not scales)
    if scales:
        found = found._replace(scale=_SCALE_TYPES[bits(23, 1)], scales=scales, byte_a=bits(29, 2), byte_b=bits(4, 2))
    return _odd(found, negates=bool(bits(13, 2)), long=scales > 0 and bool(bits(31, 1))) or found


def _odd(product: TensorProduct, *, negates: bool, long: bool) -> str:
    """What does not go together in a descriptor, or ""."""
    kind, n = product.kind, product.n
    if not _is_shape(product):
        shapes = "128 rows and 8 to 256 columns in steps of 8" if product.scales else _SHAPES[kind == "kind::i8"]
        return f"{product.m} rows and {n} columns: legal for .{kind} are {shapes}"
    if product.saturate and kind != "kind::i8":
        return "the bit for saturation is set: legal is zero but for .kind::i8"
    if negates and kind == "kind::i8":
        return "a factor is negated: legal is zero for .kind::i8"
    for turned, type_ in ((product.turned_a, product.a), (product.turned_b, product.b)):
        if turned and (type_ in _PADDED or type_ == "e2m1"):
            return f"a factor of {type_.partition(' ')[0]} is transposed: legal are types of 8, 16 and 32 bits"
    if product.turned_b and ELEMENT_BITS[product.b] == 8 and n % 16:
        return f"B of 8 bits is transposed and has {n} columns: legal are multiples of 16"
    if long:
        return "K of 96 elements, which the CPU executor does not support: legal is zero in bit 31"
    if product.scales:
        return _odd_scales(product)
    return ""


_SHAPES = (
    "64 rows and 8 to 256 columns in steps of 8, 128 rows and 16 to 256 in steps of 16",
    "64 rows and 8, 16, 24, 32, 48 to 256 columns in steps of 16, 128 rows and 16 to 256 in steps of 16",
)


def _is_shape(product: TensorProduct) -> bool:
    m, n = product.m, product.n
    if not 8 <= n <= 256:
        return False
    if product.scales:
        return m == 128
    if m == 64:
        return product.kind != "kind::i8" or n <= 32 or n % 16 == 0
    return m == 128 and n % 16 == 0


#: Scales of a row -> the bytes of a cell that they may begin at.
_BYTES = {1: (0, 1, 2, 3), 2: (0, 2), 4: (0,)}


def _odd_scales(product: TensorProduct) -> str:
    if product.scale != "ue8m0" and product.scales != max(_BYTES):
        return f"scales of type {product.scale}: legal are ue8m0"
    legal = _BYTES[product.scales]
    for name, byte in (("A", product.byte_a), ("B", product.byte_b)):
        if byte not in legal:
            return f"scale factor id {byte} of {name}: legal is {', '.join(map(str, legal))}"
    return ""


def lanes_of(m: int, first: int) -> Array:
    """The lane of each row of D, or of A in tensor memory: of 64 rows, 16 in every part of 32 lanes."""
    row = np.arange(m)
    return row if m == 128 else row // 16 * 32 + row % 16 + first


def unpadded(words: Array, bits: int) -> Array:
    """Chunks of 16 elements of 4 or 6 bits, which stand at the start of 16 bytes, as bytes (the last axis are words).

    An element of 4 bits stands in the middle of its byte.
    """
    octets = np.ascontiguousarray(words).view(np.uint8)
    stream = np.unpackbits(octets, axis=-1, bitorder="little")[..., : 16 * bits].reshape(*octets.shape[:-1], 16, bits)
    codes = np.packbits(stream, axis=-1, bitorder="little")[..., 0]
    return np.ascontiguousarray(codes << np.uint8(2) if bits == 4 else codes).view(np.uint32)


def sum_words(product: TensorProduct, total: Array) -> Array:
    """The cells of D, (row, column)."""
    if product.d == "s32":
        whole = total.astype(np.int64)
        low, high = -(2**31), 2**31 - 1
        found = np.clip(whole, low, high) if product.saturate else ((whole - low) & 0xFFFFFFFF) + low
        return join_elements(found[..., None], "s32")
    if product.d == "f16":  # in the lower half of a cell
        return join_elements(np.stack([total, np.zeros_like(total)], axis=-1), "f16")
    return join_elements(total[..., None], "f32")
