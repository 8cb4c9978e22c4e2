"""Rows whose model is "nothing" (fences, hints, waits for what is over) leave registers and memory as they are."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.lines import line_of, names_of
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "nothing"]
_COUNTS = {"r": 10, "d": 5, "f": 9}
#: Words that a thread stores: all its registers, its shared memory and what the address leads to.
_WORDS = 40


def _kernel(number: int, line: str) -> str:
    registers = [
        (f"%{letter}{k}", "b64" if letter == "d" else "b32") for letter, count in _COUNTS.items() for k in range(count)
    ]
    at = 0
    stores = []
    for name, kind in registers:
        at = (at + 7) // 8 * 8 if kind == "b64" else at
        stores.append(f"st.global.{kind} [%o+{at}], {name};")
        at += int(kind[1:]) // 8
    moves = [f"mov.b32 %{letter}{k}, {1000 * k + ord(letter)};" for letter in "f" for k in range(_COUNTS[letter])]
    moves += [f"mov.b64 %d{k}, {77 * k};" for k in range(_COUNTS["d"])]
    moves += [f"mov.b32 %r{k}, -1;" for k in range(_COUNTS["r"])]
    return f""".visible .entry k{number}(.param .u64 k_p, .param .u64 out) {{
        .reg .b32 %r<10>, %t, %s; .reg .b64 %d<5>, %w, %o, %x; .reg .b32 %f<9>; .reg .pred %p<4>; .shared .align 128 .b8 sh[128];
        mov.u32 %t, %tid.x; mul.wide.u32 %x, %t, {4 * _WORDS}; ld.param.u64 %o, [out]; add.u64 %o, %o, %x;
        ld.param.u64 %w, [k_p]; mov.u32 %s, %tid.x; st.shared.u8 [sh], 7; {" ".join(moves)}
        {line};
        {" ".join(stores)} ld.shared.u8 %t, [sh]; st.global.b32 [%o+{at}], %t; ret; }}"""


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_row_that_does_nothing_changes_nothing(ptx, row):
    lines = [line_of(name) for name in names_of(row, 4)]
    device = ptx("\n".join(_kernel(number, line) for number, line in enumerate(["", *lines])))
    first = None
    for number in range(len(lines) + 1):
        memory, out = np.arange(256, dtype=np.uint8), np.zeros((32, _WORDS), np.uint32)
        device.run(f"k{number}", 1, 32, memory, out)
        assert (memory == np.arange(256)).all()
        first = out.copy() if first is None else first
        np.testing.assert_array_equal(out, first, lines[number - 1])
