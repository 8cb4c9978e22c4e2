"""Video instructions: scalar ones, and SIMD in a word (PTX ISA sections 9.7.17 and 9.7.18)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_S = "(u32|s32)"
_TWO = f".{_S}.{_S}"
_THREE = f"{_TWO}.{_S}"
#: Scalar operation -> what stands behind its types.
_SCALAR = dict.fromkeys(("vadd", "vsub", "vabsdiff", "vmin", "vmax"), "{.sat}") | dict.fromkeys(
    ("vshl", "vshr"), "{.sat}.(clamp|wrap)"
)

ROWS = (
    *(
        row
        for name, rest in _SCALAR.items()
        for types in [f".{_S}.{_S}.u32" if name in {"vshl", "vshr"} else _THREE]
        for row in (
            Row(f"{name}{types}{rest}", "d:* a:* b:* c:*?", example="%r1, %r2, %r3", profile="integer"),
            Row(f"{name}{types}{rest}.(add|min|max)", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer"),
        )
    ),
    Row(f"vset{_TWO}.CMP", "d:* a:* b:* c:*?", example="%r1, %r2, %r3", profile="integer"),
    Row(f"vset{_TWO}.CMP.(add|min|max)", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer"),
    Row(f"vmad{_THREE}{{.sat}}{{.(shr7|shr15)}}", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer"),
    Row(f"vmad{_THREE}.po{{.sat}}{{.(shr7|shr15)}}", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer"),
    *(Row(f"v{name}{count}{_THREE}{{.(sat|add)}}", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer") for name in ("add", "sub", "avrg", "absdiff", "min", "max") for count in (2, 4)),
    *(Row(f"vset{count}{_TWO}.CMP{{.add}}", "d:* a:* b:* c:*", example="%r1, %r2, %r3, %r4", profile="integer") for count in (2, 4)),
)  # fmt: skip
