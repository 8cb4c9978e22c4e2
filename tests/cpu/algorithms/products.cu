// Matrix products without tensor cores, and their relatives.
//
// Shapes:  a[m][k], b[k][n], c[m][n], row-major.
// Launch:  gemm_tiled, gemm_batched, transpose: blocks of 16 x 16 (transpose_padded 32 x 8) that cover c; gemm_registers
//          and gemm_vectors: blocks of 16 x 16 threads for 64 x 64 of c (gemm_vectors: m, n, k multiples of 64, 64, 16);
//          gemv: a warp per row; matrix_power: one block of s x s threads; fft: one block of n / 2, n a power of two.

#define TILE 16

__device__ void tile_product(const float *a, const float *b, float *c, int m, int n, int k) {
    __shared__ float A[TILE][TILE + 1], B[TILE][TILE + 1];
    const int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;
    for (int start = 0; start < k; start += TILE) {
        A[threadIdx.y][threadIdx.x] = row < m && start + threadIdx.x < k ? a[row * k + start + threadIdx.x] : 0;
        B[threadIdx.y][threadIdx.x] = start + threadIdx.y < k && column < n ? b[(start + threadIdx.y) * n + column] : 0;
        __syncthreads();
#pragma unroll
        for (int j = 0; j < TILE; j++) sum += A[threadIdx.y][j] * B[j][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

extern "C" __global__ void gemm_tiled(const float *a, const float *b, float *c, int m, int n, int k) { tile_product(a, b, c, m, n, k); }

extern "C" __global__ void gemm_batched(const float *a, const float *b, float *c, int m, int n, int k) {
    const int z = blockIdx.z;
    tile_product(a + z * m * k, b + z * k * n, c + z * m * n, m, n, k);
}

// 4 x 4 results per thread.
extern "C" __global__ void gemm_registers(const float *a, const float *b, float *c, int m, int n, int k, float alpha, float beta) {
    __shared__ float A[8][64], B[8][64];
    const int t = threadIdx.y * 16 + threadIdx.x, top = blockIdx.y * 64, left = blockIdx.x * 64;
    float sums[4][4] = {};
    for (int start = 0; start < k; start += 8) {
        for (int e = t; e < 512; e += 256) {
            const int r = e / 8, j = e % 8, jj = e / 64, cc = e % 64;
            A[j][r] = top + r < m && start + j < k ? a[(top + r) * k + start + j] : 0;
            B[jj][cc] = start + jj < k && left + cc < n ? b[(start + jj) * n + left + cc] : 0;
        }
        __syncthreads();
        for (int j = 0; j < 8; j++) {
            float x[4], y[4];
            for (int i = 0; i < 4; i++) { x[i] = A[j][threadIdx.y * 4 + i]; y[i] = B[j][threadIdx.x + 16 * i]; }
            for (int i = 0; i < 4; i++) for (int l = 0; l < 4; l++) sums[i][l] += x[i] * y[l];
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < 4; l++) {
            const int r = top + threadIdx.y * 4 + i, cc = left + threadIdx.x + 16 * l;
            if (r < m && cc < n) c[r * n + cc] = alpha * sums[i][l] + beta * c[r * n + cc];
        }
}

// 16 bytes per load and store.
extern "C" __global__ void gemm_vectors(const float4 *__restrict__ a, const float4 *__restrict__ b, float4 *__restrict__ c, int n, int k) {
    __shared__ __align__(16) float A[64][16];
    __shared__ float4 B[16][16];
    const int t = threadIdx.y * 16 + threadIdx.x, top = blockIdx.y * 64, left = blockIdx.x * 16;
    float4 sums[4] = {};
    for (int start = 0; start < k; start += 16) {
        *reinterpret_cast<float4 *>(&A[t / 4][t % 4 * 4]) = a[(top + t / 4) * (k / 4) + start / 4 + t % 4];
        B[t / 16][t % 16] = b[(start + t / 16) * (n / 4) + left + t % 16];
        __syncthreads();
#pragma unroll
        for (int j = 0; j < 16; j++) {
            const float4 y = B[j][threadIdx.x];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float x = A[threadIdx.y * 4 + i][j];
                sums[i].x += x * y.x; sums[i].y += x * y.y; sums[i].z += x * y.z; sums[i].w += x * y.w;
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++) c[(top + threadIdx.y * 4 + i) * (n / 4) + left + threadIdx.x] = sums[i];
}

// Bytes by fours: a[m][k] and the transposed b[n][k], k a multiple of 4.
extern "C" __global__ void gemm_dp4a(const int *a, const int *b, int *c, int m, int n, int k) {
    const int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m || column >= n) return;
    int sum = 0;
    for (int j = 0; j < k / 4; j++) sum = __dp4a(a[row * (k / 4) + j], b[column * (k / 4) + j], sum);
    c[row * n + column] = sum;
}

// Two times two in Strassen's seven products, each half of the matrices one element: checks a deep expression.
extern "C" __global__ void strassen(const double *a, const double *b, double *c, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const double *x = a + 4 * i, *y = b + 4 * i;
    const double p1 = (x[0] + x[3]) * (y[0] + y[3]), p2 = (x[2] + x[3]) * y[0], p3 = x[0] * (y[1] - y[3]);
    const double p4 = x[3] * (y[2] - y[0]), p5 = (x[0] + x[1]) * y[3];
    const double p6 = (x[2] - x[0]) * (y[0] + y[1]), p7 = (x[1] - x[3]) * (y[2] + y[3]);
    reinterpret_cast<double4 *>(c)[i] = make_double4(p1 + p4 - p5 + p7, p3 + p5, p2 + p4, p1 - p2 + p3 + p6);
}

extern "C" __global__ void gemv(const float *a, const float *x, float *y, int m, int n) {
    const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= m) return;
    float sum = 0;
    for (int c = lane; c < n; c += 32) sum += a[row * n + c] * x[c];
    for (int step = 16; step; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
    if (!lane) y[row] = sum;
}

extern "C" __global__ void transpose_padded(const double *x, double *y, int rows, int columns) {
    __shared__ double tile[32][33];
    int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (r + j < rows && c < columns) tile[threadIdx.y + j][threadIdx.x] = x[(r + j) * columns + c];
    __syncthreads();
    c = blockIdx.y * 32 + threadIdx.x;
    r = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (r + j < columns && c < rows) y[(r + j) * rows + c] = tile[threadIdx.x][threadIdx.y + j];
}

// Square and multiply modulo a prime below 2^31.
extern "C" __global__ void matrix_power(unsigned int *x, int side, unsigned int exponent, unsigned int modulus) {
    extern __shared__ unsigned int both[];
    const int r = threadIdx.y, c = threadIdx.x, at = r * side + c;
    unsigned int *base = both, *result = both + side * side;
    base[at] = x[at];
    result[at] = r == c;
    for (; exponent; exponent >>= 1) {
        unsigned long long times = 0, square = 0;
        __syncthreads();
        for (int j = 0; j < side; j++) {
            times += (unsigned long long)result[r * side + j] * base[j * side + c] % modulus;
            square += (unsigned long long)base[r * side + j] * base[j * side + c] % modulus;
        }
        __syncthreads();
        if (exponent & 1) result[at] = times % modulus;
        base[at] = square % modulus;
    }
    x[at] = result[at];
}

// Radix 2, decimation in time, in shared memory; inverse without the factor 1 / n.
extern "C" __global__ void fft(float2 *x, int n, int inverse) {
    extern __shared__ float2 data[];
    const int t = threadIdx.x, bits = 31 - __clz(n);
    for (int i = t; i < n; i += n / 2) data[__brev(i) >> (32 - bits)] = x[i];
    for (int half = 1; half < n; half *= 2) {
        __syncthreads();
        const int k = t % half, i = t / half * 2 * half + k, j = i + half;
        float s, c;
        sincosf((inverse ? 3.14159265f : -3.14159265f) * k / half, &s, &c);
        const float2 u = data[i], v = data[j];
        const float2 w = make_float2(v.x * c - v.y * s, v.x * s + v.y * c);
        data[i] = make_float2(u.x + w.x, u.y + w.y);
        data[j] = make_float2(u.x - w.x, u.y - w.y);
    }
    __syncthreads();
    for (int i = t; i < n; i += n / 2) x[i] = data[i];
}
