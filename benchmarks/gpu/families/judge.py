"""Are two results the same? Bit for bit; for what PTX calls approximate, within the bounds that its ISA gives.

The bounds are those of the PTX ISA, section "Floating Point Instructions" and "Half Precision Floating Point
Instructions", plus half a unit for the executor, which rounds once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np


class Bound(NamedTuple):
    """How far an approximate result may be from the other one.

    Attributes:
        opcode: a regular expression of the instruction.
        relative, absolute: either of them holding is enough.
        most_input: inputs beyond it, in magnitude, are not judged: their results have no bound.
    """

    opcode: str
    relative: float = 0.0
    absolute: float = 0.0
    most_input: float = np.inf


_ULP32 = 2.0**-23
BOUNDS = (
    Bound(r"div\.full\.f32", relative=3 * _ULP32),
    Bound(r"div\.approx\.f32", relative=3 * _ULP32, most_input=2.0**126),
    Bound(r"rcp\.approx(\.ftz)?\.f32", relative=2 * _ULP32),
    Bound(r"r?sqrt\.approx(\.ftz)?\.f32", relative=2 * _ULP32),
    Bound(r"(rcp|rsqrt)\.approx\.ftz\.f64", relative=2.0**-19),
    Bound(r"(sin|cos)\.approx(\.ftz)?\.f32", absolute=2.0**-14.7 + _ULP32, most_input=100 * np.pi),
    Bound(r"lg2\.approx(\.ftz)?\.f32", relative=2.0**-22 + _ULP32, absolute=2.0**-22),
    Bound(r"ex2\.approx(\.ftz)?\.f32", relative=3 * _ULP32),
    Bound(r"tanh\.approx\.f32", relative=2.0**-11 + _ULP32),
    Bound(r"ex2\.approx\.f16", relative=2.0**-9.9 + 2.0**-11),
    Bound(r"ex2\.approx\.ftz\.bf16", relative=2.0**-7 + 2.0**-8),
    Bound(r"tanh\.approx\.f16", relative=2.0**-10, absolute=2.0**-10.987 + 2.0**-12),
    Bound(r"tanh\.approx\.bf16", relative=2.0**-8, absolute=2.0**-8),
)


def bound_of(opcode: str) -> Bound | None:
    """The bound of an approximate instruction; None for one whose bits are defined."""
    return next((bound for bound in BOUNDS if re.match(bound.opcode, opcode)), None)


def numbers(cells: np.ndarray, opcode: str) -> np.ndarray:
    """Cells of 16 bytes as float64, by the type that the instruction ends with; packed ones side by side."""
    kind = opcode.rpartition(".")[2]
    if kind == "f64":
        return np.ascontiguousarray(cells[..., :8]).view(np.float64)
    if kind in {"f16", "f16x2"}:
        return np.ascontiguousarray(cells[..., : 4 if kind == "f16x2" else 2]).view(np.float16).astype(np.float64)
    if kind in {"bf16", "bf16x2"}:
        halves = np.ascontiguousarray(cells[..., : 4 if kind == "bf16x2" else 2]).view(np.uint16).astype(np.uint32)
        return (halves << 16).view(np.float32).astype(np.float64)
    return np.ascontiguousarray(cells[..., :4]).view(np.float32).astype(np.float64)


def far(bound: Bound, expected: np.ndarray, got: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, float]:
    """Per lane, whether a result is out of bounds; and the largest relative difference among those in question."""
    flat = [one.reshape(len(one), -1) for one in (expected, got, inputs)]
    with np.errstate(all="ignore"):
        judged = ~(np.isfinite(flat[2]) & (abs(flat[2]) > bound.most_input)).any(1)
        away = abs(flat[0] - flat[1])
        same = (flat[0] == flat[1]) | (np.isnan(flat[0]) & np.isnan(flat[1]))
        close = same | (away <= bound.relative * abs(flat[0])) | (away <= bound.absolute)
        relative = np.where(same | ~np.isfinite(flat[0]) | (flat[0] == 0), 0, away / abs(flat[0]))
    return judged & ~close.all(1), float(np.nanmax(relative[judged], initial=0.0))
