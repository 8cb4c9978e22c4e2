"""Textures (PTX ISA section 9.7.10), in unified mode."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

#: Its forms need texture objects around them.
_MODEL = "tests/cpu/test_textures.py"
#: Geometry -> its coordinates in an example; the number of a layer stands before them.
_PLACES = {
    "1d": "%f5", "2d": "%f5, %f6", "3d": "%f5, %f6, %f7, %f7", "a1d": "%r1, %f5", "a2d": "%r1, %f5, %f6, %f6",
    "cube": "%f5, %f6, %f7, %f7", "acube": "%r1, %f5, %f6, %f7",
}  # fmt: skip
_GRADIENTS = {"1d": "{%f1}", "2d": "{%f1, %f2}", "3d": "{%f1, %f2, %f3, %f4}", "a1d": "{%f1}", "a2d": "{%f1, %f2}"}
_TARGET = "{%f1, %f2, %f3, %f4}"


def _rows(geometry: str, places: str) -> tuple[Row, ...]:
    seen = "f32" if "cube" in geometry else "(f32|s32)"
    example = f"{_TARGET}, [%d1, {{{places}}}]"
    tail = f"{geometry}.v4.(u32|s32|f32)"
    rows = [
        Row(f"tex.{tail}.{seen}", "{d}:* [t]", model=_MODEL, profile="load", effects="accesses", example=example),
        Row(
            f"tex.level.{tail}.f32",
            "{d}:* [t] b:f32",
            model=_MODEL,
            profile="load",
            effects="accesses",
            example=f"{example}, %f3",
        ),
    ]
    if geometry in _GRADIENTS:
        given = ", ".join([example, _GRADIENTS[geometry], _GRADIENTS[geometry]])
        rows.append(
            Row(
                f"tex.grad.{tail}.f32",
                "{d}:* [t] b:* c:*",
                model=_MODEL,
                profile="load",
                effects="accesses",
                example=given,
            )
        )
    return tuple(rows)


ROWS = (
    *(row for geometry, places in _PLACES.items() for row in _rows(geometry, places)),
    Row(
        "tld4.(r|g|b|a).2d.v4.(u32|s32|f32).f32",
        "{d}:* [t]",
        model=_MODEL,
        profile="load",
        effects="accesses",
        example=f"{_TARGET}, [%d1, {{%f5, %f6}}]",
    ),
)
