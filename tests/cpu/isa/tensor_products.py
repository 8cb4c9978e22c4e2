"""Runs products in tensor memory, and copies to it, beside the models of their rows.

In these models the letters are matrices, `d` is what was there before, `c` whether it counts, `k` by how much it is
weakened, `s` and `t` are scales, or `s` whether sums of integers are cut.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.matrices import BITS, numbers, specials, word
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.reals import NAN, Real, decode
from tests.cpu.isa.tensor_moves import kernel
from tests.cpu.isa.tensor_operands import (
    NUMBERS,
    PADDED,
    SUMS,
    kind_of,
    place_bytes,
    place_factor,
    shared_descriptor,
    strides_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.products import Matrix

_START_OF_B = 16384
_ROOM = 47104
#: Columns of A and of the scales, behind those of D.
_A, _SCALES_OF_A, _SCALES_OF_B = 256, 264, 268
#: Of the rows, which depend on nothing of each other, these are compared: some of each warp.
_LOOKED_AT = (3, 26, 37, 60, 77, 96, 127)

_SHARED = f""".reg .b32 %s, %m<4>; .reg .b64 %da, %db; .shared .align 1024 .b8 box[{_ROOM}]; .shared .align 8 .b64 bar;
ld.param.u64 %w, [memory]; mul.lo.u32 %s, %t, 16; cvt.u64.u32 %g, %s; add.u64 %w, %w, %g; mov.u32 %c, box; add.u32 %c, %c, %s; mov.b32 %s, 0;
COPY: ld.global.v4.b32 {{%e0, %e1, %e2, %e3}}, [%w]; st.shared.v4.b32 [%c], {{%e0, %e1, %e2, %e3}}; add.u64 %w, %w, 2048; add.u32 %c, %c, 2048;
add.u32 %s, %s, 2048; setp.lt.u32 %q, %s, {_ROOM}; @%q bra COPY; fence.proxy.async.shared::cta; tcgen05.fence::before_thread_sync;
setp.ne.u32 %q, %t, 70; @%q bra READY; mbarrier.init.shared.b64 [bar], 1; READY: bar.sync 0; tcgen05.fence::after_thread_sync; @%q bra ISSUED;
ld.param.u64 %da, [da]; ld.param.u64 %db, [db]; mov.u32 %c, box; shr.u32 %c, %c, 4; cvt.u64.u32 %g, %c; add.u64 %da, %da, %g; add.u64 %db, %db, %g;"""
_ISSUED = """tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%c];
ISSUED: mbarrier.try_wait.parity.shared.b64 %q, [bar], 0; @!%q bra ISSUED; tcgen05.fence::after_thread_sync;"""


class TensorProduct(NamedTuple):
    """One product; B is k rows. What descriptors say is (major, bytes of the swizzle)."""

    name: Name
    types: dict[str, str]
    a: Matrix
    b: Matrix
    d: Matrix
    layouts: dict[str, tuple[str, int | str]]
    signs: tuple[int, int]
    letters: dict[str, object]
    scales: tuple[int, str, list[list[int]], list[list[int]], tuple[int, int]]
    first: int
    masks: tuple[int, ...]

    @property
    def in_tensor(self) -> bool:
        """Whether A lies in tensor memory."""
        return self.name.row.operands.split()[1] == "[a]"


def tensor_product(name: Name, number: int) -> TensorProduct:
    """A product of a form; those of odd numbers have infinities and NaN."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()) + number)
    kind, scaled = kind_of(name), name.has("block_scale")
    a, b = (chance.choice([*NUMBERS[kind]]) for _ in "ab")
    d = "s32" if kind == "kind::i8" else "f32" if scaled or kind == "kind::tf32" else chance.choice(["f16", "f32"])
    m = 128 if scaled else chance.choice([64, 128])
    n = chance.choice([8, 24, 40, 200] if scaled else [16, 32, 48, 112])
    k = 256 // BITS[a] if kind not in {"kind::f8f6f4", "kind::mxf8f6f4"} else 32
    matrices = numbers(m, k, a, chance), numbers(k, n, b, chance), numbers(m, n, d, chance)
    if number % 2:
        for matrix, type_, rows in zip(matrices, (a, b, d), (True, False, True), strict=True):
            specials(matrix, type_, chance, rows)
    layouts: dict[str, tuple[str, int | str]] = {}
    for letter, type_ in (("a", a), ("b", b)):
        turned = type_ not in PADDED and BITS[type_] > 4 and chance.random() < 0.5
        widths: list[int | str] = ["wide"] if turned and type_ == "tf32" else [0, 32, 64, 128]
        layouts[letter] = ("mn" if turned else "k", chance.choice(widths))
    places = {place.name for place in name.row.places}
    if "[a]" in name.row.operands:
        layouts["a"] = ("k", 0)
    signs = (1, 1) if kind == "kind::i8" else (chance.choice([1, -1]), chance.choice([1, -1]))
    letters: dict[str, object] = {"c": chance.random() < 0.7}
    if "k" in places:
        letters["k"] = chance.choice([0, 3, 15]) if d == "f32" else 0
    if kind == "kind::i8":
        letters["s"] = chance.random() < 0.5
    scales = _scales(name, chance, m, n) if scaled else (0, "", [], [], (0, 0))
    masks = tuple(chance.getrandbits(32) for _ in range(4)) if "m" in places else ()
    first = chance.choice([0, 16]) if m == 64 else 0
    return TensorProduct(name, {"a": a, "b": b, "d": d}, *matrices, layouts, signs, letters, scales, first, masks)


def _scales(name: Name, chance: random.Random, m: int, n: int) -> tuple:
    count = 4 if name.has("scale_vec::4X") or name.has("block16") else 1 if name.has("kind::mxf8f6f4") else 2
    type_ = "ue4m3" if count == 4 and chance.random() < 0.6 else "ue8m0"
    rows = [[[_code(type_, chance) for _ in range(count)] for _ in range(lines)] for lines in (m, n)]
    firsts = tuple(chance.choice({1: [0, 1, 2, 3], 2: [0, 2], 4: [0]}[count]) for _ in "ab")
    return count, type_, *rows, firsts


def _code(type_: str, chance: random.Random) -> int:
    if chance.random() < 0.01:
        return 255
    return chance.randint(0x28, 0x48) if type_ == "ue4m3" else chance.randint(122, 132)


def _number(type_: str, code: int) -> Real:
    if type_ == "ue4m3":
        return decode(code & 127, "e4m3")
    return NAN if code == 255 else Real(False, 1, code - 127)


def _instruction(one: TensorProduct) -> int:
    """The instruction descriptor."""
    numbers_, (count, type_, _, _, firsts) = NUMBERS[kind_of(one.name)], one.scales
    found = numbers_[one.types["a"]] << 7 | numbers_[one.types["b"]] << 10
    found |= (one.signs[0] < 0) << 13 | (one.signs[1] < 0) << 14
    found |= (one.layouts["a"][0] == "mn") << 15 | (one.layouts["b"][0] == "mn") << 16 | len(one.b[0]) >> 3 << 17
    if count:
        return found | firsts[1] << 4 | (type_ == "ue8m0") << 23 | len(one.a) >> 7 << 27 | firsts[0] << 29
    return found | SUMS[one.types["d"]] << 4 | bool(one.letters.get("s")) << 3 | len(one.a) >> 4 << 24


def _text(one: TensorProduct) -> str:
    name = one.name
    first, far = f"[%m{1}]" if one.in_tensor else "%da", one.first << 16
    masks = "{%e0, %e1, %e2, %e3}, " if one.masks else ""
    scales = "[%m2], [%m3], " if one.scales[0] else ""
    weaken = f", {one.letters['k']}" if one.letters.get("k") else ""
    set_masks = " ".join(f"mov.b32 %e{k}, {mask};" for k, mask in enumerate(one.masks))
    spelled = ".".join([name.row.opcode, *name.parts])
    move = f"""{_SHARED} add.u32 %m0, %a, {far}; add.u32 %m1, %m0, {_A}; add.u32 %m2, %a, {_SCALES_OF_A}; add.u32 %m3, %a, {_SCALES_OF_B};
        {set_masks} ld.param.u32 %s, [idesc]; mov.u32 %c, bar; setp.ne.u32 %q, {int(bool(one.letters["c"]))}, 0;
        {spelled} [%m0], {first}, %db, %s, {masks}{scales}%q{weaken}; {_ISSUED}"""
    return kernel(move, ", .param .u64 memory, .param .u64 da, .param .u64 db, .param .u32 idesc")


def _lane(one: TensorProduct, row: int) -> int:
    """The lane of a row of A or D."""
    return row if len(one.a) == 128 else row // 16 * 32 + row % 16 + one.first


def _packed(line: list, type_: str) -> list[int]:
    """A row of A as words of tensor memory."""
    bits = 8 if type_ in PADDED else BITS[type_]
    each = 32 // bits
    return [
        sum(word(value, type_) << bits * place for place, value in enumerate(line[k : k + each]))
        for k in range(0, len(line), each)
    ]


def _cells(one: TensorProduct, chance: np.random.Generator) -> np.ndarray:
    cells = chance.integers(0, 1 << 32, (128, 512), dtype=np.uint32)
    for row, line in enumerate(one.d):
        cells[_lane(one, row), : len(line)] = [word(value, one.types["d"]) for value in line]
    if one.in_tensor:
        for row, line in enumerate(one.a):
            cells[_lane(one, row), _A : _A + 8] = _packed(line, one.types["a"])
    count, _, of_a, of_b, firsts = one.scales
    for rows, column, first in ((of_a, _SCALES_OF_A, firsts[0]), (of_b, _SCALES_OF_B, firsts[1])):
        for row, codes in enumerate(rows):
            for part in range(4):
                at = 32 * part + row % 32, column + row // 32
                for k in range(count):
                    kept = int(cells[at]) & ~(255 << 8 * (first + k))
                    cells[at] = kept | codes[k] << 8 * (first + k)
    return cells


def _memory(one: TensorProduct) -> tuple[np.ndarray, list[int]]:
    memory, words = bytearray(_ROOM), []
    for letter, lines, start in (("a", one.a, 0), ("b", [*map(list, zip(*one.b, strict=True))], _START_OF_B)):
        if letter == "a" and one.in_tensor:
            words.append(0)
            continue
        major, width = one.layouts[letter]
        bits = 8 if one.types[letter] in PADDED else BITS[one.types[letter]]
        leading, stride = strides_of(major, width, len(lines), bits)
        place_factor(memory, start, lines, one.types[letter], major, width, leading, stride)
        words.append(shared_descriptor(start, leading, stride, width))
    return np.frombuffer(memory, np.uint8).copy(), words


def _signed(matrix: Matrix, sign: int) -> Matrix:
    return matrix if sign > 0 else [[-one for one in row] for row in matrix]


def difference(ptx: Callable, one: TensorProduct) -> str:
    """How the executor differs from the model, or ""."""
    chance = np.random.default_rng(zlib.crc32(".".join(one.name.parts).encode()))
    cells, after = _cells(one, chance), np.zeros((128, 512), np.uint32)
    memory, words = _memory(one)
    ptx(_text(one)).run("k", 1, 128, cells, np.zeros(4, np.uint32), after, memory, *words, _instruction(one))
    looked = [row for row in _LOOKED_AT if row < len(one.a)]
    rows = [[matrix[row] for row in looked] for matrix in (one.a, one.d)]
    count, type_, of_a, of_b, _ = one.scales
    letters = {"a": _signed(rows[0], one.signs[0]), "b": _signed(one.b, one.signs[1]), "d": rows[1], **one.letters}
    if count:
        letters["s"] = [[_number(type_, code) for code in of_a[row]] for row in looked]
        letters["t"] = [[_number(type_, code) for code in codes] for codes in of_b]
    found: list[list] = evaluated(one.name, letters)  # type: ignore[assignment]
    wanted = cells.copy()
    for row, line in zip(looked, found, strict=True):
        lane = _lane(one, row)
        if not (one.masks and one.masks[lane // 32] >> lane % 32 & 1):
            wanted[lane, : len(line)] = [word(value, one.types["d"]) for value in line]
    lanes = [_lane(one, row) for row in looked]
    others = [lane for lane in range(128) if lane not in {_lane(one, row) for row in range(len(one.a))}]
    for lane in lanes + others:
        if (after[lane] != wanted[lane]).any():
            column = int(np.argmax(after[lane] != wanted[lane]))
            what = f"{'.'.join(one.name.parts)} {one.types} {one.layouts} {one.signs} {one.letters.get('c')}"
            return f"{what}: lane {lane}, column {column} is {after[lane, column]:#x}, not {wanted[lane, column]:#x}"
    return "" if (after[:, len(one.b[0]) :] == cells[:, len(one.b[0]) :]).all() else "cells beside D changed"


def copy_difference(ptx: Callable, name: Name, width: int) -> str:
    """The same of a copy to tensor memory, of rows that are permuted over so many bytes."""
    shape = next(part for part in name.picked if part.endswith("b") and "x" in part and part[0].isdigit())
    height, bits = (int(one) for one in shape.removesuffix("b").split("x"))
    chance = np.random.default_rng(height + width)
    rows = chance.integers(0, 256, (height, bits // 8)).tolist()
    leading, stride = strides_of("k", width, height, 8)
    memory = bytearray(chance.integers(0, 256, _ROOM, dtype=np.uint8).tobytes())
    for number, row in enumerate(rows):
        for k in range(0, len(row), 16):
            place_bytes(memory, 0, number, k, bytes(row[k : k + 16]), width, leading, stride)
    cells, after = chance.integers(0, 1 << 32, (128, 512), dtype=np.uint32), np.zeros((128, 512), np.uint32)
    spelled = ".".join([name.row.opcode, *name.parts])
    move = f"{_SHARED} mov.u32 %c, bar; add.u32 %m0, %a, 7; {spelled} [%m0], %da; {_ISSUED}"
    text = kernel(move, ", .param .u64 memory, .param .u64 da, .param .u64 db, .param .u32 idesc")
    box = np.frombuffer(memory, np.uint8).copy()
    ptx(text).run(
        "k", 1, 128, cells, np.zeros(4, np.uint32), after, box, shared_descriptor(0, leading, stride, width), 0, 0
    )
    wanted = cells.copy()
    wanted[:, 7 : 7 + bits // 32] = evaluated(name, {"b": rows})
    return "" if (after == wanted).all() else f"{'.'.join(name.parts)}: {np.argwhere(after != wanted)[:3].tolist()}"
