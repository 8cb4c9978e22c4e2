"""Where the text of a kernel stands: in a file, or as a literal in a Python file whose lines an error should name."""

from __future__ import annotations

import os

from jitload.compiler.python_text import Standing, find_text, python_source

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
        self._code_file = python_file
        self._searched: tuple[tuple[str, Standing] | None] | None = None
        self._first_line = code.co_firstlineno if code is not None else 1
        self._name = f"{declaration.__name__}.cu"
        self._file = None if file is None else self.beside(file)
        self._text = text
        self.is_literal = file is None
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
        standing = self._standing()
        fields: dict[str, Any] = {"source": self._text, "name": self._name}
        if self._python_file is not None:
            fields["source_dir"] = os.path.dirname(self._python_file)
        if standing is not None:
            place, found = standing
            fields |= {"path": place, "first_line": found.first_line, "lines": found.lines, "escaped": found.escaped}
        return fields

    def _standing(self) -> tuple[str, Standing] | None:
        """The Python file or cell, and where the literal stands in it; as it was when that was first asked."""
        if self._searched is None:
            source = python_source(self._code_file) if self._text else None
            found = None if source is None else find_text(source[0], str(self._text), self._first_line)
            self._searched = (None,) if source is None or found is None else ((source[1], found),)
        return self._searched[0]
