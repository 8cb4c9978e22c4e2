"""The memo of a compiler's identity: what hashing its libraries gave, kept in a private directory by their stamps.

    DIRECTORY/toolchain-N.json    canonical JSON: stamps of N libraries, the toolchain, and a digest over both

A memo that is not as it was written, in any place, is none: the libraries are hashed again, which takes 0.2 s.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from jitload.digest import sha256_hex
from jitload.files.directory import Directory
from jitload.format.json import canonical_json
from jitload.values import Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.files.regular import Stamp
    from jitload.format.json import Json

_MAX_BYTES = 1 << 14
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,4}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NAMES = {"nvrtc", "nvjitlink"}


def recall(directory: str | None, stamps: tuple[Stamp, ...]) -> Toolchain | None:
    """The toolchain of the libraries with these stamps, or None where no sound memo of them is."""
    if directory is None:
        return None
    try:
        memo = json.loads(Directory(directory).read(_name(stamps), _MAX_BYTES))
        return _decode(memo, stamps)
    except (OSError, ValueError, TypeError, RecursionError):
        return None  # no memo, or not one of ours


def note(directory: str | None, stamps: tuple[Stamp, ...], known: Toolchain) -> None:
    """Keep the toolchain of the libraries with these stamps; where that cannot be done, the next process hashes."""
    if directory is None:
        return
    body = {"stamps": stamps, "toolchain": [known.name, known.version, known.digest]}
    memo = canonical_json({**body, "digest": sha256_hex(canonical_json(body))})
    with suppress(OSError):
        Directory(directory).write(_name(stamps), memo, durable=False)


def _name(stamps: tuple[Stamp, ...]) -> str:
    return f"toolchain-{len(stamps)}.json"


def _decode(memo: Json, stamps: tuple[Stamp, ...]) -> Toolchain | None:
    if not isinstance(memo, dict) or memo.keys() != {"digest", "stamps", "toolchain"}:
        return None
    if memo["stamps"] != [list(stamp) for stamp in stamps]:
        return None
    body = {"stamps": memo["stamps"], "toolchain": memo["toolchain"]}
    if memo["digest"] != sha256_hex(canonical_json(body)):
        return None
    name, version, digest = memo["toolchain"]
    sound = name in _NAMES and _VERSION.match(version) and _DIGEST.match(digest)
    return Toolchain(name, version, digest) if sound else None
