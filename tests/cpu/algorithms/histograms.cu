// Histograms of bytes, in five ways.
//
// Shapes:  x[n] unsigned char, bins[256] unsigned int, zeroed before (scalar results likewise).
// Launch:  any grid of blocks of at least 32 threads, except in_registers: one warp.

extern "C" __global__ void global_atomics(const unsigned char *x, unsigned int *bins, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[x[i]], 1u);
}

extern "C" __global__ void privatised(const unsigned char *x, unsigned int *bins, int n) {
    __shared__ unsigned int own[256];
    for (int b = threadIdx.x; b < 256; b += blockDim.x) own[b] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&own[x[i]], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < 256; b += blockDim.x)
        if (own[b]) atomicAdd(&bins[b], own[b]);
}

// Lanes with the same byte elect one of them, which adds for all.
extern "C" __global__ void matched(const unsigned char *x, unsigned int *bins, int n) {
    const int lane = threadIdx.x & 31;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const unsigned int active = __activemask();
        const unsigned int same = __match_any_sync(active, (int)x[i]);
        if (__ffs(same) - 1 == lane) atomicAdd(&bins[x[i]], (unsigned int)__popc(same));
    }
}

// Four 8-bit counters per word of a private column: bytes loaded four at a time.
extern "C" __global__ void packed_counters(const uchar4 *x, unsigned int *bins, int quads) {
    __shared__ unsigned char own[32][64];
    const int t = threadIdx.x;
    for (int b = 0; b < 64; b++) own[t][b] = 0;
    for (int i = t; i < quads; i += 32) {
        const uchar4 four = x[i];
        own[t][four.x >> 2]++; own[t][four.y >> 2]++; own[t][four.z >> 2]++; own[t][four.w >> 2]++;
    }
    __syncwarp();
    for (int b = t; b < 64; b += 32) {
        unsigned int sum = 0;
        for (int row = 0; row < 32; row++) sum += own[row][b];
        bins[b] = sum;
    }
}

// The extremes of floats by integer atomics on ordered keys.
extern "C" __global__ void extremes(const float *x, int *smallest, int *largest, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int key = __float_as_int(x[i]);
    key = key < 0 ? key ^ 0x7fffffff : key;
    atomicMin(smallest, key);
    atomicMax(largest, key);
}
