// A product of matrices as kernels for compute capability 9.0 are written: a warp that loads tiles by TMA into a ring of
// stages, a warpgroup that multiplies them by wgmma, mbarriers between the two, and a store by TMA at the end.
#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

constexpr int M = 64, N = 128, K = 64, STAGES = 3;

__device__ unsigned shared(const void *p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

__device__ void init(unsigned bar, int count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count)); }

__device__ void arrive(unsigned bar) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory"); }

__device__ void expect(unsigned bar, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}

__device__ void wait(unsigned bar, int parity) {
    asm volatile("{ .reg .pred p; AGAIN: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @p bra DONE; bra AGAIN; DONE: }"
                 ::"r"(bar), "r"(parity) : "memory");
}

__device__ void load(const CUtensorMap &map, unsigned to, unsigned bar, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                 ::"r"(to), "l"(&map), "r"(bar), "r"(x), "r"(y) : "memory");
}

// 128-byte swizzle, rows of 128 bytes along k, 8 of them 1024 bytes apart.
__device__ unsigned long long tile(unsigned at) {
    return (at & 0x3ffffull) >> 4 | 1ull << 16 | 1024ull >> 4 << 32 | 1ull << 62;
}

__device__ void multiply(float (&d)[N / 2], unsigned long long a, unsigned long long b, int add) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
                 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,"
                 "%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,"
                 "%57,%58,%59,%60,%61,%62,%63}, %64, %65, p, 1, 1, 0, 0; }"
#define D(k) "+f"(d[k]), "+f"(d[k + 1]), "+f"(d[k + 2]), "+f"(d[k + 3])
#define SIXTEEN(k) D(k), D(k + 4), D(k + 8), D(k + 12)
                 : SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)
                 : "l"(a), "l"(b), "r"(add));
}

struct alignas(1024) Storage {
    __nv_bfloat16 a[STAGES][M * K], b[STAGES][N * K], c[2][M * N / 2];
    unsigned long long full[STAGES], empty[STAGES];
};

// What may be wrong: bytes that are expected, places and descriptors, who arrives, who waits.
enum Plant { NOTHING, MORE_BYTES, FEWER_BYTES, MISALIGNED_BOX, FAR_BOX, ODD_DESCRIPTOR, FAR_DESCRIPTOR, FEWER_ARRIVALS, NO_BARRIER };

extern "C" __global__ void __launch_bounds__(160) product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                                       const __grid_constant__ CUtensorMap c, int k, int plant) {
    extern __shared__ unsigned char raw[];
    Storage &s = *reinterpret_cast<Storage *>((reinterpret_cast<unsigned long long>(raw) + 1023) & ~1023ull);
    const int row = blockIdx.y * M, column = blockIdx.x * N, steps = (k + K - 1) / K;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; ++stage) init(shared(&s.full[stage]), 1), init(shared(&s.empty[stage]), 4);
        asm volatile("fence.mbarrier_init.release.cluster;");
    }
    __syncthreads();
    if (threadIdx.x >= 128) {  // the warp that loads
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (threadIdx.x == 128)
            for (int step = 0; step < steps; ++step) {
                const int stage = step % STAGES;
                wait(shared(&s.empty[stage]), (step / STAGES & 1) ^ 1);
                load(a, shared(s.a[stage]) + (plant == MISALIGNED_BOX ? 64 : 0), shared(&s.full[stage]), step * K, row);
                load(b, shared(s.b[stage]) + (plant == FAR_BOX ? 200 << 10 : 0), shared(&s.full[stage]), step * K, column);
                expect(shared(&s.full[stage]), (M + N) * K * 2 + (plant == MORE_BYTES ? 16 : plant == FEWER_BYTES ? -16 : 0));
            }
        return;
    }
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    float d[N / 2];
    for (int step = 0; step < steps; ++step) {
        const int stage = step % STAGES;
        wait(shared(&s.full[stage]), step / STAGES & 1);
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        for (int part = 0; part < K / 16; ++part)
            multiply(d, tile(shared(s.a[stage]) + 32 * part + (plant == FAR_DESCRIPTOR ? 100 << 10 : 0)),
                     tile(shared(s.b[stage]) + 32 * part + (plant == ODD_DESCRIPTOR && threadIdx.x == 9 ? 16 : 0)), step + part);
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        if (threadIdx.x % (plant == FEWER_ARRIVALS ? 128 : 32) == 0) arrive(shared(&s.empty[stage]));
    }
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    for (int i = 0; i < N / 2; i += 2) {  // in the order of a store that permutes 16 bytes in 128
        const int y = 16 * warp + group + (i & 2) * 4, x = i / 4 * 8 + place * 2;
        const int at = y * 64 + ((x % 64 / 8 ^ y % 8) * 8) + x % 8;
        *reinterpret_cast<__nv_bfloat162 *>(&s.c[x / 64][at]) = __floats2bfloat162_rn(d[i], d[i + 1]);
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    if (plant != NO_BARRIER) asm volatile("bar.sync 1, 128;" ::: "memory");
    if (threadIdx.x == 0) {
        for (int half = 0; half < 2; ++half)
            asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];"
                         ::"l"(&c), "r"(shared(s.c[half])), "r"(column + 64 * half), "r"(row) : "memory");
        asm volatile("cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;" ::: "memory");
    }
}
