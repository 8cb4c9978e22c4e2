"""Where a text stands in Python source: which of its lines is which line of the file or the notebook cell."""

from __future__ import annotations

import ast
import io
import linecache
import os
import re
import tokenize
from itertools import pairwise
from typing import TYPE_CHECKING

from jitload import forks
from jitload.files.regular import open_regular
from jitload.frames import cell_name
from jitload.frozen import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

# What Python reads inside a literal that is not raw, and a line break in any.
_ESCAPE = re.compile(r"\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|[0-7]{1,3}|\r?\n|.)|\n", re.DOTALL)
_LINE_FEED = re.compile(r"\\(?:n|x0a|u000a|U0000000a|0?12|N\{(?:LINE FEED|LF|NEW LINE|NEWLINE)\})", re.IGNORECASE)
_TOKEN = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quote>\"\"\"|'''|\"|')(?P<body>.*)(?P=quote)", re.DOTALL)
#: An f-string with more values than this is not compared with a text: trying all ways to fill it in could take long.
_MOST_VALUES = 16
#: Python 3.11 counts how deep it is in a tree once for all threads, and raises SystemError where two were at it.
_parsing = forks.ProcessLock()
#: So often a text is read again that threads of others came between.
_MOST_PARSES = 20


class Standing(Value):
    """Where a text stands.

    Attributes:
        first_line: the line of the file at which it begins, 1-based.
        lines: the line of the file for each line of the text; () when they follow one another.
        escaped: whether Python read backslashes in it, where it is written as it shall be (between three quotes): other
            than those before quotes and at the end of a line.
    """

    __slots__ = ("escaped", "first_line", "lines")
    first_line: int
    lines: tuple[int, ...]
    escaped: bool

    def __init__(self, lines: tuple[int, ...], *, escaped: bool = False) -> None:
        follow = all(after == before + 1 for before, after in pairwise(lines))
        self._set(first_line=lines[0], lines=() if follow else lines, escaped=escaped)


def find_text(content: str, text: str, near: int = 1) -> Standing | None:
    """Where a text stands in Python source, or None where it is put together elsewhere.

    Args:
        content: the Python source.
        text: the value of a literal in it, perhaps stripped or dedented.
        near: a line at or before the literal, to tell two equal ones apart.
    """
    start = sum(len(line) + 1 for line in content.split("\n")[: near - 1])
    position = content.find(text, start)
    if position < 0:
        position = content.find(text)
    if position >= 0:
        first = content.count("\n", 0, position) + 1
        return Standing(tuple(range(first, first + text.count("\n") + 1)))
    tree = _parse(content)
    if tree is None:
        return None
    literals = [node for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))]
    literals.sort(key=lambda node: (node.lineno < near, node.lineno))
    return next((found for node in literals if (found := _stands_in(content, node, text)) is not None), None)


def _parse(content: str) -> ast.Module | None:
    """The syntax tree of Python source, or None where it has none."""
    for _ in range(_MOST_PARSES):
        try:
            with _parsing.here:
                return ast.parse(content)
        except (SyntaxError, ValueError, RecursionError):
            return None
        except SystemError:  # "AST constructor recursion depth mismatch"
            continue
    return None


def python_source(code_file: str) -> tuple[str, str] | None:
    """The text of Python code and what to call it: the path of a file, or the cell of a notebook; None without a text.

    Args:
        code_file: the `co_filename` of the code.
    """
    if os.path.isfile(code_file):
        path = os.path.abspath(code_file)
        try:
            with io.TextIOWrapper(open_regular(path), "utf-8-sig") as file:
                return file.read(), path
        except (OSError, UnicodeDecodeError):
            return None
    if os.path.exists(code_file):  # a FIFO, which linecache would wait for
        return None
    lines = linecache.getlines(code_file)  # notebooks, prompts and doctests leave their text there
    return ("".join(lines), cell_name(code_file) or code_file) if lines else None


def _stands_in(content: str, node: ast.Constant | ast.JoinedStr, text: str) -> Standing | None:
    if isinstance(node, ast.JoinedStr):
        return _stands_in_format(node, text)
    value = node.value
    if not isinstance(value, str) or not value.strip():
        return None
    if value != text and not _is_tidied(value, text):
        return None
    numbers, escaped = _line_numbers(content, node)
    if len(numbers) != value.count("\n") + 1:
        return None
    above = 0 if value == text else max(_blank_lines(value) - _blank_lines(text), 0)
    lines = numbers[above : above + text.count("\n") + 1]
    return Standing(tuple(lines), escaped=escaped) if lines else None


def _is_tidied(value: str, text: str) -> bool:
    """Whether a text is a literal's value stripped, dedented, or, as Python 3.13 does in docstrings, without tabs."""
    if "\n" not in text.strip():
        return text == value.expandtabs().lstrip()
    return _stripped(text) in (_stripped(value), _stripped(value.expandtabs()))


def _stands_in_format(node: ast.JoinedStr, text: str) -> Standing | None:
    """In an f-string, where its values bring no line breaks and nothing in it is escaped."""
    if node.end_lineno is None or node.end_lineno - node.lineno != text.count("\n") or "\n" not in text:
        return None
    if sum(not isinstance(part, ast.Constant) for part in node.values) > _MOST_VALUES:
        return None
    parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[^\n]*?" for part in node.values]
    if re.fullmatch("".join(parts), text) is None:
        return None
    return Standing(tuple(range(node.lineno, node.end_lineno + 1)))


def _line_numbers(content: str, node: ast.Constant) -> tuple[list[int], bool]:
    """The line of the file at which each line of a literal's value begins, and whether it has escapes."""
    numbers = [node.lineno]
    begins, escaped = True, False
    for line, raw, whole, body in _pieces(content, node):
        if begins and body:
            numbers[-1] = line
        for match in re.finditer("\n", body) if raw else _ESCAPE.finditer(body):
            found = match[0]
            line += found.count("\n")  # noqa: PLW2901 - goes on from where the piece begins
            escaped |= whole and found[0] == "\\" and found[1] not in "\"'\r\n"
            if found == "\n" or _LINE_FEED.fullmatch(found):
                numbers.append(line)
        if body:
            begins = body.endswith("\n") or (not raw and bool(_LINE_FEED.search(body[-3:])))
    return numbers, escaped


def _pieces(content: str, node: ast.Constant) -> Iterator[tuple[int, bool, bool, str]]:
    """(line, whether raw, whether in three quotes, what is between them) of each literal that makes up a constant."""
    segment = ast.get_source_segment(content, node) or ""
    for token in tokenize.generate_tokens(io.StringIO(f"({segment}\n)").readline):
        match = _TOKEN.fullmatch(token.string) if token.type == tokenize.STRING else None
        if match is not None:
            raw, whole = "r" in match["prefix"].lower(), len(match["quote"]) == 3
            yield node.lineno + token.start[0] - 1, raw, whole, match["body"]


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _blank_lines(text: str) -> int:
    """How many lines stand before the first that is not blank."""
    return text[: len(text) - len(text.lstrip())].count("\n")
