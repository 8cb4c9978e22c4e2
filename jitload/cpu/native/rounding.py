"""Directed rounding of f64, by the processor: it has one mode at a time, which a function sets and gives back.

Nothing that is rounded to nearest can get in between: LLVM moves nothing into a function that is not inlined, and of a
signal Python's own handler only takes a note.
"""

from __future__ import annotations

import platform
import re
from string import Template
from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused

if TYPE_CHECKING:
    from jitload.cpu.native.writer import KernelWriter

#: Opcode -> (the operation of LLVM, how many sources it has).
_OPERATIONS = {
    **{name: (f"f{name}", 2) for name in ("add", "sub", "mul", "div")},
    **dict.fromkeys(("fma", "mad"), ("fma", 3)),
    "sqrt": ("sqrt", 1),
}
#: As `llvm.set.rounding` numbers them; 1 is to nearest.
_MODES = {"rz": 0, "rp": 2, "rm": 3}
_METADATA = 'metadata !"round.dynamic", metadata !"fpexcept.strict"'
_PROCESSORS = frozenset({"x86_64", "AMD64", "aarch64", "arm64"})  # LLVM ends the process where it cannot set a mode
_USED = re.compile(r"@rounded\.(\w+)\.(\w+)\(")
_TEXT = Template(
    """\
define internal double @rounded.$opcode.$mode($parameters) noinline strictfp {
  call void @llvm.set.rounding(i32 $number) strictfp
  %x = call double @llvm.experimental.constrained.$operation.f64($parameters, $metadata) strictfp
  call void @llvm.set.rounding(i32 1) strictfp
  ret double %x
}
"""
)


def emit_rounded(w: KernelWriter, opcode: str, sources: list[str], mode: str) -> str:
    """A double that an instruction gives of doubles in a mode, "rz", "rm" or "rp"."""
    if platform.machine() not in _PROCESSORS:
        raise Refused("directed rounding of f64 has no native form on this processor")
    return w.new(f"call double @rounded.{opcode}.{mode}({', '.join(f'double {one}' for one in sources)})")


def rounding_text(text: str) -> str:
    """The functions that the text of a kernel calls."""
    found = []
    for opcode, mode in sorted(set(_USED.findall(text))):
        operation, count = _OPERATIONS[opcode]
        parameters = ", ".join(f"double %{name}" for name in "abc"[:count])
        names = {"opcode": opcode, "mode": mode, "number": _MODES[mode], "operation": operation}
        found.append(_TEXT.substitute(names, parameters=parameters, metadata=_METADATA))
    return "".join(found)
