"""Lines of PTX that a GPU is asked about, in groups, and what the decoder says of a line.

`%r` registers hold 32 bits, `%h` 16, `%b` 8, `%d` 64, `%f` f32, `%e` f64, `%p` predicates; `%w` holds an address.
"""

from __future__ import annotations

from jitload.cpu.module import load_ptx
from jitload.errors import CpuFault, LoadError

GROUPS: dict[str, tuple[str, ...]] = {
    "Integer arithmetic": (
        "add.s32 %r1, %r2, %r3", "add.sat.s32 %r1, %r2, %r3", "add.u16x2 %r1, %r2, %r3", "sub.u64 %d1, %d2, %d3",
        "mul.lo.s32 %r1, %r2, %r3", "mul.hi.u64 %d1, %d2, %d3", "mul.wide.s16 %r1, %h1, %h2",
        "mad.lo.s32 %r1, %r2, %r3, %r4", "mad.hi.s32 %r1, %r2, %r3, %r4", "mad.wide.u32 %d1, %r2, %r3, %d2",
        "mul24.lo.s32 %r1, %r2, %r3", "max.relu.s16x2 %r1, %r2, %r3", "mad24.hi.u32 %r1, %r2, %r3, %r4", "sad.u32 %r1, %r2, %r3, %r4",
        "div.s32 %r1, %r2, %r3", "rem.u64 %d1, %d2, %d3", "abs.s32 %r1, %r2", "neg.s64 %d1, %d2",
        "min.u32 %r1, %r2, %r3", "max.s64 %d1, %d2, %d3", "max.s16x2 %r1, %r2, %r3", "min.s32.relu %r1, %r2, %r3",
        "popc.b64 %r1, %d1", "clz.b32 %r1, %r2", "bfind.u32 %r1, %r2", "bfind.shiftamt.s64 %r1, %d1",
        "fns.b32 %r1, %r2, %r3, %r4", "brev.b32 %r1, %r2", "bfe.s32 %r1, %r2, %r3, %r4",
        "bfi.b64 %d1, %d2, %d3, %r1, %r2", "szext.clamp.s32 %r1, %r2, %r3", "bmsk.clamp.b32 %r1, %r2, %r3",
        "dp4a.s32.u32 %r1, %r2, %r3, %r4", "dp2a.lo.u32.u32 %r1, %r2, %r3, %r4",
    ),
    "Carry chains": (
        "add.cc.u32 %r1, %r2, %r3", "addc.u32 %r1, %r2, %r3", "sub.cc.u64 %d1, %d2, %d3", "subc.u64 %d1, %d2, %d3",
        "mad.lo.cc.u32 %r1, %r2, %r3, %r4", "madc.hi.u32 %r1, %r2, %r3, %r4",
    ),
    "Floating point": (
        "add.rz.f32 %f1, %f2, %f3", "add.rn.ftz.sat.f32 %f1, %f2, %f3", "sub.rm.f64 %e1, %e2, %e3", "mul.rn.f32 %f1, %f2, %f3",
        "fma.rn.f32 %f1, %f2, %f3, %f4", "fma.rp.f64 %e1, %e2, %e3, %e4", "mad.rn.f32 %f1, %f2, %f3, %f4",
        "add.rz.f32x2 %d1, %d2, %d3", "mul.rn.f32x2 %d1, %d2, %d3", "fma.rn.ftz.f32x2 %d1, %d2, %d3, %d4", "div.rn.f32 %f1, %f2, %f3", "div.full.f32 %f1, %f2, %f3", "div.approx.f32 %f1, %f2, %f3", "div.rn.f64 %e1, %e2, %e3",
        "rcp.rn.f64 %e1, %e2", "rcp.approx.ftz.f32 %f1, %f2", "rcp.approx.ftz.f64 %e1, %e2", "sqrt.rn.f32 %f1, %f2",
        "sqrt.approx.f32 %f1, %f2", "rsqrt.approx.f32 %f1, %f2", "rsqrt.approx.ftz.f64 %e1, %e2", "sin.approx.f32 %f1, %f2",
        "cos.approx.f32 %f1, %f2", "lg2.approx.f32 %f1, %f2", "ex2.approx.ftz.f32 %f1, %f2", "tanh.approx.f32 %f1, %f2",
        "min.NaN.f32 %f1, %f2, %f3", "max.xorsign.abs.f32 %f1, %f2, %f3", "max.NaN.abs.f32 %f1, %f2, %f3, %f4",
        "add.rz.sat.f32.bf16 %f1, %h1, %f2", "sub.f32.f16 %f1, %h1, %f2", "fma.rn.f32.f16 %f1, %h1, %h2, %f2", "abs.f64 %e1, %e2", "neg.f32 %f1, %f2",
        "copysign.f32 %f1, %f2, %f3", "testp.finite.f32 %p1, %f1",
    ),
    "Half precision": (
        "add.f16x2 %r1, %r2, %r3", "add.bf16 %h1, %h2, %h3", "sub.f16 %h1, %h2, %h3", "mul.bf16x2 %r1, %r2, %r3",
        "fma.rn.f16 %h1, %h2, %h3, %h4", "fma.rn.relu.bf16x2 %r1, %r2, %r3, %r4", "neg.f16x2 %r1, %r2", "abs.bf16 %h1, %h2",
        "min.f16 %h1, %h2, %h3", "max.NaN.bf16x2 %r1, %r2, %r3", "ex2.approx.f16x2 %r1, %r2", "tanh.approx.bf16 %h1, %h2",
        "set.lt.f16x2.f16x2 %r1, %r2, %r3", "setp.eq.f16 %p1, %h1, %h2",
    ),
    "Comparison and selection": (
        "setp.lt.s32 %p1, %r1, %r2", "setp.gt.and.f32 %p1|%p2, %f1, %f2, %p3", "set.ne.u32.s32 %r1, %r2, %r3",
        "selp.b32 %r1, %r2, %r3, %p1", "slct.f32.s32 %f1, %f2, %f3, %r1",
    ),
    "Logic and shifts": (
        "and.b32 %r1, %r2, %r3", "or.pred %p1, %p2, %p3", "xor.b64 %d1, %d2, %d3", "not.b32 %r1, %r2", "cnot.b32 %r1, %r2",
        "lop3.b32 %r1, %r2, %r3, %r4, 0x96", "shl.b64 %d1, %d2, %r1", "shr.s32 %r1, %r2, %r3",
        "shf.l.wrap.b32 %r1, %r2, %r3, %r4", "shf.r.clamp.b32 %r1, %r2, %r3, %r4", "prmt.b32 %r1, %r2, %r3, %r4",
        "prmt.b32.ecl %r1, %r2, %r3, %r4",
    ),
    "Moves and conversions": (
        "mov.b64 %d1, {%r1, %r2}", "mov.b32 {%h1, %h2}, %r1", "mov.b128 %q, {%d1, %d2}", "cvt.s64.s32 %d1, %r1", "cvt.sat.u8.s32 %r1, %r2",
        "cvt.rni.s32.f32 %r1, %f1", "cvt.rn.f32.s64 %f1, %d1", "cvt.sat.f32.f32 %f1, %f2", "cvt.rmi.f32.f32 %f1, %f2",
        "cvt.rn.f16.f32 %h1, %f1", "cvt.rn.bf16x2.f32 %r1, %f1, %f2", "cvt.rna.tf32.f32 %r1, %f1", "cvt.rn.satfinite.f16.f32 %h1, %f1", "cvt.pack.sat.s8.s32.b32 %r1, %r2, %r3, %r4",
        "cvt.rn.satfinite.e4m3x2.f32 %h1, %f1, %f2", "cvt.rn.f16x2.e5m2x2 %r1, %h1",
        "cvt.rn.satfinite.relu.e2m1x2.f32 %b1, %f1, %f2", "cvt.rn.f16x2.e2m1x2 %r1, %b1", "cvt.rn.satfinite.e2m3x2.f32 %h1, %f1, %f2",
        "cvt.rn.relu.f16x2.e3m2x2 %r1, %h1", "cvt.rp.satfinite.ue8m0x2.bf16x2 %h1, %r1", "cvt.rn.bf16x2.ue8m0x2 %r1, %h1",
        "cvt.rn.satfinite.e2m1x2.bf16x2 %b1, %r1", "cvt.rs.bf16x2.f32 %r1, %f1, %f2, %r2", "cvt.rs.satfinite.e2m1x4.f32 %h1, {%f1, %f2, %f3, %f4}, %r2",
        "cvt.rn.satfinite.s2f6x2.f32 %h1, %f1, %f2", "cvta.to.shared.u64 %d1, %d2",
        "isspacep.local %p1, %d1",
    ),
    "Memory": (
        "ld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%w]", "ld.const.b32 %r1, [%w]", "ld.shared.u8 %h1, [%r1]",
        "ld.local.b32 %r1, [%r2]", "ld.param.u64 %d1, [k_p]", "ld.acquire.gpu.global.b32 %r1, [%w]", "ld.volatile.b32 %r1, [%w]",
        "ld.global.b128 %q, [%w]", "ldu.global.b32 %r1, [%w]", "st.global.v2.f64 [%w], {%e1, %e2}", "st.release.sys.b32 [%w], %r1",
        "st.shared.b16 [%r1], %h1", "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r1], %r2, [%r3]",
        "prefetch.global.L2 [%w]", "prefetchu.L1 [%w]", "applypriority.global.L2::evict_normal [%w], 128",
        "discard.global.L2 [%w], 128", "createpolicy.fractional.L2::evict_last.b64 %d1, 1.0", "membar.gl", "fence.acq_rel.gpu",
        "fence.proxy.async", "alloca.u64 %d1, 16", "mapa.u64 %d1, %d2, %r1", "getctarank.u64 %r1, %d2", "st.bulk.weak.shared::cta [%r1], 16, 0",
    ),
    "Asynchronous copies": (
        "cp.async.ca.shared.global [%r1], [%w], 4", "cp.async.cg.shared.global [%r1], [%w], 16, %r2", "cp.async.commit_group",
        "cp.async.wait_group 0", "cp.async.wait_all", "cp.async.mbarrier.arrive.noinc.shared.b64 [%r1]",
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%w], %r2, [%r3]",
        "cp.async.bulk.global.shared::cta.bulk_group [%w], [%r1], %r2", "cp.async.bulk.wait_group.read 0",
        "cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], [%w, {%r2}], [%r3]",
        "tensormap.replace.tile.global_dim.global.b1024.b32 [%w], 1, %r1", "fence.proxy.tensormap::generic.acquire.gpu [%w], 128",
        "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%w], [%r1], 128",
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%w], %r2, [%r3], %h1",
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%w, {%r2, %r3, %r4}], [%r5], %h1",
        "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%w, {%r2, %r3}], [%r1]",
        "cp.async.bulk.prefetch.tensor.5d.L2.global.tile [%w, {%r1, %r2, %r3, %r4, %r5}]",
        "cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group [%w, {%r2, %r3, %r4}], [%r1]",
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r1], [%w, {%r2, %r3, %r4, %r5}], [%r6]",
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile::gather4.mbarrier::complete_tx::bytes [%r1], [%w, {%r2, %r3, %r4, %r5, %r6}], [%r7]",
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%w], [%r1], %r2",
    ),
    "Atomics": (
        "atom.global.add.u32 %r1, [%w], %r2", "atom.add.f64 %e1, [%w], %e2", "atom.shared.cas.b64 %d1, [%r1], %d2, %d3",
        "atom.global.inc.u32 %r1, [%w], %r2", "atom.global.exch.b32 %r1, [%w], %r2", "atom.global.min.s64 %d1, [%w], %d2",
        "atom.global.cas.b16 %h1, [%w], %h2, %h3", "atom.global.add.noftz.f16x2 %r1, [%w], %r2",
        "atom.global.add.noftz.bf16 %h1, [%w], %h2", "atom.global.add.v4.f32 {%f1, %f2, %f3, %f4}, [%w], {%f1, %f2, %f3, %f4}",
        "red.global.min.noftz.v2.f16x2 [%w], {%r1, %r2}", "atom.global.max.noftz.v4.bf16 {%h1, %h2, %h3, %h4}, [%w], {%h1, %h2, %h3, %h4}",
        "atom.global.exch.b128 %q, [%w], %q", "red.global.add.f32 [%w], %f1", "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r1], %r2, [%r3]",
        "multimem.red.global.add.u32 [%w], %r1",
    ),
    "Barriers": (
        "bar.sync 0", "barrier.sync %r1, 64", "bar.arrive 1, 64", "bar.red.popc.u32 %r1, 0, %p1", "bar.red.and.pred %p1, 0, %p2",
        "bar.warp.sync -1", "barrier.cluster.arrive", "barrier.cluster.wait", "mbarrier.init.shared.b64 [%r1], 32", "mbarrier.arrive.shared.b64 %d1, [%r1]",
        "mbarrier.arrive_drop.shared.b64 %d1, [%r1]", "mbarrier.test_wait.shared.b64 %p1, [%r1], %d1",
        "mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0", "mbarrier.pending_count.b64 %r1, %d1", "mbarrier.inval.shared.b64 [%r1]",
        "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 16", "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r1], 16",
        "mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [%r1], 16", "griddepcontrol.wait",
    ),
    "Warps": (
        "shfl.sync.bfly.b32 %r1|%p1, %r2, 1, 31, -1", "vote.sync.ballot.b32 %r1, %p1, -1", "vote.sync.uni.pred %p1, %p2, -1",
        "match.any.sync.b32 %r1, %r2, -1", "match.all.sync.b64 %r1|%p1, %d1, -1", "redux.sync.add.s32 %r1, %r2, -1",
        "redux.sync.min.f32 %f1, %f2, -1", "activemask.b32 %r1", "elect.sync %r1|%p1, -1",
    ),
    "Tensor cores": (
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}",
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4}",
        "mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4}",
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%e1, %e2}, {%e3}, {%e4}, {%e1, %e2}",
        "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%e1, %e2, %e3, %e4}, {%e1, %e2, %e3, %e4, %e1, %e2, %e3, %e4}, {%e1, %e2, %e3, %e4}, {%e1, %e2, %e3, %e4}",
        "mma.sync.aligned.m8n8k4.col.row.f32.f16.f16.f32 {%f1, %f2, %f3, %f4, %f5, %f6, %f7, %f8}, {%r1, %r2}, {%r3, %r4}, {%f1, %f2, %f3, %f4, %f5, %f6, %f7, %f8}",
        "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}",
        "mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.xor.popc {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%r7}, {%r1, %r2, %r3, %r4}",
        "mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2}, {%r1, %r2}, {%f1, %f2, %f3, %f4}, %r3, 0",
        "mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.s32.s8.u8.s32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, %r3, 0",
        "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32.e3m2.e2m1.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}",
        "mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}, %r5, {0, 0}, %r6, {0, 0}",
        "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}, [%w], %r9",
        "wmma.store.d.sync.aligned.row.m16n16k16.f32 [%w], {%f1, %f2, %f3, %f4, %f5, %f6, %f7, %f8}, %r9",
        "wmma.mma.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32 {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}, {%r1, %r2}, {%r3, %r4}, {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}",
        "wmma.load.a.sync.aligned.row.m8n8k128.b1 {%r1}, [%w]", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r1, %r2, %r3, %r4}, [%r5]",
        "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r1], {%r2}", "movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r2",
        "wgmma.fence.sync.aligned", "wgmma.commit_group.sync.aligned", "wgmma.wait_group.sync.aligned 0",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1, %f2, %f3, %f4}, %d1, %d2, %p1, 1, 1, 0, 0",
        "wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, %d2, %p1, 1, 1",
        "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e5m2 {%f1, %f2, %f3, %f4}, %d1, %d2, %p1, 1, 1",
        "wgmma.mma_async.sync.aligned.m64n8k32.satfinite.s32.s8.u8 {%r1, %r2, %r3, %r4}, %d1, %d2, %p1",
        "wgmma.mma_async.sync.aligned.m64n8k256.s32.b1.b1.and.popc {%r1, %r2, %r3, %r4}, %d1, %d2, %p1",
        "wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {%f1, %f2, %f3, %f4}, %d1, %d2, %r1, 0, %p1, 1, 1, 0, 0",
        "tcgen05.wait::ld.sync.aligned", "setmaxnreg.inc.sync.aligned.u32 128",
    ),
    "Control": (
        "bra DONE", "@%p1 bra DONE", "call (%r1), callee, (%r2)", "call nobody_defines_this", "exit", "trap", "brkpt", "ret",
        "nanosleep.u32 20", "pmevent 1",
    ),
    "Special registers": (
        *(f"mov.u32 %r1, %{name}" for name in ("tid.x", "ntid.y", "ctaid.z", "nctaid.x", "laneid", "warpid", "nwarpid", "smid", "nsmid",
          "lanemask_lt", "clock", "globaltimer_lo", "envreg1", "dynamic_smem_size", "reserved_smem_offset_1", "cluster_ctarank", "pm0")),
        "mov.u64 %d1, %clock64", "mov.u64 %d1, %globaltimer", "mov.u64 %d1, %gridid", "mov.pred %p1, %is_explicit_cluster",
    ),
    "SIMD in a word": (
        "vadd2.u32.u32.u32 %r1, %r2, %r3, %r4", "vsub4.s32.s32.s32.sat %r1, %r2, %r3, %r4", "vavrg4.u32.u32.u32 %r1, %r2, %r3, %r4",
        "vabsdiff4.u32.u32.u32.add %r1, %r2, %r3, %r4", "vmin2.s32.s32.s32 %r1, %r2, %r3, %r4", "vset4.u32.u32.eq %r1, %r2, %r3, %r4",
        "vadd4.s32.u32.s32.sat %r1.b20, %r2.b7120, %r3.b3333, %r4",
    ),
    "Scalar video instructions": (
        "vadd.s32.s32.s32 %r1, %r2, %r3", "vsub.u32.s32.u32.sat %r1.b0, %r2.b3, %r3.h1, %r4", "vabsdiff.u32.u32.u32.add %r1, %r2.h0, %r3.h1, %r4",
        "vmin.s32.s32.s32.max %r1, %r2, %r3, %r4", "vmax.u32.u32.u32 %r1, %r2, %r3", "vshl.s32.u32.u32.clamp %r1, %r2, %r3",
        "vshr.s32.s32.u32.wrap %r1, %r2.h1, %r3.b0", "vset.s32.u32.lt.add %r1, %r2, %r3, %r4", "vmad.s32.s32.u32.sat.shr7 %r1, %r2.h0, -%r3.b1, %r4",
        "vmad.u32.u32.u32.po %r1, %r2, %r3, %r4",
    ),
    "Textures and surfaces": (
        "tex.1d.v4.s32.s32 {%r1, %r2, %r3, %r4}, [%d1, {%r5}]", "tex.a2d.v4.u32.f32 {%r1, %r2, %r3, %r4}, [%d1, {%r5, %f1, %f2, %f2}]",
        "tex.3d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6, %f7, %f7}]", "tex.cube.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6, %f7, %f7}]",
        "tex.level.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6}], %f7",
        "tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6}]", "tld4.r.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6}]",
        "tex.base.1d.v4.f32.f32 {%f1, %f2, %f3, %f4}|%p1, [%d1, %f5]", "tex.2d.v2.f16x2.f32 {%r1, %r2}, [%d1, {%f5, %f6}], {%r3, %r4}",
        "tex.grad.cube.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%f5, %f6, %f7, %f7}], {%f1, %f2, %f3, %f3}, {%f1, %f2, %f3, %f3}",
        "tex.2dms.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%d1, {%r1, %r2, %r3, %r3}]", "tld4.r.acube.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%d1, {%r1, %f5, %f6, %f7}]",
        "txq.width.b32 %r1, [%d1]", "txq.channel_order.b32 %r1, [%d1]", "suld.b.2d.b32.trap %r1, [%d1, {%r2, %r3}]", "sust.p.2d.v4.b32.zero [%d1, {%r2, %r3}], {%r1, %r2, %r3, %r4}", "sust.b.2d.b32.trap [%d1, {%r2, %r3}], %r1",
        "sured.b.add.2d.u32.trap [%d1, {%r2, %r3}], %r1", "suq.width.b32 %r1, [%d1]", "istypep.texref %p1, %d1",
    ),
}  # fmt: skip

_FRAME = """.version 8.7
.target sm_90
.address_size 64
.func (.reg .b32 %o) callee(.reg .b32 %i) {{ mov.b32 %o, %i; ret; }}
.visible .entry k(.param .u64 k_p) {{
.reg .b32 %r<10>; .reg .b8 %b<3>; .reg .b16 %h<5>; .reg .b64 %d<5>; .reg .f32 %f<9>; .reg .f64 %e<5>; .reg .pred %p<4>; .reg .b64 %w;{wide}
{line};
DONE: ret; }}"""


def decide(line: str) -> str:
    """Empty when the decoder takes the line, else why it refuses it."""
    wide = " .reg .b128 %q;" if "%q" in line else ""
    try:
        load_ptx(_FRAME.format(line=line, wide=wide).encode()).device_function("k")
    except CpuFault as fault:
        return str(fault).partition("): ")[2] or str(fault).partition("CPU: ")[2]
    except LoadError as error:
        return str(error).partition(": ")[2]
    return ""
