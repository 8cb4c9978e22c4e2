r"""Reading cubins: ELF64 files for the machine EM_CUDA.

What the loader needs and no more: are the tables and sections inside the file, which GPU is it for, which kernels does
it hold. Offsets and counts in the file are compared with its size before they are used.

Where the target is written, measured on the cubins of NVRTC 12.1, 12.6, 12.9 and 13.5 for sm_50 to sm_121 (the flag
names are LLVM's, llvm/BinaryFormat/ELF.h; NVIDIA documents none of it):

    EI_ABIVERSION 7   e_flags bits 0..7 sm number, 16..23 the PTX target it was made from, 0x100 unified textures,
                      0x400 64-bit addresses, 0x800 "a" (EF_CUDA_ACCELERATORS_V1): sm_90 0x5a055a, sm_90a 0x5a0d5a.
                      NVRTC up to 12.9 for everything before sm_100.
    EI_ABIVERSION 8   bits 8..15 sm number, 0x8 "a" (EF_CUDA_ACCELERATORS): sm_100 0x6006402, sm_100a 0x600640a.
                      NVRTC 12.9 from sm_100 on; NVRTC 13 for everything, but without the "a" bit: there sm_90a and
                      sm_90 both say 0x6005a04 and attribute 9 of the section .nv.compat tells them apart (1 is "a").

A family target ("sm_100f") is marked nowhere; only the free text of a tool's note differs.
"""

from __future__ import annotations

from struct import Struct

from jitload.errors import LoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

ELF_MAGIC = b"\x7fELF"
EM_CUDA = 190
ET_REL, ET_EXEC = 1, 2
SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS, SHT_CUDA_COMPAT = 2, 3, 8, 0x70000086
# Sections that take place in memory and have no bytes in the file. The others are those of relocatable cubins (measured
# on NVRTC 12.1 to 13.5): .nv.global, .nv.local, .nv.shared.* and .nv.shared.reserved.0; linked, they are SHT_NOBITS.
NO_BYTES = frozenset({SHT_NOBITS, 0x70000007, 0x70000009, 0x7000000A, 0x70000015})
SHN_XINDEX = 0xFFFF
STT_OBJECT, STT_FUNC = 1, 2
STO_CUDA_ENTRY = 0x10  # st_other of a kernel; device functions do not have it
COMPAT_ARCH_SPECIFIC = 9
# Names may share their endings in a string table, but thousands of names that are each the whole table are an attack.
MOST_NAME_BYTES_PER_BYTE = 16
LOWEST_SM = 20  # no toolkit has made a cubin for less since CUDA 7

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = Struct("<8xQ16xQ16x")  # file offset, bytes in the file
_SECTION = Struct("<II16xQQI20x")  # offset of the name, type, file offset, bytes, link
_SYMBOL = Struct("<IBBH16x")  # offset of the name, info, other, section

if TYPE_CHECKING:
    Section = tuple[int, int, int, int, int]


def read_sections(data: bytes) -> list[Section]:
    """The section headers of a cubin, after checking everything that leads to them.

    Raises:
        LoadError: not an ELF64 cubin, or a table, section or segment does not lie inside the file.
    """
    if len(data) < _HEADER.size:
        _refuse(f"{len(data)} bytes, an ELF64 header alone takes {_HEADER.size}")
    ident, kind, machine, _, _, segments_at, sections_at, _, _, segment_bytes, segments, section_bytes, count, names = (
        _HEADER.unpack_from(data)
    )
    if ident[:4] != ELF_MAGIC:
        _refuse(f"starts with {ident[:4]!r}, expected {ELF_MAGIC!r}")
    if ident[4:7] != b"\x02\x01\x01":
        _refuse(f"ELF class, byte order and version {ident[4:7].hex(' ')}, expected 02 01 01 (64-bit, little-endian)")
    if machine != EM_CUDA:
        _refuse(f"ELF machine {machine}, expected {EM_CUDA} (EM_CUDA)")
    if kind not in (ET_EXEC, ET_REL):
        _refuse(f"ELF type {kind}, expected {ET_EXEC} (executable) or {ET_REL} (relocatable)")
    if segments:
        _check_segments(data, segments_at, segment_bytes, segments)
    if section_bytes != _SECTION.size:
        _refuse(f"section headers of {section_bytes} bytes, expected {_SECTION.size}")
    if not _HEADER.size <= sections_at <= len(data) - _SECTION.size:
        _refuse(f"section table at byte {sections_at}, the image has {len(data)}")
    first = _SECTION.unpack_from(data, sections_at)
    # Numbers too large for the file header stand in section 0 (System V ABI, "Section Header", e_shnum, e_shstrndx).
    count = count or first[3]
    names = first[4] if names == SHN_XINDEX else names
    end = sections_at + count * _SECTION.size
    if end > len(data):
        _refuse(f"{count} section headers end at byte {end}, the image has {len(data)}")
    sections: list[Section] = list(_SECTION.iter_unpack(data[sections_at:end]))
    _check_sections(data, sections, names)
    return sections


def verify_cubin(data: bytes, arch: str | None = None) -> None:
    """Check the structure of a cubin, and that it is for `arch` if one is given.

    Raises:
        LoadError: what is wrong, what was expected.
    """
    sections = read_sections(data)
    if arch is None:
        return
    found = _arch(data, sections)
    # "a" is not always marked, "f" never is: a missing letter proves nothing, a wrong one does.
    wanted = arch.removeprefix("sm_")
    if found.removeprefix("sm_") not in (wanted, wanted.rstrip("af")):
        _refuse(f"it is for {found}, expected {arch}")


def refuse_relocatable_cubin(data: bytes) -> None:
    """Nothing for a cubin that is a whole program.

    Args:
        data: a cubin that `verify_cubin` has let pass.

    Raises:
        LoadError: it is a part of one, to be linked; what a driver says about it names no reason.
    """
    if int.from_bytes(data[16:18], "little") == ET_REL:
        raise LoadError(
            "this cubin is relocatable (compiled with -rdc=true), a part of a program that cannot be loaded by itself: "
            "link it with what it refers to, `jitload.link([...])`, or compile it without -rdc=true",
            kind="cubin",
        )


def cubin_arch(data: bytes) -> str:
    """The GPU that a cubin is for: "sm_90", or "sm_90a" where the file says so.

    Raises:
        LoadError: not a cubin, or of an ABI version that is not known.
    """
    return _arch(data, read_sections(data))


def kernel_symbols(data: bytes) -> tuple[str, ...]:
    """The symbols of the kernels in a cubin, in the order of its symbol table.

    Raises:
        LoadError: not a cubin, or its symbol table is damaged.
    """
    return tuple(dict.fromkeys(number_kernels(data, read_sections(data)).values()))


def variable_symbols(data: bytes) -> tuple[str, ...]:
    """The symbols of the variables in a cubin, in the order of its symbol table.

    Raises:
        LoadError: not a cubin, or its symbol table is damaged.
    """
    names = _number_symbols(data, read_sections(data), "variables", lambda info, _: info & 0xF == STT_OBJECT)
    return tuple(dict.fromkeys(names.values()))


def number_kernels(data: bytes, sections: list[Section]) -> dict[int, str]:
    """Row in the symbol table -> symbol, of the kernels of a cubin.

    Raises:
        LoadError: its symbol table is damaged.
    """
    return _number_symbols(
        data, sections, "kernels", lambda info, other: info & 0xF == STT_FUNC and other & STO_CUDA_ENTRY != 0
    )


def _number_symbols(
    data: bytes, sections: list[Section], whose: str, wanted: Callable[[int, int], bool]
) -> dict[int, str]:
    table = next((section for section in sections if section[1] == SHT_SYMTAB), None)
    if table is None:
        return {}
    _, _, start, size, link = table
    if link >= len(sections) or sections[link][1] != SHT_STRTAB:
        _refuse(f"symbol names in section {link}, which is not a string table")
    if size % _SYMBOL.size:
        _refuse(f"symbol table of {size} bytes, not a multiple of {_SYMBOL.size}")
    rows = enumerate(_SYMBOL.iter_unpack(data[start : start + size]))
    starts = {row: name_at for row, (name_at, info, other, home) in rows if home and wanted(info, other)}
    return _names(section_bytes(data, sections[link]), starts, whose)


def name_sections(data: bytes, sections: list[Section]) -> dict[int, str]:
    """Index -> name, of the sections that `read_sections` gave.

    Raises:
        LoadError: the names are damaged.
    """
    own = int.from_bytes(data[62:64], "little")  # e_shstrndx
    table = sections[sections[0][4] if own == SHN_XINDEX else own]
    return _names(
        section_bytes(data, table), {index: section[0] for index, section in enumerate(sections) if index}, "sections"
    )


def section_bytes(data: bytes, section: Section) -> bytes:
    """The bytes of a section in the file: none for one that only takes place in memory."""
    _, kind, offset, file_bytes, _ = section
    return b"" if kind in NO_BYTES else data[offset : offset + file_bytes]


def _names(table: bytes, starts: dict[int, int], whose: str) -> dict[int, str]:
    budget = MOST_NAME_BYTES_PER_BYTE * len(table)
    names = {}
    for number, start in starts.items():
        names[number] = name = _string(table, start)
        budget -= len(name)
        if budget < 0:
            _refuse(f"the names of its {whose} overlap: together they are longer than {len(table)} bytes allow")
    return names


def sm_number(data: bytes) -> int:
    """The compute capability that the file header of a cubin names: 90 for sm_90 and sm_90a.

    Raises:
        LoadError: the cubin is of an ABI version that is not known, or for no GPU.
    """
    abi, flags = data[8], int.from_bytes(data[48:52], "little")
    if abi not in (7, 8):
        _refuse(f"ELF ABI version {abi}, this jitload can tell the GPU of versions 7 and 8")
    number = flags & 0xFF if abi == 7 else flags >> 8 & 0xFF
    if number < LOWEST_SM:
        _refuse(f"e_flags {flags:#x} name sm_{number}, expected sm_{LOWEST_SM} or later")
    return number


def _arch(data: bytes, sections: list[Section]) -> str:
    number, flags = sm_number(data), data[48:50]
    specific = flags[1] & 0x8 if data[8] == 7 else flags[0] & 0x8 or _compat_says_specific(data, sections)
    return f"sm_{number}{'a' if specific else ''}"


def _compat_says_specific(data: bytes, sections: list[Section]) -> bool:
    """Whether .nv.compat has attribute 9 with value 1: "arch-specific".

    Its entries are those of .nv.info: format, attribute, then one 16-bit word that is the value, or for format 4 the
    number of bytes that follow.
    """
    section = next((section for section in sections if section[1] == SHT_CUDA_COMPAT), None)
    attributes = b"" if section is None else section_bytes(data, section)
    at = 0
    while at + 4 <= len(attributes):
        if attributes[at + 1] == COMPAT_ARCH_SPECIFIC and attributes[at] != 4:
            return attributes[at + 2] == 1
        at += 4 + (int.from_bytes(attributes[at + 2 : at + 4], "little") if attributes[at] == 4 else 0)
    return False


def _check_segments(data: bytes, start: int, header_bytes: int, count: int) -> None:
    if header_bytes != _SEGMENT.size:
        _refuse(f"program headers of {header_bytes} bytes, expected {_SEGMENT.size}")
    end = start + count * _SEGMENT.size
    if end > len(data):
        _refuse(f"{count} program headers end at byte {end}, the image has {len(data)}")
    size = len(data)
    for offset, file_bytes in _SEGMENT.iter_unpack(data[start:end]):
        if offset + file_bytes > size:
            _refuse(f"a segment ends at byte {offset + file_bytes}, the image has {size}")


def _check_sections(data: bytes, sections: list[Section], names: int) -> None:
    size = len(data)
    if not 0 < names < len(sections):
        _refuse(f"section names in section {names}, there are {len(sections)} sections")
    _, name_type, name_start, name_bytes, _ = sections[names]
    if name_type != SHT_STRTAB:
        _refuse(f"section names in section {names}, which has type {name_type:#x} and is not a string table")
    # Section 0 is no section, and its size may be the number of sections.
    for index, (name, kind, offset, file_bytes, _) in enumerate(sections[1:], 1):
        if offset + file_bytes > size and kind not in NO_BYTES:
            _refuse(f"section {index} ends at byte {offset + file_bytes}, the image has {size}")
        if name >= name_bytes:
            _refuse(f"name of section {index} at byte {name} of a table of {name_bytes}")
    if data[name_start + name_bytes - 1]:
        _refuse("the table of section names does not end with a NUL")


def _string(table: bytes, start: int) -> str:
    end = table.find(b"\0", start)
    if end < 0:
        _refuse(f"name at byte {start} of a string table of {len(table)} has no end")
    try:
        return table[start:end].decode()
    except UnicodeDecodeError:
        _refuse(f"symbol name {table[start:end]!r} is not UTF-8")


def _refuse(what: str) -> NoReturn:
    raise LoadError(f"not a usable cubin: {what}", kind="cubin")
