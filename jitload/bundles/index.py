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

_ROW = struct.Struct("<32sQQ32s")
_LANE = (1 << 64) - 1


def encode_row(request: bytes, offset: int, size: int, digest: bytes) -> bytes:
    """One row."""
    return _ROW.pack(request, offset, size, digest)


def check_index(index: bytes, blobs_start: int, blobs_end: int) -> array[int]:
    """The first 64 bits of every request, in order, of an index whose order and places are right.

    Each column is one large integer here, with a lane of 64 bits for a row: a loop over ten thousand rows would take
    three times the budget for opening a bundle.

    Raises:
        BundleError: the order or a place is wrong.
    """
    words = array("Q", index)
    if sys.byteorder == "big":
        words.byteswap()
    step = ROW_BYTES // 8
    offsets, sizes = words[4::step], words[5::step]
    rows = len(offsets)
    following = (offsets + array("Q", (blobs_end,)))[1:]
    begin, size, end = _lanes(offsets), _lanes(sizes), _lanes(following)
    # In order and without gaps: nothing can overlap, hide between blobs, or reach beyond the end. Where no number has
    # its two highest bits set, no sum reaches into the next lane.
    first = offsets[0] if rows else blobs_end
    plain = not (begin | size | end) & _repeat(3 << 62, rows)
    ends = (begin + size + _repeat(ALIGN - 1, rows)) & _repeat(-ALIGN & _LANE, rows)
    if first != blobs_start or not plain or ends != end:
        raise BundleError("bundle with blobs that overlap, leave gaps, or do not end where it ends")
    words.byteswap()
    prefixes = words[0::step]
    if sys.byteorder == "big":
        prefixes.byteswap()
    # The first 63 bits tell digests apart; where they do not, the whole of them is compared.
    if not _is_rising(prefixes):
        requests = request_column(index)
        if not all(map(lt, requests, islice(requests, 1, None))):
            raise BundleError("bundle with an index that is not sorted, or holds a request twice")
    return prefixes


def _is_rising(words: array[int]) -> bool:
    """Whether each word is greater than the one before it by its upper 63 bits."""
    pairs = len(words) - 1
    if pairs < 1:
        return True
    below, high, ones = _repeat(_LANE >> 1, pairs), _repeat(1 << 63, pairs), _repeat(1, pairs)
    before, after = _lanes(words[:-1]) >> 1 & below, _lanes(words[1:]) >> 1 & below
    # after + 2**63 - before - 1 keeps the highest bit of its lane if and only if after > before.
    return ((after | high) - before - ones) & high == high


def _lanes(words: array[int]) -> int:
    return int.from_bytes(words.tobytes(), sys.byteorder)


def _repeat(word: int, count: int) -> int:
    return _lanes(array("Q", (word,)) * count)


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
