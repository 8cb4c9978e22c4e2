"""Products of matrices in registers: how test values become registers, and the kernel that multiplies them."""

from __future__ import annotations

import math

import numpy as np

#: Floats of 8 bits and fewer -> bits of the exponent and of the mantissa, and the codes that are finite numbers.
SMALL = {"e4m3": (4, 3, 0x7F), "e5m2": (5, 2, 0x7C), "e3m2": (3, 2, 0x20), "e2m3": (2, 3, 0x20), "e2m1": (2, 1, 8)}


def decode_small(code: int, name: str) -> float:
    """The number of a code."""
    exponent, mantissa, _ = SMALL[name]
    sign, code = code >> (exponent + mantissa), code % (1 << (exponent + mantissa))
    high, low = code >> mantissa, code % (1 << mantissa)
    value = math.ldexp(low + ((high > 0) << mantissa), max(high, 1) - (2 ** (exponent - 1) - 1) - mantissa)
    return -value if sign else value


def numbers_of(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, their codes) of a type; those of floats are near 1, so that sums of their products are exact."""
    if name in SMALL:
        exponent, mantissa, finite = SMALL[name]
        middle = (2 ** (exponent - 1) - 1) << mantissa
        low, high = max(middle - (3 << mantissa), 0), min(middle + (3 << mantissa), finite)
        codes = rng.integers(low, high, shape) | rng.integers(0, 2, shape) << (exponent + mantissa)
        return np.vectorize(lambda code: decode_small(int(code), name), otypes=[float])(codes), codes.astype(np.uint8)
    bits = int(name[1:]) if name in {"s4", "u4", "s8", "u8"} else 0
    if bits:
        low = 0 if name[0] == "u" else -(2 ** (bits - 1))
        values = rng.integers(low, low + 2**bits, shape)
        return values, (values & (2**bits - 1)).astype(np.uint8)
    floats = rng.integers(-8, 9, shape) / 4
    if name == "bf16":
        return floats, (floats.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return floats, floats.astype(np.float16 if name == "f16" else np.float32).view(f"u{2 if name == 'f16' else 4}")


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """(lanes, elements) as (lanes, registers of 32 bits), the first element lowest."""
    each = 32 // bits
    shifts = np.arange(each, dtype=np.uint32) * np.uint32(bits)
    words = codes.astype(np.uint32).reshape(len(codes), -1, each) << shifts
    return np.bitwise_or.reduce(words, axis=2)


def multiply(ptx, name: str, parts: dict[str, np.ndarray], results: int, more: str = "") -> np.ndarray:
    """Run one `mma`: the registers of a, b, c and of whatever else `more` names; those of d come back."""
    lines = [
        ".visible .entry k(" + ", ".join(f".param .u64 p{letter}" for letter in (*parts, "d")) + ") {",
        ".reg .b64 %w<9>; .reg .b32 %l; mov.u32 %l, %tid.x;",
        *(f".reg .b32 %{letter}<9>;" for letter in (*parts, "d")),
    ]
    for letter, words in parts.items():
        count = words.shape[1]
        lines.append(f"ld.param.u64 %w1, [p{letter}]; mad.wide.u32 %w2, %l, {count * 4}, %w1;")
        lines += [f"ld.global.b32 %{letter}{i}, [%w2+{i * 4}];" for i in range(count)]
    counts = {"d": results, **{letter: parts[letter].shape[1] for letter in "abc"}}
    vectors = ["{" + ", ".join(f"%{letter}{i}" for i in range(count)) + "}" for letter, count in counts.items()]
    lines.append(f"mma.{name} {', '.join(vectors)}{more};")
    lines.append(f"ld.param.u64 %w1, [pd]; mad.wide.u32 %w2, %l, {results * 4}, %w1;")
    lines += [f"st.global.b32 [%w2+{i * 4}], %d{i};" for i in range(results)]
    out = np.zeros((len(parts["a"]), results), np.uint32)
    ptx("\n".join([*lines, "ret; }"])).run("k", 1, len(out), *parts.values(), out)
    return out


def lanes():
    """(lane, its group, its place in the group)."""
    return [(lane, lane // 4, lane % 4) for lane in range(32)]


def deal(matrix: np.ndarray, places) -> np.ndarray:
    """(lanes, elements): `places` gives the rows and columns of the elements that a lane of a group and place holds."""
    return np.array([[matrix[place] for place in places(group, at)] for _, group, at in lanes()])


def sums(g: int, t: int) -> list[tuple[int, int]]:
    """Where the elements of C and D of 16 x 8 belong."""
    return [(g, 2 * t), (g, 2 * t + 1), (g + 8, 2 * t), (g + 8, 2 * t + 1)]


def columns_of_b(k: int, bits: int):
    """Where the elements of B belong: each register holds neighbours along k, and the next one those of 4 threads on."""
    each = 32 // bits
    return lambda g, t: [(4 * each * (i // each) + t * each + i % each, g) for i in range(k // 4)]


def rows_of_a(k: int, bits: int):
    """Where the elements of A belong, of 16 x k that are stored: registers take turns between rows g and g + 8."""
    each = 32 // bits
    return lambda g, t: [
        (g + 8 * (i // each % 2), 4 * each * (i // (2 * each)) + t * each + i % each) for i in range(k // 2)
    ]
