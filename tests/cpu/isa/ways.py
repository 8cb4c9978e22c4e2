"""Which test asks the model of a row: each row has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.cpu.isa.row import Row

_ACCESSES = frozenset(["ld", "ldu", "st", "atom", "red", "multimem"])
_MATRICES = frozenset(["mma", "wmma", "ldmatrix", "stmatrix", "movmatrix", "wgmma"])
_TEXELS = frozenset(["tex", "tld4", "txq", "suld", "sust", "sured", "suq"])


def way_of(row: Row) -> str:
    """ "value", "access", "meeting", "matrix", "video", "scene", "nothing", "bulk", "tensor", "texels", "tensor move", "tensor copy" or "tensor product"; "" where there is no model."""
    if row.refused or not row.model:
        return ""
    if row.model in {"nothing", "scene"}:
        return row.model
    if row.opcode == "tcgen05":
        return "tensor product" if "!mma" in row.spelled else "tensor copy" if "!cp" in row.spelled else "tensor move"
    if row.opcode in _TEXELS:
        return "texels"
    if row.opcode in {"cp", "tensormap"}:
        return "bulk" if row.model.startswith("reduced") else "tensor"
    if row.opcode in _ACCESSES:
        return "access"
    if row.opcode in _MATRICES:
        return "matrix"
    if row.profile == "warp":
        return "meeting"
    if row.opcode[0] == "v" and row.opcode != "vote":
        return "video"
    return "value"
