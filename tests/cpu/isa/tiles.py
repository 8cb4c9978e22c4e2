"""Runs `wmma`: tiles of matrices from memory, their product, and a tile back to memory.

The fragments between are opaque, so loads and stores are seen by what a product and a store make of them.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.matrices import BITS, numbers, specials, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.matrices import Matrix

_SUMS = {"f16": "f32", "bf16": "f32", "tf32": "f32", "f64": "f64"}
_PAD = 8


class Tiles(NamedTuple):
    """What one kernel loads, multiplies and stores.

    Attributes:
        shape: m, n and k as a word.
        types: of d, a, b and c.
        orders: of a, b, c and d in memory.
        space: where a, b, c and d are, "" for a generic address.
        end: what stands behind `wmma.mma`, and behind the shape.
        multiplies: whether there is a product; else c is stored as it is.
    """

    shape: str
    types: tuple[str, str, str, str]
    orders: tuple[str, str, str, str]
    space: str
    end: tuple[str, str]
    multiplies: bool


def tiles(name: Name) -> Tiles:
    """A kernel that has this form in it."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    shape = next(part for part in name.picked if part[:1] == "m" and part[1:2].isdigit())
    orders = [part for part in name.picked if part in {"row", "col"}]
    types = [part for part in name.picked if part in BITS]
    space = next((part for part in name.picked if part in {"global", "shared", "shared::cta"}), "")
    any_ = lambda: chance.choice(["row", "col"])  # noqa: E731
    few = {*types} & {"s4", "u4", "b1"} or shape in {"m8n8k32", "m8n8k128"}
    free = ("row", "col") if few else (any_(), any_())
    end = tuple(part for part in name.picked if part in {"xor", "and", "popc", "satfinite", "rn"})
    if "mma" in name.picked:
        d, a, b, c = (types[0], "f16", "f16", types[1]) if len(types) == 2 else types
        behind = "satfinite" in end and a == "f16"
        ends = ("", ".satfinite") if behind else ("".join(f".{one}" for one in end), "")
        return Tiles(shape, (d, a, b, c), (orders[0], orders[1], any_(), any_()), space, ends, True)
    (type_,) = types
    if {"c", "d"} & {*name.picked}:
        which = "c" if "c" in name.picked else "d"
        c, d = (orders[0], any_()) if which == "c" else (any_(), orders[0])
        return Tiles(shape, (type_, "", "", type_), ("", "", c, d), space, ("", ""), False)
    total = _SUMS.get(type_, "s32")
    given = (orders[0], free[1]) if "a" in name.picked else (free[0], orders[0])
    ends = (".xor.popc", "") if type_ == "b1" else ("", "")
    return Tiles(shape, (total, type_, type_, total), (*given, any_(), any_()), space, ends, True)


def text_of(one: Tiles) -> str:
    """A kernel `(d, a, b, c)`."""
    d, a, b, c = one.types
    suffix = f".{one.space}" if one.space else ""
    lines = [".visible .entry k(.param .u64 pd, .param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u32 bytes) {"]
    lines += [
        ".reg .b64 %pd, %pa, %pb, %pc, %x; .reg .b32 %i, %n, %v; .reg .pred %more; .shared .align 128 .b8 sh[32768];"
    ]
    lines += [f"ld.param.u64 %p{which}, [p{which}];" for which in "dabc"]
    if one.space.startswith("shared"):
        lines += _into_shared()
    groups = {}
    for which, type_ in zip("dabc", one.types, strict=True):
        count = _registers(one, which)
        bits = {"f32": "f32", "f64": "f64"}.get(type_, "b32")
        lines.append(f".reg .{bits} %{which}_<{count}>;")
        groups[which] = "{" + ", ".join(f"%{which}_{k}" for k in range(count)) + "}"
    orders = dict(zip("abcd", one.orders, strict=True))
    for which, type_ in zip("abc", one.types[1:], strict=True):
        if type_ and (one.multiplies or which == "c"):
            lines.append(
                f"wmma.load.{which}.sync.aligned.{orders[which]}.{one.shape}{suffix}.{type_} {groups[which]}, [%p{which}], {stride(one, which)};"
            )
    last = groups["c"]
    if one.multiplies:
        last = groups["d"]
        types = f"{d}.{c}" if a == "f16" else f"{d}.{a}.{b}.{c}"
        lines.append(
            f"wmma.mma{one.end[0]}.sync.aligned.{orders['a']}.{orders['b']}.{one.shape}{one.end[1]}.{types} {last}, {groups['a']}, {groups['b']}, {groups['c']};"
            if a == "f16"
            else f"wmma.mma{one.end[0]}.sync.aligned.{orders['a']}.{orders['b']}.{one.shape}.{types} {last}, {groups['a']}, {groups['b']}, {groups['c']};"
        )
    lines.append(f"wmma.store.d.sync.aligned.{orders['d']}.{one.shape}{suffix}.{d} [%pd], {last}, {stride(one, 'd')};")
    if one.space.startswith("shared"):
        lines += _out_of_shared()
    return "\n".join([*lines, "ret; }"])


def _into_shared() -> list[str]:
    """The tiles move to shared memory, 8 KiB each, and the pointers with them."""
    lines = [".reg .b64 %g; mov.u64 %g, %pd; mov.u64 %x, sh;"]
    for number, which in enumerate("abc"):
        lines += [f"mov.u32 %i, 0; L{which}: cvt.u64.u32 %x, %i; add.u64 %x, %x, %p{which}; ld.global.b32 %v, [%x];"]
        lines += [f"mov.u64 %x, sh; .reg .b64 %y{which}; cvt.u64.u32 %y{which}, %i; add.u64 %x, %x, %y{which};"]
        lines += [
            f"st.shared.b32 [%x+{8192 * number}], %v; add.u32 %i, %i, 4; setp.lt.u32 %more, %i, 8192; @%more bra L{which};"
        ]
    lines += [f"mov.u64 %p{which}, sh; add.u64 %p{which}, %p{which}, {8192 * k};" for k, which in enumerate("abcd")]
    return [*lines, "bar.warp.sync -1;"]


def _out_of_shared() -> list[str]:
    return [
        "bar.warp.sync -1; .reg .b64 %yd; mov.u32 %i, 0; Ld: cvt.u64.u32 %yd, %i; mov.u64 %x, sh; add.u64 %x, %x, %yd;",
        "ld.shared.b32 %v, [%x+24576]; add.u64 %x, %g, %yd; st.global.b32 [%x], %v; add.u32 %i, %i, 4;",
        "setp.lt.u32 %more, %i, 8192; @%more bra Ld;",
    ]


def _size(one: Tiles, which: str) -> tuple[int, int]:
    m, n, k = (int(part) for part in one.shape[1:].replace("n", " ").replace("k", " ").split())
    return {"a": (m, k), "b": (k, n)}.get(which, (m, n))


def _registers(one: Tiles, which: str) -> int:
    type_ = one.types["dabc".index(which)]
    if not type_:
        return 1
    rows, columns = _size(one, which)
    return 8 if which in "ab" and type_ == "f16" else max(rows * columns // 32 // max(32 // BITS[type_], 1), 1)


def stride(one: Tiles, which: str) -> int:
    """Elements from a row, or column, to the next."""
    rows, columns = _size(one, which)
    type_ = one.types["dabc".index(which)]
    pad = 128 // min(BITS[type_], 8) if BITS[type_] < 8 else 16
    return (columns if one.orders["abcd".index(which)] == "row" else rows) + pad


def laid_out(one: Tiles, which: str, matrix: Matrix) -> bytes:
    """The bytes of a matrix in memory, 8 KiB of them."""
    finite = which == "d" and ".satfinite" in one.end
    type_ = one.types["dabc".index(which)]
    by_row = one.orders["abcd".index(which)] == "row"
    total = 0
    for row, numbers_ in enumerate(matrix):
        for column, value in enumerate(numbers_):
            at = row * stride(one, which) + column if by_row else column * stride(one, which) + row
            total |= word(value, type_, finite=finite) << at * BITS[type_]
    return total.to_bytes(8192, "little")


def difference(ptx: Callable, name: Name, multiply: Callable[[Tiles, Matrix, Matrix, Matrix], Matrix]) -> str:
    """How the executor differs from the model, or ""."""
    one = tiles(name)
    chance = random.Random(zlib.crc32(one.shape.encode()))
    a, b, c = (
        numbers(*_size(one, which), one.types["dabc".index(which)], chance) if one.types["dabc".index(which)] else []
        for which in "abc"
    )
    if one.multiplies:
        for which, matrix in zip("abc", (a, b, c), strict=True):
            specials(matrix, one.types["dabc".index(which)], chance, which != "b")
    want = multiply(one, a, b, c) if one.multiplies else c
    given = [
        np.frombuffer(laid_out(one, which, matrix) if matrix else bytes(8192), np.uint8).copy()
        for which, matrix in zip("abc", (a, b, c), strict=True)
    ]
    got = np.zeros(8192, np.uint8)
    ptx(text_of(one)).run("k", 1, 32, got, *given, 0)
    wish = np.frombuffer(laid_out(one, "d", want), np.uint8)
    mask = np.frombuffer(laid_out(one, "d", [[-1] * len(row) for row in want]), np.uint8) != 0
    return "" if (got[mask] == wish[mask]).all() else f"{'.'.join(['wmma', *name.parts])} {one}"
