// Prefix sums and what is built on them.
//
// Types:   int sums, except segmented_scan (float) and the look-back (unsigned int).
// Launch:  hillis_steele: one block, 8 bytes of shared memory per thread; blelloch: one block of n / 2 threads, n a power
//          of two, 4 n bytes; warp_scan, add_before, compact: blocks of 128; look_back: blocks of 128, any grid that
//          covers n, state zeroed before.

extern __shared__ int room[];

// Inclusive, two buffers that swap.
extern "C" __global__ void hillis_steele(const int *x, int *y, int n) {
    int *from = room, *to = room + blockDim.x;
    const int t = threadIdx.x;
    from[t] = t < n ? x[t] : 0;
    for (int step = 1; step < blockDim.x; step *= 2) {
        __syncthreads();
        to[t] = t >= step ? from[t] + from[t - step] : from[t];
        int *swap = from; from = to; to = swap;
    }
    if (t < n) y[t] = from[t];
}

// Exclusive, up and down a tree.
extern "C" __global__ void blelloch(const int *x, int *y, int n) {
    const int t = threadIdx.x;
    room[2 * t] = x[2 * t];
    room[2 * t + 1] = x[2 * t + 1];
    int step = 1;
    for (int d = n >> 1; d > 0; d >>= 1, step *= 2) {
        __syncthreads();
        if (t < d) room[step * (2 * t + 2) - 1] += room[step * (2 * t + 1) - 1];
    }
    if (!t) room[n - 1] = 0;
    for (int d = 1; d < n; d *= 2) {
        step >>= 1;
        __syncthreads();
        if (t < d) {
            const int a = step * (2 * t + 1) - 1, b = step * (2 * t + 2) - 1, left = room[a];
            room[a] = room[b];
            room[b] += left;
        }
    }
    __syncthreads();
    y[2 * t] = room[2 * t];
    y[2 * t + 1] = room[2 * t + 1];
}

__device__ int block_scan(int value, int *sums) {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const int before = __shfl_up_sync(0xffffffffu, value, step);
        if (lane >= step) value += before;
    }
    if (lane == 31) sums[warp] = value;
    __syncthreads();
    if (threadIdx.x < 4) {
        int sum = sums[threadIdx.x];
        for (int step = 1; step < 4; step *= 2) {
            const int before = __shfl_up_sync(0xfu, sum, step, 4);
            if (threadIdx.x >= step) sum += before;
        }
        sums[threadIdx.x] = sum;
    }
    __syncthreads();
    return value + (warp ? sums[warp - 1] : 0);
}

extern "C" __global__ void warp_scan(const int *x, int *y, int *totals, int n) {
    __shared__ int sums[4];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int sum = block_scan(i < n ? x[i] : 0, sums);
    if (i < n) y[i] = sum;
    if (threadIdx.x == 127) totals[blockIdx.x] = sum;
}

extern "C" __global__ void add_before(int *y, const int *totals, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && blockIdx.x) y[i] += totals[blockIdx.x - 1];
}

// One pass over the whole array: each block publishes its sum, then looks back for the sums before it. The upper two
// bits of a state tell whether it holds nothing, the block's own sum, or the sum of everything up to it.
extern "C" __global__ void look_back(const int *x, unsigned int *y, volatile unsigned int *state, unsigned int *tickets, int n) {
    __shared__ int sums[4];
    __shared__ unsigned int before, ticket;
    if (!threadIdx.x) ticket = atomicAdd(tickets, 1u);
    __syncthreads();
    const int i = ticket * blockDim.x + threadIdx.x;
    const unsigned int sum = block_scan(i < n ? x[i] : 0, sums);
    if (threadIdx.x == 127) {
        state[ticket] = sum | 1u << 30;
        __threadfence();
        unsigned int found = 0;
        for (int j = (int)ticket - 1; j >= 0;) {
            const unsigned int word = state[j];
            if (!(word >> 30)) continue;
            found += word & 0x3fffffffu;
            if (word >> 31) break;
            j--;
        }
        state[ticket] = ((found + sum) & 0x3fffffffu) | 2u << 30;
        before = found;
    }
    __syncthreads();
    if (i < n) y[i] = before + sum;
}

// Sums that start anew where a flag is set; one warp per 32 elements.
extern "C" __global__ void segmented_scan(const float *x, const unsigned char *flags, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31;
    float value = i < n ? x[i] : 0.0f;
    const unsigned int heads = __ballot_sync(0xffffffffu, i < n && flags[i]) | 1u;
    const int head = 31 - __clz(heads & (0xffffffffu >> (31 - lane)));
    for (int step = 1; step < 32; step *= 2) {
        const float before = __shfl_up_sync(0xffffffffu, value, step);
        if (lane - step >= head) value += before;
    }
    if (i < n) y[i] = value;
}

// Keeps the odd numbers, in order within a warp: ballot, popc, and one atomic per warp.
extern "C" __global__ void compact(const int *x, int *y, int *count, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31;
    const bool keep = i < n && (x[i] & 1);
    const unsigned int kept = __ballot_sync(0xffffffffu, keep);
    int start = 0;
    if (!lane) start = atomicAdd(count, __popc(kept));
    start = __shfl_sync(0xffffffffu, start, 0);
    if (keep) y[start + __popc(kept & ((1u << lane) - 1))] = x[i];
}
