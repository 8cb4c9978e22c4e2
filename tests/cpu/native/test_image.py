"""Machine code as an image that runs wherever it lies, and object code that has none, which LLVM loads."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.native import machine
from jitload.cpu.native.image import lay_out
from jitload.cpu.native.kernel import NativeKernel
from jitload.cpu.native.loaded import MachineCode

from .test_launch import both, run

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

# A table, a constant of the code, a function that is called, and jumps by a table: all that is found by distances.
NUMBERS = """
@table = internal constant [4 x i64] [i64 11, i64 22, i64 33, i64 44]
define internal i64 @row(i64 %k) noinline {
  %at = getelementptr i64, ptr @table, i64 %k
  %found = load i64, ptr %at
  ret i64 %found
}
define i32 @launch(ptr %out, i64 %k, i64 %n) {
entry:
  switch i64 %n, label %none [ i64 0, label %a i64 1, label %b i64 2, label %c i64 3, label %d i64 4, label %e ]
a:
  br label %done
b:
  br label %done
c:
  br label %done
d:
  br label %done
e:
  br label %done
none:
  ret i32 -1
done:
  %more = phi i64 [ 1000, %a ], [ 500, %b ], [ 70, %c ], [ 6000, %d ], [ 90, %e ]
  %x = call i64 @row(i64 %k)
  %f = sitofp i64 %x to double
  %half = fmul double %f, 0.5
  %whole = fptosi double %half to i64
  %sum = add i64 %whole, %more
  %found = trunc i64 %sum to i32
  ret i32 %found
}
"""
OUTSIDE = """
declare double @fmod(double, double)
define i32 @launch(ptr %out, i64 %k, i64 %n) {
  %x = sitofp i64 %k to double
  %y = sitofp i64 %n to double
  %rest = call double @fmod(double %x, double %y)
  %found = fptosi double %rest to i32
  ret i32 %found
}
"""


def loaded(code: bytes, start: int | None) -> MachineCode:
    return MachineCode(NativeKernel(code, start, 0, 0, (), (), (), (), ()))


@pytest.mark.skipif(not machine.has_images(), reason="no images of objects of this system")
def test_an_image_runs_at_any_address():
    image = lay_out(machine.generate(NUMBERS, near=True), "launch")
    assert image is not None
    kernels = [loaded(*image), loaded(*image), loaded(machine.generate(NUMBERS), None)]
    for k in range(4):
        for n, more in enumerate((1000, 500, 70, 6000, 90)):
            assert {one.launch(0, k, n) for one in kernels} == {11 * (k + 1) // 2 + more}


@pytest.mark.skipif(not machine.has_images(), reason="no images of objects of this system")
def test_what_calls_a_library_has_no_image_and_llvm_loads_it():
    assert lay_out(machine.generate(OUTSIDE, near=True), "launch") is None
    assert loaded(machine.generate(OUTSIDE), None).launch(0, 17, 5) == 2


@pytest.mark.parametrize("place", [0, 4, 5, 16, 18], ids=["magic", "bits", "order", "type", "machine"])
def test_objects_of_other_systems_have_none(place):
    code = bytearray(machine.generate(NUMBERS, near=True))
    code[place] ^= 3
    assert lay_out(bytes(code), "launch") is None


SQUARES = """extern "C" __global__ void squares(float *x, int n) {
    __shared__ float part[64];
    int t = threadIdx.x; part[t] = x[t] * x[t]; __syncthreads(); if (t < n) x[t] = part[n - 1 - t] + 0.25f;
}"""


def test_a_kernel_runs_where_there_are_no_images(cuda, monkeypatch):
    monkeypatch.setattr("jitload.cpu.native.compile.has_images", bool)
    device, x = cuda(SQUARES), np.arange(64, dtype=np.float32)
    assert not both(device, "squares", 1, 64, x, 40)
    assert "out of bounds" in run(device, "native", "squares", 1, 64, x[:32].copy(), 64)
