"""Which test asks the model of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.cpu.isa.row import Row

_ACCESSES = frozenset(["ld", "ldu", "st", "atom", "red"])
_MATRICES = frozenset(["mma", "wmma", "ldmatrix", "stmatrix", "movmatrix"])


def way_of(row: Row) -> str:
    """ "value", "access", "meeting", "video", "scene", "nothing"; "" where there is no model."""
    if row.refused or not row.model:
        return ""
    if row.model == "nothing":
        return "nothing"
    if row.model.startswith("scene"):
        return "scene"
    if row.opcode in _ACCESSES:
        return "access"
    if row.opcode in _MATRICES:
        return "matrix"
    if row.profile == "warp":
        return "meeting"
    if row.opcode[0] == "v" and row.opcode != "vote":
        return "video"
    return "value"
