"""Every Python block of README and docs runs: here, after what its reader has already, or in the test that is named."""

from __future__ import annotations

import contextlib
import pathlib
import re
import types

import pytest

import jitload

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")))

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
def saxpy(a, x, y, n): ...

@jitload.jit_kernel(source="template <class T, int B> __global__ void reduce(T *x, T *y, int n) {}", entry="reduce<{T}, 32>")
def reduce(x, out, n, *, T): ...
'''
BLOBS = """
import jitload
key, data = "a" * 64, b"made"
jitload.Cache.default().blobs("somebody").put(key, data)
def produce(): raise AssertionError("it is there")
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
def warp(texture, out, width, height): ...
"""
SURFACE = '''
@jitload.jit_kernel(source="""extern "C" __global__ void blur(cudaSurfaceObject_t surface, int w, int h)
{ int x = threadIdx.x, y = threadIdx.y; if (x < w && y < h) surf2Dwrite(1.0f, surface, x * 4, y); }""")
def blur(surface, width, height): ...
'''
TENSOR = '''
left, right, out, k = (np.zeros((128, 64), np.float16), np.zeros((128, 64), np.float16), np.zeros((64, 64), np.float16), 64)
grid, block = 1, 32

@jitload.jit_kernel(source="""#include <cuda.h>
extern "C" __global__ void product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                                   const __grid_constant__ CUtensorMap out, int k) {}""")
def product(a, b, out, k): ...
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
def transpose(x, y, n): ...
x, y = np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32)
'''
CONSTANT = """
import numpy as np
import jitload

@jitload.jit_kernel(source='''namespace filters { __constant__ float taps[3]; }
extern "C" __global__ void smooth(float *x) { x[threadIdx.x] *= filters::taps[threadIdx.x]; }''')
def smooth(x): ...

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
for name, text in {
    "main.cu": main,
    "helpers.cu": 'extern "C" __device__ int helped() { return 42; }',
    "scale.cu": 'extern "C" __global__ void scale(int *x) { *x *= 2; }',
}.items():
    Path(name).write_text(text)
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
    "docs/arguments.md": (KERNELS, 'from pathlib import Path; Path("reduce.cu").touch()'),
    "docs/bundles.md": (KERNELS,),
    "docs/cpu.md": (TEXTURE, SURFACE, TENSOR, TRANSPOSE),
    "docs/debugging.md": ("import jitload",),
    "docs/fleet.md": (FLEET,),
    "docs/gpu.md": (CONSTANT,),
    "docs/interop.md": (BLOBS, CUDA_CORE, None),
    "docs/linking.md": (UNITS, ""),
    **{f"docs/reference/{name}.md": ("",) for name in ("cache", "compile", "errors", "launch", "load", "values")},
}
#: Page -> the test that runs its blocks.
ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/frameworks.md": "tests/interop/test_torch.py",
    "docs/howto/author.md": "tests/test_docs.py",
    "docs/howto/ci.md": "tests/test_docs.py",
    "docs/howto/wheel.md": "tests/test_docs.py",
    "docs/interop.md": "tests/interop/test_cupy.py",
    "docs/modules.md": "tests/interop/test_docs.py",
    "docs/resources.md": "tests/test_readme.py",
    "docs/settings.md": "tests/test_docs.py",
    "docs/start.md": "tests/test_docs.py",
}
#: The scheduler of a page, in whose place comes one that runs here.
DASK = "tcp://scheduler:8786"
#: What a block imports that is not here everywhere.
NEEDED = {"cuda.core": "cuda.core", "distributed": "distributed"}


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)\n```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def test_every_page_with_python_is_run():
    assert [page for page in PAGES if python_blocks(page)] == sorted({**GIVEN, **ELSEWHERE})
    for page, test in ELSEWHERE.items():
        assert pathlib.Path(page).name in (ROOT / test).read_text(), f"{test} does not name {page}"
    for page, given in GIVEN.items():
        assert len(given) == len(python_blocks(page)), page
        assert None not in given or page in ELSEWHERE, page


def run(text: str, path: pathlib.Path) -> None:
    path.write_text(text)
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), module.__dict__)


CASES = [(page, number) for page, given in GIVEN.items() for number, one in enumerate(given) if one is not None]


@pytest.mark.parametrize(("page", "number"), CASES, ids=[f"{page}-{number}" for page, number in CASES])
def test_a_block_runs(page, number, tmp_path, monkeypatch):
    """After what its reader has; a line that says that it fails is left out."""
    monkeypatch.chdir(tmp_path)
    block = python_blocks(page)[number]
    for imported, package in NEEDED.items():
        if imported in block:
            pytest.importorskip(package, reason=f"{package} is not installed")
    lines = [line for line in block.splitlines() if "# fails here" not in line]
    text = "\n".join([*GIVEN[page][: number + 1], *lines])
    with jitload.Session(), jitload.configure(device="cpu"), contextlib.ExitStack() as running:
        if DASK in text:
            text = text.replace(DASK, running.enter_context(dask_cluster()))
        run(text, tmp_path / "block.py")


@contextlib.contextmanager
def dask_cluster():
    """The address of a scheduler, with a worker in this process."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with distributed.LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address
