// layernorm<BLOCK>: each row shifted to mean 0, scaled to variance 1, then to gamma and beta.
//
// Shapes:     x[rows][cols], y[rows][cols], row-major and not overlapping; gamma[cols], beta[cols].
//             rows = 0 or cols = 0 touches no memory.
// Types:      x, gamma, beta, y, eps float; rows, cols unsigned int.
// Launch:     grid (any >= 1), block (BLOCK), no dynamic shared memory; BLOCK a multiple of 32 up to 1024. One block
//             works on one row; with fewer blocks than rows each block takes several.
// Reference:  y = (x - mean) / sqrt(var + eps) * gamma + beta,  mean and (biased) variance over the row
// Tolerance:  |error| <= k u (|gamma| (|x^| + max|x| / sqrt(var + eps)) + |beta|), k = ceil(cols / BLOCK) + 24,
//             u = 2^-24, x^ the normalised value: the mean is as good as one sum over the row, the variance as another,
//             and rsqrtf is good to 2 ulp.
//
// Two passes, because mean(x^2) - mean(x)^2 cancels when the mean is large against the spread.

constexpr int WARP_LANES = 32;
constexpr unsigned int ALL_LANES = 0xffffffffu;

__device__ __forceinline__ float warp_sum(float value)
{
#pragma unroll
    for (int mask = WARP_LANES / 2; mask > 0; mask /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, mask);
    }
    return value;  // complete in every lane
}

template <int BLOCK>
__device__ float block_sum(float value, float (&warp_sums)[WARP_LANES])
{
    constexpr int WARPS = BLOCK / WARP_LANES;
    const int lane = threadIdx.x % WARP_LANES;
    value = warp_sum(value);
    if (lane == 0) {
        warp_sums[threadIdx.x / WARP_LANES] = value;
    }
    __syncthreads();
    // Every warp adds up the same numbers, which saves the barrier that handing the result round would cost.
    value = warp_sum(lane < WARPS ? warp_sums[lane] : 0.0f);
    __syncthreads();  // the next call overwrites warp_sums
    return value;
}

template <int BLOCK>
__global__ void __launch_bounds__(BLOCK)
    layernorm(const float* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,
              float* __restrict__ y, unsigned int rows, unsigned int cols, float eps)
{
    static_assert(BLOCK % WARP_LANES == 0 && BLOCK >= WARP_LANES && BLOCK <= 1024, "BLOCK must be whole warps");
    __shared__ float warp_sums[WARP_LANES];

    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const float* x_row = x + row * cols;
        float* y_row = y + row * cols;

        float sum = 0.0f;
        for (size_t c = threadIdx.x; c < cols; c += BLOCK) {
            sum += x_row[c];
        }
        const float mean = block_sum<BLOCK>(sum, warp_sums) / cols;

        float squares = 0.0f;
        for (size_t c = threadIdx.x; c < cols; c += BLOCK) {
            const float centred = x_row[c] - mean;
            squares += centred * centred;
        }
        const float scale = rsqrtf(block_sum<BLOCK>(squares, warp_sums) / cols + eps);

        for (size_t c = threadIdx.x; c < cols; c += BLOCK) {
            y_row[c] = (x_row[c] - mean) * scale * gamma[c] + beta[c];
        }
    }
}
