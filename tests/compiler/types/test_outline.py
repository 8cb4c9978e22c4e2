"""What is left out of a text changes no type: an outline has the same declarations as the whole."""

from __future__ import annotations

import pathlib

import pytest

import jitload
from jitload.compiler.types.outline import declaring_macros, outline
from jitload.compiler.types.scanner import Declared
from jitload.compiler.types.unit import Unit

KERNELS = sorted(pathlib.Path(jitload.__file__).parents[1].glob("kernels/**/*.cu"))


def declared(text, macros=()):
    unit = Unit({}, lambda _: True, lambda _: False, macros)
    unit.read("k.cu", text)
    found = Declared(unit.words, unit.sure)
    assert not found.hidden

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
    assert declared(short) == declared(text)


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
