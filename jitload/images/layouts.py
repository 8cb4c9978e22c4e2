"""Where the parameters of a cubin's kernels lie: read from the file, for kernels that nobody has described.

In ".nv.info.KERNEL" (images/resources.py has the form of it), measured on cubins of NVRTC 12.9 and 13.0 and nvJitLink
12.9 for sm_75 to sm_120: attribute 0x17 has for each parameter its position (16 bits at byte 4), its offset (at byte 6)
and, from bit 18 of the word at byte 8 on, its size; attribute 0x19 the size of them all.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from jitload.errors import LoadError
from jitload.images.cubin import name_sections, number_kernels, read_sections, section_bytes
from jitload.images.resources import read_attributes
from jitload.values import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARAMETER, _ALL_BYTES = 0x17, 0x19
_ROW = Struct("<4xHHI")

if TYPE_CHECKING:
    Layout = list[tuple[int, int]]


def read_layouts(cubin: bytes) -> dict[str, Layout]:
    """(offset, size) of the parameters of every kernel, in order, by its symbol; without those that do not tell.

    Raises:
        LoadError: not a cubin, or one of these sections is damaged.
    """
    sections = read_sections(cubin)
    named = {name: index for index, name in reversed(name_sections(cubin, sections).items())}
    found: dict[str, Layout] = {}
    for symbol in number_kernels(cubin, sections).values():
        index = named.get(f".nv.info.{symbol}")
        rows = {} if index is None else _rows(read_attributes(section_bytes(cubin, sections[index])))
        if rows is not None and sorted(rows) == list(range(len(rows))):
            found[symbol] = [rows[position] for position in range(len(rows))]
    return found


def known_layouts(cubin: bytes) -> dict[str, Layout]:
    """`read_layouts`, or nothing where they cannot be read."""
    try:
        return read_layouts(cubin)
    except LoadError:
        return {}


def plain_parameter(offset: int, size: int) -> Parameter:
    """A parameter of which only the place is known: bits that take integers, typed NumPy scalars, or pointers."""
    plain = size in {1, 2, 4, 8}
    pointer = None if size == 8 else False
    return Parameter(offset, size, size if plain else 1, f"b{8 * size}" if plain else "b8", pointer=pointer)


def _rows(attributes: Iterable[tuple[int, bytes]]) -> dict[int, tuple[int, int]] | None:
    """Position -> (offset, size); None where there are parameters and no word about them."""
    rows: dict[int, tuple[int, int]] = {}
    together = 0
    for attribute, value in attributes:
        if attribute == _PARAMETER and len(value) == _ROW.size:
            position, offset, packed = _ROW.unpack(value)
            rows[position] = offset, packed >> 18
        elif attribute == _ALL_BYTES and len(value) >= 2:
            together = int.from_bytes(value[:2], "little")
    return rows if rows or not together else None
