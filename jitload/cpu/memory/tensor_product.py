"""Products and copies in tensor memory: `tcgen05.mma`, `tcgen05.cp` (PTX ISA sections 9.7.16.9.2 and 9.7.16.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.matrix import split_elements
from jitload.cpu.lanes.product import ELEMENT_BITS
from jitload.cpu.lanes.scales import scale_numbers
from jitload.cpu.lanes.tensor_memory import LANES, PART
from jitload.cpu.lanes.tensor_product import K_BITS, lanes_of, read_product, sum_words, unpadded
from jitload.cpu.lanes.warpgroup import CHUNK, Descriptor, chunk_addresses, matrix_of
from jitload.cpu.memory.generic import at_shared
from jitload.cpu.memory.multicast import as_lanes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.lanes.tensor_product import TensorProduct
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array, Lanes

_CELLS = K_BITS // 32
#: Swizzles by their numbers, as the bytes that they permute; 1 permutes 32 bytes in 128.
_WIDTHS = {0: 16, 1: 128, 2: 128, 4: 64, 6: 32}
_WIDE_ATOM = 1
_VERSION = 1
_NAME = "tcgen05.mma"
_LANE = np.arange(LANES)
#: Which warps get the same -> the row that each lane gets.
_ROWS = {"": _LANE, "warpx4": _LANE % 32, "warpx2::02_13": _LANE % 64, "warpx2::01_23": _LANE // 64 * 32 + _LANE % 32}


class _Issue(NamedTuple):
    """One thread that issues an instruction: its position among the lanes, its block, and the site."""

    batch: RunningLanes
    position: int
    block: int
    site: int

    def fail(self, what: str) -> None:
        self.batch.fail(self.site, self.position, what)


def _issues(batch: RunningLanes, site: int) -> list[_Issue]:
    blocks = batch.block_slot if batch.lanes is None else batch.block_slot[batch.lanes]
    return [_Issue(batch, position, block, site) for position, block in enumerate(blocks.tolist())]


def multiply_tensors(
    batch: RunningLanes,
    kind: str,
    scales: int,
    site: int,
    operands: Sequence[Lanes],
    *,
    tensor_a: bool,
    weaken: int,
    masks: Sequence[Lanes] = (),
) -> None:
    """`tcgen05.mma`, lane after lane.

    Products are exact and are summed in f64 before one rounding; hardware's own order and rounding is not specified.

    Args:
        batch: whose lanes these are.
        kind: of the instruction.
        scales: of a row; 0 where there are none.
        site: of the instruction.
        operands: addresses of D and of A (or its descriptor), descriptors of B and of the instruction, whether D
            counts, and the addresses of the scales.
        tensor_a: whether A lies in tensor memory.
        weaken: D counts by 2 to the power of minus this.
        masks: four words with a bit for each lane that stays as it is.
    """
    columns = [np.broadcast_to(one, (batch.count,)).tolist() for one in operands]
    hidden = [np.broadcast_to(one, (batch.count,)) for one in masks]
    for issue in _issues(batch, site):
        d, a, b, word, counts, *scale = (column[issue.position] for column in columns)
        product = read_product(kind, word, scales)
        if isinstance(product, str):
            issue.fail(f"{_NAME} with the instruction descriptor {word:#010x}, in which {product}")
            return
        kept = np.zeros(LANES, np.bool_)
        for number, mask in enumerate(hidden):
            kept[32 * number : 32 * number + 32] = int(mask[issue.position]) >> np.arange(32) & 1
        left = _tensor_factor(issue, product, d, a) if tensor_a else _factor(issue, product, "a", a)
        right = _factor(issue, product, "b", b)
        if product.scale:
            left = left * _scales(issue, product, "A", scale[0], left.shape)
            right = right * _scales(issue, product, "B", scale[1], right.shape)
        _accumulate(issue, product, d, left @ right.T, 2.0**-weaken if counts else 0.0, kept)


def _accumulate(issue: _Issue, product: TensorProduct, address: int, total: Array, counts: float, kept: Array) -> None:
    first = address >> 16
    legal = (0,) if product.m == LANES else (0, 16)
    if first not in legal:
        issue.fail(f"{_NAME} of {product.m} rows at lane {first}: legal is {' or '.join(map(str, legal))}")
    columns = _columns(issue, address, product.n, f"{_NAME}: D")
    lanes = lanes_of(product.m, first)
    cells = issue.batch.tensors().cells[issue.block]
    place = columns[None, :], lanes[:, None]
    if product.negated:
        total = -total
    if counts:
        before = split_elements(cells[place][..., None], product.d)[:, :, 0, 0]
        total = total + (before * counts if counts != 1.0 else before)
    words = sum_words(product, total)
    rows = ~kept[lanes]
    cells[columns[None, :], lanes[rows][:, None]] = words[rows]


def _columns(issue: _Issue, address: int, count: int, what: str) -> Array:
    """So many columns from an address on, which are allocated."""
    found = (address & 0xFFFF) + np.arange(count)
    if issue.batch.tensors().missing(np.array([issue.block]), found[None, :]) is not None:
        issue.fail(f"{what} in columns {found[0]} to {found[-1]}, which are not all allocated (tcgen05.alloc):")
    return found


def _tensor_factor(issue: _Issue, product: TensorProduct, d: int, address: int) -> Array:
    """A in tensor memory, (row, k): in the lanes that D has."""
    if address >> 16 != d >> 16:
        issue.fail(f"{_NAME}: A at lane {address >> 16} and D at lane {d >> 16}, which must be the same")
    if product.turned_a:
        issue.fail(f"{_NAME} with A in tensor memory and the bit that transposes A: legal is zero")
    columns = _columns(issue, address, _CELLS, f"{_NAME}: A")
    words = issue.batch.tensors().cells[issue.block][columns[None, :], lanes_of(product.m, d >> 16)[:, None]]
    found = split_elements(words, product.a).astype(np.float64)
    return found.reshape(product.m, -1)


def _factor(issue: _Issue, product: TensorProduct, which: str, word: int) -> Array:
    """A or B in shared memory: (row of A or column of B, k)."""
    extent, turned, type_ = (
        (product.m, product.turned_a, product.a) if which == "a" else (product.n, product.turned_b, product.b)
    )
    name = f"{_NAME}: {which.upper()}"
    place = _descriptor(issue, word, name)
    wide = word >> 61 == _WIDE_ATOM
    if wide and not (turned and type_ == "tf32"):
        issue.fail(f"{name} with the swizzle of 32 bytes in 128: legal for it is a transposed factor of tf32")
    if turned and type_ == "tf32" and not wide:
        issue.fail(f"{name} of tf32 is transposed: legal for it is the swizzle of 32 bytes in 128")
    per = CHUNK * 8 // ELEMENT_BITS[type_]
    addresses = chunk_addresses(place, extent, turned, per, K_BITS // ELEMENT_BITS[type_] if turned else 2, wide=wide)
    chunks = _read(issue, addresses)
    padding = product.padding(which)
    return matrix_of((unpadded(chunks, padding) if padding else chunks)[None], type_, turned)[0]


def _descriptor(issue: _Issue, word: int, name: str) -> Descriptor:
    """The fields of a descriptor of shared memory."""
    if word >> 46 & 7 != _VERSION or word >> 53 & 0xFF:
        legal = "legal are 0b001 in bits 46 to 48 and zeros in bits 53 to 60"
        issue.fail(f"{name} by the descriptor {word:#018x}: {legal}")
    if word >> 52 & 1:
        issue.fail(f"{name} by a descriptor with absolute strides (bit 52), which the CPU executor does not support")
    if word >> 61 not in _WIDTHS:
        issue.fail(f"{name} by a descriptor with swizzle {word >> 61}: legal are {', '.join(map(str, _WIDTHS))}")
    return Descriptor.decoded(word & (1 << 52) - 1)._replace(width=_WIDTHS[word >> 61])


def _read(issue: _Issue, addresses: Array) -> Array:
    """The chunks of shared memory at addresses, as words in one more axis."""
    flat = addresses.reshape(-1).astype(np.uint64)
    with as_lanes(issue.batch, np.full(len(flat), issue.position)):
        loaded = at_shared(issue.batch, flat).load_vector(0, "u32", 4, CHUNK // 4, issue.site)
    return np.stack(loaded, axis=-1).reshape(*addresses.shape, CHUNK // 4)


def _scales(issue: _Issue, product: TensorProduct, which: str, address: int, shape: tuple[int, ...]) -> Array:
    """The scale of each element of A or B: a row's stand in bytes of a cell, 32 rows in the lanes of a column."""
    if address >> 16 & 0x3FFF:
        issue.fail(f"{_NAME}: scales of {which} at lane {address >> 16 & 0x3FFF}: legal is 0")
    rows, k = shape
    columns = _columns(issue, address, -(-rows // PART), f"{_NAME}: scales of {which}")
    parts = issue.batch.tensors().cells[issue.block][columns].reshape(len(columns), -1, PART)
    mine = parts.transpose(1, 0, 2).reshape(parts.shape[1], -1)[:, :rows]
    first = product.byte_a if which == "A" else product.byte_b
    shifts = np.uint32(8) * (first + np.arange(product.scales, dtype=np.uint32))
    codes = mine[..., None] >> shifts & np.uint32(0xFF)
    if (codes != codes[0]).any():
        issue.fail(f"{_NAME}: scales of {which} that are not the same in all four parts of 32 lanes (.warpx4):")
    return np.repeat(scale_numbers(codes[0], product.scale), k // product.scales, axis=1)


def copy_to_tensor(
    batch: RunningLanes, shape: str, multicast: str, padding: int, address: Lanes, word: Lanes, site: int
) -> None:
    """`tcgen05.cp`, lane after lane.

    Args:
        batch: whose lanes these are.
        shape: lanes and bits of each.
        multicast: which warps' lanes get the same, or "".
        padding: bits of elements that become bytes; 0 for none.
        address: in tensor memory.
        word: descriptor of shared memory.
        site: of the instruction.
    """
    height, width = (int(one) for one in shape.removesuffix("b").split("x"))
    addresses, words = (np.broadcast_to(one, (batch.count,)).tolist() for one in (address, word))
    for issue in _issues(batch, site):
        start, name = addresses[issue.position], f"tcgen05.cp.{shape}"
        if start >> 16:
            issue.fail(f"{name} at lane {start >> 16}: legal is 0")
        columns = _columns(issue, start, width // 32, name)
        place = _descriptor(issue, words[issue.position], name)
        if words[issue.position] >> 61 == _WIDE_ATOM:
            issue.fail(f"{name} with the swizzle of 32 bytes in 128, which the CPU executor does not support")
        chunks = _read(issue, chunk_addresses(place, height, False)[:, : width // 128])
        found = (unpadded(chunks, padding) if padding else chunks).reshape(height, -1)
        row = _ROWS[multicast]
        batch.tensors().cells[issue.block, columns[0] : columns[-1] + 1] = found[row].T
