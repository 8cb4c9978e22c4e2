"""The key: every factor changes it, and nothing else does. No compile is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jitload.compiler.key import artifact_key, known_factors
from jitload.headers.closure import Closure
from jitload.source.request import CompileRequest
from jitload.values import Toolchain

COMPILER = Toolchain("nvrtc", "12.9.86", "ab" * 32)
SOURCE = '#include "value.h"\n#include <lib.h>\n#if __has_include(<option.h>)\n#endif\n'


def key(tree=None, *, source=SOURCE, compiler=COMPILER, include_dirs=("inc",), **changes):
    """The key of a request whose headers lie below `tree`."""
    arguments = {"kind": "ptx", "arch": "compute_75", **changes}
    if tree is not None:
        arguments.setdefault("source_dir", tree)
        arguments["include_dirs"] = [Path(tree, name) for name in include_dirs]
    request = CompileRequest(source, **arguments)
    return artifact_key(request, Closure(request, ()).digest(), compiler)


FILES = {
    "value.h": "int value;\n",
    "inc/lib.h": '#include "deep/part.h"\n',
    "inc/deep/part.h": "int part;\n",
    "more/extra.h": "",
}


@pytest.fixture
def tree(write):
    return write(FILES)


DIFFERS = {
    "source": ({}, {"source": SOURCE + "int x;\n"}),
    "source by a blank": ({}, {"source": SOURCE + " "}),
    "kind": ({"kind": "ptx", "arch": "sm_90"}, {"kind": "cubin", "arch": "sm_90"}),
    "arch": ({"arch": "compute_75"}, {"arch": "compute_80"}),
    "arch, virtual or real": ({"arch": "compute_90"}, {"arch": "sm_90"}),
    "arch suffix a": ({"arch": "compute_90"}, {"arch": "compute_90a"}),
    "arch suffix f": ({"arch": "compute_100"}, {"arch": "compute_100f"}),
    "arch suffix a or f": ({"arch": "compute_100a"}, {"arch": "compute_100f"}),
    "archs of a fatbin": ({"kind": "fatbin", "arch": ["sm_80"]}, {"kind": "fatbin", "arch": ["sm_80", "sm_90"]}),
    "program name": ({"name": "a.cu"}, {"name": "b.cu"}),
    "fast math": ({}, {"options": ["--use_fast_math"]}),
    "debug": ({}, {"options": ["-G"]}),
    "line information": ({}, {"options": ["-lineinfo"]}),
    "language": ({"options": ["-std=c++17"]}, {"options": ["-std=c++20"]}),
    "registers": ({"options": ["-maxrregcount=32"]}, {"options": ["-maxrregcount=64"]}),
    "ptxas": ({"options": ["-Xptxas=-O1"]}, {"options": ["-Xptxas=-O2"]}),
    "fmad": ({"options": ["-fmad=true"]}, {"options": ["-fmad=false"]}),
    "relocatable": ({"options": ["-rdc=true"]}, {"options": ["-rdc=false"]}),
    "order of one option": ({"options": ["-ftz=true", "-ftz=false"]}, {"options": ["-ftz=false", "-ftz=true"]}),
    "an unknown option": ({}, {"options": ["--frobnicate"]}),
    "define": ({}, {"defines": {"N": 1}}),
    "value of a define": ({"defines": {"N": 1}}, {"defines": {"N": 2}}),
    "name of a define": ({"defines": {"N": 1}}, {"defines": {"M": 1}}),
    "empty define": ({"defines": {"N": ""}}, {"defines": {"N": None}}),
    "border of name and value": ({"defines": {"NA": "B"}}, {"defines": {"N": "AB"}}),
    "undefine": ({}, {"options": ["-UN"]}),
    "define or undefine": ({"options": ["-DN"]}, {"options": ["-UN"]}),
    "name expression": ({"names": ["k<1>"]}, {"names": ["k<2>"]}),
    "one more name expression": ({"names": ["k<1>"]}, {"names": ["k<1>", "k<2>"]}),
    "two names or one": ({"names": ["a", "b"]}, {"names": ["a, b"]}),
    "text of headers=": ({"headers": {"lib.h": "int a;"}}, {"headers": {"lib.h": "int b;"}}),
    "name in headers=": ({"headers": {"a.h": ""}}, {"headers": {"b.h": ""}}),
    "NVRTC version": ({}, {"compiler": Toolchain("nvrtc", "12.9.41", "ab" * 32)}),
    "library digest": ({}, {"compiler": Toolchain("nvrtc", "12.9.86", "cd" * 32)}),
    "compiler": ({}, {"compiler": Toolchain("clang", "12.9.86", "ab" * 32)}),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERS.values(), ids=DIFFERS.keys())
def test_differs_on(tree, one, other):
    assert key(tree, **one) != key(tree, **other)


EDITS = {
    "a header beside the source": {"value.h": "int other;\n"},
    "a header on the search path": {"inc/lib.h": '#include "deep/part.h"\nint lib;\n'},
    "a header of a header": {"inc/deep/part.h": "int other;\n"},
    "a blank in a header": {"value.h": "int value; \n"},
    "a header that shadows": {
        "inc/value.h": "",
        "lib.h": "",
        "deep/part.h": "",
        "inc/deep/deep/part.h": "",
        "inc/option.h": "",
    },
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_differs_on_what_the_include_closure_holds(write, tree, edit):
    before = key(tree)
    write(edit)
    assert key(tree) != before


def test_differs_on_which_of_two_equal_headers_is_used(write):
    """Equal bytes, but what they include relatively is not."""
    tree = write(
        {
            "one/lib.h": '#include "part.h"\n',
            "two/lib.h": '#include "part.h"\n',
            "one/part.h": "int a;\n",
            "two/part.h": "int b;\n",
        }
    )
    source = "#include <lib.h>\n"
    assert key(tree, source=source, include_dirs=["one", "two"]) != key(
        tree, source=source, include_dirs=["two", "one"]
    )


IGNORES = {
    "spelling of an option": ({"options": ["--use_fast_math"]}, {"options": ["-use_fast_math"]}),
    "spelling of a value": ({"options": ["-ftz=true"]}, {"options": ["--ftz=1"]}),
    "value in the next item": ({"options": ["-std=c++17"]}, {"options": ["-std", "c++17"]}),
    "options as one text": ({"options": ["-lineinfo", "-std=c++17"]}, {"options": "-lineinfo -std=c++17"}),
    "order of options": ({"options": ["-lineinfo", "-std=c++17"]}, {"options": ["-std=c++17", "-lineinfo"]}),
    "options that jitload gives itself": ({}, {"options": ["--no-source-include", "--no-cache"]}),
    "order of defines": ({"defines": {"A": 1, "B": 2}}, {"defines": {"B": 2, "A": 1}}),
    "defines as options": ({"defines": {"A": 1}}, {"options": ["-DA=1"]}),
    "bare define or 1": ({"defines": {"A": None}}, {"defines": {"A": 1}}),
    "True or 1": ({"defines": {"A": True}}, {"defines": {"A": "1"}}),
    "order of undefines": ({"options": ["-UA", "-UB"]}, {"options": ["-UB", "-UA"]}),
    "order of name expressions": ({"names": ["a", "b"]}, {"names": ["b", "a"]}),
    "a name expression twice": ({"names": ["a"]}, {"names": ["a", "a"]}),
    "order of headers=": ({"headers": {"a.h": "1", "b.h": "2"}}, {"headers": {"b.h": "2", "a.h": "1"}}),
    "spelling of the arch": ({"arch": "sm_90"}, {"arch": "9.0"}),
    "spelling of the kind": ({"kind": "ptx"}, {"kind": "PTX"}),
    "directory of the program": ({"name": "/home/me/k.cu"}, {"name": "/home/you/k.cu"}),
    "where the text stands": ({}, {"path": "/home/me/k.py", "first_line": 40, "name": "kernel.cu"}),
    "an empty directory to search": ({"include_dirs": ["inc"]}, {"include_dirs": ["inc", "gone"]}),
    "files nobody includes": ({"include_dirs": ["inc"]}, {"include_dirs": ["inc", "more"]}),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), IGNORES.values(), ids=IGNORES.keys())
def test_ignores(tree, one, other):
    assert key(tree, **one) == key(tree, **other)


def test_ignores_where_the_checkout_lies(write):
    root = write({f"{place}/{name}": text for place in ("one", "two/deeper") for name, text in FILES.items()})
    assert key(root / "one") == key(root / "two/deeper")


def test_ignores_how_an_include_dir_is_written(tree, monkeypatch):
    monkeypatch.chdir(tree)
    monkeypatch.setenv("HOME", str(tree))
    keys = {key(None, source_dir=tree, include_dirs=[path]) for path in (tree / "inc", "inc", "./more/../inc", "~/inc")}
    assert len(keys) == 1


def test_ignores_times_and_owners_of_files(tree):
    before = key(tree)
    for path in tree.rglob("*.h"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert key(tree) == before


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_key import key
print(key(sys.argv[2]))
"""


@pytest.mark.parametrize(
    "environment",
    [{"HOME": "/nowhere"}, {"USER": "somebody", "LOGNAME": "somebody"}, {"CPATH": "/usr/include", "NVRTC_APPEND_FLAGS": "-G"},
     {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, {"LC_ALL": "C"}, {"TZ": "Asia/Tokyo"}, {"JITLOAD_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}],
    ids=str,
)  # fmt: skip
def test_ignores_the_environment_and_the_working_directory(tree, tmp_path, environment):
    here = str(Path(__file__).parent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, here, str(tree)],
        cwd=elsewhere,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == key(tree)


def test_the_golden_key(tree):
    """A key that changes by itself makes every cache and bundle out there useless: raise SCHEMA when it must."""
    assert key(tree, options=["-lineinfo"], defines={"N": 4}, names=["k<int>"], headers={"g.h": "x"}) == GOLDEN


GOLDEN = "7bc5442133848832ee626891ced09a5c3f7b9b99aa0ae2a7711870432a68af8e"


def test_a_key_is_64_hex_digits(tree):
    assert len(key(tree)) == 64
    assert set(key(tree)) <= set("0123456789abcdef")


def test_factors_of_an_entry_are_taken_as_far_as_they_are_what_they_should_be():
    """Whoever writes to a cache decides what stands there; an explanation reads it."""
    read = {
        "source": 7,
        "options": "--ftz=true",
        "names": [],
        "undefines": [4],
        "name expressions": ["k<4>"],
        "defines": {"N": 4, "M": None},
        "headers": [],
        "more": 1,
    }
    assert known_factors(read) == {"undefines": ["4"], "name expressions": ["k<4>"], "defines": {"N": "4", "M": None}}
