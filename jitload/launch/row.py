"""What native code is told of a parameter; see `Parameter` and `read_parameter` in jitload/launch/c."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


#: What is packed into a parameter block.
Value = int | float | bytes


class Row(NamedTuple):
    """One parameter.

    Attributes:
        kind: "i" for an integer, "f", "d" and "m" for a float, a double and a smaller format, "p" for a pointer, "o"
            for what only Python converts.
        size: bytes.
        low: the least integer that it takes, and
        high: the greatest, as far as they have 64 bits.
        unaligned: bits that the address of an array may not have.
        takes_integers: whether a pointer takes an int as an address.
        takes_none: whether it takes None as the null pointer.
        is_written: whether the kernel may write behind it.
        more: of "m": bits of the mantissa, bias, largest number, bits of infinity and of NaN (-1 for none), bit of the
            sign, whether a NaN keeps it; of "o": what gives the bytes of a value.
    """

    kind: str
    size: int
    low: int = 0
    high: int = 0
    unaligned: int = 0
    takes_integers: bool = False
    takes_none: bool = False
    is_written: bool = False
    more: object = None

    @classmethod
    def converted(cls, size: int, convert: Callable[[object], Value]) -> Row:
        """A parameter that only Python converts."""
        return cls("o", size, more=convert)
