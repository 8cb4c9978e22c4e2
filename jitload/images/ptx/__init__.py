"""PTX text: the checks that a hit pays for, of the directives that must open it and that it is text to its end.

What reads more of it lies beside: tokens, declarations, and the entries of a text. The executor reads bodies with them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.errors import LoadError

if TYPE_CHECKING:
    from typing import NoReturn

#: The directives of a PTX file must come before this byte. NVRTC needs 300; a licence text in a comment still fits.
PTX_HEAD_BYTES = 1 << 16
# White space and closed comments; no two alternatives can start alike, so a hostile text costs linear time.
_BLANKS = re.compile(rb"(?:[ \t\r\n\f\v]+|//[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*")
_OPTIONS = re.compile(rb"(?:\s*,\s*[a-z0-9_]+)*")  # .target sm_90, texmode_unified, debug
_WORD = re.compile(rb"[^ \t\r\n\f\v,/\0]+")


def verify_ptx(data: bytes, arch: str | None = None) -> None:
    """Check that a text is PTX, for an arch where one is given.

    Raises:
        LoadError: what was expected and what came.
    """
    target = ptx_target(data)[1]
    if arch is not None and target.removeprefix("sm_") != arch.partition("_")[2]:
        _refuse(f".target is {target}, expected {arch}")
    _verify_text(data)


def is_debug_ptx(data: bytes) -> bool:
    """Whether a PTX text was made without optimization (`-G`): its target has the option `debug`.

    Raises:
        LoadError: a directive is missing or malformed.
    """
    options = _head(data)[2].split(b",")
    return b"debug" in [option.strip() for option in options]


def begins_ptx(data: bytes) -> bool:
    """Whether a text begins as PTX does."""
    head = data[:PTX_HEAD_BYTES]
    return head.startswith(b".version", _skip(_BLANKS, head, 0))


def ptx_target(data: bytes) -> tuple[str, str]:
    """The PTX ISA version and the target of a PTX text, e.g. ("8.8", "sm_90a").

    Both directives must open the file, and `.address_size` must follow (PTX ISA section 11.1, PTX Module Directives).

    Raises:
        LoadError: a directive is missing or malformed.
    """
    return _head(data)[:2]


def _head(data: bytes) -> tuple[str, str, bytes]:
    """The version, the target, and the options of the target as they are written."""
    head = data[:PTX_HEAD_BYTES]
    version, at = _directive(head, 0, b".version")
    major, dot, minor = version.partition(".")
    if not (dot and _is_number(major) and _is_number(minor)):
        _refuse(f".version is {version!r}, expected a number such as 8.8")
    target, at = _directive(head, at, b".target")
    if not target.startswith("sm_") or not _is_number(target[3:-1] if target[-1] in "af" else target[3:]):
        _refuse(f".target is {target!r}, expected a name such as sm_90")
    end = _skip(_OPTIONS, head, at)
    address_size, _ = _directive(head, end, b".address_size")
    if address_size != "64":
        _refuse(f".address_size is {address_size!r}, expected 64")
    return version, target, head[at:end]


def _directive(head: bytes, at: int, name: bytes) -> tuple[str, int]:
    """The word after the directive that must stand next, and where it ends."""
    at = _skip(_BLANKS, head, at)
    if not head.startswith(name, at):
        found = head[at : at + 24] if at < len(head) else b"the end"
        _refuse(f"expected {name.decode()} at byte {at}, found {found!r}")
    word = _WORD.match(head, _skip(_BLANKS, head, at + len(name)))
    if word is None:
        _refuse(f"{name.decode()} without a value at byte {at}")
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
        _refuse(f"NUL at byte {nul} of {len(data)}: the driver would stop reading there")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            _refuse(f"byte {error.start} is not UTF-8")


def _refuse(why: str) -> NoReturn:
    raise LoadError(f"not usable PTX: {why}", kind="ptx")
