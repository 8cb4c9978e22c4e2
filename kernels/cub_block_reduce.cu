// tile_dot<T, BLOCK, ITEMS>: the dot product of two vectors, tile by tile, with cub::BlockReduce.
//
// Shapes:     x[n], y[n], out[ceil(n / (BLOCK ITEMS))]: one sum per tile of BLOCK * ITEMS elements. n = 0 has no tile:
//             nothing is read or written, and the dot product is 0.
// Types:      T any arithmetic type; n size_t.
// Launch:     grid (any >= 1), block (BLOCK), no dynamic shared memory. ceil(n / (BLOCK ITEMS)) blocks give each block
//             one tile; a smaller grid loops over them.
// Reference:  out[t] = sum of x[i] * y[i] for BLOCK ITEMS t <= i < min(n, BLOCK ITEMS (t + 1))
// Tolerance:  |error| <= (ITEMS + ceil(BLOCK / 32) + 7) u * (sum of |x[i] y[i]| over the tile), u = 2^-24 for float,
//             2^-53 for double: the additions of one thread, of one warp, and of the warps. Exact for integers that do
//             not overflow.

// CUB 2.8 meets its own deprecated traits and, unlike nvcc, NVRTC does not treat its headers as system headers.
#define CCCL_IGNORE_DEPRECATED_API
#include <cub/block/block_reduce.cuh>

template <typename T, int BLOCK, int ITEMS>
__global__ void __launch_bounds__(BLOCK)
    tile_dot(const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ out, size_t n)
{
    using BlockReduce = cub::BlockReduce<T, BLOCK>;
    constexpr size_t TILE = size_t(BLOCK) * ITEMS;

    __shared__ typename BlockReduce::TempStorage storage;
    const size_t tiles = n / TILE + (n % TILE != 0);

    for (size_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        // Striped: neighbouring threads read neighbouring elements in each step.
        T products[ITEMS];
#pragma unroll
        for (int item = 0; item < ITEMS; ++item) {
            const size_t i = tile * TILE + size_t(item) * BLOCK + threadIdx.x;
            products[item] = i < n ? x[i] * y[i] : T(0);
        }

        const T sum = BlockReduce(storage).Sum(products);  // complete in thread 0 only
        if (threadIdx.x == 0) {
            out[tile] = sum;
        }
        __syncthreads();  // the next tile reuses the storage
    }
}
