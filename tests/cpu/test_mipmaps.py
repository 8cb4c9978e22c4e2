"""Levels of detail: which one is read, how two are mixed, and a kernel that makes them and reads them."""

from __future__ import annotations

import numpy as np
import pytest

import jitload

SOURCE = r"""
typedef cudaTextureObject_t Object;
extern "C" __global__ void level(Object t, float *out, const float *lod) { int i = threadIdx.x; out[i] = tex2DLod<float>(t, 0.5f, 0.5f, lod[i]); }
extern "C" __global__ void gradient(Object t, float *out, const float *dx, const float *dy) {
    int i = threadIdx.x;
    out[i] = tex2DGrad<float>(t, 0.5f, 0.5f, make_float2(dx[2 * i], dx[2 * i + 1]), make_float2(dy[2 * i], dy[2 * i + 1]));
}
extern "C" __global__ void plain(Object t, float *out) { out[threadIdx.x] = tex2D<float>(t, 0.5f, 0.5f); }
extern "C" __global__ void solid(Object t, float *out, const float *lod) { int i = threadIdx.x; out[i] = tex3DLod<float>(t, 0.5f, 0.5f, 0.5f, lod[i]); }
extern "C" __global__ void cube(Object t, float *out, const float *lod) { int i = threadIdx.x; out[i] = texCubemapLod<float>(t, 1, 0, 0, lod[i]); }
extern "C" __global__ void layers(Object t, float *out, const float *lod) { int i = threadIdx.x; out[i] = tex2DLayeredLod<float>(t, 0.5f, 0.5f, i % 2, lod[i]); }

// The next coarser level: each texel the mean of four, which a texture over the last one gives.
extern "C" __global__ void coarsen(Object from, cudaSurfaceObject_t to, int width, int height) {
    int x = threadIdx.x, y = blockIdx.x;
    if (x < width && y < height) surf2Dwrite(tex2D<float>(from, 2 * x + 1.f, 2 * y + 1.f), to, 4 * x, y);
}
// An image made smaller by any factor, without the aliases that its finest level would have.
extern "C" __global__ void shrink(Object from, float *out, int width, int height, float lod) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x < width) out[y * width + x] = tex2DLod<float>(from, (x + 0.5f) / width, (y + 0.5f) / height, lod);
}"""


@pytest.fixture(scope="module")
def kernels():
    with jitload.configure(device="cpu"):
        yield jitload.compile(SOURCE, kind="ptx").load()


@pytest.fixture(autouse=True)
def on_the_executor():
    with jitload.configure(device="cpu"):
        yield


def levels_of(shape, halved=None):
    """Texels that are the number of their level, times 100."""
    found = [np.zeros(shape, np.float32)]
    halved = len(shape) if halved is None else halved
    while max(found[-1].shape[-halved:]) > 1:
        last = found[-1].shape
        smaller = (*last[: len(last) - halved], *(max(one // 2, 1) for one in last[len(last) - halved :]))
        found.append(np.full(smaller, 100 * len(found), np.float32))
    return found


def make(shape, kind=None, halved=None, **how):
    first, *coarser = levels_of(shape, halved)
    return jitload.Texture(first, kind, levels=coarser, normalized=True, **how)


def test_the_level_worked_out_by_hand(kernels):
    """16 x 8 has levels 0 to 4; the nearest one is read, and numbers outside are the first and the last."""
    lod = np.array([0, 0.4, 0.5, 1, 1.49, 1.5, 3.7, 4, 9, -3, np.nan], np.float32)
    out = np.zeros(len(lod), np.float32)
    kernels["level"](make((8, 16)), out, lod, grid=1, block=len(lod))
    assert out.tolist() == [0, 0, 100, 100, 100, 200, 400, 400, 400, 0, 0]


def test_two_levels_are_mixed_with_weights_of_8_bits(kernels):
    """A third of the way is 85 of 256, two thirds are 171."""
    lod = np.array([0, 0.25, 1 / 3, 2 / 3, 1 + 1 / 1024, 3.5, 4, 7, -1], np.float32)
    out = np.zeros(len(lod), np.float32)
    kernels["level"](make((8, 16), between="linear"), out, lod, grid=1, block=len(lod))
    assert out.tolist() == [0, 25, 100 * 85 / 256, 100 * 171 / 256, 100, 350, 400, 400, 0]


def test_the_level_of_gradients_is_that_of_about_a_texel(kernels):
    """The longer one counts, in texels of the finest level: 16 x 8 of them."""
    dx = np.array([[1 / 16, 0], [1 / 8, 0], [0, 1 / 8], [0, 1 / 2], [3 / 16, 4 / 8], [0, 0]], np.float32)
    dy = np.array([[0, 0], [0, 1 / 8], [1, 0], [1 / 16, 0], [0, 0], [1e-6, 0]], np.float32)
    out = np.zeros(6, np.float32)
    kernels["gradient"](make((8, 16), between="linear"), out, dx, dy, grid=1, block=6)
    five = np.log2(5)
    assert out.tolist() == pytest.approx([0, 100, 400, 200, 100 * (2 + round((five - 2) * 256) / 256), 0], abs=1e-4)


@pytest.mark.parametrize(
    ("kernel", "shape", "kind", "halved"),
    [("solid", (4, 8, 2), "3d", 3), ("cube", (6, 8, 8), "cube", 2), ("layers", (2, 8, 4), "2d layered", 2)],
)
def test_every_kind_has_levels(kernels, kernel, shape, kind, halved):
    """Layers and faces are as many in each of them."""
    lod, out = np.array([0, 1, 2, 3, 4], np.float32), np.zeros(5, np.float32)
    kernels[kernel](make(shape, kind, halved), out, lod, grid=1, block=5)
    assert out.tolist() == [0, 100, 200, 300, 300]


def test_gradients_of_a_cube_choose_no_level(ptx):
    """How a GPU does that is written nowhere, so it is a fault and no guess."""
    text = """.visible .entry k(.param .u64 t) { .reg .b64 %t; .reg .f32 %x; mov.f32 %x, 1.0; ld.param.u64 %t, [t];
tex.grad.cube.v4.f32.f32 {_, _, _, _}, [%t, {%x, %x, %x, %x}], {%x, %x, %x, %x}, {%x, %x, %x, %x}; ret; }"""
    texture = make((6, 4, 4), "cube", 2)
    with pytest.raises(jitload.CpuFault, match="gradients of a cube of several levels of detail are not supported"):
        ptx(text).run("k", 1, 1, texture.handle)


def test_what_asks_for_no_level_reads_the_finest(kernels):
    out = np.ones(4, np.float32)
    kernels["plain"](make((8, 16)), out, grid=1, block=4)
    assert out.tolist() == [0] * 4


def test_an_image_is_shrunk_by_levels_that_kernels_made(kernels):
    """A checkered image is grey from far away; its finest level alone would be black or white."""
    image = np.indices((16, 16)).sum(0).astype(np.float32) % 2
    levels = [image]
    while len(levels[-1]) > 1:
        size = len(levels[-1]) // 2
        with (
            jitload.Texture(levels[-1], filter="linear") as source,
            jitload.Surface(np.zeros((size, size), np.float32)) as target,
        ):
            kernels["coarsen"](source, target, size, size, grid=size, block=size)
            levels.append(target.read())
    assert [one.mean() for one in levels] == [0.5] * 5
    found = []
    for lod in (0, 2):
        out = np.zeros((4, 4), np.float32)
        with jitload.Texture(image, levels=levels[1:], normalized=True) as texture:
            kernels["shrink"](texture, out, 4, 4, float(lod), grid=(1, 4), block=4)
        found.append(out)
    assert {*np.unique(found[0])} <= {0, 1}
    assert (found[1] == 0.5).all()


PLANE = np.zeros((4, 4), np.float32)


@pytest.mark.parametrize(
    ("texels", "options", "message"),
    [
        (PLANE, {"levels": [PLANE[:2, :2]]}, "levels of detail need an array that is no linear memory, and normalized=True"),
        (PLANE[0], {"levels": [PLANE[0, :2]], "kind": "linear"}, "need an array that is no linear memory"),
        (PLANE, {"levels": [PLANE], "normalized": True}, r"level 1 has shape \(4, 4\) of float32: each is half as large"),
        (PLANE, {"levels": [PLANE[:2, :2].astype(np.int32)], "normalized": True}, "of int32: each is half as large as the one before, of float32"),
        (PLANE[:1, :1], {"levels": [PLANE[:1, :1]], "normalized": True}, "down to 1 texel"),
        (PLANE, {"between": "cubic"}, "between='cubic': expected one of point, linear"),
        (PLANE.astype(np.uint8), {"between": "linear"}, "filter='linear' mixes floats"),
    ],
)  # fmt: skip
def test_levels_that_mean_nothing_are_refused(texels, options, message):
    with pytest.raises(jitload.UsageValueError, match=message):
        jitload.Texture(texels, **options)


def test_levels_are_several_arrays():
    with pytest.raises(jitload.UsageTypeError, match="levels=3: a list of arrays is expected"):
        jitload.Texture(PLANE, levels=3, normalized=True)
