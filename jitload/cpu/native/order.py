"""Kernels whose results may depend on which thread is first, where none of them is wrong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.text.ir import Place

_SUMS = {"f16", "f16x2", "bf16", "bf16x2", "f32", "f64"}
_EXCHANGES = {"exch", "cas"}


def depends_on_order(places: Iterable[Place]) -> bool:
    """Whether an atomic operation gives back what was there, exchanges, or sums floats: threads take turns at those."""
    return any(_takes_turns(place.text.split()) for place in places)


def _takes_turns(words: list[str]) -> bool:
    name = next((word for word in words if not word.startswith("@")), "").rstrip(";")
    opcode, *modifiers = name.split(".")
    return opcode in {"atom", "multimem"} or (opcode == "red" and not (_SUMS | _EXCHANGES).isdisjoint(modifiers))
