"""Values for the fragments of `mma`: whole numbers, whose sums are exact in any order, and numbers that get rounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.families.around import CELL_BYTES
from gpu.families.line import registers_in

if TYPE_CHECKING:
    from gpu.families.line import Line

#: 0 to 4 as e4m3 (1.0 is 0x38).
_E4M3 = np.array([0x00, 0x38, 0x40, 0x44, 0x48], np.uint8)
_TYPES = r"(f64|f32|f16|bf16|tf32|e4m3|e5m2|s32|[su]8|[su]4|b1)"
#: Type of A and B -> how far sums may be apart that add up in another order and width, for inputs about 1.
LOOSE = {"f64": 1e-12, "f16": 2e-3, "bf16": 2e-3, "tf32": 2e-3, "e4m3": 0.2, "e5m2": 0.4}


def fragment_types(line: Line) -> tuple[str, str, str, str] | None:
    """The types of D, A, B and C of an `mma`, or None for any other instruction."""
    found = re.search(rf"\.{_TYPES}\.{_TYPES}\.{_TYPES}\.{_TYPES}(\.|$)", line.opcode)
    return found.groups()[:4] if line.opcode.startswith("mma.sync") and found else None


def is_whole(line: Line) -> bool:
    """Whether the fragments are integers, of which any bits will do."""
    types = fragment_types(line)
    return types is not None and types[0] == "s32"


def fragments_for(line: Line, registers: Any, lanes: int, rng: np.random.Generator, *, exact: bool) -> np.ndarray:
    """The buffer `in` of an `mma` of floating point."""
    block = np.zeros((lanes, len(registers), CELL_BYTES), np.uint8)
    operands = [registers_in(part) for part in re.findall(r"\{[^}]*\}", line.text)]
    for kind, operand in zip(fragment_types(line) or (), operands, strict=False):
        for register in operand:
            bits = _numbers(kind, lanes, rng, exact)
            block[:, registers.index(register), : bits.shape[1]] = bits
    return block


def _numbers(kind: str, lanes: int, rng: np.random.Generator, exact: bool) -> np.ndarray:
    """One register per lane, full of numbers of a type, as bytes."""
    count = {"f16": 2, "bf16": 2, "e4m3": 4, "e5m2": 4}.get(kind, 1)
    whole = rng.integers(-4, 5, (lanes, count))
    values = whole if exact else rng.standard_normal((lanes, count))
    if kind == "e4m3":
        code = _E4M3[abs(whole)] | (0x80 * (whole < 0)).astype(np.uint8)
        return code if exact else rng.integers(0x28, 0x48, (lanes, count)).astype(np.uint8) | code & 0x80
    if kind == "bf16":
        return np.ascontiguousarray(values.astype(np.float32).view(np.uint16)[:, 1::2]).view(np.uint8)
    if kind == "tf32":
        return (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.uint8)
    return np.ascontiguousarray(values.astype({"f16": np.float16, "f64": np.float64}.get(kind, np.float32))).view(
        np.uint8
    )
