"""Logic, shifts and bit fields (PTX ISA sections 9.7.1 and 9.7.8)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

ROWS = (
    Row("and.BITS", "d:T a~T b~T", effects="linear"),
    Row("and.pred", "d:T a:T b:T", effects="linear"),
    Row("or.BITS", "d:T a~T b~T", effects="linear assembles"),
    Row("or.pred", "d:T a:T b:T", effects="linear assembles"),
    Row("xor.LOGIC", "d:T a:T b:T", effects="hands_on"),
    Row("not.LOGIC", "d:T a:T", effects="hands_on"),
    Row("cnot.BITS", "d:T a:T"),
    Row("lop3.b32", "d:T a:T b:T c:T e:#"),
    Row("lop3.(and|or).b32", "d&q:T a:T b:T c:T e:# f:p", since="8.2 sm_70"),
    Row("shl.BITS", "d:U a~U b:u32", effects="linear assembles"),
    Row("shr.(b16|b32|b64|u16|u32|u64|s16|s32|s64)", "d:T a~T b:u32", effects="linear"),
    Row("shf!(l|r).(wrap|clamp).b32", "d:T a:T b:T c:T"),
    Row("popc.BITS32", "d:u32 a:T"),
    Row("clz.BITS32", "d:u32 a:T"),
    Row("bfind{.shiftamt}.INT32", "d:u32 a:T"),
    Row("fns.b32", "d:T a:T b:T c:T"),
    Row("brev.BITS32", "d:T a:T"),
    Row("bfe.INT32", "d:T a:T b:u32 c:u32"),
    Row("bfi.BITS32", "d:T a:T b:T c:u32 e:u32", effects="assembles"),
    Row("szext.(clamp|wrap).(u32|s32)", "d:T a:T b:u32", profile="conversion", since="7.6 sm_70"),
    Row("bmsk.(clamp|wrap).b32", "d:T a:T b:T", since="7.6 sm_70"),
    Row("prmt.b32{.PRMT}", "d:T a:T b:T c:T", effects="assembles"),
)  # fmt: skip
