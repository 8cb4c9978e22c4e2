// transpose<T>: the transpose of a matrix, by tiles in shared memory, so that both sides move whole rows of a tile.
//
// Shapes:     x[rows][cols], y[cols][rows], row-major and not overlapping. rows = 0 or cols = 0 touches no memory.
// Types:      T any type that can be copied; rows, cols unsigned int.
// Launch:     grid (any >= 1, any >= 1), block (32, 8), no dynamic shared memory. ceil(cols / 32) by ceil(rows / 32)
//             blocks give each block one tile; a smaller grid loops over them.
// Reference:  y[c][r] = x[r][c]
// Tolerance:  exact

constexpr int TILE = 32;
constexpr int BLOCK_ROWS = 8;

template <typename T>
__global__ void __launch_bounds__(TILE* BLOCK_ROWS)
    transpose(const T* __restrict__ x, T* __restrict__ y, unsigned int rows, unsigned int cols)
{
    // One column of padding: a column of the tile then lies in 32 different banks (for 4-byte elements).
    __shared__ T tile[TILE][TILE + 1];

    const size_t row_stride = size_t(gridDim.y) * TILE;
    const size_t col_stride = size_t(gridDim.x) * TILE;
    for (size_t first_row = size_t(blockIdx.y) * TILE; first_row < rows; first_row += row_stride) {
        for (size_t first_col = size_t(blockIdx.x) * TILE; first_col < cols; first_col += col_stride) {
            const size_t col = first_col + threadIdx.x;
            for (int k = threadIdx.y; k < TILE; k += BLOCK_ROWS) {
                if (first_row + k < rows && col < cols) {
                    tile[k][threadIdx.x] = x[(first_row + k) * cols + col];
                }
            }
            __syncthreads();

            const size_t row = first_row + threadIdx.x;
            for (int k = threadIdx.y; k < TILE; k += BLOCK_ROWS) {
                if (first_col + k < cols && row < rows) {
                    y[(first_col + k) * rows + row] = tile[threadIdx.x][k];
                }
            }
            __syncthreads();  // the next tile overwrites what slower warps still read
        }
    }
}
