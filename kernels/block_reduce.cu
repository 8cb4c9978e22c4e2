// reduce<T, BLOCK>: sums of consecutive tiles of a vector, each by a tree in shared memory.
//
// Shapes:     x[n], out[ceil(n / (2 BLOCK))]: one sum per tile of 2 BLOCK elements. Launch it again on `out` until one
//             sum is left. n = 0 has no tile: nothing is read or written, and the caller's total is 0.
// Types:      T any type with + and T(0) (float, double, int, ...); n size_t.
// Launch:     grid (any >= 1), block (BLOCK), no dynamic shared memory; BLOCK a power of two. ceil(n / (2 BLOCK))
//             blocks give each block one tile; a smaller grid loops over them.
// Reference:  out[t] = sum of x[i] for 2 BLOCK t <= i < min(n, 2 BLOCK (t + 1))
// Tolerance:  |error| <= (2 + log2 BLOCK) u * (sum of |x[i]| over the tile), u = 2^-24 for float, 2^-53 for double: the
//             depth of the tree. Exact for integers that do not overflow.
//
// One sum per tile, not one atomic per block: the order of the additions depends on n and BLOCK only, so the result is
// the same bits on every run and for every grid.

template <typename T, int BLOCK>
__global__ void __launch_bounds__(BLOCK) reduce(const T* __restrict__ x, T* __restrict__ out, size_t n)
{
    static_assert(BLOCK > 0 && (BLOCK & (BLOCK - 1)) == 0, "BLOCK must be a power of two");
    constexpr size_t TILE = 2 * size_t(BLOCK);

    __shared__ T sums[BLOCK];
    const int thread = threadIdx.x;
    const size_t tiles = n / TILE + (n % TILE != 0);

    for (size_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        // The first addition happens on the way in; otherwise half of the threads would only ever load.
        const size_t i = tile * TILE + thread;
        T sum = i < n ? x[i] : T(0);
        if (i + BLOCK < n) {
            sum += x[i + BLOCK];
        }
        sums[thread] = sum;
        __syncthreads();

        for (int half = BLOCK / 2; half > 0; half /= 2) {
            if (thread < half) {
                sums[thread] += sums[thread + half];
            }
            __syncthreads();
        }

        // No barrier is needed before the next tile: after the last one only thread 0 reads, and only its own slot.
        if (thread == 0) {
            out[tile] = sums[0];
        }
    }
}
