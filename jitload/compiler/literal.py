"""Where the text of a kernel stands: in a file, or as a literal in a Python file whose lines an error should name."""

from __future__ import annotations

import ast
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class KernelSource:
    """The source of a declared kernel.

    Args:
        declaration: the Python function; relative paths start beside its file.
        file: the source file, or None.
        text: the source text, or None.
    """

    def __init__(self, declaration: Callable[..., Any], file: str | os.PathLike[str] | None, text: str | None) -> None:
        code = getattr(declaration, "__code__", None)
        python_file = code.co_filename if code is not None else ""
        self._python_file = os.path.abspath(python_file) if os.path.isfile(python_file) else None
        self._first_line = code.co_firstlineno if code is not None else 1
        self._name = f"{declaration.__name__}.cu"
        self._file = None if file is None else self.beside(file)
        self._text = text
        self.label = self._file or (self._python_file if self._python_file else self._name)

    def beside(self, path: str | os.PathLike[str]) -> str:
        """A path relative to the Python file, made absolute: a kernel must not depend on the working directory."""
        directory = os.path.dirname(self._python_file) if self._python_file else os.getcwd()
        return os.path.join(directory, os.path.expanduser(os.fspath(path)))

    def request_fields(self) -> dict[str, Any]:
        """What `CompileRequest` wants to know about a source."""
        if self._file is not None:
            from pathlib import Path

            return {"source": Path(self._file)}
        line = self._line_of_text()
        return {
            "source": self._text,
            "name": self._name,
            "path": self._python_file if line else None,
            "first_line": line or 1,
            "source_dir": os.path.dirname(self._python_file) if self._python_file else None,
        }

    def _line_of_text(self) -> int | None:
        """The line of the Python file where the literal begins, when it stands there as it is."""
        if self._python_file is None or not self._text:
            return None
        try:
            with open(self._python_file, encoding="utf-8") as file:
                content = file.read()
        except (OSError, UnicodeDecodeError):
            return None
        lines = content.splitlines(keepends=True)
        start = sum(len(line) for line in lines[: self._first_line - 1])
        position = content.find(self._text, start)
        if position < 0:
            position = content.find(self._text)
        return _line_of_literal(content, self._text) if position < 0 else content.count("\n", 0, position) + 1


def _line_of_literal(content: str, text: str) -> int | None:
    """The line where a string of that value begins: one with escapes, or a docstring that Python 3.13 dedented."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return None
    wanted = [line.strip() for line in text.strip().splitlines()]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.end_lineno is None:
            continue
        if len(wanted) < 2 and node.value != text:
            continue  # a part of a text that is put together
        # Only where each line of the text is a line of the file; an escaped line break would shift what follows.
        lines = node.end_lineno - node.lineno
        if lines == node.value.count("\n") and [line.strip() for line in node.value.strip().splitlines()] == wanted:
            return node.lineno + _blank_lines(node.value) - _blank_lines(text)
    return None


def _blank_lines(text: str) -> int:
    """How many lines stand before the first that is not blank."""
    return text[: len(text) - len(text.lstrip())].count("\n")
