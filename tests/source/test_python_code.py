"""Which lines are Python and no C++, and what is written for them."""

from __future__ import annotations

import pytest

import jitload
from jitload.source.python_code import about_python, reads_as_python

PYTHON = [
    "def saxpy(a, x, y, n):",
    "async def f(x) -> None:",
    "    for i in range(n):",
    "for i, x in enumerate(xs): # all",
    "if i < n:",
    "    elif (i < n):",
    "else:",
    "while True:",
    "import numpy as np",
    "from numba import cuda, jit",
    "@cuda.jit",
    "@triton.autotune(configs=[])",
    "try:",
    "except ValueError as error:",
    "with x as y:",
]
CPP = [
    "if (i < n) x = a ? b :",
    "if (i < n) {",
    "for (int i : range)",
    "for (auto x : xs) {",
    "default:",
    "case 3:",
    "again:",
    "public:",
    "} else {",
    "else",
    "while (n)",
    "if (a == std::is_same<A,",
    "int def (int x);",
    "import_t x;",
    "do {",
    "",
]


@pytest.mark.parametrize("line", PYTHON)
def test_lines_of_python(line):
    assert reads_as_python(line)


@pytest.mark.parametrize("line", CPP)
def test_lines_of_cpp(line):
    assert not reads_as_python(line)


def test_the_first_line_of_python_is_told():
    assert about_python(["int x;", "  else:", "def f():"]) == (
        "`else:` is Python, and a kernel is CUDA C++: write else { ... }"
    )
    assert about_python(CPP) is None


def test_a_docstring_of_python_is_told():
    with pytest.raises(jitload.UsageValueError, match=r"no __global__ .*: `def body\(x\):` is Python, .* void body\("):

        @jitload.jit_kernel
        def kernel(x):
            """
            def body(x):
                x[0] = 1
            """


def test_a_docstring_of_words_is_not():
    with pytest.raises(jitload.UsageValueError, match=r"no __global__ function in it$"):

        @jitload.jit_kernel
        def kernel(x):
            """Set x to one, for all of them:"""
