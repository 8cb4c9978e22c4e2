"""Structural checks of images, before a driver or linker sees them.

`cuLibraryLoadData` gets a pointer without a size: the driver reads as far as the image itself claims to reach. These
checks make sure that what it claims is what is there. They say nothing about the code inside: that is the business of
digests and signatures.

Nothing is allocated because a length field asks for it, and whatever the bytes are, the answer is yes or `LoadError`.
"""

from __future__ import annotations

from struct import Struct

from jitload.errors import LoadError, UsageValueError
from jitload.images.cubin import (
    ELF_MAGIC,
    EM_CUDA,
    cubin_arch,
    kernel_symbols,
    refuse_relocatable_cubin,
    verify_cubin,
)
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from jitload.images import ptx
else:
    ptx = lazy("jitload.images.ptx")  # its patterns cost a millisecond, and a cubin has no use for them

__all__ = ["cubin_arch", "cubins_in", "kernel_symbols", "refuse_relocatable", "sniff_kind", "verify_image"]

# Fatbin: magic, version, bytes of this header, bytes of all entries; then entries of kind, version, bytes of the entry
# header, bytes of its payload. Measured on nvFatbin 12.9 and 13.5; entries fill the container to the last byte.
_FATBIN = Struct("<IHHQ")
_FATBIN_ENTRY = Struct("<HHIQ")
FATBIN_MAGIC = 0xBA55ED50
FATBIN_ENTRY_CUBIN = 2  # 1 is PTX and 8 is LTO-IR

# LTO-IR as nvrtcGetLTOIR gives it, the same from NVRTC 12.1 to 13.5: magic, four pairs of version bytes, the bytes of
# this header (24), another 16-bit field, then the ends of two option lists; the IR itself begins after the second.
_LTOIR = Struct("<I8sHHII")
LTOIR_MAGIC = 0x7F4E43ED


def verify_image(kind: str, data: bytes, arch: str | None = None) -> None:
    """Check that an image is what its kind says, all of it there, as far as its structure shows.

    Args:
        kind: "cubin", "ptx", "fatbin" or "ltoir".
        data: the image.
        arch: the arch that a cubin or PTX must be for, e.g. "sm_90a"; fatbins and LTO-IR are not asked.

    Raises:
        LoadError: what is wrong, what was expected and what came.
        UsageValueError: no check is known for this kind.
    """
    if kind == "cubin":
        verify_cubin(data, arch)
    elif kind == "ptx":
        ptx.verify_ptx(data, arch)
    elif kind == "fatbin":
        _verify_fatbin(data)
    elif kind == "ltoir":
        _verify_ltoir(data)
    else:
        raise UsageValueError(
            f"no structural check for kind {str(kind)!r}, there is one for cubin, fatbin, ltoir and ptx"
        )


def sniff_kind(data: bytes) -> str | None:
    """The kind that the first bytes of an image show, or None."""
    if data[:4] == ELF_MAGIC:
        return "cubin" if int.from_bytes(data[18:20], "little") == EM_CUDA else None
    magic = int.from_bytes(data[:4], "little")
    if magic == FATBIN_MAGIC:
        return "fatbin"
    if magic == LTOIR_MAGIC:
        return "ltoir"

    return "ptx" if ptx.begins_ptx(data) else None


def refuse_relocatable(kind: str, data: bytes) -> None:
    """Nothing for an image that can be loaded; a relocatable cubin has to be linked first, in a fatbin as well.

    Args:
        kind: "cubin" or "fatbin".
        data: an image that `verify_image` has let pass.

    Raises:
        LoadError: it is to be linked.
    """
    for cubin in (data,) if kind == "cubin" else cubins_in(data):
        refuse_relocatable_cubin(cubin)


def cubins_in(data: bytes) -> Iterator[bytes]:
    """The cubins in a fatbin, in order, but for those that are compressed.

    Args:
        data: a fatbin that `verify_image` has let pass.
    """
    _, _, at, entries_bytes = _FATBIN.unpack_from(data)
    end = at + entries_bytes
    while at < end:
        kind, _, header_bytes, payload_bytes = _FATBIN_ENTRY.unpack_from(data, at)
        payload = at + header_bytes
        if kind == FATBIN_ENTRY_CUBIN and data.startswith(ELF_MAGIC, payload):
            yield data[payload : payload + payload_bytes]
        at = payload + payload_bytes


def _verify_fatbin(data: bytes) -> None:
    if len(data) < _FATBIN.size:
        _refuse("fatbin", f"{len(data)} bytes, its header alone takes {_FATBIN.size}")
    magic, version, header_bytes, entries_bytes = _FATBIN.unpack_from(data)
    if magic != FATBIN_MAGIC:
        _refuse("fatbin", f"starts with {magic:#010x}, expected {FATBIN_MAGIC:#010x}")
    if version != 1:
        _refuse("fatbin", f"version {version}, expected 1")
    if header_bytes < _FATBIN.size:
        _refuse("fatbin", f"header of {header_bytes} bytes, expected at least {_FATBIN.size}")
    end = header_bytes + entries_bytes
    if end > len(data):
        _refuse("fatbin", f"its entries end at byte {end}, the image has {len(data)}")
    if not entries_bytes:
        _refuse("fatbin", "it holds nothing")
    at = header_bytes
    while at < end:
        at = _verify_fatbin_entry(data, at, end)


def _verify_fatbin_entry(data: bytes, at: int, end: int) -> int:
    """Check the entry at a byte of a fatbin whose entries end at `end`; give the byte after it."""
    if at + _FATBIN_ENTRY.size > end:
        _refuse("fatbin", f"the entry at byte {at} does not fit before byte {end}")
    kind, _, header_bytes, payload_bytes = _FATBIN_ENTRY.unpack_from(data, at)
    if header_bytes < _FATBIN_ENTRY.size:
        _refuse("fatbin", f"the entry at byte {at} has a header of {header_bytes} bytes")
    payload = at + header_bytes
    after: int = payload + payload_bytes
    if after > end:
        _refuse("fatbin", f"the entry at byte {at} ends at byte {after}, the entries end at byte {end}")
    # A compressed payload starts otherwise; what it unpacks to is the driver's to check.
    if kind == FATBIN_ENTRY_CUBIN and data.startswith(ELF_MAGIC, payload, after):
        try:
            verify_cubin(data[payload:after])
        except LoadError as error:
            raise LoadError(f"not a usable fatbin: in the entry at byte {at}: {error}", kind="fatbin") from None
    return after


def _verify_ltoir(data: bytes) -> None:
    if len(data) <= _LTOIR.size:
        _refuse("LTO-IR", f"{len(data)} bytes, its header alone takes {_LTOIR.size}")
    magic, _, header_bytes, _, first_end, second_end = _LTOIR.unpack_from(data)
    if magic != LTOIR_MAGIC:
        _refuse("LTO-IR", f"starts with {magic:#010x}, expected {LTOIR_MAGIC:#010x}")
    if not _LTOIR.size <= header_bytes <= first_end <= second_end < len(data):
        _refuse(
            "LTO-IR",
            f"header and options end at bytes {header_bytes}, {first_end} and {second_end} "
            f"of {len(data)}, expected a rising order and something after them",
        )


def _refuse(what: str, why: str) -> NoReturn:
    kind = {"LTO-IR": "ltoir"}.get(what, what)
    raise LoadError(f"not usable {what}: {why}" if kind != what else f"not a usable {what}: {why}", kind=kind)
