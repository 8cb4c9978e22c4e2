"""Rules of tensor memory: who may allocate what, which warp reaches what, and that everything is freed."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault
from tests.cpu.families import decide

KERNEL = """.visible .entry k(.param .u64 out, .param .u32 first, .param .u32 second) {{
.reg .b64 %w; .reg .b32 %t, %a, %b, %n, %m, %i, %r<4>; .reg .pred %p, %q; .shared .b32 place[2];
mov.u32 %t, %tid.x; ld.param.u32 %n, [first]; ld.param.u32 %m, [second]; setp.ge.u32 %p, %t, 32; @%p bra WAIT; mov.u32 %a, place;
tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%a], %n; WAIT: bar.sync 0; ld.shared.b32 %a, [place]; shl.b32 %i, %m, 16; add.u32 %b, %a, %i;
{body}
bar.sync 0; ld.param.u64 %w, [out]; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mad.lo.u32 %t, %r2, %r3, %t; mad.wide.u32 %w, %t, 4, %w;
st.global.b32 [%w], %r0; @%p bra END; {end} END: ret; }}"""
FREE = "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %a, %n;"
LOAD = "tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r0}, [%b];"


def run(ptx, body, first=32, second=0, *, end=FREE, threads=128, blocks=1):
    out = np.zeros(threads * blocks, np.uint32)
    ptx(KERNEL.format(body=body, end=end)).run("k", blocks, threads, out, first, second)
    return out


def test_blocks_have_their_own_and_what_is_fresh_is_no_number(ptx):
    """Each block writes its own number, and reads what it has not written as NaN."""
    body = "mov.u32 %r1, %ctaid.x; tcgen05.st.sync.aligned.32x32b.x1.b32 [%b], {%r1};"
    assert run(ptx, body + LOAD, blocks=3).reshape(3, -1).tolist() == [[block] * 128 for block in range(3)]
    assert (run(ptx, LOAD) == 0x7FFF7FFF).all()


@pytest.mark.parametrize(("body", "first", "second", "text"), [
    ("", 48, 0, "tcgen05.alloc of 48 columns: legal is a power of two from 32 to 512"),
    ("", 1024, 0, "tcgen05.alloc of 1024 columns: legal is"),
    (LOAD, 32, 64, r"tcgen05.ld.32x32b at lane 64 by warp 0 of a warpgroup: legal is lane 0 \(0\)"),
    (LOAD, 32, 16, "at lane 16 by warp 0"),
    (LOAD.replace("32x32b", "16x64b"), 32, 8, r"at lane 8 by warp 0 of a warpgroup: legal is lane 0 \(0\) or 16 \(16\)"),
    ("add.u32 %b, %b, 32;" + LOAD, 32, 0, "of columns 32 to 32, which are not all allocated"),
    ("add.u32 %b, %b, 600;" + LOAD, 512, 0, "of columns 600 to 600, which are not all allocated"),
    ("mov.b32 %r1, 0; tcgen05.st.sync.aligned.16x32bx2.x1.b32 [%b], 40, {%r1};", 32, 0, "of columns 0 to 40, which are not"),
    ("add.u32 %b, %b, %t;" + LOAD, 512, 0, "do not agree on the operands of tcgen05.ld"),
    ("setp.eq.u32 %q, %t, 40; @%q bra OUT; " + LOAD + " OUT:", 32, 0, "barrier divergence|deadlock"),
    ("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %a, 64;", 32, 0, "tcgen05.dealloc of 64 columns at 0x0: allocated are 32 at 0x0"),
    ("add.u32 %b, %a, 16; tcgen05.dealloc.cta_group::1.sync.aligned.b32 %b, 32;", 32, 0, "at 0x10: allocated are 32 at 0x0"),
    ("@%p bra R; mov.u32 %b, place; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%b], 64; R:", 32, 0, "of 64 columns after one of 32: the number may not grow"),
    ("@%p bra R; mov.u32 %b, place; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%b], 32; R:", 512, 0, "of 32 columns, of which 0 are free: it would wait"),
    ("@%p bra R; mov.u32 %b, 4096; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%b], 32; R:", 32, 0, "out of bounds: access of 4 bytes at shared"),
    ("@%p bra R; ld.param.u64 %w, [out]; tcgen05.alloc.cta_group::1.sync.aligned.b32 [%w], 32; R:", 32, 0, "writes to shared memory of the block alone"),
])  # fmt: skip
def test_what_breaks_a_rule_is_a_fault(ptx, body, first, second, text):
    with pytest.raises(CpuFault, match=text):
        run(ptx, body, first, second)


@pytest.mark.parametrize("blocks", [1, 2])
def test_what_is_never_freed_is_a_fault_where_it_was_allocated(ptx, blocks):
    with pytest.raises(CpuFault, match=r"64 columns of tensor memory that tcgen05.dealloc never frees") as caught:
        run(ptx, "mov.b32 %r0, 0;", 64, end="", blocks=blocks)
    assert "tcgen05.alloc" in str(caught.value)


def test_a_part_of_a_warp_moves_nothing(ptx):
    with pytest.raises(CpuFault, match=r"tcgen05.ld without all 32 threads of the warp"):
        run(ptx, LOAD, threads=144)


@pytest.mark.parametrize(("line", "why"), [
    ("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r1], 48", "48 columns of tensor memory: legal are 32, 64, 128, 256 and 512"),
    ("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r1, 16", "16 columns of tensor memory"),
    ("tcgen05.ld.sync.aligned.16x128b.x1.b32 {%r1}, [%r2]", "1 registers in braces where .16x128b.x1 has 2"),
    ("tcgen05.ld.sync.aligned.32x32b.x1.b32 %r1, [%r2]", "no registers in braces where .32x32b.x1 has 1"),
    ("tcgen05.ld.sync.aligned.16x256b.x64.b32 {%r1}, [%r2]", "legal is tcgen05.ld"),
    ("tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r1}, [%d2]", "a register of 32 bits in brackets"),
    ("tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r1}, [%r2], 4", "3 operands; legal is tcgen05.ld.sync.aligned.32x32b.x1.b32"),
    ("tcgen05.ld.sync.aligned.16x32bx2.x1.b32 {%r1}, [%r2]", "2 operands; legal is tcgen05.ld"),
    ("tcgen05.st.sync.aligned.32x32b.x1.pack::16b.b32 [%r1], {%r2}", "these modifiers do not go together"),
    ("tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [%r1], 32", "of a pair of thread blocks"),
    ("tcgen05.shift.cta_group::1.down [%r1]", "tcgen05.shift is not supported"),
])  # fmt: skip
def test_refusals(line, why):
    assert why in decide(line)
