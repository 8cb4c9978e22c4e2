"""PTX around one instruction: registers come from memory, the line runs once, and what it wrote goes back to memory.

Three buffers: `in` and `out` hold 16 bytes per register and thread, and `slots` 128 bytes per thread: what the line
accesses, if it accesses memory. A slot is copied to shared or local memory before and back after, where the line works
there.
"""

from __future__ import annotations

from typing import NamedTuple

from gpu.families.line import REGISTERS, Line

BLOCK = 128
CELL_BYTES = 16
SLOT_BYTES = 128

HEADER = """.version {version}
.target {target}
.address_size 64
"""
#: What carry chains hang on: a carry that comes in, and one that goes out.
_BEFORE = {
    "addc": "add.cc.u32 %u0, %u1, %u2;",
    "subc": "sub.cc.u32 %u0, %u1, %u2;",
    "madc": "add.cc.u32 %u0, %u1, %u2;",
}


class Text(NamedTuple):
    """A kernel `k(in, out, slots)`.

    Attributes:
        body: the PTX behind the header.
        inputs: registers in the order of their cells of `in`.
        results: names of the cells of `out`.
    """

    body: str
    inputs: tuple[tuple[str, str], ...]
    results: tuple[str, ...]


def around(line: Line) -> Text:
    """The kernel of a line whose effect is a function of its registers and of its thread's slot."""
    loads = [_load(register, CELL_BYTES * cell) for cell, register in enumerate(line.inputs)]
    stores = [_store(register, CELL_BYTES * cell) for cell, register in enumerate(line.results)]
    names = [f"%{letter}{number}" for letter, number in line.results]
    there, back = _slot_moves(line)
    before, after = _carry(line, CELL_BYTES * len(line.inputs))
    if after:
        stores.append(f"st.global.b32 [%xout+{CELL_BYTES * len(names)}], %u3;")
        names.append("carry")
    code = [*loads, before, *there, _asynchronous(line), after, *back, *stores]
    inputs = (*line.inputs, *([("r", "carry a"), ("r", "carry b")] if before else []))
    body = frame("\n".join(filter(None, code)), len(inputs), len(names), depot=line.space == "local")
    return Text(body, inputs, tuple(names))


def frame(code: str, inputs: int, results: int, *, depot: bool = False) -> str:
    """An entry with registers of every kind, `%xin`, `%xout` and `%w` pointing at this thread's cells and slot.

    `%slot` is the piece of shared memory of the thread, `depot` its local memory; `%u`, `%v`, `%z` are free.
    """
    local = ".local .align 16 .b8 depot[128];" if depot else ""
    wide = ".reg .b128 %q;" if "%q" in code else ""  # of PTX 8.3, which not every driver knows
    return f""".const .align 16 .b8 table[16] = {{
17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255, 1}};
.func (.reg .b32 %o) callee(.reg .b32 %i) {{ not.b32 %o, %i; ret; }}
.visible .entry k(.param .u64 p_in, .param .u64 p_out, .param .u64 p_slots, .param .u64 k_p) {{
.reg .b32 %r<10>; .reg .b8 %b<3>; .reg .b16 %h<5>; .reg .b64 %d<5>; .reg .f32 %f<9>; .reg .f64 %e<5>; .reg .pred %p<5>;
.reg .b32 %u<16>; .reg .b64 %v<16>; .reg .pred %z<8>; {wide}
.reg .b64 %xin, %xout, %w, %x; .reg .b32 %i, %t, %slot;
.shared .align 128 .b8 tile[{SLOT_BYTES * BLOCK}];
{local}
mov.u32 %i, %ctaid.x; mov.u32 %t, %ntid.x; mul.lo.s32 %i, %i, %t; mov.u32 %t, %tid.x; add.s32 %i, %i, %t;
ld.param.u64 %xin, [p_in]; mul.wide.u32 %x, %i, {CELL_BYTES * max(inputs, 1)}; add.s64 %xin, %xin, %x;
ld.param.u64 %xout, [p_out]; mul.wide.u32 %x, %i, {CELL_BYTES * max(results, 1)}; add.s64 %xout, %xout, %x;
ld.param.u64 %w, [p_slots]; mul.wide.u32 %x, %i, {SLOT_BYTES}; add.s64 %w, %w, %x;
mov.u32 %slot, tile; mad.lo.s32 %slot, %t, {SLOT_BYTES}, %slot;
{code}
DONE: ret; }}
"""


def _load(register: tuple[str, str], at: int) -> str:
    letter, number = register
    name = f"%{letter}{number}"
    if letter == "p":
        return f"ld.global.b32 %u15, [%xin+{at}]; and.b32 %u15, %u15, 1; setp.ne.b32 {name}, %u15, 0;"
    if letter == "q":
        return f"ld.global.v2.b64 {{%v14, %v15}}, [%xin+{at}]; mov.b128 %q, {{%v14, %v15}};"
    return f"ld.global.{REGISTERS[letter][0]} {name}, [%xin+{at}];"


def _store(register: tuple[str, str], at: int) -> str:
    letter, number = register
    name = f"%{letter}{number}"
    if letter == "p":
        return f"selp.b32 %u15, 1, 0, {name}; st.global.b32 [%xout+{at}], %u15;"
    if letter == "q":
        return f"mov.b128 {{%v14, %v15}}, %q; st.global.v2.b64 [%xout+{at}], {{%v14, %v15}};"
    return f"st.global.{REGISTERS[letter][0]} [%xout+{at}], {name};"


def _slot_moves(line: Line) -> tuple[list[str], list[str]]:
    """Code before and after, so that the bracketed registers and `%w` point at the slot in its space."""
    there: list[str] = []
    back: list[str] = []
    if line.space in ("shared", "local") and line.addresses:
        base = "%slot" if line.space == "shared" else "%u14"
        if line.space == "local":
            there.append("mov.b32 %u14, depot;")
        for at in range(0, SLOT_BYTES, 16):
            there.append(
                f"ld.global.v2.b64 {{%v0, %v1}}, [%w+{at}]; st.{line.space}.v2.b64 [{base}+{at}], {{%v0, %v1}};"
            )
            back.append(
                f"ld.{line.space}.v2.b64 {{%v0, %v1}}, [{base}+{at}]; st.global.v2.b64 [%w+{at}], {{%v0, %v1}};"
            )
        there += [f"mov.b{32 if letter == 'r' else 64} %{letter}{number}, {base};" for letter, number in line.addresses]
    elif line.space == "const" and line.uses_slot:
        there.append("mov.u64 %w, table;")
    return there, back


def _carry(line: Line, at: int) -> tuple[str, str]:
    """Code before a line that takes a carry in, and behind one that gives one out."""
    name = line.opcode.partition(".")[0]
    before = _BEFORE.get(name, "")
    if before:
        before = f"ld.global.b32 %u1, [%xin+{at}]; ld.global.b32 %u2, [%xin+{at + CELL_BYTES}]; {before}"
    after = ""
    if ".cc" in line.opcode:
        after = f"{'subc' if name == 'sub' else 'addc'}.u32 %u3, 0, 0;"
    return before, after


def _asynchronous(line: Line) -> str:
    """The line, with a copy in front of it or the wait for it behind it where it is about asynchronous copies."""
    text = f"{line.text};"
    if not line.opcode.startswith("cp.async"):
        return text
    if line.addresses or line.uses_slot:
        return f"{text}\ncp.async.wait_all;"
    copy = "cp.async.ca.shared.global [%slot], [%w], 16;"
    read = "ld.shared.v2.b64 {%v0, %v1}, [%slot]; st.global.v2.b64 [%w+64], {%v0, %v1};"
    return f"{copy}\n{text}\ncp.async.wait_all;\n{read}"
