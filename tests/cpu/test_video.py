"""Video instructions against the pseudocode of the PTX ISA (sections 9.7.17 and 9.7.18), number by number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jitload.errors import CpuFault

CORNERS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x80FF7F01, 0x7F8000FF, 33, 0xFFFF8000]
SELECTORS = ("", "b0", "b3", "h0", "h1")
TYPES = ("u32", "s32")


def operands(seed: int):
    """Every pair of corners with a corner, then words at random."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.product(CORNERS, CORNERS)), np.uint32)
    noise = rng.integers(0, 2**32, (3, 47)).astype(np.uint32)
    third = rng.choice(np.array(CORNERS, np.uint32), len(pairs))
    return [np.concatenate(both) for both in zip((*pairs.T, third), noise, strict=True)]


def wrapped(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def select(word: int, type_name: str, selector: str) -> int:
    """partSelectSignExtend."""
    bits = {"": 32, "b": 8, "h": 16}[selector[:1]]
    part = word >> bits * int(selector[1:] or 0) & (1 << bits) - 1
    return wrapped(part, bits) if type_name == "s32" else part


def clamp(value: int, bits: int, signed: bool) -> int:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return min(max(value, low), high)


def finish(tmp: int, c: int, dtype: str, sat: str, target: str, second: str) -> int:
    """optSaturate, optSecondaryOp and optMerge; between them there are 33 bits, signed."""
    bits = {"": 32, "b": 8, "h": 16}[target[:1]]
    tmp = clamp(tmp, bits, dtype == "s32") if sat else wrapped(tmp, 33)
    other = wrapped(c, 32) if dtype == "s32" else c
    tmp = {"": tmp, "add": tmp + other, "min": min(tmp, other), "max": max(tmp, other)}[second]
    if not target:
        return tmp % 2**32
    mask = (1 << bits) - 1 << bits * int(target[1:])
    return (tmp << bits * int(target[1:]) & mask) | (c & ~mask)


PRIMARY = {
    "vadd": lambda x, y: x + y,
    "vsub": lambda x, y: x - y,
    "vabsdiff": lambda x, y: abs(x - y),
    "vmin": min,
    "vmax": max,
    "vshl.clamp": lambda x, y: wrapped(x << min(y, 32), 34),
    "vshl.wrap": lambda x, y: wrapped(x << (y & 31), 34),
    "vshr.clamp": lambda x, y: x >> min(y, 32),
    "vshr.wrap": lambda x, y: x >> (y & 31),
    "vset.lt": lambda x, y: int(x < y),
    "vset.ge": lambda x, y: int(x >= y),
    "vset.ne": lambda x, y: int(x != y),
}
ENDINGS = (("", ""), ("", "add"), ("", "min"), ("", "max"), ("b0", ""), ("b2", ""), ("h1", ""))


def forms(name: str):
    """(types of d, a and b, saturation, selector of d, secondary operation, selectors of a and b)."""
    count = 1 if name.startswith("vset") else 2
    for number, (dtype, first, last, sat, (target, second)) in enumerate(
        itertools.product(TYPES[:count], TYPES, TYPES, ("", ".sat")[:count], ENDINGS)
    ):
        if name.startswith("vsh") and last == "s32":
            continue
        yield dtype, first, last, sat, target, second, SELECTORS[number % 5], SELECTORS[number // 5 % 5]


@pytest.mark.parametrize("name", PRIMARY)
def test_scalars(apply, name):
    opcode, _, mode = name.partition(".")
    a, b, c = operands(len(name))
    for number, (dtype, first, last, sat, target, second, left, right) in enumerate(forms(name)):
        types = f"{first}.{last}.{mode}" if opcode == "vset" else f"{dtype}.{first}.{last}{sat}"
        types += f".{mode}" if opcode in {"vshl", "vshr"} else ""
        parts = [f"%{n}.{s}" if s else f"%{n}" for n, s in zip("dab", (target, left, right), strict=True)]
        third = ", %c" if target or second else ""
        line = f"{opcode}.{types}{'.' if second else ''}{second} {', '.join(parts)}{third};"
        got = apply(line, np.uint32, a[number % 2 :], b[number % 2 :], c[number % 2 :])
        triples = zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
        want = [
            finish(PRIMARY[name](select(x, first, left), select(y, last, right)), z, dtype, sat, target, second)
            for x, y, z in triples
        ]
        np.testing.assert_array_equal(got, want[number % 2 :], line)


@pytest.mark.parametrize("sat", ["", ".sat"])
@pytest.mark.parametrize("scale", ["", ".shr7", ".shr15"])
@pytest.mark.parametrize(("first", "last"), list(itertools.product(TYPES, TYPES)))
def test_multiply_and_add(apply, first, last, scale, sat):
    a, b, c = operands(7)
    for number, sign in enumerate(("", "-a", "-b", "-a-b", "-c", ".po")):
        left, right = SELECTORS[number % 5], SELECTORS[number // 2]
        parts = [f"%{n}.{s}" if s else f"%{n}" for n, s in zip("abc", (left, right, ""), strict=True)]
        parts = [f"-{part}" if f"-{n}" in sign else part for n, part in zip("abc", parts, strict=True)]
        line = f"vmad.s32.{first}.{last}{'.po' if sign == '.po' else ''}{sat}{scale} %d, {', '.join(parts)};"
        got = apply(line, np.uint32, a, b, c)
        signed = "s32" in (first, last) or sign in {"-a", "-b", "-c"}
        want = []
        for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
            tmp = select(x, first, left) * select(y, last, right)
            tmp, z = (~tmp, z) if sign in {"-a", "-b"} else (tmp, ~z % 2**32 if sign == "-c" else z)
            tmp += (wrapped(z, 32) if signed else z) + (sign in {"-a", "-b", "-c", ".po"})
            tmp >>= int(scale[4:] or 0)
            want.append((clamp(tmp, 32, signed) if sat else tmp) % 2**32)
        np.testing.assert_array_equal(got, want, line)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vset.lt"])
def test_selected_and_masked_elements(apply, name, count):
    """Selectors pick from both words; what the mask leaves out comes from the third."""
    opcode, _, test = name.partition(".")
    rng = np.random.default_rng(count)
    a, b, c = operands(count)
    bits, letter = 32 // count, " hb"[count // 2]
    for ending, _ in itertools.product(("", ".sat", ".add"), range(4)):
        if test and ending == ".sat":
            continue
        dtype, first, last = (TYPES[one] for one in rng.integers(0, 2, 3))
        dtype = "u32" if test else dtype
        picks = rng.integers(0, 2 * count, (2, count))
        mask = sorted(rng.permutation(count)[: rng.integers(1, count + 1)].tolist())
        left, right, into = ("".join(map(str, reversed(one))) for one in (*picks.tolist(), mask))
        types = f"{first}.{last}.{test}" if test else f"{dtype}.{first}.{last}"
        line = f"{opcode}{count}.{types}{ending} %d.{letter}{into}, %a.{letter}{left}, %b.{letter}{right}, %c;"
        got = apply(line, np.uint32, a, b, c)
        for k, (x, y, z) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
            both = x | y << 32
            want = z
            for place in mask:
                ta, tb = (
                    select(both >> bits * int(picks[side][place]), kind, f"{letter}0")
                    for side, kind in ((0, first), (1, last))
                )
                value = PRIMARY[name](ta, tb)
                value = clamp(value, bits, dtype == "s32") if ending == ".sat" else value
                field = (1 << bits) - 1 << bits * place
                want = want + value if ending == ".add" else (want & ~field) | (value << bits * place & field)
            assert got[k] == want % 2**32, line


def test_parts_of_registers_that_an_earlier_block_wrote(apply):
    """Selected and negated registers are read like any others, also behind a branch and under a guard."""
    a = np.arange(64, dtype=np.uint32)
    code = """.reg .b32 %m, %z; and.b32 %z, %a, 1; setp.eq.u32 %p, %z, 0; mad.lo.u32 %m, %a, 65536, 7; mov.b32 %d, 1;
        @%p bra DONE; vmad.s32.s32.s32 %d, -%m.h1, %a, %m; DONE: setp.gt.u32 %r, %a, 50; @%r vadd.u32.u32.u32 %d, %m.h0, %z;"""
    want = np.where(a % 2 == 0, 1, a.astype(np.int64) * 65536 + 7 - a.astype(np.int64) ** 2)
    np.testing.assert_array_equal(apply(code, np.uint32, a), np.where(a > 50, 7 + a % 2, want).astype(np.uint32))


@pytest.mark.parametrize("line", [
    "vadd.s32.s32.s32 %r, -%r, %r;", "vadd.s32.s32.s32 %r, %r, %r, %r;", "vadd.s32.s32.s32.add %r.b0, %r, %r, %r;",
    "vshl.s32.s32.s32.clamp %r, %r, %r;", "vshl.s32.s32.u32 %r, %r, %r;", "vadd.s32.s32.s32 %r, %r.h2, %r;",
    "vmad.s32.s32.s32 %r, -%r, %r, -%r;", "vmad.s32.s32.s32.po %r, -%r, %r, %r;", "vadd2.s32.s32.s32 %r, %r.b10, %r, %r;",
    "vadd2.s32.s32.s32 %r.h01, %r, %r, %r;", "vadd2.s32.s32.s32 %r, %r.h4, %r, %r;", "add.s32 %r, -%r, %r;", "mov.b32 %r, %r.b0;",
])  # fmt: skip
def test_what_does_not_exist_is_refused(ptx, line):
    with pytest.raises(CpuFault):
        ptx(f".visible .entry k() {{ .reg .b32 %r; {line} ret; }}").module.device_function("k")
