"""Which module of jitload names which other one, read from the sources; and the circles in that."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path


def read_sources(package: Path) -> dict[str, str]:
    """Dotted name -> text, of every module of a package."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Every module and those it names, wherever that stands: at the top, in functions, for type checkers, as text."""
    graph = {}
    for name, text in sources.items():
        named = {inner if inner in sources else outer for outer, inner in _named_in(text)}
        graph[name] = (named & sources.keys()) - {name}
    return graph


@lru_cache(maxsize=1024)
def _named_in(text: str) -> frozenset[tuple[str, str]]:
    """(module, what may be a module in it), or twice the same name."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update((str(node.module), f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("jitload."):
            found.add((node.value, node.value))  # import_module("jitload.log"), or a table of such names
    return frozenset(found)


def circles(graph: Mapping[str, Iterable[str]]) -> set[frozenset[str]]:
    """The largest sets of modules that all lead to each other: strongly connected components, found as Kosaraju does."""
    finished: list[str] = []
    _visit_all(graph, graph, finished.append, lambda: None)
    back: dict[str, list[str]] = {name: [] for name in graph}
    for name, targets in graph.items():
        for target in targets:
            back[target].append(name)
    groups: list[list[str]] = [[]]
    _visit_all(finished[::-1], back, lambda name: groups[-1].append(name), lambda: groups.append([]))
    return {frozenset(group) for group in groups if len(group) > 1}


def _visit_all(
    starts: Iterable[str],
    graph: Mapping[str, Iterable[str]],
    leave: Callable[[str], None],
    finish: Callable[[], None],
) -> None:
    """Walk depth first from every start in turn: `leave` each module behind all that it leads to, `finish` each walk."""
    seen: set[str] = set()
    for start in starts:
        if start in seen:
            continue
        seen.add(start)
        path = [(start, iter(graph[start]))]
        while path:
            name, ahead = path[-1]
            following = next((one for one in ahead if one not in seen), None)
            if following is None:
                leave(name)
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(graph[following])))
        finish()
