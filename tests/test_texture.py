"""`jitload.Texture`: what it takes, what it refuses, and how long it lives."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

import jitload
from jitload.cpu.memory.arena import process_arena

PLANE = np.zeros((4, 4), np.float32)


@pytest.fixture(autouse=True)
def on_the_executor():
    with jitload.configure(device="cpu"):
        yield


def test_it_is_a_number_for_kernels():
    with jitload.Texture(PLANE) as texture, jitload.Texture(PLANE) as other:
        assert int(texture.handle) == texture.__index__() != other.handle
    texture.close()
    with pytest.raises(jitload.UsageValueError, match="this texture is closed"):
        texture.handle  # noqa: B018


def test_it_goes_with_whoever_holds_it():
    gc.collect()
    before = len(process_arena().textures)
    texture = jitload.Texture(PLANE)
    assert len(process_arena().textures) == before + 1
    del texture
    gc.collect()
    assert len(process_arena().textures) == before


@pytest.mark.parametrize(
    ("texels", "options", "message"),
    [
        (PLANE, {"kind": "4d"}, "kind='4d': expected one of linear, 1d, 2d"),
        (PLANE, {"kind": "3d"}, r"shape \(4, 4\) for kind '3d': it takes 3 axes"),
        (PLANE, {"kind": 2}, "kind=2: expected one of"),
        (np.zeros((2, 2, 2, 2), np.float32), {}, "without kind= they have 1 to 3 axes"),
        (np.zeros((0, 4), np.float32), {}, r"shape \(0, 4\)"),
        (PLANE, {"channels": 3}, "channels=3: a texel has 1, 2 or 4"),
        (PLANE, {"channels": True}, "channels=True: a texel has 1, 2 or 4"),
        (PLANE, {"channels": 2.0}, "channels=2.0: a texel has 1, 2 or 4"),
        (PLANE, {"channels": [2]}, "a texel has 1, 2 or 4"),
        (PLANE[0], {"channels": 4}, "without kind= they have 1 to 3 axes besides the channels"),
        (PLANE[0, 0], {}, r"texels of shape \(\): without kind= they have 1 to 3 axes"),
        (PLANE.reshape(2, 2, 2, 2), {}, "without kind= they have 1 to 3 axes"),
        (PLANE, {"channels": 2}, "for kind '1d': it takes 1 axes and 2 channels"),
        (np.zeros((5, 4, 4), np.float32), {"kind": "cube"}, "6 square faces are expected"),
        (np.zeros((6, 4, 3), np.float32), {"kind": "cube"}, "6 square faces are expected"),
        (PLANE, {"address": "repeat"}, "address='repeat': expected one of clamp, border, wrap, mirror"),
        (PLANE, {"address": ()}, "one for each of x, y and z, got 0"),
        (PLANE, {"address": "wrap"}, "'wrap' and 'mirror' need normalized=True"),
        (PLANE, {"address": ("clamp", "mirror")}, "'wrap' and 'mirror' need normalized=True"),
        (PLANE, {"filter": "cubic"}, "filter='cubic': expected one of point, linear"),
        (PLANE, {"filter": None}, "filter=None: expected one of point, linear"),
        (PLANE, {"read": "unit"}, "read='unit': expected one of element, normalized"),
        (PLANE, {"read": "normalized"}, "for integers of 8 and 16 bits, got float32"),
        (PLANE.astype(np.int32), {"read": "normalized"}, "got int32"),
        (PLANE.astype(np.uint8), {"filter": "linear"}, "filter='linear' mixes floats"),
        (PLANE[0], {"kind": "linear", "normalized": True}, "no filter and no normalized coordinates"),
        (PLANE[0], {"kind": "linear", "filter": "linear"}, "no filter and no normalized coordinates"),
    ],
)
def test_what_means_nothing_is_refused_with_what_does(texels, options, message):
    with pytest.raises(jitload.UsageValueError, match=message):
        jitload.Texture(texels, **options)


@pytest.mark.parametrize("texels", [np.zeros(4), np.zeros(4, np.int64), np.zeros(4, bool), "text", None, [1, 2]])
def test_texels_of_a_type_that_no_texture_has_are_refused(texels):
    with pytest.raises(jitload.UsageTypeError, match="texels are one of uint8, int8"):
        jitload.Texture(texels)


class Released:
    """Whose array is gone: what comes out of `__array__` is its own error."""

    def __array__(self, *_arguments, **_keywords):
        raise BufferError("released")


@pytest.mark.parametrize(
    ("texels", "message"),
    [
        (np.ma.masked_array(PLANE), "which have no mask"),
        ([[1], [1, 2]], "NumPy makes none of this"),
        (Released(), "NumPy makes none of this: released"),
    ],
)
@pytest.mark.parametrize("kind", [jitload.Texture, jitload.Surface])
def test_what_is_no_array_of_texels_is_refused(kind, texels, message):
    with pytest.raises(jitload.UsageTypeError, match=message):
        kind(texels)


@pytest.mark.parametrize("send", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_has_addresses_of_this_process_is_not_copied(send):
    for thing in (jitload.Texture(PLANE), jitload.Surface(PLANE), jitload.TensorMap(PLANE, (4, 4))):
        with pytest.raises(jitload.UsageTypeError, match="neither copied nor pickled"):
            send(thing)


@pytest.mark.parametrize("address", [None, 5, {"clamp": 1}])
def test_how_it_is_read_outside_is_a_word_or_several(address):
    with pytest.raises(jitload.UsageTypeError, match="address="):
        jitload.Texture(PLANE, address=address)


@pytest.mark.parametrize("order", ["<f4", ">f4"])
def test_texels_of_either_order_of_bytes_are_the_same_numbers(order):
    """The driver takes bytes as they lie; so they have to be the machine's own before."""
    source = 'extern "C" __global__ void k(cudaTextureObject_t t, float *x) { x[0] = tex2D<float>(t, 1, 0); }'
    kernel, out = jitload.compile(source).load()["k"], np.zeros(1, np.float32)
    with jitload.Texture(np.array([[1, 2]], order)) as texture:
        kernel(texture, out, grid=1, block=1)
    assert out.tolist() == [2]


@pytest.mark.parametrize("normalized", ["no", 1, None])
def test_normalized_is_true_or_false(normalized):
    with pytest.raises(jitload.UsageTypeError, match="normalized"):
        jitload.Texture(PLANE, normalized=normalized)


def test_the_texels_are_copied():
    source = 'extern "C" __global__ void k(cudaTextureObject_t t, float *x) { x[0] = tex2D<float>(t, 1, 0); }'
    kernel, texels, out = jitload.compile(source).load()["k"], np.array([[1, 2]], np.float32), np.zeros(1, np.float32)
    with jitload.Texture(texels) as texture:
        texels[:] = 7
        kernel(texture, out, grid=1, block=1)
    assert out.tolist() == [2]
