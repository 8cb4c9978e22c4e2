"""A batch: the thread blocks of a grid that run side by side as one set of lanes, and where those lanes stand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jitload.cpu.faults import run_fault
from jitload.cpu.isa.specials import LINEAR, find_special
from jitload.cpu.lanes.affine import AFFINE_LANES
from jitload.cpu.lanes.coordinates import Coordinates, unfold
from jitload.cpu.lanes.warp import lane_mask
from jitload.cpu.memory.access import GlobalAddresses, SlabAddresses
from jitload.cpu.memory.arena import Allocation
from jitload.cpu.memory.cluster import ClusterAddresses
from jitload.cpu.memory.reporting import (
    ReportingClusterAddresses,
    ReportingGlobalAddresses,
    ReportingSlabAddresses,
)
from jitload.cpu.memory.slab import Slab
from jitload.cpu.run.grid import thread_axis
from jitload.cpu.run.residence import Residence
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.lanes.affine import Affine
    from jitload.cpu.memory import tensor_memory
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.memory.tensor_memory import TensorMemory
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array, Lanes
    from jitload.launch.device import Dim3
else:
    tensor_memory = lazy("jitload.cpu.memory.tensor_memory")

_AXES = "xyz"
#: Special registers that count -> those whose extent they give.
_COUNTED = {"ntid": "tid", "nctaid": "ctaid", "nclusterid": "clusterid", "cluster_nctaid": "cluster_ctaid"}
_NOTHING = Allocation(0, 0, "", False, {})
_FULL_WARP = 0xFFFFFFFF


class Batch:
    """Lanes of whole thread blocks, with their shared and local memory.

    Lane number = place of the block in the batch times threads per block, plus the thread's linear number.

    Attributes:
        lanes: the lanes that run now; None for all of the batch.
        count: how many they are.
        last_used: the allocation that was used last.
        coordinates: what the lanes count through; None in small batches, and where the launch is watched.
        global_addresses: the class of addresses in the arena; another one where the launch is watched.
        slab_addresses: the class of addresses in the other spaces.
        cluster_blocks: thread blocks per cluster.
        residence: who uses whose shared memory, in clusters of several blocks.
        watched: whether accesses are reported.
        altered: whether memory may have been changed by an atomic since a loop that waits last asked.
        tensor_memory: that of all its blocks, once somebody allocates.
        held: the last atomic of such a loop that changed nothing: site, addresses, offset, lanes.
    """

    altered = True
    held: tuple[int, Addresses, int, Array | None] | None = None
    tensor_memory: TensorMemory | None = None

    global_addresses: type[GlobalAddresses] = GlobalAddresses
    slab_addresses: type[SlabAddresses] = SlabAddresses

    def __init__(self, grid: Grid, first: int, blocks: int) -> None:
        code = grid.code
        self.grid = grid
        self.arena = grid.arena
        self.params = grid.params
        self.first = first
        self.blocks = blocks
        self.cluster_blocks = grid.cluster_blocks
        self.lanes_total = blocks * grid.threads
        self.lanes: Array | None = None
        self.count = self.lanes_total
        self.last_used = _NOTHING
        self.unmet: dict[int, tuple[int, int]] = {}
        dynamic = grid.shared_bytes
        places = code.shared_places(dynamic)
        self.shared = Slab("shared", code.shared_bytes(dynamic), blocks, places, unset=True)
        if code.reserved_bytes:
            self.shared.views["u8"].reshape(blocks, -1)[:, : code.reserved_bytes] = 0
        self.local = Slab("local", code.local_bytes, self.lanes_total, unset=True)
        numbering = grid.numbering(blocks)
        self.thread, self.block_slot, self.slots = numbering.thread, numbering.block_slot, numbering.slots
        self.slot_count = blocks * grid.warps * 32
        self.live_threads = np.full(blocks, grid.threads)
        self.live_bits = self._all_bits()
        self._slabs: dict[str, Array | int] = {
            "shared": self.block_slot * self.shared.stride if blocks > 1 else 0,
            "local": np.arange(self.lanes_total) * self.local.stride if self.local.stride else 0,
        }
        self.residence = Residence(self, self.live_threads, code.places) if self.cluster_blocks > 1 else None
        self._specials: dict[str, Lanes | Affine | np.generic] = {}
        self._lasting_specials = numbering.specials
        self.coordinates: Coordinates | None = None
        self.watched = grid.on_access is not None
        if self.watched:
            self.global_addresses = ReportingGlobalAddresses
            self.slab_addresses = ReportingSlabAddresses
        elif self.lanes_total >= AFFINE_LANES:
            self.coordinates = Coordinates(grid.block_shape, grid.order, first, blocks)

    def _all_bits(self) -> Array:
        bits = np.full((self.blocks, self.grid.warps), _FULL_WARP, np.uint32)
        rest = self.grid.threads % 32
        if rest:
            bits[:, -1] = (1 << rest) - 1
        return bits.reshape(-1)

    def tensors(self) -> TensorMemory:
        """The tensor memory of every thread block, made when it is first asked for."""
        if self.tensor_memory is None:
            self.tensor_memory = tensor_memory.TensorMemory(self.blocks)
        return self.tensor_memory

    def lane_slabs(self, space: str) -> Array | int:
        """Where the current lanes' slabs start."""
        slabs = self._slabs[space]
        return slabs if self.lanes is None or isinstance(slabs, int) else slabs.take(self.lanes)

    def slab_strides(self, slab: Slab) -> tuple[int, ...]:
        """What each coordinate adds to where a lane's slab starts."""
        assert self.coordinates is not None
        if slab is self.shared:
            return tuple(stride * slab.stride for stride in self.coordinates.block_strides)
        if slab is self.local:
            return tuple(stride * slab.stride for stride in self.coordinates.lane_strides)
        return (0,) * len(self.coordinates.extents)

    def special(self, name: str) -> Lanes | Affine | np.generic:
        """A special register of the current lanes (PTX ISA section 10)."""
        if self.coordinates is not None and name.startswith(LINEAR):
            value = self._specials.get(name)
            if value is None:
                value = self._specials[name] = self.coordinates.special(name) or self._make_special(name)
            return value if self.lanes is None or not value.ndim else value.take(self.lanes)
        value = self._specials.get(name)
        if value is None:
            value = self._lasting_specials.get(name)
        if value is None:
            value = self._make_special(name)
            found = find_special(name)
            assert found is not None
            if found.lasts == "batch":
                self._specials[name] = value
            elif found.lasts == "launch":
                self._lasting_specials[name] = value
        return value if self.lanes is None or not value.ndim else value.take(self.lanes)

    def _make_special(self, name: str) -> Lanes | np.generic:
        base, _, axis = name.partition(".")
        if axis:
            return self._position(base, axis)
        if base.startswith("lanemask_"):
            return lane_mask(base[9:], self.thread % 32)
        if base.startswith(("clock", "globaltimer")):
            return self._time(base)
        constants = {
            "nwarpid": self.grid.warps,
            "nsmid": 1,
            "dynamic_smem_size": self.grid.shared_bytes,
            "total_smem_size": self.shared.nbytes,
            "aggr_smem_size": self.shared.nbytes,
            "cluster_nctarank": self.cluster_blocks,
            "reserved_smem_offset_end": self.grid.code.reserved_bytes,
            "reserved_smem_offset_cap": self.grid.code.reserved_bytes,
            "reserved_smem_offset_1": self.grid.code.reserved_bytes // 2,
            # Where cooperative groups look for the workspace of the grid.
            "envreg1": self.grid.workspace >> 32,
            "envreg2": self.grid.workspace & 0xFFFFFFFF,
        }
        if base == "laneid":
            return (self.thread % 32).astype(np.uint32)
        if base == "warpid":
            return (self.thread // 32).astype(np.uint32)
        if base == "cluster_ctarank":
            return self._of_blocks(np.arange(self.blocks) % self.cluster_blocks)
        if base == "is_explicit_cluster":
            return np.bool_(self.grid.explicit_cluster)
        if base == "current_graph_exec" or base.endswith("_64"):
            return np.uint64(0)  # no launch here belongs to a graph, and nothing is counted
        return np.uint64(1) if base == "gridid" else np.uint32(constants.get(base, 0))

    def _position(self, base: str, axis: str) -> Lanes | np.generic:
        if axis == "w":
            return np.uint32(0)
        place = _AXES.index(axis)
        grid = self.grid
        extents = {
            "tid": grid.block_shape,
            "ctaid": grid.shape,
            "clusterid": grid.order.clusters,
            "cluster_ctaid": grid.order.cluster,
        }[_COUNTED.get(base, base)]
        if base in _COUNTED:
            return np.uint32(extents[place])
        if extents[place] == 1:
            return np.uint32(0)
        if base == "tid":
            return thread_axis(grid.block_shape, place, self.blocks)
        return self._of_blocks(grid.order.axis(base, np.arange(self.first, self.first + self.blocks), place))

    def _of_blocks(self, values: Array) -> Lanes | np.generic:
        """A value per block as one per lane."""
        found = values.astype(np.uint32)
        return found[0] if self.blocks == 1 else np.repeat(found, self.grid.threads)

    def _time(self, base: str) -> np.generic:
        if base.startswith("clock"):
            ticks = (time.time_ns() - self.grid.started_ns) & 0x7FFFFFFFFFFFFFFF
        else:
            ticks = time.time_ns()
        if base in {"clock64", "globaltimer"}:
            return np.uint64(ticks)
        return np.uint32((ticks >> 32 if base.endswith("_hi") else ticks) & 0xFFFFFFFF)

    def report(
        self, addresses: Addresses, offset: int, nbytes: int, site: int, how: str, values: Sequence[Lanes] = ()
    ) -> None:
        """Tell whoever watches of an access."""
        assert self.grid.on_access is not None
        self.grid.on_access(self, addresses, offset, nbytes, site, how, values)

    def thread_at(self, lane: int) -> tuple[Dim3, Dim3]:
        """(thread, block) coordinates of a lane."""
        block, thread = divmod(lane, self.grid.threads)
        return unfold(thread, self.grid.block_shape), self.block_at(block)

    def block_at(self, slot: int) -> Dim3:
        """The coordinates in the grid of the block at a place in the batch."""
        return self.grid.order.block_at(slot + self.first)

    def cluster_addresses(self, offsets: Array, slots: Array, positions: Array | None) -> ClusterAddresses:
        """Shared addresses of the lanes in the blocks at places in the batch; see `ClusterAddresses`."""
        kind = ClusterAddresses if self.grid.on_access is None else ReportingClusterAddresses
        return kind(self, offsets, slots, positions)

    def uses_others(self, targets: Array, positions: Array, site: int) -> None:
        """Lanes access shared memory of other blocks; see `RunningLanes`."""
        assert self.residence is not None
        self.residence.used(targets, positions, site)

    def lane_at(self, position: int) -> int:
        """The lane at a position among the current ones."""
        return position if self.lanes is None else int(self.lanes[position])

    def fail(
        self, site: int, position: int, what: str, address: int | None = None, nearest: str | None = None
    ) -> NoReturn:
        """Stop the kernel because of one of the current lanes.

        Raises:
            CpuFault: always.
        """
        self.fail_lane(site, self.lane_at(position), what, address, nearest)

    def fail_lane(
        self, site: int, lane: int, what: str, address: int | None = None, nearest: str | None = None
    ) -> NoReturn:
        """Stop the kernel because of a lane.

        Raises:
            CpuFault: always.
        """
        thread, block = self.thread_at(lane)
        place = self.grid.code.places[site]
        raise run_fault(self.grid.code.name, place, what, thread=thread, block=block, address=address, nearest=nearest)
