"""What a compiler says about a program, one thing at a time."""

from __future__ import annotations

from jitload.frozen import Value


class Diagnostic(Value):
    """One thing that the compiler said about a program.

    Attributes:
        file: the user's file, or the cell of a notebook, or "" where it names none.
        line: its 1-based line, or 0.
        column: the 1-based character of that line that the caret stands below, or 0.
        severity: "catastrophic error", "error", "warning", "remark", or "" for a line without any.
        message: what it says, e.g. 'expected a ";"', without place, severity and excerpt.
        text: all of it, the place first, with the line of the source and the caret.
    """

    __slots__ = ("column", "file", "line", "message", "severity", "text")
    file: str
    line: int
    column: int
    severity: str
    message: str
    text: str

    def __init__(
        self, file: str, line: int, severity: str, text: str, *, column: int = 0, message: str | None = None
    ) -> None:
        said = text if message is None else message
        self._set(file=file, line=line, column=column, severity=severity, message=said, text=text)
