"""The memo of a compiler's identity: what hashing its libraries gave, kept in a private directory by their stamps.

    DIRECTORY/toolchain-N.json    a memo: stamps of N libraries, and the toolchain

A memo that is not as it was written, in any place, is none: the libraries are hashed again, which takes 0.2 s.
"""

from __future__ import annotations

from contextlib import suppress

from jitload.files.directory import Directory
from jitload.format.json import decode_memo, encode_memo
from jitload.values import Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.files.regular import Stamp

_MAX_BYTES = 1 << 14
_HEX = frozenset("0123456789abcdef")
_NAMES = ("nvrtc", "nvjitlink")


def recall(directory: str | None, stamps: tuple[Stamp, ...]) -> Toolchain | None:
    """The toolchain of the libraries with these stamps, or None where no sound memo of them is."""
    if directory is None:
        return None
    try:
        body = decode_memo(Directory(directory).read(_name(stamps), _MAX_BYTES))
        if body.keys() != {"stamps", "toolchain"} or body["stamps"] != [list(stamp) for stamp in stamps]:
            return None
        name, version, digest = body["toolchain"]
    except (OSError, ValueError, TypeError):
        return None  # no memo, or not one of ours
    return Toolchain(name, version, digest) if name in _NAMES and _is_version(version) and _is_digest(digest) else None


def note(directory: str | None, stamps: tuple[Stamp, ...], known: Toolchain) -> None:
    """Keep the toolchain of the libraries with these stamps; where that cannot be done, the next process hashes."""
    if directory is None:
        return
    memo = encode_memo({"stamps": stamps, "toolchain": [known.name, known.version, known.digest]})
    with suppress(OSError):
        Directory(directory).write(_name(stamps), memo, durable=False)


def _name(stamps: tuple[Stamp, ...]) -> str:
    return f"toolchain-{len(stamps)}.json"


def _is_version(text: object) -> bool:
    """Whether it is up to five numbers of up to nine digits."""
    if not isinstance(text, str) or not text.isascii():
        return False
    numbers = text.split(".")
    return len(numbers) <= 5 and all(number.isdigit() and len(number) <= 9 for number in numbers)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text)
