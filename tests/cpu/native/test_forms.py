"""Every form of an instruction that has machine code, over values at the edges: the same bits as on lanes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .test_launch import both

_EDGES = [
    0, 1, 2, 0x1F, 0x20, 0xFF, 0x8001, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x7F7FFFFF, 0x7F800000, 0x7FC00001,
    0x7FA00001, 0x7E900000, 0x42C80000, 0x4B000001, 0x33800000, 0x3EAAAAAB,
]  # fmt: skip
_WORDS = [one | sign for one in _EDGES for sign in (0, 1 << 31)]

#: Factors whose product of halves lies in the middle between two, f16 and bf16, and what is far below its last bit in f32
#: and in f64: who rounds twice takes the middle for exact.
_MIDDLES = [
    (one * 0x10001, other * 0x10001, little * 0x10001)
    for one, other, littles in ((0x4C01, 0x3E00, (0x0001, 0x8001)), (0x3F81, 0x3FC0, (0x2B80, 0xAB80, 0x0D80, 0x8D80)))
    for little in littles
]

#: Halves at edges, in pairs.
_HALVES = [
    (one | (other << 16), other | (one << 16), third * 0x10001)
    for one, other, third in (
        (0x7C01, 0xFC00, 0x8000), (0x03FF, 0x0400, 0x8001), (0x7BFF, 0x3C01, 0xFBFF), (0x7F81, 0xFF80, 0x3C00), (0x0001, 0x8000, 0x7E00),
    )
]  # fmt: skip

#: Result -> instructions; %r, %f are words, %d, %g are of 64 bits.
FORMS = {
    "r": [
        *(f"bfe.{t} %r0, %r1, %r2, %r3" for t in ("u32", "s32")),
        *(f"bmsk.{mode}.b32 %r0, %r1, %r2" for mode in ("clamp", "wrap")),
        *(f"szext.{mode}.{t} %r0, %r1, %r2" for mode in ("clamp", "wrap") for t in ("u32", "s32")),
        "bfi.b32 %r0, %r1, %r2, %r3, %r1",
        *(f"mul24.{half}.{t} %r0, %r1, %r2" for half in ("lo", "hi") for t in ("u32", "s32")),
        *(f"mad24.{half}.{t} %r0, %r1, %r2, %r3" for half in ("lo", "hi") for t in ("u32", "s32")),
        "mad24.hi.sat.s32 %r0, %r1, %r2, %r3", "mad.hi.sat.s32 %r0, %r1, %r2, %r3",
        *(f"prmt.b32{mode} %r0, %r1, %r2, %r3" for mode in ("", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16")),
        *(f"dp4a.{a}.{b} %r0, %r1, %r2, %r3" for a in ("u32", "s32") for b in ("u32", "s32")),
        *(f"dp2a.{half}.{a}.s32 %r0, %r1, %r2, %r3" for half in ("lo", "hi") for a in ("u32", "s32")),
        *(f"{op}.{t} %r0, %r1, %r2" for op in ("add", "min", "max") for t in ("u16x2", "s16x2")),
        *(f"{op}.relu.s16x2 %r0, %r1, %r2" for op in ("min", "max")),
        "add.cc.u32 %r0, %r1, %r2; addc.cc.u32 %r4, %r2, %r3; addc.u32 %r4, %r4, %r0; xor.b32 %r0, %r0, %r4",
        "sub.cc.u32 %r0, %r1, %r2; subc.cc.u32 %r4, %r2, %r3; subc.u32 %r4, %r4, %r0; xor.b32 %r0, %r0, %r4",
        "mad.lo.cc.u32 %r0, %r1, %r2, %r3; madc.hi.cc.s32 %r4, %r1, %r2, %r3; addc.u32 %r0, %r0, %r4",
        "lop3.or.b32 %r0|%p, %r1, %r2, %r3, 0x6a, %q; @%p add.u32 %r0, %r0, 1",
        "slct.u32.f32 %r0, %r1, %r2, %f3", "slct.ftz.u32.f32 %r0, %r1, %r2, %f3",
        *(f"cvt.sat.{a}.{b} %r0, %r1" for a, b in (("u8", "s32"), ("s8", "u32"), ("s16", "s32"), ("u32", "s32"), ("s32", "u32"))),
        *(f"{op}.{t} %r0, %r1, %r2" for op in ("add", "sub", "mul") for t in ("f16x2", "bf16x2")),
        *(f"fma.rn.{t} %r0, %r1, %r2, %r3" for t in ("f16x2", "bf16x2")),
        *(f"cvt.rn.{t}.f32 %r0, %f1, %f2" for t in ("f16x2", "bf16x2")),
        *(f"{nothing}; xor.b32 %r0, %r1, %r2" for nothing in ("membar.gl", "fence.acq_rel.gpu", "prefetch.global.L2 [%w1]", "nanosleep.u32 %r3", "discard.global.L2 [%w1], 128", "pmevent 1")),
        "setp.gt.or.ftz.f16x2 %p|%p1, %r1, %r2, %q; selp.u32 %r0, 1, 2, %p; @%p1 add.u32 %r0, %r0, 4", "set.le.u32.bf16x2 %r0, %r1, %r2",
        "testp.normal.f32 %p, %f1; testp.subnormal.f32 %p1, %f1; selp.u32 %r0, 1, 2, %p; @%p1 add.u32 %r0, %r0, 4",
        "mov.v2.b32 {%r0, %r4}, {%r2, %r1}; sub.u32 %r0, %r0, %r4",
    ],
    "f": [
        *(f"{op}.{mode}{end}.f32 %f0, %f1, %f2" for op in ("add", "sub", "mul", "div") for mode in ("rz", "rm", "rp") for end in ("", ".ftz")),
        *(f"{op}.{mode}.sat.f32 %f0, %f1, %f2" for op in ("add", "mul") for mode in ("rz", "rm", "rp")),
        *(f"fma.{mode}{end}.f32 %f0, %f1, %f2, %f3" for mode in ("rz", "rm", "rp") for end in ("", ".ftz", ".sat")),
        *(f"{op}.{mode}{end}.f32 %f0, %f1" for op in ("rcp", "sqrt") for mode in ("rz", "rm", "rp") for end in ("", ".ftz")),
        *(f"{op}.approx{end}.f32 %f0, %f1" for op in ("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos") for end in ("", ".ftz")),
        "tanh.approx.f32 %f0, %f1", "div.approx.f32 %f0, %f1, %f2", "div.approx.ftz.f32 %f0, %f1, %f2", "div.full.f32 %f0, %f1, %f2",
        *(f"cvt.{mode}.f32.{t} %f0, %r1" for mode in ("rz", "rm", "rp") for t in ("u32", "s32")),
        *(f"cvt.{mode}.f32.f64 %f0, %g1" for mode in ("rn", "rz", "rm", "rp")),
        *(f"{op}.NaN.f32 %f0, %f1, %f2" for op in ("min", "max")),
        "fma.rn.f32 %f0, %f1, 0f3F000001, %f2", "cvt.f32.f16 %f0, %h1", "fma.rm.sat.f32.f16 %f0, %h1, %h2, %f3", "sub.f32.bf16 %f0, %h1, %f2",
        "min.abs.f32 %f0, %f1, %f2, %f3", "cvt.rm.f32.s64 %f0, %d1", "cvt.f32.bf16 %f0, %h1",
    ],
    "h": [
        *(f"{op}.{t} %h0, %h1, %h2" for op in ("add", "sub", "mul") for t in ("f16", "bf16")),
        *(f"fma.rn.{t} %h0, %h1, %h2, %h3" for t in ("f16", "bf16")),
        *(f"cvt.rn.{t}.f32 %h0, %f1" for t in ("f16", "bf16")),
        "fma.rn.ftz.sat.f16 %h0, %h1, %h2, %h3", "fma.rn.relu.bf16 %h0, %h1, %h2, %h3", "neg.ftz.f16 %h0, %h1", "abs.bf16 %h0, %h1",
        *(f"{op}.{t} %h0, %h1" for op, t in (("ex2.approx", "f16"), ("tanh.approx", "f16"), ("tanh.approx", "bf16"), ("ex2.approx.ftz", "bf16"))),
        "min.ftz.NaN.f16 %h0, %h1, %h2", "max.xorsign.abs.f16 %h0, %h1, %h2", "min.bf16 %h0, %h1, %h2", "set.ltu.f16.f16 %h0, %h1, %h2",
        *(f"cvt.{mode}.{t} %h0, %f1" for mode in ("rz", "rm", "rp") for t in ("f16.f32", "bf16.f32")), "cvt.rn.satfinite.relu.f16.f32 %h0, %f1",
        "cvt.rp.f16.f64 %h0, %g1", "cvt.rm.bf16.f64 %h0, %g1", "cvt.rz.f16.bf16 %h0, %h1", "cvt.rmi.f16.f16 %h0, %h1",
        "cvt.rn.f16.s64 %h0, %d1", "cvt.rz.bf16.u64 %h0, %d1", "cvt.rzi.s16.f16 %h0, %h1",
    ],
    "d": [
        *(f"bfe.{t} %d0, %d1, %r2, %r3" for t in ("u64", "s64")), "bfi.b64 %d0, %d1, %d2, %r2, %r3",
        *(f"mul.hi.{t} %d0, %d1, %d2" for t in ("u64", "s64")),
        "add.cc.u64 %d0, %d1, %d2; addc.u64 %d0, %d0, %d2", "mad.lo.cc.u64 %d0, %d1, %d2, %d1; madc.hi.s64 %d0, %d0, %d2, %d1",
    ],
    "g": [
        *(f"{op}.{mode}.f64 %g0, %g1, %g2" for op in ("add", "sub", "mul", "div") for mode in ("rz", "rm", "rp")),
        *(f"fma.{mode}.f64 %g0, %g1, %g2, %g1" for mode in ("rz", "rm", "rp")),
        *(f"{op}.{mode}.f64 %g0, %g1" for op in ("rcp", "sqrt") for mode in ("rz", "rm", "rp")),
        "add.rn.f64 %g0, %g1, %g2; mul.rm.f64 %g3, %g0, %g2; div.rn.f64 %g0, %g0, %g3",
        "rcp.approx.ftz.f64 %g0, %g1", "rsqrt.approx.ftz.f64 %g0, %g1", "rsqrt.approx.f64 %g0, %g1", "cvt.sat.f64.f16 %g0, %h1", "cvt.f64.bf16 %g0, %h1", "cvt.rp.f64.u64 %g0, %d1",
    ],
}  # fmt: skip
_STORE = {"h": "b16", "r": "u32", "f": "f32", "d": "u64", "g": "f64"}


def kernel(forms: list[tuple[str, str]]) -> str:
    """One that stores what each form gives, in 8 bytes."""
    lines = [
        ".visible .entry k(.param .u64 in, .param .u64 out) {",
        ".reg .b32 %r<9>; .reg .f32 %f<5>; .reg .b64 %d<5>; .reg .f64 %g<5>; .reg .b64 %w<3>; .reg .pred %p, %p1, %q; .reg .b16 %h<5>;",
        "mov.u32 %r5, %ctaid.x; mov.u32 %r6, %ntid.x; mov.u32 %r7, %tid.x; mad.lo.u32 %r5, %r5, %r6, %r7;",
        "ld.param.u64 %w1, [in]; ld.param.u64 %w2, [out];",
        f"mul.wide.u32 %w0, %r5, 12; add.u64 %w1, %w1, %w0; mul.wide.u32 %w0, %r5, {8 * len(forms)}; add.u64 %w2, %w2, %w0;",
        "ld.global.u32 %r1, [%w1]; ld.global.u32 %r2, [%w1+4]; ld.global.u32 %r3, [%w1+8]; setp.gt.s32 %q, %r3, %r1;",
        *(f"mov.b32 %f{n}, %r{n};" for n in (1, 2, 3)),
        *(f"cvt.u16.u32 %h{n}, %r{n};" for n in (1, 2, 3)),
        "mov.b64 %d1, {%r2, %r1}; mov.b64 %d2, {%r3, %r2}; mov.b64 %g1, %d1; mov.b64 %g2, %d2;",
    ]
    for number, (kind, text) in enumerate(forms):
        lines.append(f"mov.b32 %r4, 0; {text};\nst.global.{_STORE[kind]} [%w2+{8 * number}], %{kind}0;")
    return "\n".join([*lines, "ret;", "}"])


def check(ptx, words: list[tuple[int, ...]]) -> None:
    forms = [(kind, text) for kind, texts in FORMS.items() for text in texts]
    values = np.array(words, np.uint32)
    out = np.zeros(len(words) * len(forms), np.uint64)
    assert not both(ptx(kernel(forms)), "k", -(-len(words) // 64), 64, values, out)


def test_forms_over_edges(ptx):
    pairs = [(a, b, _WORDS[(7 * k) % len(_WORDS)]) for k, (a, b) in enumerate(itertools.product(_WORDS, _WORDS))]
    check(ptx, [*pairs[::3][: 512 - len(_MIDDLES) - len(_HALVES)], *_MIDDLES, *_HALVES])


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(20))
def test_forms_over_chance(ptx, seed):
    chance = np.random.default_rng(seed)
    words = chance.integers(0, 1 << 32, (4096, 3), np.uint32)
    words[chance.random(words.shape) < 0.3] = chance.choice(np.array(_WORDS, np.uint32))
    check(ptx, [tuple(row) for row in words.tolist()])


def test_many_special_registers_beside_signed_bytes(ptx):
    """Lanes took the ninth special register for the type s8, and the seventeenth for s16."""
    names = [f"%{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"]
    names += ["%laneid", "%warpid", "%nwarpid", "%lanemask_lt", "%lanemask_gt"]
    sums = [f"mov.u32 %r, {name}; mad.lo.u32 %s, %s, 31, %r;" for name in names]
    text = f"""
    .visible .entry many(.param .u64 out) {{
        .reg .b32 %r, %s, %t; .reg .b64 %w, %d; .reg .b16 %h;
        ld.param.u64 %w, [out]; mov.u32 %t, %tid.x; mul.wide.u32 %d, %t, 4; add.u64 %w, %w, %d; mov.u32 %s, 0;
        {"".join(sums)}
        ld.global.u32 %t, [%w]; cvt.s32.s8 %r, %t; mad.lo.u32 %s, %s, 31, %r; cvt.u16.u32 %h, %t; div.s16 %h, %h, 3;
        cvt.s32.s16 %r, %h; mad.lo.u32 %s, %s, 31, %r; st.global.u32 [%w], %s; ret; }}"""
    assert not both(ptx(text), "many", 1, 32, np.arange(0, 32 * 2999, 2999, np.uint32))
