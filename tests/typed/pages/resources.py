import jitload

source = """
extern "C" __global__ void __launch_bounds__(256) tile(const float *x, float *y)
{
    __shared__ float t[256];
    t[threadIdx.x] = x[blockIdx.x * 256 + threadIdx.x];
    __syncthreads();
    y[blockIdx.x * 256 + threadIdx.x] = t[255 - threadIdx.x];
}
"""
artifact = jitload.compile(source, kind="cubin", arch="sm_90")
taken = artifact.kernels["tile"].resources
assert taken and (taken.shared_bytes, taken.spill_store_bytes, taken.max_threads) == (1024, 0, 256)

found = jitload.occupancy(artifact, 256)
assert (found.blocks_per_sm, found.warps_per_sm, found.fraction) == (8, 64, 1.0)
print(found)                             # 8 blocks, 64 warps per multiprocessor (100%), limited by warps
assert jitload.occupancy(artifact, 256, shared_bytes=100 * 1024).limited_by == "shared memory"
assert jitload.occupancy(artifact.kernels["tile"], (16, 16), arch="sm_120").blocks_per_sm == 6
