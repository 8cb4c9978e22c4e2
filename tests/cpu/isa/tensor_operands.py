"""Where what products in tensor memory take lies in shared memory, and how descriptors say so (PTX ISA 9.7.16.4, 9.7.16.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cpu.isa.layouts import canonical, swizzled
from tests.cpu.isa.matrices import BITS, word

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.products import Matrix

#: Kind -> types of factors by the numbers that an instruction descriptor has for them.
NUMBERS = {
    "kind::f16": {"f16": 0, "bf16": 1},
    "kind::tf32": {"tf32": 2},
    "kind::i8": {"u8": 0, "s8": 1},
    "kind::mxf4": {"e2m1": 1},
    "kind::mxf4nvf4": {"e2m1": 1},
}
NUMBERS |= {
    kind: {"e4m3": 0, "e5m2": 1, "e2m3": 3, "e3m2": 4, "e2m1 in bytes": 5}
    for kind in ("kind::f8f6f4", "kind::mxf8f6f4")
}
SUMS = {"f16": 0, "f32": 1, "s32": 2}
#: Bytes over which chunks are permuted, of "wide" 32 bytes of 128 -> the number that a descriptor has for that.
SWIZZLES = {0: 0, "wide": 1, 128: 2, 64: 4, 32: 6}
#: Elements of 4 and 6 bits, of which 16 stand at the start of 16 bytes.
PADDED = {"e2m3": 6, "e3m2": 6, "e2m1 in bytes": 4}


def kind_of(name: Name) -> str:
    """As it is written."""
    return next(part for part in name.picked if part.startswith("kind::"))


def place_bytes(
    memory: bytearray, start: int, row: int, first: int, chunk: bytes, width: int, leading: int, stride: int
) -> None:
    """Put 16 bytes of a row, of which `first` are before them, where a K-major descriptor looks for them."""
    at = swizzled(start + canonical(row, first, "k", width, leading, stride, 8), width)
    memory[at : at + 16] = chunk


def place_factor(
    memory: bytearray, start: int, lines: Matrix, type_: str, major: str, width: int | str, leading: int, stride: int
) -> None:
    """Put rows of A, or columns of B, where a descriptor looks for them."""
    if type_ in PADDED or BITS[type_] == 4:
        bits = PADDED.get(type_, 4)
        code = type_.partition(" ")[0]
        each = 16 if type_ in PADDED else 32
        for row, line in enumerate(lines):
            for k in range(0, len(line), each):
                whole = sum(word(value, code) << bits * place for place, value in enumerate(line[k : k + each]))
                assert isinstance(width, int)
                place_bytes(memory, start, row, k // each * 16, whole.to_bytes(16, "little"), width, leading, stride)
        return
    size = BITS[type_] // 8
    for row, line in enumerate(lines):
        for k, value in enumerate(line):
            if width == "wide":  # Swizzle<2,5,2> over rows of 128 bytes, 4 of which are a pattern
                at = start + row % 32 * 4 + row // 32 * leading + k % 4 * 128 + k // 4 * stride
                at ^= (at >> 7 & 3) << 5
            else:
                assert isinstance(width, int)
                at = swizzled(start + canonical(row, k, major, width, leading, stride, BITS[type_]), width)
            memory[at : at + size] = word(value, type_).to_bytes(size, "little")


def shared_descriptor(start: int, leading: int, stride: int, width: int | str) -> int:
    """The 64 bits that say where a matrix lies."""
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | 1 << 46 | SWIZZLES[width] << 61


def strides_of(major: str, width: int | str, extent: int, bits: int) -> tuple[int, int]:
    """(leading, stride) byte offsets that keep the parts of a matrix apart."""
    if major == "k":
        return (extent * 16, 128) if width == 0 else (16, 8 * int(width))
    t, depth = 128 // bits, 256 // bits
    if width == "wide":
        return depth * 128, 512
    if width == 0:
        return extent // t * 128, 128
    return depth * int(width), 8 * int(width)
