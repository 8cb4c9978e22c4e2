"""What ptxas takes and refuses, the decoder takes and refuses, but for differences that are listed."""

from __future__ import annotations

import re

import pytest

from tests.cpu.families import decide
from tests.cpu.isa.ask_ptxas import VERDICTS, mark

#: What the names of PTX say in any order is in order for ptxas in nearly all; some it reads as part of the opcode.
MOST_DIFFERENCES = 0.04


def test_illegal_lines_are_refused_and_legal_ones_are_not():
    recorded = VERDICTS.read_text().splitlines()
    assert [mark(line[3:], taken=line[0] == "+") for line in recorded] == recorded, (
        "the decoder answers otherwise: python -m tests.cpu.isa.ask_ptxas PTXAS, and look at what changed"
    )
    assert sum(line[0] == "-" for line in recorded) > 500
    assert sum(line[1] == "!" for line in recorded) < MOST_DIFFERENCES * len(recorded)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ld.release.gpu.global.b32 %r1, [%w]", r"modifier \.release does not exist for ld; legal is ld\."),
        ("st.acquire.gpu.global.b32 [%w], %r1", r"modifier \.acquire does not exist for st; legal is st\."),
        ("fence.proxy.global.shared::cta", r"legal is fence\.proxy\.async\.\(global\|shared::cta\|shared::cluster\)"),
        ("add.sat.u32 %r1, %r2, %r3", r"legal is add\.INT or add\.sat\.s32"),
        (
            "mad.lo.s32 %d1, %r2, %r3, %r4",
            r"operand 1, a register of type \.b64, does not fit; legal is mad\.lo\.s32 d:s32, a:s32",
        ),
        ("shf.l.b32 %r1, %r2, %r3, %r4", r"legal is shf\.\(l\|r\)\.\(wrap\|clamp\)\.b32"),
        ("setp.lo.s32 %p1, %r1, %r2", r"legal is setp\.CMP\.\(s16\|s32\|s64\)"),
        ("add.f32 %f1, %f2, 1", "operand 3 does not fit; legal is add.f32 d:f32, a:f32, b:f32"),
        ("bar.sync", "0 operands; legal is bar.sync a:u32, {b:u32}"),
    ],
)
def test_a_refusal_says_what_is_legal(line, why):
    assert re.search(why, decide(line)), decide(line)
