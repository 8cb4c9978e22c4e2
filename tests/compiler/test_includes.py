"""The scanner and the rewriter, as properties of any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.compiler import includes
from jitload.compiler.includes import absolute_names, defined_names, loose_paths, rewrite, scan

pieces = st.sampled_from(
    [
        '#include "a.h"', "#include <b/c.h>", "# include_next <d.h>", "#include MACRO", '%:include "e.h"', "/*", "*/", "//", "\\\n",
        "\\\r\n", "\n", "\r\n", " ", "\t", '"', "'", 'R"x(', ')x"', 'R"(', ')"', "__has_include(<f.h>)", '__has_include("g.h")', "include",
        "#", "included", "//! #include <k.h>", "*/ #include", "a__has_include (<l.h>)", "text", "1'000", "#inc\\\nlude \"h.h\"", "#define N \"i.h\"", "#define P /opt/x", "MY_HAS_INCLUDE(<j.h>)", "\\",
    ]
)  # fmt: skip
texts = st.lists(pieces, max_size=25).map("".join).map(str.encode) | st.binary(max_size=80)


def references(text):
    found = scan(text)
    return [*found.includes, *found.probes]


@given(texts)
def test_a_rewrite_to_nothing_changes_nothing(text):
    assert rewrite(text, references(text), lambda include: None) == text


@given(texts)
def test_a_rewrite_keeps_every_line_and_all_else(text):
    """With the names it wrote taken out and the old ones put back, the text is what it was."""
    found = references(text)
    written = rewrite(text, found, lambda include: f"/virtual/{include.name}")
    assert written.count(b"\n") == text.count(b"\n")
    assert len(written.splitlines()) == len(text.splitlines())
    position = shift = 0
    for include in sorted(found, key=lambda reference: reference.start):
        assert written[position + shift : include.start + shift] == text[position : include.start]
        new = b'"/virtual/' + include.name.encode("utf-8", "surrogateescape") + b'"'
        old_bytes = include.end - include.start
        position = include.end
        end = written.index(new, include.start + shift) + len(new)
        shift += (end - include.start - shift) - old_bytes
    assert written[position + shift :] == text[position:]


@given(texts)
def test_what_is_found_is_there(text):
    for include in references(text):
        literal = text[include.start : include.end]
        assert literal.startswith(include.keyword.encode())
        quotes = b'""' if include.quoted else b"<>"
        name = include.name.encode("utf-8", "surrogateescape")
        assert literal.endswith(quotes[:1] + name + quotes[1:])


@given(texts)
def test_the_short_cut_finds_what_the_whole_pattern_finds(text):
    quick = [(match.start(1), match.end()) for match in includes._directives(text)]
    assert quick == [(match.start(1), match.end()) for match in includes._DIRECTIVE.finditer(text)]


@given(texts)
def test_the_short_cut_finds_the_probes_that_the_whole_pattern_finds(text):
    quick = [match.span() for match in includes._probes(text, text.lower())]
    assert quick == [match.span() for match in includes._PROBE.finditer(text)]


def test_a_longer_word_is_no_include():
    assert scan(b"#included\n#include_nexts NAME\n") == scan(b"")


@given(texts)
def test_scanning_ends_and_gives_values(text):
    assert scan(text) == scan(text)
    list(absolute_names(text))
    list(defined_names(text))
    list(loose_paths(text))


@pytest.mark.parametrize("size", [3_000])
@pytest.mark.parametrize(
    "part",
    [b"/*", b"*", b"\\\n", b" ", b"/* x */", b"#", b"/", b'R"(', b"'", b"include ", b"#include ", b"__has_include( "],
)
def test_hostile_texts_are_scanned_in_no_time(part, size):
    """Not a timed test: what is exponential here runs into the limit of the whole suite."""
    scan(part * size)


def test_the_kinds_of_reference():
    text = b'#include "a.h"\n#include <b.h>\n#include_next <c.h>\n#if __has_include(<d.h>) || __has_include_next("e.h")\n#endif\n'
    found = scan(text)
    assert [(i.name, i.quoted, i.next) for i in found.includes] == [
        ("a.h", True, False),
        ("b.h", False, False),
        ("c.h", False, True),
    ]
    assert [(i.name, i.quoted, i.next) for i in found.probes] == [("d.h", False, False), ("e.h", True, True)]
    assert (found.macro_includes, found.probes_macro) == (False, False)


def test_macros_are_flagged():
    assert scan(b"#include NAME\n").macro_includes
    assert scan(b"#include NAME(x)\n").macro_includes
    assert scan(b'#inc\\\nlude "x.h"\n').macro_includes
    assert scan(b"#if __has_include(NAME)\n#endif\n").probes_macro
    assert not scan(b"#define LONG a \\\n b\n").macro_includes


def test_include_next_becomes_include():
    text = b"#include_next /* gap */ <c.h> // why\n"
    assert rewrite(text, scan(text).includes, lambda include: "/v/c.h") == b'#include /* gap */ "/v/c.h" // why\n'


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
    ],
)
def test_paths_that_a_macro_may_put_together(text, expected):
    assert [first for first, _ in loose_paths(text)] == expected


def test_loose_paths_say_where():
    text = b"int x;\n#define ROOT /opt/x\n"
    ((_, position),) = loose_paths(text)
    assert re.match(rb"/opt", text[position:])
