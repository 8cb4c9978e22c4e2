"""Every special register holds, in each thread of a launch, what it says."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.isa.specials import SPECIALS, find_special

GRID, BLOCK, SHARED = (3, 2, 2), (8, 5, 2), 48
THREADS = BLOCK[0] * BLOCK[1] * BLOCK[2]
BLOCKS = GRID[0] * GRID[1] * GRID[2]


def _axis(number: int, extents: tuple[int, int, int], axis: str) -> int:
    x, y, _ = extents
    return {"x": number % x, "y": number // x % y, "z": number // (x * y), "w": 0}[axis]


def _extent(extents: tuple[int, int, int], axis: str) -> int:
    return dict(zip("xyzw", (*extents, 0), strict=True))[axis]


#: Name -> what thread `t` of block `b` finds; None where that is the executor's own business.
MODELS = {
    "tid": lambda b, t, axis: _axis(t, BLOCK, axis), "ntid": lambda b, t, axis: _extent(BLOCK, axis),
    "ctaid": lambda b, t, axis: _axis(b, GRID, axis), "nctaid": lambda b, t, axis: _extent(GRID, axis),
    "clusterid": lambda b, t, axis: _axis(b, GRID, axis), "nclusterid": lambda b, t, axis: _extent(GRID, axis),
    "cluster_ctaid": lambda b, t, axis: 0, "cluster_nctaid": lambda b, t, axis: int(axis != "w"),
    "cluster_ctarank": lambda b, t, _: 0, "cluster_nctarank": lambda b, t, _: 1, "is_explicit_cluster": lambda b, t, _: 0,
    "laneid": lambda b, t, _: t % 32, "warpid": lambda b, t, _: t // 32, "nwarpid": lambda b, t, _: -(-THREADS // 32),
    "lanemask_eq": lambda b, t, _: 1 << t % 32, "lanemask_lt": lambda b, t, _: (1 << t % 32) - 1,
    "lanemask_le": lambda b, t, _: (2 << t % 32) - 1, "lanemask_gt": lambda b, t, _: -(2 << t % 32) % (1 << 32),
    "lanemask_ge": lambda b, t, _: -(1 << t % 32) % (1 << 32), "smid": lambda b, t, _: 0, "nsmid": lambda b, t, _: 1,
    "gridid": lambda b, t, _: 1, "current_graph_exec": lambda b, t, _: 0, "dynamic_smem_size": lambda b, t, _: SHARED,
    **dict.fromkeys(["clock", "clock_hi", "clock64", "globaltimer", "globaltimer_lo", "globaltimer_hi"]),
    **dict.fromkeys(["total_smem_size", "aggr_smem_size"]),
    **dict.fromkeys(f"reserved_smem_offset_{which}" for which in ("begin", "end", "cap", "0", "1")),
    **{f"pm{number}{wide}": lambda b, t, _: 0 for number in range(8) for wide in ("", "_64")},
    **{f"envreg{number}": None if number in {1, 2} else lambda b, t, _: 0 for number in range(32)},
}  # fmt: skip


def test_each_special_register_has_a_model():
    assert {*MODELS} == {*SPECIALS}


@pytest.mark.parametrize("axes", [True, False])
def test_special_registers_hold_what_they_say(ptx, axes):
    names = [
        f"{name}.{axis}" if axes else name
        for name, one in SPECIALS.items()
        if one.axes == axes
        for axis in ("xyzw" if axes else "x")
    ]
    reads = []
    for k, name in enumerate(names):
        bits = find_special(name).bits
        read = f"mov.u{bits} %d, %{name};" if bits == 64 else f"mov.u32 %r, %{name}; cvt.u64.u32 %d, %r;"
        read = f"mov.pred %p, %{name}; selp.u64 %d, 1, 0, %p;" if bits == 1 else read
        reads.append(f"{read} st.global.u64 [%w+{8 * k}], %d;")
    text = f""".visible .entry k(.param .u64 out) {{ .reg .b32 %r, %t, %n, %b; .reg .b64 %d, %w, %x; .reg .pred %p;
        mov.u32 %t, %tid.z; mov.u32 %n, %ntid.y; mov.u32 %r, %tid.y; mad.lo.u32 %t, %t, %n, %r; mov.u32 %n, %ntid.x; mov.u32 %r, %tid.x; mad.lo.u32 %t, %t, %n, %r;
        mov.u32 %b, %ctaid.z; mov.u32 %n, %nctaid.y; mov.u32 %r, %ctaid.y; mad.lo.u32 %b, %b, %n, %r; mov.u32 %n, %nctaid.x; mov.u32 %r, %ctaid.x; mad.lo.u32 %b, %b, %n, %r;
        mad.lo.u32 %t, %b, {THREADS}, %t; ld.param.u64 %w, [out]; mul.wide.u32 %x, %t, {8 * len(names)}; add.u64 %w, %w, %x; {" ".join(reads)} ret; }}"""
    out = np.zeros((BLOCKS, THREADS, len(names)), np.uint64)
    ptx(text).run("k", GRID, BLOCK, out, shared=SHARED)
    for k, name in enumerate(names):
        model = MODELS[name.partition(".")[0]]
        if model is not None:
            want = [[model(b, t, name.partition(".")[2]) for t in range(THREADS)] for b in range(BLOCKS)]
            assert out[:, :, k].tolist() == want, name
