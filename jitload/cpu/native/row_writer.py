"""Text of one thread, over eight: columns write what they write for one, and vectors come of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.native import context
from jitload.cpu.native.frame import LANES
from jitload.cpu.native.text import Text
from jitload.cpu.native.widen import Unwidened, require_pure, row_of, vector_of, widened
from jitload.cpu.native.writer import KernelWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.cpu.code.control import Block
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.native.reach import Reach
    from jitload.cpu.native.writer import Arrive, Emit
    from jitload.cpu.text.ir import Operand, Register, Symbol, Written

_NAME = re.compile(r"%[\w.]+")


class RowWriter(KernelWriter):
    """Writes for the threads of a row, or for one of them."""

    def __init__(
        self,
        blocks: list[Block],
        sites: Mapping[Written, int],
        resolve: Callable[[Symbol], Resolved],
        emit: tuple[Emit, Arrive],
        carry: Register,
        entries: tuple[int, ...],
    ) -> None:
        super().__init__(blocks, sites, resolve, emit, carry, entries)
        self.lanes = LANES
        self._lane: int | None = None
        self._rows: dict[str, str] = {}  # names of vectors -> the type of their elements

    def first_thread(self) -> str:
        """The number of the first thread of the row, or of the one that is written for."""
        value = super().word(context.THREAD)
        return value if not self._lane else self.single(f"add i64 {value}, {self._lane}")

    def reach(self) -> Reach | None:
        """What the access that is written now is checked with: alone where it is written for one thread."""
        return super().reach() if self._lane is None else None

    def raw(self, operand: Operand) -> str | None:
        """As for one thread; where one of several is written for, nothing is known."""
        return super().raw(operand) if self._lane is None else None

    def keep_raw(self, operand: Operand, value: str) -> None:
        """As for one thread, or nothing where one of several is written for."""
        if self._lane is None:
            super().keep_raw(operand, value)

    def new(self, text: str) -> str:
        """Add an instruction, over vectors where it has some among its operands."""
        if self._lane is not None:
            return super().new(text)
        if not any(name in self._rows for name in _NAME.findall(text)):
            require_pure(text)
            return super().new(text)
        wide = widened(text, self.row)
        return self.vector(wide.text, wide.element)

    def line(self, text: str) -> None:
        """Add what has no result: it must be the same for all threads."""
        if self._lane is None and (
            any(name in self._rows for name in _NAME.findall(text)) or text.startswith(("call ", "atomicrmw "))
        ):
            raise Unwidened(text)
        super().line(text)

    def vector(self, text: str, element: str) -> str:
        """Add an instruction as it stands, which gives a vector of such elements."""
        name = super().new(text)
        self._rows[name] = element
        return name

    def is_row(self, value: str) -> bool:
        """Whether a value is one for each thread."""
        return value in self._rows

    def row(self, type_: str, value: str) -> str:
        """A value for each thread."""
        if value in self._rows:
            return value
        if not value.startswith("%"):
            return row_of(type_, value)
        vector = vector_of(type_)
        first = super().new(f"insertelement {vector} poison, {type_} {value}, i32 0")
        return self.vector(f"shufflevector {vector} {first}, {vector} poison, <{LANES} x i32> zeroinitializer", type_)

    def element(self, type_: str, value: str, lane: int) -> str:
        """What one thread has of a value."""
        if value not in self._rows:
            return value
        return super().new(f"extractelement {vector_of(type_)} {value}, i32 {lane}")

    def common_word(self, number: int) -> str:
        """The value of a word of the context, as it stands: of numbers of threads, that of the first."""
        return super().word(number)

    def word(self, number: int) -> str:
        """The value of a word of the context: numbers of threads are one for each."""
        value = super().word(number)
        if number not in {context.TID, context.THREAD}:
            return value
        if self._lane is not None:
            return Text.new(self, f"add i64 {value}, {self._lane}")
        return self.vector(f"add {vector_of('i64')} {self.row('i64', value)}, {row_of('i64', *range(LANES))}", "i64")
