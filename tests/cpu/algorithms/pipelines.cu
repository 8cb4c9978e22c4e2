// Copies that run ahead: cp.async with two and three stages, and barriers and atomics of libcu++.
//
// Launch:  double_buffered, staged: blocks of 64; produce_consume: one block of 128; atomics: any.
// Needs:   compute_80.

#include <cuda/atomic>
#include <cuda/barrier>
#pragma nv_diag_suppress static_var_with_dynamic_init

__device__ void copy16(void *to, const void *from, bool valid = true) {
    const unsigned int target = __cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from), "r"(valid ? 16 : 0) : "memory");
}

// Row sums of tiles of 256 floats: the next tile is on its way while this one is added up.
extern "C" __global__ void double_buffered(const float4 *x, float *out, int tiles, int n) {
    __shared__ float4 stage[2][64];
    float sum = 0;
    copy16(&stage[0][threadIdx.x], x + threadIdx.x, threadIdx.x * 4 < n);
    asm volatile("cp.async.commit_group;");
    for (int tile = 0; tile < tiles; tile++) {
        const int next = (tile + 1) * 64 + threadIdx.x;
        if (tile + 1 < tiles) copy16(&stage[(tile + 1) & 1][threadIdx.x], x + (next * 4 < n ? next : 0), next * 4 < n);
        asm volatile("cp.async.commit_group;");
        asm volatile("cp.async.wait_group 1;");
        __syncthreads();
        const float4 v = stage[tile & 1][63 - threadIdx.x];
        sum += v.x + v.y + v.z + v.w;
        __syncthreads();
    }
    out[threadIdx.x] = sum;
}

// A ring of three stages in dynamic shared memory, 4 bytes per copy.
extern "C" __global__ void staged(const int *x, int *out, int steps) {
    extern __shared__ int ring[];
    const int t = threadIdx.x;
    for (int ahead = 0; ahead < 2; ahead++) {
        if (ahead < steps) asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((unsigned)__cvta_generic_to_shared(ring + ahead * 64 + t)), "l"(x + ahead * 64 + t) : "memory");
        asm volatile("cp.async.commit_group;");
    }
    for (int step = 0; step < steps; step++) {
        if (step + 2 < steps) asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((unsigned)__cvta_generic_to_shared(ring + (step + 2) % 3 * 64 + t)), "l"(x + (step + 2) * 64 + t) : "memory");
        asm volatile("cp.async.commit_group; cp.async.wait_group 2;");
        __syncthreads();
        out[step * 64 + t] = ring[step % 3 * 64 + (t + 1) % 64];
        __syncthreads();
    }
}

using Barrier = cuda::barrier<cuda::thread_scope_block>;

// Half of the block fills a box, the other half empties it; two barriers say full and empty.
extern "C" __global__ void produce_consume(const int *x, int *out, int rounds) {
    __shared__ Barrier full, empty;
    __shared__ int box[64];
    if (!threadIdx.x) { init(&full, blockDim.x); init(&empty, blockDim.x); }
    __syncthreads();
    const int t = threadIdx.x % 64;
    for (int round = 0; round < rounds; round++) {
        if (threadIdx.x < 64) {
            empty.arrive_and_wait();
            box[t] = x[round * 64 + t] + 1;
            (void)full.arrive();
        } else {
            (void)empty.arrive();
            full.arrive_and_wait();
            out[round * 64 + t] = box[63 - t];
        }
    }
}

// Largest value by compare-and-exchange, a counter, and a flag that hands data over.
extern "C" __global__ void atomics(const int *x, int *largest, unsigned long long *sum, int *message, int *received, int n) {
    cuda::atomic_ref<int, cuda::thread_scope_device> top(*largest);
    cuda::atomic_ref<unsigned long long, cuda::thread_scope_device> total(*sum);
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        int seen = top.load(cuda::memory_order_relaxed);
        while (seen < x[i] && !top.compare_exchange_weak(seen, x[i], cuda::memory_order_acq_rel)) {}
        total.fetch_add(x[i], cuda::memory_order_relaxed);
    }
    cuda::atomic_ref<int, cuda::thread_scope_device> flag(message[1]);
    if (threadIdx.x == 0 && blockIdx.x == gridDim.x - 1) {
        message[0] = 42;
        flag.store(1, cuda::memory_order_release);
        flag.notify_all();
    }
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        while (flag.load(cuda::memory_order_acquire) == 0) {}
        *received = message[0];
    }
}
