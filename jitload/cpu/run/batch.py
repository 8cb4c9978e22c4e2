"""A batch: the thread blocks of a grid that run side by side as one set of lanes, and where those lanes stand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jitload.cpu.code.function_writer import AFFINE_SPECIALS
from jitload.cpu.faults import run_fault
from jitload.cpu.lanes.affine import AFFINE_LANES
from jitload.cpu.lanes.coordinates import Coordinates, unfold
from jitload.cpu.lanes.warp import lane_mask
from jitload.cpu.memory.access import GlobalAddresses, SlabAddresses
from jitload.cpu.memory.arena import Allocation
from jitload.cpu.memory.reporting import ReportingGlobalAddresses, ReportingSlabAddresses
from jitload.cpu.memory.slab import Slab

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.lanes.affine import Affine
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.types import Array, Lanes
    from jitload.launch.device import Dim3

_AXES = "xyz"
_NOTHING = Allocation(0, 0, "", False, {})
_FULL_WARP = 0xFFFFFFFF


class Grid:
    """The thread blocks of one launch, and what is the same for every batch of them.

    Args:
        code: the decoded kernel.
        arena: device memory.
        params: the parameter block.
        shape: thread blocks along x, y and z.
        block_shape: threads per block along x, y and z.
        shared_bytes: dynamic shared memory per block.

    Attributes:
        name: what the user calls the kernel.
        threads: per block.
        blocks: in all.
        warps: per block, the last one perhaps in part.
        steps: scheduler steps since a batch ended, for the watchdog.
        workspace: the address of what the blocks of a cooperative launch synchronize through, or 0.
        on_access: who is told of every access, as `Observer.accessed` is; set before the first batch is made.
    """

    workspace = 0
    on_access: Callable[[Batch, Addresses, int, int, int, str, Sequence[Lanes]], None] | None = None

    def __init__(
        self,
        code: KernelCode,
        arena: Arena,
        params: bytes | bytearray,
        shape: Dim3,
        block_shape: Dim3,
        shared_bytes: int,
    ) -> None:
        self.code = code
        self.name = code.name
        self.arena = arena
        self.shape = shape
        self.block_shape = block_shape
        self.shared_bytes = shared_bytes
        self.threads = block_shape[0] * block_shape[1] * block_shape[2]
        self.blocks = shape[0] * shape[1] * shape[2]
        self.warps = -(-self.threads // 32)
        self.params = Slab("param", len(params), 1, code.parameter_places)
        self.params.views["u8"][: len(params)] = np.frombuffer(params, np.uint8)
        self.started_ns = time.time_ns()
        self.steps = 0
        self._numberings: dict[int, Numbering] = {}

    def numbering(self, blocks: int) -> Numbering:
        """The numbering of lanes in batches of so many blocks; made once per launch."""
        found = self._numberings.get(blocks)
        if found is None:
            found = self._numberings[blocks] = Numbering(self, blocks)
        return found


class Numbering:
    """How lanes are numbered in a batch: what depends on the number of its blocks only.

    Attributes:
        thread: the linear thread number of each lane in its block.
        block_slot: the place of each lane's block in the batch.
        slots: 32 times the warp, plus the lane in the warp.
        specials: special registers that no block number goes into.
    """

    def __init__(self, grid: Grid, blocks: int) -> None:
        self.thread = np.tile(np.arange(grid.threads), blocks)
        self.block_slot = np.repeat(np.arange(blocks), grid.threads)
        self.slots = self.block_slot * (grid.warps * 32) + self.thread
        self.specials: dict[str, Lanes | np.generic] = {}


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
    """

    global_addresses: type[GlobalAddresses] = GlobalAddresses
    slab_addresses: type[SlabAddresses] = SlabAddresses

    def __init__(self, grid: Grid, first: int, blocks: int) -> None:
        code = grid.code
        self.grid = grid
        self.arena = grid.arena
        self.params = grid.params
        self.first = first
        self.blocks = blocks
        self.lanes_total = blocks * grid.threads
        self.lanes: Array | None = None
        self.count = self.lanes_total
        self.last_used = _NOTHING
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
        self._specials: dict[str, Lanes | Affine | np.generic] = {}
        self._lasting_specials = numbering.specials
        self.coordinates: Coordinates | None = None
        if grid.on_access is not None:
            self.global_addresses = ReportingGlobalAddresses
            self.slab_addresses = ReportingSlabAddresses
        elif self.lanes_total >= AFFINE_LANES:
            self.coordinates = Coordinates(grid.block_shape, grid.shape, first, blocks)

    def _all_bits(self) -> Array:
        bits = np.full((self.blocks, self.grid.warps), _FULL_WARP, np.uint32)
        rest = self.grid.threads % 32
        if rest:
            bits[:, -1] = (1 << rest) - 1
        return bits.reshape(-1)

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
        if self.coordinates is not None and name.startswith(AFFINE_SPECIALS):
            value = self._specials.get(name)
            if value is None:
                value = self._specials[name] = self.coordinates.special(name) or self._make_special(name)
            return value if self.lanes is None or not value.ndim else value.take(self.lanes)
        value = self._specials.get(name)
        if value is None:
            value = self._lasting_specials.get(name)
        if value is None:
            value = self._make_special(name)
            if name.startswith(("ctaid", "clusterid")):
                self._specials[name] = value
            elif not name.startswith(("clock", "globaltimer")):
                self._lasting_specials[name] = value
        return value if self.lanes is None or not value.ndim else value.take(self.lanes)

    def _make_special(self, name: str) -> Lanes | np.generic:
        base, _, axis = name.partition(".")
        if base in {"tid", "ntid", "ctaid", "nctaid"}:
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
            "cluster_nctarank": 1,
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
        if base in {"nclusterid", "clusterid"}:
            return self._position("nctaid" if base[0] == "n" else "ctaid", axis)
        if base == "cluster_nctaid":
            return np.uint32(axis != "w")
        if base == "current_graph_exec":
            return np.uint64(0)  # no launch here belongs to a graph
        return np.uint64(1) if base == "gridid" else np.uint32(constants.get(base, 0))

    def _position(self, base: str, axis: str) -> Lanes | np.generic:
        if axis == "w":
            return np.uint32(0)
        place = _AXES.index(axis)
        extents = self.grid.block_shape if base.endswith("ntid") or base == "tid" else self.grid.shape
        if base[0] == "n":
            return np.uint32(extents[place])
        if extents[place] == 1:
            return np.uint32(0)
        before = (1, extents[0], extents[0] * extents[1])[place]
        if base == "tid":
            threads = np.arange(self.grid.threads) // before % extents[place]
            return np.tile(threads.astype(np.uint32), self.blocks)
        blocks = (np.arange(self.first, self.first + self.blocks) // before % extents[place]).astype(np.uint32)
        return blocks[0] if self.blocks == 1 else np.repeat(blocks, self.grid.threads)

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
        return unfold(thread, self.grid.block_shape), unfold(block + self.first, self.grid.shape)

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
