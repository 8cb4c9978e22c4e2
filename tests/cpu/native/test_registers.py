"""Registers and the carry flag keep what was written to them, over moves, meetings and guards."""

from __future__ import annotations

import numpy as np
import pytest

from .test_launch import both, run

KERNEL = """
.visible .entry k(.param .u64 in, .param .u64 out) {
    .reg .b32 %x<4>, %r, %t; .reg .b64 %i, %o, %a; .reg .pred %p;
    mov.u32 %t, %tid.x; ld.param.u64 %i, [in]; ld.param.u64 %o, [out]; mul.wide.u32 %a, %t, 16; add.u64 %i, %i, %a;
    mul.wide.u32 %a, %t, 4; add.u64 %o, %o, %a; ld.global.v4.u32 {%x0, %x1, %x2, %x3}, [%i]; setp.lt.u32 %p, %x2, %x3;
    BODY
    st.global.u32 [%o], %r; ret; }"""

TURNS = """{ .reg .b32 %n; .reg .pred %q; mov.u32 %n, 0;
    T: bar.sync 0; EACH add.u32 %n, %n, 1; setp.lt.u32 %q, %n, 3; @%q bra T; }"""


@pytest.mark.parametrize(
    ("body", "want"),
    [
        pytest.param(
            "mov.v2.b32 {%x3, %x2}, {%x0, %x2}; @%p bra L; mov.u32 %x3, 7; L: add.u32 %r, %x0, %x3;",
            lambda x, less: x[0] + np.where(less, x[0], 7),
            id="registers that were moved together are apart",
        ),
        pytest.param(
            "bar.sync 0; add.cc.u32 %r, %x0, %x1; bar.sync 0; addc.u32 %r, %x2, %x3;",
            lambda x, _: x[2] + x[3] + (x[0] + x[1] >> 32),
            id="a carry is kept over a barrier",
        ),
        pytest.param(
            "add.cc.u32 %r, %x0, %x1; bra L; L: @%p add.cc.u32 %r, %x1, %x2; addc.u32 %r, 0, 0;",
            lambda x, less: np.where(less, x[1] + x[2], x[0] + x[1]) >> 32,
            id="a carry is kept where a guard leaves it",
        ),
        pytest.param(
            f"mov.u32 %r, 5; @%p bra L; add.u32 %r, %x0, 7; L: {TURNS.replace('EACH', 'add.u32 %x1, %x1, %r;')} mov.u32 %r, %x1;",
            lambda x, less: x[1] + 3 * np.where(less, 5, x[0] + 7),
            id="what a short way leaves is kept in a loop of barriers",
        ),
        pytest.param(
            f"mov.u32 %r, 5; add.u32 %x1, %x1, 1; @%p mov.u32 %r, %x0; {TURNS.replace('EACH', 'add.u32 %x2, %x2, %r;')}"
            f"{TURNS.replace('EACH', 'add.u32 %x2, %x2, %x1;').replace('T', 'V')} add.u32 %r, %x2, %r;",
            lambda x, less: x[2] + 4 * np.where(less, x[0], 5) + 3 * (x[1] + 1),
            id="what is written in front of loops of barriers is kept in them",
        ),
        pytest.param(
            f"add.u32 %r, %x0, 1; {TURNS.replace('EACH', '@%p add.u32 %r, %r, %x1; add.u32 %x2, %x2, %r;')} mov.u32 %r, %x2;",
            lambda x, less: x[2] + 3 * (x[0] + 1) + np.where(less, 6 * x[1], 0),
            id="what a loop of barriers writes is kept as it is there",
        ),
    ],
)
def test_registers_keep_what_was_written(ptx, body, want):
    words = np.random.default_rng(1).integers(0, 1 << 32, (64, 4), np.uint32)
    device, out = ptx(KERNEL.replace("BODY", body)), np.zeros(64, np.uint32)
    assert not both(device, "k", 1, 64, words, out)
    assert run(device, "native", "k", 1, 64, words, out) == ""
    x = words.T.astype(np.uint64)
    np.testing.assert_array_equal(out, (want(x, x[2] < x[3]) & 0xFFFFFFFF).astype(np.uint32))


CHAIN = """
.visible .entry k(.param .u64 in, .param .u64 out) {
    .reg .f32 %x<4>, %f<5>; .reg .b32 %t, %bits; .reg .b64 %i, %o, %a; .reg .pred %p;
    mov.u32 %t, %tid.x; ld.param.u64 %i, [in]; ld.param.u64 %o, [out]; mul.wide.u32 %a, %t, 16; add.u64 %i, %i, %a;
    add.u64 %o, %o, %a; ld.global.v4.f32 {%x0, %x1, %x2, %x3}, [%i]; setp.gt.f32 %p, %x0, %x3;
    add.f32 %f0, %x0, %x1; mul.f32 %f1, %f0, %x2; fma.rn.f32 %f2, %f1, %f0, %x3; sub.f32 %f3, %f2, %f1;
    @%p add.f32 %f3, %x0, %f0; add.f32 %f3, %f3, %x1;
    mov.b32 %bits, %f0; xor.b32 %bits, %bits, 1; mov.b32 %f4, %bits; @!%p bra ON; mov.f32 %f1, %x1;
ON: min.f32 %f2, %f2, %f1; neg.f32 %f1, %f1; div.rn.f32 %f3, %f3, %f1; st.global.v4.f32 [%o], {%f1, %f2, %f3, %f4}; ret; }"""


def test_each_of_a_chain_of_floats_has_the_nan_of_the_isa(ptx):
    kinds = np.array([0x3F800000, 0x7F800001, 0x7FC00123, 0xFFC00001, 0x7F800000, 0xFF800000, 0, 0xC0490FDB], np.uint32)
    words = np.random.default_rng(3).choice(kinds, (512, 4))
    device, out = ptx(CHAIN), np.zeros((512, 4), np.uint32)
    assert not both(device, "k", 1, 512, words, out)
    assert run(device, "native", "k", 1, 512, words, out) == ""
    with np.errstate(all="ignore"):
        sums = words.view(np.float32)[:, 0] + words.view(np.float32)[:, 1]
    np.testing.assert_array_equal(out[:, 3][np.isnan(sums)], 0x7FFFFFFE)
    quotients = out[:, 2].view(np.float32)
    assert set(out[:, 2][np.isnan(quotients)].tolist()) == {0x7FFFFFFF}
