"""Which names of a row have machine code, and how that is said in one cell of the table of docs/cpu.md."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

from jitload.cpu.code.draft import Reader
from jitload.cpu.code.link import Linker
from jitload.cpu.faults import Refused
from jitload.cpu.isa.registry import read_name
from jitload.cpu.memory.arena import process_arena
from jitload.cpu.native.column import emit
from jitload.cpu.native.functions import write_functions
from jitload.cpu.native.inlined import inline
from jitload.cpu.native.meeting import arrive
from jitload.cpu.native.symbols import resolver
from jitload.cpu.native.writer import KernelWriter
from jitload.cpu.text.program import read_program
from tests.cpu.isa.lines import line_of, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.cpu.code.control import Block
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Row
    from jitload.cpu.native.inlined import Inlined
    from jitload.cpu.text.ir import Instruction, Written

#: How many names are tried of one row; of one whose instruction ends a block, which takes a kernel for each.
_MOST, _MOST_ENDS = 96, 16
_FRAME = """.version 8.7
.target sm_90
.address_size 64
.func (.reg .b32 %o) callee(.reg .b32 %i) {{ mov.b32 %o, %i; ret; }}
.visible .entry k(.param .u64 k_p) {{
.reg .b32 %r<10>; .reg .b8 %b<3>; .reg .b16 %h<5>; .reg .b64 %d<5>; .reg .f32 %f<9>; .reg .f64 %e<5>; .reg .pred %p<4>; .reg .b64 %w;
.reg .b128 %q; TABLE: .branchtargets DONE;
{lines}
DONE: ret; }}"""


def native_cell(row: Row) -> str:
    """What of a row has machine code: "yes", "no", or which parts of a name it must have or must not have."""
    if {"ends", "meets"}.isdisjoint(row.effects):
        names = names_of(row, _MOST)
        tried = _try_within(names)
        if _count(row) > _MOST and len({refused for _, refused in tried}) > 1:
            tried += _try_within(_neighbours(row, [picked for picked, refused in tried if not refused]))
        return _said(tried)
    names = names_of(row, _MOST_ENDS)
    said = _said([(name.picked, _is_refused_at_end(_line(name))) for name in names])
    if said == "no" and row.opcode in {"bar", "barrier"}:
        said = _said([(name.picked, _is_refused_at_end(_with_number(_line(name)))) for name in names])
        said = "of a barrier by a literal" if said == "yes" else said
    return said


def special_cell(name: str, bits: int) -> str:
    """Whether a special register can be read by machine code."""
    target = {1: "pred %p1", 32: "u32 %r1", 64: "u64 %d1"}[bits]
    return "no" if _is_refused_at_end(f"mov.{target}, %{name}") else "yes"


def _line(name: Name) -> str:
    """An example, with an address of 64 bits where both do: machine code takes no other of memory that all blocks share."""
    line = line_of(name)
    return line.replace("[%r1]", "[%w]") if "const" in name.picked else line


def _with_number(line: str) -> str:
    """The line of a barrier, which is named by a literal in place of a register."""
    return re.sub(r"(, |sync |arrive |aligned )%r\d", r"\g<1>0", line, count=1)


def _inlined(lines: Sequence[str]) -> Inlined:
    program = read_program(_FRAME.format(lines="\n".join(f"{line};" for line in lines)).encode())
    linker = Linker(program, process_arena())
    drafts = Reader(linker, "k").read_all(program.functions["k"])
    for name, draft in drafts.items():
        draft.lay_out(entry=name == "k")
    return inline(drafts, linker, "k", set(drafts), 1 << 16)


def _sites(blocks: Sequence[Block]) -> dict[Written, int]:
    found = [one.place for block in blocks for one in block.instructions]
    found += [block.end.instruction.place for block in blocks if getattr(block.end, "instruction", None)]
    return {place.written: number for number, place in enumerate(found)}


def _count(row: Row) -> int:
    return math.prod(len(slot.names) + slot.optional for slot in row.slots)


def _neighbours(row: Row, taken: Sequence[tuple[str, ...]]) -> list[Name]:
    """Names that differ in one part from some that are taken: what evenly spread ones lack."""
    found: dict[tuple[str, ...], Name] = {}
    for picked in taken[:: max(1, len(taken) // 4)]:
        for number, slot in enumerate(row.slots):
            for part in (*slot.names, *([""] if slot.optional else [])):
                name = read_name(row, tuple(one for one in (*picked[:number], part, *picked[number + 1 :]) if one))
                if name is not None:
                    found[name.picked] = name
    return list(found.values())


def _try_within(names: Sequence[Name]) -> list[tuple[tuple[str, ...], bool]]:
    """Of names of instructions that stand within a block: what stands in each part, and whether it is refused."""
    found = _inlined([_line(name) for name in names])
    instructions = [one for block in found.blocks for one in block.instructions]
    assert len(instructions) == len(names), "an instruction is not in its block"
    writer = KernelWriter(found.blocks, _sites(found.blocks), resolver(found, []), (emit, arrive), found.carry)
    return [(name.picked, _is_refused(writer, one)) for name, one in zip(names, instructions, strict=True)]


def _is_refused(writer: KernelWriter, instruction: Instruction) -> bool:
    try:
        writer.begin(instruction.place)
        emit(writer, instruction)
    except Refused:
        return True
    return False


def _is_refused_at_end(line: str) -> bool:
    """Whether an instruction is refused that ends a block: in a kernel of its own."""
    try:
        found = _inlined([line])
        write_functions(found.blocks, _sites(found.blocks), resolver(found, []), (emit, arrive), found.carry)
    except Refused:
        return True
    return False


_Part = tuple[int, str]  # a slot of a name, and what stands there


def _said(names: list[tuple[tuple[str, ...], bool]]) -> str:
    """In words, of names and whether each is refused."""
    taken = [picked for picked, refused in names if not refused]
    lost = [picked for picked, refused in names if refused]
    if not lost or not taken:
        return "no" if lost else "yes"
    known = {one for picked in taken for one in enumerate(picked)}
    single = {one for picked in lost for one in enumerate(picked) if one not in known}
    said = [
        _slot_said(slot, {one for at, one in single if at == slot}, known) for slot in sorted({at for at, _ in single})
    ]
    lost = [picked for picked in lost if single.isdisjoint(enumerate(picked))]
    both = {pair for picked in taken for pair in itertools.combinations(enumerate(picked), 2)}
    found: list[tuple[_Part, _Part]] = []
    while lost:
        pairs = [[one for one in itertools.combinations(enumerate(picked), 2) if one not in both] for picked in lost]
        counts: dict[tuple[_Part, _Part], int] = {}
        for one in itertools.chain.from_iterable(pairs):
            counts[one] = counts.get(one, 0) + 1
        assert counts, f"no two parts explain why {lost[0]} is refused"
        best = max(sorted(counts), key=lambda one: counts[one])
        found.append(best)
        lost = [picked for picked, own in zip(lost, pairs, strict=True) if best not in own]
    return ", ".join([*said, *_pairs_said(found)])


def _slot_said(slot: int, without: set[str], known: set[_Part]) -> str:
    """What may stand in a part of a name."""
    allowed = sorted(one for at, one in known if at == slot)
    if "" in without or len(without - {""}) > len(allowed):
        return f"only {_words(one for one in allowed if one)}" if any(allowed) else f"without {_words(without)}"
    return f"not {_words(without)}"


def _pairs_said(pairs: list[tuple[_Part, _Part]]) -> list[str]:
    by_second: dict[_Part, set[str]] = {}
    for (_, first), second in pairs:
        by_second.setdefault(second, set()).add(first)
    by_firsts: dict[tuple[str, ...], set[str]] = {}
    for (_, part), firsts in by_second.items():
        by_firsts.setdefault(tuple(sorted(firsts)), set()).add(part)
    return [f"not {_words(firsts)} with {_words(seconds)}" for firsts, seconds in by_firsts.items()]


def _words(names: Iterable[str]) -> str:
    return f"`{' '.join(f'.{one}' for one in sorted(names) if one)}`"
