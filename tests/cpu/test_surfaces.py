"""Surfaces: every kind, boundary mode and width against NumPy, formatted stores, reductions, and filters that use them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.errors import CpuFault

POINTS = 64
SHAPES = {
    "one": ((9,), "1d"), "two": ((5, 7), "2d"), "three": ((3, 4, 6), "3d"), "one_layered": ((3, 5), "1d layered"),
    "two_layered": ((4, 3, 5), "2d layered"), "cube": ((6, 4, 4), "cube"),
}  # fmt: skip


@pytest.fixture(scope="module")
def kernels():
    with jitload.configure(device="cpu"):
        yield jitload.compile(Path(__file__).with_name("surfaces.cu"), kind="ptx").load()


@pytest.fixture
def rng(request):
    return np.random.default_rng(len(request.node.name))


@pytest.fixture(autouse=True)
def on_the_executor():
    with jitload.configure(device="cpu"):
        yield


def make_points(rng, shape, outside):
    """(x, y, z), the coordinates of lanes; those that a kind has not are anything."""
    found = [rng.integers(-3 * outside, extent + 3 * outside, POINTS) for extent in reversed(shape)]
    return [*found, *(rng.integers(-9, 9, POINTS) for _ in range(3 - len(found)))], len(found)


def nearest(place, shape, kind):
    """The texel that a place is brought to; numbers of layers are unsigned."""
    layered = "layered" in kind or kind == "cube"
    unsigned = [one % 2**32 if layered and not axis else one for axis, one in enumerate(place)]
    return tuple(min(max(one, 0), extent - 1) for one, extent in zip(unsigned, shape, strict=True))


def launch(kernel, surface, values, points):
    kernel(surface, values, *(np.asarray(one, np.int32) for one in points), POINTS, grid=2, block=32)


@pytest.mark.parametrize("mode", ["trap", "clamp", "zero"])
@pytest.mark.parametrize("name", SHAPES)
def test_texels_are_read_by_bytes_rows_planes_and_layers(kernels, rng, name, mode):
    shape, kind = SHAPES[name]
    texels = rng.standard_normal(shape).astype(np.float32)
    points, axes = make_points(rng, shape, mode != "trap")
    out = np.full(POINTS, 9, np.float32)
    with jitload.Surface(texels, kind) as surface:
        launch(kernels[f"read_{name}_{mode}"], surface, out, points)
    for lane in range(POINTS):
        place = [int(points[axis][lane]) for axis in range(axes)][::-1]
        inside = all(0 <= one < extent for one, extent in zip(place, shape, strict=True))
        assert out[lane] == (texels[nearest(place, shape, kind)] if inside or mode == "clamp" else 0), place


@pytest.mark.parametrize("mode", ["trap", "clamp", "zero"])
@pytest.mark.parametrize("name", SHAPES)
def test_texels_are_written_where_they_are_read(kernels, rng, name, mode):
    """Of lanes that write one texel the last one's stays."""
    shape, kind = SHAPES[name]
    points, axes = make_points(rng, shape, mode != "trap")
    values, want = rng.standard_normal(POINTS).astype(np.float32), np.zeros(shape, np.float32)
    with jitload.Surface(want.copy(), kind) as surface:
        launch(kernels[f"write_{name}_{mode}"], surface, values, points)
        found = surface.read()
    for lane in range(POINTS):
        place = [int(points[axis][lane]) for axis in range(axes)][::-1]
        if mode == "clamp":
            place = nearest(place, shape, kind)
        if all(0 <= one < extent for one, extent in zip(place, shape, strict=True)):
            want[tuple(place)] = values[lane]
    np.testing.assert_array_equal(found, want)


#: Kernel -> (type of an element, channels, texels of the surface per element that is moved).
MOVES = {
    "move_uchar": ("uint8", 1, 1), "move_short": ("int16", 1, 1), "move_int": ("int32", 1, 1), "move_long": ("uint32", 2, 1),
    "move_uchar2": ("uint8", 2, 1), "move_uchar4": ("uint8", 4, 1), "move_short4": ("int16", 4, 1), "move_float4": ("float32", 4, 1),
    "move_long2": ("float32", 4, 1),
}  # fmt: skip


@pytest.mark.parametrize("kernel", MOVES)
def test_elements_of_every_width_are_moved_whole(kernels, rng, kernel):
    """Rows of 5 texels: the next one does not begin where the last one ends."""
    dtype, channels, _ = MOVES[kernel]
    texels = rng.integers(0, 100, (3, 5, channels) if channels > 1 else (3, 5)).astype(dtype)
    with (
        jitload.Surface(texels, channels=channels) as source,
        jitload.Surface(np.zeros_like(texels), channels=channels) as target,
    ):
        kernels[kernel](source, target, 5, grid=3, block=32)
        assert np.array_equal(target.read(), texels[:, ::-1])
        assert np.array_equal(source.read(), texels)


def test_rows_begin_where_every_width_may_be_read(ptx):
    """Words in rows of 5 bytes: the second row does not begin at byte 5."""
    text = """.visible .entry k(.param .u64 s, .param .u64 o) { .reg .b64 %s, %o; .reg .b32 %v, %l;
ld.param.u64 %s, [s]; ld.param.u64 %o, [o]; mov.u32 %l, %tid.x; suld.b.2d.b32.trap %v, [%s, {0, %l}];
mad.wide.u32 %o, %l, 4, %o; st.global.b32 [%o], %v; ret; }"""
    texels, out = np.arange(15, dtype=np.uint8).reshape(3, 5), np.zeros(3, np.uint32)
    with jitload.Surface(texels) as surface:
        ptx(text).run("k", 1, 3, surface.handle, out)
    assert np.array_equal(out.view(np.uint8).reshape(3, 4), texels[:, :4])


def test_texels_change_in_place(kernels, rng):
    texels = rng.standard_normal((4, 8)).astype(np.float32)
    with jitload.Surface(texels) as surface:
        kernels["swap"](surface, grid=4, block=4)
        assert np.array_equal(surface.read(), texels.reshape(4, 4, 2)[..., ::-1].reshape(4, 8))


@pytest.mark.parametrize(
    ("dtype", "values", "want"),
    [
        (np.uint8, [0, 255, 256, 0xFFFFFFFF], [0, 255, 255, 255]),
        (np.int8, [127, 128, -128, -129], [127, 127, -128, -128]),
        (np.int16, [5, 40000, -7, -40000], [5, 32767, -7, -32768]),
        (np.uint32, [0, 1, 2, 0xFFFFFFFF], [0, 1, 2, 0xFFFFFFFF]),
        (np.float16, [1.0, 1 + 2**-11, 1e6, -0.0], [1, 1, np.inf, 0]),
        (np.float32, [1.5, -2.5, 1e-40, 3.0], [1.5, -2.5, 1e-40, 3]),
    ],
)
def test_a_formatted_store_brings_words_to_the_type_of_the_texels(ptx, dtype, values, want):
    """x counts texels; floats are rounded, whole numbers brought to the nearest that there is."""
    words = (
        np.array(values, np.float32).view(np.uint32)
        if np.dtype(dtype).kind == "f"
        else np.array(values).astype(np.uint32)
    )
    text = """.visible .entry k(.param .u64 s, .param .u64 w) { .reg .b64 %s, %w; .reg .b32 %v<5>, %x, %y;
ld.param.u64 %s, [s]; ld.param.u64 %w, [w]; ld.global.v4.b32 {%v0, %v1, %v2, %v3}, [%w]; mov.u32 %x, %tid.x; mov.u32 %y, 1;
sust.p.2d.v4.b32.zero [%s, {%x, %y}], {%v0, %v1, %v2, %v3}; sust.p.2d.v2.b32.trap [%s, {%x, 0}], {%v2, %v3}; ret; }"""
    with jitload.Surface(np.zeros((2, 2, 4), dtype), channels=4) as surface:
        ptx(text).run("k", 1, 2, surface.handle, words)
        found = surface.read()
    assert found[1].tolist() == [np.array(want, dtype).tolist()] * 2
    assert found[0, :, :2].tolist() == [np.array(want, dtype).tolist()[2:]] * 2
    assert (found[0, :, 2:].view(f"u{np.dtype(dtype).itemsize}") == 2 ** (8 * np.dtype(dtype).itemsize) - 1).all()


REDUCTIONS = [
    ("b.add.1d.u32", 4, lambda a: a.sum() % 2**32), ("b.min.1d.s32", 4, lambda a: a.view(np.int32).min()),
    ("b.max.1d.u32", 4, lambda a: a.max()), ("b.and.1d.b32", 4, np.bitwise_and.reduce), ("b.or.1d.b32", 4, np.bitwise_or.reduce),
    ("p.add.1d.b32", 1, lambda a: a.sum() % 2**32), ("p.min.1d.b32", 1, lambda a: a.view(np.int32).min()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "step", "reduce"), REDUCTIONS, ids=[one[0] for one in REDUCTIONS])
def test_reductions_take_every_lane(ptx, rng, name, step, reduce):
    """Also where many lanes share a word; by texels, the texels say whether words are signed."""
    values = rng.integers(0, 2**32, 64).astype(np.uint32)
    text = f""".visible .entry k(.param .u64 s, .param .u64 w) {{ .reg .b64 %s, %w, %a; .reg .b32 %v, %x, %l;
ld.param.u64 %s, [s]; ld.param.u64 %w, [w]; mov.u32 %l, %tid.x; mad.wide.u32 %a, %l, 4, %w; ld.global.b32 %v, [%a];
and.b32 %x, %l, 3; mul.lo.u32 %x, %x, {step}; sured.{name}.trap [%s, {{%x}}], %v; ret; }}"""
    start = values[:4]
    with jitload.Surface(start.view(np.int32)) as surface:
        ptx(text).run("k", 1, 64, surface.handle, values)
        found = surface.read().view(np.uint32)
    want = [int(reduce(np.array([start[lane], *values[lane::4]], np.uint32))) % 2**32 for lane in range(4)]
    assert found.tolist() == want


def test_a_reduction_of_64_bits(ptx, rng):
    values = rng.integers(-(2**63), 2**63 - 1, 32)
    text = """.visible .entry k(.param .u64 s, .param .u64 w) { .reg .b64 %s, %w, %a, %v; .reg .b32 %l;
ld.param.u64 %s, [s]; ld.param.u64 %w, [w]; mov.u32 %l, %tid.x; mad.wide.u32 %a, %l, 8, %w; ld.global.b64 %v, [%a];
sured.b.min.1d.s64.clamp [%s, {-8}], %v; sured.b.max.1d.u64.zero [%s, {8}], %v; ret; }"""
    with jitload.Surface(np.zeros((2, 2), np.int32), "1d", channels=2) as surface:
        ptx(text).run("k", 1, 32, surface.handle, values)
        found = surface.read().view(np.int64)[:, 0]
    assert found.tolist() == [min(0, values.min()), int(values.view(np.uint64).max().astype(np.int64))]


@pytest.mark.parametrize("by", ["texture", "surface"])
def test_heat_spreads_from_one_surface_to_the_other_and_back(kernels, rng, by):
    heat = rng.random((13, 21)).astype(np.float32)
    want = heat.astype(float)
    height, width = heat.shape
    surfaces = [jitload.Surface(heat), jitload.Surface(np.zeros_like(heat))]
    sources = [jitload.Texture(one) for one in surfaces] if by == "texture" else surfaces
    for step in range(6):
        kernels["diffuse" if by == "texture" else "diffuse_surface"](
            sources[step % 2], surfaces[1 - step % 2], width, height, 0.2, grid=(3, 2), block=(8, 8)
        )
        wide = np.pad(want, 1, "edge")
        around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
        want = want + 0.2 * (around - 4 * want)
    np.testing.assert_allclose(surfaces[0].read(), want, atol=2e-6)
    for one in {*sources, *surfaces}:
        one.close()


def test_an_image_is_halved_by_texture_and_surface(kernels, rng):
    """Between four texels linear filtering is their mean, to one part in 512 of the weights."""
    image = rng.integers(0, 256, (8, 12, 4)).astype(np.uint8)
    source = jitload.Texture(image, channels=4, read="normalized", filter="linear")
    with source, jitload.Surface(np.zeros((4, 6, 4), np.uint8), channels=4) as target:
        kernels["halve"](source, target, 6, 4, grid=4, block=32)
        found = target.read()
    means = image.reshape(4, 2, 6, 2, 4).mean((1, 3))
    np.testing.assert_array_equal(found, np.floor(means + 0.5).astype(np.uint8))


def test_a_histogram_in_a_surface(kernels, rng):
    x = rng.integers(0, 16, 1000).astype(np.uint8)
    with jitload.Surface(np.zeros(16, np.uint32)) as bins:
        kernels["histogram"](bins, x, len(x), grid=8, block=128)
        assert bins.read().tolist() == np.bincount(x, minlength=16).tolist()


def test_what_cannot_be_reached_is_a_fault_that_names_it(ptx, kernels):
    values, zeros = np.zeros(POINTS, np.float32), [np.zeros(POINTS, np.int32)] * 3
    surface = jitload.Surface(np.zeros((3, 4), np.float32))
    far = [np.zeros(POINTS, np.int32), np.full(POINTS, 3, np.int32), zeros[0]]
    with pytest.raises(
        jitload.CpuFault, match=r"4 bytes outside of the surface: byte 0 of 16, row 3 of 3, plane 0 of 1"
    ):
        launch(kernels["read_two_trap"], surface, values, far)
    with pytest.raises(jitload.CpuFault, match=r"4 bytes outside of the surface: byte 16 of 16, row 0 of 3"):
        launch(kernels["write_two_trap"], surface, values, [np.full(POINTS, 4, np.int32), *zeros[:2]])
    with pytest.raises(
        jitload.CpuFault, match="the surface is of kind '2d', and this instruction takes one of kind '1d'"
    ):
        launch(kernels["read_one_zero"], surface, values, zeros)
    bytes_ = jitload.Surface(np.zeros((3, 6), np.uint8))
    with pytest.raises(jitload.CpuFault, match="x is byte 1 of the surface, no multiple of the 2 bytes of the access"):
        ptx(
            ".visible .entry k(.param .u64 s) { .reg .b64 %s; .reg .b16 %h;"
            "ld.param.u64 %s, [s]; suld.b.2d.b16.zero %h, [%s, {1, 0}]; ret; }"
        ).run("k", 1, 1, bytes_.handle)
    for line, message in (
        ("suld.b.2d.v4.b32.clamp {%v, %v, %v, %v}, [%s, {0, 0}];", "16 bytes at a row of 6"),
        (
            "sured.p.add.2d.b32.zero [%s, {0, 0}], 1;",
            "a reduction of texels needs whole numbers, and these are float16",
        ),
    ):
        shape = np.zeros((3, 3), np.float16)
        with jitload.Surface(shape) as small, pytest.raises(jitload.CpuFault, match=message):
            ptx(
                f".visible .entry k(.param .u64 s) {{ .reg .b64 %s; .reg .b32 %v; ld.param.u64 %s, [s]; {line} ret; }}"
            ).run("k", 1, 1, small.handle)
    handle = surface.handle
    surface.close()
    with pytest.raises(jitload.CpuFault, match=f"no surface object {handle:#x}: it was closed"):
        launch(kernels["read_two_zero"], handle, values, zeros)


@pytest.mark.parametrize(
    ("texels", "options", "message"),
    [
        (np.zeros((4, 4), np.float32), {"kind": "linear"}, "kind='linear': expected one of 1d, 2d, 3d"),
        (np.zeros((4, 4), np.float32), {"kind": "3d"}, "it takes 3 axes"),
        (np.zeros((4, 4), np.float32), {"channels": 3}, "channels=3: a texel has 1, 2 or 4"),
        (np.zeros((5, 4, 4), np.float32), {"kind": "cube"}, "6 square faces are expected"),
    ],
)
def test_what_means_nothing_is_refused(texels, options, message):
    with pytest.raises(jitload.UsageValueError, match=message):
        jitload.Surface(texels, **options)


def test_writing_needs_the_same_shape_and_type():
    surface = jitload.Surface(np.zeros((2, 3), np.float32))
    with pytest.raises(jitload.UsageTypeError, match="texels of float32 are expected, got int32"):
        surface.write(np.zeros((2, 3), np.int32))
    with pytest.raises(jitload.UsageValueError, match=r"texels of shape \(2, 3\) are expected, got \(3, 2\)"):
        surface.write(np.zeros((3, 2), np.float32))
    with pytest.raises(jitload.UsageTypeError, match="texels are one of uint8"):
        jitload.Surface(np.zeros(3))
    with pytest.raises(jitload.UsageValueError, match="a texture over a surface has the surface's kind and channels"):
        jitload.Texture(surface, "2d")
    surface.close()
    surface.close()
    for use in (lambda: surface.handle, surface.read, lambda: jitload.Texture(surface)):
        with pytest.raises(jitload.UsageValueError, match="this surface is closed"):
            use()


RACES = {
    "neighbours": ("surf2Dwrite<int>(i, s, 4 * t, 0); o[t] = surf2Dread<int>(s, 4 * (t ^ 1), 0);", 1, "reads 4 bytes"),
    "two writers": ("surf2Dwrite<int>(t, s, 4 * (t / 2), 0);", 1, "writes 4 bytes"),
    "wide": (
        "surf2Dwrite<int>(t, s, 4 * t, 1); int2 v = surf2Dread<int2>(s, 8 * (t / 2), 1); o[t] = v.x;",
        1,
        "8 bytes",
    ),
    "blocks": ("surf2Dwrite<int>(i, s, 4 * t, 0); __syncthreads();", 2, "writes 4 bytes"),
    "a barrier": (
        "surf2Dwrite<int>(t, s, 4 * t, 0); __syncthreads(); o[t] = surf2Dread<int>(s, 4 * (t ^ 1), 0);",
        1,
        "",
    ),
    "one flag": ("surf2Dwrite<int>(1, s, 0, 0);", 2, ""),
    "own texels": ("surf2Dwrite<int>(i, s, 4 * i, 0); o[i] = surf2Dread<int>(s, 4 * i, 0);", 2, ""),
    "readers": ("o[t] = surf2Dread<int>(s, 0, 0) + surf2Dread<int>(s, 4 * t, 1);", 1, ""),
}


@pytest.mark.parametrize(("code", "blocks", "message"), RACES.values(), ids=RACES)
def test_races_through_surfaces(code, blocks, message):
    source = f"""#define t threadIdx.x
#define i (blockIdx.x * blockDim.x + threadIdx.x)
extern "C" __global__ void k(cudaSurfaceObject_t s, int *o) {{ {code} }}"""
    kernel = jitload.compile(source, kind="ptx").load()["k"]
    out = np.zeros(64, np.int32)
    with jitload.Surface(np.zeros((2, 64), np.int32)) as surface, jitload.configure(cpu_check="race,memory,init"):
        if not message:
            kernel(surface, out, grid=blocks, block=32)
            return
        with pytest.raises(CpuFault, match="race: it") as caught:
            kernel(surface, out, grid=blocks, block=32)
    assert message in str(caught.value)
    assert "surface of kind '2d', byte" in str(caught.value)
