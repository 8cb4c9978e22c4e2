"""Families that few programs have an instruction of are imported by programs that have one, and by no others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jitload.cpu.isa.registry import families, opcodes, rows_of

SAXPY = """
.version 7.0
.target sm_70
.address_size 64
.visible .entry k(.param .f32 a, .param .u64 x, .param .u64 y, .param .u32 n)
{
    .reg .pred %p; .reg .f32 %f<5>; .reg .b32 %r<6>; .reg .b64 %d<8>;
    ld.param.f32 %f1, [a]; ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u32 %r2, [n];
    mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x; mad.lo.s32 %r1, %r3, %r4, %r5;
    setp.ge.s32 %p, %r1, %r2; @%p bra DONE;
    cvta.to.global.u64 %d3, %d1; mul.wide.s32 %d4, %r1, 4; add.s64 %d5, %d3, %d4; ld.global.f32 %f2, [%d5];
    cvta.to.global.u64 %d6, %d2; add.s64 %d7, %d6, %d4; ld.global.f32 %f3, [%d7];
    fma.rn.f32 %f4, %f1, %f2, %f3; st.global.f32 [%d7], %f4;
DONE: ret; }
"""
RUN = """
import sys
import numpy as np
from jitload.cpu.module import load_ptx
x, y = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32)
load_ptx(sys.argv[1].encode())["k"][4, 256](np.float32(2), x, y, np.int32(1000))
assert (y == 2 * x + 1).all()
print(*[name.removeprefix("jitload.cpu.") for name in sys.modules if name.startswith("jitload.cpu.")])
"""
LANES = {**os.environ, "JITLOAD_CPU_ENGINE": "lanes"}  # which machine code would come beside, where that is slow
#: Words of files that textures, surfaces, copies, products, clusters, conversions, calls and the like have for themselves.
RARE = (
    "barrier", "cluster_barrier", "conversions", "convert", "copies", "copy", "exact", "fp8", "fragments", "images", "levels", "matrices",
    "matrix", "mbarrier", "meeting", "multicast", "product", "quads", "queries", "runtime_calls", "sampling", "scales", "sparse", "stochastic",
    "surface", "surfaces", "synchronization", "tensor", "tensor_map", "tensors", "texels", "texture", "textures", "video", "warpgroup",
    "warpgroups", "warps",
)  # fmt: skip
#: What saxpy needs of these all the same: conversions from bf16, and rows of what other families have of its opcodes.
NEEDED = {"lanes.convert", "isa.copies"}
MOST_FILES = 88


def test_each_row_is_found_by_its_opcode():
    rows = [row for family in families().values() for row in family]
    assert [row.spelled for row in rows if row not in rows_of(row.opcode)] == []
    assert opcodes() == {row.opcode for row in rows}


@pytest.fixture(scope="module")
def imported():
    found = subprocess.run([sys.executable, "-c", RUN, SAXPY], capture_output=True, text=True, check=True, env=LANES)
    return found.stdout.split()


def test_saxpy_imports_no_rare_family(imported):
    assert [name for name in imported if name.rpartition(".")[2] in RARE and name not in NEEDED] == []


def test_saxpy_imports_few_files(imported):
    assert len(imported) <= MOST_FILES, imported
