// Collectives of the cooperative-groups library.
//
// Launch:  blocks of 128 (multiples of 32), one thread per element; grid_total cooperatively, any grid.

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;

template <class Tile>
__device__ int tile_total(const Tile &tile, int value) {
    for (int step = tile.size() / 2; step; step /= 2) value += tile.shfl_xor(value, step);
    return value;
}

// Sums of 4, 8, 16 and 32 neighbours.
extern "C" __global__ void tiled_partition(const int *x, int4 *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const cg::thread_block block = cg::this_thread_block();
    out[i] = make_int4(tile_total(cg::tiled_partition<4>(block), x[i]), tile_total(cg::tiled_partition<8>(block), x[i]),
                       tile_total(cg::tiled_partition<16>(block), x[i]), tile_total(cg::tiled_partition<32>(block), x[i]));
}

extern "C" __global__ void library_reductions(const int *x, int *sums, int *largest, int *before, float *floats) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    sums[i] = cg::reduce(tile, x[i], cg::plus<int>());
    largest[i] = cg::reduce(tile, x[i], cg::greater<int>());
    before[i] = cg::exclusive_scan(tile, x[i]);
    floats[i] = cg::reduce(tile, (float)x[i], cg::plus<float>());
}

// Only the lanes that came this way take part.
extern "C" __global__ void coalesced_total(const int *x, int *total, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || x[i] <= 0) return;
    const cg::coalesced_group group = cg::coalesced_threads();
    const int sum = cg::reduce(group, x[i], cg::plus<int>());
    if (group.thread_rank() == 0) atomicAdd(total, sum);
}

extern "C" __global__ void labelled_groups(const int *x, int *size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const auto warp = cg::tiled_partition<32>(cg::this_thread_block());
    const auto same = cg::labeled_partition(warp, x[i]);
    size[i] = same.size() * 100 + same.thread_rank();
}

// Whoever took the branch counts as a group; its first thread adds for all of them.
extern "C" __global__ void coalesced_count(const int *x, int *count, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (x[i] > 0) {
        const cg::coalesced_group group = cg::coalesced_threads();
        if (group.thread_rank() == 0) atomicAdd(count, (int)group.size());
        int total = 0;
        for (int rank = 0; rank < group.size(); rank++) total += group.shfl(x[i], rank);
        if (group.thread_rank() == 0) atomicAdd(count + 1, total);
    }
}

// Halves an array again and again with the whole grid in step.
extern "C" __global__ void grid_total(int *x, int n) {
    const cg::grid_group grid = cg::this_grid();
    while (n > 1) {
        const int half = (n + 1) / 2;
        for (int i = grid.thread_rank(); i + half < n; i += grid.size()) x[i] += x[i + half];
        grid.sync();
        n = half;
    }
}
