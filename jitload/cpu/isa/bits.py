"""Logic, shifts and bit fields (PTX ISA sections 9.7.1 and 9.7.8)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

ROWS = (
    Row("and.BITS", "d:T a~T b~T", "{a} & {b}", "a & b", effects="linear"),
    Row("and.pred", "d:T a:T b:T", "{a} & {b}", "a & b", effects="linear"),
    Row("or.BITS", "d:T a~T b~T", "{a} | {b}", "a | b", effects="linear assembles"),
    Row("or.pred", "d:T a:T b:T", "{a} | {b}", "a | b", effects="linear assembles"),
    Row("xor.LOGIC", "d:T a:T b:T", "{a} ^ {b}", "a ^ b", effects="hands_on"),
    Row("not.LOGIC", "d:T a:T", "~{a}", "~a", effects="hands_on"),
    Row("cnot.BITS", "d:T a:T", "({a} == {0:T}).astype({T})", "int(a == 0)"),
    Row("lop3.b32", "d:T a:T b:T c:T e:#", "", "logic(a, b, c, e)"),
    Row("lop3.(and|or).b32", "d&q:T a:T b:T c:T e:# f:p", "", "logic_and_test(a, b, c, e, f, both=has('and'))", since="8.2 sm_70"),
    Row("shl.BITS", "d:U a~U b:u32", "", "a << min(b, bits)", effects="linear assembles"),
    Row("shr.(b16|b32|b64|u16|u32|u64|s16|s32|s64)", "d:T a~T b:u32", "", "a >> min(b, bits)", effects="linear"),
    Row("shf!(l|r).(wrap|clamp).b32", "d:T a:T b:T c:T", "funnel({a}, {b}, {c}, {is_l}, {is_wrap})", "funnel(a, b, c, left=has('l'), wrap=has('wrap'))"),
    Row("popc.BITS32", "d:u32 a:T", "population({a})", "a.bit_count()"),
    Row("clz.BITS32", "d:u32 a:T", "leading_zeros({a})", "bits - a.bit_length()"),
    Row("bfind{.shiftamt}.INT32", "d:u32 a:T", "find_bit({a}, {is_shiftamt})", "found_bit(a, bits, shift=has('shiftamt'))"),
    Row("fns.b32", "d:T a:T b:T c:T", "", "nth_set(a, b, signed_word(c))"),
    Row("brev.BITS32", "d:T a:T", "reverse_bits({a})", "reversed_bits(a, bits)"),
    Row("bfe.INT32", "d:T a:T b:u32 c:u32", "extract_field({a}, {b}, {c})", "field(a, b, c, bits, signed=signed)"),
    Row("bfi.BITS32", "d:T a:T b:T c:u32 e:u32", "insert_field({a}, {b}, {c}, {e})", "inserted(a, b, c, e, bits)", effects="assembles"),
    Row("szext.(clamp|wrap).(u32|s32)", "d:T a:T b:u32", "", "extended(a, b, wrap=has('wrap'), signed=signed)", profile="conversion", since="7.6 sm_70"),
    Row("bmsk.(clamp|wrap).b32", "d:T a:T b:T", "", "mask(a, b, wrap=has('wrap'))", since="7.6 sm_70"),
    Row("prmt.b32{.PRMT}", "d:T a:T b:T c:T", "", "permuted(a, b, c, picked(n, 'PRMT'))", effects="assembles"),
)  # fmt: skip
