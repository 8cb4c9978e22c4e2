// histogram: how often each bin number occurs, counted per block in shared memory and then added up.
//
// Shapes:     bin_of[n], counts[bins]; the counts are ADDED to `counts`, which the caller sets to 0 first.
//             n = 0 touches no global memory.
// Types:      bin_of int, counts unsigned int, n size_t, bins int. Numbers outside [0, bins) are not counted.
// Launch:     grid (any >= 1), block (any), dynamic shared memory of bins * 4 bytes. The grid-stride loop covers every
//             n; a few blocks per multiprocessor are enough.
// Reference:  counts[b] <- counts[b] + (number of i with bin_of[i] == b)
// Tolerance:  exact (modulo 2^32)

extern "C" __global__ void histogram(const int* __restrict__ bin_of, unsigned int* __restrict__ counts, size_t n,
                                     int bins)
{
    extern __shared__ unsigned int block_counts[];
    for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) {
        block_counts[bin] = 0;
    }
    __syncthreads();

    const size_t stride = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
        const int bin = bin_of[i];
        if (0 <= bin && bin < bins) {
            atomicAdd(&block_counts[bin], 1u);
        }
    }
    __syncthreads();

    for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) {
        // Bins that this block never met cost no global atomic; with n = 0 that is all of them.
        if (const unsigned int count = block_counts[bin]) {
            atomicAdd(&counts[bin], count);
        }
    }
}
