"""Reads own.ptx: kernels for lines that mean something only with others."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

#: A line of own.ptx that is there for some of the lines that a kernel is for.
_ONLY = re.compile(r"^ONLY\(([\w.]+)\) (.*)$", re.MULTILINE)


class Own(NamedTuple):
    """A kernel for the lines that `pattern` matches from their start.

    Attributes:
        code: PTX with LINE where the line stands.
        results: 16-byte cells of `out` that a thread writes.
        block: threads per block.
        fill: what the slots hold: "bits", or small whole numbers as "f16".
        faults: whether it ends with a fault, on both sides.
        depot: whether it has local memory of that name.
    """

    pattern: str
    code: str
    results: int = 1
    block: int = 64
    fill: str = "bits"
    faults: bool = False
    depot: bool = False

    def code_for(self, line: str) -> str:
        """With the line in its place; code that is only for other lines is left out."""
        kept = _ONLY.sub(lambda found: found[2] if line.startswith(found[1]) else "", self.code)
        return kept.replace("LINE", f"{line};")


@lru_cache
def own_kernels() -> list[Own]:
    """All of own.ptx."""
    found = []
    _, *sections = Path(__file__).with_name("own.ptx").read_text().split("// @ ")
    for section in sections:
        head, _, code = section.partition("\n")
        fields = dict(re.findall(r" (results|block|fill|faults|depot)=(\w+)", head))
        pattern = re.sub(r" (results|block|fill|faults|depot)=\w+", "", head).strip()
        values = {name: value if name == "fill" else int(value) for name, value in fields.items()}
        found.append(Own(pattern, code.strip(), **values))
    return found


def own_kernel(line: str) -> Own | None:
    """The kernel for a line, if it has one of its own."""
    return next((own for own in own_kernels() if re.match(own.pattern, line)), None)
