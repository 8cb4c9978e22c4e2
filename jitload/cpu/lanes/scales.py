"""Scales of the factors of `mma` with `.block_scale` (PTX ISA section 9.7.14.3).

A row of A, and a column of B, has a scale for each of 1, 2 or 4 parts of its elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.fp8 import from_narrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.types import Array

_ROWS, _COLUMNS = np.arange(16), np.arange(8)


def scale_numbers(codes: Array, type_name: str) -> Array:
    """Scales as f64."""
    if type_name == "ue4m3":  # the uppermost bit counts for nothing
        return np.asarray(from_narrow(codes.astype(np.uint16) & np.uint16(0x7F), "e4m3").view(np.float16).astype(float))
    return np.asarray(np.where(codes == 0xFF, np.nan, np.ldexp(1.0, codes.astype(np.int64) - 127)))


def _select(words: Array, first: Array, count: int, lanes: Array, type_name: str) -> Array:
    """(warps, lanes named, scales): so many bytes of their words, from byte `first` of each warp on."""
    places = (first[:, None, None] + np.arange(count)) & 3
    chosen = words[np.arange(len(words))[:, None], lanes]
    return scale_numbers(chosen[..., None] >> (places * 8).astype(np.uint32) & np.uint32(0xFF), type_name)


def scale_factors(a: Array, b: Array, words: Sequence[Array], type_name: str, count: int) -> tuple[Array, Array]:
    """A and B with their elements scaled.

    Args:
        a: (warps, 16, elements).
        b: (warps, elements, 8).
        words: (warps, lanes) each: scales of A, number of their byte, of their threads; the same of B.
        type_name: of the scales.
        count: how many a row has.
    """
    scales_a, byte_a, threads_a, scales_b, byte_b, thread_b = words
    lanes_a = 4 * (_ROWS % 8) + _ROWS // 8 + 2 * threads_a[:, :1].astype(np.int64)
    lanes_b = 4 * _COLUMNS + thread_b[:, :1].astype(np.int64)
    of_a = _select(scales_a, byte_a[:, 0].astype(np.int64), count, lanes_a, type_name)
    of_b = _select(scales_b, byte_b[:, 0].astype(np.int64), count, lanes_b, type_name)
    wide_a = np.repeat(of_a, a.shape[2] // count, axis=2)
    wide_b = np.repeat(of_b, b.shape[1] // count, axis=2).transpose(0, 2, 1)
    return a * wide_a, b * wide_b


def selector_values(count: int) -> dict[str, tuple[int, ...]]:
    """What the numbers of bytes and of threads may be, by name, where a row has so many scales (PTX ISA table 40)."""
    numbers = {1: (0, 1, 2, 3), 2: (0, 2), 4: (0,)}[count]
    return {"byte-id-a": numbers, "thread-id-a": (0, 1), "byte-id-b": numbers, "thread-id-b": (0, 1, 2, 3)}


def find_misled(words: Sequence[Array], count: int) -> tuple[int, str] | None:
    """(lane, what is wrong) of the first selector that selects nothing; words of lanes, as for `scale_factors`."""
    given = (words[1], words[2], words[4], words[5])
    for (name, legal), chosen in zip(selector_values(count).items(), given, strict=True):
        wrong = ~np.isin(chosen, legal)
        if wrong.any():
            lane = int(np.argmax(wrong))
            return lane, f"{name} is {int(chosen[lane])}: legal is {', '.join(map(str, legal))}"
    return None
