"""Where the text of a kernel stands: in a file, or as a literal in a Python file whose lines an error should name."""

from __future__ import annotations

import os
from errno import ENOENT
from typing import TYPE_CHECKING

from jitload.errors import SourceNotFoundError
from jitload.headers.beside import Beside
from jitload.lazy import lazy
from jitload.source.python_text import Standing, find_text, python_source
from jitload.source.text import text_of

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping
    from typing import Any

    from jitload.source.fields import SourceFields
else:
    pathlib = lazy("pathlib")


class KernelSource:
    """The source of a declared kernel.

    Args:
        declaration: the Python function; relative paths start beside its file.
        file: the source file, or None.
        text: the source text, or None.
    """

    def __init__(
        self, declaration: Callable[..., object], file: str | os.PathLike[str] | None, text: str | None
    ) -> None:
        function: Any = declaration
        self._beside = Beside(function)
        self._python_file = self._beside.python_file
        self._code_file = self._python_file or function.__code__.co_filename
        self._searched: tuple[tuple[str, Standing] | None] | None = None
        self._loaded: str | None = None
        self._headers: dict[str, str] | None = None
        self._first_line = function.__code__.co_firstlineno
        self._name = f"{declaration.__name__}.cu"
        self._file = None if file is None else self._beside.path(f"file= of {declaration.__name__}:", file)
        self._text = text
        self.is_literal = file is None
        self.label = self._file or self._python_file or self._name

    def include_dirs(self, paths: Any) -> Any:
        """Directories beside the Python file, made absolute; what is no list of paths, `CompileRequest` refuses.

        Raises:
            UsageValueError: where they lie is not known, or they lie in a zip.
        """
        if isinstance(paths, (str, os.PathLike)) or not hasattr(paths, "__iter__"):
            return paths
        return [self._beside.include_dir(path) if isinstance(path, (str, os.PathLike)) else path for path in paths]

    def linked_path(self, path: str | os.PathLike[str]) -> str:
        """A file to be linked, beside the Python file; one of the toolkit's libraries stays a bare name.

        Raises:
            UsageValueError: it is relative, and where the Python file lies is not known.
        """
        given = os.fspath(path)
        found = self._beside.path("link= of a kernel:", given)
        return given if os.path.basename(given) == given and not os.path.exists(found) else found

    def request_fields(self, headers: Mapping[str, str] | None = None) -> SourceFields:
        """What `CompileRequest` wants to know about a source.

        Args:
            headers: what the caller gives as `headers`; they come before those beside the source.

        Raises:
            UsageValueError: a file that the module's loader has is no CUDA C++ text.
            SourceNotFoundError: the file is neither on the disk nor with the loader.
        """
        on_disk = self._python_file is not None
        if self._file is None:
            fields = self._literal_fields()
        elif os.path.isabs(self._file) and os.path.lexists(self._file):
            fields, on_disk = {"source": pathlib.Path(self._file)}, True
        else:
            fields, on_disk = self._loaded_fields(self._file), False
        source = fields["source"]
        if not on_disk and isinstance(source, str) and (headers is None or hasattr(headers, "items")):
            # What it is otherwise, `CompileRequest` refuses.
            return {**fields, "headers": {**self._headers_beside(source), **(headers or {})}}
        return {**fields, "headers": headers}

    def _literal_fields(self) -> SourceFields:
        standing = self._standing()
        assert self._text is not None
        fields: SourceFields = {"source": self._text, "name": self._name}
        if self._python_file is not None:
            fields["source_dir"] = os.path.dirname(self._python_file)
        if standing is not None:
            place, found = standing
            fields |= {"path": place, "first_line": found.first_line, "lines": found.lines, "escaped": found.escaped}
        return fields

    def _loaded_fields(self, file: str) -> SourceFields:
        if self._loaded is None:  # once: the files of such a loader do not change
            data = self._beside.read(file)
            if data is None:
                raise SourceNotFoundError(f"source {file}: {os.strerror(ENOENT)}", filename=file)
            self._loaded = text_of(f"source {file}", data)
        return {"source": self._loaded, "name": os.path.basename(file), "path": file}

    def _headers_beside(self, text: str) -> dict[str, str]:
        if self._headers is None:
            self._headers = self._beside.headers(self._file, text.encode("utf-8", "surrogateescape"))
        return self._headers

    def _standing(self) -> tuple[str, Standing] | None:
        """The Python file or cell, and where the literal stands in it; as it was when that was first asked."""
        if self._searched is None:
            source = python_source(self._code_file) if self._text else None
            found = None if source is None else find_text(source[0], str(self._text), self._first_line)
            self._searched = (None,) if source is None or found is None else ((source[1], found),)
        return self._searched[0]
