"""Values packed in words: halves and bytes (PTX ISA sections 9.7.1.23 and 9.7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from jitload.cpu.types import Lanes

#: Mode of `prmt` -> per selector, which bytes of eight.
PRMT_TABLES: dict[str, tuple[tuple[int, ...], ...]] = {
    "f4e": ((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)),
    "b4e": ((0, 7, 6, 5), (1, 0, 7, 6), (2, 1, 0, 7), (3, 2, 1, 0)),
    "rc8": ((0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)),
    "ecl": ((0, 1, 2, 3), (1, 1, 2, 3), (2, 2, 2, 3), (3, 3, 3, 3)),
    "ecr": ((0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 2, 2), (0, 1, 2, 3)),
    "rc16": ((0, 1, 0, 1), (2, 3, 2, 3), (0, 1, 0, 1), (2, 3, 2, 3)),
}


def pairs(words: Lanes, dtype: DTypeLike) -> Lanes:
    """Words as rows of two elements of half their width, the lower half first."""
    if words.ndim:
        return np.ascontiguousarray(words).view(dtype).reshape(-1, 2)
    return np.array([words]).view(dtype)


def join(halves: Lanes, word: DTypeLike = np.uint32) -> Lanes:
    """The words of `pairs`."""
    words = np.ascontiguousarray(halves).view(word)
    return words.reshape(-1) if halves.ndim == 2 else words[0]


def column(value: Lanes) -> Lanes:
    """A predicate per lane, to go with both halves of packed values."""
    return value[:, None] if value.ndim else value


def unpack(words: Lanes, dtype: DTypeLike, count: int) -> list[Lanes]:
    """The elements of a wide value, the lowest first: `mov.b64 {a, b}, c`."""
    if words.ndim:
        rows = np.ascontiguousarray(words).view(dtype).reshape(-1, count)
        return [np.ascontiguousarray(rows[:, column]) for column in range(count)]
    return list(np.array([words]).view(dtype))


def pack(parts: list[Lanes], dtype: DTypeLike) -> Lanes:
    """The wide value of elements, the lowest first: `mov.b64 c, {a, b}`."""
    size = max((len(part) for part in parts if part.ndim), default=0)
    rows = np.empty((size or 1, len(parts)), parts[0].dtype)
    for column, part in enumerate(parts):
        rows[:, column] = part
    words = rows.view(dtype).reshape(-1)
    return words if size else words[0]


def unpack_bytes(parts: list[Lanes], bits: int) -> Lanes:
    """Four elements of so many bits, which lie one behind the other in bytes, as the bytes of a word."""
    packed = np.uint32(0)
    for number, part in enumerate(parts):
        packed = packed | (part.astype(np.uint32) << np.uint32(8 * number))
    mask = np.uint32((1 << bits) - 1)
    word = np.uint32(0)
    for number in range(4):
        word = word | ((packed >> np.uint32(bits * number) & mask) << np.uint32(8 * number))
    return word


def pack_clamped(a: Lanes, b: Lanes, c: Lanes | None, bits: int, signed: bool) -> Lanes:
    """`cvt.pack`: `b` clamped into the lowest `bits`, `a` above it, then the lower bits of `c`."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    mask = np.uint32((1 << bits) - 1)
    first, second = (np.clip(one, np.int32(low), np.int32(high)).view(np.uint32) & mask for one in (a, b))
    word = (first << np.uint32(bits)) | second
    return word if c is None or bits == 16 else word | (c << np.uint32(2 * bits))


def permute(a: Lanes, b: Lanes, selector: Lanes, mode: str) -> Lanes:
    """`prmt`: four bytes picked from the eight of `b:a`."""
    pair = (b.astype(np.uint64) << np.uint64(32)) | a.astype(np.uint64)
    result = np.uint32(0)
    for place in range(4):
        if mode:
            rows = np.array([row[place] for row in PRMT_TABLES[mode]], np.uint64)
            chosen = rows[selector & np.uint32(3)]
            sign = np.uint64(0)
        else:
            nibble = (selector >> np.uint32(4 * place)) & np.uint32(15)
            chosen = (nibble & np.uint32(7)).astype(np.uint64)
            sign = (nibble >> np.uint32(3)).astype(np.uint64)
        byte = (pair >> (chosen * np.uint64(8))) & np.uint64(0xFF)
        byte = np.where(sign != 0, (byte >> np.uint64(7)) * np.uint64(0xFF), byte)
        result = result | (byte.astype(np.uint32) << np.uint32(8 * place))
    return result


def dot_bytes(a: Lanes, b: Lanes, c: Lanes, a_signed: bool, b_signed: bool) -> Lanes:
    """`dp4a`: c plus the dot product of four bytes, modulo 2^32."""
    total = c.astype(np.uint32)
    for place in range(4):
        total = total + element(a, 8, place, a_signed) * element(b, 8, place, b_signed)
    return total


def dot_halves(a: Lanes, b: Lanes, c: Lanes, a_signed: bool, b_signed: bool, high: bool) -> Lanes:
    """`dp2a`: c plus two 16-bit elements of `a` times the lower or upper two bytes of `b`."""
    total = c.astype(np.uint32)
    for place in range(2):
        total = total + element(a, 16, place, a_signed) * element(b, 8, place + (2 if high else 0), b_signed)
    return total


def element(word: Lanes, bits: int, place: int, signed: bool) -> Lanes:
    """One element of a word, extended to 32 bits (as unsigned words, for arithmetic modulo 2^32)."""
    up = np.uint32(32 - bits * (place + 1))
    down = np.uint32(32 - bits)
    if signed:
        return ((word << up).view(np.int32) >> np.int32(32 - bits)).view(np.uint32)
    return (word << up) >> down
