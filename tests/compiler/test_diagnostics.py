"""NVRTC's log in the user's words: blocks, name expressions, and what is a warning about the user's own files."""

from __future__ import annotations

import pytest

import jitload
from jitload.compiler.diagnostics import Diagnostic, read_log

LOG = """k.cu(1): warning #177-D: variable "a" was declared but never referenced
  int a;
      ^

Remark: The warnings can be suppressed with "-diag-suppress <warning-number>"

dir with blank/h.h(22): catastrophic error: could not open source file "x.h" (no directories in search list)
  #include <x.h>
                ^

ptxas info    : 0 bytes gmem
ptxas warning : Registers are spilled to local memory in function 'k', 8 bytes spill stores
nvrtc: error: invalid value for --gpu-architecture (-arch)
1 catastrophic error detected in the compilation of "k.cu".
Compilation terminated.
"""

SOURCE = """template <class T, int N> __global__ void __launch_bounds__(256) reduce(T *x) { x[0] = N; }
namespace n { __global__ void plain(int *x) {} }
template <class T> __device__ T twice(T x) { return 2 * x; }
"""


def test_a_log_is_read_block_by_block():
    assert [(said.file, said.line, said.severity) for said in read_log(LOG)] == [
        ("k.cu", 1, "warning"),
        ("dir with blank/h.h", 22, "catastrophic error"),
        ("", 0, ""),
        ("", 0, "warning"),
        ("", 0, ""),
    ]
    assert read_log(LOG)[0].text.endswith("  int a;\n      ^")
    assert read_log("") == []
    assert read_log("\n\n   \n") == []


def test_a_diagnostic_is_a_value():
    assert Diagnostic("a", 1, "error", "x") == Diagnostic("a", 1, "error", "x")


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (["redcue<float, 3>"], ["the name expression 'redcue<float, 3>' does not name a kernel of this source: identifier \"redcue\" is undefined; did you mean 'reduce'?"]),
        (["reduce<flaot, 3>"], ["the name expression 'reduce<flaot, 3>' does not name a kernel of this source: identifier \"flaot\" is undefined"]),
        (["reduce<float>"], ["the name expression 'reduce<float>' does not name a kernel of this source: cannot determine which instance of function template \"reduce\" is intended"]),
        (["reduce<float, 3"], ["the name expression 'reduce<float, 3' does not name a kernel of this source: expected a \">\""]),
        (["m::plain"], ["the name expression 'm::plain' does not name a kernel of this source: name followed by \"::\" must be a class or namespace name"]),
        (["nothing<int>"], ["the name expression 'nothing<int>' does not name a kernel of this source: identifier \"nothing\" is undefined; its kernels are reduce, plain"]),
        (["twice<float>"], ["the name expression 'twice<float>' does not name a kernel of this source: Name expression cannot form address of a non-__global__ function; its kernels are reduce, plain"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_name_expression_that_fails_takes_one_line(names, lines):
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=names)
    head, *rest = str(caught.value).splitlines()
    assert head == "kernel.cu does not compile for compute_80 (NVRTC_ERROR_COMPILATION):"
    assert rest == lines
    assert "__nv_name_map" in caught.value.log
    assert (caught.value.file, caught.value.line) == ("kernel.cu", None)


def test_of_several_name_expressions_those_that_fail_are_told():
    names = ["redcue<float, 3>", "reduce<double>", "n::plain"]
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=names)
    assert "__nv_name_map" not in str(caught.value)
    assert str(caught.value).count("does not name a kernel") == 2
    assert "'n::plain'" not in str(caught.value)


def test_a_type_in_a_name_expression_may_lack_its_header():
    with pytest.raises(
        jitload.CompileError, match=r"'reduce<__half, 3>'.*\nhint: __half: write #include <cuda_fp16\.h>"
    ):
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=["reduce<__half, 3>"])
