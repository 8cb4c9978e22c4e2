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
    ],
)
def test_registers_keep_what_was_written(ptx, body, want):
    words = np.random.default_rng(1).integers(0, 1 << 32, (64, 4), np.uint32)
    device, out = ptx(KERNEL.replace("BODY", body)), np.zeros(64, np.uint32)
    assert not both(device, "k", 1, 64, words, out)
    assert run(device, "native", "k", 1, 64, words, out) == ""
    x = words.T.astype(np.uint64)
    np.testing.assert_array_equal(out, (want(x, x[2] < x[3]) & 0xFFFFFFFF).astype(np.uint32))
