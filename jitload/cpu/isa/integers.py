"""Integer arithmetic (PTX ISA sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from jitload.cpu.isa.models import clamp, product24, quotient
from jitload.cpu.isa.row import Row

_ADDS = "linear hands_on assembles"

ROWS = (
    Row("add.INT", "d:U a~U b~U", "{a} + {b}", lambda n, a, b: a + b, effects=_ADDS),
    Row("add.sat.s32", "d:T a:T b:T", "add_saturated({a}, {b})", lambda n, a, b: clamp(a + b, 32), effects=_ADDS),
    Row("add.(u16x2|s16x2)", "d:T a:T b:T", effects=_ADDS, since="8.0 sm_90"),
    Row("add.cc.INT32", "d:U a:U b:U", effects=_ADDS),
    Row("sub.INT", "d:U a~U b~U", "{a} - {b}", lambda n, a, b: a - b, effects="linear hands_on"),
    Row("sub.sat.s32", "d:T a:T b:T", "sub_saturated({a}, {b})", lambda n, a, b: clamp(a - b, 32), effects="linear hands_on"),
    Row("sub.cc.INT32", "d:U a:U b:U", effects="linear hands_on"),
    Row("addc{.cc}.INT32", "d:U a:U b:U", effects="carries_in"),
    Row("subc{.cc}.INT32", "d:U a:U b:U", effects="carries_in"),
    Row("mul!lo.INT", "d:U a~U b~U", "{a} * {b}", lambda n, a, b: a * b, effects="linear"),
    Row("mul!hi.INT", "d:T a:T b:T", "mul_hi({a}, {b})", lambda n, a, b: a * b >> n.type.bits, effects="linear"),
    Row("mul!wide.NARROW", "d:W a~T b~T", "mul_wide({a}, {b})", lambda n, a, b: a * b, effects="linear"),
    Row("mad!lo.INT", "d:U a~U b~U c~U", "({a} * {b}) + {c}", lambda n, a, b, c: a * b + c, effects="linear assembles"),
    Row("mad!hi.INT", "d:T a:T b:T c:T", "(mul_hi({a}, {b})) + {c}", lambda n, a, b, c: (a * b >> n.type.bits) + c, effects="linear assembles"),
    Row("mad!wide.NARROW", "d:W a~T b~T c~W", "(mul_wide({a}, {b})) + {c}", lambda n, a, b, c: a * b + c, effects="linear assembles"),
    Row("mad!hi.sat.s32", "d:T a:T b:T c:T", "add_saturated(mul_hi({a}, {b}), {c})", lambda n, a, b, c: clamp((a * b >> 32) + c, 32), effects="linear assembles"),
    Row("mad!(lo|hi).cc.INT32", "d:U a:T b:T c:U", effects="linear assembles"),
    Row("madc!(lo|hi){.cc}.INT32", "d:U a:T b:T c:U", effects="carries_in"),
    Row("mul24!(lo|hi).(u32|s32)", "d:T a:T b:T", "mul24({a}, {b}, {is_hi})", lambda n, a, b: product24(a, b, high=n.has("hi"), signed=n.type.kind == "s")),
    Row("mad24!(lo|hi).(u32|s32)", "d:T a:T b:T c:T", "mul24({a}, {b}, {is_hi}) + {c}", lambda n, a, b, c: product24(a, b, high=n.has("hi"), signed=n.type.kind == "s") + c),
    Row("mad24!hi.sat.s32", "d:T a:T b:T c:T", "add_saturated(mul24({a}, {b}, True), {c})", lambda n, a, b, c: clamp(product24(a, b, high=True, signed=True) + c, 32)),
    Row("sad.INT", "d:T a:T b:T c:T", "{c} + absolute_difference({a}, {b})", lambda n, a, b, c: c + abs(a - b)),
    Row("div.INT", "d:T a:T b:T", "divide({a}, {b})", lambda n, a, b: quotient(a, b) if b else None),
    Row("rem.INT", "d:T a:T b:T", "remainder({a}, {b})", lambda n, a, b: a - quotient(a, b) * b if b else None),
    Row("abs.SIGNED", "d:T a:T"),
    Row("neg.SIGNED", "d:U a:U", "{0:U} - {a}", lambda n, a: -a, effects="hands_on"),
    Row("min.INT", "d:T a:T b:T", "np_minimum({a}, {b})", lambda n, a, b: min(a, b), effects="hands_on"),
    Row("max.INT", "d:T a:T b:T", "np_maximum({a}, {b})", lambda n, a, b: max(a, b), effects="hands_on"),
    Row("min.relu.s32", "d:T a:T b:T", "np_maximum(np_minimum({a}, {b}), {0:T})", lambda n, a, b: max(min(a, b), 0), effects="hands_on", since="8.0 sm_90"),
    Row("max.relu.s32", "d:T a:T b:T", "np_maximum(np_maximum({a}, {b}), {0:T})", lambda n, a, b: max(a, b, 0), effects="hands_on", since="8.0 sm_90"),
    Row("min.u16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("max.u16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("min{.relu}.s16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("max{.relu}.s16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("dp4a.(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", since="6.0 sm_61"),
    Row("dp2a.(lo|hi).(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", since="6.0 sm_61"),
)  # fmt: skip
