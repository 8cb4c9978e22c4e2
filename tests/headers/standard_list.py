"""The headers of C++17 and of C, and what becomes of each: the table of docs/headers.md."""

from __future__ import annotations

import re
from pathlib import Path

from jitload.compiler.substitutes import C_HEADERS, CPP_HEADERS
from jitload.headers import roots

STANDARD = Path(roots.__file__).parents[1] / "include" / "standard"
#: [headers.cpp], tables 16 and 17 of C++17, and table 141 for what is C's.
CPP = [
    "algorithm",
    "any",
    "array",
    "atomic",
    "bitset",
    "charconv",
    "chrono",
    "codecvt",
    "complex",
    "condition_variable",
    "deque",
    "exception",
    "execution",
    "filesystem",
    "forward_list",
    "fstream",
    "functional",
    "future",
    "initializer_list",
    "iomanip",
    "ios",
    "iosfwd",
    "iostream",
    "istream",
    "iterator",
    "limits",
    "list",
    "locale",
    "map",
    "memory",
    "memory_resource",
    "mutex",
    "new",
    "numeric",
    "optional",
    "ostream",
    "queue",
    "random",
    "ratio",
    "regex",
    "scoped_allocator",
    "set",
    "shared_mutex",
    "sstream",
    "stack",
    "stdexcept",
    "streambuf",
    "string",
    "string_view",
    "system_error",
    "thread",
    "tuple",
    "type_traits",
    "typeindex",
    "typeinfo",
    "unordered_map",
    "unordered_set",
    "utility",
    "valarray",
    "variant",
    "vector",
]
CPP_OF_C = [
    "cassert",
    "ccomplex",
    "cctype",
    "cerrno",
    "cfenv",
    "cfloat",
    "cinttypes",
    "ciso646",
    "climits",
    "clocale",
    "cmath",
    "csetjmp",
    "csignal",
    "cstdalign",
    "cstdarg",
    "cstdbool",
    "cstddef",
    "cstdint",
    "cstdio",
    "cstdlib",
    "cstring",
    "ctgmath",
    "ctime",
    "cuchar",
    "cwchar",
    "cwctype",
]
C = [
    "assert.h",
    "complex.h",
    "ctype.h",
    "errno.h",
    "fenv.h",
    "float.h",
    "inttypes.h",
    "iso646.h",
    "limits.h",
    "locale.h",
    "math.h",
    "setjmp.h",
    "signal.h",
    "stdalign.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "tgmath.h",
    "time.h",
    "uchar.h",
    "wchar.h",
    "wctype.h",
]
CPP17 = (*CPP, *CPP_OF_C, *C)


def offered() -> list[str]:
    """Every header that comes with jitload, those that C++17 has not included."""
    return sorted(path.name for path in STANDARD.iterdir() if path.is_file())


def verdict(name: str) -> str:
    """What becomes of `#include <name>`: where it comes from, or what the error says."""
    file = STANDARD / name
    if file.is_file():
        text = file.read_text()
        said = re.match(r"/\* <[^>]+> for device code: (.*?)(?:\n\n.*?)?\s*\*/", text, re.DOTALL)
        assert said is not None, f"{name} does not say what it is"
        return f"yes | {' '.join(said[1].split())}"
    return f"no | {instead(name)}"


def instead(name: str) -> str:
    """What the error says of a header that is not there, where libcu++ has none of that name either."""
    if name in CPP_HEADERS:
        return CPP_HEADERS[name]
    return C_HEADERS[name if name in C_HEADERS else f"{name[1:]}.h"][1]


def table() -> str:
    """The table, a row for each header."""
    others = [name for name in offered() if name not in CPP17]
    rows = [f"| `<{name}>` | {verdict(name)} |" for name in (*CPP17, *others)]
    return "\n".join(["| header | there | what |", "|---|---|---|", *rows]) + "\n"
