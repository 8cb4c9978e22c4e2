"""Every opcode of the executor has a class, and instructions land in the one that fits."""

from __future__ import annotations

import pytest

from jitload.cpu.profile.instruction_class import CLASSES, Opcode
from tests.cpu.families import GROUPS

UNCLASSED = {
    "prefetch", "prefetchu", "applypriority", "discard", "pmevent", "setmaxnreg", "alloca", "stacksave", "stackrestore",
    "mapa", "getctarank", "multimem", "tex", "tld4", "txq", "suld", "sust", "sured", "suq", "istypep", "wgmma", "tcgen05",
}  # fmt: skip


def test_every_supported_instruction_has_a_class():
    for lines in GROUPS.values():
        for line in lines:
            opcode = Opcode.of(line)
            assert opcode.instruction_class in CLASSES
            assert opcode.instruction_class != "other" or opcode.name in UNCLASSED, line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fma.rn.f32 %f1, %f2, %f3, %f4", "fp32"),
        ("@%p1 add.f64 %fd1, %fd2, %fd3", "fp64"),
        ("@!p fma.rn.bf16x2 r, a, b, c", "fp16"),
        ("setp.lt.f32 %p1, %f1, %f2", "fp32"),
        ("set.eq.u32.f32 %r1, %f1, %f2", "fp32"),
        ("mul.wide.s32 %rd1, %r1, 4", "integer"),
        ("and.pred %p1, %p2, %p3", "integer"),
        ("vadd2.u32.u32.u32 %r1, %r2, %r3, %r4", "integer"),
        ("add.u16x2 %r1, %r2, %r3", "integer"),
        ("cvt.rn.f32.s32 %f1, %r1", "conversion"),
        ("selp.f32 %f1, %f2, %f3, %p1", "move"),
        ("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {a}, [b]", "load"),
        ("wmma.store.d.sync.aligned.row.m16n16k16.f32 [a], {b}", "store"),
        ("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {a}", "tensor"),
        ("red.global.add.f32 [a], b", "atomic"),
        ("cp.async.ca.shared.global [a], [b], 4", "copy"),
        ("cp.async.wait_all", "synchronization"),
        ("bar.sync 0", "synchronization"),
        ("bar.warp.sync -1", "warp"),
        ("shfl.sync.bfly.b32 a, b, 1, 31, -1", "warp"),
        ("@%p bra $L__BB0_2", "control"),
        ("call.uni (r), f, (a)", "control"),
    ],
)
def test_known_instructions(text, expected):
    assert Opcode.of(text).instruction_class == expected


@pytest.mark.parametrize(
    ("text", "nbytes"), [("ld.param.u64 a, [b]", 8), ("ld.param.v4.f32 {a}, [b]", 16), ("ld.u8 a, [b]", 1), ("ret", 0)]
)
def test_bytes_of_an_access(text, nbytes):
    assert Opcode.of(text).access_bytes == nbytes
