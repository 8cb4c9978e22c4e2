"""A piece of memory as an array of each representation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.types import Array


class Views(dict[str, "Array"]):
    """Memory as a flat array of each representation, made when they are asked for: a launch needs few of them.

    Args:
        memory: its bytes.
    """

    __slots__ = ()

    def __init__(self, memory: Array) -> None:
        super().__init__()
        self["u8"] = memory

    def __missing__(self, rep: str) -> Array:
        dtype, memory = DTYPES[rep], self["u8"]
        view: Array = np.ndarray((len(memory) // dtype.itemsize,), dtype, memory)
        self[rep] = view
        return view
