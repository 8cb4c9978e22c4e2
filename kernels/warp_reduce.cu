// warp_reduce: the sum of a vector, by warp shuffles and one atomic per block.
//
// Shapes:     x[n], out[1]; the sum is ADDED to out[0], which the caller sets to 0 first. n = 0 touches no memory.
// Types:      x, out float; n size_t.
// Launch:     grid (any >= 1), block (a multiple of 32 up to 1024: the shuffles name all 32 lanes), no dynamic shared
//             memory. The grid-stride loop covers every n; a few blocks per multiprocessor are enough.
// Reference:  out[0] <- out[0] + sum of x[i]
// Tolerance:  |error| <= (ceil(n / (grid * block)) + grid + 11) u * (|out[0]| + sum of |x[i]|), u = 2^-24: the
//             additions of one thread, ten shuffle steps, and the atomics, whose order is not fixed.

constexpr int WARP_LANES = 32;
constexpr unsigned int ALL_LANES = 0xffffffffu;

__device__ __forceinline__ float warp_sum(float value)
{
#pragma unroll
    for (int offset = WARP_LANES / 2; offset > 0; offset /= 2) {
        value += __shfl_down_sync(ALL_LANES, value, offset);
    }
    return value;  // complete in lane 0 only
}

extern "C" __global__ void __launch_bounds__(1024)
    warp_reduce(const float* __restrict__ x, float* __restrict__ out, size_t n)
{
    __shared__ float warp_sums[WARP_LANES];
    const int lane = threadIdx.x % WARP_LANES;
    const int warp = threadIdx.x / WARP_LANES;
    const int warps = blockDim.x / WARP_LANES;

    const size_t first = size_t(blockIdx.x) * blockDim.x;
    const size_t stride = size_t(gridDim.x) * blockDim.x;
    float sum = 0.0f;
    for (size_t i = first + threadIdx.x; i < n; i += stride) {
        sum += x[i];
    }

    sum = warp_sum(sum);
    if (lane == 0) {
        warp_sums[warp] = sum;
    }
    __syncthreads();

    if (warp == 0) {
        sum = warp_sum(lane < warps ? warp_sums[lane] : 0.0f);
        // A block without elements stays away from `out`, which may be null when n is 0.
        if (lane == 0 && first < n) {
            atomicAdd(out, sum);
        }
    }
}
