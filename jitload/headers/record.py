r"""Closure records: which headers a request had, so that a hit need not scan, and what was looked for in vain.

One record per request digest. It holds variants, the newest first; a variant is good while every header that it lists
has the same bytes and every place where it found nothing still has nothing.

    record   := "JLMANIF1" digest:64 hex "\n" body
    digest   := SHA-256 of body
    body     := canonical JSON {"request": hex, "variants": [variant, ...]}
    variant  := {"absent": [[root, relative], ...], "closure": hex, "files": [[root, relative, hex, stamp], ...],
                 "toolchain": [name, version, hex]}
    stamp    := [device, inode, size, mtime_ns, ctime_ns] of the file when it was hashed, or null

No path of the machine is in it: roots are named by their place in the request (`include/0`), so a moved checkout still
fits. The key is not in it either: it is computed from what is, so a record cannot point to a foreign entry.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain

from jitload.digest import sha256_hex
from jitload.errors import ArtifactError
from jitload.files.regular import file_stamp, open_regular
from jitload.format.json import canonical_json, read_canonical
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.values import Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.files.regular import Stamp
    from jitload.format.json import Json, JsonObject
    from jitload.headers import roots as places
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest

    FileRow = tuple[str, str, str, Stamp | None]
else:  # a request without headers has no use for it
    places = lazy("jitload.headers.roots")

MAGIC = b"JLMANIF1"
#: A request that keeps changing its headers keeps this many variants; the oldest fall out.
MAX_VARIANTS = 16
MAX_RECORD_BYTES = 64 << 20
_HEX = frozenset("0123456789abcdef")
_MANY = 10


class Variant(Value):
    """One set of headers that a request was compiled with.

    Attributes:
        closure: `Closure.digest()`.
        toolchain: the compiler that was used.
        files: (root, relative path, SHA-256 hex, stamp or None) of every header.
        absent: (root, relative path) of every place where nothing was.
    """

    __slots__ = ("absent", "closure", "files", "toolchain")
    closure: str
    toolchain: Toolchain
    files: tuple[FileRow, ...]
    absent: tuple[tuple[str, str], ...]

    def __init__(
        self, closure: str, toolchain: Toolchain, files: Iterable[FileRow], absent: Iterable[tuple[str, str]]
    ) -> None:
        self._set(closure=closure, toolchain=toolchain, files=tuple(files), absent=tuple(absent))

    def headers(self) -> dict[str, str]:
        """Virtual name -> SHA-256 (hex) of every header."""
        return {f"{places.VIRTUAL_ROOT}{root}/{relative}": digest for root, relative, digest, _ in self.files}

    def unstamped(self) -> Variant:
        """The same without the stamps of files, which only the machine that wrote them can know."""
        if all(stamp is None for _, _, _, stamp in self.files):
            return self
        files = [(root, relative, digest, None) for root, relative, digest, _ in self.files]
        return Variant(self.closure, self.toolchain, files, self.absent)


def variant_of(closure: Closure, toolchain: Toolchain) -> Variant:
    """The variant that a finished compile leaves behind."""
    files = [(h.root, h.relative, h.digest, h.stamp) for h in closure.headers.values()]
    return Variant(closure.digest(), toolchain, files, sorted(closure.absent))


def check_variant(
    variant: Variant, request: CompileRequest, toolkit: tuple[tuple[str, str], ...], *, skip_toolkit: bool = False
) -> str | None:
    """Why a variant no longer fits what lies on the disk, or None when it fits.

    Args:
        variant: the variant.
        request: the request, with its directories as they are now.
        toolkit: (root id, directory) of the toolkit; where it is empty (no compiler installed), the toolkit's headers
            are taken as recorded.
        skip_toolkit: the toolkit's headers were compared before in this process.
    """
    roots = places.Roots(request, toolkit)
    trusted = skip_toolkit or not toolkit
    given = dict(request.headers)
    for root, relative, digest, stamp in variant.files:
        if root == "headers":
            text = given.get(relative)
            if text is None or sha256_hex(text.encode("utf-8", "surrogateescape")) != digest:
                return f"header {relative!r} of headers= changed"
            continue
        if root.startswith("toolkit/") and trusted:
            continue
        if root not in roots:
            return f"{root} is no longer searched"
        # Six hundred times for CUB: no call that only a changed file needs.
        path = roots.path(root, relative)
        if path is None:
            return f"header {root}/{relative} is not where it was"
        try:
            fits = stamp is not None and file_stamp(os.stat(path)) == stamp
        except OSError:
            return f"header {path} is gone"
        if not fits and (reason := _check_file(path, digest)):
            return reason
    looks = [] if skip_toolkit else list(roots.absent_in(_names(variant, "toolkit")))
    for root in {
        root for root, _ in variant.absent if root in roots and not (trusted and root == places.STANDARD_ROOT)
    }:
        looks.append((roots.path(root, "") or "", _names(variant, root)))
    appeared = next(filter(None, (_first_in(base, names) for base, names in looks)), None)
    return None if appeared is None else f"{appeared} appeared"


def _check_file(path: str, digest: str) -> str | None:
    try:
        with open_regular(path) as file:  # only hashed: to scan it too would take ten times as long
            same = sha256_hex(file.read(places.MAX_HEADER_BYTES + 1)) == digest
    except OSError:
        return f"header {path} is gone"
    return None if same else f"header {path} changed"


def _names(variant: Variant, root: str) -> list[str]:
    return [relative for base, relative in variant.absent if base == root]


def _first_in(base: str, names: list[str]) -> str | None:
    """The first of these paths that is there now; a name with a trailing "/" is a directory or anything else."""
    beside = [name for name in names if "/" not in name[:-1]]
    deeper = [name for name in names if "/" in name[:-1]]
    candidates = names
    if len(beside) > _MANY:  # one listing costs as much as ten looks that find nothing
        with suppress(OSError):  # not there, or nothing to be listed: each is looked for
            entries = set(os.listdir(base))
            candidates = [name for name in beside if name.rstrip("/") in entries] + deeper
    for name in candidates:
        path = os.path.join(base, name)
        if os.path.lexists(path[:-1]) if name.endswith("/") else os.path.isfile(path):
            return path
    return None


def without_variant(variant: Variant, variants: Iterable[Variant]) -> list[Variant]:
    """The variants that are of other headers or of another compiler."""
    same = (variant.closure, variant.toolchain)
    return [other for other in variants if (other.closure, other.toolchain) != same]


def encode_record(request_digest: str, variants: Iterable[Variant]) -> bytes:
    """The bytes of a closure record."""
    body = canonical_json(
        {
            "request": request_digest,
            "variants": [
                {
                    "absent": variant.absent,
                    "closure": variant.closure,
                    "files": variant.files,
                    "toolchain": [variant.toolchain.name, variant.toolchain.version, variant.toolchain.digest],
                }
                for variant in list(variants)[:MAX_VARIANTS]
            ],
        }
    )
    return MAGIC + sha256_hex(body).encode() + b"\n" + body


def decode_record(data: bytes, request_digest: str) -> tuple[Variant, ...]:
    """The variants in a closure record, the newest first.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    start = len(MAGIC) + 65
    if not data.startswith(MAGIC) or len(data) < start or data[start - 1 : start] != b"\n":
        raise ArtifactError(f"not a closure record: starts with {data[:8]!r}, expected {MAGIC!r}")
    body = data[start:]
    if sha256_hex(body).encode() != data[len(MAGIC) : start - 1]:
        raise ArtifactError("closure record whose digest does not match: it was damaged or altered")
    try:
        value = read_canonical(body)
        if value["request"] != request_digest:
            raise ArtifactError(f"closure record of request {value['request']!r:.20}, not the one asked for")
        return tuple([_variant_from_json(row) for row in value["variants"][:MAX_VARIANTS]])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"closure record with unreadable contents ({type(error).__name__}: {error})") from None


def _variant_from_json(row: JsonObject) -> Variant:
    name, version, digest = row["toolchain"]
    toolchain = Toolchain(_text(name), _text(version), _hex(digest))
    files = _files_from_json(row["files"])
    absent = [(_text(root), _relative(relative)) for root, relative in row["absent"]]
    return Variant(_hex(row["closure"]), toolchain, files, absent)


def _files_from_json(rows: list[list[Json]]) -> tuple[FileRow, ...]:
    """The rows of headers, checked by the column: CUB has six hundred, and each call per row would cost 1 ms."""
    if not rows:
        return ()
    roots, relatives, digests, stamps = zip(*rows, strict=True)
    _text("".join(roots))
    _text("".join(relatives))
    _expect_hex("".join(digests), len(rows))
    if {64} != set(map(len, digests)) or "\0/" in "\0" + "\0".join(relatives):
        raise ValueError("a header with an absolute path, or with a digest of another length")
    known = [stamp for stamp in stamps if stamp is not None]
    if {*map(type, known)} - {list} or {*map(len, known)} - {5} or {*map(type, chain.from_iterable(known))} - {int}:
        raise TypeError("a stamp that is not five integers")
    return tuple(zip(roots, relatives, digests, [stamp and tuple(stamp) for stamp in stamps], strict=True))


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"expected text, got {value!r:.40}")
    return value


def _relative(value: object) -> str:
    text = _text(value)
    if text.startswith("/"):
        raise ValueError(f"expected a relative path, got {text!r:.80}")
    return text


def _hex(value: object) -> str:
    text = _text(value)
    _expect_hex(text, 1)
    return text


def _expect_hex(text: str, count: int) -> None:
    if len(text) != 64 * count or not _HEX.issuperset(text):
        raise ValueError(f"expected 64 hex digits, got {text!r:.80}")
