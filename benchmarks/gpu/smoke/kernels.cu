// What the step "smoke" launches.

__device__ float shift[4] = {1, 2, 3, 4};

extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

extern "C" __global__ void add_shift(float *x) { x[threadIdx.x] += shift[threadIdx.x % 4]; }

// Reverses a block through dynamic shared memory, of which the last float is written and read too.
extern "C" __global__ void reverse(float *x, int floats)
{
    extern __shared__ float dynamic[];
    if (threadIdx.x == 0) dynamic[floats - 1] = -1.0f;
    __syncthreads();
    dynamic[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = dynamic[floats - 1] == -1.0f ? dynamic[blockDim.x - 1 - threadIdx.x] : -2.0f;
}

// The same behind 4096 bytes that are there from the start.
extern "C" __global__ void reverse_static(float *x, int floats)
{
    __shared__ float fixed[1024];
    extern __shared__ float dynamic[];
    if (threadIdx.x == 0) dynamic[floats - 1] = -1.0f;
    fixed[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    dynamic[threadIdx.x] = fixed[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = dynamic[floats - 1] == -1.0f ? dynamic[threadIdx.x] : -2.0f;
}

extern "C" __global__ void cluster_sizes(unsigned *sizes)
{
    unsigned size;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    if (threadIdx.x == 0) sizes[blockIdx.x] = size;
}

extern "C" __global__ void out_of_bounds(float *x) { x[1ll << 40] = 1; }

extern "C" __global__ void slow(float *x, long long cycles)
{
    long long start = clock64();
    while (clock64() - start < cycles) { }
    x[0] += 1;
}
