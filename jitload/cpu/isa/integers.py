"""Integer arithmetic (PTX ISA sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_ADDS = "linear hands_on assembles"

ROWS = (
    Row("add.INT", "d:U a~U b~U", effects=_ADDS),
    Row("add.sat.s32", "d:T a:T b:T", effects=_ADDS),
    Row("add.(u16x2|s16x2)", "d:T a:T b:T", effects=_ADDS, since="8.0 sm_90"),
    Row("add.cc.INT32", "d:U a:U b:U", effects=_ADDS),
    Row("sub.INT", "d:U a~U b~U", effects="linear hands_on"),
    Row("sub.sat.s32", "d:T a:T b:T", effects="linear hands_on"),
    Row("sub.cc.INT32", "d:U a:U b:U", effects="linear hands_on"),
    Row("addc{.cc}.INT32", "d:U a:U b:U", effects="carries_in"),
    Row("subc{.cc}.INT32", "d:U a:U b:U", effects="carries_in"),
    Row("mul!lo.INT", "d:U a~U b~U", effects="linear"),
    Row("mul!hi.INT", "d:T a:T b:T", effects="linear"),
    Row("mul!wide.NARROW", "d:W a~T b~T", effects="linear"),
    Row("mad!lo.INT", "d:U a~U b~U c~U", effects="linear assembles"),
    Row("mad!hi.INT", "d:T a:T b:T c:T", effects="linear assembles"),
    Row("mad!wide.NARROW", "d:W a~T b~T c~W", effects="linear assembles"),
    Row("mad!hi.sat.s32", "d:T a:T b:T c:T", effects="linear assembles"),
    Row("mad!(lo|hi).cc.INT32", "d:U a:T b:T c:U", effects="linear assembles"),
    Row("madc!(lo|hi){.cc}.INT32", "d:U a:T b:T c:U", effects="carries_in"),
    Row("mul24!(lo|hi).(u32|s32)", "d:T a:T b:T"),
    Row("mad24!(lo|hi).(u32|s32)", "d:T a:T b:T c:T"),
    Row("mad24!hi.sat.s32", "d:T a:T b:T c:T"),
    Row("sad.INT", "d:T a:T b:T c:T"),
    Row("div.INT", "d:T a:T b:T"),
    Row("rem.INT", "d:T a:T b:T"),
    Row("abs.SIGNED", "d:T a:T"),
    Row("neg.SIGNED", "d:U a:U", effects="hands_on"),
    Row("min.INT", "d:T a:T b:T", effects="hands_on"),
    Row("max.INT", "d:T a:T b:T", effects="hands_on"),
    Row("min.relu.s32", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("max.relu.s32", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("min.u16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("max.u16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("min{.relu}.s16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("max{.relu}.s16x2", "d:T a:T b:T", effects="hands_on", since="8.0 sm_90"),
    Row("dp4a.(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", since="6.0 sm_61"),
    Row("dp2a.(lo|hi).(u32|s32).(u32|s32)", "d:u32 a:u32 b:u32 c:u32", since="6.0 sm_61"),
)  # fmt: skip
