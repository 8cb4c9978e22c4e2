"""Textures: every kind, filter and address mode against a model in Python's own floats, a texel at a time."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import jitload

POINTS = 70


@pytest.fixture(scope="module")
def kernels():
    with jitload.configure(device="cpu"):
        yield jitload.compile(Path(__file__).with_name("textures.cu"), kind="ptx").load()


@pytest.fixture
def rng(request):
    return np.random.default_rng(len(request.node.name))


def model_axis(x, extent, mode, *, linear, normalized):
    """(texel or None outside, weight) of what is read along one axis."""
    if normalized:
        if mode == "wrap":
            x -= math.floor(x)
        elif mode == "mirror":
            whole = math.floor(x)
            x = x - whole if whole % 2 == 0 else 1 - (x - whole)
        x *= extent
    if not linear:
        found = [(math.floor(x), 1.0)]
    else:
        first = math.floor(x - 0.5)
        weight = math.floor((x - 0.5 - first) * 256 + 0.5) / 256
        found = [(first, 1 - weight), (first + 1, weight)]
    texels = []
    for index, weight in found:
        if mode == "border" and not 0 <= index < extent:
            texels.append((None, weight))
        else:
            texels.append((index % extent if mode == "wrap" else min(max(index, 0), extent - 1), weight))
    return texels


def model(texels, place, modes, **how):
    """What is read at (x, y, ...) of texels that are indexed [..., y, x, channel]."""
    axes = [model_axis(float(x), texels.shape[-2 - number], modes[number], **how) for number, x in enumerate(place)]
    total = np.zeros(4)
    for corner in itertools.product(*axes):
        index = [texel for texel, _ in corner]
        if None not in index:
            value = texels[tuple(index[::-1])]
            total[: len(value)] += math.prod(weight for _, weight in corner) * value.astype(float)
    return total


def launch(kernel, texture, arrays, *scalars):
    out = np.full((POINTS, 4), 9, np.float32)
    kernel(texture, out, *arrays, *scalars, POINTS, grid=2, block=64)
    return out


def make_points(rng, shape, normalized):
    """Coordinates inside and outside, at texels, between them and on their edges; one array per axis, x first."""
    found = []
    for extent in reversed(shape):
        free = rng.uniform(-1.5 * extent, 2.5 * extent, POINTS)
        free[:20] = rng.integers(-4, 2 * extent, 20) / 2
        found.append((free / extent if normalized else free).astype(np.float32))
    return found


WAYS = [
    (address, filter_, normalized)
    for address in ("clamp", "border", "wrap", "mirror")
    for filter_ in ("point", "linear")
    for normalized in (False, True)
    if normalized or address in {"clamp", "border"}
]


@pytest.mark.parametrize(("kernel", "shape"), [("one", (9,)), ("two", (5, 7)), ("three", (3, 4, 6))])
@pytest.mark.parametrize(("address", "filter_", "normalized"), WAYS)
def test_plain_textures(kernels, rng, kernel, shape, address, filter_, normalized):
    texels = rng.standard_normal((*shape, 2)).astype(np.float32)
    points = make_points(rng, shape, normalized)
    with jitload.Texture(texels, channels=2, address=address, filter=filter_, normalized=normalized) as texture:
        out = launch(kernels[kernel], texture, points)
    how = {"linear": filter_ == "linear", "normalized": normalized}
    wanted = [model(texels, place, [address] * 3, **how) for place in zip(*points, strict=True)]
    np.testing.assert_allclose(out, wanted, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("filter_", ["point", "linear"])
@pytest.mark.parametrize(("kernel", "shape"), [("one_layered", (3, 5)), ("two_layered", (4, 3, 5))])
def test_layers_are_read_by_number_and_never_mixed(kernels, rng, kernel, shape, filter_):
    """A number past the last layer is the last one's."""
    texels = rng.standard_normal(shape).astype(np.float32)
    points, layers = make_points(rng, shape[1:], False), rng.integers(0, shape[0] + 2, POINTS).astype(np.int32)
    with jitload.Texture(texels, f"{len(points)}d layered", filter=filter_, address=("clamp", "border")) as texture:
        out = launch(kernels[kernel], texture, [*points, layers])
    modes = ("clamp", "border")
    for number, place in enumerate(zip(*points, strict=True)):
        layer = texels[min(layers[number], shape[0] - 1), ..., None]
        wanted = model(layer, place, modes, linear=filter_ == "linear", normalized=False)
        np.testing.assert_allclose(out[number], wanted, rtol=3e-7, atol=1e-7)


#: Face -> (s, t) of a direction, as the CUDA C++ Programming Guide has them ("Cubemap Textures").
FACES = [
    lambda x, y, z: (-z, -y), lambda x, y, z: (z, -y), lambda x, y, z: (x, z),
    lambda x, y, z: (x, -z), lambda x, y, z: (x, -y), lambda x, y, z: (-x, -y),
]  # fmt: skip


@pytest.mark.parametrize("filter_", ["point", "linear"])
@pytest.mark.parametrize("kernel", ["cube", "cube_layered"])
def test_cubes_are_read_by_direction(kernels, rng, kernel, filter_):
    layered = kernel == "cube_layered"
    texels = rng.standard_normal((3, 6, 4, 4) if layered else (6, 4, 4)).astype(np.float32)
    directions = rng.standard_normal((3, POINTS)).astype(np.float32)
    layers = rng.integers(0, 3, POINTS).astype(np.int32)
    with jitload.Texture(texels, kernel.replace("_", " "), filter=filter_) as texture:
        out = launch(kernels[kernel], texture, [*directions, *([layers] if layered else [])])
    for number, direction in enumerate(directions.T.astype(float)):
        axis = int(np.argmax(np.abs(direction)))
        face = 2 * axis + int(direction[axis] < 0)
        place = [(one / abs(direction[axis]) + 1) / 2 for one in FACES[face](*direction)]
        faces = texels[layers[number]] if layered else texels
        wanted = model(faces[face, ..., None], place, ["clamp"] * 2, linear=filter_ == "linear", normalized=True)
        np.testing.assert_allclose(out[number], wanted, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("kernel", ["level", "gradient"])
def test_there_is_one_level_of_detail(kernels, rng, kernel):
    texels = rng.standard_normal((4, 5)).astype(np.float32)
    points = make_points(rng, (4, 5), False)
    with jitload.Texture(texels, filter="linear") as texture:
        assert np.array_equal(launch(kernels[kernel], texture, points), launch(kernels["two"], texture, points))


@pytest.mark.parametrize("channel", [0, 3])
def test_gathering_gives_the_four_texels_around(kernels, rng, channel):
    """Counter-clockwise from the lower left, as PTX has them."""
    texels = rng.standard_normal((4, 5, 4)).astype(np.float32)
    x, y = make_points(rng, (4, 5), False)
    with jitload.Texture(texels, channels=4) as texture:
        out = launch(kernels["gather"], texture, [x, y], channel)
    for number in range(POINTS):
        i, j = math.floor(float(x[number]) - 0.5), math.floor(float(y[number]) - 0.5)
        around = [(i, j + 1), (i + 1, j + 1), (i + 1, j), (i, j)]
        wanted = [texels[min(max(b, 0), 3), min(max(a, 0), 4), channel] for a, b in around]
        assert out[number].tolist() == wanted


FETCHED = {
    "fetch_float": np.float32, "fetch_int": np.int32, "fetch_uint": np.uint32, "fetch_short": np.int16,
    "fetch_uchar": np.uint8,
}  # fmt: skip


@pytest.mark.parametrize("kernel", FETCHED)
def test_linear_memory_is_read_as_it_is_and_zeros_outside(kernels, kernel):
    texels = np.array([0, 1, 255, 127, 128, 77, 200]).astype(FETCHED[kernel])
    texels = -texels if texels.dtype.kind == "i" else texels
    index = np.array([*range(-3, 10)], np.int32)
    out = np.full(len(index), 5, texels.dtype)
    with jitload.Texture(texels, "linear") as texture:
        kernels[kernel](texture, out, index, len(index), grid=1, block=32)
    wanted = [texels[i] if 0 <= i < len(texels) else 0 for i in index]
    assert out.tolist() == [int(one) if texels.dtype.kind != "f" else one for one in wanted]


def test_vectors_of_integers_are_read_whole(kernels):
    texels = np.array([[1, -2], [300, -400], [32767, -32768]], np.int16)
    out, index = np.zeros((3, 2), np.int16), np.arange(3, dtype=np.int32)
    with jitload.Texture(texels, "linear", channels=2) as texture:
        kernels["fetch_pair"](texture, out, index, 3, grid=1, block=32)
    assert np.array_equal(out, texels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("filter_", ["point", "linear"])
def test_integers_become_numbers_to_one_where_that_is_asked_for(kernels, rng, dtype, filter_):
    limits = np.iinfo(dtype)
    texels = rng.integers(limits.min, limits.max + 1, (4, 6)).astype(dtype)
    texels[0, :2] = limits.min, limits.max
    points = make_points(rng, (4, 6), False)
    with jitload.Texture(texels, read="normalized", filter=filter_) as texture:
        out = launch(kernels["two"], texture, points)
    numbers = np.maximum(texels / limits.max, -1)[..., None]
    how = {"linear": filter_ == "linear", "normalized": False}
    wanted = [model(numbers, place, ["clamp"] * 2, **how) for place in zip(*points, strict=True)]
    np.testing.assert_allclose(out, wanted, rtol=3e-7, atol=1e-7)


def test_halves_are_read_as_floats(kernels, rng):
    texels = rng.standard_normal((3, 4)).astype(np.float16)
    points = make_points(rng, (3, 4), False)
    with jitload.Texture(texels) as half, jitload.Texture(texels.astype(np.float32)) as single:
        assert np.array_equal(launch(kernels["two"], half, points), launch(kernels["two"], single, points))


def test_a_coordinate_that_is_no_number_is_read_at_zero(kernels):
    points = [np.full(POINTS, np.nan, np.float32)]
    points[0][1:3] = np.inf, -np.inf
    with jitload.Texture(np.array([3, 4, 5], np.float32)) as texture:
        out = launch(kernels["one"], texture, points)
    assert out[:4, 0].tolist() == [3, 5, 3, 3]


def test_lanes_may_read_through_different_objects(kernels, rng):
    """And who reads none needs none."""
    textures = [jitload.Texture(np.full(4, number, np.float32)) for number in range(1, 5)]
    objects = np.array([0xDEAD, *(texture.handle for texture in textures)], np.uint64)
    out, x = np.zeros(POINTS, np.float32), rng.uniform(0, 4, POINTS).astype(np.float32)
    kernels["several"](objects, out, x, POINTS, grid=2, block=64)
    assert out.tolist() == [i % 5 or -1 for i in range(POINTS)]


def test_a_read_that_all_lanes_share(kernels):
    out = np.zeros(1, np.float32)
    with jitload.Texture(np.array([[1, 2], [3, 4]], np.float32), filter="linear") as texture:
        kernels["same"](texture, out, grid=1, block=64)
    assert out.tolist() == [1.5]


def test_what_cannot_be_read_is_a_fault_that_names_it(kernels):
    x, out = np.zeros(POINTS, np.float32), np.zeros((POINTS, 4), np.float32)
    texture = jitload.Texture(np.zeros((3, 3), np.float32))
    with pytest.raises(
        jitload.CpuFault, match="the texture is of kind '2d', and this instruction reads one of kind '1d'"
    ):
        kernels["one"](texture, out, x, POINTS, grid=2, block=64)
    linear = jitload.Texture(np.zeros(3, np.float32), "linear")
    with pytest.raises(jitload.CpuFault, match="kind 'linear' is read by tex1Dfetch alone"):
        kernels["one"](linear, out, x, POINTS, grid=2, block=64)
    with pytest.raises(jitload.CpuFault, match="kind '2d', and this instruction reads one of kind 'linear'"):
        kernels["fetch_float"](texture, out, np.zeros(4, np.int32), 4, grid=1, block=4)
    line = jitload.Texture(np.zeros(3, np.float32), "1d")
    with pytest.raises(
        jitload.CpuFault, match="tex1Dfetch reads a texture of kind 'linear', and this one is of kind '1d'"
    ):
        kernels["fetch_float"](line, out, np.zeros(4, np.int32), 4, grid=1, block=4)
    handle = texture.handle
    texture.close()
    with pytest.raises(jitload.CpuFault, match=f"no texture object {handle:#x}: it was closed"):
        kernels["two"](handle, out, x, x, POINTS, grid=2, block=64)
    handle = jitload.Texture(np.zeros((3, 3), np.float32)).handle  # nobody holds it any more
    with pytest.raises(jitload.CpuFault, match="no texture object"):
        kernels["two"](handle, out, x, x, POINTS, grid=2, block=64)
