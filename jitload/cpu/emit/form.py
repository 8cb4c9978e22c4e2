"""How values of a floating type are computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Operand
    from jitload.cpu.types import Type

ROUNDING = ("rn", "rz", "rm", "rp")
FLOATS = ("f16", "f32", "f64", "bf16", "f16x2", "bf16x2")
SUMS = (*FLOATS, "f32x2")


class Form:
    """How values of one floating type are computed with: where they come from, where they go.

    bf16 is computed in f32 and rounded back; the packed types are computed as rows of two.
    """

    __slots__ = ("element", "flush", "packed", "saturate", "type", "writer")

    def __init__(
        self, writer: BlockWriter, type_: Type, modifiers: Modifiers, allowed: tuple[str, ...] = FLOATS
    ) -> None:
        if type_.name not in allowed:
            raise Refused(f"type .{type_.name} is not supported here")
        self.writer = writer
        self.type = type_
        self.packed = type_.kind == "x2"
        self.element = type_.name.removesuffix("x2")
        self.flush = modifiers.flag("ftz")
        self.saturate = modifiers.flag("sat")
        if self.flush and type_.name in {"f64", "bf16", "bf16x2"}:
            raise Refused(f".ftz does not exist for .{type_.name}")
        if self.saturate and type_.bits == 64:
            raise Refused(f".sat does not exist for .{type_.name}")

    def source(self, operand: Operand) -> str:
        """The operand, ready to compute with."""
        if self.packed:
            part = "u16" if self.element == "bf16" else self.element
            text = f"pairs({self.writer.source(operand, self.type.rep)}, {part})"
        else:
            text = self.writer.source(operand, self.type.rep)
        if self.element == "bf16":
            text = f"from_bf16({text})"
        return f"flush({text})" if self.flush else text

    def computed(self, operand: Operand, expression: str, *sources: str) -> None:
        """Assign what arithmetic on the sources gave: a fresh value, whose NaN is still the host's."""
        if self.element == "f64":
            expression = f"keep_payload({expression}, {', '.join(sources)})"
        elif self.element != "bf16" and not self.saturate:  # which settle it themselves
            expression = f"one_nan({expression})"
        self.result(operand, expression)

    def result(self, operand: Operand, expression: str) -> None:
        """Round, flush and saturate as asked, and assign."""
        if self.saturate:
            expression = f"saturate({expression})"
        if self.flush:
            expression = f"flush({expression})"
        if self.element == "bf16":
            expression = f"to_bf16({expression})"
        if self.packed:
            self.writer.result(operand, self.type.rep, f"join({expression}, {self.type.rep})")
        else:
            self.writer.result(operand, self.type.rep, expression, shared=self.flush)


def rounding(modifiers: Modifiers, type_: Type) -> str:
    """The rounding mode, which is nearest even if none is written."""
    mode = modifiers.choice(*ROUNDING) or "rn"
    if mode != "rn" and type_.name not in {"f32", "f64", "f32x2"}:
        raise Refused(f".{mode} does not exist for .{type_.name}")
    return mode
