"""Tensor maps, the 128 bytes of a `CUtensorMap`: what the executor puts into those that are opaque on a GPU.

No document says how the driver encodes them, so these have an encoding of their own. What is in them, and what is
refused, is what `cuTensorMapEncodeTiled` documents. Axes count from the innermost one, as they do there.

    bytes   0   8  16              56              88         98      103   104    105      106    107
           mark  address  extents[5] strides[1..4]  boxes[5]  steps[5]  rank-1 type interleave swizzle fill
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

TENSOR_MAP_BYTES = 128
_MARK = b"jitloadT"
_LAYOUT = struct.Struct("<8sQ5Q4Q5H5B5B20x")
#: Where `tensormap.replace` finds a field: its first byte, and the bytes of each.
FIELDS = {
    "global_address": (8, 8), "global_dim": (16, 8), "global_stride": (56, 8), "box_dim": (88, 2),
    "element_stride": (98, 1), "rank": (103, 1), "elemtype": (104, 1), "interleave_layout": (105, 1),
    "swizzle_mode": (106, 1), "fill_mode": (107, 1),
}  # fmt: skip
#: In the order of `tensormap.replace` (PTX ISA, table of element types): representation, bytes, name in other APIs.
ELEMENTS = (
    ("u8", 1, "uint8"), ("u16", 2, "uint16"), ("u32", 4, "uint32"), ("s32", 4, "int32"), ("u64", 8, "uint64"),
    ("s64", 8, "int64"), ("f16", 2, "float16"), ("f32", 4, "float32"), ("", 4, "float32 flushed"),
    ("f64", 8, "float64"), ("bf16", 2, "bfloat16"),
)  # fmt: skip
SWIZZLES = (16, 32, 64, 128)  # bytes over which chunks of 16 are permuted; 16 for none
_MOST_EXTENT = 1 << 32
_MOST_STRIDE = 1 << 40
_MOST_BOX = 256
_MOST_STEP = 8


class TensorMap(NamedTuple):
    """A tensor in global memory and the boxes that are copied of it.

    Attributes:
        address: of its first element.
        extents: elements along each axis, the innermost first.
        strides: bytes from one element to the next along each axis but the innermost.
        boxes: elements along each axis that a copy spans.
        steps: along each axis, every how-manieth of these is copied.
        element: number of the type in `ELEMENTS`.
        swizzle: one of `SWIZZLES`.
        fills_nan: whether what lies outside is NaN instead of zero.
    """

    address: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    boxes: tuple[int, ...]
    steps: tuple[int, ...]
    element: int
    swizzle: int
    fills_nan: bool

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return ELEMENTS[self.element][1]

    @property
    def counts(self) -> tuple[int, ...]:
        """Elements along each axis that are copied; steps of the innermost are ignored, as by the driver."""
        inner, *outer = self.boxes
        return (inner, *(-(-box // step) for box, step in zip(outer, self.steps[1:], strict=True)))


def encode_tensor_map(given: TensorMap) -> bytes:
    """The 128 bytes."""
    rank = len(given.extents)
    return _LAYOUT.pack(
        _MARK,
        given.address,
        *_padded(given.extents, 5, 1),
        *_padded(given.strides, 4, 0),
        *_padded(given.boxes, 5, 1),
        *_padded(given.steps, 5, 1),
        rank - 1,
        given.element,
        0,
        SWIZZLES.index(given.swizzle),
        given.fills_nan,
    )


def decode_tensor_map(raw: bytes) -> TensorMap | None:
    """The map; None where the bytes are none."""
    mark, address, *rest = _LAYOUT.unpack(raw)
    extents, strides, boxes, steps = rest[:5], rest[5:9], rest[9:14], rest[14:19]
    rank, element, interleave, swizzle, fill = rest[19:]
    if (
        mark != _MARK
        or rank > 4
        or element >= len(ELEMENTS)
        or not ELEMENTS[element][0]
        or interleave
        or swizzle > 3
        or fill > 1
    ):
        return None
    count = rank + 1
    return TensorMap(
        address, tuple(extents[:count]), tuple(strides[:rank]), tuple(boxes[:count]), tuple(steps[:count]), element,
        SWIZZLES[swizzle], bool(fill),
    )  # fmt: skip


def _padded(values: Sequence[int], count: int, filler: int) -> list[int]:
    return [*values, *([filler] * (count - len(values)))]


def misfit_of(given: TensorMap) -> str:
    """What `cuTensorMapEncodeTiled` would refuse of a map, or ""."""
    for what, values, most in (
        ("extents", given.extents, _MOST_EXTENT),
        ("boxes", given.boxes, _MOST_BOX),
        ("steps", given.steps, _MOST_STEP),
    ):
        bad = [value for value in values if not 1 <= value <= most]
        if bad:
            return f"{what} are 1 to {most}, got {bad[0]}"
    if not 1 <= len(given.extents) <= 5:
        return f"a tensor has 1 to 5 axes, got {len(given.extents)}"
    if given.address % 16:
        return f"the tensor must begin at a multiple of 16 bytes, and begins at {given.address:#x}"
    bad = [stride for stride in given.strides if stride % 16 or not 0 <= stride < _MOST_STRIDE]
    if bad:
        return f"axes but the last must lie multiples of 16 bytes apart, and one has {bad[0]}"
    inner = given.boxes[0] * given.size
    if inner % 16:
        return f"a box must span a multiple of 16 bytes along the last axis, and spans {inner}"
    if given.swizzle > 16 and inner > given.swizzle:
        return (
            f"with a swizzle of {given.swizzle} bytes a box spans at most that along the last axis, and spans {inner}"
        )
    if given.fills_nan and not ELEMENTS[given.element][2].startswith(("float", "bfloat")):
        return f"what lies outside can be NaN in floats, and not in {ELEMENTS[given.element][2]}"
    return ""
