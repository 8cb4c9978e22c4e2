"""Text of LLVM IR, line by line."""

from __future__ import annotations

import struct

from jitload.cpu.native import context


class Text:
    """Lines of one function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names = 0

    def line(self, text: str) -> None:
        """Add an instruction without a result, or a label."""
        self.lines.append(text)

    def new(self, text: str) -> str:
        """Add an instruction, and give the name of its result."""
        name = f"%v{self._names}"
        self._names += 1
        self.lines.append(f"{name} = {text}")
        return name

    def single(self, text: str) -> str:
        """The same, whatever the writer makes of instructions that columns write."""
        return Text.new(self, text)

    def act(self, text: str) -> None:
        """Add an instruction without a result, or a label, as it stands."""
        self.lines.append(text)

    def label(self) -> str:
        """A name for a label of its own."""
        self._names += 1
        return f"l{self._names}"

    def place(self, label: str) -> None:
        """Go to a label and go on there."""
        self.line(f"br label %{label}")
        self.line(f"{label}:")

    def word(self, number: int) -> str:
        """The value of a word of the context."""
        return self.new(f"load i64, ptr {self.word_at(number)}")

    def word_at(self, number: int) -> str:
        """Where a word of the context lies."""
        return self.new(f"getelementptr i64, ptr %c, i64 {number}")

    def set_word(self, number: int, value: str | int) -> None:
        """Write a word of the context."""
        self.line(f"store i64 {value}, ptr {self.word_at(number)}")

    def select(self, chosen: str, kind: str, value: str, other: str) -> str:
        """One of two values."""
        return self.new(f"select i1 {chosen}, {kind} {value}, {kind} {other}")


def float_text(bits: int, width: int) -> str:
    """A float constant by its bits: LLVM spells those of `float` as of `double`."""
    if width == 32:
        (bits,) = struct.unpack("<Q", struct.pack("<d", struct.unpack("<f", struct.pack("<I", bits))[0]))
    return f"0x{bits:016X}"


def fault_code(text: Text, code: int, site: int) -> None:
    """Leave the thread because of a site."""
    text.set_word(context.CODE, code)
    text.set_word(context.SITE, site)
    text.line("ret i32 -1")
