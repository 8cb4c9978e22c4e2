"""Files beside a Python module: on the disk, or wherever its loader keeps them (a zip, a frozen application).

Never in the working directory: a file of that name that happens to lie there is another kernel.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from jitload.errors import UsageValueError
from jitload.lazy import lazy

if TYPE_CHECKING:
    from importlib import resources
    from types import FunctionType
    from typing import Any

    from jitload.headers import scan as scanner
    from jitload.source import text as source_text
else:
    scanner = lazy("jitload.headers.scan")
    source_text = lazy("jitload.source.text")
    resources = lazy("importlib.resources")  # 20 ms, for the few loaders that have nothing else


class Beside:
    """The place of the module that declares a function.

    Args:
        declaration: the function.

    Attributes:
        python_file: the Python file, absolute, where there is one on the disk; else None.
    """

    def __init__(self, declaration: FunctionType) -> None:
        variables: dict[str, object] = declaration.__globals__
        self._loader: Any = getattr(variables.get("__spec__"), "loader", None) or variables.get("__loader__")
        self._package = str(variables.get("__package__") or "")
        self._code_file = declaration.__code__.co_filename
        module_file = self._module_file(variables.get("__file__"))
        self.python_file = module_file if module_file is not None and os.path.isfile(module_file) else None
        self._directory = None if module_file is None else os.path.dirname(module_file)
        if module_file is None and self._package and hasattr(self._loader, "get_resource_reader"):
            self._directory = f"<{self._package}>"

    def path(self, what: str, path: str | os.PathLike[str]) -> str:
        """A path that may be relative to the Python file, made absolute; "<package>/..." where only a loader knows it.

        Args:
            what: what it is for, for the message.
            path: the path; "~" is the user's home.

        Raises:
            UsageValueError: it is relative, and where the Python file lies is not known.
        """
        given = os.fspath(path)
        expanded = os.path.expanduser(given)
        if self._directory is None and not os.path.isabs(expanded):
            raise UsageValueError(
                f"{what} {given!r} is relative to the Python file, and there is none (the code is from "
                f"{self._code_file}): write os.path.abspath({given!r})"
            )
        return os.path.join(self._directory or "", expanded)

    def include_dir(self, path: str | os.PathLike[str]) -> str:
        """The same for a directory of headers, which has to be on the disk where the module is not.

        Raises:
            UsageValueError: as `path`, or it lies in a zip.
        """
        found = self.path("include directory", path)
        is_relative = not os.path.isabs(os.path.expanduser(os.fspath(path)))
        if is_relative and self.python_file is None and not (os.path.isabs(found) and os.path.isdir(found)):
            raise UsageValueError(
                f"include directory {found!r} is none on the disk, and what lies with a module elsewhere is found by "
                f"quoted names alone: give these headers as headers={{name: text}}"
            )
        return found

    def read(self, path: str) -> bytes | None:
        """The bytes of a file from the loader of the module; None where that has none.

        Args:
            path: as `path` gives it.
        """
        prefix = f"<{self._package}>/"
        try:
            if os.path.isabs(path):
                return bytes(self._loader.get_data(path))

            return resources.files(self._package).joinpath(*path.removeprefix(prefix).split("/")).read_bytes()
        except Exception:  # noqa: BLE001 - a loader is foreign code, and each says "not there" in its own way
            return None

    def headers(self, path: str | None, data: bytes) -> dict[str, str]:
        """The headers that a text includes by quoted names, and those that they do: name -> text, from the loader.

        Args:
            path: its file, as `path` gives it; None for one in the module itself.
            data: its bytes.

        Raises:
            UsageValueError: one of them is no text.
        """
        top = self._directory if path is None else posixpath.dirname(path)
        found: dict[str, str] = {}
        pending = [("", data)] if top is not None else []
        while pending:
            directory, content = pending.pop()
            seen = scanner.scan(content)
            for include in (*seen.includes, *seen.probes):
                name = posixpath.normpath(posixpath.join(directory, include.name))
                if not include.quoted or name in found or name.startswith("/"):
                    continue
                read = self.read(posixpath.normpath(posixpath.join(str(top), name)))
                if read is not None:
                    found[name] = source_text.text_of(f"header {name}", read)
                    pending.append((posixpath.dirname(name), read))
        return found

    def _module_file(self, file: object) -> str | None:
        """Where the module says it is: an absolute path that need not be one on the disk."""
        named = file if isinstance(file, str) and file else None
        # Code that was compiled elsewhere has the name of a file that was there; the module says where it is here.
        if os.path.isabs(self._code_file) and os.path.isfile(self._code_file) and not (named or "").endswith(".pyc"):
            return self._code_file
        if named is None or os.path.isabs(named):
            return named
        # A relative name means nothing on the disk where the loader is none of files.
        is_file = self._loader is None or hasattr(self._loader, "path")
        return os.path.abspath(named) if is_file and os.path.isfile(named) else None
