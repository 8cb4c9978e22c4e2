"""Requests: what a caller can get wrong, and what is told then."""

from __future__ import annotations

import copy
import enum
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.source import text as source_text
from jitload.source.request import CompileRequest


def make(source="", **changes):
    return CompileRequest(source, **{"kind": "ptx", "arch": "compute_75", **changes})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": b"int x;"}, TypeError, "decode bytes first"),
        ({"source": None}, TypeError, r"source is CUDA C\+\+ text \(str\) or a file"),
        ({"source": bytearray(b"int x;")}, TypeError, "got bytearray; decode bytes first"),
        ({"source": print}, TypeError, "in its docstring becomes a kernel by @jitload.jit_kernel"),
        ({"source": 7}, TypeError, "got int$"),
        ({"include_dirs": "/usr/include"}, TypeError, r"include_dirs is a list, got one str: write \['/usr/include'\]"),
        ({"include_dirs": Path("/usr")}, TypeError, "include_dirs is a list, got one"),
        ({"include_dirs": [7]}, TypeError, "include_dirs"),
        ({"include_dirs": [b"/usr"]}, TypeError, "include_dirs"),
        ({"include_dirs": 7}, TypeError, "include_dirs is a list"),
        ({"names": "reduce<float>"}, TypeError, "names is a list, got one str"),
        ({"names": 7}, TypeError, "names is a list"),
        ({"names": [""]}, ValueError, "not a C"),
        ({"names": ["a\nb"]}, ValueError, "not a C"),
        ({"names": [7]}, (TypeError, ValueError), "7 is not a C"),
        ({"headers": {"a.h": b"x"}}, TypeError, r"headers maps include names to text \(str\); got 'a.h': bytes"),
        ({"headers": {7: "x"}}, TypeError, "headers maps include names"),
        ({"headers": {"": "x"}}, TypeError, "headers maps include names"),
        ({"headers": ["a.h"]}, TypeError, "headers maps include names"),
        ({"headers": "a.h"}, TypeError, "headers maps include names"),
        ({"defines": "N=4"}, TypeError, r"defines is a mapping like \{'N': 4\}"),
        ({"defines": 7}, TypeError, "defines is a mapping"),
        ({"defines": {"": 1}}, ValueError, "cannot be defined"),
        ({"defines": {"4N": 1}}, ValueError, "'4N' cannot be defined"),
        ({"defines": {"A=B": 1}}, ValueError, "cannot be defined"),
        ({"defines": {"A": "x\ny"}}, ValueError, "cannot be defined"),
        ({"defines": ["=4"]}, ValueError, "cannot be defined"),
        ({"defines": {"A B": 1}}, ValueError, "'A B' cannot be defined"),
        ({"defines": {"A": float("nan")}}, ValueError, "nan has no literal in C"),
        ({"defines": {"A": np.float32("inf")}}, ValueError, "has no literal in C"),
        ({"defines": {"A": [1]}}, TypeError, r"a macro is text, a number or a bool, got list: \[1\]"),
        ({"defines": {"A": Fraction(1, 2)}}, TypeError, "got Fraction"),
        ({"defines": {"A": 1j}}, TypeError, "got complex"),
        ({"options": 7}, TypeError, "options"),
        ({"options": ["-D4N"]}, ValueError, "'4N' cannot be defined"),
        ({"options": ["-D"]}, ValueError, "needs a value"),
        ({"name": ""}, ValueError, "cannot be a program name"),
        ({"name": "a\nb.cu"}, ValueError, "cannot be a program name"),
        ({"name": 7}, TypeError, "program name"),
        ({"kind": "exe"}, ValueError, "expected one of cubin"),
        ({"arch": "nine"}, ValueError, "write 'sm_90'"),
        ({"kind": "cubin"}, ValueError, "write arch='sm_75'"),
        ({"source": "int x = \ud800;"}, ValueError, "source"),
        ({"source": "int x;\n\0int y;"}, ValueError, "NUL character in line 2"),
        (
            {"source": "\n  ```cuda\n  __global__ void k() {}\n  ```\n"},
            ValueError,
            "source is fenced as Markdown: take the line '```cuda' out, and the '```' that closes it",
        ),
        ({"source": "~~~\n__global__ void k() {}\n~~~"}, ValueError, "take the line '~~~' out, and the '~~~'"),
        ({"headers": {"a.h": "``` c++\nint x;\n```"}}, ValueError, "header 'a.h' is fenced .* '``` c[+][+]' out"),
        ({"headers": {"a.h": "\udfff"}}, ValueError, "half of a surrogate pair"),
        ({"headers": {"a\ud800.h": ""}}, ValueError, "half of a surrogate pair"),
        ({"headers": {"a.h": "\0"}}, ValueError, "header 'a.h' holds a NUL"),
        ({"defines": {"A": "\ud800"}}, ValueError, "half of a surrogate pair"),
        ({"options": ["-DA=\ud800"]}, ValueError, "half of a surrogate pair"),
        ({"options": ["-ftz=\0"]}, ValueError, "NUL"),
        ({"names": ["k\ud800"]}, ValueError, "half of a surrogate pair"),
    ],
    ids=str,
)
def test_bad_input_is_told_plainly(arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_a_source_file(tmp_path):
    (tmp_path / "k.cu").write_text("int x;\n")
    request = make(tmp_path / "k.cu")
    assert (request.source, request.name) == ("int x;\n", "k.cu")
    assert (request.path, request.source_dir) == (str(tmp_path / "k.cu"), str(tmp_path))
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "gone.cu")
    with pytest.raises(IsADirectoryError, match=r"a source is a file: name one in it, such as k\.cu: "):
        make(tmp_path)


def test_a_source_file_beyond_all_measure(tmp_path, monkeypatch):
    monkeypatch.setattr(source_text, "MAX_SOURCE_BYTES", 10)
    (tmp_path / "k.cu").write_text("x" * 11)
    with pytest.raises(ValueError, match=r"larger than 10 bytes: is it CUDA C\+\+ text"):
        make(tmp_path / "k.cu")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("k.cu", "k.cu"),
        ("/home/me/k.cu", "k.cu"),
        ("a/b/", "b"),
        (r"C:\src\k.cu", "k.cu"),
        ("/", "kernel.cu"),
        (None, "kernel.cu"),
    ],
)
def test_a_program_name_holds_no_directory(given, name):
    assert make(name=given).name == name


def test_definitions_in_every_form():
    expected = (("A", None), ("B", "4"), ("C", "1"), ("D", "0"), ("E", "x=y"), ("F", "1.5"))
    assert make(defines={"A": None, "B": 4, "C": True, "D": False, "E": "x=y", "F": 1.5}).defines == expected
    assert make(defines=["F=1.5", "E=x=y", "D=0", "C=1", "B=4", "A"]).defines == expected
    assert make(options=["-DA", "-DB=4", "-DC=1"], defines={"D": False, "E": "x=y", "F": 1.5}).defines == expected


class Order(enum.IntEnum):
    ROWS = 3


class Word(str, enum.Enum):
    FLOAT = "float"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.True_, "1"),
        (np.False_, "0"),
        (np.array(True), "1"),
        (np.int8(-4), "-4"),
        (np.array(7), "7"),
        (np.float32(0.1), "0.1"),
        (np.float64(1e300), "1e+300"),
        (Order.ROWS, "3"),
        (Word.FLOAT, "float"),
        (-0.0, "-0.0"),
        (1 << 70, str(1 << 70)),
    ],
)
def test_a_macro_has_the_value_of_what_it_is_defined_as(value, text):
    """In an `#if`, the word True is 0."""
    assert make(defines={"N": value}).defines == (("N", text),)


@pytest.mark.parametrize(
    ("options", "defines", "undefines"),
    [
        (["-DA=1", "-DA=2"], (("A", "2"),), ()),
        (["-DA", "-UA", "-DA=3"], (("A", "3"),), ()),
        (["-UA", "-DA=1"], (("A", "1"),), ()),
        (["-DA=1", "-UA"], (("A", "1"),), ("A",)),
        (["-UA", "-DA(x)=x"], (("A(x)", "x"),), ()),
        (["-DA(x)=x", "-DA=1"], (("A", "1"),), ()),
        (["-DA=1", "-UB", "-DA(x)=x"], (("A(x)", "x"),), ("B",)),
    ],
    ids=str,
)
def test_of_definitions_that_override_each_other_the_last_counts(options, defines, undefines):
    request = make(options=options)
    assert (request.defines, request.undefines) == (defines, undefines)
    assert (request.replace().defines, request.replace().digest) == (defines, request.digest)


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_a_byte_order_mark_is_no_text(tmp_path, mark):
    (tmp_path / "k.cu").write_text(f"{mark}int x;\n", encoding="utf-8")
    plain = make("int x;\n", name="k.cu", headers={"a.h": "int y;"})
    assert make(f"{mark}int x;\n", name="k.cu", headers={"a.h": f"{mark}int y;"}) == plain
    assert make(tmp_path / "k.cu").source == plain.source
    assert make("\ufeff\ufeffint x;").source == "\ufeffint x;"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_source_file_of_wide_characters_is_named(tmp_path, encoding):
    (tmp_path / "k.cu").write_text("__global__ void k() {}\n", encoding=encoding)
    with pytest.raises(
        jitload.UsageError, match=f"{encoding[:6].upper()}, which no CUDA compiler reads: save it as UTF-8"
    ):
        make(tmp_path / "k.cu")


def test_the_defines_argument_beats_the_options():
    assert make(options=["-DN=1"], defines={"N": 2}).defines == (("N", "2"),)
    assert make(options=["-DN=1"], defines={"N(x)": "x"}).defines == (("N(x)", "x"),)


def test_names_are_a_set():
    assert make(names=[" b<int>", "a", "a"]).names == ("a", "b<int>")


def test_include_dirs_are_absolute_and_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    request = make(include_dirs=["inc", Path("/usr/include"), "~/inc"], options=["-Iopt"])
    assert request.include_dirs == (str(tmp_path / "inc"), "/usr/include", "/home/me/inc", str(tmp_path / "opt"))


def test_replace():
    request = make(
        "int x;",
        headers={"a.h": ""},
        defines={"N": None},
        options=["-lineinfo", "-UQ"],
        include_dirs=["/i"],
        names=["k"],
    )
    again = request.replace(kind="cubin", arch="sm_90")
    assert (again.kind, again.arch) == ("cubin", "sm_90")
    unchanged = again.replace(kind="ptx", arch="compute_75")
    assert unchanged == request
    assert unchanged.digest == request.digest
    with pytest.raises(TypeError, match="replace\\(\\) cannot change source"):
        request.replace(source="")


def test_frozen_and_picklable():
    request = make("int x;", defines={"N": 1})
    with pytest.raises(AttributeError, match="frozen"):
        request.source = ""
    assert pickle.loads(pickle.dumps(request)) == request
    assert copy.deepcopy(request).digest == request.digest


def test_repr_is_short():
    assert repr(make("x" * 1000)).startswith("CompileRequest('kernel.cu', kind=ptx, arch='compute_75', digest=")
    assert len(repr(make("x" * 1000))) < 100
