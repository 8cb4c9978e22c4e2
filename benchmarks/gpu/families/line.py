"""What one line of PTX reads and writes, as far as a kernel around it has to know."""

from __future__ import annotations

import re

#: Letters of tests/cpu/families.py -> (type of a register, bytes).
REGISTERS = {
    "r": ("b32", 4),
    "h": ("b16", 2),
    "b": ("b8", 1),
    "d": ("b64", 8),
    "f": ("f32", 4),
    "e": ("f64", 8),
    "p": ("pred", 4),
    "q": ("b128", 16),
}
_REGISTER = re.compile(r"%([rhbdfep])(\d)(?![\w])|%(q)(?![\w])")
_OPERAND = re.compile(r"(?:\{[^}]*\}|\[[^\]]*\]|[^,])+")
#: Instructions whose first operand is no result.
_NO_RESULT = re.compile(
    r"st|red|prefetch|applypriority|discard|membar|fence|bar\.(?!red)|barrier\.(?!.*red)|mbarrier\.(init|inval|expect|complete)"
    r"|cp\.|nanosleep|pmevent|griddepcontrol|wmma\.store|setmaxnreg"
)


class Line:
    """One instruction.

    Attributes:
        text: as it is written.
        opcode: its first word.
        inputs: (letter, number) of every register in it that is no address.
        results: (letter, number) of the registers it writes.
        addresses: (letter, number) of the registers between brackets, `%w` left out.
        uses_slot: whether it goes through `%w`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.opcode, _, rest = text.partition(" ")
        operands = [operand.strip() for operand in _OPERAND.findall(rest)]
        bracketed = " ".join(re.findall(r"\[[^\]]*\]", rest))
        self.addresses = registers_in(bracketed)
        self.uses_slot = "%w" in bracketed
        self.inputs = [one for one in registers_in(rest) if one not in self.addresses]
        first = operands[0] if operands and not operands[0].startswith("[") else ""
        self.results = [] if _NO_RESULT.match(self.opcode) else registers_in(first)

    @property
    def space(self) -> str:
        """The state space of the bracketed registers: "shared", "local" or "const", else "global"."""
        for name in ("shared", "local", "const"):
            if f".{name}" in self.opcode or (name == "shared" and self.opcode.startswith(("mbarrier", "ldmatrix"))):
                return name
        return "global"


def registers_in(text: str) -> list[tuple[str, str]]:
    """(letter, number) of the registers in a piece of PTX, each once, in order."""
    found = [(a, b) if a else (q, "") for a, b, q in _REGISTER.findall(text)]
    return list(dict.fromkeys(found))
