"""Conversions between numbers (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from jitload.cpu.isa.groups import GROUPS
from jitload.cpu.isa.row import Row


def _holds(into: str, one: str) -> bool:
    """Whether every value of an integer type is one of another."""
    bits, others = int(into[1:]), int(one[1:])
    return bits >= others if into[0] == one[0] else into[0] == "s" and bits > others


#: Type -> those whose values it does not all hold.
_WIDER = {into: [one for one in GROUPS["WHOLE"] if not _holds(into, one)] for into in GROUPS["WHOLE"]}


#: Four numbers share halves of the random bits, or have a byte each.
_FOUR_HALVES = "[stochastic(n, a[3 - k], b >> 16 * (k // 2)) for k in range(4)]"
_FOUR_BYTES = "[stochastic(n, a[3 - k], b >> (0, 16, 8, 24)[k]) for k in range(4)]"
_FOUR = "{%f1, %f2, %f3, %f4}"


def _cvt(spelled: str, operands: str = "", since: str = "", model: str = "a", example: str = "") -> Row:
    effects = "linear hands_on assembles"
    operands = operands or ("d:T a:S" if ".bf16" in spelled else "d>T a>S")  # bf16 goes with no wider registers
    return Row(
        f"cvt{spelled}", operands, "", model, profile="conversion", effects=effects, since=since, example=example
    )


ROWS = (
    _cvt(".WHOLE.WHOLE"),
    *(_cvt(f".sat.{into}.({'|'.join(wider)})", model="limited(a, bits, signed=signed)") for into, wider in _WIDER.items()),
    _cvt(".IRND{.ftz}{.sat}.WHOLE.f32", model="to_whole(n, a)"),
    _cvt(".IRND{.sat}.WHOLE.(f16|f64)", model="to_whole(n, a)"),
    _cvt(".IRND.WHOLE.bf16", "d>T a:S", since="7.8 sm_90", model="to_whole(n, a)"),
    _cvt(".RND{.sat}.(f16|f32|f64).WHOLE"),
    _cvt(".RND.bf16.WHOLE", "d:T a>S", since="7.8 sm_90"),
    _cvt("{.ftz}{.sat}.f32.f32"),
    _cvt(".IRND{.ftz}{.sat}.f32.f32", model="integral(n, a)"),
    _cvt("{.IRND}{.sat}.f64.f64", model="integral(n, a)"),
    _cvt("{.IRND}{.sat}.f16.f16", model="integral(n, a)"),
    _cvt("{.IRND}.bf16.bf16", since="7.8 sm_90", model="integral(n, a)"),
    _cvt("{.ftz}{.sat}.f32.f16"),
    _cvt("{.sat}.f64.f16"),
    _cvt("{.ftz}.f32.bf16", since="7.1 sm_80", model="widened_brain(n, a)"),
    _cvt(".f64.bf16", since="7.8 sm_90"),
    _cvt("{.ftz}{.sat}.f64.f32"),
    _cvt(".RND{.ftz}{.sat}.f32.f64"),
    _cvt(".RND{.ftz}{.sat}.f16.f32"),
    _cvt(".RND{.sat}.f16.f64"),
    _cvt(".(rn|rz){.relu}{.satfinite}.f16.f32", since="7.0 sm_80"),
    _cvt(".(rn|rz){.relu}{.satfinite}.bf16.f32", since="7.0 sm_80"),
    _cvt(".RND.bf16.(f16|f32|f64)", since="7.8 sm_90"),
    _cvt(".RND.f16.bf16", since="7.8 sm_90"),
    _cvt(".rna{.satfinite}.tf32.f32", since="7.0 sm_80"),
    _cvt(".(rn|rz){.relu}{.satfinite}.tf32.f32", since="7.8 sm_90"),
    _cvt(".(rn|rz){.relu}{.satfinite}.(f16x2|bf16x2).f32", "d:T a:f32 b:f32", since="7.0 sm_80", model="b, a"),
    _cvt(".rn.satfinite{.relu}.(e4m3x2|e5m2x2).f32", "d:b16 a:f32 b:f32", since="7.8 sm_89", model="b, a"),
    _cvt(".rn.satfinite{.relu}.(e4m3x2|e5m2x2).f16x2", "d:b16 a:b32", since="7.8 sm_89"),
    _cvt(".rn.satfinite{.relu}.(e4m3x2|e5m2x2).bf16x2", "d:b16 a:b32", since="9.1 sm_100f"),
    _cvt(".rn{.relu}.f16x2.(e4m3x2|e5m2x2)", "d:b32 a:b16", since="7.8 sm_89"),
    _cvt(".rn{.relu}{.satfinite}.bf16x2.(e4m3x2|e5m2x2|e2m3x2|e3m2x2)", "d:b32 a:b16", since="9.2 sm_100f"),
    _cvt(".rn{.relu}{.satfinite}.bf16x2.e2m1x2", "d:b32 a:b8", since="9.2 sm_100f"),
    _cvt(".rn.satfinite{.relu}.e2m1x2.f32", "d:b8 a:f32 b:f32", since="8.6 sm_100a", model="b, a"),
    _cvt(".rn.satfinite{.relu}.e2m1x2.(f16x2|bf16x2)", "d:b8 a:b32", since="9.1 sm_100f"),
    _cvt(".rn{.relu}.f16x2.e2m1x2", "d:b32 a:b8", since="8.6 sm_100a"),
    _cvt(".rn.satfinite{.relu}.(e2m3x2|e3m2x2).f32", "d:b16 a:f32 b:f32", since="8.6 sm_100a", model="b, a"),
    _cvt(".rn.satfinite{.relu}.(e2m3x2|e3m2x2).(f16x2|bf16x2)", "d:b16 a:b32", since="9.1 sm_100f"),
    _cvt(".rn{.relu}.f16x2.(e2m3x2|e3m2x2)", "d:b32 a:b16", since="8.6 sm_100a"),
    _cvt(".(rz|rp){.satfinite}.ue8m0x2.f32", "d:b16 a:f32 b:f32", since="8.6 sm_100a", model="scale(n, b), scale(n, a)"),
    _cvt(".(rz|rp){.satfinite}.ue8m0x2.bf16x2", "d:b16 a:b32", since="8.6 sm_100a", model="scale(n, a)"),
    _cvt(".rn.bf16x2.ue8m0x2", "d:b32 a:b16", since="8.6 sm_100a", model="unscaled(a)"),
    _cvt(".rs{.relu}{.satfinite}.(f16x2|bf16x2).f32", "d:T a:f32 b:f32 c:b32", "8.7 sm_100a", "stochastic(n, b, c), stochastic(n, a, c >> 16)"),
    _cvt(".rs.satfinite{.relu}.(e4m3x4|e5m2x4|e3m2x4|e2m3x4).f32", "d:b32 {a}:f32 b:b32", "8.7 sm_100a", _FOUR_HALVES, f"%r1, {_FOUR}, %r2"),
    _cvt(".rs.satfinite{.relu}.e2m1x4.f32", "d:b16 {a}:f32 b:b32", "8.7 sm_100a", _FOUR_BYTES, f"%h1, {_FOUR}, %r2"),
    _cvt("!pack.sat.(u16|s16).s32", "d:b32 a:s32 b:s32", since="6.5 sm_72", model="packed(n, a, b, 0)"),
    _cvt("!pack.sat.(u8|s8|u4|s4|u2|s2).s32.b32", "d:b32 a:s32 b:s32 c:b32", since="6.5 sm_72", model="packed(n, a, b, c)"),
)  # fmt: skip
