"""Runs copies and reductions of boxes of tensors, and says what their models make of the same elements.

Two blocks of a cluster have a part of shared memory each, which is filled before and looked at afterwards; the first block
runs the form. In the models `t` is the tensor with its box, and `b` what stands in shared memory.
"""

from __future__ import annotations

import math
import random
import zlib
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.memory.tensor_map import ELEMENTS, SWIZZLES, TensorMap, encode_tensor_map, misfit_of
from tests.cpu.isa.boxes import Tensor
from tests.cpu.isa.bulk import kind_of, noise
from tests.cpu.isa.layouts import swizzled
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.reals import FORMATS, NAN
from tests.cpu.isa.values import Kind, encoded, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

_BLOCKS, _THREADS, _ROOM = 2, 64, 4096
_TYPES = [name for name, _, _ in ELEMENTS if name]
_WHOLE = ["u32", "s32", "u64", "s64"]
#: Operation -> elements that it reduces (PTX ISA, `cp.reduce.async.bulk.tensor`).
_REDUCED = {"add": ["u32", "s32", "u64", "f16", "bf16", "f32"], "inc": ["u32"], "dec": ["u32"], "and": _WHOLE, "or": _WHOLE, "xor": _WHOLE}  # fmt: skip
_REDUCED |= {which: [*_WHOLE, "f16", "bf16"] for which in ("min", "max")}

_KERNEL = """.visible .entry k(.param .align 64 .b8 map[128], .param .u64 near, .param .u32 mask, {parameters}) {{
.reg .b64 %m, %n, %z; .reg .b32 %t, %i, %s, %v, %r, %c<5>; .reg .b16 %k; .reg .pred %p, %q; .shared .align 1024 .b8 sh[{room}]; .shared .align 8 .b64 bar;
mov.b64 %m, map; cvta.param.u64 %m, %m; ld.param.u64 %n, [near]; ld.param.u32 %i, [mask]; cvt.u16.u32 %k, %i; mov.u32 %t, %tid.x; mov.u32 %r, %ctaid.x; mov.b64 %z, 0; {coordinates}
mad.wide.u32 %n, %r, {room}, %n; mad.wide.u32 %n, %t, 4, %n; mov.u32 %s, sh; mad.lo.u32 %s, %t, 4, %s; mov.u32 %i, 0;
FILL: ld.global.b32 %v, [%n]; st.shared.b32 [%s], %v; add.u64 %n, %n, 256; add.u32 %s, %s, 256; add.u32 %i, %i, 256; setp.lt.u32 %p, %i, {room}; @%p bra FILL;
fence.proxy.async; setp.ne.u32 %p, %t, 0; @%p bra READY; mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster;
shl.b32 %i, %r, 2; shr.u32 %i, {told}, %i; and.b32 %i, %i, 15; mul.lo.u32 %i, %i, {nbytes}; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], %i;
READY: barrier.cluster.arrive; barrier.cluster.wait; setp.ne.u32 %q, %r, 0; or.pred %q, %q, %p; @%q bra WAIT;
{line}; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
WAIT: mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
sub.u64 %n, %n, {room}; sub.u32 %s, %s, {room}; mov.u32 %i, 0;
BACK: ld.shared.b32 %v, [%s]; st.global.b32 [%n], %v; add.u64 %n, %n, 256; add.u32 %s, %s, 256; add.u32 %i, %i, 256; setp.lt.u32 %p, %i, {room}; @%p bra BACK;
barrier.cluster.arrive; barrier.cluster.wait; ret; }}"""


class Copy(NamedTuple):
    """One copy.

    Attributes:
        name: the form.
        kind: of an element.
        map: the tensor, without its address.
        start: the first place of the box; of rows one by one the first column, and each row.
        at: where the box begins in shared memory.
        mask: of the blocks that a box is loaded for.
        far: the bytes of the tensor.
        near: those of shared memory of all blocks.
    """

    name: Name
    kind: Kind
    map: TensorMap
    start: tuple[int, ...]
    at: int
    mask: int
    far: bytes
    near: bytes


def copies(name: Name, count: int) -> list[Copy]:
    """Some of a form."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    return [_copy(name, chance) for _ in range(count)]


def _copy(name: Name, chance: random.Random) -> Copy:
    rank = next(int(part[0]) for part in name.picked if part in {"1d", "2d", "3d", "4d", "5d"})
    type_ = chance.choice(next((types for part, types in _REDUCED.items() if name.has(part)), _TYPES))
    kind, size = kind_of(type_), kind_of(type_).bits // 8
    swizzle = chance.choice(SWIZZLES) if rank > 1 else 16
    inner = chance.choice([one for one in (16, 32, 64, 128) if swizzle == 16 or one <= swizzle]) // size
    extents = (chance.randint(1, 2 * inner), *(chance.randint(1, 5) for _ in range(rank - 1)))
    boxes = (inner, *(chance.randint(1, 4 if rank < 4 else 2) for _ in range(rank - 1)))
    strides, whole = [], extents[0] * size
    for extent in extents[1:]:
        whole = (whole + 15) // 16 * 16 + 16 * chance.randint(0, 1)
        strides.append(whole)
        whole *= extent
    steps = (1, *(chance.randint(1, 3) for _ in range(rank - 1)))
    if _has_rows(name):
        boxes, steps = (inner, 1), (1, 1)
    nan = type_ in FORMATS and chance.random() < 0.5
    found = TensorMap(0, extents, tuple(strides), boxes, steps, [one for one, _, _ in ELEMENTS].index(type_), swizzle, nan)  # fmt: skip
    assert not misfit_of(found), misfit_of(found)
    start = tuple(chance.randint(-2, extent) for extent in extents)
    if _has_rows(name):
        start = (start[0], *(chance.randint(-1, extents[1]) for _ in range(4)))
    mask = chance.randint(1, 3) if name.has("multicast::cluster") else 1
    return Copy(
        name, kind, found, start, 128 * chance.randint(0, 8), mask, noise(kind, (whole + 7) // 8 * 8, chance),
        noise(kind, _BLOCKS * _ROOM, chance),
    )  # fmt: skip


def text_of(one: Copy) -> str:
    """A kernel `(map, shared memory, mask, coordinates...)`."""
    name, rank = one.name, len(one.start)
    place = f"[%m, {{{', '.join(f'%c{axis}' for axis in range(rank))}}}]"
    box = f"[sh+{one.at}]"
    loads = name.has("mbarrier::complete_tx::bytes")
    given = {True: [box, place, "[bar]"], False: [place] if name.has("prefetch") else [place, box]}[loads]
    given += ["%k"] if name.has("multicast::cluster") else []
    given += ["%z"] if name.has("L2::cache_hint") else []
    return _KERNEL.format(
        room=_ROOM,
        parameters=", ".join(f".param .u32 c{axis}" for axis in range(rank)),
        coordinates=" ".join(f"ld.param.u32 %c{axis}, [c{axis}];" for axis in range(rank)),
        told=_told(one) if loads else 0,
        nbytes=len(_shared_places(one)) * one.map.size,
        line=f"{'.'.join([name.row.opcode, *name.parts])} {', '.join(given)}",
    )


def _told(one: Copy) -> int:
    """How many boxes the mbarrier of each block is told of, in 4 bits: in a pair of blocks the named one of both boxes."""
    if one.name.has("cta_group::2"):
        return one.mask.bit_count()
    return sum((one.mask >> block & 1) << 4 * block for block in range(_BLOCKS))


def _has_rows(name: Name) -> bool:
    return any(part.endswith(("gather4", "scatter4")) for part in name.parts)


def _offset(one: Copy, place: tuple[int, ...]) -> int:
    return place[0] * one.map.size + sum(a * b for a, b in zip(place[1:], one.map.strides, strict=True))


def tensor_of(one: Copy) -> Tensor:
    """The tensor as models take it."""
    size, elements = one.map.size, {}
    for index in product(*(range(extent) for extent in one.map.extents)):
        at = _offset(one, index)
        elements[index] = _value(one, one.far[at : at + size])
    filler = NAN if one.map.fills_nan else _value(one, bytes(size))
    start, rows = (one.start[:1], one.start[1:]) if _has_rows(one.name) else (one.start, ())
    return Tensor(one.map.extents, elements, start, one.map.counts, one.map.steps, filler, rows)


def _value(one: Copy, raw: bytes) -> object:
    """An element; where it is only moved its bits."""
    word = int.from_bytes(raw, "little")
    return read(word, one.kind) if _reduces(one) else word


def _reduces(one: Copy) -> bool:
    return one.name.has("reduce")


def _raw(one: Copy, value: object) -> bytes:
    size = one.map.size
    if value is NAN:  # of copies: all bits but the sign
        return ((1 << 8 * size - 1) - 1).to_bytes(size, "little")
    word: int = encoded(one.name, value, one.kind) if _reduces(one) else value  # type: ignore[assignment]
    return word.to_bytes(size, "little")


def _shared_places(one: Copy) -> list[int]:
    """Where the elements of a box lie in shared memory."""
    width = 0 if one.map.swizzle == 16 else one.map.swizzle
    count = math.prod(one.map.counts) * (4 if _has_rows(one.name) else 1)
    return [swizzled(one.at + k * one.map.size, width) for k in range(count)]


def wanted(one: Copy) -> tuple[bytes, bytes]:
    """The bytes of the tensor, and of shared memory, afterwards."""
    size, places = one.map.size, _shared_places(one)
    there = [_value(one, one.near[at : at + size]) for at in places]
    tensor = tensor_of(one)
    found = evaluated(one.name, {"t": tensor, "b": there})
    far, near = bytearray(one.far), bytearray(one.near)
    if isinstance(found, dict):
        for place in {*tensor.places()} & {*found}:  # of the others the bits of a NaN stay, too
            value, at = found[place], _offset(one, place)
            far[at : at + size] = _raw(one, value)
    elif isinstance(found, list):
        for block in range(_BLOCKS):
            for at, value in zip(places, found, strict=True):
                if one.mask >> block & 1:
                    near[block * _ROOM + at : block * _ROOM + at + size] = _raw(one, value)
    return bytes(far), bytes(near)


def difference(ptx: Callable, one: Copy) -> str:
    """How the executor differs from the model, or ""."""
    device = ptx(text_of(one))
    far, near = (np.frombuffer(raw, np.uint8).copy() for raw in (one.far, one.near))
    address = device.put(far)
    raw = np.void(encode_tensor_map(one.map._replace(address=address)))
    device.run("k", _BLOCKS, _THREADS, raw, near, one.mask, *one.start, cluster=_BLOCKS)
    device.get(address, far)
    device.memory.free(address)
    for what, is_, want in zip(
        ("the tensor", "shared memory"), (far.tobytes(), near.tobytes()), wanted(one), strict=True
    ):
        wrong = [k for k in range(len(want)) if is_[k] != want[k]]
        if wrong:
            return f"{'.'.join(one.name.parts)} {one.map} {one.start}: {len(wrong)} bytes of {what}, the first is {wrong[0]}: {is_[wrong[0]]:#x}, not {want[wrong[0]]:#x}"
    return ""
