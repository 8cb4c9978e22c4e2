"""The references of one text: two roads, one result, and what NVRTC would read as one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jitload.headers.includes import absolute_names, defined_names, loose_paths, rewrite
from jitload.headers.scan import scan, scan_tokens, scan_words

pieces = st.sampled_from(
    [
        '#include "a.h"', "#include <b/c.h>", "# include_next <d.h>", "#include MACRO", '%:include "e.h"', "/*", "*/", "//", "\\\n",
        "\\\r\n", "\n", "\r\n", " ", "\t", '"', "'", 'R"x(', ')x"', 'R"(', ')"', "__has_include(<f.h>)", '__has_include("g.h")', "include",
        "#", "included", "//! #include <k.h>", "*/ #include", "a__has_include (<l.h>)", "text", "1'000", "#inc\\\nlude \"h.h\"", "#define N \"i.h\"", "#define P /opt/x", "MY_HAS_INCLUDE(<j.h>)", "#if ", "#elif H(<o.h>)", 'EXISTS("p.h")', "# if", "/*", "\\",
        'u8R"(', 'FOOR"(', "1.", "e+", "\r", "\v", "<", ">", "(", "%:", "/", "\n#include <it's.h>", "\n#include <", "__has_include", "has_inc\\\nlude(<m.h>)", '\n#include "n\\\n.h"', "\xff",
    ]
)  # fmt: skip
texts = st.lists(pieces, max_size=25).map("".join).map(str.encode) | st.binary(max_size=80)


def references(text):
    found = scan(text)
    return [*found.includes, *found.probes]


@given(texts)
@example(b"// #include <a.h> /*\n#include <b.h>\n")
@example(b'1e+R"(\n#include <b.h>\n)"')
@example(b"/* x *//* __has_include(<a.h>)\n*/")
@example(b"#if A /*\n*/ H(<a.h>)\n")
@example(b"#if A /*/ H(<a.h>) /**/\n*/ H(<b.h>)\n")
@example(b'R"()"#include "a.h"')
@example(b"*/*\n#include <b.h>\n*/")
@example(b"/*/\n#include <b.h>\n*/")
def test_both_roads_lead_to_one_result(text):
    by_words = scan_words(text)
    assert by_words is None or by_words == scan_tokens(text)


@pytest.mark.parametrize(
    "text",
    [
        b'#include "a.h"\n  # include <b.h>\r\n',
        b"/* a\n * b */\n// c /* d */\n#include <b.h>\n#define N(x) \\\n  x\n#ifdef __has_include\n#if __has_include(<c.h>)\n",
        b"// don't #include <a.h>, use __has_include(<b.h>)\n /* __has_include */\n#include <b.h>\n",
        b'asm(R"(#include <a.h>\n)");\nconst char *s = "ERROR";\n#include <b.h>\n',
    ],
)
def test_usual_texts_are_not_lexed(text):
    assert scan_words(text) is not None


@given(texts)
def test_a_rewrite_to_nothing_changes_nothing(text):
    assert rewrite(text, references(text), lambda include: None) == text


@given(texts)
def test_a_rewrite_keeps_every_line_and_all_else(text):
    """With the names it wrote taken out and the old ones put back, the text is what it was."""
    found = [include for include in references(text) if '"' not in include.name]  # no name that could be quoted
    written = rewrite(text, found, lambda include: f"/virtual/{include.name}")
    assert written.count(b"\n") == text.count(b"\n")
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
        literal = text[include.start : include.end].replace(b"\\\r\n", b"").replace(b"\\\n", b"")
        assert literal.startswith(include.keyword.encode())
        quotes = b'""' if include.quoted else b"<>"
        name = include.name.encode("utf-8", "surrogateescape")
        assert literal.endswith(quotes[:1] + name + quotes[1:])


@given(texts)
def test_scanning_ends_and_gives_values(text):
    assert scan(text) == scan(text)
    list(absolute_names(text))
    list(defined_names(text))
    list(loose_paths(text))


@pytest.mark.parametrize(
    "part",
    [b"/*", b"*", b"\\\n", b" ", b"/* x */", b"#", b"/", b'R"(', b"'", b"include ", b"#include ", b"__has_include( ", b"/*\n", b"__has_include(/*", b"#include /*\n", b'#include "', b"a\\\n", b"\r", b"x\\\n__has_include(<a>)\n", b"#include <a.h>\n", b"has_include", b'aR"', b"__has_include(<a>)"],
)  # fmt: skip
def test_hostile_texts_are_scanned_in_no_time(part):
    """Not a timed test: what is quadratic here runs into the limit of the whole suite."""
    text = part * (200_000 // len(part))
    scan(text)
    scan_tokens(text)
    list(defined_names(text))
    list(loose_paths(text))


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


@pytest.mark.parametrize(
    "text",
    [
        b"#included\n",
        b"#include_nexts NAME\n",
        b"# 12 <a.h>\n",
        b"include <a.h>\n",
        b"#include\n<a.h>\n",
        b'#include ""\n#include <>\n',
    ],
)
def test_what_only_looks_like_an_include_is_none(text):
    assert scan(text) == scan(b"")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b'#inc\\\nlude "a.h"\n', ["a.h"]),
        (b"/* x\n*/ # /**/ include /* y\n*/ <a.h>\n", ["a.h"]),
        (b"int x; /*\n*/ #include <a.h>\n", ["a.h"]),
        (b"%\\\n:include <a.h>\n", ["a.h"]),
        (b"\v\f\r#\rinclude\f<a.h>\r\n", ["a.h"]),
        (b"#include <it's.h> // don't\n#include <b//c.h>\n", ["it's.h", "b//c.h"]),
        (b"// ends \\ \n#include <a.h>\n", ["a.h"]),
        (b"// x\r\n#include <a.h>\r\r\n", ["a.h"]),
        (b'#define FOOR\nconst char *s = FOOR"(";\n#include <a.h>\nconst char *t = ")";\n', ["a.h"]),
        (b"int x = 1R\"(\";\n#include <a.h>\n", ["a.h"]),
        (b"int x = 1'000;\n#include <a.h>\nint y = 2'000;\n", ["a.h"]),
        (b"#error don't\n#include <a.h>\n", ["a.h"]),
        (b"/*\n#include <a.h>\n*/\n", []),
        (b"// x \\\r\n#include <a.h>\n", []),
        (b'const char *s = u8R"x(\n#include <a.h>\n)x";\n', []),
        (b'const char *s = LR"(" /*)";\nconst char *t = R"(\n#include <a.h>\n)";\n', []),
        (b"x\r#include <a.h>\n", []),
    ],
)  # fmt: skip
def test_what_the_compiler_includes(text, names):
    assert [include.name for include in scan(text).includes] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"#if __has_inc\\\nlude /* x */ (\\\n<a.h>)\n", ["a.h"]),
        (b"#if defined(X) && \\\n  __has_include(<a.h>)\n", ["a.h"]),
        (b"#if MY_HAS_INCLUDE(<a.h>) // __has_include(<b.h>)\n", ["a.h"]),
        (b'#if HAS(<a.h>) && EXISTS ( "b.h" )\n#elif \\\n H(<c.h>)\n#endif\n', ["a.h", "b.h", "c.h"]),
        (b"# /**/ if H(/**/<a.h>)\n%:if H(<b.h>)\n#if H/*\n*/(<c.h>)\n", ["a.h", "b.h", "c.h"]),
        (b'#if A // H(<a.h>)\nH(<b.h>) H("c.h")\n#define D H(<d.h>)\n#if (A <B) && C(D) < (3)\n', []),
        (b'const char *s = "__has_include(<a.h>)";\n', []),
        (b"/* __has_include(<a.h>) */ // __has_include(<a.h>)\n", []),
        (b'const char *s = R"(\n__has_include(<a.h>)\n)";\n', []),
        (b"/*\n__has_include(<a.h>)\n*/\n", []),
        (b"/* x */\n#if __has_include(<a.h>)\n", ["a.h"]),
    ],
)
def test_what_the_compiler_asks_for(text, names):
    found = scan(text)
    assert [probe.name for probe in found.probes] == names
    assert not found.probes_macro


def test_macros_are_flagged():
    assert scan(b"#include NAME\n").expressions == (b"NAME",)
    assert scan(b"#include NAME(x, \\\n y) // z\n").expressions == (b"NAME(x, \\\n y) // z",)
    assert scan(b"#if __has_include(NAME)\n#endif\n").probes_macro
    assert not scan(b"#define LONG a \\\n b\n").macro_includes
