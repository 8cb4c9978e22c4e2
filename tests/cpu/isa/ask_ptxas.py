"""Asks ptxas what it takes of examples and mutants of the rows, and writes its answers down: verdicts.txt.

    python -m tests.cpu.isa.ask_ptxas PTXAS

A line begins with "+" where ptxas takes it, with "-" where not; "!" behind that says that the executor answers otherwise.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cpu.families import decide
from tests.cpu.isa.mutants import mutants

VERDICTS = Path(__file__).with_name("verdicts.txt")
#: The newest PTX and arch of CUDA 12.9, which have nearly everything.
_HEAD = ".version 8.8\n.target sm_100a\n.address_size 64\n"
_REGISTERS = (
    ".reg .b32 %r<10>; .reg .b8 %b<3>; .reg .b16 %h<5>; .reg .b64 %d<5>; .reg .f32 %f<9>; .reg .f64 %e<5>; "
    ".reg .pred %p<4>; .reg .b64 %w; .reg .b128 %q;"
)
_LINE = re.compile(r"line (\d+); (?:error|fatal)|on line '(\d+)'")
_TOGETHER = 60
COUNT = 1500


def refused_by(ptxas: str, lines: list[str]) -> set[str]:
    """Those that ptxas refuses; it stops at the first error of some kinds, so it is asked until there is none."""
    refused: set[str] = set()
    for first in range(0, len(lines), _TOGETHER):
        left = lines[first : first + _TOGETHER]
        while bad := _errors(ptxas, left):
            refused |= bad
            left = [line for line in left if line not in bad]
    return refused


def _errors(ptxas: str, lines: list[str]) -> set[str]:
    """The lines that one run complains about."""
    text, where = _HEAD, {}
    for number, line in enumerate(lines):
        where[text.count("\n") + 2] = line
        text += f".visible .entry k{number}(.param .u64 k_p) {{ {_REGISTERS}\n{line};\nDONE: ret; }}\n"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lines.ptx"
        path.write_text(text)
        run = subprocess.run(
            [ptxas, "-arch", "sm_100a", "-o", "/dev/null", path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    found = {int(one or other) for one, other in _LINE.findall(run.stderr)}
    if not found and run.returncode:  # it died
        middle = len(lines) // 2
        return {*lines} if not middle else _errors(ptxas, lines[:middle]) or _errors(ptxas, lines[middle:])
    # A brace that is missing shows where the next kernel begins.
    return {where[max(line for line in where if line <= max(number, min(where)))] for number in found}


def mark(line: str, *, taken: bool) -> str:
    """A line of the file."""
    return f"{'+' if taken else '-'}{'!' if taken == bool(decide(line)) else ' '} {line}"


if __name__ == "__main__":
    asked = mutants(COUNT)
    refused = refused_by(sys.argv[1], asked)
    VERDICTS.write_text("".join(mark(line, taken=line not in refused) + "\n" for line in sorted(asked)))
