"""Tensor maps of the driver: descriptors of arrays for copies of boxes of them (compute capability 9.0 on)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from jitload.cuda import driver

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES = 128  # cuda.h, CU_TENSOR_MAP_NUM_QWORDS


def encode_by_driver(
    element: str,
    address: int,
    extents: Sequence[int],
    strides: Sequence[int],
    boxes: Sequence[int],
    steps: Sequence[int],
    swizzle: int,
    *,
    promotion: int,
    fills_nan: bool,
) -> bytes:
    """The bytes that `cuTensorMapEncodeTiled` makes; axes count from the innermost one.

    Args:
        element: the type, as NumPy calls it.
        address: of the first element, on the device.
        extents: elements along each axis.
        strides: bytes between elements along each axis but the innermost.
        boxes: elements that a copy spans along each axis.
        steps: every how-manieth of them is copied.
        swizzle: bytes over which chunks are permuted, 0 for none.
        promotion: bytes that L2 reads at once, 0 for what it does by itself.
        fills_nan: whether what lies outside is NaN.

    Raises:
        DriverError: the driver refused it.
    """
    bindings = driver.ensure_context()
    wide, narrow = bindings.cuuint64_t, bindings.cuuint32_t
    made = driver.check(
        "cuTensorMapEncodeTiled",
        bindings.cuTensorMapEncodeTiled(
            getattr(bindings.CUtensorMapDataType, f"CU_TENSOR_MAP_DATA_TYPE_{element.upper()}"),
            len(extents),
            address,
            [wide(one) for one in extents],
            [wide(one) for one in strides],
            [narrow(one) for one in boxes],
            [narrow(one) for one in steps],
            bindings.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            getattr(bindings.CUtensorMapSwizzle, f"CU_TENSOR_MAP_SWIZZLE_{f'{swizzle}B' if swizzle else 'NONE'}"),
            getattr(
                bindings.CUtensorMapL2promotion,
                f"CU_TENSOR_MAP_L2_PROMOTION_{f'L2_{promotion}B' if promotion else 'NONE'}",
            ),
            bindings.CUtensorMapFloatOOBfill(int(fills_nan)),
        ),
    )
    return ctypes.string_at(int(made.getPtr()), _BYTES)
