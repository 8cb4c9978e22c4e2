// Attention as kernels for compute capability 9.0 do it: scores by wgmma of tiles in shared memory, softmax in registers, and
// the values multiplied by wgmma with the probabilities in registers and the tile of values turned (its rows lie along k).
#include <cuda.h>
#include <cuda_bf16.h>
constexpr int ROWS = 64, KEYS = 64, WIDTH = 64;

__device__ unsigned shared(const void *p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }
__device__ void wait(unsigned bar, int parity) {
    asm volatile("{ .reg .pred p; AGAIN: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @!p bra AGAIN; }" ::"r"(bar), "r"(parity) : "memory");
}
__device__ void load(const CUtensorMap &map, unsigned to, unsigned bar, int y) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                 ::"r"(to), "l"(&map), "r"(bar), "r"(0), "r"(y) : "memory");
}
__device__ unsigned long long tile(unsigned at) { return (at & 0x3ffffull) >> 4 | 1ull << 16 | 1024ull >> 4 << 32 | 1ull << 62; }

#define D(k) "+f"(d[k]), "+f"(d[k + 1]), "+f"(d[k + 2]), "+f"(d[k + 3]), "+f"(d[k + 4]), "+f"(d[k + 5]), "+f"(d[k + 6]), "+f"(d[k + 7])
#define SUMS "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}"
__device__ void scores(float (&d)[32], unsigned long long q, unsigned long long k, int add) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS ", %32, %33, p, 1, 1, 0, 0; }"
                 : D(0), D(8), D(16), D(24) : "l"(q), "l"(k), "r"(add));
}
__device__ void values(float (&d)[32], const unsigned (&p)[4], unsigned long long v) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : D(0), D(8), D(16), D(24) : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "l"(v));
}
__device__ void settle() { asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

extern "C" __global__ void attention(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                                     const __grid_constant__ CUtensorMap v, float *out, int keys, float scale) {
    __shared__ alignas(1024) __nv_bfloat16 near_q[ROWS * WIDTH], near_k[2][KEYS * WIDTH], near_v[2][KEYS * WIDTH];
    __shared__ unsigned long long bars[3];
    const int steps = keys / KEYS, first = threadIdx.x == 0;
    if (first) {
        for (auto &bar : bars) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared(&bar)));
        asm volatile("fence.mbarrier_init.release.cluster;");
    }
    __syncthreads();
    auto bring = [&](int step) {
        const int stage = step % 2;
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared(&bars[stage])), "r"(2 * KEYS * WIDTH * 2) : "memory");
        load(k, shared(near_k[stage]), shared(&bars[stage]), step * KEYS);
        load(v, shared(near_v[stage]), shared(&bars[stage]), step * KEYS);
    };
    if (first) {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared(&bars[2])), "r"(ROWS * WIDTH * 2) : "memory");
        load(q, shared(near_q), shared(&bars[2]), blockIdx.x * ROWS);
        bring(0);
    }
    wait(shared(&bars[2]), 0);
    float sums[32] = {}, most[2] = {__int_as_float(0xff800000), __int_as_float(0xff800000)}, total[2] = {};
    for (int step = 0; step < steps; ++step) {
        const int stage = step % 2;
        if (first && step + 1 < steps) bring(step + 1);
        wait(shared(&bars[stage]), step / 2 & 1);
        float s[32];
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        for (int part = 0; part < WIDTH / 16; ++part)
            scores(s, tile(shared(near_q) + 32 * part), tile(shared(near_k[stage]) + 32 * part), part);
        settle();
        for (int half = 0; half < 2; ++half) {  // rows g and g + 8 of the warp's 16
            float now = most[half];
            for (int i = 0; i < 32; ++i)
                if ((i >> 1 & 1) == half) now = fmaxf(now, s[i] * scale);
            now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
            now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
            const float shrink = __expf(most[half] - now);
            total[half] *= shrink;
            for (int i = 0; i < 32; ++i)
                if ((i >> 1 & 1) == half) {
                    sums[i] *= shrink;
                    s[i] = __expf(s[i] * scale - now);
                    total[half] += s[i];
                }
            most[half] = now;
        }
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        for (int part = 0; part < KEYS / 16; ++part) {
            unsigned p[4];
            for (int i = 0; i < 4; ++i) {  // the sums of two products of 8 keys are a fragment of A
                const __nv_bfloat162 pair = __floats2bfloat162_rn(s[8 * part + 2 * i], s[8 * part + 2 * i + 1]);
                p[i] = reinterpret_cast<const unsigned &>(pair);
            }
            values(sums, p, tile(shared(near_v[stage]) + 2048 * part));
        }
        settle();
        __syncthreads();  // the stage may be filled again
    }
    for (int half = 0; half < 2; ++half) {
        total[half] += __shfl_xor_sync(~0u, total[half], 1);
        total[half] += __shfl_xor_sync(~0u, total[half], 2);
    }
    const int row = blockIdx.x * ROWS + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
    for (int i = 0; i < 32; ++i)
        out[(row + (i & 2) * 4) * WIDTH + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = sums[i] / total[i >> 1 & 1];
}
