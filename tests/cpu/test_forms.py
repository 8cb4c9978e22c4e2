"""Forms that ptxas takes and a table of rows once left out: each decodes, and gives what the ISA says."""

from __future__ import annotations

import numpy as np
import pytest

import jitload

_HEAD = """.version 8.6
.target sm_90
.address_size 64
.visible .entry k(.param .u64 p) {
.reg .pred %p<9>; .reg .b32 %r<9>; .reg .b64 %d<9>; .reg .b16 %h<9>; .reg .f32 %f<9>; .reg .f64 %e<9>;
.shared .align 4 .b8 sh[256];
ld.param.u64 %d1, [p];
"""


def run(body, *, threads=1):
    out = np.zeros(1, np.uint16)
    with jitload.configure(device="cpu"):
        module = jitload.load_module_from_bytes("ptx", f"{_HEAD}{body}\nret;\n}}\n".encode())
        module["k"][1, threads](out)
    return int(out[0])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("and.pred %p3, !%p2, %p1", 1),
        ("and.pred %p3, %p1, !%p1", 0),
        ("or.pred %p3, %p2, !%p1", 0),
        ("or.pred %p3, !%p2, %p2", 1),
        ("xor.pred %p3, !%p1, %p1", 1),
        ("xor.pred %p3, !%p1, !%p2", 1),
        ("not.pred %p3, !%p1", 1),
        ("mov.pred %p3, !%p1", 0),
    ],
)
def test_sources_of_predicates_may_be_negated(line, wanted):
    setup = "mov.b32 %r1, 1; setp.eq.s32 %p1, %r1, 1; setp.eq.s32 %p2, %r1, 2;"
    assert run(f"{setup} {line}; selp.b16 %h1, 1, 0, %p3; st.global.b16 [%d1], %h1;") == wanted


def test_a_result_is_not_negated():
    with pytest.raises(jitload.CpuFault, match="operand 1 does not fit"):
        run("and.pred !%p1, %p2, %p3;")


@pytest.mark.parametrize(
    ("setup", "line", "wanted"),
    [
        ("mov.b16 %h2, 0x3fc0", "cvt.rn.f16.bf16 %h1, %h2", 0x3E00),
        ("mov.b16 %h2, 0x7f7f", "cvt.rn.f16.bf16 %h1, %h2", 0x7C00),
        ("mov.b16 %h2, 0x7f7f", "cvt.rz.f16.bf16 %h1, %h2", 0x7BFF),
        ("mov.b16 %h2, 0x3fc0", "cvt.bf16.bf16 %h1, %h2", 0x3FC0),
        ("mov.b32 %r1, -5", "set.lt.bf16.s32 %h1, %r1, 3", 0x3F80),
        ("mov.b32 %r1, -5", "set.lo.bf16.u32 %h1, %r1, 3", 0),
        ("mov.f64 %e1, 0d3ff0000000000000", "set.num.bf16.f64 %h1, %e1, %e1", 0x3F80),
        ("mov.f32 %f1, 0f3f800000", "set.gt.bf16.f32 %h1, %f1, %f1", 0),
        ("mov.b16 %h2, 7; setp.eq.s32 %p1, 1, 1", "set.eq.and.bf16.b16 %h1, %h2, %h2, %p1", 0x3F80),
        ("mov.b16 %h1, 3", "prefetch.L2::evict_last [%d1]", 3),
    ],
)
def test_results_in_bfloat16_and_hints_on_generic_addresses(setup, line, wanted):
    assert run(f"{setup}; {line}; st.global.b16 [%d1], %h1;") == wanted


def test_an_undefined_value_stored_through_its_own_register_is_a_fault():
    """The address is a register as well, and that it is the same one hides nothing."""
    body = """mov.u32 %r1, %tid.x;
setp.ge.u32 %p1, %r1, 16;
@%p1 bra END;
mov.u32 %r3, sh;
shfl.sync.down.b32 %r3, %r3, 16, 31, 0xffff;
st.shared.u32 [%r3], %r3;
END:"""
    with pytest.raises(jitload.CpuFault, match="its value is undefined"):
        run(body, threads=32)
