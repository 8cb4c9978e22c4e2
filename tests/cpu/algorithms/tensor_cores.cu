// Matrix products on tensor cores: wmma, and mma.sync through inline PTX with ldmatrix.
//
// Shapes:  a[m][k] row-major; b[n][k], that is, column-major; c[m][n]; m, n multiples of 16, k of 16 (bytes: 32).
// Launch:  a warp per 16 x 16 of c, grid (n / 16, m / 16).
// Needs:   compute_80.

#include <mma.h>
#include <cuda_bf16.h>
using namespace nvcuda;

typedef unsigned int u32;

template <class T, class Storage, int K, class Sum>
__device__ void by_wmma(const Storage *a, const Storage *b, Sum *c, int n, int k) {
    wmma::fragment<wmma::matrix_a, 16, 16, K, T, wmma::row_major> x;
    wmma::fragment<wmma::matrix_b, 16, 16, K, T, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 16, 16, K, Sum> sum;
    wmma::fill_fragment(sum, Sum(0));
    for (int start = 0; start < k; start += K) {
        wmma::load_matrix_sync(x, a + blockIdx.y * 16 * k + start, k);
        wmma::load_matrix_sync(y, b + blockIdx.x * 16 * k + start, k);
        wmma::mma_sync(sum, x, y, sum);
    }
    wmma::store_matrix_sync(c + blockIdx.y * 16 * n + blockIdx.x * 16, sum, n, wmma::mem_row_major);
}
extern "C" __global__ void wmma_half(const half *a, const half *b, float *c, int n, int k) { by_wmma<half, half, 16>(a, b, c, n, k); }
extern "C" __global__ void wmma_bytes(const signed char *a, const signed char *b, int *c, int n, int k) { by_wmma<signed char, signed char, 16>(a, b, c, n, k); }

// Tiles travel through shared memory as a library kernel has it: the products of half a tile of columns at a time.
template <bool Brain>
__device__ void by_mma(const unsigned short *a, const unsigned short *b, float *c, int n, int k) {
    __shared__ __align__(16) unsigned short A[16][24], B[16][24];
    const int lane = threadIdx.x;
    float sums[2][4] = {};
    for (int start = 0; start < k; start += 16) {
        __syncwarp();
        *(uint4 *)&A[lane / 2][lane % 2 * 8] = *(const uint4 *)&a[(blockIdx.y * 16 + lane / 2) * k + start + lane % 2 * 8];
        *(uint4 *)&B[lane / 2][lane % 2 * 8] = *(const uint4 *)&b[(blockIdx.x * 16 + lane / 2) * k + start + lane % 2 * 8];
        __syncwarp();
        u32 x[4], y[4];
        const u32 pa = __cvta_generic_to_shared(&A[lane % 16][lane / 16 * 8]), pb = __cvta_generic_to_shared(&B[lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8]);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(pa) : "memory");
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(y[0]), "=r"(y[1]), "=r"(y[2]), "=r"(y[3]) : "r"(pb) : "memory");
        for (int half = 0; half < 2; half++) {
            float *s = sums[half];
            if (Brain)
                asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                    : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[2 * half]), "r"(y[2 * half + 1]));
            else
                asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                    : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[2 * half]), "r"(y[2 * half + 1]));
        }
    }
    for (int half = 0; half < 2; half++) {
        float *to = c + (blockIdx.y * 16 + lane / 4) * n + blockIdx.x * 16 + half * 8 + lane % 4 * 2;
        to[0] = sums[half][0]; to[1] = sums[half][1]; to[8 * n] = sums[half][2]; to[8 * n + 1] = sums[half][3];
    }
}
extern "C" __global__ void mma_half(const unsigned short *a, const unsigned short *b, float *c, int n, int k) { by_mma<false>(a, b, c, n, k); }
extern "C" __global__ void mma_bfloat(const unsigned short *a, const unsigned short *b, float *c, int n, int k) { by_mma<true>(a, b, c, n, k); }

// tf32, fragments straight from global memory.
extern "C" __global__ void mma_tf32(const float *a, const float *b, float *c, int n, int k) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4, row = blockIdx.y * 16 + g;
    for (int half = 0; half < 2; half++) {
        const int column = blockIdx.x * 16 + half * 8;
        float s[4] = {};
        for (int j = 0; j < k; j += 8) {
            u32 x[4], y[2];
            const float from[6] = {a[row * k + j + t], a[(row + 8) * k + j + t], a[row * k + j + t + 4], a[(row + 8) * k + j + t + 4], b[(column + g) * k + j + t], b[(column + g) * k + j + t + 4]};
            for (int e = 0; e < 4; e++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[e]) : "f"(from[e]));
            for (int e = 0; e < 2; e++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y[e]) : "f"(from[4 + e]));
            asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
        }
        float *to = c + row * n + column + 2 * t;
        to[0] = s[0]; to[1] = s[1]; to[8 * n] = s[2]; to[8 * n + 1] = s[3];
    }
}

// Bytes, k by 32.
extern "C" __global__ void mma_bytes(const signed char *a, const signed char *b, int *c, int n, int k) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4, row = blockIdx.y * 16 + g;
    for (int half = 0; half < 2; half++) {
        const int column = blockIdx.x * 16 + half * 8;
        int s[4] = {};
        for (int j = 0; j < k; j += 32) {
            const int *x = (const int *)(a + row * k + j), *z = (const int *)(a + (row + 8) * k + j), *y = (const int *)(b + (column + g) * k + j);
            asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+r"(s[0]), "+r"(s[1]), "+r"(s[2]), "+r"(s[3]) : "r"(x[t]), "r"(z[t]), "r"(x[t + 4]), "r"(z[t + 4]), "r"(y[t]), "r"(y[t + 4]));
        }
        int *to = c + row * n + column + 2 * t;
        to[0] = s[0]; to[1] = s[1]; to[8 * n] = s[2]; to[8 * n + 1] = s[3];
    }
}
