"""The tables of docs/cpu.md that the rows are written into."""

from __future__ import annotations

import re

from jitload.cpu.isa.groups import GROUPS
from jitload.cpu.isa.registry import families
from jitload.cpu.isa.specials import SPECIALS
from tests.cpu.isa.lines import line_of, names_of
from tests.cpu.isa.native import native_cell, special_cell

_LONG = 4


def table() -> str:
    """Every family with its forms and whether machine code has them, what stands for words in capitals, and what is refused."""
    rows = {family: rows for family, rows in families().items() if not all(row.refused for row in rows)}
    lines: list[str] = []
    for family, forms in rows.items():
        lines += [f"### {family}", "", "| form | example | since | machine code |", "|---|---|---|---|"]
        lines += [
            f"| {_code(short(row.name))} | {_code(line_of(names_of(row, 1)[0]))} | {row.since} | {native_cell(row)} |"
            for row in forms
            if not row.refused
        ]
        lines.append("")
    lines += ["### Words in capitals", "", "| word | one of |", "|---|---|"]
    lines += [f"| `{word}` | {_code(' '.join(names))} |" for word, names in GROUPS.items()]
    lines += ["", "### Special registers", "", "| register | bits | holds | machine code |", "|---|---|---|---|"]
    for name, one in SPECIALS.items():
        cell = special_cell(f"{name}{'.x' if one.axes else ''}", one.bits)
        lines.append(f"| `%{name}{'.{x,y,z,w}' if one.axes else ''}` | {one.bits} | {one.tells} | {cell} |")
    lines += ["", "### Refused", "", "| instruction | why |", "|---|---|"]
    lines += [
        f"| {_code('.'.join([row.opcode, *(slot.names[0] for slot in row.slots)]))} | {_cell(row.refused)} |"
        for forms in families().values()
        for row in forms
        if row.refused
    ]
    return "\n".join([*lines, ""])


def short(name: str) -> str:
    """A name without most of many numbers."""

    def few(match: re.Match[str]) -> str:
        words = match[1].split("|")
        regular = len(words) > _LONG and words[0][:1] == "m" and words[0][1:2].isdigit()
        return f"({words[0]}|{words[1]}|...|{words[-1]})" if regular else match[0]

    return re.sub(r"\(([^)]*)\)", few, name)


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
