"""PTX as people write it: forms of the ISA that NVRTC never prints."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from jitload.errors import CpuFault, LoadError

_HEAD = ".visible .entry k(.param .u64 out) { .reg .b64 %o; ld.param.u64 %o, [out];\n"


@pytest.fixture
def words(ptx):
    """(body, declarations, count, threads) -> the words that a kernel leaves at %o."""

    def run(body: str, declarations: str = "", *, count: int = 1, threads: int = 1) -> list[int]:
        out = np.zeros(count, np.uint32)
        ptx(declarations + _HEAD + body + "\n}").run("k", 1, threads, out)
        return out.tolist()

    return run


def _float_word(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def test_vector_registers_and_their_elements(words):
    found = words(
        """.reg .v4 .u32 v, w; .reg .v2 .b32 pair<3>; .reg .v4 .f32 acc;
        mov.v4.u32 v, %tid; mov.v4.u32 w, {1, 2, 3, 4};
        add.u32 v.x, v.x, w.y; add.u32 v.y, v.y, w.w; mov.u32 v.w, w.r; st.global.v4.u32 [%o], v;
        mov.u32 pair2.x, 7; mov.u32 pair2.g, 9; mov.v2.b32 {pair2.x, pair2.y}, {pair2.y, pair2.x}; st.global.v2.b32 [%o+16], pair2;
        { .reg .u32 v; mov.u32 v, 5; st.global.u32 [%o+24], v; } st.global.u32 [%o+28], v.y;
        mov.f32 acc.x, 0f3f800000; mov.f32 acc.y, 2.0; mov.f32 acc.z, -3.0; mov.f32 acc.w, 0d4010000000000000;
        st.global.v4.f32 [%o+32], acc; ld.global.v4.u32 w, [%o]; st.global.u32 [%o+48], w.b; ret;""",
        count=13,
    )
    assert found == [2, 4, 0, 1, 9, 7, 5, 4, *map(_float_word, (1, 2, -3, 4)), 0]


EXPRESSIONS = {
    "(1+2)*3": 9, "1<<4|3": 19, "~0": -1, "!5": 0, "-(-7)": 7, "017+0x10+0b11": 34, "10/3": 3, "-10/3": -3,
    "-10 % 3": -1, "1?2:3": 2, "0 ? 1 : 2 ? 5 : 6": 5, "WARP_SZ*2": 64, "WARP_SZ - 1": 31, "3>2&&1": 1, "3>2||0": 1,
    "0xFFFFFFFFFFFFFFFFU/2 == 0x7fffffffffffffff": 1, "1^3&2": 3, "(.u64)-1 > 0": 1, "-1 > 0": 0, "-1 > 0U": 1,
    "-8>>1": -4, "5 != 4": 1, "0x10U": 16, "2.5+1.5 == 4.0": 1, "(.s64) 3.7": 3, "7-2-1": 4, "1<<64": 0,
}  # fmt: skip


def test_constant_expressions(words):
    body = ".reg .b32 r;" + "".join(
        f"mov.u32 r, {text}; st.global.u32 [%o+4*{position}], r;" for position, text in enumerate(EXPRESSIONS)
    )
    found = words(body + "ret;", count=len(EXPRESSIONS))
    assert found == [value & 0xFFFFFFFF for value in EXPRESSIONS.values()]


@pytest.mark.parametrize("text", ["1/0", "5 % (3-3)", "~1.5", "(1", "1 +", "1.5 % 2.0"])
def test_what_is_no_constant_is_refused(ptx, text):
    with pytest.raises(LoadError, match="invalid PTX, line"):
        ptx(f".global .u32 g[4] = {{{text}}};")


ARRAYS = """.const .s32 a[2][3] = {{1}, {2, 3}};
.global .align 4 .b8 bytes[] = {1, 0x2, 3U, -1};
.global .u32 g[4][2] = { {1,2}, {3}, {} , {7,8} };
.global .v4 .u32 vectors[2] = {{1,2},{5,6,7,8}};
.global .u32 one, two[2], three = 3;
.const .f32 bias[] = {-1.0, 1, 0f40000000, 0d4008000000000000, 1e300};
.global .u64 places[3] = {generic(g)+4, two, generic(a)};
.global .u64 place = g+4*2;
.global .f16 halves[2] = {1.5, -2.0}; .global .bf16 brains[2] = {1.5, -2.0};
"""


def _copy(space: str, name: str, count: int) -> str:
    loads = "".join(f"ld.{space}.b32 r, {name}[{i}]; st.global.b32 [%o+{4 * i}], r;" for i in range(count))
    return f"{loads} add.u64 %o, %o, {4 * count};"


def test_initialisers_fill_rows_and_lengths(words):
    """A short row is filled with zeros, and an array without a length takes that of its values."""
    body = _copy("const", "a", 6) + _copy("global", "g", 8) + _copy("global", "vectors", 8) + _copy("const", "bias", 5)
    body += "ld.global.b32 r, [bytes]; st.global.b32 [%o], r; ld.global.b32 r, [three]; st.global.b32 [%o+4], r;"
    body += "ld.global.b32 r, [halves]; st.global.b32 [%o+8], r; ld.global.b32 r, [brains]; st.global.b32 [%o+12], r;"
    found = words(".reg .b32 r;" + body + "ret;", ARRAYS, count=31)
    assert found[:14] == [1, 0, 0, 2, 3, 0, 1, 2, 3, 0, 0, 0, 7, 8]
    assert found[14:22] == [1, 2, 0, 0, 5, 6, 7, 8]
    assert found[22:27] == [*map(_float_word, (-1, 1, 2, 3)), 0x7F800000]
    assert found[27:] == [0xFF030201, 3, 0xC0003E00, 0xC0003FC0]


def test_addresses_in_initialisers_and_elements_of_arrays(words):
    body = """.reg .b64 p; .reg .b32 r; ld.global.u64 p, [places]; ld.u32 r, [p]; st.global.u32 [%o], r;
    ld.global.u64 p, [places+16]; ld.u32 r, [p+12]; st.global.u32 [%o+4], r;
    ld.global.u64 p, [place]; ld.global.u32 r, [p]; st.global.u32 [%o+8], r;
    mov.u64 p, g[1]; ld.global.u32 r, [p+2*3-6]; st.global.u32 [%o+12], r; ret;"""
    assert words(body, ARRAYS, count=4) == [2, 2, 3, 2]


@pytest.mark.parametrize("text", ["{{1,2,3},{4}}", "{1,2,3,4,5}"])
def test_too_many_initial_values(words, text):
    with pytest.raises(Exception, match="initial values"):
        words("st.global.u64 [%o], g; ret;", f".global .u32 g[2][2] = {text};", count=2)


FUNCTIONS = """.func (.reg .b32 %o) add1 (.reg .b32 %x) { add.u32 %o, %x, 1; }
.func (.param .b32 ro) mul2 (.param .b32 x) { .reg .b32 %a<2>; ld.param.b32 %a0, [x]; shl.b32 %a0, %a0, 1; st.param.b32 [ro+0], %a0; ret.uni; }
.func nothing { ret; }
.func (.reg .u32 a, .reg .u32 b) two (.reg .u32 x, .reg .u32 y) { add.u32 a, x, y; sub.u32 b, x, y; ret; }
.func (.reg .f64 d) half (.reg .f64 x) { mul.f64 d, x, 0.5; ret; }
.func (.reg .u32 r) fact(.reg .u32 n) { .reg .pred p; .reg .u32 t; setp.le.u32 p, n, 1; @p mov.u32 r, 1; @p ret;
    sub.u32 t, n, 1; call (r), fact, (t); mul.lo.u32 r, r, n; ret; }
.global .u64 table[2] = {add1, fact};
"""


def test_calls_in_every_form(words):
    """With literals as arguments, results nobody wants, and a function that ends without `ret`."""
    body = """.reg .b32 %r<10>; .reg .b64 %f; .reg .f64 d;
    call (%r0), add1, (41); st.global.u32 [%o], %r0;
    { .param .b32 ret; .param .b32 arg; st.param.b32 [arg], %r0; call.uni (ret), mul2, (arg); ld.param.b32 %r1, [ret]; } st.global.u32 [%o+4], %r1;
    call nothing; call.uni nothing, (); call (_), add1, (9); call (_, %r4), two, (WARP_SZ, -1); st.global.u32 [%o+8], %r4;
    call (%r2, %r3), two, (%r1, 4); st.global.v2.u32 [%o+16], {%r2, %r3};
    mov.u32 %r8, 5; call (%r8), fact, (%r8); st.global.u32 [%o+12], %r8;
    call (d), half, (3.0); st.global.f64 [%o+24], d; ret;"""
    expected = [42, 84, 33, 120, 88, 80, *np.array([1.5]).view(np.uint32).tolist()]
    assert words(body, FUNCTIONS, count=8) == expected


def test_a_table_of_functions(words):
    body = """.reg .b32 r; .reg .b64 f, t; mov.u32 r, %tid.x; mul.wide.u32 t, r, 8; mov.u64 f, table; add.u64 f, f, t; ld.global.u64 f, [f];
    Some: .calltargets add1, fact;
    add.u32 r, r, 3; call (r), f, (r), Some; shr.u64 t, t, 1; add.u64 %o, %o, t; st.global.u32 [%o], r; ret;"""
    assert words(body, FUNCTIONS, count=2, threads=2) == [4, 24]


def test_scopes_shadow_registers_and_labels(words):
    body = """.reg .b32 %r<3>, s; .reg .pred p, q; mov.u32 %r1, 0; mov.u32 s, 1;
    { .reg .b32 s; .reg .b32 %r<2>; mov.u32 s, 5; mov.u32 %r1, 100;
      L1: add.u32 s, s, 1; setp.lt.s32 p|q, s, 10; @p bra L1; @!q bra.uni L1; st.global.u32 [%o], s; st.global.u32 [%o+4], %r1; bra L2; L2: }
    L1: add.u32 %r1, %r1, 1; setp.ne.u32 p, %r1, 3; @p bra L1; { { bra $out; } }
    $out: st.global.u32 [%o+8], %r1; st.global.u32 [%o+12], s; // done
    /* x */ ret /* y */ ;"""
    assert words(body.replace("\n", "\r\n"), count=4) == [10, 100, 3, 1]


DIRECTIVES = """.file 1 "a b.cu", 1234, 56
.pragma "nounroll";
.weak .global .u32 w = 3; .common .global .u32 com; .visible .const .u32 vc = 4; .extern .shared .align 16 .b8 sh[];
.func (.reg .u32 r) dead(.reg .u32 x) .noreturn { trap; }
.visible .entry k (.param .u64 .ptr .global .align 8 out) .maxntid 64, 1, 1 .minnctapersm 2 .maxnreg 32 .pragma "x"; {
.loc 1 3 5
.loc 1 4 1, function_name $L__info_string0, inlined_at 1 3 5
.reg .b64 %o; .reg .b32 %r<9>; ld.param.u64 %o, [out];
mov.u32 %r1, sh; st.shared.u32 [sh], 5; st.shared.u32 [sh+4], 6; ld.shared.u32 %r2, [%r1+4]; st.global.u32 [%o], %r2;
ld.global.u32 %r3, [w]; st.global.u32 [%o+4], %r3; ret; }
.section .debug_abbrev { .b8 1,2,3
.b64 Ltmp0 + 3
L: .b8 0 }
.section .debug_str { $L__info_string0: .b8 95,90 }
"""


@pytest.mark.parametrize(
    "head", [("6.0", "sm_70"), ("6.3", "sm_75, texmode_independent"), ("7.0", "sm_80, debug"), ("8.8", "sm_120a")]
)
def test_heads_and_directives(device, head):
    out = np.zeros(2, np.uint32)
    text = f"// c\n/* .version */ .version {head[0]}\n.target {head[1]} // foo\n.address_size 64\n{DIRECTIVES}"
    device(text).run("k", 1, 1, out, shared=64)
    assert out.tolist() == [6, 3]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            ".reg .b128 w; add.u64 w, w, 16; st.global.u32 [w], 1; ret;",
            "operand 1, a register of type .b128, does not fit; legal is add.u64 d:u64, a:u64, b:u64",
        ),
        (
            ".reg .pred p; setp.eq.u32 p, 0, 0; xor.pred p, p, !%clock; @p st.global.u32 [%o], 1; ret;",
            "operand 3 does not fit; legal is xor.pred d:pred, a:pred, b:pred",
        ),
        (".reg .b64 w; ld.param.u64 w, [k]; st.global.u64 [%o], w; ret;", "is a function, not a variable"),
        ("st.global.u32 [%o], %pm8; ret;", "%pm8 is not supported"),
        (".reg .v4 .b32 v; mov.v2.b32 {v.x, v.y}, v; ret;", "needs operands of 2 elements"),
        (".reg .f32 f; mov.f32 f, nowhere[2]; ret;", "nowhere is no array"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(words, body, why):
    with pytest.raises(CpuFault, match=why):
        words(body, count=2)


def test_a_negative_offset_from_a_pointer_that_all_threads_share(words):
    with pytest.raises(CpuFault, match=r"out of bounds|null pointer"):
        words(".reg .b64 w; mov.u64 w, 4096; sub.u64 w, w, %o; st.global.u32 [w+-16], 1; ret;")
