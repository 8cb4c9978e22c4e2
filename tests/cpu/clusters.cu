// Kernels whose thread blocks work together in clusters, through each other's shared memory.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;

// Who and where every block is, as its own registers say.
extern "C" __global__ void places(unsigned* out) {
    cg::cluster_group cluster = cg::this_cluster();
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z), nx, ny, nz, cx, cy, cz;
    asm("mov.u32 %0, %%nclusterid.x; mov.u32 %1, %%nclusterid.y; mov.u32 %2, %%nclusterid.z;" : "=r"(nx), "=r"(ny), "=r"(nz));
    asm("mov.u32 %0, %%clusterid.x; mov.u32 %1, %%clusterid.y; mov.u32 %2, %%clusterid.z;" : "=r"(cx), "=r"(cy), "=r"(cz));
    dim3 at = cluster.block_index(), dims = cluster.dim_blocks();
    unsigned found[16] = {nx, ny, nz, cx, cy, cz, at.x, at.y, at.z, dims.x, dims.y, dims.z, cluster.block_rank(),
                          cluster.num_blocks(), (unsigned)__clusterDimIsSpecified(), cluster.thread_rank()};
    if (threadIdx.x == blockDim.x - 1)
        for (int i = 0; i < 16; i++) out[block * 16 + i] = found[i];
}

// Each block hands its numbers to the next of its cluster, once around and part of the way again.
extern "C" __global__ void ring(const int* in, int* out, int steps) {
    __shared__ int boxes[2][128];
    cg::cluster_group cluster = cg::this_cluster();
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    boxes[0][t] = in[i];
    for (int step = 0; step < steps; step++) {
        cluster.sync();
        const int* from = cluster.map_shared_rank(boxes[step & 1], (cluster.block_rank() + 1) % cluster.num_blocks());
        boxes[~step & 1][t] = from[t] + 1;
    }
    cluster.sync();
    out[i] = boxes[steps & 1][t];
}

// A histogram whose bins are shared out among the blocks of a cluster.
extern "C" __global__ void histogram(const unsigned* values, int n, unsigned* bins, int count) {
    extern __shared__ unsigned mine[];
    cg::cluster_group cluster = cg::this_cluster();
    int each = (count + cluster.num_blocks() - 1) / cluster.num_blocks();
    for (int i = threadIdx.x; i < each; i += blockDim.x) mine[i] = 0;
    cluster.sync();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        unsigned bin = values[i] % count;
        atomicAdd(cluster.map_shared_rank(mine, bin / each) + bin % each, 1u);
    }
    cluster.sync();
    for (int i = threadIdx.x; i < each; i += blockDim.x) {
        int bin = cluster.block_rank() * each + i;
        if (bin < count) atomicAdd(bins + bin, mine[i]);
    }
}

// Sums over rows: the blocks of a cluster share one row, the first of them adds what they found.
extern "C" __global__ void row_sums(const float* x, float* out, int columns) {
    __shared__ float part;
    cg::cluster_group cluster = cg::this_cluster();
    int row = blockIdx.y, first = cluster.block_rank() * blockDim.x + threadIdx.x;
    float sum = 0;
    for (int c = first; c < columns; c += cluster.num_blocks() * blockDim.x) sum += x[row * columns + c];
    if (!threadIdx.x) part = 0;
    __syncthreads();
    atomicAdd(&part, sum);
    cluster.sync();
    if (!cluster.block_rank() && !threadIdx.x) {
        float all = 0;
        for (unsigned r = 0; r < cluster.num_blocks(); r++) all += *cluster.map_shared_rank(&part, r);
        out[row] = all;
    }
    cluster.sync();
}

// Softmax of rows too long for one block: maxima and sums cross the cluster.
extern "C" __global__ void softmax(const float* x, float* y, int columns) {
    __shared__ float warps[32], both[2];
    float over_all[2] = {0, 0};
    cg::cluster_group cluster = cg::this_cluster();
    cg::thread_block block = cg::this_thread_block();
    int row = blockIdx.y, rank = cluster.block_rank(), width = cluster.num_blocks() * blockDim.x, t = threadIdx.x;
    for (int round = 0; round < 2; round++) {
        float found = round ? 0 : -3e38f;
        for (int c = rank * blockDim.x + t; c < columns; c += width) {
            float value = x[row * columns + c];
            found = round ? found + __expf(value - over_all[0]) : fmaxf(found, value);
        }
        for (int step = 16; step; step /= 2) {
            float other = __shfl_xor_sync(0xffffffff, found, step);
            found = round ? found + other : fmaxf(found, other);
        }
        if (t % 32 == 0) warps[t / 32] = found;
        block.sync();
        if (!t)
            for (int w = 1; w < (blockDim.x + 31) / 32; w++) warps[0] = round ? warps[0] + warps[w] : fmaxf(warps[0], warps[w]);
        cluster.sync();
        if (!t) {
            float all = warps[0];
            for (unsigned r = 1; r < cluster.num_blocks(); r++) {
                float other = cluster.map_shared_rank(warps, (rank + r) % cluster.num_blocks())[0];
                all = round ? all + other : fmaxf(all, other);
            }
            both[round] = all;
        }
        cluster.sync();
        over_all[round] = both[round];
    }
    for (int c = rank * blockDim.x + t; c < columns; c += width)
        y[row * columns + c] = __expf(x[row * columns + c] - over_all[0]) / over_all[1];
}
