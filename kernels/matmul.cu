// matmul: the product of two matrices, by square tiles in shared memory.
//
// Shapes:     a[m][k], b[k][n], c[m][n], row-major and not overlapping. m = 0 or n = 0 touches no memory; k = 0 gives
//             zeros and reads nothing.
// Types:      a, b, c float; m, n, k unsigned int.
// Launch:     grid (any >= 1, any >= 1), block (16, 16), no dynamic shared memory. ceil(n / 16) by ceil(m / 16) blocks
//             give each block one tile of c; a smaller grid loops over them.
// Reference:  c[i][j] = sum over l of a[i][l] * b[l][j]
// Tolerance:  |error| <= (k + 2) u * (sum over l of |a[i][l]| |b[l][j]|), u = 2^-24: one fma after the other along k.

constexpr int TILE = 16;

extern "C" __global__ void __launch_bounds__(TILE* TILE)
    matmul(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, unsigned int m,
           unsigned int n, unsigned int k)
{
    __shared__ float a_tile[TILE][TILE];
    __shared__ float b_tile[TILE][TILE];
    const int tx = threadIdx.x;
    const int ty = threadIdx.y;

    const size_t row_stride = size_t(gridDim.y) * TILE;
    const size_t col_stride = size_t(gridDim.x) * TILE;
    for (size_t first_row = size_t(blockIdx.y) * TILE; first_row < m; first_row += row_stride) {
        for (size_t first_col = size_t(blockIdx.x) * TILE; first_col < n; first_col += col_stride) {
            const size_t row = first_row + ty;
            const size_t col = first_col + tx;
            float sum = 0.0f;

            for (size_t first = 0; first < k; first += TILE) {
                // Zeros past the edges: the inner loop needs no bounds, and 0 * 0 adds nothing.
                a_tile[ty][tx] = row < m && first + tx < k ? a[row * k + first + tx] : 0.0f;
                b_tile[ty][tx] = first + ty < k && col < n ? b[(first + ty) * n + col] : 0.0f;
                __syncthreads();
#pragma unroll
                for (int l = 0; l < TILE; ++l) {
                    sum = fmaf(a_tile[ty][l], b_tile[l][tx], sum);
                }
                __syncthreads();  // the next step overwrites the tiles
            }

            if (row < m && col < n) {
                c[row * n + col] = sum;
            }
        }
    }
}
