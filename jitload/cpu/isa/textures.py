"""Textures and surfaces (PTX ISA sections 9.7.10 and 9.7.11), textures in unified mode."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

#: Geometry -> its coordinates in an example; the number of a layer stands before them.
_PLACES = {
    "1d": "%f5", "2d": "%f5, %f6", "3d": "%f5, %f6, %f7, %f7", "a1d": "%r1, %f5", "a2d": "%r1, %f5, %f6, %f6",
    "cube": "%f5, %f6, %f7, %f7", "acube": "%r1, %f5, %f6, %f7",
}  # fmt: skip
_GRADIENTS = {"1d": "{%f1}", "2d": "{%f1, %f2}", "a1d": "{%f1}", "a2d": "{%f1, %f2}"}
_GRADIENT = "{%f1, %f2, %f3, %f4}"
#: How many results there are, their types, and where they go in an example.
_RESULTS = (
    ("v4.(u32|s32|f32)", "{%f1, %f2, %f3, %f4}"), ("v4.f16", "{%h1, %h2, %h3, %h4}"), ("v2.f16x2", "{%r2, %r3}"),
)  # fmt: skip
_READS = "{d|p}:T [t]"
_MORE = "e:*? f:*?"


def _texture(name: str, operands: str, example: str, model: str) -> Row:
    return Row(name, f"{_READS} {operands}{_MORE}", "", model, profile="load", effects="accesses", example=example)


def _rows(geometry: str, places: str) -> tuple[Row, ...]:
    seen = "f32" if "cube" in geometry else "(f32|s32)"
    by = _GRADIENTS.get(geometry, _GRADIENT)
    rows = []
    for results, target in _RESULTS:
        example = f"{target}, [%d1, {{{places}}}]"
        tail = f"{geometry}.{results}"
        rows += [
            _texture(f"tex{{.base}}.{tail}.{seen}", "", example, "sampled(t, p)"),
            _texture(f"tex.level.{tail}.f32", "b:f32 ", f"{example}, %f3", "sampled(t, p, b)"),
            _texture(f"tex.grad.{tail}.f32", "b:* c:* ", f"{example}, {by}, {by}", "graded(t, p, b, c)"),
        ]
        if "s32" in seen:
            rows.append(_texture(f"tex.level.{tail}.s32", "b:s32 ", f"{example}, %r3", "sampled(t, p, b)"))
    return tuple(rows)


_EXTENTS = "width|height|depth"
_SIDE = ".(trap|clamp|zero)"


def _reductions() -> tuple[Row, ...]:
    forms = (
        ("b.add", "u32|s32|u64"), ("b.(min|max)", "u32|s32|u64|s64"), ("b.(and|or)", "b32"),
        ("p.(add|min|max|and|or)", "b32"), ("p.(min|max)", "b64"),
    )  # fmt: skip
    return tuple(
        Row(
            f"sured.{head}.(1d|2d|3d).({types}){_SIDE}",
            "[t] b:T",
            "",
            "combined(n, t, p, b)",
            profile="atomic",
            effects="loads stores strong",
        )
        for head, types in forms
    )


ROWS = (
    *(row for geometry, places in _PLACES.items() for row in _rows(geometry, places)),
    *(
        _texture(f"tld4.(r|g|b|a).{geometry}.v4.(u32|s32|f32).f32", "", f"{_RESULTS[0][1]}, [%d1, {{{_PLACES[geometry]}}}]", "gathered(n, t, p)")
        for geometry in ("2d", "a2d", "cube", "acube")
    ),
    Row(f"txq.({_EXTENTS}|array_size|normalized_coords|num_mipmap_levels|num_samples|filter_mode|addr_mode_0|addr_mode_1|addr_mode_2).b32", "d:b32 [a]", "", "asked(n, t)", profile="other", effects="accesses", example="%r1, [%d1]"),
    Row(f"txq.level.({_EXTENTS}).b32", "d:b32 [a] b:b32", "", "asked(n, t, b)", profile="other", effects="accesses", example="%r1, [%d1], %r2"),
    Row("suld.b.(1d|2d|3d|a1d|a2d){.(ca|cg|cs|cv)}{.VEC}.(b8|b16|b32|b64).(trap|clamp|zero)", "{d}>T [t]", "", "loaded(n, t, p, width(n))", profile="load", effects="loads"),
    Row("sust.b.(1d|2d|3d|a1d|a2d){.STORED}{.VEC}.(b8|b16|b32|b64).(trap|clamp|zero)", "[t] {b}>T", "", "stored(n, t, p, b, width(n))", profile="store", effects="stores"),
    Row("sust.p.(1d|2d|3d){.VEC}.b32.(trap|clamp|zero)", "[t] {b}:T", "", "formatted(n, t, p, b)", profile="store", effects="stores"),
    *_reductions(),
    Row(f"suq.({_EXTENTS}|array_size|memory_layout).b32", "d:b32 [a]", "", "told(n, t)", profile="other", effects="accesses", example="%r1, [%d1]"),
)  # fmt: skip
