"""What stops a kernel, and what the fault says about it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from jitload.errors import CpuFault, LaunchError, LoadError, SymbolNotFoundError

COPY = """
extern "C" __global__ void copy(const float *x, float *y, int shift) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i + shift];
}
"""


def test_out_of_bounds_names_everything(cuda):
    device = cuda(COPY, "-lineinfo")
    x, y = np.zeros(64, np.float32), np.zeros(64, np.float32)
    with pytest.raises(CpuFault) as caught:
        device.run("copy", 2, 32, x, y, 1)
    fault = caught.value
    assert fault.kernel == "copy"
    assert fault.instruction.startswith("ld.global")
    assert device.ptx.decode().splitlines()[fault.ptx_line - 1].strip().startswith("ld.global")
    assert fault.cuda_line.endswith("kernel.cu:4")
    assert (fault.thread, fault.block) == ((31, 0, 0), (1, 0, 0))
    assert fault.nearest.startswith("argument 0: 256 bytes at 0x")
    assert fault.nearest.endswith("access ends 4 bytes past its end")
    for part in ("copy", "thread (31, 0, 0) of block (1, 0, 0)", "kernel.cu:4", hex(fault.address), "out of bounds"):
        assert part in str(fault)
    assert pickle.loads(pickle.dumps(fault)).nearest == fault.nearest


INLINED = """
__device__ __forceinline__ float one(const float *p, int i) {
    return p[i];
}
struct Rows {
    const float *p;
    __device__ float get(int i) const {
        return one(p, i) + 1.0f;
    }
};
__device__ __noinline__ void far(float *p, int i) {
    p[i + 500000000] = 1.0f;
}
extern "C" __global__ void k(const float *x, float *y, int shift) {
    Rows rows{x};
    y[threadIdx.x] = rows.get(threadIdx.x + shift);
    far(y, threadIdx.x);
}
"""


def test_inlined_code_names_the_chain_of_calls(cuda):
    """The line itself, then where each function around it was inlined; a function that is called stands alone."""
    device = cuda(INLINED, "-lineinfo")
    x, y = np.zeros(64, np.float32), np.zeros(64, np.float32)
    with pytest.raises(CpuFault) as caught:
        device.run("k", 1, 64, x, y, 1)
    fault = caught.value
    assert fault.cuda_line.endswith("kernel.cu:3")
    assert [line.rpartition("kernel.cu:")[2] for line in fault.inlined_at] == ["8", "16"]
    assert "kernel.cu:3 inlined at " in str(fault)
    assert pickle.loads(pickle.dumps(fault)).inlined_at == fault.inlined_at
    with pytest.raises(CpuFault) as caught:
        device.run("k", 1, 64, x, y, 0)
    assert caught.value.cuda_line.endswith("kernel.cu:12")
    assert caught.value.inlined_at == ()


def test_an_instruction_without_a_line_counts_to_the_line_before_it(ptx):
    """Compilers write line 0 where they moved or merged code; `.file` may stand before or after the code."""
    kernel = """
.visible .entry k(.param .u64 p) {
.reg .b64 %a;
.loc 1 7 3
ld.param.u64 %a, [p];
.loc 1 0 3
st.global.u32 [%a + 4], 1;
.loc 2 9 1, function_name $L__info_string0, inlined_at 1 7 3
st.global.u32 [%a], 1;
ret;
}
.file 1 "/jitload/source/main.cu"
.file 2 "/jitload/include/0/deep/inner.cuh"
"""
    with pytest.raises(CpuFault) as caught:
        ptx(kernel).run("k", 1, 1, np.zeros(1, np.int32))
    assert (caught.value.cuda_line, caught.value.inlined_at) == ("main.cu:7", ())
    with pytest.raises(CpuFault, match=r"deep/inner\.cuh:9 inlined at main\.cu:7") as caught:
        ptx(kernel.replace("[%a], 1", "[%a + 2], 1").replace("[%a + 4]", "[%a]")).run("k", 1, 1, np.zeros(1, np.int32))
    assert (caught.value.cuda_line, caught.value.inlined_at) == ("deep/inner.cuh:9", ("main.cu:7",))


def test_before_the_start(cuda):
    with pytest.raises(CpuFault, match="access starts 4 bytes before its start") as caught:
        cuda(COPY).run("copy", 1, 32, np.zeros(64, np.float32), np.zeros(64, np.float32), -1)
    assert caught.value.thread == (0, 0, 0)
    assert caught.value.cuda_line is None


def test_null_pointer(cuda):
    with pytest.raises(CpuFault, match="null pointer") as caught:
        cuda(COPY).run("copy", 1, 32, 0, np.zeros(64, np.float32), 0)
    assert caught.value.address == 0
    assert caught.value.nearest is None, "nothing is near to null, terabytes away"
    assert "Nearest" not in str(caught.value)


def test_use_after_free(cuda):
    device = cuda(COPY)
    address = device.put(np.zeros(64, np.float32))
    device.memory.free(address)
    with pytest.raises(CpuFault, match="out of bounds"):
        device.run("copy", 1, 32, address, np.zeros(64, np.float32), 0)
    with pytest.raises(CpuFault, match="no allocation starts there"):
        device.memory.free(address)


def test_misaligned_access(cuda):
    device = cuda(COPY)
    address = device.put(np.zeros(64, np.float32))
    with pytest.raises(CpuFault, match="misaligned") as caught:
        device.run("copy", 1, 32, address + 2, np.zeros(64, np.float32), 0)
    assert caught.value.address == address + 2
    device.memory.free(address)


def test_dynamic_shared_memory_that_was_not_asked_for_says_what_sizes_it(cuda):
    source = """extern "C" __global__ void k(int *x) {
        extern __shared__ int values[]; values[threadIdx.x] = 1; __syncthreads(); *x = values[0]; }"""
    with pytest.raises(CpuFault) as caught:
        cuda(source).run("k", 1, 32, np.zeros(1, np.int32))
    assert caught.value.nearest.startswith("values (shared_bytes= of the launch): 0 bytes at shared address 0x0")


def test_shared_memory_has_bounds(cuda):
    source = """extern "C" __global__ void k(int *out, int i) {
        __shared__ int values[8]; values[threadIdx.x] = i; __syncthreads(); out[threadIdx.x] = values[i]; }"""
    device = cuda(source)
    with pytest.raises(CpuFault, match="out of bounds") as caught:
        device.run("k", 1, 8, np.zeros(8, np.int32), 8)
    assert "values" in caught.value.nearest
    assert "32 bytes" in caught.value.nearest


@pytest.mark.parametrize(
    ("grid", "block", "text"),
    [
        ((0,), (32,), "grid"),
        ((1,), (0,), "block"),
        ((1,), (1025,), "block"),
        ((1,), (32, 33), "1056 threads"),
        ((1,), (1, 1, 65), "block"),
        ((1, 65536), (1,), "grid"),
        ((-1,), (1,), "grid"),
    ],
)
def test_impossible_launches(cuda, grid, block, text):
    with pytest.raises(LaunchError, match=text):
        cuda(COPY).run("copy", grid, block, 0, 0, 0)


def test_launch_bounds_and_shared_memory_are_limits(cuda):
    source = 'extern "C" __global__ void __launch_bounds__(64) k() {}'
    with pytest.raises(LaunchError, match="launch bounds allow 64"):
        cuda(source).run("k", 1, 65)
    with pytest.raises(LaunchError, match="shared memory"):
        cuda(source).run("k", 1, 1, shared=1 << 20)


def test_unknown_instruction_is_refused_when_its_kernel_is_fetched(ptx):
    device = ptx(
        ".visible .entry good() { ret; }\n.visible .entry bad() {\n.reg .b32 %r<3>;\nfrobnicate.u32 %r1, %r2;\nret;\n}"
    )
    device.run("good", 1, 1)
    with pytest.raises(CpuFault, match="unknown instruction") as caught:
        device.module.device_function("bad")
    assert caught.value.instruction == "frobnicate.u32 %r1, %r2"
    assert caught.value.ptx_line == 7
    assert caught.value.kernel == "bad"


@pytest.mark.parametrize(
    "line",
    [
        "add.u32.wild %r1, %r2, %r3;",
        "add.f32 %r1, %r2;",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%r1}, {%r2}, {%r3}, {%r1};",
        "tex.2d.v4.f32.f32 {%r1, %r2, %r3, %r1}, [t, {%r1, %r2}];",
        "mov.u32 %r1, %envreg32;",
        "ld.global.u32 %r1, [%r2+%r3];",
        "bra NOWHERE;",
        "mov.u32 %r1, nothing;",
        "call nothing;",
        "shfl.sync.sideways.b32 %r1, %r2, 1, 31, -1;",
        "cvt.s32.f32 %r1, %f1;",
        "st.const.u32 [%r1], %r2;",
        "add.u64 %r1, %r2, %r3;",
        "min.f32 %p1, %f1, %f1;",
    ],
)
def test_what_cannot_be_right_is_refused_before_it_runs(ptx, line):
    text = f".visible .entry k() {{ .reg .b32 %r<4>; .reg .f32 %f<2>; .reg .pred %p<2>;\n{line}\nret; }}"
    with pytest.raises(CpuFault) as caught:
        ptx(text).module.device_function("k")
    assert caught.value.ptx_line == 5


def test_unused_functions_may_hold_anything(ptx):
    text = ".func dead() { .reg .b32 %r<2>; tcgen05.magic %r1; ret; }\n.visible .entry k() { ret; }"
    ptx(text).run("k", 1, 1)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF\x02\x01", b"not ptx", b"\xff\xfe.version 8.0", b".version 8.0\n.entry k("]
)
def test_bytes_that_are_no_ptx(device, data):
    with pytest.raises(LoadError) as caught:
        device(data)
    assert caught.value.kind == "ptx"


def test_unknown_names(cuda):
    module = cuda(COPY).module
    assert module.functions == ("copy",)
    with pytest.raises(SymbolNotFoundError, match="nope"):
        module.get_function("nope")
    with pytest.raises(SymbolNotFoundError):
        module.get_global("nope")


def test_endless_loop_is_stopped_at_its_line(cuda, monkeypatch):
    monkeypatch.setattr("jitload.cpu.run.schedule.STEP_LIMIT", 20_000)
    source = 'extern "C" __global__ void k(volatile int *x) {\n while (*x == 0) { x[1] = 1; }\n}'
    with pytest.raises(CpuFault, match=r"still running after .* an endless loop") as caught:
        cuda(source, "-lineinfo").run("k", 1, 32, np.zeros(2, np.int32))
    assert caught.value.cuda_line.endswith(":2")


WAITS = {
    "flag": ("while (!x[0]) {}", 1, 32),
    "half a warp": ("if (t < 16) while (!x[0]) {} else if (t > 20) x[1] = 1;", 1, 64),
    "loop of three": ("while (!x[0]) { if (x[1]) x[2] = 1; if (x[3]) x[4] = 1; }", 1, 32),
    "others at a barrier": ("if (t < 32) while (!x[0]) {} __syncthreads(); x[0] = 1;", 1, 64),
    "two batches": ("if (blockIdx.x == 0) while (!x[0]) {}", 6, 1024),
}


@pytest.mark.parametrize(("code", "blocks", "threads"), WAITS.values(), ids=WAITS)
def test_threads_that_wait_for_what_nobody_will_do(cuda, monkeypatch, code, blocks, threads):
    """Long before the limit of steps, and only where nothing can change any more."""
    monkeypatch.setattr("jitload.cpu.function.PATIENCE_STEPS", 2000)
    source = f'extern "C" __global__ void k(volatile int *x) {{\n int t = threadIdx.x;\n {code}\n}}'
    with pytest.raises(CpuFault, match="endless loop: it waits for what no thread will do any more") as caught:
        cuda(source, "-lineinfo").run("k", blocks, threads, np.zeros(5, np.int32))
    assert caught.value.cuda_line.endswith(":3")


LOCKS = {
    "compare and swap": ("while (atomicCAS((unsigned long long *)x + 1, 0ull, 1ull)) {}", 1),
    "exchange, a thread of the warp": ("if (t) while (atomicExch(x + 2, 9)) __nanosleep(50);", 1),
    "after another lock": ("while (atomicCAS(x + 4, 0, 1)) {} atomicExch(x + 4, 0); while (atomicOr(x + 2, 1)) {}", 1),
    "a look": ("while (atomicAdd(x + 2, 0) == 0) {}", 1),
    "blocks": ("if (t) while (atomicCAS(x + 2, 0, 1)) {} __syncthreads();", 2),
}


@pytest.mark.parametrize(("code", "blocks"), LOCKS.values(), ids=LOCKS)
def test_a_lock_that_nobody_releases_is_named(cuda, monkeypatch, code, blocks):
    """One that is tried in vain changes nothing, so it stands still as a loop that only looks does."""
    monkeypatch.setattr("jitload.cpu.function.PATIENCE_STEPS", 2000)
    source = f'extern "C" __global__ void k(int *x) {{\n int t = threadIdx.x;\n {code}\n}}'
    words = np.array([0, 0, "Exch(x + 2" in code, 0, 0, 0], np.int32)
    with pytest.raises(CpuFault, match="endless loop: it waits for what no thread will do any more") as caught:
        cuda(source, "-lineinfo").run("k", blocks, 2, words)
    assert caught.value.cuda_line.endswith(":3")
    assert caught.value.instruction.startswith(("atom", "@"))
    assert str(caught.value.nearest).endswith("access lies inside it, at byte 8")


LOOKS = {
    "a sum": "while (atomicAdd(x, 0) == 0) {}",
    "a wide sum": "while (atomicAdd((unsigned long long *)x, 0ull) == 0) {}",
    "a maximum": "while (atomicMax(x, 0) == 0) {}",
    "a call": "while (look(x) == 0) {}",
    "a call by address": "int (*by)(int *) = x[2] ? look : other; while (by(x) == 0) {}",
}


@pytest.mark.parametrize("code", LOOKS.values(), ids=LOOKS)
def test_a_block_that_has_not_begun_is_let_in_where_others_wait_for_it(cuda, monkeypatch, code):
    monkeypatch.setattr("jitload.cpu.run.schedule.STEP_LIMIT", 50_000)
    monkeypatch.setattr("jitload.cpu.function.SPINNING_BATCH_LANES", 64)
    monkeypatch.setattr("jitload.cpu.function.BATCH_LANES", 64)
    x = np.array([0, 0, 1], np.int32)
    source = f"""__device__ __noinline__ int look(int *x) {{ return atomicCAS(x, 0, 0); }}
    __device__ __noinline__ int other(int *x) {{ return 1; }}
    extern "C" __global__ void k(int *x) {{ if (blockIdx.x == 3) {{ *x = 1; return; }} {code} atomicAdd(x + 1, 1); }}"""
    cuda(source).run("k", 4, 32, x)
    assert x.tolist() == [1, 96, 1]


@pytest.mark.parametrize(
    "code",
    [
        "for (int i = 0; i < 5000 && atomicCAS(x, 0, 0) == 0; i++) {} x[1] = 5;",
        "if (t) { for (int i = 0; i < 9000; i++) __nanosleep(20); atomicExch(x, 1); } while (!atomicOr(x, 0)) {} x[1] = 5;",
        "while (atomicAdd(x + 2, 1) < 5000) {} x[1] = 5;",
        "while (atomicCAS(x + 2, 0, 1)) {} x[1] = 5; for (int i = 0; i < 9000; i++) __nanosleep(20); atomicExch(x + 2, 0);",
    ],
    ids=["counts in vain", "another will", "counts in memory", "a slow holder"],
)
def test_atomics_in_loops_that_end(cuda, monkeypatch, code):
    monkeypatch.setattr("jitload.cpu.function.PATIENCE_STEPS", 2000)
    x = np.zeros(3, np.int32)
    cuda(f'extern "C" __global__ void k(int *x) {{ int t = threadIdx.x; {code} }}').run("k", 1, 2, x)
    assert x[1] == 5


@pytest.mark.parametrize(
    "code",
    [
        "for (int i = 0; i < 30000 && !x[0]; i++) {} x[1] = 5;",
        "long long begin = clock64(); while (!x[0] && clock64() - begin < 100000000) {} x[1] = 5;",
        "if (t) { for (int i = 0; i < 9000; i++) __nanosleep(20); x[0] = 1; } while (!x[0]) {} x[1] = 5;",
    ],
    ids=["counts", "clock", "another will"],
)
def test_threads_that_wait_and_go_on(cuda, monkeypatch, code):
    monkeypatch.setattr("jitload.cpu.function.PATIENCE_STEPS", 2000)
    x = np.zeros(2, np.int32)
    cuda(f'extern "C" __global__ void k(volatile int *x) {{ int t = threadIdx.x; {code} }}').run("k", 1, 2, x)
    assert x[1] == 5


def test_threads_at_different_barriers(ptx):
    text = """.visible .entry k() { .reg .pred %p; .reg .b32 %r;
        mov.u32 %r, %tid.x; setp.lt.u32 %p, %r, 16;
        @%p bra LOW;
        bar.sync 1;
        bra DONE;
        LOW: bar.sync 0;
        DONE: ret; }"""
    with pytest.raises(CpuFault, match="barrier divergence") as caught:
        ptx(text).run("k", 1, 32)
    assert caught.value.instruction.startswith("bar.sync")


APART = """.visible .entry k() {{ .reg .pred %p; .reg .b32 %r;
    mov.u32 %r, %tid.x; setp.lt.u32 %p, %r, {first};
    @%p bra LOW;
    {high};
    bra DONE;
    LOW: {low};
    DONE: ret; }}"""


@pytest.mark.parametrize(
    "barrier", ["bar.sync 0", "barrier.sync.aligned 0", "bar.sync 0, 64", "bar.red.popc.u32 %r, 0, %p"]
)
def test_threads_of_one_warp_at_two_barrier_instructions(ptx, barrier):
    with pytest.raises(CpuFault, match="barrier divergence: other threads of the warp wait at") as caught:
        ptx(APART.format(first=16, high=barrier, low=barrier)).run("k", 1, 64)
    assert caught.value.instruction.startswith(barrier.partition(" ")[0])


@pytest.mark.parametrize(("barrier", "first"), [("barrier.sync 0", 16), ("bar.sync 0", 32), ("bar.sync 0, 64", 32)])
def test_two_barrier_instructions_that_may_meet(ptx, barrier, first):
    """Without `.aligned` threads are counted one by one; and warps may come to a barrier by ways of their own."""
    ptx(APART.format(first=first, high=barrier, low=barrier)).run("k", 1, 64)


@pytest.mark.parametrize(("high", "low"), [("bar.sync 0, 96", "bar.sync 0, 128"), ("bar.sync 0", "bar.arrive 0, 64")])
def test_threads_that_expect_different_numbers_at_one_barrier(ptx, high, low):
    with pytest.raises(
        CpuFault, match="barrier divergence: threads of the block expect different numbers at barrier 0"
    ):
        ptx(APART.format(first=32, high=high, low=low)).run("k", 1, 96)


def test_a_barrier_with_a_predicate_and_one_without_do_not_meet(ptx):
    with pytest.raises(CpuFault, match=r"bar\.sync at a barrier where other threads of the block wait by bar\.red"):
        ptx(APART.format(first=32, high="bar.red.popc.u32 %r, 0, %p", low="bar.sync 0")).run("k", 1, 64)


def test_more_warps_than_a_barrier_expects_come_in_turn(ptx):
    """Two by two they go on; the fifth is left alone."""
    text = ".visible .entry k() {{ {code} bar.sync 3, 64; ret; }}"
    ptx(text.format(code="")).run("k", 3, 128)
    with pytest.raises(
        CpuFault, match=r"thread \(128, 0, 0\) .*barrier divergence: not all threads of the block reach"
    ):
        ptx(text.format(code="")).run("k", 1, 160)


def test_an_mbarrier_that_nobody_initialised(ptx):
    text = ".visible .entry k() {{ .reg .b64 %s; .reg .pred %p; .shared .align 8 .b64 bar; {code} ret; }}"
    for code in (
        "mbarrier.arrive.shared.b64 _, [bar];",
        "mbarrier.test_wait.parity.shared.b64 %p, [bar], 0;",
        "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 8;",
    ):
        with pytest.raises(CpuFault, match="an mbarrier that nobody has initialised") as caught:
            ptx(text.format(code=code)).run("k", 1, 32)
        assert caught.value.instruction == code.rstrip(";")


def test_a_warp_operation_that_others_never_reach(cuda):
    source = """extern "C" __global__ void k(int *out) {
        if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 0);
        else __syncthreads();
    }"""
    with pytest.raises(CpuFault, match=r"(?s)divergence|deadlock"):
        cuda(source).run("k", 1, 32, np.zeros(32, np.int32))


def test_trap_and_assertion(cuda):
    source = """
    extern "C" __global__ void fails(int n) { assert(threadIdx.x < n); }
    extern "C" __global__ void traps(int n) { if (threadIdx.x == n) __trap(); }"""
    device = cuda(source)
    device.run("fails", 1, 32, 32)
    with pytest.raises(CpuFault, match=r"assertion `threadIdx.x < n` failed") as caught:
        device.run("fails", 1, 32, 5)
    assert caught.value.thread == (5, 0, 0)
    with pytest.raises(CpuFault, match="trap") as caught:
        device.run("traps", 2, 32, 7)
    assert caught.value.thread == (7, 0, 0)


def test_recursion_without_end_overflows_the_stack(cuda):
    source = """__device__ __noinline__ int deep(int n) { volatile int a[16]; a[n & 15] = n; return deep(n + 1) + a[n & 15]; }
    extern "C" __global__ void k(int *out) { out[0] = deep(out[0]); }"""
    with pytest.raises(CpuFault, match="stack overflow"):
        cuda(source).run("k", 1, 1, np.zeros(1, np.int32))


def test_no_numpy_warning_escapes(cuda, recwarn):
    source = 'extern "C" __global__ void k(float *x) { x[0] = x[0] / x[1] + x[2] * 3e38f; }'
    cuda(source).run("k", 1, 1, np.array([0, 0, 3e38], np.float32))
    assert not recwarn.list


def test_use_after_free_within_one_kernel(cuda):
    """The allocation that was used last is remembered; not beyond its life."""
    source = """extern "C" __global__ void k(int *out) {
        volatile int *p = (volatile int *)malloc(64); p[0] = 1; free((void *)p); out[0] = p[0]; }"""
    with pytest.raises(CpuFault, match="use after free, out of bounds") as caught:
        cuda(source, "-lineinfo").run("k", 1, 1, np.zeros(1, np.int32))
    assert caught.value.cuda_line.endswith(":2")
    assert caught.value.nearest.startswith("malloc of thread (0, 0, 0) of block (0, 0, 0): 64 bytes at ")
    assert caught.value.nearest.endswith("freed before, access lies inside it, at byte 0")
