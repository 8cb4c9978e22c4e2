"""Which class an instruction belongs to, for counting: what part of a GPU would do the work."""

from __future__ import annotations

import re
from typing import NamedTuple

from jitload.cpu.isa.effects import profile_class
from jitload.cpu.types import TYPES

#: In the order of tables.
CLASSES = (
    *("fp16", "fp32", "fp64", "integer", "conversion", "move", "load", "store", "copy", "atomic"),
    *("synchronization", "warp", "tensor", "control", "other"),
)
_NAME = re.compile(r"(?:@\s*!?\s*[\w%$]+\s+)?([A-Za-z_][\w.:]*)")


class Opcode(NamedTuple):
    """The name of an instruction, taken apart: "ld" and ("global", "f32")."""

    name: str
    modifiers: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Opcode:
        """The opcode of an instruction as it stands in PTX, perhaps behind a guard."""
        found = _NAME.match(text)
        name, *modifiers = found.group(1).split(".") if found else [""]
        return cls(name, tuple(modifiers))

    @property
    def instruction_class(self) -> str:
        """One of CLASSES."""
        return profile_class(self.name, self.modifiers)

    @property
    def is_barrier(self) -> bool:
        """Whether it is a barrier of the thread block."""
        return self.name in {"bar", "barrier"} and "warp" not in self.modifiers

    @property
    def access_bytes(self) -> int:
        """Bytes per lane of a load or store, from its type and vector size."""
        count = next((int(part[1:]) for part in self.modifiers if part in {"v2", "v4", "v8"}), 1)
        known = TYPES.get(self.modifiers[-1]) if self.modifiers else None
        return count * known.size if known else 0
