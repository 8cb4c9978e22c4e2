"""Instructions that compilers seldom write, against the pseudocode of the PTX ISA, number by number."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from jitload.errors import CpuFault

MASK = 0xFFFFFFFF
WORDS = [0, 1, 2, 31, 32, 33, 255, 0x7FFFFF, 0x800000, 0xFFFFFF, 2**31 - 1, 2**31, MASK, 0xDEADBEEF, 0x01234567]
FLOATS = [0.0, -0.0, 1.0, -1.5, 1e-40, -1e-40, 2**-126, 3e38, math.inf, -math.inf, math.nan]


def combined(*columns: list) -> list[np.ndarray]:
    rows = list(itertools.product(*columns))
    return [np.array(column, np.uint32) for column in zip(*rows, strict=True)]


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def check(apply, code: str, inputs: list[np.ndarray], model) -> None:
    got = apply(code, np.uint32, *inputs)
    want = [model(*(int(value) for value in row)) & MASK for row in zip(*inputs, strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize("half", ["lo", "hi"])
@pytest.mark.parametrize("kind", ["u32", "s32"])
def test_24_bit_products(apply, half, kind):
    def product(a, b):
        a, b = ((signed(v, 24) if kind == "s32" else v & 0xFFFFFF) for v in (a, b))
        return a * b >> (16 if half == "hi" else 0)

    check(apply, f"mul24.{half}.{kind} %d, %a, %b;", combined(WORDS, WORDS), product)
    inputs = combined(WORDS, WORDS, [0, 5, 2**31 - 1, MASK])
    check(apply, f"mad24.{half}.{kind} %d, %a, %b, %c;", inputs, lambda a, b, c: product(a, b) + c)


def test_mad24_saturates(apply):
    def model(a, b, c):
        upper = signed(signed(a, 24) * signed(b, 24) >> 16)
        return min(max(upper + signed(c), -(2**31)), 2**31 - 1)

    check(apply, "mad24.hi.sat.s32 %d, %a, %b, %c;", combined(WORDS, WORDS, [0, 2**31 - 1, 2**31]), model)


def test_cnot(apply):
    check(apply, "cnot.b32 %d, %a;", combined(WORDS), lambda a: a == 0)


def test_find_nth_set(apply):
    def model(mask, base, offset):
        offset = signed(offset)
        if offset == 0:
            return base if mask >> base & 1 else MASK
        position, count = base, abs(offset) - 1
        while 0 <= position < 32:
            if mask >> position & 1:
                if count == 0:
                    return position
                count -= 1
            position += 1 if offset > 0 else -1
        return MASK

    offsets = [value & MASK for value in (0, 1, 2, 5, 32, 33, -1, -2, -7, -32)]
    check(apply, "fns.b32 %d, %a, %b, %c;", combined(WORDS, [0, 1, 7, 16, 30, 31], offsets), model)


@pytest.mark.parametrize("mode", ["clamp", "wrap"])
def test_bit_masks(apply, mode):
    def model(a, b):
        first, width = a & 31, b & 31
        lower, upper = MASK << first, MASK << first + width
        if mode == "clamp" and a >= 32:
            lower = 0
        if first + width >= 32 or (mode == "clamp" and (a >= 32 or b >= 32)):
            upper = 0
        return lower & ~upper

    check(apply, f"bmsk.{mode}.b32 %d, %a, %b;", combined(WORDS, WORDS), model)


@pytest.mark.parametrize("mode", ["clamp", "wrap"])
@pytest.mark.parametrize("kind", ["u32", "s32"])
def test_extension_from_a_bit(apply, mode, kind):
    def model(a, b):
        bits = b & 31
        large = mode == "clamp" and b >= 32
        upper = 0 if large else MASK << bits & MASK
        negative = kind == "s32" and bits != 0 and not large and a >> (bits - 1) & 1
        return a & ~upper | (upper if negative else 0)

    check(apply, f"szext.{mode}.{kind} %d, %a, %b;", combined(WORDS, [*range(36), 63, 64, MASK]), model)


@pytest.mark.parametrize("half", ["lo", "hi"])
@pytest.mark.parametrize("kinds", list(itertools.product(("u32", "s32"), repeat=2)), ids=".".join)
def test_dot_products_of_two(apply, half, kinds):
    def parts(word, bits, first, kind):
        found = [word >> bits * (first + number) & (1 << bits) - 1 for number in range(2)]
        return [signed(one, bits) if kind == "s32" else one for one in found]

    def model(a, b, c):
        left, right = parts(a, 16, 0, kinds[0]), parts(b, 8, 2 * (half == "hi"), kinds[1])
        return sum(x * y for x, y in zip(left, right, strict=True)) + c

    check(apply, f"dp2a.{half}.{'.'.join(kinds)} %d, %a, %b, %c;", combined(WORDS, WORDS, [0, 7, MASK]), model)


TESTS = {
    "finite": math.isfinite,
    "infinite": math.isinf,
    "number": lambda v: not math.isnan(v),
    "notanumber": math.isnan,
    "normal": lambda v: math.isfinite(v) and (v == 0 or abs(v) >= SMALLEST),
    "subnormal": lambda v: 0 < abs(v) < SMALLEST,
}
SMALLEST = 2.0**-126


@pytest.mark.parametrize("name", TESTS)
def test_properties_of_floats(apply, name):
    values = np.array(FLOATS, np.float32)
    code = f"{{ .reg .pred p; testp.{name}.f32 p, %a; selp.u32 %d, 1, 0, p; }}"
    assert apply(code, np.uint32, values).tolist() == [int(TESTS[name](float(value))) for value in values]


def test_copysign_takes_the_sign_of_the_first(apply):
    a, b = (np.array(column, np.float32) for column in zip(*itertools.product(FLOATS[:-1], FLOATS[:-1]), strict=True))
    got = apply("copysign.f32 %d, %a, %b;", np.float32, a, b)
    assert got.view(np.uint32).tolist() == np.copysign(b, a).view(np.uint32).tolist()


def test_select_by_sign(apply):
    a, b, c = combined([1, MASK], [2, 7], WORDS)
    assert apply("slct.u32.s32 %d, %a, %b, %c;", np.uint32, a, b, c).tolist() == [
        int(x if signed(int(z)) >= 0 else y) for x, y, z in zip(a, b, c, strict=True)
    ]
    sign = np.array(FLOATS, np.float32)
    ones, twos = np.full(len(sign), 1, np.uint32), np.full(len(sign), 2, np.uint32)
    for flush in (False, True):
        want = [1 if value >= 0 or (flush and abs(value) < SMALLEST) else 2 for value in sign.tolist()]
        code = f"slct{'.ftz' if flush else ''}.u32.f32 %d, %a, %b, %c;"
        assert apply(code, np.uint32, ones, twos, sign).tolist() == want


SPACES = """.global .u32 here; .const .u32 fixed = 5;
.visible .entry k(.param .u64 out) {
    .reg .pred p; .reg .u64 %a<8>; .reg .u32 %r<4>; .shared .u32 tile[4]; .local .u32 own[4];
    ld.param.u64 %a0, [out];
    cvta.global.u64 %a1, here; cvta.shared.u64 %a2, tile; cvta.local.u64 %a3, own; cvta.const.u64 %a4, fixed;
    TESTS
    mov.u32 %r1, tile;
    mapa.shared::cluster.u32 %r2, %r1, 0;
    sub.u32 %r2, %r2, %r1;
    st.global.u32 [%a0+64], %r2;
    getctarank.shared::cluster.u32 %r3, %r1;
    st.global.u32 [%a0+68], %r3;
    prefetch.global.L2 [%a1]; prefetchu.L1 [%a1]; membar.gl; ldu.global.u32 %r0, [%a0]; st.global.u32 [%a0+72], %r0;
    ret;
}"""


def test_which_space_an_address_is_in(ptx):
    questions = list(itertools.product(("global", "shared", "local"), ("%a1", "%a2", "%a3")))
    lines = [
        f"isspacep.{space} p, {address}; selp.u32 %r0, 1, 0, p; st.global.u32 [%a0+{4 * number}], %r0;"
        for number, (space, address) in enumerate(questions)
    ]
    out = np.full(20, 9, np.uint32)
    device = ptx(SPACES.replace("TESTS", "\n".join(lines)))
    address = device.put(out)
    device.run("k", 1, 1, address)
    device.get(address, out)
    assert out[:9].reshape(3, 3).tolist() == np.eye(3, dtype=int).tolist()
    assert out[16:18].tolist() == [0, 0]
    assert out[18] == out[0] == 1


def test_a_breakpoint_stops_the_kernel(ptx):
    with pytest.raises(CpuFault, match="brkpt"):
        ptx(".visible .entry k() { brkpt; ret; }").run("k", 1, 1)
