import numpy as np
import jitload

source = """
__constant__ float factor;
extern "C" __global__ void sample(cudaTextureObject_t image, float *x)
{
    x[threadIdx.x] = factor * tex2D<float>(image, threadIdx.x + 0.5f, 0.5f);
}
"""
module = jitload.compile(source).load()               # for the device that is here
kernel: jitload.Kernel = module["sample"]
factor: jitload.DeviceGlobal = module.get_global("factor")
factor.copy_from(np.array([2], np.float32))

x = np.zeros(8, np.float32)
with jitload.Texture(np.arange(8, dtype=np.float32).reshape(1, 8)) as image:
    kernel[1, 8](image, x)
    profile: jitload.CpuProfile = jitload.cpu_profile(kernel, image, x, grid=1, block=8)
with jitload.Surface(np.zeros((1, 8), np.float32)) as surface:  # what surf2Dread and surf2Dwrite take
    held = surface.read()
tiles = jitload.TensorMap(np.zeros((64, 64), np.float32), (16, 16))     # boxes of TMA: a CUtensorMap parameter
assert x[3] == 6 and profile.total.divergent_branches == 0

cubin = jitload.compile(source, kind="cubin", arch="sm_90")
found: jitload.Occupancy = jitload.occupancy(cubin, 256)
assert found.warps_per_sm == 64
