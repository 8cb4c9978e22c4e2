"""Matrix products of warpgroups, `wgmma` (PTX ISA section 9.7.15): fragments and matrices in shared memory.

Four warps hold 64 rows, 16 each. With e elements per register, g = lane / 4 and t = lane % 4, register r of A holds row
g + 8 * (r & 1) and columns (r >> 1) * 4e + t * e onward; element i of the accumulator is row g + 8 * (i >> 1 & 1),
column 8 * (i >> 2) + 2t + (i & 1).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.matrix import join_elements, split_elements
from jitload.cpu.lanes.product import ELEMENT_BITS

if TYPE_CHECKING:
    from jitload.cpu.types import Array

WARPGROUP = 128
ROWS = 64
#: Bytes along k of every product.
K_BYTES = 32
CHUNK = 16
_HALVES = 8  # elements of 16 bits in a chunk, the only ones that lie along m or n
#: What a descriptor calls a swizzle: the bytes over which it permutes chunks.
_WIDTHS = (16, 128, 64, 32)
_ADDRESS_BITS = 0x3FFFF


class GroupProduct(NamedTuple):
    """One `wgmma.mma_async`.

    `registers` says that A comes in registers; `turned_a` and `turned_b` that a matrix lies along m or n; `negated`
    that the product is subtracted.
    """

    n: int
    k: int
    d: str
    a: str
    b: str
    registers: bool
    negated: bool
    turned_a: bool
    turned_b: bool
    saturate: bool

    @property
    def registers_d(self) -> int:
        """Registers of the accumulator in each thread."""
        return self.n // (4 if self.d == "f16" else 2)


class Descriptor(NamedTuple):
    """Where a matrix lies: the fields of a matrix descriptor, in bytes."""

    start: int
    leading: int
    stride: int
    base: int
    width: int

    @classmethod
    def decoded(cls, word: int) -> Descriptor:
        """The fields of the 64 bits."""
        start, leading, stride = ((word >> place & 0x3FFF) << 4 for place in (0, 16, 32))
        return cls(start, leading, stride, word >> 49 & 7, _WIDTHS[word >> 62])


@lru_cache(maxsize=1024)
def chunk_addresses(
    place: Descriptor, extent: int, turned: bool, per: int = _HALVES, depth: int = 16, *, wide: bool = False
) -> Array:
    """The shared address of every chunk of 16 bytes.

    Args:
        place: where the matrix lies.
        extent: rows of A, or columns of B.
        turned: whether a chunk holds neighbours along m or n, instead of what belongs to one of them along k.
        per: how many they are.
        depth: elements along k of a turned one.
        wide: whether 32 bytes are permuted together, over 4 rows.

    Returns:
        (extent, 2), or (depth, extent / per) of a turned one.
    """
    chunks = place.width // CHUNK
    if turned:
        along, k, rows = np.arange(extent // per)[None, :], np.arange(depth)[:, None], 4 if wide else 8
        outer, inner = (place.stride, place.leading) if chunks == 1 else (place.leading, place.stride)
        offsets = along % chunks * CHUNK + along // chunks * outer + k % rows * place.width + k // rows * inner
    else:
        row, half = np.arange(extent)[:, None], np.arange(2)[None, :]
        step = place.leading if chunks == 1 else CHUNK
        offsets = row // 8 * place.stride + row % 8 * place.width + half * step
    found = place.start + offsets & _ADDRESS_BITS
    if wide:
        return np.asarray(found ^ ((found >> 7) - place.base & 3) * 32)
    # Chunks are permuted by the number of the row in a pattern of 8, of 4 or of 2 of 128 bytes.
    return np.asarray(found ^ ((found >> 7) - place.base & chunks - 1) * CHUNK)


def matrix_of(chunks: Array, type_name: str, turned: bool) -> Array:
    """The numbers in chunks (the last axis, as u32) of groups: (group, rows of A or columns of B, k), as f64."""
    found = split_elements(chunks, type_name).astype(np.float64)
    if turned:  # (group, k, chunk, word, element)
        return np.asarray(found.reshape(*found.shape[:2], -1).transpose(0, 2, 1))
    return found.reshape(*found.shape[:2], -1)


def matrix_in_registers(words: list[Array], type_name: str) -> Array:
    """A of each group, (group, 64, k), from its four registers in every lane."""
    found = split_elements(np.stack(words, axis=1), type_name).astype(np.float64)
    inner = found.shape[-1]
    parts = found.reshape(-1, 4, 8, 4, 2, 2, inner)  # group, warp, g, t, register >> 1, register & 1, element
    return np.asarray(parts.transpose(0, 1, 5, 2, 4, 3, 6).reshape(-1, ROWS, 8 * inner))


def add_product(product: GroupProduct, a: Array, b: Array, sums: list[Array], added: Array) -> list[Array]:
    """The accumulator's registers.

    Products are exact and are summed in f64 before one rounding; hardware's own order and rounding is not specified.

    Args:
        product: the instruction.
        a: (group, 64, k).
        b: (group, n, k).
        sums: the registers of the accumulator before, per lane.
        added: per group, whether these count.
    """
    total = a @ b.transpose(0, 2, 1)
    if product.negated:
        total = -total
    parts = total.reshape(-1, 4, 2, 8, product.n // 8, 4, 2)  # group, warp, i >> 1 & 1, g, i >> 2, t, i & 1
    inner = 2 if product.d == "f16" else 1
    found = parts.transpose(0, 1, 3, 5, 4, 2, 6).reshape(len(total) * WARPGROUP, -1, inner)
    if added.any():
        before = split_elements(np.stack(sums, axis=1), product.d)
        found = found + np.where(np.repeat(added, WARPGROUP)[:, None, None], before, before.dtype.type(0))
    if product.d == "s32":
        found = _wrapped(found, saturate=product.saturate)
    words = join_elements(found, product.d)
    return list(np.ascontiguousarray(words.T))


def _wrapped(sums: Array, *, saturate: bool) -> Array:
    """Sums as 32 bits hold them; they are whole, and far below 2**53."""
    whole = sums.astype(np.int64)
    if saturate:
        return np.clip(whole, -(2**31), 2**31 - 1)
    return np.asarray(((whole + 2**31) & 0xFFFFFFFF) - 2**31)


def chunks_along(product: GroupProduct, which: str) -> tuple[int, bool]:
    """(rows of A or columns of B, whether it is turned)."""
    return (ROWS, product.turned_a) if which == "a" else (product.n, product.turned_b)


def is_shape(product: GroupProduct) -> bool:
    """Whether there is such a product: n goes in steps of 8, or of 16 beyond 32 for integers and bits."""
    n = product.n
    if not 8 <= n <= 256 or n % 8 or product.k * ELEMENT_BITS[product.a] != K_BYTES * 8:
        return False
    return product.d != "s32" or n <= 32 or (n % 16 == 0)
