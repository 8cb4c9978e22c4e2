"""Every form that only computes: the same bits as machine code and on lanes, over values at the edges and by chance."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.lines import line_of, names_of
from tests.cpu.isa.native import native_cell

from .computing import FAMILIES, computes
from .test_launch import both

#: Of one row, and in one kernel.
_NAMES, _LINES = 40, 48
_EDGES = (
    0, 1, 2, 0x1F, 0x20, 0xFF, 0x3FF, 0x400, 0x8001, 0x3C00, 0x3C01, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x3F80, 0x7F7F, 0x7F80,
    0x7F81, 0x03FF3C01, 0x7BFF0001, 0x7C007E01, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x3F7FFFFF, 0x7F7FFFFF, 0x7F800000,
    0x7FC00001, 0x7FA00001, 0x7E900000, 0x42C80000, 0x4B000001, 0x33800000, 0x3EAAAAAB, 0x477FF000, 0x7FF00000, 0x7FF80000,
    0x3FF00000, 0x36A00000, 0x000FFFFF, 0x41DFFFFF,
)  # fmt: skip
_COUNTS = {"b": 2, "h": 4, "r": 9, "d": 4, "f": 8, "e": 4, "p": 3}
_BITS = {"b": 8, "h": 16, "r": 32, "d": 64, "f": 32, "e": 64}
_REGISTER = re.compile(r"%([bhrdfe])(\d)|%p(\d)")
_WORDS = 10


def _lines(family: str, limit: int) -> list[str]:
    rows = [row for row in families()[family] if computes(row) and native_cell(row) == "yes"]
    lines = [line_of(name) for row in rows for name in names_of(row, limit)]
    return [line for line in lines if "[" not in line and "k_p" not in line]


def _kernel(number: int, lines: list[str]) -> str:
    """One that stores what each line gives, from the same registers."""
    text = [
        f".visible .entry k{number}(.param .u64 in, .param .u64 out) {{",
        ".reg .b32 %r<10>, %xr<10>; .reg .b8 %b<3>; .reg .b16 %h<5>; .reg .b64 %d<5>, %xd<5>; .reg .f32 %f<9>; .reg .f64 %e<5>;",
        ".reg .pred %p<4>; .reg .b64 %i, %o, %t; .reg .b32 %n, %m;",
        "mov.u32 %n, %ctaid.x; mov.u32 %m, %ntid.x; mul.lo.u32 %n, %n, %m; mov.u32 %m, %tid.x; add.u32 %n, %n, %m;",
        f"ld.param.u64 %i, [in]; mul.wide.u32 %t, %n, {4 * _WORDS}; add.u64 %i, %i, %t;",
        f"ld.param.u64 %o, [out]; mul.wide.u32 %t, %n, {16 * len(lines)}; add.u64 %o, %o, %t;",
        *(f"ld.global.u32 %xr{k}, [%i+{4 * k}];" for k in range(_COUNTS["r"])),
        *(f"mov.b64 %xd{k}, {{%xr{2 * k}, %xr{(2 * k + 3) % 9}}};" for k in range(_COUNTS["d"])),
    ]
    for place, line in enumerate(lines):
        text += [_load(match) for match in _REGISTER.finditer(line)]
        text.append(f"{line};")
        text += _stores(line, 16 * place)
    return "\n".join([*text, "ret; }"])


def _load(match: re.Match[str]) -> str:
    if match[3]:
        return f"setp.gt.s32 %p{match[3]}, %xr{match[3]}, %xr5;"
    kind, number = match[1], int(match[2])
    if kind in "bh":
        return f"cvt.u{_BITS[kind]}.u32 %{kind}{number}, %xr{number};"
    return f"mov.b{_BITS[kind]} %{kind}{number}, %{'xr' if _BITS[kind] == 32 else 'xd'}{number};"


def _stores(line: str, at: int) -> list[str]:
    """Stores of the results: all registers up to the first comma that is not within braces."""
    results = line[: line.index("}") if " {" in line[: line.find(",") + 1] else line.find(",")]
    found = []
    for match in _REGISTER.finditer(results):
        if match[3]:
            found += [f"selp.u32 %m, 1, 2, %p{match[3]};", f"st.global.u32 [%o+{at}], %m;"]
        else:
            found.append(f"st.global.b{_BITS[match[1]]} [%o+{at}], %{match[1]}{match[2]};")
        at += 4 if match[3] else 8
    return found


def check(ptx, lines: list[str], words: np.ndarray) -> None:
    kernels = [lines[first : first + _LINES] for first in range(0, len(lines), _LINES)]
    device = ptx("\n".join(_kernel(number, own) for number, own in enumerate(kernels)))
    for number, own in enumerate(kernels):
        out = np.zeros((len(words), len(own), 2), np.uint64)
        assert not both(device, f"k{number}", len(words) // 64, 64, words, out)


def _chance(seed: int, count: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    words = chance.integers(0, 1 << 32, (count, _WORDS), np.uint32)
    edges = np.array([one | sign for one in _EDGES for sign in (0, 1 << 31, 1 << 15)], np.uint32)
    return np.where(chance.random(words.shape) < 0.7, chance.choice(edges, words.shape), words)


@pytest.mark.slow(keep=1)
@pytest.mark.parametrize("family", FAMILIES)
def test_forms_of_a_family(ptx, family):
    lines = _lines(family, _NAMES)
    assert lines
    check(ptx, lines, _chance(len(family), 2048))
