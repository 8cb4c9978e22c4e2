"""Conversions between numbers (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row


def _cvt(spelled: str, operands: str = "d>T a>S", since: str = "") -> Row:
    return Row(f"cvt{spelled}", operands, profile="conversion", effects="linear hands_on assembles", since=since)


ROWS = (
    _cvt("{.sat}.WHOLE.WHOLE"),
    _cvt(".IRND{.ftz}{.sat}.WHOLE.f32"),
    _cvt(".IRND{.sat}.WHOLE.(f16|f64)"),
    _cvt(".IRND{.sat}.WHOLE.bf16", since="7.8 sm_90"),
    _cvt(".RND{.sat}.(f16|f32|f64).WHOLE"),
    _cvt(".RND.bf16.WHOLE", since="7.8 sm_90"),
    _cvt("{.ftz}{.sat}.f32.f32"),
    _cvt(".IRND{.ftz}{.sat}.f32.f32"),
    _cvt("{.IRND}{.sat}.f64.f64"),
    _cvt("{.IRND}{.sat}.f16.f16"),
    _cvt(".IRND.bf16.bf16", since="7.8 sm_90"),
    _cvt("{.ftz}{.sat}.(f32|f64).(f16|bf16)"),
    _cvt("{.ftz}{.sat}.f64.f32"),
    _cvt(".RND{.ftz}{.sat}.f32.f64"),
    _cvt(".RND{.ftz}{.sat}.f16.f32"),
    _cvt(".RND{.sat}.f16.f64"),
    _cvt(".(rn|rz){.relu}{.satfinite}.f16.f32", since="7.0 sm_80"),
    _cvt(".(rn|rz){.relu}{.satfinite}.bf16.f32", since="7.0 sm_80"),
    _cvt(".RND{.sat}.bf16.(f16|f32|f64)", since="7.8 sm_90"),
    _cvt(".rna{.satfinite}.tf32.f32", since="7.0 sm_80"),
    _cvt(".(rn|rz){.relu}{.satfinite}.tf32.f32", since="7.8 sm_90"),
    _cvt(".(rn|rz){.relu}{.satfinite}.(f16x2|bf16x2).f32", "d:T a:f32 b:f32", since="7.0 sm_80"),
    _cvt(".rn.satfinite{.relu}.(e4m3x2|e5m2x2).f32", "d:b16 a:f32 b:f32", since="7.8 sm_89"),
    _cvt(".rn.satfinite{.relu}.(e4m3x2|e5m2x2).f16x2", "d:b16 a:b32", since="7.8 sm_89"),
    _cvt(".rn{.relu}.f16x2.(e4m3x2|e5m2x2)", "d:b32 a:b16", since="7.8 sm_89"),
    _cvt(".rn.satfinite{.relu}.e2m1x2.f32", "d:b8 a:f32 b:f32", since="8.6 sm_100a"),
    _cvt(".rn{.relu}.f16x2.e2m1x2", "d:b32 a:b8", since="8.6 sm_100a"),
    _cvt(".rn.satfinite{.relu}.(e2m3x2|e3m2x2).f32", "d:b16 a:f32 b:f32", since="8.6 sm_100a"),
    _cvt(".rn{.relu}.f16x2.(e2m3x2|e3m2x2)", "d:b32 a:b16", since="8.6 sm_100a"),
    _cvt(".(rz|rp){.satfinite}.ue8m0x2.f32", "d:b16 a:f32 b:f32", since="8.6 sm_100a"),
    _cvt(".(rz|rp){.satfinite}.ue8m0x2.bf16x2", "d:b16 a:b32", since="8.6 sm_100a"),
    _cvt(".rn.bf16x2.ue8m0x2", "d:b32 a:b16", since="8.6 sm_100a"),
    _cvt(".pack.sat.(u16|s16).s32", "d:b32 a:s32 b:s32", since="6.5 sm_72"),
    _cvt(".pack.sat.(u8|s8|u4|s4|u2|s2).s32.b32", "d:b32 a:s32 b:s32 c:b32", since="6.5 sm_72"),
)  # fmt: skip
