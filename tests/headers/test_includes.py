"""Rewriting references, and the names that macros may stand for."""

from __future__ import annotations

import pytest

from jitload.headers.includes import defined_names, loose_paths, rewrite
from jitload.headers.scan import scan


def test_include_next_becomes_include():
    text = b"#include_next /* gap */ <c.h> // why\n"
    assert rewrite(text, scan(text).includes, lambda include: "/v/c.h") == b'#include /* gap */ "/v/c.h" // why\n'


def test_a_spliced_reference_keeps_its_lines():
    text = b"#inc\\\nlude_next\\\r\n <c\\\n.h> // why\n"
    (include,) = scan(text).includes
    assert (include.name, include.next) == ("c.h", True)
    assert rewrite(text, [include], lambda _: "/v/c.h") == b'#include\\\r\n \\\n\\\n"/v/c.h" // why\n'


def test_a_name_with_a_quote_is_left_alone():
    text = b"#include <a.h>\n"
    assert rewrite(text, scan(text).includes, lambda include: 'a".h') == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'#define N "a.h"\n', [("a.h", True)]),
        (b"# define N <a/b.h> // why\n", [("a/b.h", False)]),
        (b"#define N \\\n <a.h>\r\n", [("a.h", False)]),
        (b'#define N "a" "b"\n', []),
        (b'#define N(x) "a.h"\n', []),
        (b'const char *n = "a.h";\n', []),
    ],
)
def test_macros_that_stand_for_one_name(text, expected):
    assert [(found.name, found.quoted) for found in defined_names(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"#define ROOT /opt/x\n", ["opt"]),
        (b"#include STR(/home/me/x.h)\n", ["home"]),
        (b"#define HALF(x) ((x)/2)\n", []),
        (b"#define PART(x, y) ((x)/y)\n", []),
        (b"x = a /b;\n", []),
        (b"#define NOTE // home\n", []),
        (b"#define NOTE /* home */ 1\n", []),
        (b"#define NOTE 1 // see /home/x\n", []),
        (b"#define A /* x *//opt/y\n", ["opt"]),
        (b"/*\n#define ROOT /opt/x\n*/\n", []),
        (b"/* x */ %:\\\n define ROOT /opt/x\n", ["opt"]),
    ],
)
def test_paths_that_a_macro_may_put_together(text, expected):
    assert [first for first, _ in loose_paths(text)] == expected


def test_loose_paths_say_where():
    text = b"int x;\n#define ROOT /opt/x\n"
    ((_, position),) = loose_paths(text)
    assert text[position:].startswith(b"/opt")
