"""Surfaces on a GPU that the checking driver shows: the same bytes as the executor's, and nothing left behind."""

from __future__ import annotations

import pytest

KERNELS = r"""
import functools
import numpy as np
SOURCE = r'''
typedef cudaSurfaceObject_t Object;
#define X (4 * threadIdx.x)
#define ADD(read, write) { float v = read; write; }
extern "C" __global__ void one(Object s) { ADD((surf1Dread<float>(s, X)), surf1Dwrite(v + 1, s, X)); }
extern "C" __global__ void two(Object s) { for (int y = 0; y < 3; ++y) ADD((surf2Dread<float>(s, X, y)), surf2Dwrite(v + y, s, X, y)); }
extern "C" __global__ void three(Object s) { ADD((surf3Dread<float>(s, X, 1, 1)), surf3Dwrite(2 * v, s, X, 1, 1)); }
extern "C" __global__ void one_layered(Object s) { ADD((surf1DLayeredread<float>(s, X, 1)), surf1DLayeredwrite(v + 1, s, X, 1)); }
extern "C" __global__ void two_layered(Object s) { ADD((surf2DLayeredread<float>(s, X, 2, 1)), surf2DLayeredwrite(v + 1, s, X, 2, 1)); }
extern "C" __global__ void cube(Object s) { ADD((surfCubemapread<float>(s, X, 2, 5)), surfCubemapwrite(v + 1, s, X, 2, 5)); }
extern "C" __global__ void cube_layered(Object s) { ADD((surfCubemapLayeredread<float>(s, X, 2, 7)), surfCubemapLayeredwrite(v + 1, s, X, 2, 7)); }
extern "C" __global__ void sample(cudaTextureObject_t t, float *out) { out[threadIdx.x] = tex2D<float>(t, threadIdx.x + 1.f, 1.5f); }
'''
CASES = {
    "one": ((4,), "1d"), "two": ((3, 4), "2d"), "three": ((2, 3, 4), "3d"), "one_layered": ((2, 4), "1d layered"),
    "two_layered": ((2, 3, 4), "2d layered"), "cube": ((6, 4, 4), "cube"), "cube_layered": ((2, 6, 4, 4), "cube layered"),
}

@functools.cache
def module(device):
    return jitload.compile(SOURCE, **({"arch": "sm_90"} if device == "cuda" else {})).load()
"""


def test_every_kind_is_written_as_on_the_executor(on_gpu):
    on_gpu(
        KERNELS
        + """
rng = np.random.default_rng(3)
for name, (shape, kind) in CASES.items():
    texels, found = rng.standard_normal(shape).astype(np.float32), []
    for device in ("cuda", "cpu"):
        with jitload.configure(device=device), jitload.Surface(texels, kind) as surface:
            module(device)[name](surface, grid=1, block=4)
            found.append(surface.read())
            surface.write(texels)
            assert np.array_equal(surface.read(), texels)
    assert not np.array_equal(found[0], texels) and np.array_equal(*found), name
assert model.calls["cuSurfObjectCreate"] == model.calls["cuSurfObjectDestroy"] == 7
assert model.calls["cuArray3DCreate"] == model.calls["cuArrayDestroy"] == 7
""",
        capabilities=[(9, 0)],
    )


def test_a_texture_over_a_surface_reads_what_kernels_wrote_and_keeps_the_array(on_gpu):
    on_gpu(
        KERNELS
        + """
found = []
for device in ("cuda", "cpu"):
    with jitload.configure(device=device):
        out = np.zeros(3, np.float32)
        surface = jitload.Surface(np.arange(12, dtype=np.float32).reshape(3, 4))
        texture = jitload.Texture(surface, filter="linear")
        module(device)["two"](surface, grid=1, block=4)
        surface.close()
        module(device)["sample"](texture, out, grid=1, block=3)
        found.append(out.tolist())
        if device == "cuda":
            assert model.calls["cuSurfObjectDestroy"] == 1 and model.handles.living("array") == 1
        texture.close()
assert found[0] == found[1] == [5.5, 6.5, 7.5], found
assert model.handles.living("array") == 0
""",
        capabilities=[(9, 0)],
    )


@pytest.mark.parametrize("call", ["cuArray3DCreate", "cuMemcpy3D", "cuSurfObjectCreate"])
def test_what_fails_halfway_leaves_nothing(on_gpu, call):
    on_gpu(
        KERNELS
        + f"""
try:
    jitload.Surface(np.ones((4, 4), np.float32))
except jitload.DriverError as error:
    assert error.call == {call!r} and error.code == 2, error
else:
    raise AssertionError
assert model.handles.living("array") == 0
""",
        capabilities=[(9, 0)],
        fail={call: 2},
    )
