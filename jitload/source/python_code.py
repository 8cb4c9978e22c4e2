"""Python where CUDA C++ is wanted: kernels of others are written in it, and its habits stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Lines that are Python and, as a line, no C++.
_LINE = re.compile(
    r"""[ \t]*(?:
        (?:async[ ]+)?def[ ]+\w+[ ]*\(.*
      | (?:from[ ]+[\w.]+[ ]+)?import[ ]+[\w.*][\w., *()]*
      | for[ ]+\(?\w+(?:,[ ]*\w+)*\)?[ ]+in\b.*:
      | (?:if|elif|while|with)\b[^?;{}]*[^?;{}:]:
      | (?:else|try|finally|except\b[^{;]*):
      | @\w[\w.]*(?:\(.*\))?
    )[ \t]*(?:\#.*)?""",
    re.VERBOSE,
)


#: How such a line begins, and what a kernel has in its place; the first that fits.
_INSTEAD = (
    (r"(?:async +)?def +(\w+)", r'extern "C" __global__ void \1(float *x, int n) { ... }'),
    (r"for +(\w+)", r"for (int \1 = 0; \1 < n; ++\1) { ... }"),
    (r"if\b|while\b", r"\g<0> (i < n) { ... }"),
    (r"elif\b", "else if (i < n) { ... }"),
    (r"else\b", "else { ... }"),
    (r"from\b|import\b", "#include <...> for headers, and nothing for modules"),
)


def reads_as_python(line: str) -> bool:
    """Whether a line that a compiler of C++ complains of is Python."""
    return _LINE.fullmatch(line) is not None


def about_python(lines: Iterable[str]) -> str | None:
    """What to write in the place of the first line that is Python and no C++; None where there is none."""
    line = next((line.strip() for line in lines if reads_as_python(line)), None)
    if line is None:
        return None
    found = next(((match, text) for begin, text in _INSTEAD if (match := re.match(begin, line))), None)
    instead = f": write {found[0].expand(found[1])}" if found is not None else ""
    return f"`{line:.60}` is Python, and a kernel is CUDA C++{instead}"
