"""Integers that are a linear function of the thread and block coordinates, for a whole batch.

Most of what a kernel computes with integers is where to read and write: a base, plus a stride for every coordinate.
Such a value is kept as these few numbers instead of one per lane. It stays exact: arithmetic is modulo the width of the
register, and whatever needs the value itself (a comparison, a wider register, an address) asks for its limits first.
What is not linear any more becomes an array of lanes.
"""

from __future__ import annotations

import operator
from itertools import starmap
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.types import Array, Lanes

#: Batches of fewer lanes are quicker with arrays.
AFFINE_LANES = 2048
_S64 = np.dtype(np.int64)
_WORDS = {bits: np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)}


@final
class Affine:
    """`base + stride[0] * coordinate[0] + ...` in every lane; lanes count up with the last coordinate first.

    Instances are never changed. They stand where arrays of lanes stand: operators take scalars, arrays and each other.

    Args:
        extents: how far each coordinate counts.
        dtype: of the value, an integer type.
        base: the value of the first lane, modulo the width.
        strides: one per coordinate, modulo the width.
    """

    __slots__ = ("_lanes", "base", "dtype", "extents", "strides")
    __array_ufunc__ = None  # NumPy leaves mixed operators to this class
    __hash__ = None  # type: ignore[assignment]
    ndim = 1

    def __init__(self, extents: tuple[int, ...], dtype: np.dtype[Any], base: int, strides: tuple[int, ...]) -> None:
        self.extents = extents
        self.dtype = dtype
        self.base = base
        self.strides = strides
        self._lanes: Array | None = None

    def lanes(self) -> Array:
        """The value of every lane; shared, so not to be changed."""
        if self._lanes is None:
            word = _WORDS[self.dtype.itemsize * 8]
            mask = (1 << self.dtype.itemsize * 8) - 1
            total = np.array(self.base & mask, word)
            for extent, stride in zip(self.extents, self.strides, strict=True):
                total = total[..., None] + np.arange(extent, dtype=word) * word.type(stride & mask)
            self._lanes = total.reshape(-1).view(self.dtype)
        return self._lanes

    def limits(self) -> tuple[int, int, int] | None:
        """(base, smallest, largest) as exact integers, if no lane's value wraps around."""
        bits = self.dtype.itemsize * 8
        signed = self.dtype.kind == "i"
        base = self.base & ((1 << bits) - 1)
        if signed and base >> (bits - 1):
            base -= 1 << bits
        low = high = base
        for extent, stride in zip(self.extents, self.strides, strict=True):
            if stride < 0:
                low += stride * (extent - 1)
            else:
                high += stride * (extent - 1)
        least = -(1 << (bits - 1)) if signed else 0
        return (base, low, high) if least <= low and high < least + (1 << bits) else None

    def take(self, lanes: Array) -> Array:
        """The value of some lanes."""
        return self.lanes().take(lanes)

    def copy(self) -> Affine:
        """This value, which never changes."""
        return self

    def view(self, kind: type[np.generic] | np.dtype[Any]) -> Lanes | Affine:
        """The same bits, seen as another type."""
        dtype = np.dtype(kind)
        if dtype.kind not in "iu":
            return self.lanes().view(dtype)
        return Affine(self.extents, dtype, self.base, self.strides)

    def astype(self, kind: type[np.generic] | np.dtype[Any]) -> Lanes | Affine:
        """The value in another width: cut off, or extended as its signedness says."""
        dtype = np.dtype(kind)
        if dtype.kind not in "iu":
            return self.lanes().astype(dtype)
        if dtype.itemsize <= self.dtype.itemsize:
            return self._make(dtype, self.base, self.strides)
        limits = self.limits()
        if limits is None:
            return self.lanes().astype(dtype)
        return Affine(self.extents, dtype, limits[0], self.strides)

    def relative_to(self, window: int) -> Affine:
        """The distance from an address below, as s64."""
        return Affine(self.extents, _S64, self.base - window, self.strides)

    def _make(self, dtype: np.dtype[Any], base: int, strides: tuple[int, ...]) -> Affine:
        """With strides brought to the smallest size that means the same."""
        bits = dtype.itemsize * 8
        half, mask = 1 << (bits - 1), (1 << bits) - 1
        if any(not -half <= stride < half for stride in strides):
            strides = tuple(((stride + half) & mask) - half for stride in strides)
        return Affine(self.extents, dtype, base & mask, strides)

    def __add__(self, other: Lanes | Affine) -> Lanes | Affine:
        if type(other) is Affine:
            strides = tuple(map(operator.add, self.strides, other.strides))
            return self._make(self.dtype, self.base + other.base, strides)
        if other.ndim:
            return self.lanes() + other
        return Affine(self.extents, self.dtype, self.base + int(other), self.strides)

    __radd__ = __add__

    def __sub__(self, other: Lanes | Affine) -> Lanes | Affine:
        if type(other) is Affine:
            strides = tuple(map(operator.sub, self.strides, other.strides))
            return self._make(self.dtype, self.base - other.base, strides)
        if other.ndim:
            return self.lanes() - other
        return Affine(self.extents, self.dtype, self.base - int(other), self.strides)

    def __rsub__(self, other: Lanes) -> Lanes | Affine:
        if other.ndim:
            return other - self.lanes()
        return self._make(self.dtype, int(other) - self.base, tuple(-stride for stride in self.strides))

    def __mul__(self, other: Lanes | Affine) -> Lanes | Affine:
        if type(other) is Affine:
            return self.lanes() * other.lanes()
        if other.ndim:
            return self.lanes() * other
        return self._times(int(other))

    __rmul__ = __mul__

    def _times(self, factor: int) -> Affine:
        return self._make(self.dtype, self.base * factor, tuple(stride * factor for stride in self.strides))

    def __lshift__(self, amount: Lanes) -> Lanes | Affine:
        """By a scalar below the width: generated code gives no other."""
        return self._times(1 << int(amount))

    def __and__(self, other: Lanes | Affine) -> Lanes | Affine:
        """Linear where a mask of low bits, or of all but those, parts the coordinates."""
        if type(other) is not Affine and not other.ndim:
            mask = int(other) & ((1 << self.dtype.itemsize * 8) - 1)
            if mask & (mask + 1) == 0:
                low = self._low_part(mask + 1)
                if low is not None:
                    return low
        return self.lanes() & dense(other)

    __rand__ = __and__

    def _low_part(self, size: int) -> Affine | None:
        """The value modulo a power of two, if every coordinate counts in multiples or stays below."""
        strides = tuple(0 if stride % size == 0 else stride for stride in self.strides)
        part = Affine(self.extents, self.dtype, self.base % size, strides)
        limits = part.limits()
        return part if limits is not None and limits[1] >= 0 and limits[2] < size else None

    def __rshift__(self, amount: Lanes) -> Lanes | Affine:
        """Linear where the bits that fall off do not carry into the others."""
        if not amount.ndim:
            size = 1 << int(amount)
            low, limits = self._low_part(size), self.limits()
            if low is not None and limits is not None:
                strides = tuple(map(operator.sub, self.strides, low.strides))
                return self._make(self.dtype, limits[0] // size, tuple(one // size for one in strides))
        return self.lanes() >> dense(amount)

    def __or__(self, other: Lanes | Affine) -> Lanes | Affine:
        """A sum where no bit is set on both sides, as compilers write it."""
        if type(other) is Affine or not other.ndim:
            for high, low in ((self, other), (other, self)):
                if _is_below(low, high):
                    return high + low
        return self.lanes() | dense(other)

    __ror__ = __or__

    def __xor__(self, other: Lanes | Affine) -> Lanes:
        return self.lanes() ^ dense(other)

    __rxor__ = __xor__

    def __lt__(self, other: Lanes | Affine) -> Any:
        return self._compare(other, operator.lt)

    def __le__(self, other: Lanes | Affine) -> Any:
        return self._compare(other, operator.le)

    def __gt__(self, other: Lanes | Affine) -> Any:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Lanes | Affine) -> Any:
        return self._compare(other, operator.ge)

    def __eq__(self, other: object) -> Any:
        return self._compare(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compare(other, operator.ne)

    def _compare(self, other: Any, test: Callable[[Any, Any], Any]) -> Any:
        """One answer for all lanes where the limits give it."""
        if type(other) is Affine or not other.ndim:
            mine = self.limits()
            theirs = other.limits() if type(other) is Affine else (int(other), int(other), int(other))
            if mine is not None and theirs is not None:
                # The difference of two linear functions is one: its limits are sharper than those of both.
                strides = self.strides if type(other) is not Affine else map(operator.sub, self.strides, other.strides)
                low = high = mine[0] - theirs[0]
                for spread in starmap(_spread, zip(self.extents, strides, strict=True)):
                    low, high = low + min(spread, 0), high + max(spread, 0)
                if low == high or (test not in {operator.eq, operator.ne} and test(low, 0) == test(high, 0)):
                    return np.bool_(test(low, 0))
                if (low > 0 or high < 0) and test in {operator.eq, operator.ne}:
                    return np.bool_(test is operator.ne)
        return test(self.lanes(), dense(other))


def _spread(extent: int, stride: int) -> int:
    return (extent - 1) * stride


def _is_below(low: Lanes | Affine, high: Lanes | Affine) -> bool:
    """Whether every bit of `low` lies below every bit that may be set in `high`."""
    if type(low) is Affine:
        limits = low.limits()
        least, most = (limits[1], limits[2]) if limits is not None else (-1, 0)
    else:
        least = most = int(low)
    if least < 0:
        return False
    size = 1 << most.bit_length()
    if type(high) is not Affine:
        return int(high) % size == 0
    return all(number % size == 0 for number in (high.base, *high.strides))


def dense(value: Lanes | Affine) -> Lanes:
    """An array of lanes, or a scalar: what everything but address arithmetic works on."""
    return value.lanes() if type(value) is Affine else value
