"""What a module keeps for the whole process: names that `global` rebinds, and containers at its top that functions change."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAKERS = {
    *("list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "local"),
    *("WeakValueDictionary", "WeakKeyDictionary", "WeakSet", "count"),
}
_CHANGES = {
    *("append", "appendleft", "extend", "insert", "remove", "pop", "popleft", "popitem", "clear", "add", "discard"),
    *("update", "setdefault", "sort", "reverse"),
}


def rebound_names(text: str) -> set[str]:
    """The names in `global` statements."""
    return {name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Global) for name in node.names}


def changed_containers(text: str) -> set[str]:
    """The lists, dictionaries, sets and their like that stand at the top and that a function of the module changes."""
    tree = ast.parse(text)
    made = set(_containers(tree))
    functions = [
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    ]
    return {name for function in functions for node in ast.walk(function) for name in _changed_by(node) if name in made}


def _containers(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        called = value.func if isinstance(value, ast.Call) else None
        maker = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        displays = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
        if isinstance(value, displays) or maker in _MAKERS:
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _changed_by(node: ast.AST) -> Iterator[str]:
    """The names that are changed by `name.append(...)`, `name[...] = ...`, `del name[...]`, `name.field = ...`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        held = [node.func.value]
    elif isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        held = [node.value]
    else:
        return
    yield from (one.id for one in held if isinstance(one, ast.Name))
