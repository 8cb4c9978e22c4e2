"""Object code laid out as it runs: an image, good at any address, for which a process needs no LLVM.

What LLVM writes is filled in where it is loaded: distances between its sections. Here they are filled in once, when it
is made. An object that wants more (functions of a library, addresses), or is in another format than that of Linux on
x86-64, has no image, and LLVM loads it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# By the System V ABI, "Object Files", and its supplement for AMD64, table 4.10.
_ELF64_LITTLE, _RELOCATABLE, _X86_64 = b"\x7fELF\x02\x01", 1, 62
_SYMBOLS, _RELOCATIONS, _NO_BYTES, _UNWINDING = 2, 4, 8, 0x7000_0001
_WRITTEN, _ALLOCATED = 1, 2
_PC32, _PLT32 = 2, 4  # both the distance to what is near, where that is no function of a library
_FURTHEST = 1 << 31


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    nbytes: int
    link: int
    info: int
    align: int
    entry_bytes: int

    def cut(self, code: bytes) -> bytes:
        return code[self.offset : self.offset + self.nbytes]

    @property
    def runs(self) -> bool:
        """Whether it is part of what runs. What unwinds stacks is not: no exception goes through machine code."""
        return bool(self.flags & _ALLOCATED) and self.type != _UNWINDING


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    nbytes: int


def lay_out(code: bytes, name: str) -> tuple[bytes, int] | None:
    """(the image of an object, where a function lies in it); None where it has none."""
    machine = struct.unpack_from("<HH", code, 16)
    if not code.startswith(_ELF64_LITTLE) or machine != (_RELOCATABLE, _X86_64):
        return None
    sections = _sections(code)
    symbols = [table for table in sections if table.type == _SYMBOLS]
    if len(symbols) != 1 or any(one.runs and (one.flags & _WRITTEN or one.type == _NO_BYTES) for one in sections):
        return None
    places, image = _placed(sections, code)
    known = [_Symbol(*one) for one in struct.iter_unpack("<IBBHQQ", symbols[0].cut(code))]
    for table in sections:
        if table.type == _RELOCATIONS and table.info in places:
            for at, kind, symbol, addend in _relocations(table.cut(code)):
                target, here = known[symbol], places[table.info] + at
                if kind not in {_PC32, _PLT32} or target.section not in places:
                    return None
                distance = places[target.section] + target.value + addend - here
                if not -_FURTHEST <= distance < _FURTHEST:
                    return None
                struct.pack_into("<i", image, here, distance)
    names = sections[symbols[0].link].cut(code)
    starts = [one for one in known if names[one.name :].startswith(name.encode() + b"\0")]
    return bytes(image), places[starts[0].section] + starts[0].value


def _sections(code: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", code, 40)
    entry_bytes, count = struct.unpack_from("<HH", code, 58)
    return [_Section(*struct.unpack_from("<IIQQQQIIQQ", code, table + entry_bytes * k)) for k in range(count)]


def _placed(sections: list[_Section], code: bytes) -> tuple[dict[int, int], bytearray]:
    """(by its number, where each section that runs lies; all of them)."""
    places, image = {}, bytearray()
    for number, one in enumerate(sections):
        if one.runs:
            image += bytes(-len(image) % max(one.align, 1))
            places[number] = len(image)
            image += one.cut(code)
    return places, image


def _relocations(table: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(where, what kind, the number of a symbol, what is added)."""
    for at, info, addend in struct.iter_unpack("<QQq", table):
        yield at, info & 0xFFFF_FFFF, info >> 32, addend
