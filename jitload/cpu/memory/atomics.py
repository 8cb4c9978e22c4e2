"""Atomics (PTX ISA section 9.7.13.15): every lane in turn, in the order of lanes, so results are deterministic.

Lanes with different addresses go at once. Where lanes meet, sums of integers and the like are scanned, and what must
be done one after the other (float sums, compare-and-swap) is done per address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.convert import from_bf16, to_bf16
from jitload.cpu.lanes.floats import maximum, minimum
from jitload.cpu.lanes.nan import keep_payload, one_nan
from jitload.cpu.lanes.packed import join, pairs
from jitload.cpu.memory.generic import MixedAddresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.memory.access import Addresses, RunningLanes
    from jitload.cpu.types import Array, Lanes

_SCANNED: dict[str, np.ufunc] = {
    "add": np.add,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "min": np.minimum,
    "max": np.maximum,
}
#: The same for halves, whose NaN and -0 NumPy treats in its own way.
_FLOATING: dict[str, Callable[[Array, Array], Array]] = {
    "add": lambda old, b: one_nan(old + b),
    "min": minimum,
    "max": maximum,
}
_HALVES = {"f16", "bf16", "f16x2", "bf16x2"}
_ROUNDS = 16


def atomic(
    batch: RunningLanes,
    addresses: Addresses | MixedAddresses,
    offset: int,
    type_name: str,
    rep: str,
    size: int,
    site: int,
    name: str,
    b: Lanes,
    c: Lanes | None,
    wanted: bool,
) -> Lanes | None:
    """Carry out one atomic instruction; the old values, or None when nobody wants them."""
    if isinstance(addresses, MixedAddresses):
        old = None
        for positions, part in addresses.split():
            mine = b[positions] if b.ndim else b
            other = c[positions] if c is not None and c.ndim else c
            found = atomic(batch, part, offset, type_name, rep, size, site, name, mine, other, wanted)
            if wanted and found is not None:
                old = np.empty(batch.count, found.dtype) if old is None else old
                old[positions] = found
        return old
    view, index = addresses.elements(offset, rep, size, site)
    if batch.altered:
        return _carry_out(view, index, type_name, size, name, b, c, wanted)
    old = _carry_out(view, index, type_name, size, name, b, c, True)
    # Also what changed in between shows: each lane but the last has its result as the old value of the next one.
    batch.altered = old is None or bool((view[index].view(np.uint8) != old.view(np.uint8)).any())
    if not batch.altered:
        batch.held = site, addresses, offset, batch.lanes
    return old


def _carry_out(
    view: Array, index: Array, type_name: str, size: int, name: str, b: Lanes, c: Lanes | None, wanted: bool
) -> Lanes | None:
    """One atomic instruction at elements of a view."""
    if size == 16:
        return _exchange_wide(view, index, b, c)
    b = np.broadcast_to(b, index.shape)
    c = b if c is None else np.broadcast_to(c, index.shape)
    step = _step(name, type_name)
    if len(index) == 1:
        old = view[index]
        view[index] = step(old, b, c)
        return old
    if not wanted and _add_unordered(view, index, name, type_name, b):
        return None
    return _update(view, index, name, type_name, b, c, step)


def _add_unordered(view: Array, index: Array, name: str, type_name: str, b: Array) -> bool:
    """Operations without a result that NumPy can apply in lane order; whether this was one."""
    if name == "exch":
        view[index] = b
    elif name in _SCANNED and (type_name not in _HALVES or (name, type_name) == ("add", "f16")):
        _SCANNED[name].at(view, index, b)
        if view.dtype.kind == "f" and view.itemsize < 8:
            view[index] = one_nan(view[index])
    else:
        return False
    return True


def _step(name: str, type_name: str) -> Callable[[Array, Array, Array], Array]:
    """One lane's update: (old, b, c) -> new."""
    if type_name in _HALVES:
        function = _FLOATING[name]
        if type_name == "f16":
            return lambda old, b, _: function(old, b)
        if type_name == "bf16":
            return lambda old, b, _: to_bf16(function(from_bf16(old), from_bf16(b)))
        if type_name == "f16x2":
            return lambda old, b, _: join(function(pairs(old, np.float16), pairs(b, np.float16)))
        return lambda old, b, _: join(
            to_bf16(function(from_bf16(pairs(old, np.uint16)), from_bf16(pairs(b, np.uint16))))
        )
    if (name, type_name) == ("add", "f32"):
        return lambda old, b, _: one_nan(old + b)
    if (name, type_name) == ("add", "f64"):
        return lambda old, b, _: keep_payload(old + b, old, b)
    if name in _SCANNED:
        operation = _SCANNED[name]
        return lambda old, b, _: operation(old, b)
    one = np.uint32(1)
    table: dict[str, Callable[[Array, Array, Array], Array]] = {
        "exch": lambda _, b, __: b,
        "cas": lambda old, b, c: np.where(old == b, c, old),
        "inc": lambda old, b, _: np.where(old >= b, np.uint32(0), old + one),
        "dec": lambda old, b, _: np.where((old == 0) | (old > b), b, old - one),
    }
    return table[name]


def _update(
    view: Array,
    index: Array,
    name: str,
    type_name: str,
    b: Array,
    c: Array,
    step: Callable[[Array, Array, Array], Array],
) -> Array:
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    firsts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(firsts, len(ordered)))
    longest = int(counts.max())
    if longest == 1:
        old = view[index]
        view[index] = step(old, b, c)
        return old
    segments = _Segments(view, ordered, firsts, counts, b[order], c[order])
    if name in _SCANNED and view.dtype.kind in "iu" and type_name not in _HALVES:
        found = segments.scan(_SCANNED[name], name == "add")
    elif longest <= _ROUNDS or longest <= len(firsts):
        found = segments.rounds(step)
    else:
        found = segments.one_by_one(name, type_name, step)
    old = np.empty_like(found)
    old[order] = found
    return old


class _Segments:
    """Lanes sorted by address: one segment per address, in lane order within it."""

    def __init__(self, view: Array, index: Array, firsts: Array, counts: Array, b: Array, c: Array) -> None:
        self.view = view
        self.index = index
        self.firsts = firsts
        self.counts = counts
        self.b = b
        self.c = c

    def scan(self, operation: np.ufunc, is_sum: bool) -> Array:
        """Associative operations: old values by a prefix scan within each segment."""
        memory = self.view[self.index[self.firsts]]
        rank = np.arange(len(self.index)) - np.repeat(self.firsts, self.counts)
        if is_sum:
            total = np.cumsum(self.b, dtype=self.b.dtype)
            before = np.repeat(total[self.firsts] - self.b[self.firsts], self.counts)
            inclusive = total - before
        else:
            inclusive = self.b.copy()
            shift = 1
            while shift < int(self.counts.max()):
                deep = np.flatnonzero(rank >= shift)
                inclusive[deep] = operation(inclusive[deep - shift], inclusive[deep])
                shift *= 2
        start = np.repeat(memory, self.counts)
        old: Array = start.copy()
        later = np.flatnonzero(rank > 0)
        old[later] = operation(start[later], inclusive[later - 1])
        ends = self.firsts + self.counts - 1
        self.view[self.index[self.firsts]] = operation(memory, inclusive[ends])
        return old

    def rounds(self, step: Callable[[Array, Array, Array], Array]) -> Array:
        """The first lane of every address, then the second, and so on."""
        old = np.empty(len(self.index), self.view.dtype)
        for depth in range(int(self.counts.max())):
            chosen = self.firsts[self.counts > depth] + depth
            places = self.index[chosen]
            before = self.view[places]
            old[chosen] = before
            self.view[places] = step(before, self.b[chosen], self.c[chosen])
        return old

    def one_by_one(self, name: str, type_name: str, step: Callable[[Array, Array, Array], Array]) -> Array:
        """Address by address, for addresses that very many lanes share."""
        old = np.empty(len(self.index), self.view.dtype)
        for first, count in zip(self.firsts.tolist(), self.counts.tolist(), strict=True):
            part = slice(first, first + count)
            place = self.index[first]
            chain = _chain(name, type_name, self.view[place], self.b[part], self.c[part], step)
            old[part] = chain[:-1]
            self.view[place] = chain[-1]
        return old


def _chain(
    name: str, type_name: str, start: Lanes, b: Array, c: Array, step: Callable[[Array, Array, Array], Array]
) -> Array:
    """The values that one address goes through: before the first lane, ..., after the last."""
    if name == "exch":
        return np.asarray(np.concatenate(([start], b)))
    if name == "add" and type_name in {"f16", "f32", "f64"}:
        sums = np.asarray(np.add.accumulate(np.concatenate(([start], b)).astype(b.dtype), dtype=b.dtype))
        if type_name != "f64":
            one_nan(sums[1:])
        return sums
    if name == "cas":
        return _swap_chain(start, b, c)
    if name in {"inc", "dec"} and (b == b[0]).all():
        return _wrap_chain(name, int(start), int(b[0]), len(b))
    chain = np.empty(len(b) + 1, b.dtype)
    chain[0] = start
    for position in range(len(b)):
        here = slice(position, position + 1)
        chain[position + 1] = step(chain[here], b[here], c[here])[0]
    return chain


def _exchange_wide(view: Array, index: Array, b: Lanes, c: Lanes | None) -> Array:
    """`exch` (c is None) and `cas` of 16 bytes, lane after lane; they are compared as bits."""
    cells = view.view(np.uint64).reshape(-1, 2)
    first, new = (
        np.ascontiguousarray(np.broadcast_to(one, index.shape)).view(np.uint64).reshape(-1, 2)
        for one in (b, b if c is None else c)
    )
    old = np.empty_like(new)
    for position, place in enumerate(index.tolist()):
        old[position] = cells[place]
        if c is None or (cells[place] == first[position]).all():
            cells[place] = new[position]
    return old.view(view.dtype).reshape(-1)


def _swap_chain(start: Lanes, b: Array, c: Array) -> Array:
    chain = np.empty(len(b) + 1, b.dtype)
    position, current = 0, start
    while True:
        hits = np.flatnonzero((b[position:] == current) & (c[position:] != current))
        if not len(hits):
            chain[position:] = current
            return chain
        chain[position : position + int(hits[0]) + 1] = current
        position += int(hits[0]) + 1
        current = c[position - 1]


def _wrap_chain(name: str, start: int, limit: int, count: int) -> Array:
    steps = np.arange(count, dtype=np.int64)
    if name == "inc":
        second = 0 if start >= limit else start + 1
        later = (second + steps) % (limit + 1)
    else:
        second = limit if start == 0 or start > limit else start - 1
        later = (second - steps) % (limit + 1)
    return np.concatenate(([start], later)).astype(np.uint32)
