"""What an `#include MACRO` may mean, foreseen from the definitions alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.headers.closure import Closure
from jitload.headers.macros import Macros
from jitload.source.request import CompileRequest


def names(definitions, expression, *, is_users=False):
    macros = Macros()
    macros.add(definitions.encode(), is_users=is_users)
    return [f'"{name}"' if quoted else f"<{name}>" for name, quoted in macros.header_names(expression.encode())]


@pytest.mark.parametrize(
    ("definitions", "expression", "expected"),
    [
        ("#define N <a.h>", "N", ["<a.h>"]),
        ('#define N "a.h"', "N // why", ['"a.h"']),
        ("#define N <a.h>\n#define M N\n", "M", ["<a.h>"]),
        ("#  define N \\\n <a.h>", "N", ["<a.h>"]),
        ("#define N /* here */ <a.h> // it is", "N", ["<a.h>"]),
        ("#define ROOT a/b\n#define N <ROOT/c.h>", "N", ["<a/b/c.h>"]),
        ("#define ROOT a/b\n#define IN(file) <ROOT/file>", "IN(c.h)", ["<a/b/c.h>"]),
        ("#define ROOT a/b\n#define IN(file) <ROOT/file>", "IN ( c.h )", ["<a/b/c.h>"]),
        ("#define Q(x) #x", "Q(a/b.h)", ['"a/b.h"']),
        ("#define Q(x) #x\n#define STR(x) Q(x)\n#define D a", "STR(D/b.h)", ['"a/b.h"']),
        ("#define Q(x) #x\n#define D a", "Q(D/b.h)", ['"D/b.h"']),
        ("#define P(x, y) <x ## y.h>\n", "P(a, b)", ["<ab.h>"]),
        ("#define P_(x, y) x ## y\n#define P(x, y) P_(x, y)\n#define V 2\n#define a2 <v.h>", "P(a, V)", ["<v.h>"]),
        ("#define CALL(f, ...) f(__VA_ARGS__)\n#define IN(d, f) <d/f>", "CALL(IN, a, b.h)", ["<a/b.h>"]),
        ("#define F IN\n#define IN(x) <x>", "F(a.h)", ["<a.h>"]),
        ("#define F() <a.h>", "F()", ["<a.h>"]),
        ("#define E\n#define N E <a.h> E", "N", ["<a.h>"]),
        ("#if X\n#define S one\n#else\n#define S two\n#endif\n#define N <S/a.h>", "N", ["<one/a.h>", "<two/a.h>"]),
        ("#define S one\n#undef S\n#define S two", "<S/a.h>", ["<one/a.h>", "<two/a.h>"]),
        ("#define S s/S", "<S.h>", ["<s/S.h>"]),
        ("#define IN(x) <x>", "IN", []),
        ("#define IN(x) <x>", "IN(a, b)", []),
        ("#define IN(x) <x>", "IN(a", []),
        ("", "NAME", []),
        ("#define N 7", "N", []),
    ],
)  # fmt: skip
def test_names_in_the_order_of_the_definitions(definitions, expression, expected):
    assert names(definitions, expression) == expected


def test_a_macro_of_the_user_may_be_defined_too_late_to_count():
    assert names("#define h height", "<a.h>", is_users=True) == ["<a.height>", "<a.h>"]


def test_what_has_too_many_meanings_is_left_to_the_compiler():
    many = "".join(f"#define D d{number}\n" for number in range(100))
    assert len(names(many, "<D/a.h>")) == 100
    assert names(many, "<D/D/D/a.h>") == []


@pytest.mark.parametrize(
    "definitions",
    [
        "#define A B B\n#define B A A\n",
        "#define A A(A)\n#define A(x) A(x x)\n",
        "#define A(x) A(A(x))\n",
        "".join(f"#define A{n} A{n + 1} A{n + 1}\n" for n in range(100)) + "#define A A0\n",
    ],
)
def test_macros_without_end_come_to_one(definitions):
    for expression in ("A", "A(A)", "A(" * 900 + ")" * 900):
        assert names(definitions, expression) == []


pieces = st.sampled_from(
    ["A", "B", "(", ")", ",", " ", "#", "##", "<", ">", '"', "a.h", "/", "__VA_ARGS__", "x", "y", "\\\n", "/*", "*/", "1.", "'"]
)  # fmt: skip
bodies = st.lists(pieces, max_size=8).map("".join)
heads = st.sampled_from(["A", "B", "A(x)", "B(x, y)", "A(...)", "B(x, ...)", "A()", "x"])


@given(st.lists(st.tuples(heads, bodies), max_size=6), bodies)
def test_any_definitions_come_to_an_end_and_always_to_the_same_names(definitions, expression):
    text = "".join(f"#define {head} {body}\n" for head, body in definitions)
    found = names(text, expression)
    assert found == names(text, expression)
    assert all(len(name) > 2 for name in found)


def closure_of(root, source):
    return Closure(CompileRequest(source, kind="ptx", arch="compute_75", include_dirs=[root]), ())


def test_the_closure_has_what_macros_of_several_files_name(tmp_path):
    for path, text in {
        "config.h": "#if SYSTEM\n#define ROOT system/one\n#else\n#define ROOT system/two\n#endif\n",
        "front.h": "#include <config.h>\n#define HEADER(file) <ROOT/file>\n#include HEADER(impl.h)\n",
        "system/one/impl.h": "#include <system/one/more.h>\n",
        "system/one/more.h": "#include HEADER(late.h)\n",
        "system/one/late.h": "",
        "system/two/impl.h": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    closure = closure_of(tmp_path, "#include <front.h>\n")
    assert {header.relative for header in closure.headers.values()} == {
        "front.h", "config.h", "system/one/impl.h", "system/one/more.h", "system/one/late.h", "system/two/impl.h",
    }  # fmt: skip
    assert closure.aliases["system/one/late.h"] == "/jitload/include/0/system/one/late.h"
    assert ("include/0", "system/two/late.h") in closure.absent


def test_a_name_that_two_files_read_differently_is_not_foreseen(tmp_path):
    """The second is found only behind a name that was foreseen: what was agreed before is looked at again."""
    for path, text in {
        "a/api.h": '#define N "part.h"\n#include N\n#define M <b/api.h>\n#include M\n',
        "a/part.h": "",
        "b/api.h": '#define O "part.h"\n#include O\n',
        "b/part.h": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert list(closure_of(tmp_path, "#include <a/api.h>\n").aliases) == ["b/api.h"]
