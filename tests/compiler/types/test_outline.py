"""What is left out of a text changes no type: an outline has the same declarations as the whole."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jitload
from jitload.compiler.types.outline import declaring_macros, outline
from jitload.compiler.types.scanner import Declared
from jitload.compiler.types.unit import Unit
from jitload.headers.macros import definitions_of

KERNELS = sorted(pathlib.Path(jitload.__file__).parents[1].glob("kernels/**/*.cu"))


def declared(text, macros=None):
    """The names and kernels of a text, None where something is hidden; without `macros` the text is read whole."""
    unit = Unit({}, lambda _: True, lambda _: False, macros)
    unit.read("k.cu", text)
    found = Declared(unit.words, unit.sure)
    if found.hidden:
        return None

    def names(scope):
        return {
            name: [
                (entry.kind, entry.words, entry.arguments, names(entry.scope) if entry.scope else None)
                for entry in entries
            ]
            for name, entries in scope.names.items()
        }

    kernels = {name: [(one.parameters, one.template) for one in ones] for name, ones in found.kernels.items()}
    return names(found.top), kernels


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.name)
def test_the_declarations_of_kernels_as_people_write_them(path):
    text = path.read_bytes()
    short = outline(text, set())
    assert len(short) < len(text)
    assert declared(short) == declared(text) is not None


#: A text -> what is left of it, white space aside.
LEFT = {
    "int a; float f(int x) { return x; } typedef int t;": "typedef int t;",
    "int a[] = {1, 2}, b; typedef int t;": "typedef int t;",
    "struct S { int a; void f() { g(); } typedef int t; } s; int after;": "struct S { typedef int t; } s;",
    "typedef struct __align__(8) { float x; } P; int a;": "typedef struct __align__(8) { } P;",
    "template <class T> T f(T x) { return x; } int a; typedef int t;": "template <class T> T f(T x) { } typedef int t;",
    "void f() { struct L { int a; }; g(); } int a;": "void f() { struct L { }; }",
    "namespace n { int a; using t = int; void f() {} }": "namespace n { using t = int; }",
    'extern "C" { __global__ void k(int *x) { *x = 1; int y; } int z; }': 'extern "C" { __global__ void k(int *x) { } }',
    "#define N 3\nint a = N;\n#if N\nint b;\n#endif\ntypedef int t;": "#define N 3\n#if N\n#endif\ntypedef int t;",
    "int a = f(struct_, ';', \"}\"); /* { */ typedef int t; // {": "/* { */ typedef int t; // {",
    "void f(struct S *s); int a;": "void f(struct S *s);",
    "for_each(x, [](int y) { return y; }); typedef int t;": "typedef int t;",
    "int a = MAKE(double); int b;": "int a = MAKE(double);",
}  # fmt: skip


@pytest.mark.parametrize("text", LEFT)
def test_what_is_left(text):
    left = outline(text.encode(), {b"MAKE"}).decode()
    assert left.split() == LEFT[text].split()


@pytest.mark.parametrize(
    "text",
    [
        'int a; R"({)"',
        "int a = 1'000;",
        "int a; type\\\ndef int t;",
        "int a; <% %>",
        "int a; }",
        "int a; {",
        "int a; u8'a'",
    ],
)
def test_what_needs_a_lexer_is_left_whole(text):
    assert outline(text.encode(), set()) == text.encode()


def test_macros_that_may_declare():
    definitions = [
        (b"N", b"3"),
        (b"DEF", b"typedef T real;"),
        (b"MORE", b"DEF(x)"),
        (b"PASTE", b"a##b"),
        (b"BEGIN", b"{"),
    ]
    assert declaring_macros(definitions) == {b"DEF", b"MORE", b"PASTE", b"BEGIN"}


SNIPPETS = [
    "int a;", "float f(int x) { return x; }", "typedef float real;", "using t = int *;", "struct S { int a; typedef int m; };",
    "struct S s = {1};", "namespace n {", "namespace n { typedef int q; }", "}", "template <class T> struct V { T t; };",
    "template <class T> T g(T x) { if (x) { h(x); } return x; }", "// it's { a comment\n", "/* typedef int no; } */",
    'const char *s = "typedef int no; {";', "char c = '{';", "#if A\n", "#else\n", "#endif\n", "#define M typedef int made;\n", "M",
    "#define B {\n", 'extern "C" {', "__global__ void k(const real *x, int n) { *x = n; }", "MAKE(int)", "enum E { A, B };",
    "for (int i = 0; i < 3; ++i) { }", "auto l = [](int x) { struct L { int a; }; return x; };", "int v[] = {1, 2, {3}};",
    "class C : public S { public: int x; private: using u = int; };", "typedef struct __align__(8) { int q; } P, *PP;",
    "int n = 1'000;", 'R"(typedef int raw; {)"', "using namespace n;", "using n::q;", "friend class C;", "(", ")", "\n", " ", "\\\n",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=25))
def test_an_outline_declares_what_the_whole_does(pieces):
    text = " ".join(pieces).encode()
    macros = declaring_macros((name, replacement) for name, _, replacement in definitions_of(text))
    assert declared(outline(text, macros)) == declared(text)
