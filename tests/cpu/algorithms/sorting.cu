// Sorting networks, radix and counting sorts, and merging.
//
// Types:   keys are int (sorting networks), unsigned int (radix) or unsigned char (counting sort).
// Launch:  networks: one block per chunk of blockDim.x keys (a power of two), shared memory 4 bytes per thread;
//          radix_sort_block: one block of up to 1024 threads, shared memory 8 bytes per thread;
//          the other kernels: one thread per element, any grid that covers n.

extern __shared__ int keys[];

// Batcher's bitonic network over the keys of one block; short chunks are padded with the largest int.
extern "C" __global__ void bitonic_sort(int *x, int n) {
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    keys[t] = i < n ? x[i] : 0x7fffffff;
    for (int size = 2; size <= blockDim.x; size <<= 1) {
        for (int stride = size >> 1; stride; stride >>= 1) {
            __syncthreads();
            const int other = t ^ stride;
            if (other > t) {
                const bool up = (t & size) == 0;
                const int a = keys[t], b = keys[other];
                if ((a > b) == up) { keys[t] = b; keys[other] = a; }
            }
        }
    }
    __syncthreads();
    if (i < n) x[i] = keys[t];
}

// Odd-even merge sort: the other of Batcher's networks.
extern "C" __global__ void odd_even_merge_sort(int *x, int n) {
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    keys[t] = i < n ? x[i] : 0x7fffffff;
    __syncthreads();
    for (int p = 1; p < blockDim.x; p <<= 1) {
        for (int k = p; k; k >>= 1) {
            const bool low = t >= k % p && ((t - k % p) / k) % 2 == 0 && t + k < blockDim.x;
            if (low && t / (2 * p) == (t + k) / (2 * p) && keys[t] > keys[t + k]) {
                const int a = keys[t];
                keys[t] = keys[t + k];
                keys[t + k] = a;
            }
            __syncthreads();
        }
    }
    if (i < n) x[i] = keys[t];
}

// Odd-even transposition over one array in global memory by one block: a barrier per round.
extern "C" __global__ void transposition_sort(int *x, int n) {
    for (int round = 0; round < n; round++) {
        for (int i = 2 * threadIdx.x + (round & 1); i + 1 < n; i += 2 * blockDim.x) {
            const int a = x[i], b = x[i + 1];
            if (a > b) { x[i] = b; x[i + 1] = a; }
        }
        __syncthreads();
    }
}

// 32 stable splits by one bit, each a scan of the block built on ballots.
extern "C" __global__ void radix_sort_block(unsigned int *x, int n) {
    unsigned int *a = (unsigned int *)keys, *b = a + blockDim.x;
    __shared__ int zeros_before[33];
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5, warps = (blockDim.x + 31) >> 5;
    a[t] = t < n ? x[t] : 0xffffffffu;
    for (int bit = 0; bit < 32; bit++) {
        __syncthreads();
        const unsigned int key = a[t];
        const bool zero = !((key >> bit) & 1);
        const unsigned int vote = __ballot_sync(__activemask(), zero);
        if (!lane) zeros_before[warp] = __popc(vote);
        __syncthreads();
        if (!t) {
            int sum = 0;
            for (int w = 0; w <= warps; w++) { const int count = w < warps ? zeros_before[w] : 0; zeros_before[w] = sum; sum += count; }
        }
        __syncthreads();
        const int rank = zeros_before[warp] + __popc(vote & ((1u << lane) - 1));
        b[zero ? rank : zeros_before[warps] + t - rank] = key;
        unsigned int *swap = a; a = b; b = swap;
    }
    __syncthreads();
    if (t < n) x[t] = a[t];
}

// Counting sort of bytes: how often, where each value starts, where each element goes.
extern "C" __global__ void count_bytes(const unsigned char *x, unsigned int *count, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&count[x[i]], 1u);
}

extern "C" __global__ void starts_of(unsigned int *count) {
    __shared__ unsigned int sums[256];
    const int t = threadIdx.x;
    const unsigned int own = count[t];
    sums[t] = own;
    for (int step = 1; step < 256; step <<= 1) {
        __syncthreads();
        const unsigned int add = t >= step ? sums[t - step] : 0;
        __syncthreads();
        sums[t] += add;
    }
    count[t] = sums[t] - own;
}

extern "C" __global__ void place_bytes(const unsigned char *x, unsigned int *start, unsigned char *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[atomicAdd(&start[x[i]], 1u)] = x[i];
}

// Rank of each element by counting the smaller ones: stable, quadratic.
extern "C" __global__ void rank_sort(const float *x, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int rank = 0;
    for (int j = 0; j < n; j++) rank += x[j] < x[i] || (x[j] == x[i] && j < i);
    y[rank] = x[i];
}

// Merges two sorted arrays: every element finds its place in the other one by bisection.
extern "C" __global__ void merge(const long long *a, int na, const long long *b, int nb, long long *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= na + nb) return;
    const bool first = i < na;
    const long long key = first ? a[i] : b[i - na];
    const long long *other = first ? b : a;
    int low = 0, high = first ? nb : na;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (other[middle] < key || (!first && other[middle] == key)) low = middle + 1;
        else high = middle;
    }
    out[low + (first ? i : i - na)] = key;
}
