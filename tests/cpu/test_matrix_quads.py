"""`mma.m8n8k4` of f16: four products in a warp, with the fragment layouts as the PTX ISA writes them out."""

from __future__ import annotations

import numpy as np
import pytest

# PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16": (row, column) of element i in a lane.
PLACES = {
    ("a", "row"): lambda lane, i: (lane % 4 if lane < 16 else lane % 4 + 4, i),
    ("a", "col"): lambda lane, i: (i if lane < 16 else i + 4, lane % 4),
    ("b", "row"): lambda lane, i: (lane % 4, i if lane < 16 else i + 4),
    ("b", "col"): lambda lane, i: (i, lane % 4 if lane < 16 else lane % 4 + 4),
    ("c", "f16"): lambda lane, i: (lane % 4 if lane < 16 else lane % 4 + 4, i),
    ("c", "f32"): lambda lane, i: ((lane & 1) + (i & 2) + (0 if lane < 16 else 4), (i & 4) + (lane & 2) + (i & 1)),
}
DTYPES = {"f16": np.float16, "f32": np.float32}


def deal(matrices, form, per_lane, type_name):
    """Lane by lane, the elements of the matrix of the lane's pair of quads, as words."""
    place = PLACES[form]
    rows = [[matrices[lane // 4 % 4][place(lane, i)] for i in range(per_lane)] for lane in range(32)]
    return np.array(rows).astype(DTYPES[type_name]).view(np.uint32)


def text(layouts, d, c):
    counts = {"a": 2, "b": 2, "c": 4 if c == "f16" else 8, "d": 4 if d == "f16" else 8}
    lists = {name: [f"%{name}{i}" for i in range(count)] for name, count in counts.items()}
    lines = [
        ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd) {",
        ".reg .b32 %a<8>, %b<8>, %c<8>, %d<8>, %t; .reg .b64 %w, %v; mov.u32 %t, %tid.x;",
    ]
    for name, count in counts.items():
        lines.append(f"ld.param.u64 %w, [p{name}]; mad.wide.u32 %v, %t, {4 * count}, %w;")
        if name == "d":
            fragments = ", ".join("{" + ", ".join(lists[one]) + "}" for one in "dabc")
            lines.append(f"mma.sync.aligned.m8n8k4.{layouts}.{d}.f16.f16.{c} {fragments};")
            lines += [f"st.global.b32 [%v+{4 * i}], {register};" for i, register in enumerate(lists[name])]
        else:
            lines += [f"ld.global.b32 {register}, [%v+{4 * i}];" for i, register in enumerate(lists[name])]
    return "\n".join([*lines, "ret; }"])


@pytest.mark.parametrize(("d", "c"), [("f16", "f16"), ("f32", "f16"), ("f32", "f32")])
@pytest.mark.parametrize("layouts", ["row.row", "row.col", "col.row", "col.col"])
def test_each_pair_of_quads_multiplies_its_own_matrices(ptx, layouts, d, c):
    by_a, by_b = layouts.split(".")
    rng = np.random.default_rng(len(d + c))
    left, right = rng.integers(-9, 10, (3, 4, 8, 4)), rng.integers(-9, 10, (3, 4, 4, 8))
    start = rng.integers(-99, 100, (3, 4, 8, 8))
    fragments = [
        np.concatenate([deal(one, form, count, kind) for one in matrices])
        for matrices, form, count, kind in (
            (left, ("a", by_a), 4, "f16"),
            (right, ("b", by_b), 4, "f16"),
            (start, ("c", c), 8, c),
        )
    ]
    want = np.concatenate([deal(one, ("c", d), 8, d) for one in left @ right + start])
    result = np.zeros_like(want)
    ptx(text(layouts, d, c)).run("k", 1, 96, *fragments, result)
    np.testing.assert_array_equal(result, want)
