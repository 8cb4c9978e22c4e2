"""`wgmma.mma_async`: matrices of shared memory by their descriptors, and the product of each warpgroup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.warpgroup import (
    CHUNK,
    WARPGROUP,
    Descriptor,
    add_product,
    chunk_addresses,
    chunks_along,
    matrix_in_registers,
    matrix_of,
)
from jitload.cpu.memory.generic import at_shared

if TYPE_CHECKING:
    from jitload.cpu.lanes.warpgroup import GroupProduct
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array


def multiply_groups(batch: RunningLanes, product: GroupProduct, values: list[Array], site: int) -> list[Array]:
    """Carry it out for the current lanes, which are whole warpgroups in order.

    Args:
        batch: whose lanes these are.
        product: the instruction.
        values: the registers of A or its descriptor, the descriptor of B, whether the accumulator counts, and it.
        site: of the instruction.

    Returns:
        The accumulator's registers.
    """
    count = 4 if product.registers else 1
    first, (second, added), sums = values[:count], values[count : count + 2], values[count + 2 :]
    scaled = _one_per_group(batch, added, site, "the predicate scale-d")
    a = matrix_in_registers(first, product.a) if product.registers else _read(batch, product, "a", first[0], site)
    return add_product(product, a, _read(batch, product, "b", second, site), sums, scaled)


def _one_per_group(batch: RunningLanes, values: Array, site: int, what: str) -> Array:
    """What all threads of each warpgroup have to agree on."""
    groups = values.reshape(-1, WARPGROUP)
    odd = groups != groups[:, :1]
    if odd.any():
        batch.fail(site, int(np.argmax(odd)), f"the threads of a warpgroup do not agree on {what}:")
    return groups[:, 0]


def _read(batch: RunningLanes, product: GroupProduct, which: str, words: Array, site: int) -> Array:
    """The matrix of each group, (group, rows of A or columns of B, k); its lanes take turns in reading chunks."""
    descriptors = _one_per_group(batch, words, site, f"the descriptor of {which.upper()}").tolist()
    extent, turned = chunks_along(product, which)
    places = np.stack([chunk_addresses(Descriptor.decoded(word), extent, turned) for word in descriptors])
    shape = places.shape
    flat = places.reshape(len(places), -1)
    count = flat.shape[1]
    chunks = np.empty((*flat.shape, CHUNK // 4), np.uint32)
    for start in range(0, count, WARPGROUP):
        turn = (start + np.arange(WARPGROUP)) % count
        addresses = flat[:, turn].reshape(-1).astype(np.uint64)
        loaded = at_shared(batch, addresses).load_vector(0, "u32", 4, CHUNK // 4, site)
        chunks[:, turn] = np.stack(loaded, axis=-1).reshape(len(flat), WARPGROUP, CHUNK // 4)
    return matrix_of(chunks.reshape(*shape, CHUNK // 4), product.b if which == "b" else product.a, turned)
