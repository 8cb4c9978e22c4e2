"""Where lanes wait for each other: barriers of thread blocks, and warp operations with member masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jitload.cpu.code.block_code import BARRIERS
from jitload.cpu.faults import describe_place
from jitload.cpu.lanes.warp import ballot, groups_of, run_warp
from jitload.cpu.run.frame import write_register
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.lanes import matrix
    from jitload.cpu.run import barrier, cluster_barrier, members, tensor_memory, undefined, warpgroups
    from jitload.cpu.run.barrier import Barriers
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.cluster_barrier import ClusterBarrier
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.observer import Observer
    from jitload.cpu.types import Array, Lanes
else:  # what not every kernel comes to
    barrier = lazy("jitload.cpu.run.barrier")
    matrix = lazy("jitload.cpu.lanes.matrix")
    cluster_barrier = lazy("jitload.cpu.run.cluster_barrier")
    members = lazy("jitload.cpu.run.members")
    tensor_memory = lazy("jitload.cpu.run.tensor_memory")
    undefined = lazy("jitload.cpu.run.undefined")
    warpgroups = lazy("jitload.cpu.run.warpgroups")


class _Party(NamedTuple):
    """Lanes that stand at one warp instruction, with their operands."""

    frame: Frame
    code: MeetingCode
    target: int
    lanes: Array
    masks: Array
    values: list[Array]

    def choose(self, chosen: Array) -> _Party:
        """Some of these lanes."""
        values = [value[chosen] for value in self.values]
        return self._replace(lanes=self.lanes[chosen], masks=self.masks[chosen], values=values)


class Meetings:
    """All lanes of a batch that wait for others.

    Args:
        batch: the batch.
        push: makes lanes runnable: (frame, block, lanes).
        observer: who watches.
    """

    def __init__(
        self, batch: Batch, push: Callable[[Frame, int, Array | None], None], observer: Observer | None
    ) -> None:
        self._batch = batch
        self._push = push
        self._observer = observer
        self._barriers: Barriers | None = None
        self._parties: dict[tuple[str, str], list[_Party]] = {}
        self._cluster: ClusterBarrier | None = None

    def meet(self, frame: Frame, code: MeetingCode, target: int, lanes: Array | None, operands: Any) -> bool:
        """Bring lanes to a meeting; whether they can all go straight on."""
        if code.kind == "warp":
            return self._meet_warp(frame, code, target, lanes, operands)
        if code.kind == "cluster":
            if self._cluster is None:
                self._cluster = cluster_barrier.ClusterBarrier(self._batch, self._push, self._observer)
            return self._cluster.meet(barrier.Waiting(frame, code, target, self._lane_array(lanes)))
        if (
            lanes is None
            and code.name == "sync"
            and not operands[0].ndim
            and operands[1] is None
            and (self._barriers is None or self._barriers.idle)
        ):
            if operands[0] >= BARRIERS:
                self._batch.fail(code.site, 0, f"barrier {int(operands[0])}, there are {BARRIERS}")
            if self._observer is not None:
                self._observer.released(self._batch, None)
            return True
        if self._barriers is None:
            self._barriers = barrier.Barriers(self._batch, self._push, self._observer)
        self._barriers.meet(barrier.Waiting(frame, code, target, self._lane_array(lanes)), operands)
        return False

    def depart(self, lanes: Array | None) -> None:
        """Threads ended: nobody waits for them any longer."""
        batch = self._batch
        if lanes is None:
            batch.live_threads[:] = 0
            batch.live_bits[:] = 0
            if batch.tensor_memory is not None:
                tensor_memory.expect_freed(batch, np.arange(batch.blocks))
            if batch.residence is not None:
                batch.residence.left()
            return
        batch.live_threads -= np.bincount(batch.block_slot[lanes], minlength=batch.blocks)
        slots = batch.slots[lanes]
        batch.live_bits &= ~ballot(slots >> 5, len(batch.live_bits), slots)
        if batch.tensor_memory is not None:
            ended = np.unique(batch.block_slot[lanes])
            tensor_memory.expect_freed(batch, ended[batch.live_threads[ended] == 0])
        if self._barriers is not None:
            self._barriers.depart()
        if batch.residence is not None:
            batch.residence.left()
        if self._cluster is not None:
            self._cluster.depart(lanes)
        for signature in list(self._parties):
            self._complete(signature)

    def expect_nobody(self) -> None:
        """Nobody can run any more: then nobody may be waiting.

        Raises:
            CpuFault: somebody is.
        """
        waiting = [] if self._barriers is None else self._barriers.waiting
        stuck = [(one.lanes, one.code.site) for one in waiting]
        kind = "barrier divergence: not all threads of the block reach the barrier"
        if not stuck:
            kind = "deadlock: not all threads of the member mask reach the warp operation"
            if any(one.code.group is not None for parties in self._parties.values() for one in parties):
                kind = "deadlock: not all threads of the warpgroup reach the product"
        if self._cluster is not None and self._cluster.waiting:
            if not stuck:
                kind = "deadlock: not all threads of the cluster arrive at its barrier"
            stuck += [(one.lanes, one.code.site) for one in self._cluster.waiting]
        stuck += [(one.lanes, one.code.site) for parties in self._parties.values() for one in parties]
        if not stuck:
            return
        lanes, site = stuck[0]
        others = sorted({other for _, other in stuck[1:] if other != site})
        places = self._batch.grid.code.places
        also = "".join(f"; others wait at {describe_place(places[other])}" for other in others[:3])
        self._batch.fail_lane(site, int(lanes[0]), kind + also)

    def _lane_array(self, lanes: Array | None) -> Array:
        return np.arange(self._batch.lanes_total) if lanes is None else lanes

    def _meet_warp(
        self, frame: Frame, code: MeetingCode, target: int, lanes: Array | None, operands: tuple[Lanes, ...]
    ) -> bool:
        batch = self._batch
        slots = batch.slots if lanes is None else batch.slots[lanes]
        values = list(operands[1:] if code.masked else operands)
        masks = members.one_mask(operands[0]) if code.masked else np.uint32(0xFFFFFFFF)
        if not members.is_full(masks):
            members.check_own_bits(batch, code, slots, masks)
        if not code.masked or self._all_here(code, lanes, slots, masks):
            results = self._operate(code, lanes, slots, masks, values)
            self._write(frame, code, lanes, results, self._undefined(code, slots, masks, values))
            return True
        lanes = self._lane_array(lanes)
        masks = np.broadcast_to(masks, lanes.shape)
        values = [np.broadcast_to(value, lanes.shape) for value in values]
        signature = (code.name, code.type)
        self._parties.setdefault(signature, []).append(_Party(frame, code, target, lanes, masks, values))
        self._complete(signature)
        return False

    def _operate(
        self,
        code: MeetingCode,
        lanes: Array | None,
        slots: Array,
        masks: Lanes,
        values: list[Lanes],
        sites: Array | None = None,
    ) -> list[Lanes]:
        """The results, per lane; `sites` are where lanes stand that do not all stand at one instruction."""
        if self._observer is not None:
            self._observer.met(self._batch, code, lanes, masks, values)
        if code.group is not None:
            where = code.site if sites is None else sites
            return warpgroups.multiply_in_groups(self._batch, code.group, lanes, values, where)
        if code.tensor is not None:
            return tensor_memory.move_tensors(self._batch, code.tensor, lanes, values, code.site)
        if code.product is None and not code.name.startswith(("rows", "movmatrix")):
            return run_warp(code.name, slots, masks, values, self._batch.slot_count)
        if len(slots) % 32 or (slots.reshape(-1, 32) & 31 != np.arange(32)).any():
            self._batch.fail(code.site, 0, "a matrix operation without all 32 threads of the warp")
        return self._run_matrix(code, lanes, slots, values)

    def _run_matrix(self, code: MeetingCode, lanes: Array | None, slots: Array, values: list[Lanes]) -> list[Lanes]:
        """An operation of whole warps on matrices."""
        product = code.product
        values = [np.ascontiguousarray(np.broadcast_to(one, slots.shape)) for one in values]
        odd = matrix.find_undefined(product, values) if product is not None else None
        if odd is not None:
            self._batch.fail_lane(code.site, odd[0] if lanes is None else int(lanes[odd[0]]), odd[1])
        return matrix.run_matrix(code.name, product, values)

    def _all_here(self, code: MeetingCode, lanes: Array | None, slots: Array, masks: Lanes) -> bool:
        """Whether the operation can be carried out at once for lanes that stand at one instruction."""
        if lanes is None:
            return not masks.ndim or members.agree(self._batch, slots, masks)
        return bool(self._arrived(code, slots, masks).all())

    def _arrived(self, code: MeetingCode, slots: Array, masks: Lanes) -> Array:
        """Per lane, whether every live thread of its member mask, or of its warpgroup, is among these lanes."""
        if code.group is not None:
            return warpgroups.group_arrived(self._batch, slots)
        groups, count = groups_of(slots, masks)
        here = ballot(groups, count, slots)[groups]
        needed = masks & self._batch.live_bits[slots >> 5]
        return np.asarray((needed & ~here) == 0)

    def _complete(self, signature: tuple[str, str]) -> None:
        """Carry out the operation for those whose partners have all arrived, from whatever instruction."""
        batch = self._batch
        parties = self._parties[signature]
        lanes = np.concatenate([party.lanes for party in parties])
        masks = np.concatenate([party.masks for party in parties])
        owners = np.repeat(np.arange(len(parties)), [len(party.lanes) for party in parties])
        ready = self._arrived(parties[0].code, batch.slots[lanes], masks)
        if not ready.any():
            return
        values = [np.concatenate(column)[ready] for column in zip(*(party.values for party in parties), strict=True)]
        order = np.argsort(lanes[ready], kind="stable")
        sorted_lanes, sorted_owners = lanes[ready][order], owners[ready][order]
        masks, values = members.one_mask(masks[ready][order]), [value[order] for value in values]
        slots = batch.slots[sorted_lanes]
        sites = np.array([party.code.site for party in parties])[sorted_owners]
        found = self._operate(parties[0].code, sorted_lanes, slots, masks, values, sites)
        unknown = self._undefined(parties[0].code, slots, masks, values)
        kept = []
        for number, party in enumerate(parties):
            mine = sorted_owners == number
            if mine.any():
                own = sorted_lanes[mine]
                results = [np.broadcast_to(one, order.shape)[mine] for one in found]
                self._write(party.frame, party.code, own, results, None if unknown is None else unknown[mine])
                self._push(party.frame, party.target, own)
            rest = ~ready[owners == number]
            if rest.any():
                kept.append(party.choose(rest))
        if kept:
            self._parties[signature] = kept
        else:
            del self._parties[signature]

    def _undefined(self, code: MeetingCode, slots: Array, masks: Lanes, values: list[Lanes]) -> Array | None:
        """Which lanes of the result are undefined."""
        shuffles = code.name.startswith("shfl")
        return undefined.undefined_sources(self._batch, code, slots, masks, values) if shuffles else None

    def _write(
        self, frame: Frame, code: MeetingCode, lanes: Array | None, results: list[Lanes], unknown: Array | None
    ) -> None:
        if frame.undefined or unknown is not None:
            for wanted, found in zip(code.results, (unknown, None), strict=False):
                if wanted is not None:
                    undefined.remember(self._batch, frame, wanted[0], lanes, found, code.site)
        for wanted, value in zip(code.results, results, strict=False):
            if wanted is not None:
                write_register(self._batch, frame, wanted[0], wanted[1], lanes, value)
