"""Integer arithmetic (PTX ISA sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_ADDS = "linear hands_on assembles"

ROWS = (
    Row("add.INT", "d:U a~U b~U", "{a} + {b}", "a + b", effects=_ADDS),
    Row("add.sat.s32", "d:T a:T b:T", "add_saturated({a}, {b})", "clamp(a + b, 32)", effects=_ADDS),
    Row("add.(u16x2|s16x2)", "d:T a:T b:T", "", "a + b", effects=_ADDS, since="8.0 sm_90"),
    Row("add.cc.INT32", "d:U a:U b:U", "", "a + b", effects=_ADDS),
    Row("sub.INT", "d:U a~U b~U", "{a} - {b}", "a - b", effects="linear hands_on"),
    Row("sub.sat.s32", "d:T a:T b:T", "sub_saturated({a}, {b})", "clamp(a - b, 32)", effects="linear hands_on"),
    Row("sub.cc.INT32", "d:U a:U b:U", "", "a - b", effects="linear hands_on"),
    Row("addc{.cc}.INT32", "d:U a:U b:U", "", "a + b + carry", effects="carries_in"),
    Row("subc{.cc}.INT32", "d:U a:U b:U", "", "a - b - carry", effects="carries_in"),
    Row("mul!lo.INT", "d:U a~U b~U", "{a} * {b}", "a * b", effects="linear"),
    Row("mul!hi.INT", "d:T a:T b:T", "mul_hi({a}, {b})", "a * b >> bits", effects="linear"),
    Row("mul!wide.NARROW", "d:W a~T b~T", "mul_wide({a}, {b})", "a * b", effects="linear"),
    Row("mad!lo.INT", "d:U a~U b~U c~U", "({a} * {b}) + {c}", "a * b + c", effects="linear assembles"),
    Row("mad!hi.INT", "d:T a:T b:T c:T", "(mul_hi({a}, {b})) + {c}", "(a * b >> bits) + c", effects="linear assembles"),
    Row("mad!wide.NARROW", "d:W a~T b~T c~W", "(mul_wide({a}, {b})) + {c}", "a * b + c", effects="linear assembles"),
    Row("mad!hi.sat.s32", "d:T a:T b:T c:T", "add_saturated(mul_hi({a}, {b}), {c})", "clamp((a * b >> 32) + c, 32)", effects="linear assembles"),
    Row("mad!(lo|hi).cc.INT32", "d:U a:T b:T c:U", "", "half(a * b, bits, high=has('hi')) + c", effects="linear assembles"),
    Row("madc!(lo|hi){.cc}.INT32", "d:U a:T b:T c:U", "", "half(a * b, bits, high=has('hi')) + c + carry", effects="carries_in"),
    Row("mul24!(lo|hi).(u32|s32)", "d:T a:T b:T", "mul24({a}, {b}, {is_hi})", "product24(a, b, high=has('hi'), signed=signed)"),
    Row("mad24!(lo|hi).(u32|s32)", "d:T a:T b:T c:T", "mul24({a}, {b}, {is_hi}) + {c}", "product24(a, b, high=has('hi'), signed=signed) + c"),
    Row("mad24!hi.sat.s32", "d:T a:T b:T c:T", "add_saturated(mul24({a}, {b}, True), {c})", "clamp(product24(a, b, high=True, signed=True) + c, 32)"),
    Row("sad.INT", "d:T a:T b:T c:T", "{c} + absolute_difference({a}, {b})", "c + abs(a - b)"),
    Row("div.INT", "d:T a:T b:T", "divide({a}, {b})", "quotient(a, b) if b else None"),
    Row("rem.INT", "d:T a:T b:T", "remainder({a}, {b})", "a - quotient(a, b) * b if b else None"),
    Row("abs.SIGNED", "d:T a:T", "", "abs(a)"),
    Row("neg.SIGNED", "d:U a:U", "{0:U} - {a}", "-a", effects="hands_on"),
    Row("min.INT", "d:T a:T b:T", "np_minimum({a}, {b})", "min(a, b)", effects="hands_on"),
    Row("max.INT", "d:T a:T b:T", "np_maximum({a}, {b})", "max(a, b)", effects="hands_on"),
    Row("min.relu.s32", "d:T a:T b:T", "np_maximum(np_minimum({a}, {b}), {0:T})", "max(min(a, b), 0)", effects="hands_on", since="8.0 sm_90"),
    Row("max.relu.s32", "d:T a:T b:T", "np_maximum(np_maximum({a}, {b}), {0:T})", "max(a, b, 0)", effects="hands_on", since="8.0 sm_90"),
    Row("min.u16x2", "d:T a:T b:T", "", "min(a, b)", effects="hands_on", since="8.0 sm_90"),
    Row("max.u16x2", "d:T a:T b:T", "", "max(a, b)", effects="hands_on", since="8.0 sm_90"),
    Row("min{.relu}.s16x2", "d:T a:T b:T", "", "max(min(a, b), 0) if has('relu') else min(a, b)", effects="hands_on", since="8.0 sm_90"),
    Row("max{.relu}.s16x2", "d:T a:T b:T", "", "max(a, b, 0) if has('relu') else max(a, b)", effects="hands_on", since="8.0 sm_90"),
    Row("dp4a.(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", "", "dot4(a, b, c, n.types)", since="6.0 sm_61"),
    Row("dp2a!(lo|hi).(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", "", "dot2(a, b, c, n.types, high=has('hi'))", since="6.0 sm_61"),
)  # fmt: skip
