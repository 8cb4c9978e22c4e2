"""Comparison, selection, moves and address arithmetic (PTX ISA sections 9.7.6, 9.7.7 and 9.7.9)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

#: Types that are compared, each with the tests that there are for them.
_COMPARED = (
    ("CMP", "", "(s16|s32|s64)", ""), ("UCMP", "", "(u16|u32|u64)", ""), ("(eq|ne)", "", "BITS", ""),
    ("FCMP", "{.ftz}", "f32", ""), ("FCMP", "", "f64", ""),
)  # fmt: skip
_COMPARED_HALVES = (("FCMP", "{.ftz}", "f16", "6.0 sm_53"), ("FCMP", "", "bf16", "7.8 sm_90"))
_COMPARED_PAIRS = (("FCMP", "{.ftz}", "f16x2", "6.0 sm_53"), ("FCMP", "", "bf16x2", "7.8 sm_90"))


def _setp() -> tuple[Row, ...]:
    rows = []
    for test, flush, types, since in (*_COMPARED, *_COMPARED_HALVES, *_COMPARED_PAIRS):
        d = "d&q:p" if types.endswith("x2") else "d|q:p"
        rows += [
            Row(f"setp.{test}{flush}.{types}", f"{d} a~T b~T", "", "compared_both(n, a, b)", since=since),
            Row(f"setp.{test}.BOOL{flush}.{types}", f"{d} a~T b~T c:p", "", "compared_both(n, a, b, c)", since=since),
        ]
    return tuple(rows)


def _set() -> tuple[Row, ...]:
    plain = [("(u32|s32|f32)", *one) for one in _COMPARED]
    halves = [
        ("(f16|u16|s16|u32|s32)", "FCMP", "{.ftz}", "f16", "6.0 sm_53"), ("(bf16|u16|s16|u32|s32)", "FCMP", "", "bf16", "7.8 sm_90"),
        ("f16", "CMP", "", "(s16|s32|s64)", "6.0 sm_53"), ("f16", "UCMP", "", "(u16|u32|u64)", "6.0 sm_53"),
        ("f16", "(eq|ne)", "", "BITS", "6.0 sm_53"), ("f16", "FCMP", "{.ftz}", "f32", "6.0 sm_53"), ("f16", "FCMP", "", "f64", "6.0 sm_53"),
        ("bf16", "CMP", "", "(s16|s32|s64)", "7.8 sm_90"), ("bf16", "UCMP", "", "(u16|u32|u64)", "7.8 sm_90"),
        ("bf16", "(eq|ne)", "", "BITS", "7.8 sm_90"), ("bf16", "FCMP", "", "(f32|f64)", "7.8 sm_90"),
        ("(f16x2|u32|s32)", "FCMP", "{.ftz}", "f16x2", "6.0 sm_53"), ("(bf16x2|u32|s32)", "FCMP", "", "bf16x2", "7.8 sm_90"),
    ]  # fmt: skip
    rows = []
    for into, test, flush, types, since in (*plain, *halves):
        rows += [
            Row(f"set.{test}{flush}.{into}.{types}", "d:T a~S b~S", "", "compared(n, a, b)", since=since),
            Row(f"set.{test}.BOOL{flush}.{into}.{types}", "d:T a~S b~S c:p", "", "compared(n, a, b, c)", since=since),
        ]
    return tuple(rows)


_MOVES = "linear hands_on assembles"

ROWS = (
    *_setp(),
    *_set(),
    Row("selp.ANY", "d:T a:T b:T c:p", "", "moved(a if c else b)", profile="move", effects="assembles"),
    Row("slct.ANY.s32", "d:T a:T b:T c:S", "", "moved(a if c >= 0 else b)", profile="move"),
    Row("slct{.ftz}.ANY.f32", "d:T a:T b:T c:S", "", "moved(a if holds('ge', c, ZERO) else b)", profile="move"),
    Row("mov.MOVED", "d:T a:T", "", "moved(a)", profile="move", effects=_MOVES),
    Row("mov.(b16|b32|b64|b128)", "d:* a:*", "", "scene", example="{%h1, %h2}, %r1", profile="move", effects=_MOVES),
    Row("mov.(v2|v4).(b16|b32|u16|s16|u32|s32|f32)", "d:* a:*", "", "scene", example="{%h1, %h2}, {%h3, %h4}", profile="move", effects=_MOVES),
    Row("mov.v2.(b64|u64|s64|f64)", "d:* a:*", "", "scene", example="{%h1, %h2}, {%h3, %h4}", profile="move", effects=_MOVES),
    Row("cvta.WINDOW.u64", "d:T a:T", "", "scene", profile="conversion", effects="linear assembles"),
    Row("cvta!to.WINDOW.u64", "d:T a:T", "", "scene", profile="conversion", effects="linear assembles"),
    Row("isspacep.WINDOW", "d:p a:u64", "", "scene", profile="move"),
    Row("mapa{.shared::cluster}.(u32|u64)", "d:T a:T b:u32", "", "scene", since="7.8 sm_90"),
    Row("getctarank{.shared::cluster}.(u32|u64)", "d:u32 a:T", "", "scene", since="7.8 sm_90"),
)  # fmt: skip
