"""Where a test reaches into what is jitload's own affair: a name with one underscore of a module or an object of it."""

from __future__ import annotations

import ast
import re

_PRIVATE = re.compile(r"_[A-Za-z]\w*")
#: Of others, with an underscore and yet for everybody: os, ctypes, torch, named tuples, Dask, CuPy, IPython.
_OF_OTHERS = {
    "_exit",
    "_handle",
    "_version",
    "_fields",
    "_replace",
    "_asdict",
    "_make",
    "_client",
    "_schema",
    "_opoverload",
    "_kernel_cache_backend",
    "_KernelCacheBackend",
    "_render_traceback_",
    "_repr_html_",
}


def private_names(text: str) -> list[str]:
    """`object._name`, `from jitload.x import _name` and `monkeypatch.setattr(x, "_name", ...)`, in order.

    What a test's own classes define is its own, and so is what it says of itself (`self._name`).
    """
    tree = ast.parse(text)
    own = _OF_OTHERS | {
        node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _of_itself(node):
            own.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            own |= {
                target.id
                for line in node.body
                if isinstance(line, ast.Assign)
                for target in line.targets
                if isinstance(target, ast.Name)
            }
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute) and not _of_itself(node):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("jitload"):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "attr" in node.func.attr:
            names = [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
        found += [name for name in names if _PRIVATE.fullmatch(name) and name not in own]
    return found


def _of_itself(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
