"""Runs products of warpgroups (`wgmma`), with matrices in shared memory and in registers, beside the models of their rows.

In these models the letters are matrices, `d` is the accumulator before, `c` whether it counts, and `e` and `f` are signs.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.layouts import MODES, canonical, descriptor, strides, swizzled
from tests.cpu.isa.matrices import BITS, numbers, shape_of, specials, word
from tests.cpu.isa.models import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.matrices import Matrix

_ROWS, _THREADS = 64, 128
_ROOM = 40960
_START_OF_B = 8192
#: Of the rows, which depend on nothing of each other, these are compared: one of each warp.
_LOOKED_AT = (3, 26, 37, 60)

_KERNEL = """.visible .entry k(.param .u64 memory, .param .u64 a, .param .u64 d, .param .u64 da, .param .u64 db, .param .u32 add) {{
.reg .b64 %m, %a, %d, %da, %db, %w; .reg .b32 %t, %i, %n, %x<4>, %c<130>; .reg .pred %p; .shared .align 1024 .b8 box[{room}];
ld.param.u64 %m, [memory]; ld.param.u64 %a, [a]; ld.param.u64 %d, [d]; ld.param.u64 %da, [da]; ld.param.u64 %db, [db];
mov.u32 %t, %tid.x; mul.lo.u32 %n, %t, 4; mov.u32 %i, box; add.u32 %i, %i, %n; cvt.u64.u32 %w, %n; add.u64 %m, %m, %w; mov.u32 %n, 0;
COPY: ld.global.b32 %x0, [%m]; st.shared.b32 [%i], %x0; add.u64 %m, %m, 512; add.u32 %i, %i, 512; add.u32 %n, %n, 512; setp.lt.u32 %p, %n, {room}; @%p bra COPY;
bar.sync 0; mad.wide.u32 %a, %t, 16, %a; ld.global.v4.b32 {{%x0, %x1, %x2, %x3}}, [%a]; mad.wide.u32 %d, %t, {each}, %d; {load}
ld.param.u32 %i, [add]; setp.ne.u32 %p, %i, 0; fence.proxy.async; wgmma.fence.sync.aligned;
{name} {operands};
wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; {store} ret; }}"""


class GroupProduct(NamedTuple):
    """One product with its matrices; B is k rows, and what the descriptors say is (major, bytes of the swizzle)."""

    name: Name
    a: Matrix
    b: Matrix
    d: Matrix
    layouts: dict[str, tuple[str, int]]
    adds: bool
    signs: tuple[int, int]

    @property
    def types(self) -> dict[str, str]:
        """By letter."""
        d, a, b = self.name.types
        return {"d": d, "a": a, "b": b}


def group_product(name: Name, number: int) -> GroupProduct:
    """A product of a form; those of odd numbers have infinities and NaN."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    (_, n, k), (d, a, b) = shape_of(name), name.types
    matrices = numbers(_ROWS, k, a, chance), numbers(k, n, b, chance), numbers(_ROWS, n, d, chance)
    if number % 2:
        for matrix, type_, rows in zip(matrices, (a, b, d), (True, False, True), strict=True):
            specials(matrix, type_, chance, rows)
    majors = ["k", "mn"] if BITS[a] == 16 else ["k"]
    layouts = {letter: (chance.choice(majors), chance.choice([*MODES])) for letter in "ab"}
    signed = sum(place.holds == "#" for place in name.row.places) >= 2
    signs = (chance.choice([1, -1]), chance.choice([1, -1])) if signed else (1, 1)
    return GroupProduct(name, *matrices, layouts, bool(number % 3), signs)


def _in_registers(name: Name) -> bool:
    return name.row.operands.split()[1].startswith("{")


def _operands(one: GroupProduct) -> str:
    count = len(_registers(one, 0))
    places = [place.name for place in one.name.row.places if place.holds == "#"]
    turned = [int(one.layouts[letter][0] == "mn") for letter in ("b" if _in_registers(one.name) else "ab")]
    literals = [*one.signs, *turned][: len(places)]
    first = "{%x0, %x1, %x2, %x3}" if _in_registers(one.name) else "%da"
    return ", ".join(["{" + ", ".join(f"%c{k}" for k in range(count)) + "}", first, "%db", "%p", *map(str, literals)])


def text_of(one: GroupProduct) -> str:
    """A kernel `(memory, registers of A, accumulator, descriptors, whether it counts)`."""
    count = len(_registers(one, 0))
    return _KERNEL.format(
        room=_ROOM,
        each=4 * count,
        load=" ".join(f"ld.global.b32 %c{k}, [%d+{4 * k}];" for k in range(count)),
        name=".".join([one.name.row.opcode, *one.name.parts]),
        operands=_operands(one),
        store=" ".join(f"st.global.b32 [%d+{4 * k}], %c{k};" for k in range(count)),
    )


def _place(memory: bytearray, one: GroupProduct, letter: str) -> int:
    """Put a matrix where a descriptor, which is returned, says."""
    major, width = one.layouts[letter]
    lines = one.a if letter == "a" else list(map(list, zip(*one.b, strict=True)))
    start, type_ = _START_OF_B * (letter == "b"), one.types[letter]
    leading, stride = strides(major, width, len(lines))
    bits = BITS[type_]
    per = max(8 // bits, 1)  # bits are placed by the byte
    for row, line in enumerate(lines):
        for k in range(0, len(line), per):
            raw = sum(word(value, type_) << bits * place for place, value in enumerate(line[k : k + per]))
            at = swizzled(start + canonical(row, k // per, major, width, leading, stride, max(bits, 8)), width)
            memory[at : at + max(bits, 8) // 8] = raw.to_bytes(max(bits, 8) // 8, "little")
    return descriptor(start, leading, stride, width)


def _registers(one: GroupProduct, thread: int) -> list[list[tuple[int, int]]]:
    """Rows and columns of the elements in the accumulator's registers of a thread."""
    n, each = shape_of(one.name)[1], 32 // BITS[one.types["d"]]
    first, g, t = thread // 32 * 16, thread % 32 // 4, thread % 4
    places = [(first + g + 8 * (i >> 1 & 1), i // 4 * 8 + 2 * t + i % 2) for i in range(n // 2)]
    return [places[k : k + each] for k in range(0, len(places), each)]


def _registers_of_a(one: GroupProduct, thread: int) -> list[int]:
    type_ = one.types["a"]
    each, first, g, t = 32 // BITS[type_], thread // 32 * 16, thread % 32 // 4, thread % 4
    found = []
    for r in range(4):
        row, column = first + g + 8 * (r % 2), r // 2 * 4 * each + t * each
        elements = one.a[row][column : column + each]
        found.append(sum(word(value, type_) << BITS[type_] * place for place, value in enumerate(elements)))
    return found


def _joined(one: GroupProduct, matrix: dict[int, list], register: list[tuple[int, int]]) -> int:
    type_ = one.types["d"]
    return sum(word(matrix[row][column], type_) << BITS[type_] * k for k, (row, column) in enumerate(register))


def difference(ptx: Callable, one: GroupProduct) -> str:
    """How the executor differs from the model, or ""."""
    memory = bytearray(_ROOM)
    words = [0 if _in_registers(one.name) and letter == "a" else _place(memory, one, letter) for letter in "ab"]
    left = [_registers_of_a(one, thread) if _in_registers(one.name) else [0] * 4 for thread in range(_THREADS)]
    before = dict(enumerate(one.d))
    sums = [[_joined(one, before, register) for register in _registers(one, thread)] for thread in range(_THREADS)]
    got = np.array(sums, np.uint32)
    arrays = np.frombuffer(memory, np.uint8).copy(), np.array(left, np.uint32), got
    ptx(text_of(one)).run("k", 1, _THREADS, *arrays, *words, int(one.adds))
    rows = [[matrix[row] for row in _LOOKED_AT] for matrix in (one.a, one.d)]
    letters = dict(zip("adbcef", (*rows, one.b, one.adds, *one.signs), strict=True))
    found: list[list] = evaluated(one.name, letters)  # type: ignore[assignment]
    wanted = dict(zip(_LOOKED_AT, found, strict=True))
    for thread, line in enumerate(got.tolist()):
        for number, (is_, register) in enumerate(zip(line, _registers(one, thread), strict=True)):
            if register[0][0] in wanted and is_ != (wish := _joined(one, wanted, register)):
                what = f"{'.'.join(one.name.parts)} {one.layouts} {one.signs} {one.adds}"
                return f"{what}: register {number} of thread {thread} is {is_:#x}, not {wish:#x}"
    return ""
