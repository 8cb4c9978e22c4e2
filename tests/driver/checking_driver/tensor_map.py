"""Tensor maps: what the documentation of `cuTensorMapEncodeTiled` refuses, and the executor's encoding of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload.cpu.memory.tensor_map import ELEMENTS, TensorMap, encode_tensor_map, misfit_of

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

#: CUtensorMapDataType (cuda.h), as NumPy calls it; those behind it flush or round what is copied.
_TYPES = (
    "uint8", "uint16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64", "bfloat16",
)  # fmt: skip
_SWIZZLES = (16, 32, 64, 128)
_NUMBERS = {name: number for number, (_, _, name) in enumerate(ELEMENTS)}


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""

    def numbers(address: int, count: int, nbytes: int) -> tuple[int, ...]:
        raw = driver.read(address, count * nbytes) if count else b""
        return tuple(int.from_bytes(raw[at : at + nbytes], "little") for at in range(0, len(raw), nbytes))

    def encode(
        out: int, kind: int, rank: int, address: int, extents: int, strides: int, boxes: int, steps: int,
        interleave: int, swizzle: int, promotion: int, fill: int,
    ) -> None:  # fmt: skip
        # `out` need not be a multiple of 64 here, as it need be by the documentation: the bindings allocate it.
        if driver.current().device.capability < (9, 0):
            raise Refused(status.INVALID_VALUE, "tensor maps need compute capability 9.0")
        if kind >= len(_TYPES) or not 1 <= rank <= 5 or interleave or swizzle > 3 or promotion > 3 or fill > 1:
            raise Refused(status.INVALID_VALUE, f"a tensor map of type {kind}, {rank} axes, at {out:#x}")
        found = TensorMap(
            address, numbers(extents, rank, 8), numbers(strides, rank - 1, 8), numbers(boxes, rank, 4),
            numbers(steps, rank, 4), _NUMBERS[_TYPES[kind]], _SWIZZLES[swizzle], bool(fill),
        )  # fmt: skip
        if driver.memory.around(address) is None:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no memory of CUDA")
        if why := misfit_of(found):
            raise Refused(status.INVALID_VALUE, f"a tensor map whose {why}")
        driver.write_bytes(out, encode_tensor_map(found))

    return {"cuTensorMapEncodeTiled": encode}
