"""What each kernel of a cubin takes of a multiprocessor: read from the file, so no GPU is asked.

Where it is written, measured on cubins of NVRTC 12.9 and 13.5 for sm_70 to sm_121 and compared with what `ptxas -v` and
cuobjdump print for them (NVIDIA documents none of it). ".nv.info" sections are lists of attributes: a byte for the
format, a byte for the attribute, a 16-bit word that is the value, or for format 4 the number of bytes that follow.

    .nv.info           0x2f  symbol, registers per thread        0x11  symbol, bytes of its stack frame
    .nv.info.KERNEL    0x05  the block of __launch_bounds__       0x4c  named barriers (NVRTC 13, and 12 from sm_100 on)
    .text.KERNEL       its size; in images of ABI version 7 the barriers are bits 20..26 of the section's flags
    .nv.shared.KERNEL  its size; in an executable for sm_90 on it counts the 1024 bytes that the system keeps in every
                       block, in a relocatable cubin it does not: ptxas leaves them out of its figure, and so does this
    .nv.constant0.KERNEL  its size: the parameters and what lies before them

Bytes of registers that were spilled are in no section: the compiler tells them where it is asked (compiler/ptxas.py).
They are spilled to the stack frame, so a kernel without one has none (compared with ptxas over kernels that spill,
call, recurse and print, with and without -G, -rdc=true, -maxrregcount and spilling to shared memory).
"""

from __future__ import annotations

from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING

from jitload.errors import LoadError
from jitload.images.check import cubins_in, verify_image
from jitload.images.cubin import ET_EXEC, name_sections, number_kernels, read_sections, section_bytes, sm_number
from jitload.images.multiprocessor import launchable_threads
from jitload.values import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jitload.images.cubin import Section
    from jitload.values import Image

_REGISTERS, _FRAME, _BOUND, _BARRIERS = 0x2F, 0x11, 0x05, 0x4C
_SIZED = 4  # the format whose value follows
_RESERVED_SHARED_BYTES, _RESERVED_IN_SECTIONS_FROM = 1024, 90
NOTHING: Mapping[str, tuple[int, int]] = MappingProxyType({})

_PAIR = Struct("<II")
_DIM3 = Struct("<III")


def read_resources(cubin: bytes, spilled: Mapping[str, tuple[int, int]] = NOTHING) -> dict[str, Resources]:
    """The resources of every kernel in a cubin, by symbol.

    Args:
        cubin: the image.
        spilled: symbol -> bytes of spill stores and of spill loads, as far as the compiler told them. A kernel without
            a stack frame has none, since there is no other place for them; of another one they are None.

    Raises:
        LoadError: not a cubin, or one of these sections is damaged.
    """
    sections = read_sections(cubin)
    kernels = number_kernels(cubin, sections)
    # The first of a name counts; the compiler gives no name twice.
    named = {name: index for index, name in reversed(name_sections(cubin, sections).items())}
    common = _Info(cubin, sections, named.get(".nv.info"))
    executable = int.from_bytes(cubin[16:18], "little") == ET_EXEC
    reserved = _RESERVED_SHARED_BYTES if executable and sm_number(cubin) >= _RESERVED_IN_SECTIONS_FROM else 0
    found = {}
    for row, symbol in kernels.items():
        own = _Info(cubin, sections, named.get(f".nv.info.{symbol}"))
        text, shared, constants = (named.get(f".{part}.{symbol}", 0) for part in ("text", "nv.shared", "nv.constant0"))
        registers, stack_bytes = common.of_symbol(_REGISTERS, row), common.of_symbol(_FRAME, row)
        store, load = spilled.get(symbol, (None, None) if stack_bytes else (0, 0))
        found[symbol] = Resources(
            registers=registers,
            stack_bytes=stack_bytes,
            shared_bytes=max(0, sections[shared][3] - reserved) if shared else 0,
            spill_store_bytes=store,
            spill_load_bytes=load,
            constant_bytes=sections[constants][3] if constants else 0,
            code_bytes=sections[text][3] if text else 0,
            barriers=own.barriers or _flagged_barriers(cubin, text),
            max_threads=launchable_threads(registers, own.bound),
        )
    return found


def known_resources(cubin: bytes, spilled: Mapping[str, tuple[int, int]] = NOTHING) -> dict[str, Resources]:
    """`read_resources`, or nothing where they cannot be read: that is no reason to do without the image."""
    try:
        return read_resources(cubin, spilled)
    except LoadError:
        return {}


def resources_by_arch(artifact: Image) -> dict[str, dict[str, Resources]]:
    """Arch -> the name that the user wrote -> resources, of the machine code in an artifact.

    That is one arch for a cubin, each "sm_*" of a fatbin, and none for PTX and LTO-IR.

    Raises:
        LoadError: a fatbin is damaged.
    """
    if artifact.kind == "cubin":
        return {artifact.arch: {name: info.resources for name, info in artifact.kernels.items() if info.resources}}
    if artifact.kind != "fatbin":
        return {}
    verify_image("fatbin", artifact.data)
    archs = [arch for arch in artifact.arch.split(",") if arch.startswith("sm_")]
    images: dict[str, dict[str, Resources]] = {}
    for cubin in cubins_in(artifact.data):
        number = sm_number(cubin)  # a letter is not always written in the file
        arch = next((one for one in archs if one.removeprefix("sm_").rstrip("af") == str(number)), f"sm_{number}")
        archs = [one for one in archs if one != arch]
        found = known_resources(cubin)
        names = {name: info.symbol for name, info in artifact.kernels.items()}
        images[arch] = {name: found[symbol] for name, symbol in names.items() if symbol in found}
    return images


class _Info:
    """The attributes of a section .nv.info."""

    def __init__(self, cubin: bytes, sections: list[Section], index: int | None) -> None:
        self._symbols: dict[tuple[int, int], int] = {}
        self.bound: int | None = None
        self.barriers = 0
        for attribute, value in read_attributes(b"" if index is None else section_bytes(cubin, sections[index])):
            if attribute in {_REGISTERS, _FRAME} and len(value) == _PAIR.size:
                row, number = _PAIR.unpack(value)
                self._symbols[attribute, row] = number
            elif attribute == _BOUND and len(value) == _DIM3.size:
                x, y, z = _DIM3.unpack(value)
                self.bound = x * y * z
            elif attribute == _BARRIERS and value:
                self.barriers = value[0]

    def of_symbol(self, attribute: int, row: int) -> int:
        """The value that the symbol in that row has, 0 where none is written."""
        return self._symbols.get((attribute, row), 0)


def read_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(attribute, value) of what a section .nv.info lists.

    Raises:
        LoadError: one of them has no end.
    """
    at = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "little") if data[at] == _SIZED else 0
        value = data[at + 4 : at + 4 + size] if size else data[at + 2 : at + 4]
        if at + 4 + size > len(data):
            raise LoadError(f"not a usable cubin: attribute {data[at + 1]:#x} of .nv.info has no end", kind="cubin")
        yield data[at + 1], value
        at += 4 + size


def _flagged_barriers(cubin: bytes, text: int) -> int:
    """The barriers in the flags of a section of code, where the ABI version has them there."""
    if not text or cubin[8] != 7:
        return 0
    start = int.from_bytes(cubin[40:48], "little") + text * 64  # e_shoff; a section header has 64 bytes
    return int.from_bytes(cubin[start + 8 : start + 16], "little") >> 20 & 0x7F
