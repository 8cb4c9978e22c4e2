"""The bits of NaN: one for f16, bf16 and f32, whatever goes in, and a payload that stays for f64 (PTX ISA section 9.7.3)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

WORDS = {"f16": np.uint16, "bf16": np.uint16, "f32": np.uint32, "f64": np.uint64}
CANONICAL = {"f16": 0x7FFF, "bf16": 0x7FFF, "f32": 0x7FFFFFFF, "f64": 0xFFF8000000000000}
#: Infinities, 0, -1, and NaN: quiet and signalling, of both signs, with payloads and without, and the canonical one.
VALUES = {
    "f16": [0x7C00, 0xFC00, 0, 0xBC00, 0x7E00, 0xFE01, 0x7D12, 0xFC01, 0x7FFF],
    "bf16": [0x7F80, 0xFF80, 0, 0xBF80, 0x7FC0, 0xFFC1, 0x7FA1, 0xFF81, 0x7FFF],
    "f32": [0x7F800000, 0xFF800000, 0, 0xBF800000, 0x7FC00000, 0xFFC00001, 0x7FA00001, 0xFF800001, 0x7FFFFFFF],
    "f64": [
        *(0x7FF << 52, 0xFFF << 52, 0, 0xBFF << 52),
        *(0x7FF8 << 48, 0xFFF8 << 48 | 1, 0x7FF4 << 48 | 0x123, 0xFFF << 52 | 1, (1 << 63) - 1),
    ],
}  # fmt: skip
#: Instructions of so many sources, by the type of the result; `{m}` is a rounding mode.
ARITHMETIC = {
    "f32": [
        "add.{m}.f32", "sub.{m}.f32", "mul.{m}.f32", "add.ftz.f32", "mul.rn.ftz.f32", "div.{m}.f32", "div.full.f32",
        "div.approx.f32", "fma.{m}.f32", "fma.rn.ftz.f32", "mad.rn.f32", "sqrt.{m}.f32", "rcp.{m}.f32", "sqrt.approx.f32",
        "rcp.approx.ftz.f32", "rsqrt.approx.f32", "ex2.approx.f32", "ex2.approx.ftz.f32", "lg2.approx.f32", "sin.approx.f32",
        "cos.approx.f32", "tanh.approx.f32", "min.f32", "max.f32", "min.NaN.f32", "max.ftz.NaN.f32", "max.xorsign.abs.f32",
        "min.NaN.xorsign.abs.f32", "cvt.rni.f32.f32", "cvt.rzi.f32.f32", "cvt.ftz.f32.f32",
    ],
    "f64": [
        "add.{m}.f64", "sub.{m}.f64", "mul.{m}.f64", "div.{m}.f64", "fma.{m}.f64", "sqrt.{m}.f64", "rcp.{m}.f64",
        "rsqrt.approx.f64", "cvt.rpi.f64.f64",
    ],
    "f16": [
        "add.f16", "sub.rn.f16", "mul.ftz.f16", "fma.rn.f16", "fma.rn.relu.f16", "ex2.approx.f16", "tanh.approx.f16", "min.f16",
        "max.NaN.f16", "max.NaN.xorsign.abs.f16", "cvt.rmi.f16.f16",
    ],
    "bf16": [
        "add.bf16", "sub.bf16", "mul.bf16", "fma.rn.bf16", "fma.rn.relu.bf16", "ex2.approx.ftz.bf16", "tanh.approx.bf16",
        "min.bf16", "max.NaN.bf16", "min.NaN.xorsign.abs.bf16",
    ],
}  # fmt: skip
SOURCES = {"add": 2, "sub": 2, "mul": 2, "div": 2, "min": 2, "max": 2, "fma": 3, "mad": 3}


def lines():
    """(type, instruction, number of sources) of every form and rounding mode."""
    for name, forms in ARITHMETIC.items():
        for form in forms:
            for mode in ("rn", "rz", "rm", "rp") if "{m}" in form else ("",):
                yield name, form.format(m=mode), SOURCES.get(form.partition(".")[0], 1)


LINES = list(lines())


def columns(name: str, count: int) -> list[np.ndarray]:
    return [np.array(one, WORDS[name]) for one in zip(*itertools.product(VALUES[name], repeat=count), strict=True)]


def is_nan(words: np.ndarray, name: str) -> np.ndarray:
    infinity = np.array(VALUES[name][0], words.dtype)
    return (words & ~np.array(1 << (8 * words.itemsize - 1), words.dtype)) > infinity


def wanted_bits(name: str, operation: str, sources: list[np.ndarray]) -> np.ndarray:
    """What each NaN among the results must be: of f64, the first operand that is one, made quiet."""
    found = np.full(len(sources[0]), CANONICAL[name], WORDS[name])
    if name == "f64" and not operation.startswith(("min", "max")):
        for source in reversed(sources):
            found = np.where(is_nan(source, name), source | np.uint64(1 << 51), found)
    return found


def assert_nans(name: str, operation: str, got: np.ndarray, sources: list[np.ndarray]) -> None:
    nan = is_nan(got, name)
    want = wanted_bits(name, operation, sources)
    wrong = np.flatnonzero(nan & (got != want))
    assert nan.any(), "no NaN among the results: the test shows nothing"
    assert not len(wrong), [hex(one[wrong[0]]) for one in (got, want, *sources)]


@pytest.mark.parametrize(("name", "line", "count"), LINES, ids=[line for _, line, _ in LINES])
def test_a_result_that_is_nan_has_the_bits_of_the_gpu(apply, name, line, count):
    sources = columns(name, count)
    inputs = [as_loaded(one) for one in sources]
    got = apply(f"{line} %d, {', '.join(('%a', '%b', '%c')[:count])};", inputs[0].dtype, *inputs)
    assert_nans(name, line, got.view(WORDS[name]), sources)


def as_loaded(words: np.ndarray) -> np.ndarray:
    return words.view({4: np.float32, 8: np.float64}.get(words.itemsize, words.dtype))


@pytest.mark.parametrize(("name", "line", "count"), LINES, ids=[line for _, line, _ in LINES])
def test_a_value_that_all_threads_share_is_no_exception(ptx, name, line, count):
    """Immediates stay scalars in the executor, which go other ways than arrays."""
    bits = VALUES[name][6]
    literal = {"f32": f"0f{bits:08X}", "f64": f"0d{bits:016X}"}.get(name, hex(bits))
    register = {"f32": ".f32", "f64": ".f64"}.get(name, ".b16")
    text = (
        f".visible .entry k(.param .u64 p) {{ .reg .b64 %w; .reg {register} %a, %d; ld.param.u64 %w, [p];"
        f"mov.b{8 * WORDS[name]().itemsize} %a, {literal}; {line} %d, {', '.join(['%a'] * count)};"
        f"st.global.b{8 * WORDS[name]().itemsize} [%w], %d; ret; }}"
    )
    out = np.zeros(1, WORDS[name])
    ptx(text).run("k", 1, 1, out)
    assert_nans(name, line, out, [np.array([bits], WORDS[name])] * count)


@pytest.mark.parametrize(
    "line", ["add.{t}", "sub.{t}", "mul.{t}", "fma.rn.{t}", "fma.rn.relu.{t}", "max.NaN.{t}", "min.{t}"]
)
@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_both_halves_of_a_packed_result(apply, name, line):
    count = SOURCES[line.partition(".")[0]]
    sources = columns(name, count)
    words = [one | np.uint32(np.roll(one, 7)) << np.uint32(16) for one in (one.astype(np.uint32) for one in sources)]
    got = apply(f"{line.format(t=name + 'x2')} %d, {', '.join(('%a', '%b', '%c')[:count])};", np.uint32, *words)
    assert_nans(name, line, (got & np.uint32(0xFFFF)).astype(np.uint16), sources)
    assert_nans(name, line, (got >> np.uint32(16)).astype(np.uint16), [np.roll(one, 7) for one in sources])


@pytest.mark.parametrize("line", ["add.rn.f32x2", "mul.rz.f32x2", "fma.rn.f32x2", "add.rn.ftz.f32x2"])
def test_both_halves_of_a_pair_of_floats(apply, line):
    count = SOURCES[line.partition(".")[0]]
    sources = columns("f32", count)
    pairs = [one | np.roll(one, 5) << np.uint64(32) for one in (one.astype(np.uint64) for one in sources)]
    got = apply(f"{line} %d, {', '.join(('%a', '%b', '%c')[:count])};", np.uint64, *pairs)
    assert_nans("f32", line, got.astype(np.uint32), sources)
    assert_nans("f32", line, (got >> np.uint64(32)).astype(np.uint32), sources)


@pytest.mark.parametrize("line", ["add.f32.f16", "sub.rz.f32.bf16", "fma.rn.f32.f16", "fma.rp.f32.bf16"])
def test_a_sum_of_a_half_and_a_float(apply, line):
    half = line.rpartition(".")[2]
    narrow, wide = (
        one.reshape(-1) for one in np.meshgrid(np.array(VALUES[half], np.uint16), np.array(VALUES["f32"], np.uint32))
    )
    factors = "%a, %a" if line.startswith("fma") else "%a"
    got = apply(f"{line} %d, {factors}, %b;", np.float32, narrow, wide.view(np.float32))
    assert_nans("f32", line, got.view(np.uint32), [wide])


CONVERSIONS = [
    ("f32", "f16", "cvt.f32.f16"), ("f16", "f32", "cvt.rn.f16.f32"), ("f16", "f32", "cvt.rz.f16.f32"),
    ("bf16", "f32", "cvt.rn.bf16.f32"), ("bf16", "f32", "cvt.rz.relu.bf16.f32"), ("f16", "f32", "cvt.rn.satfinite.f16.f32"),
    ("f32", "f64", "cvt.rn.f32.f64"), ("f32", "f64", "cvt.rp.f32.f64"), ("f16", "f64", "cvt.rn.f16.f64"),
    ("f32", "f32", "cvt.rna.tf32.f32"), ("bf16", "f16", "cvt.rn.bf16.f16"), ("bf16", "bf16", "cvt.rni.bf16.bf16"),
]  # fmt: skip


@pytest.mark.parametrize(("to", "source", "line"), CONVERSIONS, ids=[line for *_, line in CONVERSIONS])
def test_conversions_to_a_type_with_one_nan(apply, to, source, line):
    words = np.array(VALUES[source], WORDS[source])
    out = np.uint32 if "tf32" in line else {"f32": np.float32}.get(to, np.uint16)
    got = apply(f"{line} %d, %a;", out, as_loaded(words))
    nan = is_nan(words, source)
    np.testing.assert_array_equal(got.view(WORDS[to])[nan], CANONICAL[to])


@pytest.mark.parametrize("source", ["f16", "f32"])
def test_a_payload_stays_at_the_upper_end_when_f64_takes_it(apply, source):
    words = np.array(VALUES[source], WORDS[source])
    got = apply(f"cvt.f64.{source} %d, %a;", np.float64, as_loaded(words)).view(np.uint64)
    mantissa, width = (10, 16) if source == "f16" else (23, 32)
    for word, result in zip(words[is_nan(words, source)].tolist(), got[is_nan(words, source)].tolist(), strict=True):
        payload = (word & ((1 << mantissa) - 1)) << (52 - mantissa)
        assert result == word >> (width - 1) << 63 | 0x7FF8 << 48 | payload


@pytest.mark.parametrize("name", ["rcp", "rsqrt"])
def test_the_approximations_of_f64_know_one_nan(apply, name):
    words = np.array([*VALUES["f64"]], np.uint64)
    got = apply(f"{name}.approx.ftz.f64 %d, %a;", np.float64, words.view(np.float64)).view(np.uint64)
    assert set(got[is_nan(got, "f64")].tolist()) == {CANONICAL["f64"]}


@pytest.mark.parametrize("line", ["atom.global.add.{t} %d, [%x], %a;", "red.global.add.{t} [%x], %a;"])
@pytest.mark.parametrize("name", ["f32", "f64", "f16", "bf16"])
@pytest.mark.parametrize("meet", [0, 1, 64], ids=["apart", "in pairs", "all at one"])
def test_atomic_sums(apply, name, line, meet):
    """The old value comes back as it was; what stays in memory is settled, also where no thread asks for the old one."""
    line = line.format(t=name if name in {"f32", "f64"} else f"noftz.{name}")
    size = WORDS[name]().itemsize
    cells = np.repeat(np.array(VALUES[name], WORDS[name]), len(VALUES[name]))
    added = np.tile(np.array(VALUES[name], WORDS[name]), len(VALUES[name]))
    where = np.arange(len(cells)) // {0: 1, 1: 2, 64: 128}[meet]
    code = f"ld.param.u64 %x, [pc]; .reg .b32 %o; mul.lo.u32 %o, %b, {size}; cvt.u64.u32 %v, %o; add.s64 %x, %x, %v; {line}"
    memory = cells.copy()
    apply(code, as_loaded(added).dtype, as_loaded(added), where.astype(np.uint32), as_loaded(memory))
    # `apply` copies nothing back but results, so what was left is read by an atomic that adds nothing.
    code += f"bar.sync 0; ld.global.{'b16' if size == 2 else name} %d, [%x];"
    got = apply(code, as_loaded(added).dtype, as_loaded(added), where.astype(np.uint32), as_loaded(memory)).view(
        WORDS[name]
    )
    nan = is_nan(got, name)
    assert nan.any()
    if name != "f64":
        assert set(got[nan].tolist()) == {CANONICAL[name]}
    else:
        assert ((got[nan] >> np.uint64(51)) & np.uint64(1)).all()


@pytest.mark.parametrize(
    ("shape", "kinds", "registers"),
    [
        ("m16n8k8", "f32.tf32.tf32.f32", (4, 2)),
        ("m16n8k16", "f32.bf16.bf16.f32", (4, 2)),
        ("m16n8k16", "f16.f16.f16.f16", (4, 2)),
    ],
)
def test_products_of_matrices(apply, shape, kinds, registers):
    """Row 0 of A holds a NaN with a payload, so the first row of the result is NaN."""
    first = ", ".join(["%a"] * registers[0])
    second = ", ".join(["%b"] * registers[1])
    one, nan = (
        (0x3F803F80, 0xFFA1FFA1)
        if "bf16" in kinds
        else (0x3C003C00, 0xFD12FD12)
        if "f16" in kinds
        else (0x3F800000, 0xFFA00001)
    )
    a = np.where(np.arange(32) < 4, nan, one).astype(np.uint32)
    results, sums = ("%d, %q", "%i, %i") if kinds.startswith("f16") else ("%d, %i, %j, %q", "%i, %i, %i, %i")
    code = (
        f"mov.b32 %i, 0; mma.sync.aligned.{shape}.row.col.{kinds} {{{results}}}, {{{first}}}, {{{second}}}, {{{sums}}};"
    )
    got, _ = apply(code, (np.uint32, np.uint32), a, np.full(32, one, np.uint32))
    assert set(got[:4].tolist()) == {0x7FFF7FFF if kinds.startswith("f16") else 0x7FFFFFFF}
