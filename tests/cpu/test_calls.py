"""Calls through pointers: which functions a kernel may reach."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault

OBJECTS = """
struct Base { __device__ virtual int value(int x) const = 0; };
struct Twice : Base { __device__ int value(int x) const override { return 2 * x; } };
struct Square : Base { __device__ int value(int x) const override { return x * x; } };
extern "C" __global__ void make(Base **objects) {
    int i = threadIdx.x;
    if (i & 1) objects[i] = new Twice; else objects[i] = new Square;
}
extern "C" __global__ void use(Base **objects, int *out) { out[threadIdx.x] = objects[threadIdx.x]->value(threadIdx.x); }
"""


@pytest.mark.parametrize("option", ["-G", "--fmad=true"])
def test_virtual_functions_of_objects_that_another_kernel_made(cuda, option):
    device = cuda(OBJECTS, option)
    objects, out = np.zeros(8, np.uint64), np.zeros(8, np.int32)
    device.run("make", 1, 8, objects)
    device.run("use", 1, 8, objects, out)
    assert out.tolist() == [i * 2 if i & 1 else i * i for i in range(8)]


INDIRECT = """
.func (.reg .b32 %o) first(.reg .b32 %x) { add.s32 %o, %x, 1; ret; }
.func (.reg .b32 %o) second(.reg .b32 %x) { call (%o), first, (%x); add.s32 %o, %o, 10; ret; }
.func (.reg .b32 %o) textured(.reg .b32 %x) { .reg .f32 %f<5>; tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%x, {%x}]; mov.u32 %o, 7; ret; }
.visible .entry give(.param .u64 p) { .reg .b64 %w, %f; ld.param.u64 %w, [p];
    mov.u64 %f, second; st.global.u64 [%w], %f; mov.u64 %f, textured; st.global.u64 [%w+8], %f; ret; }
.visible .entry take(.param .u64 p, .param .u64 o) { .reg .b64 %w, %f, %o; .reg .b32 %r, %t; ld.param.u64 %w, [p]; ld.param.u64 %o, [o];
    ld.global.u64 %f, [%w]; mov.u32 %t, 5; call (%r), %f, (%t), proto; st.global.u32 [%o], %r; ret;
    proto: .callprototype (.reg .b32 _) _ (.reg .b32 _); }
"""


def test_what_another_kernel_gives_out_can_be_called(ptx):
    """With what it calls in turn; what cannot run is a fault when it is called, not before."""
    device = ptx(INDIRECT)
    pointers, out = np.zeros(2, np.uint64), np.zeros(1, np.int32)
    device.run("give", 1, 1, pointers)
    device.run("take", 1, 1, pointers, out)
    assert out[0] == 16
    with pytest.raises(CpuFault, match="which is no function that can run here"):
        device.run("take", 1, 1, pointers[::-1].copy(), out)


def test_an_alias_stands_for_its_function(ptx):
    text = """.func (.param .b32 o) other(.param .b32 x);
    .func (.param .b32 o) twice(.param .b32 x) { .reg .b32 %r; ld.param.b32 %r, [x]; add.s32 %r, %r, %r; st.param.b32 [o], %r; ret; }
    .alias other, twice;
    .visible .entry k(.param .u64 p) { .reg .b64 %w, %f; .reg .b32 %r; .param .b32 a; .param .b32 b; ld.param.u64 %w, [p];
        mov.u32 %r, 21; st.param.b32 [a], %r; call (b), other, (a); ld.param.b32 %r, [b]; st.global.u32 [%w], %r; ret; }"""
    out = np.zeros(1, np.int32)
    ptx(text).run("k", 1, 1, out)
    assert out[0] == 42


def test_launching_kernels_from_a_kernel_is_refused(cuda):
    source = '__global__ void child() {} extern "C" __global__ void k() { child<<<1, 1>>>(); }'
    with pytest.raises(CpuFault, match="dynamic parallelism"):
        cuda(source, "-rdc=true").run("k", 1, 1)
