"""Threads that depend on each other: divergence, barriers, locks, warps, calls."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest


def test_spin_lock_protects_a_counter(cuda):
    source = """extern "C" __global__ void k(int *lock, volatile int *counter) {
        bool done = false;
        while (!done) {
            if (atomicCAS(lock, 0, 1) == 0) {
                *counter = *counter + 1; __threadfence(); atomicExch(lock, 0); done = true;
            }
        }
    }"""
    counter = np.zeros(1, np.int32)
    cuda(source).run("k", 3, 50, np.zeros(1, np.int32), counter)
    assert counter[0] == 150


def test_spin_before_the_critical_section(cuda):
    source = """extern "C" __global__ void k(int *lock, volatile int *counter) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        *counter = *counter + 1; __threadfence(); atomicExch(lock, 0);
    }"""
    counter = np.zeros(1, np.int32)
    cuda(source).run("k", 2, 40, np.zeros(1, np.int32), counter)
    assert counter[0] == 80


def test_last_block_sums_what_the_others_left(cuda):
    source = """__device__ unsigned int arrived = 0;
    extern "C" __global__ void k(const int *x, volatile int *part, int *out) {
        __shared__ bool last; __shared__ int sum;
        if (!threadIdx.x) sum = 0;
        __syncthreads();
        atomicAdd(&sum, x[blockIdx.x * blockDim.x + threadIdx.x]);
        __syncthreads();
        if (!threadIdx.x) {
            part[blockIdx.x] = sum; __threadfence();
            last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
        }
        __syncthreads();
        if (last && !threadIdx.x) { int total = 0; for (int k = 0; k < gridDim.x; k++) total += part[k]; *out = total; }
    }"""
    device = cuda(source)
    x, out = np.arange(37 * 96, dtype=np.int32), np.zeros(1, np.int32)
    for _ in range(2):  # the counter wraps to 0
        device.run("k", 37, 96, x, np.zeros(37, np.int32), out)
        assert out[0] == x.sum()


def test_block_waits_for_a_later_block(cuda, monkeypatch):
    """Even when the later block is not in the batch of the one that waits."""
    monkeypatch.setattr("jitload.cpu.function.BATCH_LANES", 64)
    monkeypatch.setattr("jitload.cpu.function.SPINNING_BATCH_LANES", 64)
    source = """extern "C" __global__ void k(volatile int *flag, int *out) {
        if (blockIdx.x + 1 < gridDim.x) while (flag[blockIdx.x + 1] == 0) {}
        __syncthreads();
        if (!threadIdx.x) { out[blockIdx.x] = blockIdx.x; __threadfence(); flag[blockIdx.x] = 1; }
    }"""
    out = np.zeros(5, np.int32)
    cuda(source).run("k", 5, 64, np.zeros(5, np.int32), out)
    np.testing.assert_array_equal(out, np.arange(5))


@pytest.mark.parametrize("cooperative", [False, True])
def test_barrier_of_the_whole_grid(cuda, monkeypatch, cooperative):
    monkeypatch.setattr("jitload.cpu.function.SPINNING_BATCH_LANES", 32)
    source = """extern "C" __global__ void k(unsigned *count, int *data, int *out) {
        data[blockIdx.x] = blockIdx.x + 1; __threadfence();
        if (!threadIdx.x) { atomicAdd(count, 1); while (*(volatile unsigned *)count < gridDim.x) {} }
        __syncthreads();
        if (!threadIdx.x) { int s = 0; for (int k = 0; k < gridDim.x; k++) s += ((volatile int *)data)[k]; out[blockIdx.x] = s; }
    }"""
    out = np.zeros(6, np.int32)
    cuda(source).run("k", 6, 32, np.zeros(1, np.uint32), np.zeros(6, np.int32), out, cooperative=cooperative)
    np.testing.assert_array_equal(out, np.full(6, 21))


def test_named_barriers_let_producers_run_ahead(ptx):
    text = """.shared .align 4 .b32 box[32];
    .visible .entry k(.param .u64 out) { .reg .pred %p; .reg .b32 %t, %a, %v; .reg .b64 %o, %w;
        ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; setp.lt.u32 %p, %t, 32;
        @%p bra CONSUMER;
        sub.u32 %v, %t, 32; shl.b32 %a, %v, 2; mov.u32 %v, box; add.u32 %a, %a, %v;
        mul.lo.u32 %v, %t, 3; st.shared.u32 [%a], %v;
        bar.arrive 3, 64;
        bra DONE;
        CONSUMER: bar.sync 3, 64;
        shl.b32 %a, %t, 2; mov.u32 %v, box; add.u32 %a, %a, %v; ld.shared.u32 %v, [%a];
        mul.wide.u32 %w, %t, 4; add.u64 %w, %o, %w; st.global.u32 [%w], %v;
        DONE: ret; }"""
    out = np.zeros(32, np.uint32)
    ptx(text).run("k", 1, 64, out)
    np.testing.assert_array_equal(out, (np.arange(32) + 32) * 3)


def test_barrier_reductions(cuda):
    source = """extern "C" __global__ void k(int *out) {
        int t = threadIdx.x, all = blockDim.x;
        int count = __syncthreads_count(t % 3 == 0), every = __syncthreads_and(t < all), some = __syncthreads_or(t > all);
        out[blockIdx.x * all + t] = count * 100 + every * 10 + some;
    }"""
    out = np.zeros(100, np.int32)
    cuda(source).run("k", 2, 50, out)
    np.testing.assert_array_equal(out, np.full(100, 17 * 100 + 10))


def test_barrier_counts_only_live_threads(cuda):
    source = """extern "C" __global__ void k(int *out, int n) {
        __shared__ int box;
        if (threadIdx.x >= n) return;
        if (!threadIdx.x) box = 42;
        __syncthreads();
        out[threadIdx.x] = box;
    }"""
    out = np.zeros(64, np.int32)
    cuda(source).run("k", 1, 64, out, 33)
    np.testing.assert_array_equal(out, np.where(np.arange(64) < 33, 42, 0))


SHUFFLES = """extern "C" __global__ void k(int *up, int *down, int *bfly, int *idx, int width) {
    int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned mask = __activemask();
    up[t] = __shfl_up_sync(mask, t, 3, width); down[t] = __shfl_down_sync(mask, t, 2, width);
    bfly[t] = __shfl_xor_sync(mask, t, 5, width); idx[t] = __shfl_sync(mask, t, 9, width);
}"""


@pytest.mark.parametrize("width", [32, 16, 8])
@pytest.mark.parametrize("block", [(64,), (8, 4, 2), (5, 8), (44,)])
def test_shuffles_in_segments_partial_warps_and_many_dimensions(cuda, block, width):
    threads = int(np.prod(block))
    got = [np.zeros(threads, np.int32) for _ in range(4)]
    cuda(SHUFFLES).run("k", 1, block, *got, width)
    for t in range(threads):
        lane, first = t % 32, t % 32 // width * width
        for result, source in zip(got, (lane - 3, lane + 2, lane ^ 5, first + 9 % width), strict=True):
            source = source if first <= source < first + width else lane
            if t - lane + source < threads:
                assert result[t] == t - lane + source


def test_votes_and_matches(cuda):
    source = """extern "C" __global__ void k(unsigned *ballot, int *all, int *any, unsigned *match) {
        int t = threadIdx.x; unsigned mask = t < 32 ? 0xffffffffu : 0xffffu;
        ballot[t] = __ballot_sync(mask, t % 3 == 0); all[t] = __all_sync(mask, t < 40); any[t] = __any_sync(mask, t == 47);
        match[t] = __match_any_sync(mask, t % 4);
    }"""
    ballot, match = np.zeros(48, np.uint32), np.zeros(48, np.uint32)
    every, some = np.zeros(48, np.int32), np.zeros(48, np.int32)
    cuda(source).run("k", 1, 48, ballot, every, some, match)
    for t in range(48):
        warp = range(32) if t < 32 else range(32, 48)
        assert ballot[t] == sum(1 << (u % 32) for u in warp if u % 3 == 0)
        assert (every[t], some[t]) == (t < 32, t >= 32)
        assert match[t] == sum(1 << (u % 32) for u in warp if u % 4 == t % 4)


@pytest.mark.parametrize(("name", "model"), [("add", sum), ("min", min), ("max", max)])
def test_warp_reductions(cuda, name, model):
    source = f"""extern "C" __global__ void k(int *x) {{
        unsigned mask = threadIdx.x % 2 ? 0xaaaaaaaau : 0x55555555u;
        x[threadIdx.x] = __reduce_{name}_sync(mask, x[threadIdx.x]); }}"""
    x = np.random.default_rng(0).integers(-1000, 1000, 64).astype(np.int32)
    want = [model(x[t // 32 * 32 + t % 2 : t // 32 * 32 + 32 : 2].tolist()) for t in range(64)]
    cuda(source, arch="compute_80").run("k", 1, 64, x)
    np.testing.assert_array_equal(x, want)


def test_both_sides_of_a_branch_meet_in_one_warp_operation(cuda):
    source = """extern "C" __global__ void k(int *x) {
        int t = threadIdx.x;
        if (t & 1) { x[t] = 5; __syncwarp(); x[t] += x[t ^ 1]; } else { x[t] = 7; __syncwarp(); x[t + 64] = x[t ^ 1]; }
    }"""
    x = np.zeros(128, np.int32)
    cuda(source).run("k", 1, 64, x)
    np.testing.assert_array_equal(x[1:64:2], np.full(32, 12))


def test_recursion_and_calls_through_pointers(cuda):
    source = """__device__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    typedef int (*Function)(int);
    __device__ int twice(int x) { return 2 * x; }
    __device__ int next(int x) { return x + 1; }
    __device__ Function table[3] = {twice, next, fib};
    extern "C" __global__ void k(int *out) { out[threadIdx.x] = table[threadIdx.x % 3](threadIdx.x); }"""
    out = np.zeros(12, np.int32)
    cuda(source).run("k", 1, 12, out)
    np.testing.assert_array_equal(out, [0, 2, 1, 6, 5, 5, 12, 8, 21, 18, 11, 89])


def test_switch_with_many_cases_and_nested_divergence(cuda):
    source = """extern "C" __global__ void k(int *out) {
        int t = threadIdx.x, v = 0;
        for (int k = 0; k < t; k++) {
            switch (k % 7) { case 0: v += 1; break; case 1: v ^= 5; break; case 2: if (v & 1) continue; v += 2; break;
                             case 3: v <<= 1; break; case 4: v -= 3; break; case 5: if (v > 50) goto end; default: v += 4; }
        }
        end: out[t] = v;
    }"""

    def model(t: int) -> int:
        v = 0
        for k in range(t):
            match k % 7:
                case 0:
                    v += 1
                case 1:
                    v ^= 5
                case 2:
                    v += 0 if v & 1 else 2
                case 3:
                    v <<= 1
                case 4:
                    v -= 3
                case 5:
                    if v > 50:
                        return v
                    v += 4
                case _:
                    v += 4
        return v

    out = np.zeros(256, np.int32)
    cuda(source).run("k", 1, 256, out)
    np.testing.assert_array_equal(out, [model(t) for t in range(256)])


def test_an_interrupt_stops_a_launch(cuda):
    def interrupt(*_):
        raise KeyboardInterrupt

    device = cuda('extern "C" __global__ void k(volatile int *x) { while (*x == 0) {} }')
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            device.run("k", 1, 32, np.zeros(1, np.int32))
    finally:
        signal.signal(signal.SIGALRM, before)
    device.run("k", 1, 32, np.ones(1, np.int32))


def test_launches_from_several_threads_do_not_mix(cuda):
    device = cuda('extern "C" __global__ void k(int *x) { for (int k = 0; k < 20; k++) atomicAdd(x, 1); }')
    x = device.put(np.zeros(1, np.int32))
    threads = [threading.Thread(target=device.run, args=("k", 4, 64, x)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = np.zeros(1, np.int32)
    device.get(x, total)
    device.memory.free(x)
    assert total[0] == 4 * 4 * 64 * 20


def test_printf(cuda, capsys):
    source = r"""extern "C" __global__ void k(double x) {
        if (threadIdx.x < 2) printf("%d %5.2f|%-4s|%c %llx %u %%\n", (int)threadIdx.x - 1, x, "ab", 'z', 1ull << 40, 7u); }"""
    cuda(source).run("k", 1, 32, np.float64(2.5))
    assert capsys.readouterr().out == "-1  2.50|ab  |z 10000000000 7 %\n0  2.50|ab  |z 10000000000 7 %\n"


def test_printf_in_the_forms_of_c(cuda, capsys):
    """Python has octal, hexadecimal floats and signs of unsigned numbers otherwise."""
    source = r"""extern "C" __global__ void k() { printf("%#o|%#5o|%#05o|%#x|%#x|%+u|%o|%-6o|", 8, 8, 8, 255, 0, 7, 9, 9);
        printf("%a|%A|%12a|%a|", 1.0, 1.5, -0.15625, 0.0); printf("%5s|%.2s|%c|%*d|%.*f|%p|%hhd", "ab", "abc", 'A', 6, 42, 2, 3.14159, (void*)0x1234, 300); }"""
    cuda(source).run("k", 1, 1)
    assert capsys.readouterr().out == (
        "010|  010|00010|0xff|0|7|11|11    |0x1p+0|0X1.8P+0|   -0x1.4p-3|0x0p+0|   ab|ab|A|    42|3.14|0x1234|44"
    )


def test_a_moved_register_is_a_value_of_its_own(apply):
    """`mov` shares an array for a while; a later write by some of the lanes must not show through."""
    a = np.arange(64, dtype=np.uint32)
    code = """mov.u32 %j, %a; bra NEXT;
        NEXT: mov.u32 %k, %j; setp.lt.u32 %p, %a, 10; @%p bra SKIP;
        add.u32 %j, %j, 5;
        SKIP: sub.u32 %d, %j, %k;"""
    np.testing.assert_array_equal(apply(code, np.uint32, a), np.where(a < 10, 0, 5))
