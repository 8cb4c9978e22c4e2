"""Machine code never touches what a kernel may not: addresses around allocations, against a model of a few lines.

In rows of eight and alone, at foreseen distances and anywhere, of every width, alone and several from one base: what is
out of bounds stops at the first access that is, of the first thread, and nothing outside changes.
"""

from __future__ import annotations

import itertools
import random
from typing import NamedTuple

import numpy as np
import pytest

import jitload
from jitload.cpu.memory.arena import ARENA_WINDOW

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
pytestmark = pytest.mark.unmeasured

THREADS = 16
SIZES = {"shared": 192, "local": 96}


class Access(NamedTuple):
    """One load or store of a case."""

    op: str
    bits: int
    vector: int
    offset: int

    @property
    def nbytes(self) -> int:
        return self.bits // 8 * self.vector


class Case(NamedTuple):
    """What one way through the kernel does: accesses from one base, which is a thread's own."""

    space: str
    line: bool  # whether bases lie at equal distances, which can be seen
    accesses: tuple[Access, ...]


def cases_of(spaces: list[str]) -> list[Case]:
    shapes = [(bits, vector) for bits in (8, 16, 32, 64) for vector in (1, 2, 4) if bits * vector <= 128]
    shapes += [(32, 8), (64, 4)] if spaces[0] == "global" else []
    single = [(Access(op, *shape, 0),) for op in ("ld", "st") for shape in shapes]
    several = [
        (Access("ld", 32, 1, 0), Access("st", 32, 1, 4), Access("ld", 32, 1, -4)),
        (Access("st", 8, 1, 5), Access("ld", 64, 1, 8), Access("st", 32, 2, 0)),
    ]
    ways = [*single[:: 1 if spaces[0] in {"global", "generic"} else 3], *several]
    return [Case(space, line, way) for space, line, way in itertools.product(spaces, (False, True), ways)]


def text_of(number: int, case: Case) -> list[str]:
    space = "" if case.space == "generic" else f".{case.space}"
    base, lines = "%a", [f"C{number}:"]
    if case.line:
        step = case.accesses[0].nbytes
        lines += [f"mul.wide.u32 %d, %t, {step}; add.u64 %b, %first, %d;"]
        base = "%b"
    if case.space in SIZES:
        lines += [f"cvt.u32.u64 %s, {base};"]
        base = "%s"
    for access in case.accesses:
        register = "%q" if access.bits == 64 else "%r"
        names = [f"{register}{one}" for one in range(access.vector)]
        operand = "{" + ", ".join(names) + "}" if access.vector > 1 else names[0]
        kind = f"{space}{f'.v{access.vector}' if access.vector > 1 else ''}.u{access.bits}"
        place = f"[{base}+{access.offset}]"
        if access.op == "st":
            lines += [f"mov.u32 {one}, %t;" if register == "%r" else f"cvt.u64.u32 {one}, %t;" for one in names]
            lines.append(f"st{kind} {place}, {operand};")
        else:
            lines.append(f"ld{kind} {operand}, {place};")
            for one in names:
                wide = one if register == "%q" else "%w"
                lines += [] if register == "%q" else [f"cvt.u64.u32 %w, {one};"]
                lines.append(f"mul.lo.u64 %sum, %sum, 3; add.u64 %sum, %sum, {wide};")
    return [*lines, "bra.uni OUT;"]


def kernel_of(cases: list[Case]) -> str:
    """A kernel that takes the way of case `which`; each access on a line of its own."""
    declared = [f".{space} .align 16 .b8 own_{space}[{size}];" for space, size in SIZES.items()]
    jumps = [f"setp.eq.u32 %p, %which, {n}; @%p bra C{n};" for n in range(len(cases))]
    ways = [line for number, case in enumerate(cases) for line in text_of(number, case)]
    return "\n".join(
        [
            ".visible .entry k(.param .u64 table, .param .u64 first, .param .u64 out, .param .u32 which) {",
            *declared,
            ".reg .pred %p; .reg .u32 %t, %ty, %tz, %s, %which, %r<8>; .reg .u64 %a, %b, %d, %o, %w, %first, %sum, %q<4>;",
            "mov.u32 %t, %tid.x; mov.u32 %ty, %tid.y; mov.u32 %tz, %ntid.x; mad.lo.u32 %t, %ty, %tz, %t;",
            "mul.wide.u32 %o, %t, 8; ld.param.u64 %a, [table]; add.u64 %a, %a, %o; ld.global.u64 %a, [%a];",
            "ld.param.u64 %first, [first]; ld.param.u32 %which, [which]; mov.u64 %sum, 0;",
            "cvt.u32.u64 %s, %a; mov.u32 %r0, own_shared; mov.u32 %r0, own_local;",
            *jumps,
            *ways,
            "OUT: ld.param.u64 %b, [out]; add.u64 %b, %b, %o; st.global.u64 [%b], %sum; ret;",
            "}",
        ]
    )


class Field:
    """Two allocations with nothing between them, and what lies in and around them."""

    def __init__(self, device) -> None:
        self.device = device
        self.table, self.out = (device.put(np.zeros(THREADS, np.uint64)) for _ in range(2))
        self.spans = [(device.put(np.arange(n, dtype=np.uint8)), n) for n in (200, 72)]
        first = min(start for start, _ in self.spans) - 256
        last = max(start + n for start, n in self.spans) + 256
        low = first - ARENA_WINDOW
        self.around = device.memory.views["u8"][low : low + last - first]
        self.first = first

    def allowed(self, case: Case, access: Access, address: int) -> bool:
        if address % access.nbytes:
            return False
        spans = [(0, SIZES[case.space])] if case.space in SIZES else self.spans
        return any(start <= address and address + access.nbytes <= start + n for start, n in spans)

    def close(self) -> None:
        for address in (self.table, self.out, *(start for start, _ in self.spans)):
            self.device.memory.free(address)


def draw(chance: random.Random, field: Field, case: Case) -> tuple[list[int], int]:
    """(the base of each thread, the first one): most of them good, or all of them."""
    start, size = (0, SIZES[case.space]) if case.space in SIZES else chance.choice(field.spans)
    step = case.accesses[0].nbytes
    odd = [0, 1, size - 1, size, size + 8, -8, -1, -step, size - step, 1 << 40, -start, -start - 8]
    odd += [(1 << 31) - 8] * (case.space in SIZES)
    if case.line:
        room = size - step * (THREADS - 1)
        first = start + chance.choice([*range(0, max(room, 8), 8), -8, -4, -step, room, size, chance.choice(odd)])
        return [first % (1 << 64)] * THREADS, first % (1 << 64)
    bases = [start + chance.randrange(0, size // 16) * 16 for _ in range(THREADS)]
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        bases[chance.randrange(THREADS)] = start + chance.choice([*odd, chance.randrange(-64, size + 64)])
    return [one % (1 << 64) for one in bases], 0


def addresses_of(case: Case, bases: list[int], access: Access) -> list[int]:
    step = case.accesses[0].nbytes if case.line else 0
    found = []
    for thread, base in enumerate(bases):
        one = base + thread * step
        if case.space in SIZES:
            one &= 0xFFFFFFFF
            one -= (one >> 31) << 32
        found.append((one + access.offset) % (1 << 64))
    return found


def expected(field: Field, case: Case, bases: list[int], row: int) -> tuple[int, int, int] | None:
    """(thread, number of the access, address) of the first fault: a row goes from access to access together."""
    for first in range(0, THREADS, row):
        for number, access in enumerate(case.accesses):
            every = addresses_of(case, bases, access)
            for thread in range(first, first + row):
                if not field.allowed(case, access, every[thread]):
                    return thread, number, every[thread]
    return None


def line_of(text: str, case: Case, number: int, cases: list[Case]) -> int:
    """The line of the PTX on which an access stands, the header's three included."""
    lines = text.splitlines()
    at = lines.index(f"C{cases.index(case)}:")
    ours = [n for n in range(at, len(lines)) if lines[n].startswith(("ld", "st"))]
    return ours[number] + 1 + 3


def check(device, text: str, cases: list[Case], chance: random.Random, launches: int) -> int:
    field = Field(device)
    function = device.module.device_function("k")
    faults = 0
    for _ in range(launches):
        number, (block, row) = chance.randrange(len(cases)), chance.choice([((16, 1, 1), 8), ((4, 4, 1), 1)])
        case = cases[number]
        bases, first = draw(chance, field, case)
        device.memory.write(field.table, np.array(bases, np.uint64).data.cast("B"))
        before = field.around.copy()
        parameters = field.table.to_bytes(8, "little") + first.to_bytes(8, "little") + field.out.to_bytes(8, "little")
        found = None
        try:
            function.launch(parameters + number.to_bytes(4, "little"), (1, 1, 1), block, 0, 0, None, False)
        except jitload.CpuFault as fault:
            found = fault
        want = expected(field, case, bases, row)
        said = (case, bases, block, want)
        assert (found is None) == (want is None), (said, found)
        written = np.zeros(len(before), bool)
        for access in case.accesses:
            for thread, address in enumerate(addresses_of(case, bases, access)):
                mine = want is None or thread // row * row < want[0] // row * row + row
                if access.op == "st" and mine and field.allowed(case, access, address) and case.space not in SIZES:
                    written[address - field.first : address - field.first + access.nbytes] = True
        assert (before == field.around)[~written].all(), said
        if found is not None and want is not None:
            faults += 1
            thread, access_number, address = want
            assert found.thread == (thread % block[0], thread // block[0], 0), said
            assert found.ptx_line == line_of(text, case, access_number, cases), said
            bits = 32 if case.space in SIZES else 64
            assert found.address is not None
            assert (found.address - address) % (1 << bits) == 0, said
    field.close()
    assert not function.native.refused
    return faults


GROUPS = {"global": ["global"], "generic": ["generic"], "own": ["shared", "local"]}


def run(ptx, group: str, seed: int, launches: int) -> None:
    cases = cases_of(GROUPS[group])
    text = kernel_of(cases)
    with jitload.configure(cpu_engine="native"):
        faults = check(ptx(text), text, cases, random.Random(seed), launches)
    assert launches // 4 < faults < launches


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_out_of_bounds_faults_where_it_is_and_writes_nothing(ptx, group):
    run(ptx, group, 1, 700)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(2, 6))  # 20,000 faults
@pytest.mark.parametrize("group", GROUPS)
def test_many_addresses_out_of_bounds(ptx, group, seed):
    run(ptx, group, seed, 3000)
