"""What the library says to write, as it is written on a command line: `--arch sm_90` for `arch='sm_90'`."""

from __future__ import annotations

import re

#: An argument of Python -> the option of commands that it is.
_OPTIONS = {
    "arch": "--arch",
    "archs": "--arch",
    "defines": "--define",
    "include_dirs": "--include-dir",
    "kind": "--kind",
    "kinds": "--kind",
    "options": "--option",
    "trust": "--trust",
}
_WORD = r"'[\w=.,-]+'"
#: An argument with text or a list of it, neither of which is CUDA C++; and one that is only named.
_GIVEN = re.compile(rf"\b({'|'.join(_OPTIONS)})=(?:({_WORD})|\[({_WORD}(?:, {_WORD})*)\])")
_NAMED = re.compile(
    r"\b(defines|include_dirs|trust)=(?:\[\.\.\.\])?(?: \(--[a-z-]+ on the command line\))?(?=[\s,.;:)]|$)"
)


def on_command_line(text: str) -> str:
    """A message of the library, with the options of commands in the place of Python's arguments."""
    return _NAMED.sub(lambda named: _OPTIONS[named[1]], _GIVEN.sub(_as_option, text))


def _as_option(given: re.Match[str]) -> str:
    option, value = _OPTIONS[given[1]], (given[2] or given[3]).replace("'", "").replace(", ", ",")
    return f"{option}={value}" if value.startswith("-") else f"{option} {value}"
