"""Copies to several thread blocks of a cluster."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.memory.tensor_map import ELEMENTS, TensorMap, encode_tensor_map
from jitload.errors import CpuFault

KERNEL = """.visible .entry k(.param .align 64 .b8 map[128], .param .u64 x, .param .u64 out, .param .u32 masks) {{
.reg .b64 %m, %o, %s, %x; .reg .b32 %t, %i, %n, %r, %y; .reg .b16 %k; .reg .pred %p; .shared .align 1024 .b8 box[512]; .shared .align 8 .b64 bar;
mov.b64 %m, map; cvta.param.u64 %m, %m; ld.param.u64 %o, [out]; ld.param.u64 %x, [x]; mov.u32 %t, %tid.x; mov.u32 %r, %cluster_ctarank;
setp.ne.u32 %p, %t, 0; @%p bra READY; mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster;
mul.lo.u32 %i, %r, 8; ld.param.u32 %n, [masks]; shr.u32 %n, %n, %i; and.b32 %n, %n, 15; cvt.u16.u32 %k, %n;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;
READY: barrier.cluster.arrive; barrier.cluster.wait; @%p bra WAIT;
mul.lo.u32 %y, %r, {rows}; mad.wide.u32 %x, %r, 256, %x; mul.lo.u32 %i, %r, 256; mov.u32 %n, box; add.u32 %i, %i, %n; mov.u32 %n, 0;
{copy}
WAIT: mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
mov.u32 %i, box; mad.lo.u32 %i, %t, 16, %i; mov.u32 %n, %ctaid.x; mad.lo.u32 %n, %n, 32, %t; mad.wide.u32 %o, %n, 16, %o;
.reg .b32 %v<4>; ld.shared.v4.b32 {{%v0, %v1, %v2, %v3}}, [%i]; st.global.v4.b32 [%o], {{%v0, %v1, %v2, %v3}};
barrier.cluster.arrive; barrier.cluster.wait; ret; }}"""
BULK = (
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%i], [%x], 256, [bar], %k;"
)
TENSOR = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%i], [%m, {%n, %y}], [bar], %k;"


@pytest.mark.usefixtures("checked_too")
@pytest.mark.parametrize("copy", [BULK, TENSOR], ids=["bulk", "tensor"])
def test_each_block_brings_a_half_for_both(ptx, copy):
    """As tiles that the blocks of a cluster share are loaded; two clusters."""
    device = ptx(KERNEL.format(copy=copy, rows=4))
    x, out = np.arange(8 * 16, dtype=np.float32).reshape(8, 16), np.zeros((4, 8, 16), np.float32)
    number = next(place for place, (name, _, _) in enumerate(ELEMENTS) if name == "f32")
    address = device.put(x)
    raw = encode_tensor_map(TensorMap(address, (16, 8), (64,), (16, 4), (1, 1), number, 16, False))
    device.run("k", 4, 32, np.void(raw), address, out, 0x0303, cluster=2)
    np.testing.assert_array_equal(out, np.broadcast_to(x, out.shape))
    device.memory.free(address)


@pytest.mark.parametrize(("blocks", "cluster"), [(1, None), (2, 2)])
def test_a_mask_of_blocks_that_are_not_there(ptx, blocks, cluster):
    x = np.zeros((8, 16), np.float32)
    with pytest.raises(CpuFault, match=r"blocks 0xf, as bits, of a cluster that has (one block|2 blocks)"):
        ptx(KERNEL.format(copy=BULK, rows=4)).run(
            "k", blocks, 32, np.void(bytes(128)), x, np.zeros(1024, np.float32), 0x0F0F, cluster=cluster
        )


def test_bytes_that_a_block_never_gets(ptx):
    """Each block copies to itself alone, and both wait for two halves."""
    x = np.zeros((8, 16), np.float32)
    with pytest.raises(CpuFault, match="lacks 0 arrivals and 256 bytes"):
        ptx(KERNEL.format(copy=BULK, rows=4)).run(
            "k", 2, 32, np.void(bytes(128)), x, np.zeros(1024, np.float32), 0x0201, cluster=2
        )


@pytest.mark.parametrize(("group", "lacks"), [("", 256), (".cta_group::1", 256), (".cta_group::2", 512)])
def test_which_mbarrier_of_a_pair_is_told(ptx, group, lacks):
    """The first block copies to both: each is told of its own half, or the first one of both."""
    x = np.zeros((8, 16), np.float32)
    device = ptx(KERNEL.format(copy=TENSOR.replace(".multicast::cluster", f".multicast::cluster{group}"), rows=4))
    address = device.put(x)
    number = next(place for place, (name, _, _) in enumerate(ELEMENTS) if name == "f32")
    raw = encode_tensor_map(TensorMap(address, (16, 8), (64,), (16, 4), (1, 1), number, 16, False))
    with pytest.raises(CpuFault, match=f"lacks 0 arrivals and {lacks} bytes"):
        device.run("k", 2, 32, np.void(raw), address, np.zeros(1024, np.float32), 0x0003, cluster=2)
    device.memory.free(address)
