"""Video instructions: scalar ones, and SIMD in a word (PTX ISA sections 9.7.17 and 9.7.18)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_S = "(u32|s32)"
_TWO = f".{_S}.{_S}"
_THREE = f"{_TWO}.{_S}"
_COMPARED = "holds(picked(n, 'CMP'), a, b)"
#: Operation -> what it does with two numbers.
_MODELS = {
    "add": "a + b", "sub": "a - b", "absdiff": "abs(a - b)", "min": "min(a, b)", "max": "max(a, b)",
    "avrg": "(a + b + (a + b >= 0)) >> 1", "shl": "wrapped(a << counted(n, b), 34)", "shr": "a >> counted(n, b)",
}  # fmt: skip
_SHIFTS = {"shl": "{.sat}.(clamp|wrap)", "shr": "{.sat}.(clamp|wrap)"}
_MAD = "scaled(n, a * b, c, minus, signed)"


def _row(spelled: str, model: str, *, third: str = "") -> Row:
    """One of them; `third` is "?" where the third source may be missing."""
    example = "%r1, %r2, %r3" if third else "%r1, %r2, %r3, %r4"
    return Row(spelled, f"d:* a:* b:* c:*{third}", "", model, example=example, profile="integer")


def _scalar(name: str) -> tuple[Row, ...]:
    """As it is, and with a second operation."""
    types = f".{_S}.{_S}.u32" if name in _SHIFTS else _THREE
    head = f"v{name}{types}{_SHIFTS.get(name, '{.sat}')}"
    return _row(head, _MODELS[name], third="?"), _row(f"{head}.(add|min|max)", _MODELS[name])


ROWS = (
    *(row for name in ("add", "sub", "absdiff", "min", "max", "shl", "shr") for row in _scalar(name)),
    _row(f"vset{_TWO}.CMP", _COMPARED, third="?"),
    _row(f"vset{_TWO}.CMP.(add|min|max)", _COMPARED),
    _row(f"vmad{_THREE}{{.sat}}{{.(shr7|shr15)}}", _MAD),
    _row(f"vmad{_THREE}.po{{.sat}}{{.(shr7|shr15)}}", _MAD),
    *(
        _row(f"v{name}{count}{_THREE}{{.(sat|add)}}", _MODELS[name])
        for name in ("add", "sub", "avrg", "absdiff", "min", "max")
        for count in (2, 4)
    ),
    *(_row(f"vset{count}{_TWO}.CMP{{.add}}", _COMPARED) for count in (2, 4)),
)
