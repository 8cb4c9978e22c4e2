r"""The bundle format, versions 1 and 2: bytes in, checked values out, no file is touched here.

All integers are little-endian. Nothing lies between the parts but zero bytes up to the next multiple of 64, and nothing
follows the last one, so that every byte of a file is either zero for a stated reason or covered by a digest.

    bundle     := header index manifest zeros blob* sources? signatures?
    header     := magic version:u32 flags:u32 rows:u64 manifest_bytes:u64 end:u64 index:32 bytes manifest:32 bytes zeros
                  (128 bytes in all; `end` is where the part before the signatures ends; the digests are SHA-256)
    magic      := "JLBUNDL\n"
    index      := row*                       sorted by request, no request twice
    row        := request:32 bytes offset:u64 bytes:u64 digest:32 bytes
    manifest   := canonical JSON, as manifest.py has it
    blob       := count:u32 variants_bytes:u32 entry_bytes:u64 * count variants entry * count, zeros
                  (rows and blobs are in the same order, each blob begins where the one before it ends)
    variants   := a manifest of headers/record.py: which headers the request had, one variant per entry
    entry      := an entry of artifact.py
    sources    := a workload of workloads/workload.py, zeros
                  (in version 2, and only there; the manifest has its size and its SHA-256)
    signatures := as signature.py has them

The index is by request digest, because that is all a machine without a compiler can compute: the variants then give the
key of each entry. What is signed is the header, which holds the digests of index and manifest, and the index holds the
digest of every blob: so signatures are verified first, and an index that nobody vouches for is not even read. Every
length has a bound of its own besides. A bundle without sources is of version 1, which every jitload reads.
"""

from __future__ import annotations

import struct

from jitload.bundles.index import ALIGN, MAX_BLOB_BYTES, MAX_ROWS, ROW_BYTES, check_index, encode_row
from jitload.bundles.manifest import MAX_SUMMARY_BYTES, check_manifest, decode_manifest_json
from jitload.bundles.signature import HEAD as SIGNATURE_HEAD
from jitload.bundles.signature import MAX_SIGNATURE_BYTES
from jitload.digest import sha256
from jitload.errors import BundleError
from jitload.format.entry import MAX_ENTRY_BYTES
from jitload.format.json import canonical_json
from jitload.frozen import Value
from jitload.headers.record import MAX_RECORD_BYTES, MAX_VARIANTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Mapping

    from jitload.bundles.manifest import Manifest

MAGIC = b"JLBUNDL\n"
#: Of a bundle without sources, and of one with them.
VERSION, SOURCES_VERSION = 1, 2
HEADER_BYTES = 128

_HEADER = struct.Struct("<8sIIQQQ32s32s24s")
_BLOB = struct.Struct("<II")
#: As far as the figures of a blob reach at most.
BLOB_HEAD_BYTES = _BLOB.size + 8 * MAX_VARIANTS


class Header(Value):
    """The header of a bundle.

    Attributes:
        version: 1, or 2 where sources follow the blobs.
        rows: number of rows of the index.
        manifest_bytes: size of the manifest.
        end: where the last part before the signatures ends.
        index_digest: SHA-256 of the index.
        manifest_digest: SHA-256 of the manifest.
    """

    __slots__ = ("end", "index_digest", "manifest_bytes", "manifest_digest", "rows", "version")
    version: int
    rows: int
    manifest_bytes: int
    end: int
    index_digest: bytes
    manifest_digest: bytes

    def __init__(
        self, version: int, rows: int, manifest_bytes: int, end: int, index_digest: bytes, manifest_digest: bytes
    ) -> None:
        self._set(
            version=version,
            rows=rows,
            manifest_bytes=manifest_bytes,
            end=end,
            index_digest=index_digest,
            manifest_digest=manifest_digest,
        )

    @property
    def index_end(self) -> int:
        """Where the index ends and the manifest begins."""
        return HEADER_BYTES + self.rows * ROW_BYTES

    @property
    def blobs_start(self) -> int:
        """Where the first blob begins."""
        return aligned(self.index_end + self.manifest_bytes)


def aligned(offset: int) -> int:
    """The next multiple of 64."""
    return -(-offset // ALIGN) * ALIGN


def decode_header(data: bytes, file_bytes: int) -> Header:
    """The header of a bundle, every figure of it compared with the size of the file.

    Raises:
        BundleError: it is something else, of another version, or promises what the file does not hold.
    """
    if len(data) < HEADER_BYTES:
        raise BundleError(f"not a bundle: {file_bytes} bytes, the header alone takes {HEADER_BYTES}")
    magic, version, flags, rows, manifest_bytes, end, index, manifest, reserved = _HEADER.unpack(data[:HEADER_BYTES])
    if magic != MAGIC:
        raise BundleError(f"not a bundle: starts with {magic!r}, expected {MAGIC!r}")
    if version not in {VERSION, SOURCES_VERSION} or flags:
        known = f"versions {VERSION} and {SOURCES_VERSION}"
        raise BundleError(f"bundle of version {version} (flags {flags}), this jitload reads {known}")
    if any(reserved):
        raise BundleError("bundle with a header that is not zero where it must be")
    if rows > MAX_ROWS or manifest_bytes > MAX_SUMMARY_BYTES:
        most = f"{MAX_ROWS} rows and {MAX_SUMMARY_BYTES} bytes are the most"
        raise BundleError(f"bundle that promises {rows} rows and {manifest_bytes} bytes of manifest, where {most}")
    header = Header(version, rows, manifest_bytes, end, index, manifest)
    if not header.blobs_start <= end <= file_bytes or end % ALIGN:
        raise BundleError(f"bundle of {file_bytes} bytes that promises to end at {end}: truncated or altered")
    if end < file_bytes and not SIGNATURE_HEAD.size <= file_bytes - end <= MAX_SIGNATURE_BYTES:
        raise BundleError(f"bundle of {file_bytes} bytes that ends at {end}: something else follows it")
    return header


def decode_front(header: Header, index: bytes, rest: bytes) -> tuple[array[int], Manifest]:
    """What lies between the header and the first blob, checked.

    Args:
        header: the header.
        index: the index.
        rest: the manifest, and the zeros behind it.

    Returns:
        The first 64 bits of each request of the index, and the manifest.

    Raises:
        BundleError: a digest, the order, an offset or the manifest is wrong.
    """
    if len(index) + len(rest) != header.blobs_start - HEADER_BYTES:
        raise BundleError("bundle that ends within its index: truncated")
    manifest = rest[: header.manifest_bytes]
    if sha256(index) != header.index_digest:
        raise BundleError("bundle whose index does not match its digest: damaged or altered")
    if sha256(manifest) != header.manifest_digest:
        raise BundleError("bundle whose manifest does not match its digest: damaged or altered")
    if any(rest[header.manifest_bytes :]):
        raise BundleError("bundle with bytes between its parts: damaged or altered")
    summary = decode_manifest_json(manifest)
    if (header.version == SOURCES_VERSION) != ("workload_bytes" in summary):
        raise BundleError(f"bundle of version {header.version} whose manifest is of another")
    return check_index(index, header.blobs_start, blobs_end(header, summary)), summary


def blobs_end(header: Header, manifest: Manifest) -> int:
    """Where the last blob ends, and the sources begin where there are any.

    Raises:
        BundleError: the manifest promises more sources than the file holds.
    """
    end = header.end - aligned(manifest.get("workload_bytes", 0))
    if end < header.blobs_start:
        raise BundleError(f"bundle whose manifest promises {manifest['workload_bytes']} bytes of sources: altered")
    return end


def encode_blob(variants: bytes, entries: Iterable[bytes]) -> bytes:
    """The blob of one request."""
    parts = list(entries)
    sizes = struct.pack(f"<{len(parts)}Q", *map(len, parts))
    return b"".join((_BLOB.pack(len(parts), len(variants)), sizes, variants, *parts))


def split_blob(data: bytes) -> tuple[bytes, list[bytes]]:
    """The variants and the entries of a blob.

    Raises:
        BundleError: its figures do not fit its size.
    """
    parts, at = [], 0
    for size in blob_sizes(data[:BLOB_HEAD_BYTES], len(data)):
        parts.append(data[at : at + size])
        at += size
    return parts[1], parts[2:]


def blob_sizes(head: bytes, blob_bytes: int) -> list[int]:
    """The sizes of the parts of a blob: its figures, the variants, each entry.

    Args:
        head: its first `BLOB_HEAD_BYTES`, or all of it.
        blob_bytes: its size.

    Raises:
        BundleError: they do not add up.
    """
    if len(head) < _BLOB.size:
        raise BundleError(f"blob of {blob_bytes} bytes")
    count, variants_bytes = _BLOB.unpack_from(head)
    figures_bytes = _BLOB.size + 8 * count
    if not 0 < count <= MAX_VARIANTS or variants_bytes > MAX_RECORD_BYTES or len(head) < figures_bytes:
        raise BundleError(f"blob of {blob_bytes} bytes that promises {count} entries")
    sizes = struct.unpack_from(f"<{count}Q", head, _BLOB.size)
    if max(sizes) > MAX_ENTRY_BYTES or figures_bytes + variants_bytes + sum(sizes) != blob_bytes:
        raise BundleError(f"blob of {blob_bytes} bytes whose parts do not fit it")
    return [figures_bytes, variants_bytes, *sizes]


def encode_bundle(blobs: Mapping[bytes, bytes], manifest: Manifest, sources: bytes = b"") -> bytes:
    """The bytes of an unsigned bundle.

    Args:
        blobs: request (32 bytes) -> its blob.
        manifest: what `check_manifest` describes, without `workload_bytes`.
        sources: the workload whose digest the manifest has, to be carried along; b"" for none.

    Raises:
        BundleError: more than a bundle holds, or a manifest that cannot be.
    """
    if len(blobs) > MAX_ROWS:
        raise BundleError(f"{len(blobs)} requests are more than the {MAX_ROWS} that a bundle holds: make several")
    version, extra = (SOURCES_VERSION, {"workload_bytes": len(sources)}) if sources else (VERSION, {})
    summary = canonical_json(check_manifest({**manifest, **extra}))
    decode_manifest_json(summary)  # what could not be read again is not written
    if max(map(len, blobs.values()), default=0) >= MAX_BLOB_BYTES:
        raise BundleError(f"a request whose images and headers take {MAX_BLOB_BYTES} bytes or more")
    at = aligned(HEADER_BYTES + len(blobs) * ROW_BYTES + len(summary))
    rows, parts = [], []
    for request, blob in sorted(blobs.items()):
        rows.append(encode_row(request, at, len(blob), sha256(blob)))
        parts += [blob, b"\0" * (aligned(len(blob)) - len(blob))]
        at += aligned(len(blob))
    parts += [sources, b"\0" * (aligned(len(sources)) - len(sources))]
    at += aligned(len(sources))
    index = b"".join(rows)
    header = _HEADER.pack(MAGIC, version, 0, len(rows), len(summary), at, sha256(index), sha256(summary), b"")
    front = b"".join((header, index, summary))
    return b"".join((front, b"\0" * (aligned(len(front)) - len(front)), *parts))
