// Inclusive prefix sum of a vector of any length, in three launches on one stream:
//
//   1. scan_tiles<T, BLOCK>(x, y, tile_sums, n)        scans each tile of BLOCK elements on its own
//   2. scan_tile_sums<T, BLOCK>(tile_sums, tiles)      scans the sums of the tiles, in place
//   3. add_tile_offsets<T, BLOCK>(y, tile_sums, n)     adds to each tile what all tiles before it sum to
//
// Shapes:     x[n], y[n], not overlapping; tile_sums[tiles], tiles = ceil(n / BLOCK), scratch that ends up as the
//             inclusive scan of the sums. n = 0 touches no memory in any of the three.
// Types:      T any type with + and T(0) that shuffles take (float, double, int, ...); n, tiles size_t.
// Launch:     grid (any >= 1), block (BLOCK), no dynamic shared memory; BLOCK a multiple of 32 up to 1024. In 1 and 3
//             `tiles` blocks give each block one tile; in 2 the first block does all the work.
// Reference:  y[i] = x[0] + ... + x[i]
// Tolerance:  |error| <= (ceil(tiles / BLOCK) + 24) u * (|x[0]| + ... + |x[i]|), u = 2^-24 for float, 2^-53 for double:
//             two block scans of at most eleven additions, the carry, and the offset. Exact for integers that do not
//             overflow.
//
// Launch boundaries are the only global barriers: no block ever waits for another, whatever the order they run in.

constexpr int WARP_LANES = 32;
constexpr unsigned int ALL_LANES = 0xffffffffu;

template <typename T>
__device__ __forceinline__ T warp_scan(T value)
{
    const int lane = threadIdx.x % WARP_LANES;
#pragma unroll
    for (int offset = 1; offset < WARP_LANES; offset *= 2) {
        const T below = __shfl_up_sync(ALL_LANES, value, offset);
        if (lane >= offset) {
            value += below;
        }
    }
    return value;
}

// The inclusive scan over the threads of the block; `total` is the last thread's value, in every thread.
template <typename T, int BLOCK>
__device__ T block_scan(T value, T& total, T (&warp_sums)[BLOCK / WARP_LANES])
{
    static_assert(BLOCK % WARP_LANES == 0 && BLOCK >= WARP_LANES && BLOCK <= 1024, "BLOCK must be whole warps");
    constexpr int WARPS = BLOCK / WARP_LANES;
    const int lane = threadIdx.x % WARP_LANES;
    const int warp = threadIdx.x / WARP_LANES;

    value = warp_scan(value);
    if (lane == WARP_LANES - 1) {
        warp_sums[warp] = value;
    }
    __syncthreads();
    if (warp == 0) {
        const T sum = warp_scan(lane < WARPS ? warp_sums[lane] : T(0));
        if (lane < WARPS) {
            warp_sums[lane] = sum;
        }
    }
    __syncthreads();
    if (warp > 0) {
        value = warp_sums[warp - 1] + value;
    }
    total = warp_sums[WARPS - 1];
    __syncthreads();  // the next call overwrites warp_sums
    return value;
}

template <typename T, int BLOCK>
__global__ void __launch_bounds__(BLOCK)
    scan_tiles(const T* __restrict__ x, T* __restrict__ y, T* __restrict__ tile_sums, size_t n)
{
    __shared__ T warp_sums[BLOCK / WARP_LANES];
    const size_t tiles = n / BLOCK + (n % BLOCK != 0);

    for (size_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const size_t i = tile * BLOCK + threadIdx.x;
        T total;
        const T scanned = block_scan<T, BLOCK>(i < n ? x[i] : T(0), total, warp_sums);
        if (i < n) {
            y[i] = scanned;
        }
        if (threadIdx.x == 0) {
            tile_sums[tile] = total;
        }
    }
}

template <typename T, int BLOCK>
__global__ void __launch_bounds__(BLOCK) scan_tile_sums(T* __restrict__ tile_sums, size_t tiles)
{
    __shared__ T warp_sums[BLOCK / WARP_LANES];
    if (blockIdx.x != 0) {
        return;  // the carry below is sequential: one block does it all
    }
    T carry = T(0);
    for (size_t first = 0; first < tiles; first += BLOCK) {
        const size_t i = first + threadIdx.x;
        T total;
        const T scanned = block_scan<T, BLOCK>(i < tiles ? tile_sums[i] : T(0), total, warp_sums);
        if (i < tiles) {
            tile_sums[i] = carry + scanned;
        }
        carry += total;
    }
}

template <typename T, int BLOCK>
__global__ void __launch_bounds__(BLOCK)
    add_tile_offsets(T* __restrict__ y, const T* __restrict__ tile_sums, size_t n)
{
    const size_t stride = size_t(gridDim.x) * BLOCK;
    for (size_t i = size_t(blockIdx.x) * BLOCK + threadIdx.x; i < n; i += stride) {
        if (const size_t tile = i / BLOCK) {
            y[i] = tile_sums[tile - 1] + y[i];
        }
    }
}
