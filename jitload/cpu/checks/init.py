"""Reads of memory that nobody wrote: shared memory, stacks, and what `malloc` gave.

Each byte is known to be written or not. An access is reported when none of its bytes is: structures are copied with
their padding, so a read that is written in part is an ordinary thing. Code without optimization (`-G`) also copies
members that nobody set, and puts bit fields together in memory, so its stack is left out.

A load of matrices (`ldmatrix`, `wmma.load`) reads whole tiles, of which a kernel may use some rows only: it is reported
where a warp finds nothing written in any of its parts.

A value that is read before it is known whether there is one, and thrown away if there is none (`guarded`), is reported
when it is stored after all: fresh memory holds a pattern, by which it is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from jitload.cpu.checks.guarded import guarded_loads
from jitload.cpu.checks.shadow import Shadow, byte_positions, lazy_zeros, writes_what_is_there
from jitload.cpu.memory.access import lanes_of
from jitload.cpu.memory.arena import ARENA_WINDOW
from jitload.cpu.memory.slab import UNSET
from jitload.cpu.run.observer import Observer
from jitload.errors import CpuFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.code.block_code import BlockCode
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array, Lanes

#: What fresh memory holds, by the bytes of an element; of less than these other values look like it.
_FRESH = {4: np.uint32(UNSET * 0x10001), 8: np.uint64(UNSET * 0x1000100010001)}
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32}


class _Doubt(NamedTuple):
    """A load of matrices whose parts are being read: the warps that found nothing written so far, and their fault."""

    batch: Batch
    site: int
    warps: Array
    fault: CpuFault | None


class _Held(NamedTuple):
    """Lanes of a batch that read what nobody wrote, and may yet throw it away; the fault is that of the first."""

    lanes: Array
    fault: CpuFault


class InitCheck(Observer):
    """Finds reads of memory that nobody wrote in this launch."""

    def __init__(self) -> None:
        self._written: WeakKeyDictionary[Batch, dict[str, Array]] = WeakKeyDictionary()
        self._heap: Shadow | None = None
        self._spaces = {"shared", "local"}
        self._matrices: dict[int, bool] = {}  # site -> whether it loads matrices
        self._doubt: _Doubt | None = None
        self._guarded: frozenset[tuple[int, str]] | None = None
        self._held: WeakKeyDictionary[Batch, _Held] = WeakKeyDictionary()

    def launched(self, grid: Grid) -> None:
        """A launch begins."""
        self._heap = None
        self._guarded = None
        if grid.code.linker.program.debug:
            self._spaces = {"shared"}

    def finished(self, grid: Grid) -> None:  # noqa: ARG002
        """A launch has run to its end."""
        self._settle()

    def runs(self, batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:  # noqa: ARG002
        """What was loaded by then was loaded in all its parts."""
        if self._doubt is not None:
            self._settle()

    def _settle(self) -> None:
        """Report what the last load of matrices left in doubt."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None and doubt.fault is not None:
            raise doubt.fault

    def _doubts(self, batch: Batch, addresses: Addresses, offset: int, nbytes: int, site: int, missing: Array) -> None:
        """A part of a load of matrices is read; `missing` are the positions of what nobody wrote."""
        doubt = self._doubt
        if doubt is not None and (doubt.batch is not batch or doubt.site != site):
            self._settle()
            doubt = None
        warps = batch.slots[lanes_of(addresses)] >> 5
        count = len(batch.live_bits)
        parts = np.bincount(warps, minlength=count)
        empty = (parts > 0) & (np.bincount(warps[missing], minlength=count) == parts)
        if doubt is not None:
            empty &= doubt.warps
        fault = None
        if empty.any():
            try:
                self._fail(addresses, offset, nbytes, site, int(missing[np.argmax(empty[warps[missing]])]))
            except CpuFault as found:
                fault = found
        self._doubt = _Doubt(batch, site, empty, fault)

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),
    ) -> None:
        """Look for reads, and remember writes."""
        if how != "load" and batch in self._held:
            self._look_at_stored(batch, addresses, values)
        if addresses.space == "global":
            if self._heap is not None:
                self._access_heap(addresses, offset, nbytes, site, how)
            return
        if addresses.space not in self._spaces:
            return
        written = self._slabs(batch)[addresses.space]
        rows, places = _rows(written, nbytes, byte_positions(addresses, offset))
        if how != "store":
            missing = np.flatnonzero(~np.atleast_2d(rows[places]).any(axis=-1))
            if self._loads_matrices(batch, site):
                self._doubts(batch, addresses, offset, nbytes, site, missing)
            elif len(missing) and not self._holds(batch, addresses, offset, nbytes, site, missing):
                self._fail(addresses, offset, nbytes, site, int(missing[0]))
        if how != "load":
            rows[places] = _all_ones(rows)

    def _holds(self, batch: Batch, addresses: Addresses, offset: int, nbytes: int, site: int, missing: Array) -> bool:
        """Whether what these lanes read may be thrown away; it is then looked for in what they store."""
        fresh = _FRESH.get(nbytes)
        if fresh is None or not writes_what_is_there(addresses, offset, [fresh], missing).all():
            return False
        code = batch.grid.code
        if self._guarded is None:
            self._guarded = guarded_loads(code)
        place = code.places[site]
        if (place.ptx_line, place.text) not in self._guarded:
            return False
        held = self._held.get(batch)
        if held is None:
            try:
                self._fail(addresses, offset, nbytes, site, int(missing[0]))
            except CpuFault as fault:
                held = self._held[batch] = _Held(np.zeros(batch.lanes_total, np.bool_), fault)
        if held is not None:
            held.lanes[lanes_of(addresses)[missing]] = True
        return True

    def _look_at_stored(self, batch: Batch, addresses: Addresses, values: Sequence[Lanes]) -> None:
        """Report what was not thrown away."""
        held = self._held[batch]
        for value in values:
            fresh = _FRESH.get(value.dtype.itemsize)
            if fresh is not None and (held.lanes[lanes_of(addresses)] & (value.view(fresh.dtype) == fresh)).any():
                raise held.fault

    def _loads_matrices(self, batch: Batch, site: int) -> bool:
        found = self._matrices.get(site)
        if found is None:
            text = batch.grid.code.places[site].text
            found = self._matrices[site] = any(name in text for name in ("ldmatrix", "wmma.load", "wgmma"))
        return found

    def _access_heap(self, addresses: Addresses, offset: int, nbytes: int, site: int, how: str) -> None:
        assert self._heap is not None
        places = byte_positions(addresses, offset)
        unset = self._heap.grown_to(int(np.max(places)) + 32)["unset"]
        rows, places = _rows(unset, nbytes, places)
        if how != "store":
            missing = np.flatnonzero((np.atleast_2d(rows[places]) == _all_ones(rows)).all(axis=-1))
            if len(missing):
                self._fail(addresses, offset, nbytes, site, int(missing[0]))
        if how != "load":
            rows[places] = 0

    def copied(self, batch: Batch, lanes: Array | None, source: int | None, target: int, nbytes: int) -> None:
        """What is known of arguments and results goes with them."""
        stride = batch.local.stride
        rows = self._slabs(batch)["local"][: stride * batch.lanes_total].reshape(-1, stride)
        chosen = slice(None) if lanes is None else lanes
        found = 1 if source is None else rows[chosen, source : source + nbytes].copy()
        rows[chosen, target : target + nbytes] = found

    def allocated(self, batch: Batch, lane: int, site: int, address: int, nbytes: int) -> None:  # noqa: ARG002
        """What `malloc` gives holds nothing yet."""
        if self._heap is None:
            self._heap = Shadow({"unset": np.uint8}, batch.arena.extent + 32)
        start = address - ARENA_WINDOW
        self._heap.grown_to(start + nbytes + 32)["unset"][start : start + nbytes] = 1

    def _slabs(self, batch: Batch) -> dict[str, Array]:
        found = self._written.get(batch)
        if found is None:
            sizes = {"shared": batch.shared.stride * batch.blocks, "local": batch.local.stride * batch.lanes_total}
            found = self._written[batch] = {space: lazy_zeros(size + 32, np.uint8) for space, size in sizes.items()}
            reserved = batch.grid.code.reserved_bytes  # the system sets it when a block begins
            if reserved:
                found["shared"][: sizes["shared"]].reshape(batch.blocks, -1)[:, :reserved] = 1
        return found

    def _fail(self, addresses: Addresses, offset: int, nbytes: int, site: int, position: int) -> None:
        offsets = addresses.offsets
        place = (offsets if isinstance(offsets, int) else int(offsets[position])) + offset
        what = "uninitialised: nobody wrote what this reads"
        addresses.fail(position, place, nbytes, site, what)


def _rows(shadow: Array, nbytes: int, places: Array | int) -> tuple[Array, Array | int]:
    """(one row per access that may be, the row of each lane); a row is one word, or several of 8 bytes."""
    if nbytes < 8:
        return shadow.view(_WORDS[nbytes])[:, None], places // nbytes
    usable = len(shadow) // nbytes * nbytes
    return shadow[:usable].view(np.uint64).reshape(-1, nbytes // 8), places // nbytes


def _all_ones(rows: Array) -> np.generic:
    return rows.dtype.type(int.from_bytes(b"\1" * rows.dtype.itemsize, "little"))
