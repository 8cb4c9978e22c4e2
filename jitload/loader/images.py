"""Structural checks of images, before a driver or linker sees them.

`cuLibraryLoadData` gets a pointer without a size: the driver reads as far as the image itself claims to reach. These
checks make sure that what it claims is what is there. They say nothing about the code inside: that is the business of
digests and signatures.

Nothing is allocated because a length field asks for it, and whatever the bytes are, the answer is yes or `LoadError`.
"""

from __future__ import annotations

import re
from struct import Struct

from jitload.errors import LoadError
from jitload.loader.cubin import ELF_MAGIC, EM_CUDA, cubin_arch, kernel_symbols, verify_cubin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["cubin_arch", "kernel_symbols", "ptx_entries", "ptx_target", "sniff_kind", "verify_image"]

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

#: The directives of a PTX file must come before this byte. NVRTC needs 300; a licence text in a comment still fits.
PTX_HEAD_BYTES = 1 << 16
# White space and closed comments; no two alternatives can start alike, so a hostile text costs linear time.
_BLANKS = re.compile(rb"(?:[ \t\r\n\f\v]+|//[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*")
_OPTIONS = re.compile(rb"(?:\s*,\s*[a-z0-9_]+)*")  # .target sm_90, texmode_unified, debug
# Comments and strings first, so that what they hold is not taken for a directive; an open comment goes to the end.
_ENTRY = re.compile(rb'//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|"[^"\n]*"|\.entry\s+([A-Za-z_$%][\w$]*)')
_WORD = re.compile(rb"[^ \t\r\n\f\v,/\0]+")


def verify_image(kind: str, data: bytes, arch: str | None = None) -> None:
    """Check that an image is what its kind says, all of it there, as far as its structure shows.

    Args:
        kind: "cubin", "ptx", "fatbin" or "ltoir".
        data: the image.
        arch: the arch that a cubin or PTX must be for, e.g. "sm_90a"; fatbins and LTO-IR are not asked.

    Raises:
        LoadError: what is wrong, what was expected and what came.
        ValueError: no check is known for this kind.
    """
    if kind == "cubin":
        verify_cubin(data, arch)
    elif kind == "ptx":
        target = ptx_target(data)[1]
        if arch is not None and target.removeprefix("sm_") != arch.partition("_")[2]:
            _refuse("PTX", f".target is {target}, expected {arch}")
        _verify_text(data)
    elif kind == "fatbin":
        _verify_fatbin(data)
    elif kind == "ltoir":
        _verify_ltoir(data)
    else:
        raise ValueError(f"no structural check for kind {str(kind)!r}, there is one for cubin, fatbin, ltoir and ptx")


def sniff_kind(data: bytes) -> str | None:
    """The kind that the first bytes of an image show, or None."""
    if data[:4] == ELF_MAGIC:
        return "cubin" if int.from_bytes(data[18:20], "little") == EM_CUDA else None
    magic = int.from_bytes(data[:4], "little")
    if magic == FATBIN_MAGIC:
        return "fatbin"
    if magic == LTOIR_MAGIC:
        return "ltoir"
    head = data[:PTX_HEAD_BYTES]
    return "ptx" if head.startswith(b".version", _skip(_BLANKS, head, 0)) else None


def ptx_target(data: bytes) -> tuple[str, str]:
    """The PTX ISA version and the target of a PTX text, e.g. ("8.8", "sm_90a").

    Both directives must open the file, and `.address_size` must follow (PTX ISA section 11.1, PTX Module Directives).

    Raises:
        LoadError: a directive is missing or malformed.
    """
    head = data[:PTX_HEAD_BYTES]
    version, at = _directive(head, 0, b".version")
    major, dot, minor = version.partition(".")
    if not (dot and _is_number(major) and _is_number(minor)):
        _refuse("PTX", f".version is {version!r}, expected a number such as 8.8")
    target, at = _directive(head, at, b".target")
    if not target.startswith("sm_") or not _is_number(target[3:-1] if target[-1] in "af" else target[3:]):
        _refuse("PTX", f".target is {target!r}, expected a name such as sm_90")
    address_size, _ = _directive(head, _skip(_OPTIONS, head, at), b".address_size")
    if address_size != "64":
        _refuse("PTX", f".address_size is {address_size!r}, expected 64")
    return version, target


def ptx_entries(data: bytes) -> tuple[str, ...]:
    """The kernels in a PTX text, in order (PTX ISA section 11.2.1, `.entry`)."""
    names = (match[1] for match in _ENTRY.finditer(data))
    return tuple(dict.fromkeys(name.decode() for name in names if name is not None))


def _directive(head: bytes, at: int, name: bytes) -> tuple[str, int]:
    """The word after the directive that must stand next, and where it ends."""
    at = _skip(_BLANKS, head, at)
    if not head.startswith(name, at):
        found = head[at : at + 24] if at < len(head) else b"the end"
        _refuse("PTX", f"expected {name.decode()} at byte {at}, found {found!r}")
    word = _WORD.match(head, _skip(_BLANKS, head, at + len(name)))
    if word is None:
        _refuse("PTX", f"{name.decode()} without a value at byte {at}")
    return word[0].decode("latin-1"), word.end()


def _skip(pattern: re.Pattern[bytes], head: bytes, at: int) -> int:
    """The byte after what matches at `at`."""
    match = pattern.match(head, at)
    return match.end() if match else at


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _verify_text(data: bytes) -> None:
    # NVRTC counts the C string's NUL into the size of its PTX (nvrtcGetPTXSize), so one at the very end is normal.
    nul = data.find(b"\0")
    if 0 <= nul < len(data) - 1:
        _refuse("PTX", f"NUL at byte {nul} of {len(data)}: the driver would stop reading there")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            _refuse("PTX", f"byte {error.start} is not UTF-8")


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
    kind = {"PTX": "ptx", "LTO-IR": "ltoir"}.get(what, what)
    raise LoadError(f"not usable {what}: {why}" if kind != what else f"not a usable {what}: {why}", kind=kind)
