// Products of matrices as kernels for compute capability 10.0 are written: TMA brings tiles into shared memory, one thread
// multiplies them into tensor memory, warps read it from there, and mbarriers tell one of the other.
#include <cuda.h>
#include <cuda/ptx>

namespace ptx = cuda::ptx;
using u32 = unsigned;
using u64 = unsigned long long;

__device__ u32 shared(const void *p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }

__device__ void wait(u64 &bar, int parity) {
    while (!ptx::mbarrier_try_wait_parity(reinterpret_cast<uint64_t *>(&bar), parity)) {}
}

__device__ void load(void *to, const CUtensorMap &map, int x, int y, u64 &bar) {
    const int place[2] = {x, y};
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, to, &map, place, reinterpret_cast<uint64_t *>(&bar));
}

// 128-byte swizzle, rows of 128 bytes along k, 8 of them 1024 bytes apart; or rows of 16 bytes one behind the other.
__device__ u64 tile(const void *p, int further = 0) {
    return ((shared(p) + further) & 0x3ffffull) >> 4 | 1ull << 16 | 1024ull >> 4 << 32 | 1ull << 46 | 2ull << 61;
}
__device__ u64 rows16(const void *p) { return (shared(p) & 0x3ffffull) >> 4 | 8ull << 32 | 1ull << 46; }

enum Plant { NOTHING, NO_FREE, NO_ALLOC, WRONG_LANES, OLD_DESCRIPTOR, SHAPE, FEWER_BYTES };

constexpr int M = 128, N = 96, K = 64, STAGES = 3;

struct alignas(1024) Ring {
    unsigned short a[STAGES][M * K], b[STAGES][N * K];
    u64 full[STAGES], empty[STAGES], done;
    u32 columns;
};

// bf16, f32 sums: a warp that loads, one that multiplies, four that store.
extern "C" __global__ void __launch_bounds__(192) product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                                       float *c, int columns, int k, int plant) {
    extern __shared__ unsigned char raw[];
    Ring &s = *reinterpret_cast<Ring *>((reinterpret_cast<u64>(raw) + 1023) & ~1023ull);
    const int warp = threadIdx.x / 32, steps = (k + K - 1) / K, row = blockIdx.y * M, column = blockIdx.x * N;
    if (warp == 0 && threadIdx.x == 0) {
        for (int i = 0; i < STAGES; ++i) {
            ptx::mbarrier_init(reinterpret_cast<uint64_t *>(&s.full[i]), 1);
            ptx::mbarrier_init(reinterpret_cast<uint64_t *>(&s.empty[i]), 1);
        }
        ptx::mbarrier_init(reinterpret_cast<uint64_t *>(&s.done), 1);
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
    }
    if (warp == 1 && plant != NO_ALLOC) {
        ptx::tcgen05_alloc(ptx::cta_group_1, &s.columns, 128);
        ptx::tcgen05_relinquish_alloc_permit(ptx::cta_group_1);
    }
    ptx::tcgen05_fence_before_thread_sync();
    __syncthreads();
    ptx::tcgen05_fence_after_thread_sync();
    const u32 d = plant == NO_ALLOC ? 0 : s.columns;
    if (threadIdx.x == 0) {
        for (int step = 0; step < steps; ++step) {
            const int i = step % STAGES;
            wait(s.empty[i], (step / STAGES & 1) ^ 1);
            ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, reinterpret_cast<uint64_t *>(&s.full[i]),
                                           (M + N) * K * 2 - (plant == FEWER_BYTES ? 16 : 0));
            load(s.a[i], a, step * K, row, s.full[i]);
            load(s.b[i], b, step * K, column, s.full[i]);
        }
    } else if (threadIdx.x == 32) {
        const u32 how = 1 << 4 | 1 << 7 | 1 << 10 | (plant == SHAPE ? 8 : N) >> 3 << 17 | M >> 4 << 24;
        for (int step = 0; step < steps; ++step) {
            const int i = step % STAGES;
            wait(s.full[i], step / STAGES & 1);
            for (int part = 0; part < K / 16; ++part)
                ptx::tcgen05_mma(ptx::kind_f16, ptx::cta_group_1, d, tile(s.a[i], 32 * part) & (plant == OLD_DESCRIPTOR ? ~(7ull << 46) : ~0ull),
                                 tile(s.b[i], 32 * part), how, step + part > 0);
            ptx::tcgen05_commit(ptx::cta_group_1, reinterpret_cast<uint64_t *>(&s.empty[i]));
        }
        ptx::tcgen05_commit(ptx::cta_group_1, reinterpret_cast<uint64_t *>(&s.done));
    }
    __syncwarp();
    if (warp >= 2) {
        wait(s.done, 0);
        ptx::tcgen05_fence_after_thread_sync();
        const int part = (warp + (plant == WRONG_LANES)) % 4, y = row + 32 * part + threadIdx.x % 32;
        for (int x = 0; x < N; x += 32) {
            uint32_t sums[32];
            ptx::tcgen05_ld_32x32b(sums, d + (part << 21) + x);
            ptx::tcgen05_wait_ld();
            for (int i = 0; i < 32; ++i)
                if (column + x + i < columns) c[y * columns + column + x + i] = __uint_as_float(sums[i]);
        }
    }
    ptx::tcgen05_fence_before_thread_sync();
    __syncthreads();
    if (warp == 1 && plant != NO_FREE && plant != NO_ALLOC) ptx::tcgen05_dealloc(ptx::cta_group_1, d, 128);
}

constexpr int WIDE = 256;  // elements of 4 bits along k in a tile: 128 bytes

struct alignas(1024) Scaled {
    unsigned char a[128 * WIDE / 2], b[128 * WIDE / 2], of_a[4][512], of_b[4][512];
    u64 full, done;
    u32 columns;
};

// nvfp4: a scale of 8 bits for every 16 elements of 4; those of 128 rows and 64 elements are 512 bytes, 32 rows of 16 bytes in
// which row r + 32 * j has word j.
extern "C" __global__ void __launch_bounds__(128) scaled(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                                      const unsigned char *of_a, const unsigned char *of_b, float *c, int k) {
    extern __shared__ unsigned char raw[];
    Scaled &s = *reinterpret_cast<Scaled *>((reinterpret_cast<u64>(raw) + 1023) & ~1023ull);
    uint64_t *full = reinterpret_cast<uint64_t *>(&s.full), *done = reinterpret_cast<uint64_t *>(&s.done);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::mbarrier_init(done, 1);
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
    }
    if (threadIdx.x < 32) ptx::tcgen05_alloc(ptx::cta_group_1, &s.columns, 256);
    __syncthreads();
    const u32 d = s.columns, scales = d + 128, how = 1 << 7 | 1 << 10 | 128 >> 3 << 17 | 128 >> 7 << 27;
    for (int step = 0; step < k / WIDE; ++step) {
        if (threadIdx.x == 0) {
            ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, full, sizeof s.a + sizeof s.b + sizeof s.of_a + sizeof s.of_b);
            load(s.a, a, step * WIDE / 2, 0, s.full);
            load(s.b, b, step * WIDE / 2, 0, s.full);
            ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, s.of_a, of_a + step * sizeof s.of_a, sizeof s.of_a, full);
            ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, s.of_b, of_b + step * sizeof s.of_b, sizeof s.of_b, full);
            wait(s.full, step & 1);
            for (int part = 0; part < 4; ++part) {
                ptx::tcgen05_cp_32x128b_warpx4(ptx::cta_group_1, scales + 4 * part, rows16(s.of_a[part]));
                ptx::tcgen05_cp_32x128b_warpx4(ptx::cta_group_1, scales + 16 + 4 * part, rows16(s.of_b[part]));
                ptx::tcgen05_mma_block_scale_vec_4x(ptx::kind_mxf4nvf4, ptx::cta_group_1, d, tile(s.a, 32 * part), tile(s.b, 32 * part), how,
                                                    scales + 4 * part, scales + 16 + 4 * part, step + part > 0);
            }
            ptx::tcgen05_commit(ptx::cta_group_1, done);
        }
        wait(s.done, step & 1);
        __syncthreads();
    }
    ptx::tcgen05_fence_after_thread_sync();
    for (int x = 0; x < 128; x += 16) {
        uint32_t sums[16];
        ptx::tcgen05_ld_32x32b(sums, d + x);
        ptx::tcgen05_wait_ld();
        for (int i = 0; i < 16; ++i) c[threadIdx.x * 128 + x + i] = __uint_as_float(sums[i]);
    }
    __syncthreads();
    if (threadIdx.x < 32) ptx::tcgen05_dealloc(ptx::cta_group_1, d, 256);
}
