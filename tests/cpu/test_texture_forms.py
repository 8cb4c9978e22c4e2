"""Forms of texture instructions that CUDA C++ seldom writes, and numbers that were worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitload
from jitload.cpu.module import load_ptx
from jitload.errors import LoadError
from tests.cpu.families import decide


@pytest.fixture(autouse=True)
def on_the_executor():
    with jitload.configure(device="cpu"):
        yield


_FRAME = """.visible .entry k(.param .u64 t, .param .u64 x, .param .u64 o) {{
.reg .b64 %t, %w; .reg .b32 %l, %r<9>, %i<5>; .reg .f32 %x, %y, %z, %f<5>; .reg .b16 %h<5>; .reg .pred %p;
ld.param.u64 %t, [t]; ld.param.u64 %w, [x]; mov.u32 %l, %tid.x; mad.wide.u32 %w, %l, 16, %w;
ld.global.v4.f32 {{%x, %y, %z, %f4}}, [%w]; mov.b32 %i0, %x; mov.b32 %i1, %y; mov.b32 %i2, %z;
{line} ld.param.u64 %w, [o]; mad.wide.u32 %w, %l, 16, %w; st.global.v4.b32 [%w], {{%r0, %r1, %r2, %r3}}; ret; }}"""


def read(ptx, texture, line, points, dtype=np.float32):
    """What a line leaves in %r0 to %r3, for each of some points (x, y, z) of f32 or of s32."""
    place = np.zeros((len(points), 4), np.float32 if np.asarray(points).dtype.kind == "f" else np.int32)
    for number, point in enumerate(points):
        place[number, : len(np.atleast_1d(point))] = point
    out = np.zeros((len(points), 4), np.uint32)
    ptx(_FRAME.format(line=line)).run("k", 1, len(points), texture.handle, place, out)
    return out.view(dtype)


FOUR = "{%r0, %r1, %r2, %r3}"


def test_mixing_on_a_line_worked_out_by_hand(ptx):
    """xB = x - 0.5; of its fraction 8 bits stay, and 1 is one of those: a third is 85, 1023/1024 is 256 of 256."""
    texture = jitload.Texture(np.array([0, 256, 1024], np.float32), filter="linear")
    points = [0.5, 0.5 + 1 / 3, 1.25, 1.5 - 1 / 1024, 1.5, 1.5 + 1 / 1024, 2.0, 0.0, 9.0, 0.5 + 3 / 512 + 1 / 8192]
    found = read(ptx, texture, f"tex.1d.v4.f32.f32 {FOUR}, [%t, {{%x}}];", points)
    assert found[:, 0].tolist() == [0, 85, 192, 256, 256, 256, 640, 0, 1024, 2]
    assert not found[:, 1:].any()


def test_mixing_on_a_plane_worked_out_by_hand(ptx):
    """At a third and a half: 85 above, 512 + 170 below, and the mean of both; likewise in a cube of texels."""
    plane = np.array([[0, 256], [512, 1024]], np.float32)
    texture = jitload.Texture(plane, filter="linear")
    points = [(0.5 + 1 / 3, 1.0), (1.0, 0.5), (1.5, 0.75), (0.5, 0.5)]
    found = read(ptx, texture, f"tex.2d.v4.f32.f32 {FOUR}, [%t, {{%x, %y}}];", points)
    assert found[:, 0].tolist() == [383.5, 128, 448, 0]
    solid = jitload.Texture(np.stack([plane, plane + 2048]), filter="linear")
    found = read(ptx, solid, f"tex.3d.v4.f32.f32 {FOUR}, [%t, {{%x, %y, %z, %z}}];", [(0.5 + 1 / 3, 1.0, 0.75)])
    assert found[0, 0] == 383.5 + 512


def test_a_coordinate_may_stand_alone_and_more_may_stand_than_are_used(ptx):
    texture = jitload.Texture(np.array([3, 5, 7], np.float32))
    for line in ("[%t, %x]", "[%t, {%x}]", "[%t, {%x, %y, %z, %z}]"):
        assert read(ptx, texture, f"tex.1d.v4.f32.f32 {FOUR}, {line};", [1.5, 2.5])[:, 0].tolist() == [5, 7]
    linear = jitload.Texture(np.array([3, 5, 7], np.int32), "linear")
    line = f"tex.base.1d.v4.s32.s32 {FOUR}, [%t, %i0];"
    assert read(ptx, linear, line, [1, 2], np.int32)[:, 0].tolist() == [5, 7]


@pytest.mark.parametrize(
    "line",
    [
        f"tex.2d.v4.f32.f32 {FOUR}|%p, [%t, {{%x, %y}}];",
        f"tex.base.2d.v4.f32.f32 {FOUR}|%p, [%t, {{%x, %y}}];",
        f"tex.level.2d.v4.f32.f32 {FOUR}|%p, [%t, {{%x, %y}}], %z;",
        f"tex.grad.2d.v4.f32.f32 {FOUR}|%p, [%t, {{%x, %y}}], {{%x, %y}}, {{%x, %y}};",
        f"tex.level.2d.v4.f32.s32 {FOUR}|%p, [%t, {{%i0, %i1}}], %i2;",
        f"tld4.r.2d.v4.f32.f32 {FOUR}|%p, [%t, {{%x, %y}}];",
    ],
)
def test_every_texel_is_in_memory(ptx, line):
    """The predicate says so; and there is one level of detail, whichever is asked for."""
    texture = jitload.Texture(np.full((4, 4), 3, np.float32))
    points = np.ones((8, 3), np.int32 if "%i0" in line else np.float32)
    assert read(ptx, texture, line, points)[:, 0].tolist() == [3] * 8
    assert read(ptx, texture, f"{line} selp.b32 %r0, 7, 8, %p;", points, np.int32)[:, 0].tolist() == [7] * 8


@pytest.mark.parametrize("mode", ["clamp", "border", "wrap", "mirror"])
@pytest.mark.parametrize("filter_", ["point", "linear"])
def test_offsets_are_added_before_anything_is_done_outside(ptx, mode, filter_):
    """So reading with one is reading so many texels on."""
    rng = np.random.default_rng(3)
    texture = jitload.Texture(rng.random((8, 4)).astype(np.float32), filter=filter_, address=mode, normalized=True)
    points = rng.integers(-32, 64, (40, 2)) / 32 + 1 / 64
    moved = points + np.array([-3 / 4, 7 / 8])
    plain = f"tex.2d.v4.f32.f32 {FOUR}, [%t, {{%x, %y}}]"
    for line in (f"{plain}, {{-3, 7}};", f"mov.u32 %i0, -3; mov.u32 %i1, 7; {plain}, {{%i0, %i1}};"):
        assert np.array_equal(read(ptx, texture, line, points), read(ptx, texture, f"{plain};", moved))


def test_offsets_of_numbers_of_texels(ptx):
    texture = jitload.Texture(np.arange(12, dtype=np.float32).reshape(3, 4))
    line = f"tex.2d.v4.f32.s32 {FOUR}, [%t, {{%i0, %i1}}], {{1, -1}};"
    found = read(ptx, texture, line, np.array([[0, 1], [2, 2], [3, 0]], np.int32))
    assert found[:, 0].tolist() == [1, 7, 3]


@pytest.mark.parametrize(("geometry", "kind"), [("a2d", "2d layered"), ("cube", "cube"), ("acube", "cube layered")])
def test_gathering_from_layers_and_faces(ptx, geometry, kind):
    """The four texels that linear filtering would mix, from the lower left on."""
    shape = {"a2d": (3, 4, 5), "cube": (6, 4, 4), "acube": (2, 6, 4, 4)}[geometry]
    texels = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    texture = jitload.Texture(texels, kind)
    places = {"a2d": "{1, %x, %y, %z}", "cube": "{%x, %y, %z, %z}", "acube": "{1, %x, %y, %z}"}[geometry]
    point = (2.2, 1.9, 0) if geometry == "a2d" else (0.1, -0.3, -1.0)  # in the middle of face -z
    found = read(ptx, texture, f"tld4.r.{geometry}.v4.f32.f32 {FOUR}, [%t, {places}];", [point])[0].tolist()
    if geometry == "a2d":
        plane, x, y = texels[1], 1, 1
    else:  # s = (-0.1 + 1) / 2 * 4 = 1.8, t = (0.3 + 1) / 2 * 4 = 2.6
        plane, x, y = texels[5] if geometry == "cube" else texels[1, 5], 1, 2
    assert found == [plane[y + 1, x], plane[y + 1, x + 1], plane[y, x + 1], plane[y, x]]


def test_gathering_with_offsets(ptx):
    texels = np.arange(40, dtype=np.float32).reshape(5, 8)
    line = f"tld4.r.2d.v4.f32.f32 {FOUR}, [%t, {{%x, %y}}], {{3, -1}};"
    found = read(ptx, jitload.Texture(texels), line, [(2.0, 3.0)])[0].tolist()
    assert found == [texels[2, 4], texels[2, 5], texels[1, 5], texels[1, 4]]


@pytest.mark.parametrize("geometry", ["cube", "acube"])
def test_gradients_of_cubes_choose_among_one_level(ptx, geometry):
    shape = (6, 4, 4) if geometry == "cube" else (2, 6, 4, 4)
    texture = jitload.Texture(
        np.random.default_rng(1).random(shape).astype(np.float32), geometry.replace("acube", "cube layered")
    )
    first = "1, " if geometry == "acube" else ""
    places = f"[%t, {{{first}%x, %y, %z{'' if first else ', %z'}}}]"
    points = np.random.default_rng(2).standard_normal((9, 3))
    grad = f"tex.grad.{geometry}.v4.f32.f32 {FOUR}, {places}, {{%x, %y, %z, %z}}, {{%x, %y, %z, %z}};"
    plain = f"tex.{geometry}.v4.f32.f32 {FOUR}, {places};"
    assert np.array_equal(read(ptx, texture, grad, points), read(ptx, texture, plain, points))


def test_results_as_halves(ptx):
    texture = jitload.Texture(np.array([[1, -2, 1 + 2**-11, 1e6]], np.float32), channels=4)
    packed = read(ptx, texture, "tex.1d.v2.f16x2.f32 {%r0, %r1}, [%t, %x];", [0.5], np.float16)[0, :4]
    assert packed.tolist() == [1, -2, 1, math.inf]
    line = "tex.1d.v4.f16.f32 {%h0, %h1, %h2, %h3}, [%t, %x]; mov.b32 %r0, {%h0, %h1}; mov.b32 %r1, {%h2, %h3};"
    assert read(ptx, texture, line, [0.5], np.float16)[0, :4].tolist() == [1, -2, 1, math.inf]


def ask(ptx, opcode, thing, *questions):
    lines = [f"{opcode}.{one}.b32 %r{number}, [%t];" for number, one in enumerate(questions)]
    return read(ptx, thing, " ".join(lines), [0.0], np.int32)[0, : len(questions)].tolist()


def test_questions_about_textures(ptx):
    texture = jitload.Texture(
        np.zeros((3, 5), np.float32), address=("wrap", "mirror", "border"), filter="linear", normalized=True
    )
    assert ask(ptx, "txq", texture, "width", "height", "array_size", "num_samples") == [5, 3, 0, 0]
    assert ask(ptx, "txq", texture, "addr_mode_0", "addr_mode_1", "addr_mode_2") == [0, 1, 4]
    assert ask(ptx, "txq", texture, "filter_mode", "normalized_coords", "num_mipmap_levels") == [1, 1, 0]
    solid = jitload.Texture(np.zeros((2, 3, 5), np.uint8))
    assert ask(ptx, "txq", solid, "width", "height", "depth", "addr_mode_0") == [5, 3, 2, 3]
    assert ask(
        ptx, "txq", jitload.Texture(np.zeros((4, 6, 2, 2), np.uint8), "cube layered"), "array_size", "height"
    ) == [4, 2]
    found = read(ptx, solid, "txq.level.width.b32 %r0, [%t], 1; txq.level.depth.b32 %r1, [%t], %i0;", [4], np.int32)
    assert found[0, :2].tolist() == [2, 1]
    with pytest.raises(jitload.CpuFault, match="is no texture, or it has no height"):
        ask(ptx, "txq", jitload.Texture(np.zeros(4, np.float32)), "height")


def test_questions_about_surfaces(ptx):
    surface = jitload.Surface(np.zeros((4, 3, 5), np.float32), "2d layered")
    assert ask(ptx, "suq", surface, "width", "height", "array_size", "memory_layout") == [5, 3, 4, 0]
    with pytest.raises(jitload.CpuFault, match="is no surface, or it has no depth"):
        ask(ptx, "suq", surface, "depth")
    with pytest.raises(jitload.CpuFault, match="is no surface"):
        ask(ptx, "suq", jitload.Texture(np.zeros(4, np.float32)), "width")


P = "{%f1, %f2, %f3, %f4}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"tex.2d.v4.f32.f32 {P}, [%d1, {{%f5, %f6}}], %f7", "textures of depths, which are compared with a number"),
        (f"tex.2d.v4.f32.f32 {P}, [%d1, %d2, {{%f5, %f6}}]", "samplers apart from textures"),
        (f"tex.2d.v4.f32.f32 {P}, [tex_a, {{%f5, %f6}}]", "references, in place of texture and surface objects by value"),
        (f"tex.2dms.v4.f32.s32 {P}, [%d1, {{%r1, %r2, %r3, %r3}}]", "textures of several samples"),
        (f"tex.cube.v4.f32.f32 {P}, [%d1, {{%f5, %f6, %f7, %f7}}], {{1, 2, 3, 3}}", "offsets of 4 coordinates of a texture .cube"),
        (f"tex.2d.v4.f32.f32 {P}, [%d1, {{%f5, %f6, %f7}}]", "3 coordinates where 2 are expected"),
        ("txq.channel_order.b32 %r1, [%d1]", "channel_order is a number of the source language's own"),
        ("txq.width.b32 %r1, [k_p]", "an object in a register is expected"),
        ("suld.b.2d.b32.trap %r1, [%d1, {%r1}]", "1 coordinates where 2 are expected"),
        ("suld.b.2d.v2.b32.trap %r1, [%d1, {%r1, %r2}]", "1 registers where 2 are expected"),
        ("sured.b.add.2d.b32.trap [%d1, {%r1, %r2}], %r1", "legal is sured.b.add"),
    ],
)  # fmt: skip
def test_what_stays_refused_is_refused_by_its_name(line, why):
    found = decide(line)
    assert why in found
    assert "invalid PTX" not in found


def test_references_are_named_where_they_are_declared():
    with pytest.raises(
        LoadError, match=r"references \(\.texref\), in place of texture and surface objects by value, are not"
    ):
        load_ptx(b".version 8.0\n.target sm_80\n.address_size 64\n.global .texref t;\n.visible .entry k() { ret; }")
