"""Sparse A of `mma.sp` (PTX ISA section 9.7.14.6): of four parts of a chunk two are stored, and metadata say which.

A part is an element; of `.tf32`, which keeps one element of two, half of one; of types of 4 bits two. The metadata of a
chunk are two numbers of 2 bits, the first of them the lowest; those of a row stand in the order of its chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.lanes.product import Product
    from jitload.cpu.types import Array

_NIBBLES = np.arange(8, dtype=np.uint32) * np.uint32(4)
_ROWS = 16
#: What metadata of `.tf32` may be: the halves of the first element, and those of the second.
_HALVES = (0b0100, 0b1110)


def parts_of(product: Product) -> tuple[int, int]:
    """(elements in a part, parts in an element): one of them is 1."""
    if product.a == "tf32":
        return 1, 2
    return (2, 1) if product.a in {"s4", "u4", "e2m1"} else (1, 1)


def _chunks(product: Product) -> int:
    """Of a row."""
    elements, parts = parts_of(product)
    return product.k * parts // elements // 4


def selectors(product: Product) -> int:
    """How many choices there are of the threads that hold metadata: 4 of a group of four threads, or pairs, or all."""
    return {4: 4, 8: 2, 16: 1}[_chunks(product)]


def _places(product: Product) -> tuple[Array, Array]:
    """Where the metadata of each row and chunk lie: the lane, and how many of 4 bits come before them there."""
    row, chunk = np.arange(_ROWS)[:, None], np.arange(_chunks(product))[None, :]
    group, lower = row % 8, row // 8
    if chunk.size == 4:
        lane, place = group * 4 + product.selector + 0 * chunk, 4 * lower + chunk
    elif chunk.size == 8 and product.a in {"f16", "bf16", "tf32"}:  # each of two threads has half of both rows
        lane, place = group * 4 + 2 * product.selector + chunk // 4, 4 * lower + chunk % 4
    else:  # each of them has a row, or half of one
        lane, place = group * 4 + 2 * product.selector + lower + 2 * (chunk // 8), chunk % 8 + 0 * lower
    return lane, place


def _metadata(product: Product, words: Array) -> Array:
    """(warps, rows, chunks) of 4 bits, from (warps, lanes) words."""
    lane, place = _places(product)
    return np.asarray((words[:, lane] >> _NIBBLES[place] & np.uint32(15)).astype(np.int64))


def kept_columns(product: Product, words: Array) -> Array:
    """(warps, rows, stored elements): which columns the stored elements of A stand in."""
    found = _metadata(product, words)
    chunk = 4 * np.arange(found.shape[2])
    parts = np.stack([chunk + (found & 3), chunk + (found >> 2)], axis=3).reshape(*found.shape[:2], -1)
    elements, halves = parts_of(product)
    if halves == 2:
        return np.asarray(parts[..., ::2] // 2)
    return np.asarray((parts[..., None] * elements + np.arange(elements)).reshape(*parts.shape[:2], -1))


def multiply_kept(a: Array, b: Array, columns: Array) -> Array:
    """The product of what is stored alone: what was left out multiplies no infinity."""
    rows = np.take_along_axis(b[:, None], columns[..., None], axis=2)
    return np.asarray((a[:, :, None, :] @ rows)[:, :, 0])


def find_unordered(product: Product, words: Array) -> tuple[int, str] | None:
    """(lane, what is wrong) of the first metadata that mean nothing.

    Args:
        product: which.
        words: the metadata of each lane, of whole warps.
    """
    found = _metadata(product, words.reshape(-1, 32))
    first, second = found & 3, found >> 2
    if product.a == "tf32":
        wrong, legal = ~np.isin(found, _HALVES), "0b0100 and 0b1110"
    elif product.sparse == "sp":
        wrong, legal = first == second, "two different numbers of 2 bits"
    else:
        wrong, legal = first >= second, "two numbers of 2 bits, the lower one first"
    if not wrong.any():
        return None
    warp, row, chunk = (int(one) for one in np.argwhere(wrong)[0])
    what = f"sparsity metadata 0b{int(found[warp, row, chunk]):04b} of row {row}, chunk {chunk}: legal are {legal}"
    return 32 * warp + int(_places(product)[0][row, chunk]), what
