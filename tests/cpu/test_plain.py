"""An instruction that has a line for itself is read in one step, to the same as word by word, and to the same refusals."""

from __future__ import annotations

import re

import pytest

from jitload.cpu.text.body import read_body
from jitload.cpu.text.ir import Instruction, Register, Variable
from jitload.cpu.text.program import read_program
from jitload.errors import CpuFault, LoadError

_LINE = re.compile(r"(?<=, line )\d+|\\t.*")
HEAD = """.version 8.0
.target sm_80
.address_size 64
.global .b32 table[4];
.func (.reg .b32 r) f(.reg .b32 x) { mov.b32 r, x; ret; }
.visible .entry k(.param .u64 p)
{
	.reg .pred %p<3>;
	.reg .b32 %r<40>, x;
	.reg .b64 %rd<9>;
	.reg .v2 .b32 %v<2>, w;
"""
#: Instructions as compilers write them, as people do, and what is none.
LINES = (
    "mov.u32 \t%r1, %tid.x;", "ld.global.u32 \t%r1, [%rd1];", "ld.global.u32 \t%r1, [%rd1+16];", "ld.global.u32 %r1, [%rd1+-16];",
    "ld.global.u32 %r1, [%rd1+010];", "ld.global.u32 %r1, [%rd1+0];", "ld.global.u32 %r1, [%rd1+0x10];", "ld.global.u32 %r1, [table+4];",
    "ld.global.u32 %r1, table[1];", "mov.u64 %rd1, table[1];", "mov.u64 %rd1, table;", "mov.u64 %rd1, table+8;", "ld.param.u64 %rd1, [p];",
    "st.global.v2.u32 [%rd1], {%r1, %r2};", "ld.global.v2.u32 {%r1, %r2}, [%rd1+8];", "st.global.v2.u32 [%rd1], w;", "mov.b64 %rd1, {%r1, %r2};",
    "mov.b64 {%r1, _}, %rd1;", "mov.b64 {%r1,%r2}, %rd1;", "mov.b64 { %r1, %r2 }, %rd1;", "st.global.v2.u32 [%rd1], {%r1, 7};",
    "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r1, %r2}, {%r3}, {%r4}, {%r5, %r6};", "add.s32 %r1, %r2, -1;", "add.s32 %r1,%r2,1;",
    "add.s32 %r1 , %r2, 1 ;", "add.s32 %r1, %r2, 1; // done", "add.s32 %r1, %r2, 3U;", "add.s32 %r01, %r2, 3;", "mov.b32 %r1, %v1.x;", "mov.b32 %r1, w.y;",
    "add.s32 %r1, %r2, 0f3F800000;", "add.s32 %r1, %r2,, 1;", "add.s32 %r1, %r2, ;", "add.s32 %r1;", "add.s32 , %r1;", "mov.b64 {%r1, %r2, %rd1;",
    "mov.b64 {%r1}{%r2}, %rd1;", "mov.b64 {%r1, %r2}%rd1;", "mov.b64 {%r1, %r2}, %rd1, ;", "mov.b64 {}, %rd1;", "mov.b64 {%r1, {%r2}}, %rd1;",
    "mov.b32 %r40, 1;", "mov.b32 %q1, 1;", "mov.b32 %, 1;", "mov.b32 $x, 1;", "ld.global.u32 %r1, [%rd1+];", "ld.global.u32 %r1, [%rd1+1_0];",
    "ld.global.u32 %r1, [%rd1;", "ld.global.u32 %r1, [];", "ld.global.u32 %r1, [%rd1]];", "ld.global.u32 [%r1, [%rd1];", "bra L1;", "bra.uni L1;",
    "call (%r1), f, (%r2);", "call f;", "call.uni f, x;", "setp.ne.s32 %p1|%p2, %r1, 0;", "not.pred %p1, !%p2;", "frob.b32 %r1, %r2;", "mov.b32 x, x x;",
    "tex.2d.v4.u32.s32 {%r1, %r2, %r3, %r4}, [%rd1, {%r5, %r6}];", "tex.1d.v4.u32.s32 {%r1, %r2, %r3, %r4}, [%rd1, %r5];", "wgmma.fence.sync.aligned;",
    "x a,b, [c, d];", "bar.sync 0;", "mov.b32 %r1, WARP_SZ;", "mov.b32 %r1, 1 ? 2 : 3;", "mov.b32 %r1, 017;", "mov.b32 %r1, 0;", "mov.b32 %r1, -0;", "mov.b32 %r1, -7;", "mov.b32 %r1, --7;",
    "mov.b64 %rd1, 999999999999999999;", "mov.b64 %rd1, 9223372036854775808;", "mov.b64 %rd1, -9223372036854775808;", "mov.b64 %rd1, 99999999999999999999;",
    "mov.b32 %r1, f;",
)  # fmt: skip


def _plain(value: object, seen: dict[int, int]) -> object:
    """What is equal for what means the same; registers are numbered as they are seen."""
    if isinstance(value, Register):
        return (value.name, value.type.name, seen.setdefault(value.index, len(seen)))
    if isinstance(value, Variable):
        return value.name
    return (type(value).__name__, *(_plain(one, seen) for one in value)) if isinstance(value, tuple) else value


def _why(malformed: str | None) -> str:
    """Why operands cannot be read; word by word, what stands behind the end of a line counts as the next line."""
    return _LINE.sub("", malformed or "")


def _read(statements: str) -> object:
    """What a body says, or why it says nothing."""
    try:
        program = read_program(f"{HEAD}{statements}\n\tL1:\n\tret;\n}}\n".encode())
        body = read_body(program, program.functions["k"])
    except LoadError as error:
        return str(error)
    seen: dict[int, int] = {}
    return [
        (one.opcode, one.modifiers, _plain(one.operands, seen), _why(one.malformed), one.place.written, one.guard)
        if isinstance(one, Instruction)
        else one
        for one in body.items
    ]  # fmt: skip


def _both(*lines: str) -> tuple[object, object]:
    """Lines as compilers write them, and with a blank that leaves them to be read word by word."""
    return _read("\n".join(f"\t{line}" for line in lines)), _read("\n".join(f"\t {line}" for line in lines))


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_as_its_words_are(line):
    """By itself, and where its operands are known from others, which must not have changed what they mean."""
    alone = _both(line)
    assert alone[0] == alone[1]
    among = _both(*LINES[:4], line, line, "add.s32 \t%r1, %r2, %r3;", line)
    assert among[0] == among[1]


def test_all_lines_one_after_the_other_are_read_as_their_words_are():
    whole, apart = _both(*(line for line in LINES if not isinstance(_both(line)[0], str)))
    assert isinstance(whole, list)
    assert whole == apart


def test_what_is_declared_later_is_found():
    """A name means the innermost declaration that stands before it, though it was read before."""
    inner = ("add.s32 \tx, x, 1;", "{", "add.s32 \tx, x, 2;", ".reg .b32 x, %r<2>;", "add.s32 \tx, x, 3;", "ld.global.b32 \tx, [table];",
             "mov.b32 \t%r1, x;", ".shared .b32 table;", "ld.shared.b32 \tx, [table];", "}", "add.s32 \tx, x, 4;", "mov.b32 \t%r1, x;")  # fmt: skip
    whole, apart = _both(*inner)
    assert isinstance(whole, list)
    assert whole == apart
    assert (
        len(
            {operands[1] for _, _, operands, *_ in (one for one in whole if isinstance(one, tuple) and one[0] == "add")}
        )
        == 2
    )


@pytest.mark.parametrize("blank", ["", " "])
def test_a_missing_semicolon_refuses_its_own_line(device, blank):
    text = f"{HEAD}\t{blank}mov.b32 \t%r1, (\n\t{blank}add.s32 \t%r1, %r1, 1;\n\t{blank}ret;\n}}\n"
    with pytest.raises(CpuFault, match=r"'mov.b32 %r1, \( add.s32 %r1, %r1, 1' \(PTX line 12\).*expected a number"):
        device(text.encode()).module.device_function("k")


def test_an_address_that_a_line_gives_out_is_found(device):
    """A table of functions of one kernel may be called by another: what only lines name is given out as well."""
    text = f"{HEAD}\tmov.u64 \t%rd1, f;\n\tret;\n}}\n"
    module = device(text.encode()).module
    assert module.device_function("k").code.linker.functions_given_out() == {"f"}
