// Block-wide collectives of CUB.
//
// Shapes:  x[blocks][256], 2 elements per thread.
// Launch:  blocks of 128.

#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

extern "C" __global__ void reduce(const int *x, int *sum, int *largest) {
    using Reduce = cub::BlockReduce<int, 128>;
    __shared__ typename Reduce::TempStorage storage;
    int items[2] = {x[blockIdx.x * 256 + 2 * threadIdx.x], x[blockIdx.x * 256 + 2 * threadIdx.x + 1]};
    const int total = Reduce(storage).Sum(items);
    __syncthreads();
    const int top = Reduce(storage).Reduce(max(items[0], items[1]), [](int a, int b) { return a > b ? a : b; });
    if (!threadIdx.x) { sum[blockIdx.x] = total; largest[blockIdx.x] = top; }
}

extern "C" __global__ void scan(const int *x, int *before, int *total) {
    using Scan = cub::BlockScan<int, 128>;
    __shared__ typename Scan::TempStorage storage;
    int items[2] = {x[blockIdx.x * 256 + 2 * threadIdx.x], x[blockIdx.x * 256 + 2 * threadIdx.x + 1]}, all;
    Scan(storage).ExclusiveSum(items, items, all);
    before[blockIdx.x * 256 + 2 * threadIdx.x] = items[0];
    before[blockIdx.x * 256 + 2 * threadIdx.x + 1] = items[1];
    total[blockIdx.x] = all;
}

extern "C" __global__ void sort(float *x, int *order) {
    using Sort = cub::BlockRadixSort<float, 128, 2, int>;
    __shared__ typename Sort::TempStorage storage;
    float keys[2];
    int values[2];
    for (int k = 0; k < 2; k++) { values[k] = 2 * threadIdx.x + k; keys[k] = x[blockIdx.x * 256 + values[k]]; }
    Sort(storage).Sort(keys, values);
    for (int k = 0; k < 2; k++) {
        x[blockIdx.x * 256 + 2 * threadIdx.x + k] = keys[k];
        order[blockIdx.x * 256 + 2 * threadIdx.x + k] = values[k];
    }
}
