"""Observers see every access, block, barrier, warp operation, call and allocation of a launch, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from jitload import config
from jitload.cpu.function import observer_in_force
from jitload.cpu.memory.access import lanes_of
from jitload.cpu.memory.reporting import ReportingGlobalAddresses
from jitload.cpu.run.observer import Observer, Observers, observing

SOURCE = """
struct Pair { int a, b; };
__device__ __noinline__ int twice(int x) { return x * 2; }
extern "C" __global__ void all(int *out, const int4 *in, int n)
{
    __shared__ int s[64];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    int4 v = in[i];
    s[t] = v.x + v.y;
    __syncthreads();
    int x = s[63 - t] + __shfl_xor_sync(0xffffffffu, v.z, 1);
    __syncwarp();
    if (t < 8)
        atomicAdd(out + n, 1);
    int *heap = t == 0 ? (int *)malloc(16) : nullptr;
    if (heap) {
        heap[0] = x;
        x = heap[0];
        free(heap);
    }
    out[i] = twice(x);
}
"""


class Notebook(Observer):
    def __init__(self):
        self.accesses, self.events, self.blocks, self.branches = [], [], [], []

    def launched(self, grid):
        self.events.append(("launched", grid.blocks))

    def finished(self, grid):
        self.events.append(("finished", grid.blocks))

    def runs(self, batch, frame, block, lanes):
        self.blocks.append((frame.code.name, block.sites, batch.count if lanes is None else len(lanes)))

    def branched(self, batch, block, lanes, ways):
        text = batch.grid.code.places[block.sites[-1]].text
        self.branches.append((text.split()[1], np.unique(ways).tolist()))

    def accessed(self, batch, addresses, offset, nbytes, site, how, values=()):
        text = batch.grid.code.places[site].text
        self.accesses.append((addresses.space, how, nbytes, len(lanes_of(addresses)), len(values), text.split()[0]))

    def released(self, batch, lanes):
        self.events.append(("released", batch.lanes_total if lanes is None else len(lanes)))

    def met(self, batch, code, lanes, masks, values):
        self.events.append((code.name, batch.lanes_total if lanes is None else len(lanes)))

    def copied(self, batch, lanes, source, target, nbytes):
        self.events.append(("copied", source is None, nbytes))

    def allocated(self, batch, lane, site, address, nbytes):
        self.events.append(("allocated", lane, nbytes, batch.grid.code.places[site].text.split()[0]))

    def freed(self, batch, lane, site, address):
        self.events.append(("freed", lane))


@pytest.fixture
def launch(cuda):
    device = cuda(SOURCE)

    def run():
        out, rows = np.zeros(129, np.int32), np.arange(512, dtype=np.int32)
        device.run("all", 2, 64, out, rows, 128)
        return out

    return run


def test_an_observer_sees_all_that_a_launch_does_and_changes_nothing(launch):
    plain = launch()
    with observing(Notebook()) as book:
        assert np.array_equal(launch(), plain)
    seen = {(space, how, nbytes, lanes) for space, how, nbytes, lanes, _, _ in book.accesses}
    assert {
        ("global", "load", 16, 128),  # the int4
        ("shared", "store", 4, 128),
        ("shared", "load", 4, 128),
        ("global", "atomic", 4, 16),
        ("global", "store", 4, 2),  # the heap
        ("global", "store", 4, 128),
    } <= seen
    assert all(count == (1 if how == "store" else 0) for _, how, _, _, count, _ in book.accesses)
    assert {opcode.split(".")[0] for *_, opcode in book.accesses} >= {"ld", "st"}
    assert book.events[0] == ("launched", 2)
    assert book.events[-1] == ("finished", 2)
    assert ("released", 128) in book.events
    assert ("shfl.bfly", 128) in book.events
    assert ("sync", 128) in book.events
    assert [event for event in book.events if event[0] == "allocated"] == [
        ("allocated", lane, 16, "call.uni") for lane in (0, 64)
    ]
    assert [event for event in book.events if event[0] == "freed"] == [("freed", 0), ("freed", 64)]
    assert ("copied", True, 8) in book.events  # what malloc gave
    assert any("twice" in name for name, _, _ in book.blocks)
    assert ("copied", False, 4) in book.events  # its argument


def test_the_sites_of_blocks_are_their_instructions(launch):
    with observing(Notebook()) as book:
        launch()
    sites = {}
    for name, own, _ in book.blocks:
        for site in own:
            assert sites.setdefault(site, (name, own)) == (name, own)
    assert len(sites) > 20


def test_branches_are_told_with_the_way_of_every_lane(launch):
    with observing(Notebook()) as book:
        launch()
    assert ("bra", [False, True]) in book.branches  # t < 8
    assert {name for name, _ in book.branches} == {"bra"}


def test_every_instruction_of_the_ptx_has_one_site(ptx):
    body = """
        .visible .entry k(.param .u64 out) {
            .reg .pred %p; .reg .b32 %r; .reg .b64 %w;
            ld.param.u64 %w, [out];
            mov.u32 %r, %tid.x;
            setp.eq.s32 %p, %r, 0;
            @%p st.global.u32 [%w], %r;
            bar.sync 0;
            @!%p bra END;
            bra.uni END;
        END:
            ret;
        }"""
    with observing(Notebook()) as book:
        device = ptx(body)
        device.run("k", 1, 32, np.zeros(1, np.uint32))
    places = device.module.device_function("k").code.places
    names = [place.text.removeprefix("@%p ").removeprefix("@!%p ").split()[0] for place in places]
    expected = ["ld.param.u64", "mov.u32", "setp.eq.s32", "st.global.u32", "bar.sync", "bra", "bra.uni", "ret"]
    assert names == expected
    assert sorted({site for _, sites, _ in book.blocks for site in sites}) == list(range(len(expected)))


def test_a_launch_that_nobody_watches_uses_the_plain_classes(launch, monkeypatch):
    """What observers cost is not on the hot path of others."""

    def refuse(*_):
        raise AssertionError("reported")

    for way in ("load", "store", "load_vector", "store_vector", "elements"):
        monkeypatch.setattr(ReportingGlobalAddresses, way, refuse)
    assert observer_in_force(config.current()) is None
    launch()
    with observing(Observer()), pytest.raises(AssertionError, match="reported"):
        launch()


def test_several_observers_are_told_the_same_in_order(launch):
    with observing(Notebook()) as alone:
        launch()
    with observing(Notebook()) as first, observing(Notebook()) as second:
        assert isinstance(observer_in_force(config.current()), Observers)
        launch()
    assert first.accesses == second.accesses == alone.accesses
    assert first.events == second.events == alone.events
    assert first.blocks == second.blocks == alone.blocks
    assert first.branches == second.branches == alone.branches
    assert observer_in_force(config.current()) is None
