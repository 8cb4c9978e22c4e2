// Threads that work together without a library: warps, locks, tickets, flags, and the last block.
//
// Launch:  blocks of 128 unless a kernel says otherwise.

// Whoever took the branch elects a leader by activemask and ffs, which adds for all of them.
extern "C" __global__ void aggregated_atomics(const int *x, int *out, int *places, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || x[i] % 3) return;
    const unsigned int active = __activemask();
    const int leader = __ffs(active) - 1, rank = __popc(active & ((1u << (threadIdx.x & 31)) - 1));
    int start;
    if (rank == 0) start = atomicAdd(out, __popc(active));
    places[i] = __shfl_sync(active, start, leader) + rank;
}

// One lock for the grid; every thread adds to two counters that nobody else may see between.
extern "C" __global__ void spin_lock(int *lock, long long *counters, int rounds) {
    for (int k = 0; k < rounds; k++) {
        bool done = false;
        while (!done) {
            if (atomicCAS(lock, 0, 1) == 0) {
                __threadfence();
                volatile long long *shared = counters;
                const long long a = shared[0], b = shared[1];
                shared[0] = a + 1;
                shared[1] = b + a;
                __threadfence();
                atomicExch(lock, 0);
                done = true;
            }
        }
    }
}

// First come, first served; one thread per block, sleeping while it waits.
extern "C" __global__ void ticket_lock(unsigned int *next, volatile unsigned int *serving, int *order) {
    if (threadIdx.x) return;
    const unsigned int mine = atomicAdd(next, 1u);
    while (*serving != mine) __nanosleep(20);
    order[mine] = blockIdx.x;
    __threadfence();
    *serving = mine + 1;
}

// Every block waits for the one after it: flags between blocks, against the order in which they start.
extern "C" __global__ void flag_chain(volatile int *flags, volatile int *values) {
    const int b = blockIdx.x;
    if (!threadIdx.x) {
        if (b + 1 < gridDim.x) while (!flags[b + 1]) {}
        __threadfence();
        values[b] = (b + 1 < gridDim.x ? values[b + 1] : 0) + b;
        __threadfence();
        flags[b] = 1;
    }
}

__device__ unsigned int arrived;

// The block that finishes last adds the partial sums up, and resets the counter for the next launch.
extern "C" __global__ void last_block(const float *x, float *parts, float *total, int n) {
    __shared__ float sums[128];
    __shared__ bool last;
    float sum = 0;
    for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) sum += x[i];
    sums[threadIdx.x] = sum;
    for (int half = 64; half; half >>= 1) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (!threadIdx.x) {
        parts[blockIdx.x] = sums[0];
        __threadfence();
        last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && !threadIdx.x) {
        float all = 0;
        for (int b = 0; b < gridDim.x; b++) all += ((volatile float *)parts)[b];
        *total = all;
    }
}

// Producers and consumers of one block meet at named barriers, by the half-block.
extern "C" __global__ void named_barriers(const int *x, int *y, int rounds) {
    __shared__ int box[64];
    const int t = threadIdx.x & 63;
    for (int k = 0; k < rounds; k++) {
        if (threadIdx.x < 64) {
            asm volatile("bar.sync 1, 128;" ::: "memory");
            box[t] = x[k * 64 + t] * 2;
            asm volatile("bar.arrive 2, 128;" ::: "memory");
        } else {
            asm volatile("bar.arrive 1, 128;" ::: "memory");
            asm volatile("bar.sync 2, 128;" ::: "memory");
            y[k * 64 + t] = box[63 - t] + k;
        }
    }
}

// What the block agrees on.
extern "C" __global__ void block_votes(const int *x, int *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int count = __syncthreads_count(x[i] > 0), all = __syncthreads_and(x[i] > -90), any = __syncthreads_or(x[i] > 90);
    out[i] = count * 4 + (all != 0) * 2 + (any != 0);
}
