"""Matrix products of warps (PTX ISA sections 9.7.14.3 to 9.7.14.5): fragments to matrices, one product, and back.

The layouts of `mma` are the specified ones; all of them follow one rule. With e elements per register, g = lane / 4
and t = lane % 4, register r of A holds row g + 8 * (r & 1) and columns (r >> 1) * 4e + t * e onward; register r of B
holds rows r * 4e + t * e onward of column g; element i of the accumulator is row g + 8 * (i >> 1), column 2t + (i & 1).
`mma.m8n8k4` of f16 alone differs, see `quads`. `wmma` fragments are opaque: there elements are dealt out in row-major
order, and again from the start when more registers are there than elements.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.convert import from_bf16
from jitload.cpu.lanes.fp8 import from_narrow
from jitload.cpu.lanes.nan import canonical_nan
from jitload.cpu.lanes.product import ELEMENT_BITS
from jitload.cpu.lanes.quads import pair_quads, quad_layout, unpair_quads
from jitload.cpu.lanes.scales import find_misled, scale_factors
from jitload.cpu.lanes.sparse import find_unordered, kept_columns, multiply_kept

if TYPE_CHECKING:
    from jitload.cpu.lanes.product import Product
    from jitload.cpu.types import Array

_LANES = np.arange(32)


class Layout(NamedTuple):
    """Row and column of every element: arrays of (lane, register, element in register)."""

    rows: Array
    columns: Array


@lru_cache(maxsize=256)
def opaque_layout(rows: int, columns: int, registers: int, per_register: int) -> Layout:
    """Where the elements of a `wmma` fragment belong."""
    register, element = np.arange(registers)[None, :, None], np.arange(per_register)[None, None, :]
    index = ((register * 32 + _LANES[:, None, None]) * per_register + element) % (rows * columns)
    return Layout(index // columns, index % columns)


@lru_cache(maxsize=256)
def _exact_layout(which: str, registers: int, per_register: int) -> Layout:
    register, element = np.arange(registers)[None, :, None], np.arange(per_register)[None, None, :]
    group, place = (_LANES >> 2)[:, None, None], (_LANES & 3)[:, None, None]
    along = place * per_register + element
    if which == "a":
        found = group + 8 * (register & 1), (register >> 1) * (4 * per_register) + along
    elif which == "b":
        found = register * (4 * per_register) + along, group
    else:
        item = register * per_register + element
        found = group + 8 * (item >> 1), 2 * place + (item & 1)
    rows, columns = np.broadcast_arrays(*found)
    return Layout(rows, columns)


def _layout(product: Product, which: str, registers: int, per_register: int) -> Layout:
    if product.quads:
        by = product.quads.split(".")["ab".index(which)] if which in "ab" else ""
        return Layout(*quad_layout(which, by, per_register == 1))
    if not product.opaque:
        return _exact_layout(which, registers, per_register)
    shape = {"a": (product.m, product.k), "b": (product.k, product.n)}.get(which, (product.m, product.n))
    if which == "b" and ELEMENT_BITS[product.b] < 8:  # words hold parts of columns
        turned = opaque_layout(*reversed(shape), registers, per_register)
        return Layout(turned.columns, turned.rows)
    return opaque_layout(*shape, registers, per_register)


def split_elements(words: Array, type_name: str) -> Array:
    """The numbers in registers (the last axis), as f64, or s64 for integers: one more axis, lowest first."""
    bits = ELEMENT_BITS[type_name]
    if bits == 1:
        return np.asarray((words[..., None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)).astype(np.int64))
    if bits == 4:
        nibbles = (words[..., None] >> (np.arange(8, dtype=np.uint32) * np.uint32(4))) & np.uint32(15)
        signed = nibbles.astype(np.int64)
        if type_name == "e2m1":
            return np.asarray(from_narrow(nibbles.astype(np.uint16), type_name).view(np.float16).astype(np.float64))
        return np.asarray(np.where(signed > 7, signed - 16, signed) if type_name == "s4" else signed)
    words = np.ascontiguousarray(words)
    if type_name in {"s8", "u8", "s32"}:
        parts = words.view(f"{'u' if type_name[0] == 'u' else 'i'}{bits // 8}")
        return np.asarray(parts.reshape(*words.shape, -1).astype(np.int64))
    if type_name[0] == "e":
        codes = words.view(np.uint8).reshape(*words.shape, 4).astype(np.uint16)
        if type_name == "e2m1 in bytes":  # in the middle of each
            codes = codes >> np.uint16(2)
        return np.asarray(from_narrow(codes, type_name[:4]).view(np.float16).astype(np.float64))
    if type_name == "bf16":
        return np.asarray(from_bf16(words.view(np.uint16)).reshape(*words.shape, 2).astype(np.float64))
    if type_name == "tf32":
        words = words & np.uint32(0xFFFFE000)  # the lower bits are ignored
    dtype = {"f16": np.float16, "f64": np.float64}.get(type_name, np.float32)
    return np.asarray(words.view(dtype).reshape(*words.shape, -1).astype(np.float64))


def join_elements(values: Array, type_name: str) -> Array:
    """The registers of `split_elements`; of accumulator types only."""
    dtype = {"f16": np.float16, "f64": np.float64, "s32": np.int32}.get(type_name, np.float32)
    packed = np.ascontiguousarray(values.astype(dtype))
    if packed.dtype.kind == "f":
        packed[np.isnan(packed)] = canonical_nan(packed)
    word = np.uint64 if type_name == "f64" else np.uint32
    return np.asarray(packed.view(word).reshape(*values.shape[:-1]))


def _gather(product: Product, which: str, type_name: str, registers: Array, shape: tuple[int, int]) -> Array:
    elements = split_elements(registers, type_name)
    layout = _layout(product, which, elements.shape[2], elements.shape[3])
    if product.quads:
        elements = pair_quads(elements)
    matrix = np.zeros((len(elements), *shape), elements.dtype)
    matrix[:, layout.rows, layout.columns] = elements
    return matrix


def find_undefined(product: Product, words: list[Array]) -> tuple[int, str] | None:
    """(number of a lane, what is wrong) where metadata or selectors mean nothing; words as for `multiply`."""
    more = words[sum(product.counts) :]
    found = find_misled(more[-6:], product.scales) if product.scale else None
    return find_unordered(product, more[0]) if product.sparse and found is None else found


def multiply(product: Product, words: list[Array]) -> list[Array]:
    """The result's registers, from those of A, B and C, the metadata and the scales; lanes of whole warps, in order.

    Products are exact and are summed in f64 (integers: exactly) before one rounding; hardware's own order and rounding
    of sums is not specified.
    """
    first, second, third = product.counts
    stacks = [
        np.stack([word.reshape(-1, 32) for word in part], axis=2)
        for part in (words[:first], words[first : first + second], words[first + second : first + second + third])
    ]
    more = [word.reshape(-1, 32) for word in words[first + second + third :]]
    a = _gather(product, "a", product.a, stacks[0], (product.m, product.stored))
    b = _gather(product, "b", product.b, stacks[1], (product.k, product.n))
    c = _gather(product, "c", product.c, stacks[2], (product.m, product.n))
    if product.scale:
        a, b = scale_factors(a, b, more[-6:], product.scale, product.scales)
    total = (multiply_kept(a, b, kept_columns(product, more[0])) if product.sparse else a @ b) + c
    if product.operation == "xor":  # bits that differ: those of either, without those of both
        total = a.sum(2, keepdims=True) + b.sum(1, keepdims=True) - 2 * (a @ b) + c
    if product.d == "s32":
        if product.saturate:
            total = np.clip(total, -(2**31), 2**31 - 1)
        total = total & 0xFFFFFFFF
        total = np.where(total >= 2**31, total - 2**32, total)
    elif product.saturate:  # infinity to the largest number, NaN to zero
        total = np.nan_to_num(total.astype(np.float16 if product.d == "f16" else np.float32))
    count = product.registers_d
    inner = 2 if product.d == "f16" else 1
    layout = _layout(product, "d", count, inner)
    elements = total[:, layout.rows, layout.columns]
    if product.quads:
        elements = unpair_quads(elements).reshape(-1, 32, count, inner)
    found = join_elements(elements, product.d)
    return [np.ascontiguousarray(found[:, :, place]).reshape(-1) for place in range(count)]


def _move_transposed(words: Array) -> Array:
    """`movmatrix.trans`: rows of an 8x8 matrix of 16-bit elements become columns."""
    halves = np.ascontiguousarray(words.reshape(-1, 32)).view(np.uint16).reshape(-1, 8, 8)
    turned = np.ascontiguousarray(halves.transpose(0, 2, 1))
    return turned.reshape(-1, 64).view(np.uint32).reshape(-1)


def _exchange_rows(address: Array, registers: int, way: str) -> list[Array]:
    """`ldmatrix`: per register, where a lane's part of it lies: one place along a row, or two in neighbouring rows.

    Lanes 8i to 8i + 7 hold the addresses of the rows of matrix i, of 16 x 16 bytes lanes 16i to 16i + 15.

    Args:
        address: that each lane holds.
        registers: how many each lane gets.
        way: "along" and the bytes of a part, or "across" and the bytes of a column; "tall" of 16 x 16 bytes.
    """
    rows = address.reshape(-1, 32)
    group, place = _LANES >> 2, _LANES & 3
    size = int(way[-1])
    found = []
    for number in range(registers):
        if way.startswith("along"):
            found.append(rows[:, 8 * number + group] + (size * place).astype(np.uint64))
            continue
        first = 16 * (number // 2) + 4 * place + 2 * (number % 2) if way == "tall1" else 8 * number + 2 * place
        found += [rows[:, first + half] + (size * group).astype(np.uint64) for half in (0, 1)]
    return [np.ascontiguousarray(one).reshape(-1) for one in found]


def run_matrix(name: str, product: Product | None, values: list[Array]) -> list[Array]:
    """Carry out an operation of whole warps, lanes in order: a product, "movmatrix" or "rows.<registers>.<way>"."""
    if product is not None:
        return multiply(product, values)
    if name == "movmatrix":
        return [_move_transposed(values[0])]
    _, registers, way = name.split(".")
    return _exchange_rows(values[0], int(registers), way)
