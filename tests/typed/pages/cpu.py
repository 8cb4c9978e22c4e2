
import numpy as np
import jitload
image = np.arange(12, dtype=np.float32).reshape(3, 4)
out, width, height, grid, block = np.zeros((3, 4), np.float32), 4, 3, 1, (4, 3)

@jitload.jit_kernel(source='''extern "C" __global__ void warp(cudaTextureObject_t texture, float *out, int w, int h)
{ int x = threadIdx.x, y = threadIdx.y; out[y * w + x] = tex2D<float>(texture, (x + 0.5f) / w, (y + 0.5f) / h); }''')
def warp(texture: jitload.Texture, out: np.ndarray, width: int, height: int) -> None: ...

with jitload.Texture(image, filter="linear", address="wrap", normalized=True) as texture:
    warp[grid, block](texture, out, width, height)        # cudaTextureObject_t texture


@jitload.jit_kernel(source="""extern "C" __global__ void blur(cudaSurfaceObject_t surface, int w, int h)
{ int x = threadIdx.x, y = threadIdx.y; if (x < w && y < h) surf2Dwrite(1.0f, surface, x * 4, y); }""")
def blur(surface: jitload.Surface, width: int, height: int) -> None: ...

with jitload.Surface(image) as surface:
    blur[grid, block](surface, width, height)             # cudaSurfaceObject_t surface
    image = surface.read()


left, right, out, k = (np.zeros((128, 64), np.float16), np.zeros((128, 64), np.float16), np.zeros((64, 64), np.float16), 64)
grid, block = 1, (32, 1)

@jitload.jit_kernel(source="""#include <cuda.h>
extern "C" __global__ void product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                   const __grid_constant__ CUtensorMap out, int k) {}""")
def product(a: jitload.TensorMap, b: jitload.TensorMap, out: jitload.TensorMap, k: int) -> None: ...

a, b = (jitload.TensorMap(x, (rows, 64), swizzle=128) for x, rows in ((left, 64), (right, 128)))
product[grid, block](a, b, jitload.TensorMap(out, (64, 64), swizzle=128), k)    # const __grid_constant__ CUtensorMap


from pathlib import Path
Path("transpose.cu").write_text("""extern "C" __global__ void transpose(const float *x, float *y, int n)
{
    __shared__ float tile[32][32];
    int i = blockIdx.x * 32 + threadIdx.x, j = blockIdx.y * 32 + threadIdx.y;
    int k = blockIdx.y * 32 + threadIdx.x, l = blockIdx.x * 32 + threadIdx.y;

    tile[threadIdx.y][threadIdx.x] = x[j * n + i];
    __syncthreads();
    y[l * n + k] = tile[threadIdx.x][threadIdx.y];
}
""")
@jitload.jit_kernel(file="transpose.cu")
def transpose(x: np.ndarray, y: np.ndarray, n: int) -> None: ...
x, y = np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32)

with jitload.cpu_profile() as profile:                # every launch of this thread in the block
    transpose[(4, 4), (32, 32)](x, y, 128)
profile = jitload.cpu_profile(transpose, x, y, 128, grid=(4, 4), block=(32, 32))      # or one launch

print(profile)                                        # the tables below
assert profile.line(7).sectors_per_request == 4.0     # line 7 is coalesced: of the file that the kernel is in
assert profile.total.bank_conflicts == 0              # fails here: line 9 reads a column of the tile
profile.line(9).memory("shared", "load").wavefronts;  profile.kernel("transpose").divergent_branches
profile.to_json()                                     # the same bytes in every run; as_dict() gives the dict
