"""The index of a bundle (format.py): its order and places checked at opening, its rows found by binary search."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from itertools import islice
from operator import lt

from jitload.errors import BundleError

ROW_BYTES = 80
ALIGN = 64
#: For five times as many kernels as the largest applications have: 20 MiB of index.
MAX_ROWS = 1 << 18
#: Below this is room for the largest entry, and more; `_has_no_gaps` sees it by single bytes.
MAX_BLOB_BYTES = 1 << 31

_ROW = struct.Struct("<32sQQ32s")
#: Where the columns begin within a row.
_REQUEST, _OFFSET, _SIZE = 0, 32, 40
#: The lowest byte of a multiple of 64, and the bits that are not set in a number below 64.
_ALIGNED_BYTES, _TOO_MUCH_PADDING = bytes(range(0, 256, ALIGN)), (-ALIGN & (1 << 64) - 1).to_bytes(8, "little")


def encode_row(request: bytes, offset: int, size: int, digest: bytes) -> bytes:
    """One row."""
    return _ROW.pack(request, offset, size, digest)


def check_index(index: bytes, blobs_start: int, blobs_end: int) -> array[int]:
    """The first 64 bits of every request, in order, of an index whose order and places are right.

    A loop over ten thousand rows would take three times the budget for opening a bundle. So each column is looked at as
    bytes, or as one large integer with a lane of 64 bits for a row.

    Raises:
        BundleError: the order or a place is wrong.
    """
    if not _has_no_gaps(index, blobs_start, blobs_end):
        raise BundleError(
            "bundle with blobs that overlap, leave gaps, do not end where it ends, or take 2 GiB and more"
        )
    prefixes = array("Q", _column(index, _REQUEST))
    if sys.byteorder == "little":
        prefixes.byteswap()
    # The first 63 bits tell digests apart; where they do not, the whole of them is compared.
    if not is_rising(prefixes):
        requests = request_column(index)
        if not all(map(lt, requests, islice(requests, 1, None))):
            raise BundleError("bundle with an index that is not sorted, or holds a request twice")
    return prefixes


def _has_no_gaps(index: bytes, start: int, end: int) -> bool:
    """Whether the blobs lie one behind the other from `start` to `end`, each aligned: nothing overlaps or hides."""
    rows = len(index) // ROW_BYTES
    if not rows:
        return start == end
    # Offsets below 2**56: what is computed below then fits its lane. Sizes below `MAX_BLOB_BYTES`.
    high = [index[at::ROW_BYTES] for at in (_OFFSET + 7, *range(_SIZE + 4, _SIZE + 8))]
    small = not b"".join(high).strip(b"\0") and max(index[_SIZE + 3 :: ROW_BYTES]) < 128
    is_aligned = not index[_OFFSET::ROW_BYTES].translate(None, _ALIGNED_BYTES)
    if not (small and is_aligned) or index[_OFFSET : _OFFSET + 8] != start.to_bytes(8, "little"):
        return False
    offsets = int.from_bytes(_column(index, _OFFSET), "little")
    sizes = int.from_bytes(_column(index, _SIZE), "little")
    following = (offsets >> 64) | (end << 64 * (rows - 1))
    # What each blob leaves to the next multiple of 64. The lowest lane that were negative would have borrowed from the
    # one above it, and be huge itself.
    padding = following - offsets - sizes
    too_much = int.from_bytes(_TOO_MUCH_PADDING * rows, "little")
    return padding >= 0 and not padding & too_much


def _column(index: bytes, start: int) -> bytes:
    """Eight bytes of every row."""
    return memoryview(index).cast("Q")[start // 8 :: ROW_BYTES // 8].tobytes()


def is_rising(words: array[int]) -> bool:
    """Whether each word is greater than the one before it by its upper 63 bits."""
    pairs = len(words) - 1
    if pairs < 1:
        return True
    if sys.byteorder == "big":
        words = array("Q", words)
        words.byteswap()
    lanes = int.from_bytes(words.tobytes(), "little")
    below = int.from_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" * pairs, "little")
    high = int.from_bytes(b"\0\0\0\0\0\0\0\x80" * pairs, "little")
    # after - before + 2**63 - 1 has the highest bit of its lane if and only if after > before.
    return ((lanes >> 65 & below) + below - (lanes >> 1 & below)) & high == high


def request_column(index: bytes) -> list[bytes]:
    """The request of every row."""
    return [index[at : at + 32] for at in range(0, len(index), ROW_BYTES)]


def find_row(index: bytes, prefixes: array[int], request: bytes) -> tuple[int, int, bytes] | None:
    """(offset, bytes, digest) of the blob of a request, by binary search; None where it has no row."""
    prefix = int.from_bytes(request[:8], "big")
    row = bisect_left(prefixes, prefix)
    while row < len(prefixes) and prefixes[row] == prefix:
        found, offset, size, digest = _ROW.unpack_from(index, row * ROW_BYTES)
        if found == request:
            return offset, size, digest
        row += 1
    return None
