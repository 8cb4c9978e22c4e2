"""Textures on a GPU that the checking driver shows: the same numbers as the executor's, and nothing left behind."""

from __future__ import annotations

import pytest

KERNELS = r"""
import functools, itertools
import numpy as np
SOURCE = r'''
#define GIVE(v) float4 v_ = (v); int i = threadIdx.x * 4; out[i] = v_.x; out[i + 1] = v_.y; out[i + 2] = v_.z; out[i + 3] = v_.w
#define X (threadIdx.x * 0.37f - 1.f)
#define Y (threadIdx.x * 0.21f - 0.5f)
typedef cudaTextureObject_t Object;
extern "C" __global__ void one(Object t, float *out) { GIVE(tex1D<float4>(t, X)); }
extern "C" __global__ void two(Object t, float *out) { GIVE(tex2D<float4>(t, X, Y)); }
extern "C" __global__ void three(Object t, float *out) { GIVE(tex3D<float4>(t, X, Y, X)); }
extern "C" __global__ void one_layered(Object t, float *out) { GIVE(tex1DLayered<float4>(t, X, threadIdx.x % 3)); }
extern "C" __global__ void two_layered(Object t, float *out) { GIVE(tex2DLayered<float4>(t, X, Y, threadIdx.x % 3)); }
extern "C" __global__ void cube(Object t, float *out) { GIVE(texCubemap<float4>(t, X, Y, 1.5f - X)); }
extern "C" __global__ void cube_layered(Object t, float *out) { GIVE(texCubemapLayered<float4>(t, X, Y, 1.5f - X, threadIdx.x % 2)); }
extern "C" __global__ void gather(Object t, float *out) { GIVE(tex2Dgather<float4>(t, X, Y, 0)); }
extern "C" __global__ void fetch(Object t, float *out) { GIVE(tex1Dfetch<float4>(t, threadIdx.x)); }
'''
CASES = {
    "one": ((7,), "1d"), "two": ((5, 7), "2d"), "three": ((3, 4, 5), "3d"), "one_layered": ((3, 6), "1d layered"),
    "two_layered": ((3, 4, 5), "2d layered"), "cube": ((6, 4, 4), "cube"), "cube_layered": ((2, 6, 4, 4), "cube layered"),
    "gather": ((5, 7), "2d"), "fetch": ((40,), "linear"),
}
rng = np.random.default_rng(5)

@functools.cache
def module(device):
    return jitload.compile(SOURCE, **({"arch": "sm_90"} if device == "cuda" else {})).load()

def read(device, name, texels, kind, **how):
    with jitload.configure(device=device):
        kernel = module(device)[name]
        out = np.zeros((32, 4), np.float32)
        with jitload.Texture(texels, kind, **how) as texture:
            kernel(texture, out, grid=1, block=32)
        return out
"""


def test_every_kind_reads_as_on_the_executor(on_gpu):
    on_gpu(
        KERNELS
        + """
for channels, (name, (shape, kind)) in itertools.product((1, 2, 4), CASES.items()):
    whole = shape if channels == 1 else (*shape, channels)
    texels = rng.standard_normal(whole).astype(np.float32)
    for filter_ in ("point",) if name in ("gather", "fetch") else ("point", "linear"):
        found = [read(device, name, texels, kind, channels=channels, filter=filter_) for device in ("cuda", "cpu")]
        assert found[0].any() and np.array_equal(*found), (name, filter_)
assert model.calls["cuTexObjectCreate"] == model.calls["cuTexObjectDestroy"]
assert model.calls["cuArray3DCreate"] == model.calls["cuArrayDestroy"]
""",
        capabilities=[(9, 0)],
    )


def test_every_type_and_way_of_reading_is_the_drivers(on_gpu):
    on_gpu(
        KERNELS
        + """
for dtype in ("uint8", "int8", "uint16", "int16", "float16", "float32"):
    texels = (rng.standard_normal((5, 7)) * 100).astype(dtype)
    ways = [dict(address=one, normalized=True) for one in ("clamp", "border", "wrap", "mirror")]
    ways += [dict(address=("border", "clamp"))]
    for way in ways:
        if "int" in dtype:
            way = {**way, "read": "normalized"}
        found = [read(device, "two", texels, "2d", filter="linear", **way) for device in ("cuda", "cpu")]
        assert found[0].any() and np.array_equal(*found), (dtype, way)
""",
        capabilities=[(9, 0)],
    )


def test_a_texture_that_nobody_holds_is_ended_once_kernels_have_run(on_gpu):
    on_gpu(
        KERNELS
        + """
import gc
with jitload.configure(device="cuda"):
    kernel = jitload.compile(SOURCE, arch="sm_90").load()["two"]
    out = np.zeros((32, 4), np.float32)
    texture = jitload.Texture(np.ones((4, 4), np.float32))
    kernel(texture, out, grid=1, block=32)
    del texture
    gc.collect()
assert out[:, 0].tolist() == [1] * 32
assert model.calls["cuTexObjectDestroy"] == model.calls["cuArrayDestroy"] == 1
""",
        capabilities=[(9, 0)],
    )


@pytest.mark.parametrize("call", ["cuArray3DCreate", "cuMemcpy3D", "cuTexObjectCreate"])
def test_what_fails_halfway_leaves_nothing(on_gpu, call):
    on_gpu(
        KERNELS
        + f"""
try:
    jitload.Texture(np.ones((4, 4), np.float32))
except jitload.DriverError as error:
    assert error.call == {call!r} and error.code == 2, error
else:
    raise AssertionError
assert model.handles.living("array") == 0
""",
        capabilities=[(9, 0)],
        fail={call: 2},
    )


LEVELS = """
SOURCE = r'''
extern "C" __global__ void level(cudaTextureObject_t t, float *out) { out[threadIdx.x] = tex2DLod<float>(t, 0.3f, 0.6f, threadIdx.x * 0.3f - 1); }
'''
levels = [rng.random((8 >> k, max(4 >> k, 1))).astype(np.float32) for k in range(4)]
"""


def test_levels_of_detail_are_read_as_on_the_executor(on_gpu):
    on_gpu(
        KERNELS
        + LEVELS
        + """
for between in ("point", "linear"):
    found = []
    for device in ("cuda", "cpu"):
        with jitload.configure(device=device):
            out = np.zeros(32, np.float32)
            with jitload.Texture(levels[0], levels=levels[1:], normalized=True, between=between, filter="linear") as texture:
                module(device)["level"](texture, out, grid=1, block=32)
            found.append(out)
    assert len({*found[0]}) > 3 and np.array_equal(*found), between
assert model.calls["cuMipmappedArrayCreate"] == model.calls["cuMipmappedArrayDestroy"] == 2
""",
        capabilities=[(9, 0)],
    )


@pytest.mark.parametrize(
    "call", ["cuMipmappedArrayCreate", "cuMipmappedArrayGetLevel", "cuMemcpy3D", "cuTexObjectCreate"]
)
def test_levels_that_fail_halfway_leave_nothing(on_gpu, call):
    on_gpu(
        KERNELS
        + LEVELS
        + f"""
try:
    jitload.Texture(levels[0], levels=levels[1:], normalized=True)
except jitload.DriverError as error:
    assert error.call == {call!r} and error.code == 2, error
else:
    raise AssertionError
assert model.handles.living("mipmap") == model.handles.living("level") == 0
""",
        capabilities=[(9, 0)],
        fail={call: 2},
    )
