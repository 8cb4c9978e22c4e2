"""Video instructions (PTX ISA sections 9.7.17 and 9.7.18): bytes and halves of words, and SIMD in a word.

Numbers are held in s64. The ISA computes scalars with 34 bits, signed; what is not saturated goes on with 33 of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.packed import element

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_MASK32 = np.int64(0xFFFFFFFF)
_COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def _number(word: Lanes, bits: int, place: int, signed: bool) -> Lanes:
    """One element of a word."""
    part = element(word, bits, place, signed)
    return (part.view(np.int32) if signed else part).astype(np.int64)


def _wrap(value: Lanes, bits: int) -> Lanes:
    """The lower bits, sign-extended."""
    unused = np.int64(64 - bits)
    return (value << unused) >> unused


def _clip(value: Lanes, bits: int, signed: bool) -> Lanes:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return np.clip(value, low, high)


def _where_in_word(selector: str) -> tuple[int, int]:
    """Bits of the selected part of a word, and its number; all of it without a selector."""
    return {"": 32, "b": 8, "h": 16}[selector[:1]], int(selector[1:] or 0)


def _operate(name: str, x: Lanes, y: Lanes) -> Lanes:
    if name in {"add", "sub"}:
        return x + y if name == "add" else x - y
    if name == "avrg":
        return (x + y + np.int64(1) - (x + y < 0)) >> np.int64(1)
    if name == "absdiff":
        return np.abs(x - y)
    if name in {"min", "max"}:
        return np.minimum(x, y) if name == "min" else np.maximum(x, y)
    return _COMPARISONS[name](x, y).astype(np.int64)


def _shift(name: str, x: Lanes, y: Lanes, clamp: bool) -> Lanes:
    count = np.minimum(y, np.int64(32)) if clamp else y & np.int64(31)
    return _wrap(x << count, 34) if name == "shl" else x >> count


def video(
    name: str,
    a: Lanes,
    b: Lanes,
    c: Lanes,
    *,
    parts: tuple[str, str, str],
    signs: tuple[bool, bool, bool],
    saturate: bool,
    second: str,
) -> Lanes:
    """`vadd`, `vshl`, `vset` and the rest: `parts` (selectors) and `signs` are of d, a and b.

    `second` is what is done with `c`: nothing, or "add", "min", "max"; or with a selector of d, `c` around the result.
    """
    (target, *selected), (d_signed, *signed) = parts, signs
    x, y = (
        _number(word, *_where_in_word(part), sign) for word, part, sign in zip((a, b), selected, signed, strict=True)
    )
    shift, _, mode = name.partition(".")
    value = _shift(shift, x, y, mode == "clamp") if mode else _operate(name, x, y)
    bits, place = _where_in_word(target)
    value = _clip(value, bits, d_signed) if saturate else _wrap(value, 33)
    if second:
        value = _operate(second, value, _number(c, 32, 0, d_signed))
    word = (value & _MASK32).astype(np.uint32)
    if not target:
        return word
    field, up = np.uint32((1 << bits) - 1), np.uint32(bits * place)
    return ((word & field) << up) | (c & ~(field << up))


def video_mad(
    a: Lanes,
    b: Lanes,
    c: Lanes,
    *,
    parts: tuple[str, str],
    signs: tuple[bool, bool],
    negate: str,
    plus_one: bool,
    shift: int,
    saturate: bool,
) -> Lanes:
    """`vmad`: `negate` is "product", "c" or "". The sum is held as two s64, the upper one counting 2^32."""
    x, y = (_number(word, *_where_in_word(part), sign) for word, part, sign in zip((a, b), parts, signs, strict=True))
    signed = any(signs) or bool(negate)
    product = x * y if any(signs) else (x.astype(np.uint64) * y.astype(np.uint64))
    high = (product >> product.dtype.type(32)).astype(np.int64)
    low = (product & product.dtype.type(0xFFFFFFFF)).astype(np.int64)
    if negate == "product":
        high, low = -high, -low
    low = low + _number(~c if negate == "c" else c, 32, 0, signed) + np.int64(plus_one or negate == "c")
    high, low = high + (low >> np.int64(32)), low & _MASK32
    low = ((low >> np.int64(shift)) | (high << np.int64(32 - shift))) & _MASK32
    high = high >> np.int64(shift)
    if saturate:
        top = np.int64(0x7FFFFFFF if signed else 0xFFFFFFFF)
        fits = high == (-(low >> np.int64(31)) if signed else 0)
        low = np.where(fits, low, np.where(high < 0, np.int64(0x80000000), top))
    return low.astype(np.uint32)


def simd(
    name: str,
    a: Lanes,
    b: Lanes,
    c: Lanes,
    *,
    picks: tuple[tuple[int, ...], tuple[int, ...]],
    written: tuple[int, ...],
    signs: tuple[bool, bool, bool],
    saturate: bool,
    accumulate: bool,
) -> Lanes:
    """`vadd2`, `vabsdiff4` and the rest: elements of 16 or 8 bits side by side; `signs` are of d, a and b.

    Elements are numbered from the lowest of `a` to the highest of `b`. `picks` are those that stand on the left and on
    the right, `written` those of the result that are written or added up; the others are those of `c`.
    """
    bits = 32 // len(picks[0])
    result = c
    for place in written:
        x, y = (_pick(a, b, pick[place], bits, sign) for pick, sign in zip(picks, signs[1:], strict=True))
        value = _operate(name, x, y)
        value = _clip(value, bits, signs[0]) if saturate else value
        if accumulate:
            result = result + (value & _MASK32).astype(np.uint32)
        else:
            field, up = np.uint32((1 << bits) - 1), np.uint32(bits * place)
            result = (((value & _MASK32).astype(np.uint32) & field) << up) | (result & ~(field << up))
    return result


def _pick(a: Lanes, b: Lanes, number: int, bits: int, signed: bool) -> Lanes:
    count = 32 // bits
    return _number(a if number < count else b, bits, number % count, signed)
