"""Which class an instruction belongs to, for counting: what part of a GPU would do the work."""

from __future__ import annotations

import re
from typing import NamedTuple

from jitload.cpu.types import TYPES

#: In the order of tables.
CLASSES = (
    *("fp16", "fp32", "fp64", "integer", "conversion", "move", "load", "store", "copy", "atomic"),
    *("synchronization", "warp", "tensor", "control", "other"),
)
_FIXED = {
    **dict.fromkeys(("cvt", "cvta", "szext"), "conversion"),
    **dict.fromkeys(("mov", "selp", "slct", "isspacep", "createpolicy"), "move"),
    **dict.fromkeys(("ld", "ldu", "ldmatrix"), "load"),
    **dict.fromkeys(("st", "stmatrix"), "store"),
    **dict.fromkeys(("atom", "red"), "atomic"),
    **dict.fromkeys(("membar", "fence", "mbarrier", "nanosleep", "griddepcontrol"), "synchronization"),
    **dict.fromkeys(("shfl", "vote", "match", "redux", "activemask", "elect"), "warp"),
    **dict.fromkeys(("mma", "movmatrix"), "tensor"),
    **dict.fromkeys(("bra", "brx", "call", "ret", "exit", "trap", "brkpt"), "control"),
    **dict.fromkeys(("prefetch", "prefetchu", "applypriority", "discard", "pmevent", "setmaxnreg"), "other"),
}
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
        name, modifiers = self
        if name in {"bar", "barrier"}:
            return "warp" if "warp" in modifiers else "synchronization"
        if name == "cp":
            return (
                "synchronization" if {"commit_group", "wait_group", "wait_all", "mbarrier"} & {*modifiers} else "copy"
            )
        if name == "wmma":
            return {"load": "load", "store": "store"}.get(modifiers[0] if modifiers else "", "tensor")
        return _FIXED.get(name) or self._arithmetic()

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

    def _arithmetic(self) -> str:
        type_ = next((TYPES[part] for part in reversed(self.modifiers) if part in TYPES), None)
        if type_ is None:
            return "integer" if self.name[:1] == "v" else "other"
        if type_.kind in {"bf", "x2"} or type_.name == "f16":
            return "integer" if type_.name in {"u16x2", "s16x2"} else "fp16"
        return {"f32": "fp32", "f64": "fp64", "tf32": "fp32"}.get(type_.name, "integer")
