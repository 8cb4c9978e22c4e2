"""What the reader of a page with Python has already: what runs in front of its blocks, and stands there for mypy."""

from __future__ import annotations

KERNELS = '''
import numpy as np
import jitload
from pathlib import Path

Path("saxpy.cu").write_text("""extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
""")

@jitload.jit_kernel(file="saxpy.cu")
def saxpy(a: float, x: np.ndarray, y: np.ndarray, n: int) -> None: ...

@jitload.jit_kernel(source="template <class T, int B> __global__ void reduce(T *x, T *y, int n) {}", entry="reduce<{T}, 32>")
def reduce(x: np.ndarray, out: np.ndarray, n: int, *, T: str = ...) -> None: ...
'''
BLOBS = """
import jitload
key = "a" * 64
def produce() -> bytes: return b"made"
"""
CUDA_CORE = """
source = 'extern "C" __global__ void k(int *x) { *x = 1; }'
"""
FLEET = """
import jitload
from jitload.workloads.workload import Workload
with jitload.record("app.jlw"):
    jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind="cubin", arch="sm_90")
archs = ["sm_80"]
"""
TEXTURE = """
import numpy as np
import jitload
image = np.arange(12, dtype=np.float32).reshape(3, 4)
out, width, height, grid, block = np.zeros((3, 4), np.float32), 4, 3, 1, (4, 3)

@jitload.jit_kernel(source='''extern "C" __global__ void warp(cudaTextureObject_t texture, float *out, int w, int h)
{ int x = threadIdx.x, y = threadIdx.y; out[y * w + x] = tex2D<float>(texture, (x + 0.5f) / w, (y + 0.5f) / h); }''')
def warp(texture: jitload.Texture, out: np.ndarray, width: int, height: int) -> None: ...
"""
SURFACE = '''
@jitload.jit_kernel(source="""extern "C" __global__ void blur(cudaSurfaceObject_t surface, int w, int h)
{ int x = threadIdx.x, y = threadIdx.y; if (x < w && y < h) surf2Dwrite(1.0f, surface, x * 4, y); }""")
def blur(surface: jitload.Surface, width: int, height: int) -> None: ...
'''
TENSOR = '''
left, right, out, k = (np.zeros((128, 64), np.float16), np.zeros((128, 64), np.float16), np.zeros((64, 64), np.float16), 64)
grid, block = 1, (32, 1)

@jitload.jit_kernel(source="""#include <cuda.h>
extern "C" __global__ void product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                   const __grid_constant__ CUtensorMap out, int k) {}""")
def product(a: jitload.TensorMap, b: jitload.TensorMap, out: jitload.TensorMap, k: int) -> None: ...
'''
#: The kernel of examples/bank_conflicts.py: line 7 reads rows, and line 9 columns of the tile.
TRANSPOSE = '''
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
'''
CONSTANT = """
import numpy as np
import jitload

@jitload.jit_kernel(source='''namespace filters { __constant__ float taps[3]; }
extern "C" __global__ void smooth(float *x) { x[threadIdx.x] *= filters::taps[threadIdx.x]; }''')
def smooth(x: np.ndarray) -> None: ...

kernel, taps, held = smooth, np.array([1, 2, 3], np.float32), np.zeros(3, np.float32)
kernel.kernel()
module = kernel.module
"""
UNITS = '''
import numpy as np
from pathlib import Path
import jitload
main = """extern "C" __device__ int helped();
extern "C" __global__ void step(int *x, int n) { *x = helped() + n; }
template <class T> __global__ void reduce(T *x) { *x += helped(); }
"""
for name, written in {
    "main.cu": main,
    "helpers.cu": 'extern "C" __device__ int helped() { return 42; }',
    "scale.cu": 'extern "C" __global__ void scale(int *x) { *x *= 2; }',
}.items():
    Path(name).write_text(written)
paths = [Path("main.cu"), Path("helpers.cu")]
ptx_bytes = jitload.compile(Path("scale.cu"), kind="ptx", arch="compute_80").data
unit = jitload.compile(Path("scale.cu"), kind="ltoir", arch="sm_80", options=["-rdc=true"])
mine = jitload.compile(Path("helpers.cu"), kind="cubin", arch="sm_90", options=["-rdc=true"]).data
head = f"{'mine.o/':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(mine):<10}`\\n"
Path("libmine.a").write_bytes(b"!<arch>\\n" + head.encode() + mine + b"\\n" * (len(mine) % 2))
'''
#: Page -> what its reader has already, block by block, besides what was there for the ones before; None where the test
#: that is named elsewhere runs the block.
GIVEN: dict[str, tuple[str | None, ...]] = {
    "docs/arguments.md": ("import numpy as np\nimport jitload", 'from pathlib import Path; Path("reduce.cu").touch()'),
    "docs/bundles.md": (KERNELS,),
    "docs/cpu.md": (TEXTURE, SURFACE, TENSOR, TRANSPOSE),
    "docs/debugging.md": ("import jitload",),
    "docs/fleet.md": (FLEET,),
    "docs/gpu.md": (CONSTANT,),
    "docs/interop.md": (BLOBS, CUDA_CORE, None),
    "docs/linking.md": (UNITS, ""),
    "docs/reference/more.md": ("", ""),
    **{f"docs/reference/{name}.md": ("",) for name in ("cache", "compile", "errors", "launch", "load", "values")},
}
