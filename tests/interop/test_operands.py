"""What operators of frameworks take follows from the kernel, whatever the framework."""

import pytest

import jitload
from jitload.interop.operands import Operand, operands_of, require_options, require_output

SOURCE = """
#include <cuda/std/complex>
struct Box { int n; };
__global__ void all(const float *x, double *y, short n, bool b, float f, cuda::std::complex<float> c, char *bytes) {}
__global__ void boxed(Box box, float *x) {}
"""


@jitload.jit_kernel(source=SOURCE, entry="all")
def declared(x, y, n=3, b=True, f=0.5, c=None, data=None): ...


@jitload.jit_kernel(source=SOURCE, entry="boxed")
def boxed(box, x): ...


@jitload.jit_kernel(source=SOURCE, entry="boxed")
def short(box): ...


def shown(operands):
    return [operand[:4] for operand in operands]


def test_the_operands_of_a_declaration_and_of_a_loaded_kernel():
    with jitload.configure(device="cpu"):
        operands = operands_of("f", declared)
        loaded = operands_of("f", declared.kernel())
    assert shown(operands) == [
        ("x", "tensor", False, None),
        ("y", "tensor", True, None),
        ("n", "int", False, 3),
        ("b", "bool", False, True),
        ("f", "float", False, 0.5),
        ("c", "complex", False, None),
        ("data", "tensor", True, None),
    ]
    assert [operand.pointee.scalar for operand in operands if operand.pointee] == ["float32", "float64", "char"]
    assert [operand.name for operand in loaded] == ["x", "y", "n", "b", "f", "c", "bytes"]
    assert [operand.default for operand in loaded] == [None] * 7


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (boxed, "f: 'box' is of type Box, and an operator takes tensors and numbers"),
        (short, "f: 'boxed' is declared with 1 parameters, and the kernel has 2"),
        (print, "f takes a jit_kernel or a loaded kernel, got builtin"),
    ],
)
def test_kernels_that_are_no_operators(kernel, words):
    with jitload.configure(device="cpu"), pytest.raises(jitload.errors.UsageError, match=words):
        operands_of("f", kernel)


def test_only_what_is_written_is_an_output():
    operands = [Operand("x", "tensor"), Operand("y", "tensor", written=True)]
    require_output("f", operands, "y")
    with pytest.raises(jitload.errors.UsageValueError, match="outputs= names 'x', and the kernel writes 'y'"):
        require_output("f", operands, "x")
    with pytest.raises(jitload.errors.UsageValueError, match="the kernel writes nothing"):
        require_output("f", [], "x")


def test_options_are_those_of_a_launch():
    require_options("f", ["shared_bytes", "pdl"])
    with pytest.raises(jitload.errors.UsageTypeError, match=r"f\(\) has no option grids, stream; a launch takes carve"):
        require_options("f", ["stream", "grids", "pdl"])
