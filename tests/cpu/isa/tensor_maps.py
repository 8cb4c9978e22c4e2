"""Runs `tensormap.replace` on maps in memory, and says what its models make of their fields."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.tensor_map import SWIZZLES, TensorMap, decode_tensor_map, encode_tensor_map
from tests.cpu.isa.models import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

    Fields = dict[str, list[int]]

_KERNEL = """.visible .entry k(.param .u64 map, .param .u64 value) {{
.reg .b64 %m, %n, %v, %x; .reg .b32 %t, %w, %c; .shared .align 128 .b8 sh[128];
mov.u32 %t, %tid.x; mul.wide.u32 %x, %t, 4; ld.param.u64 %m, [map]; ld.param.u64 %v, [value]; cvt.u32.u64 %c, %v; mov.u64 %n, sh; add.u64 %n, %n, %x; add.u64 %x, %m, %x;
ld.global.b32 %w, [%x]; st.shared.b32 [%n], %w; bar.warp.sync -1; mov.u64 %n, sh; {line}; bar.warp.sync -1;
{back} ret; }}"""
_BACK = "mul.wide.u32 %n, %t, 4; mov.u64 %v, sh; add.u64 %n, %n, %v; ld.shared.b32 %w, [%n]; st.global.b32 [%x], %w;"
#: Field -> what a value of it may be.
_VALUES = {
    "global_address": range(4096, 65536, 16), "rank": range(5), "box_dim": range(1, 257), "global_dim": range(1, 1 << 32, 977),
    "element_stride": range(1, 9), "global_stride": range(16, 1 << 40, 16 * 12345), "elemtype": (0, 1, 2, 3, 4, 5, 6, 7, 9, 10),
    "interleave_layout": (0,), "swizzle_mode": range(4), "fill_mode": range(2),
}  # fmt: skip
_START = TensorMap(1 << 20, (9, 8, 7, 6, 5), (48, 640, 6400, 64000), (8, 3, 2, 1, 2), (1, 2, 3, 1, 1), 7, 32, False)


def _fields(found: TensorMap) -> Fields:
    return {
        "global_address": [found.address], "global_dim": [*found.extents], "global_stride": [*found.strides],
        "box_dim": [*found.boxes], "element_stride": [*found.steps], "rank": [len(found.extents) - 1],
        "elemtype": [found.element], "interleave_layout": [0], "swizzle_mode": [SWIZZLES.index(found.swizzle)],
        "fill_mode": [int(found.fills_nan)],
    }  # fmt: skip


def _cut(fields: Fields) -> Fields:
    """Without axes beyond the rank."""
    (rank,) = fields["rank"]
    axes = {"global_dim": rank + 1, "box_dim": rank + 1, "element_stride": rank + 1, "global_stride": rank}
    return {field: values[: axes.get(field, 1)] for field, values in fields.items()}


def difference(ptx: Callable, name: Name) -> str:
    """How the executor differs from the model, or ""."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    field = next(part for part in name.picked if part in _VALUES)
    value = chance.choice(_VALUES[field])
    places = [place for place in name.row.places if place.sign != "["]
    index = chance.randrange(4) if len(places) == 2 else None
    register = "%v" if name.type.bits == 64 else "%c"
    last = str(value) if places[-1].holds == "#" else register
    space = next((part for part in name.picked if part in {"global", "shared::cta"}), "")
    address = {"global": "[%m]", "shared::cta": "[%n]", "": "[%m]"}[space]
    operands = [address, *([] if index is None else [str(index)]), last]
    line = f"{'.'.join([name.row.opcode, *name.parts])} {', '.join(operands)}"
    raw = np.frombuffer(encode_tensor_map(_START), np.uint8).copy()
    ptx(_KERNEL.format(line=line, back=_BACK if space == "shared::cta" else "")).run("k", 1, 32, raw, value)
    found = decode_tensor_map(raw.tobytes())
    letters = {"t": _fields(_START), **dict(zip("bc", [value] if index is None else [index, value], strict=False))}
    want = _cut(evaluated(name, letters))  # type: ignore[arg-type]
    return "" if found is not None and _fields(found) == want else f"{line} with {value}: {found}"
