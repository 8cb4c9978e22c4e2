"""Tensor-core instructions against NumPy, with the fragment layouts as the PTX ISA writes them out."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault

# PTX ISA, "Matrix Fragments for mma": (row, column) of element i in the lane with group g and place t.
A = {
    "m16n8k8/16": lambda g, t, i: (g if i < 2 else g + 8, t * 2 + (i & 1)),
    "m16n8k16/16": lambda g, t, i: (g if i in {0, 1, 4, 5} else g + 8, t * 2 + (i & 1) + (8 if i >= 4 else 0)),
    "m16n8k4/32": lambda g, t, i: (g if i == 0 else g + 8, t),
    "m16n8k8/32": lambda g, t, i: (g if i in {0, 2} else g + 8, t if i < 2 else t + 4),
    "m8n8k16/8": lambda g, t, i: (g, t * 4 + i),
    "m16n8k16/8": lambda g, t, i: (g if i < 4 else g + 8, t * 4 + (i & 3)),
    "m16n8k32/8": lambda g, t, i: (g if i < 4 or 8 <= i < 12 else g + 8, t * 4 + (i & 3) + (16 if i >= 8 else 0)),
    "m8n8k4/64": lambda g, t, i: (g, t),
    "m16n8k4/64": lambda g, t, i: (g if i == 0 else g + 8, t),
    "m16n8k8/64": lambda g, t, i: (g if i in {0, 2} else g + 8, t if i < 2 else t + 4),
    "m16n8k16/64": lambda g, t, i: (g, i * 2 + t) if i % 2 == 0 else (g + 8, i * 2 - 2 + t),
}
B = {
    "m16n8k8/16": lambda g, t, i: (t * 2 + i, g),
    "m16n8k16/16": lambda g, t, i: (t * 2 + (i & 1) + (8 if i >= 2 else 0), g),
    "m16n8k4/32": lambda g, t, i: (t, g),
    "m16n8k8/32": lambda g, t, i: (t + 4 * i, g),
    "m8n8k16/8": lambda g, t, i: (t * 4 + i, g),
    "m16n8k16/8": lambda g, t, i: (t * 4 + i, g),
    "m16n8k32/8": lambda g, t, i: (t * 4 + (i & 3) + (16 if i >= 4 else 0), g),
    "m8n8k4/64": lambda g, t, i: (t, g),
    "m16n8k4/64": lambda g, t, i: (t, g),
    "m16n8k8/64": lambda g, t, i: (t if i == 0 else t + 4, g),
    "m16n8k16/64": lambda g, t, i: (t + i * 4, g),
}


def place_c(g, t, i):
    return (g if i < 2 else g + 8, t * 2 + (i & 1))


STORAGE = {
    "f16": np.float16,
    "f32": np.float32,
    "tf32": np.float32,
    "f64": np.float64,
    "s8": np.int8,
    "u8": np.uint8,
    "s32": np.int32,
}


def encode(matrix, type_name):
    if type_name == "bf16":
        return (matrix.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if type_name == "e5m2":  # the upper byte of f16; -5 to 5 fit
        return (matrix.astype(np.float16).view(np.uint16) >> 8).astype(np.uint8)
    if type_name == "e4m3":
        codes = {0: 0, 1: 0x38, 2: 0x40, 3: 0x44, 4: 0x48, 5: 0x4A}
        return np.vectorize(lambda x: codes[abs(x)] | (0x80 if x < 0 else 0))(matrix).astype(np.uint8)
    return matrix.astype(STORAGE[type_name])


def deal(matrix, place, per_lane):
    """Lane by lane, the elements that it holds, as words."""
    rows = [[matrix[place(lane // 4, lane % 4, i)] for i in range(per_lane)] for lane in range(32)]
    array = np.array(rows, matrix.dtype)
    return array.view(np.uint64 if matrix.dtype.itemsize == 8 else np.uint32)


MMA = [
    ("m16n8k8", "f32", "f16", "f16", "f32"), ("m16n8k16", "f32", "f16", "f16", "f32"),
    ("m16n8k8", "f16", "f16", "f16", "f16"), ("m16n8k16", "f16", "f16", "f16", "f16"),
    ("m16n8k8", "f32", "bf16", "bf16", "f32"), ("m16n8k16", "f32", "bf16", "bf16", "f32"),
    ("m16n8k4", "f32", "tf32", "tf32", "f32"), ("m16n8k8", "f32", "tf32", "tf32", "f32"),
    ("m8n8k16", "s32", "s8", "u8", "s32"), ("m16n8k16", "s32", "u8", "s8", "s32"), ("m16n8k32", "s32", "s8", "s8", "s32"),
    *((shape, "f64", "f64", "f64", "f64") for shape in ("m8n8k4", "m16n8k4", "m16n8k8", "m16n8k16")), ("m16n8k32", "f32", "e4m3", "e5m2", "f32"), ("m16n8k16", "f16", "e5m2", "e5m2", "f16"),
]  # fmt: skip


def mma_text(shape, d, a, b, c, counts, warps="") -> str:
    wide = "b64" if d == "f64" else "b32"
    size = 8 if d == "f64" else 4
    lines = [
        ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd) {",
        f".reg .{wide} %a<9>, %b<9>, %c<9>, %d<9>; .reg .b64 %w<9>; .reg .b32 %t; mov.u32 %t, %tid.x; {warps}",
    ]
    for name, count in zip("abc", counts, strict=True):
        lines.append(f"ld.param.u64 %w1, [p{name}]; mad.wide.u32 %w2, %t, {count * size}, %w1;")
        lines += [f"ld.global.{wide} %{name}{i}, [%w2+{i * size}];" for i in range(count)]
    fragments = [
        "{" + ", ".join(f"%{n}{i}" for i in range(k)) + "}" for n, k in zip("dabc", (counts[2], *counts), strict=True)
    ]
    lines.append(f"mma.sync.aligned.{shape}.row.col.{d}.{a}.{b}.{c} {', '.join(fragments)};")
    lines.append(f"ld.param.u64 %w1, [pd]; mad.wide.u32 %w2, %t, {counts[2] * size}, %w1;")
    lines += [f"st.global.{wide} [%w2+{i * size}], %d{i};" for i in range(counts[2])]
    return "\n".join([*lines, "ret; }"])


@pytest.mark.parametrize(("shape", "d", "a", "b", "c"), MMA, ids=lambda one: one)
def test_mma_multiplies_fragments_laid_out_as_specified(ptx, shape, d, a, b, c):
    m, n, k = (int(one) for one in shape[1:].replace("n", " ").replace("k", " ").split())
    rng = np.random.default_rng(m * n * k)
    low = 0 if "u8" in (a, b) else -5
    left, right = rng.integers(low, 6, (m, k)), rng.integers(low, 6, (k, n))
    start = rng.integers(-9, 10, (m, n))
    width = {"tf32": 32, "f64": 64, "s8": 8, "u8": 8, "e4m3": 8, "e5m2": 8}.get(a, 16)
    form = f"{shape}/{width}"
    fragments = [
        deal(encode(left, a), A[form], m * k // 32),
        deal(encode(right, b), B[form], k * n // 32),
        deal(encode(start, c), place_c, m * n // 32),
    ]
    result = np.zeros_like(fragments[2])
    ptx(mma_text(shape, d, a, b, c, [one.shape[1] for one in fragments])).run("k", 1, 32, *fragments, result)
    np.testing.assert_array_equal(result, deal(encode(left @ right + start, d), place_c, m * n // 32))


def test_mma_wraps_or_saturates_integers(ptx):
    a, b = np.full((32, 2), 0x7F7F7F7F, np.uint32), np.full((32, 1), 0x7F7F7F7F, np.uint32)
    c = np.full((32, 4), 2**31 - 1, np.uint32)
    for flag, want in (("", 2**31 - 1 + 16 * 127 * 127), (".satfinite", 2**31 - 1)):
        d = np.zeros((32, 4), np.uint32)
        ptx(
            mma_text(f"m16n8k16.row.col{flag}", "s32", "s8", "s8", "s32", [2, 1, 4]).replace(
                f"{flag}.row.col.s32", f"{flag}.s32"
            )
        ).run("k", 1, 32, a, b, c, d)
        assert (d == want).all()


def test_mma_needs_whole_warps(ptx):
    words = [np.zeros((32, count), np.uint32) for count in (2, 1, 4, 4)]
    with pytest.raises(CpuFault, match="all 32 threads"):
        ptx(mma_text("m16n8k8", "f32", "f16", "f16", "f32", [2, 1, 4])).run("k", 1, 20, *words)


def test_warps_that_arrive_apart_multiply_apart(ptx):
    """Lanes that diverged before the product meet again at it."""
    rng = np.random.default_rng(5)
    left, right = rng.integers(-5, 6, (3, 16, 8)), rng.integers(-5, 6, (3, 8, 8))
    fragments = [
        np.concatenate([deal(encode(one, "f16"), A["m16n8k8/16"], 4) for one in left]),
        np.concatenate([deal(encode(one, "f16"), B["m16n8k8/16"], 2) for one in right]),
        np.zeros((96, 4), np.uint32),
    ]
    result = np.zeros((96, 4), np.uint32)
    apart = ".reg .pred %p; .reg .b32 %u; and.b32 %u, %t, 5; setp.ne.u32 %p, %u, 1; @%p bra L; nanosleep.u32 5; L:"
    ptx(mma_text("m16n8k8", "f32", "f16", "f16", "f32", [2, 1, 4], apart)).run("k", 1, 96, *fragments, result)
    for warp in range(3):
        want = deal((left[warp] @ right[warp]).astype(np.float32), place_c, 4)
        np.testing.assert_array_equal(result[32 * warp : 32 * warp + 32], want)


@pytest.mark.parametrize("line", [
    "mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%r1,%r2}, {%r1,%r2}, {%r1,%r2}, {%r1,%r2};",
    "mma.sync.aligned.m8n8k4.row.col.f16.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1,%r2}, {%r1,%r2,%r3,%r4,%r5,%r6,%r7,%r8};",
    "mma.sync.aligned.m16n8k8.col.col.f32.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1}, {%r1,%r2,%r3,%r4};",
    "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%r1,%r2}, {%r1,%r2}, {%r1}, {%r1,%r2};",
    "mma.sync.aligned.m16n8k8.row.col.s32.f16.f16.s32 {%r1,%r2,%r1,%r2}, {%r1,%r2}, {%r1}, {%r1,%r2,%r1,%r2};",
    "wmma.mma.sync.aligned.row.row.m8n8k32.s32.s4.s8.s32 {%r1,%r2}, {%r1}, {%r1}, {%r1,%r2};",
    "wmma.mma.sync.aligned.row.col.m8n8k128.s32.b1.b1.s32 {%r1,%r2}, {%r1}, {%r1}, {%r1,%r2};",
    "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1}, [%r2];",
])  # fmt: skip
def test_what_is_no_product_is_refused(ptx, line):
    with pytest.raises(CpuFault):
        ptx(f".visible .entry k() {{ .reg .b32 %r<9>;\n{line}\nret; }}").module.device_function("k")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_and_stmatrix(ptx, count, turned):
    """Each lane names a row of 16 bytes; element pairs come from row g, or with .trans from column g."""
    trans = ".trans" if turned else ""
    registers = "{" + ", ".join(f"%r{i}" for i in range(count)) + "}"
    text = f""".visible .entry k(.param .u64 i, .param .u64 o, .param .u64 b) {{
        .reg .b32 %r<9>, %t, %s, %u, %v; .reg .b64 %w, %x; .shared .align 16 .b8 box[1024];
        mov.u32 %t, %tid.x; shl.b32 %u, %t, 4; mov.u32 %s, box; add.u32 %s, %s, %u;
        ld.param.u64 %w, [i]; mad.wide.u32 %w, %t, 16, %w; ld.global.v4.b32 {{%r0, %r1, %r2, %r3}}, [%w];
        st.shared.v4.b32 [%s], {{%r0, %r1, %r2, %r3}}; bar.warp.sync -1;
        ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {registers}, [%s];
        ld.param.u64 %w, [o]; mad.wide.u32 %w, %t, 16, %w;
        {" ".join(f"st.global.b32 [%w+{4 * i}], %r{i};" for i in range(count))}
        stmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 [%s+512], {registers}; bar.warp.sync -1;
        ld.shared.v4.b32 {{%r0, %r1, %r2, %r3}}, [%s+512]; ld.param.u64 %w, [b]; mad.wide.u32 %w, %t, 16, %w;
        st.global.v4.b32 [%w], {{%r0, %r1, %r2, %r3}}; ret; }}"""
    matrices = np.random.default_rng(count).integers(0, 2**16, (4, 8, 8)).astype(np.uint16)
    out, back = np.zeros((32, 4, 2), np.uint16), np.zeros((4, 8, 8), np.uint16)
    ptx(text).run("k", 1, 32, matrices, out, back)
    for lane in range(32):
        for number in range(count):
            matrix = matrices[number].T if turned else matrices[number]
            np.testing.assert_array_equal(out[lane, number], matrix[lane // 4, lane % 4 * 2 : lane % 4 * 2 + 2])
    np.testing.assert_array_equal(back[:count], matrices[:count])


def test_movmatrix(ptx):
    text = """.visible .entry k(.param .u64 x) { .reg .b32 %r, %t; .reg .b64 %w; mov.u32 %t, %tid.x; ld.param.u64 %w, [x];
        mad.wide.u32 %w, %t, 4, %w; ld.global.b32 %r, [%w]; movmatrix.sync.aligned.m8n8.trans.b16 %r, %r; st.global.b32 [%w], %r; ret; }"""
    x = np.arange(64, dtype=np.uint16).reshape(8, 8)
    want = x.T.copy()
    ptx(text).run("k", 1, 32, x)
    np.testing.assert_array_equal(x, want)


WMMA = """
#include <mma.h>
using namespace nvcuda;
template <class T, class Stored, class Sum, int M, int N, int K, class LA, class LB, wmma::layout_t L>
__device__ void product(const Stored *a, const Stored *b, const Sum *c, Sum *d, int la, int lb, int lc) {
    wmma::fragment<wmma::matrix_a, M, N, K, T, LA> x; wmma::fragment<wmma::matrix_b, M, N, K, T, LB> y;
    wmma::fragment<wmma::accumulator, M, N, K, Sum> z;
    wmma::load_matrix_sync(x, a, la); wmma::load_matrix_sync(y, b, lb); wmma::load_matrix_sync(z, c, lc, L);
    for (int i = 0; i < z.num_elements; i++) z.x[i] = z.x[i] * Sum(2);
    wmma::mma_sync(z, x, y, z);
    wmma::store_matrix_sync(d, z, lc, L);
}
"""
KINDS: dict[str, tuple] = {
    "half": ("half", np.float16, {"float": np.float32, "half": np.float16}),
    "signed char": ("signed char", np.int8, {"int": np.int32}),
    "unsigned char": ("unsigned char", np.uint8, {"int": np.int32}),
    "__nv_bfloat16": ("__nv_bfloat16", None, {"float": np.float32}),
    "wmma::precision::tf32": ("float", np.float32, {"float": np.float32}),
    "double": ("double", np.float64, {"double": np.float64}),
}
WIDE = [(16, 16, 16), (32, 8, 16), (8, 32, 16)]
CASES = [(kind, sum_, shape) for kind in list(KINDS)[:4] for sum_ in KINDS[kind][2] for shape in WIDE]
CASES += [("wmma::precision::tf32", "float", (16, 16, 8)), ("double", "double", (8, 8, 4))]


@pytest.mark.parametrize("layouts", ["row row row", "col row col", "row col row", "col col col"])
@pytest.mark.parametrize(("kind", "sum_", "shape"), CASES)
def test_wmma_loads_multiplies_and_stores(cuda, kind, sum_, shape, layouts):
    m, n, k = shape
    stored, dtype, sums = KINDS[kind]
    names = layouts.split()
    template = f"{kind}, {stored}, {sum_}, {m}, {n}, {k}, wmma::{names[0]}_major, wmma::{names[1]}_major, wmma::mem_{names[2]}_major"
    source = (
        WMMA
        + f"""extern "C" __global__ void k(const {stored} *a, const {stored} *b, const {sum_} *c, {sum_} *d, int la, int lb, int lc) {{
        product<{template}>(a, b, c, d, la, lb, lc); }}"""
    )
    rng = np.random.default_rng(k)
    low = 0 if kind == "unsigned char" else -4
    a, b, c = rng.integers(low, 5, (m, k)), rng.integers(low, 5, (k, n)), rng.integers(low, 5, (m, n))

    def padded(matrix, by, kind_of):
        own = matrix if by == "row" else matrix.T
        wide = np.zeros((own.shape[0], own.shape[1] + 16), np.int64)
        wide[:, : own.shape[1]] = own
        return encode(wide, "bf16") if kind_of is None else wide.astype(kind_of)

    arrays = [padded(a, names[0], dtype), padded(b, names[1], dtype), padded(c, names[2], sums[sum_])]
    d = np.zeros_like(arrays[2])
    cuda(source, "--std=c++17", arch="compute_80").run("k", 1, 32, *arrays, d, *(one.shape[1] for one in arrays))
    np.testing.assert_array_equal(d, padded(a @ b + 2 * c, names[2], sums[sum_]))


def packed_words(matrix, bits):
    """Rows of small elements as words, the first element lowest."""
    fields = (matrix & (1 << bits) - 1).reshape(len(matrix), -1, 32 // bits).astype(np.uint64)
    return (fields << (np.arange(32 // bits, dtype=np.uint64) * np.uint64(bits))).sum(2).astype(np.uint32)


SMALL = {"s4": (4, -8, 8), "u4": (4, 0, 16), "b1": (1, 0, 2)}


def small_product(a, b, operation):
    return (a[:, None] ^ b.T[None]).sum(2) if operation == "xor" else a @ b


@pytest.mark.parametrize(("shape", "type_name", "operation"), [
    *((shape, name, "") for shape in ("m8n8k32", "m16n8k32", "m16n8k64") for name in ("s4", "u4")),
    *((shape, "b1", operation) for shape in ("m8n8k128", "m16n8k128", "m16n8k256") for operation in ("xor", "and")),
])  # fmt: skip
def test_mma_of_elements_smaller_than_a_byte(ptx, shape, type_name, operation):
    """A register holds 8 (or 32) elements in a row: of row g (and g + 8) of A, of column g of B."""
    m, n, k = (int(one) for one in shape[1:].replace("n", " ").replace("k", " ").split())
    bits, low, high = SMALL[type_name]
    rng = np.random.default_rng(k)
    left, right, start = rng.integers(low, high, (m, k)), rng.integers(low, high, (k, n)), rng.integers(-99, 99, (m, n))
    rows, columns = packed_words(left, bits), packed_words(right.T, bits)
    step = 4  # words of a row that the four lanes of a group hold together
    halves = range(0, k * bits // 32, step)
    a = [[rows[g + top, half + t] for half in halves for top in range(0, m, 8)] for g in range(8) for t in range(4)]
    b = [[columns[g, half + t] for half in halves] for g in range(8) for t in range(4)]
    fragments = [np.array(a, np.uint32), np.array(b, np.uint32), deal(start.astype(np.int32), place_c, m * n // 32)]
    result = np.zeros_like(fragments[2])
    text = mma_text(shape, "s32", type_name, type_name, "s32", [one.shape[1] for one in fragments])
    if operation:
        text = text.replace(f".{type_name}.s32 ", f".{type_name}.s32.{operation}.popc ")
    ptx(text).run("k", 1, 32, *fragments, result)
    want = (small_product(left, right, operation) + start).astype(np.int32)
    np.testing.assert_array_equal(result, deal(want, place_c, m * n // 32))


SMALL_WMMA = """
#include <mma.h>
using namespace nvcuda;
template <class T, int K, class Stored, class Multiply>
__device__ void product(const Stored *a, const Stored *b, const int *c, int *d, int stride, Multiply multiply) {
    wmma::fragment<wmma::matrix_a, 8, 8, K, T, wmma::row_major> x; wmma::fragment<wmma::matrix_b, 8, 8, K, T, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 8, 8, K, int> z;
    wmma::load_matrix_sync(x, a, stride); wmma::load_matrix_sync(y, b, stride); wmma::load_matrix_sync(z, c, 8, wmma::mem_row_major);
    multiply(z, x, y);
    wmma::store_matrix_sync(d, z, 8, wmma::mem_row_major);
}
using namespace wmma::experimental;
#define SIMPLE [](auto &z, auto &x, auto &y) { wmma::mma_sync(z, x, y, z); }
extern "C" __global__ void s4(const int *a, const int *b, const int *c, int *d, int s) { product<precision::s4, 32>(a, b, c, d, s, SIMPLE); }
extern "C" __global__ void u4(const unsigned *a, const unsigned *b, const int *c, int *d, int s) { product<precision::u4, 32>(a, b, c, d, s, SIMPLE); }
extern "C" __global__ void b1xor(const unsigned *a, const unsigned *b, const int *c, int *d, int s) {
    product<precision::b1, 128>(a, b, c, d, s, [](auto &z, auto &x, auto &y) { wmma::bmma_sync(z, x, y, z, bmmaBitOpXOR); }); }
extern "C" __global__ void b1and(const unsigned *a, const unsigned *b, const int *c, int *d, int s) {
    product<precision::b1, 128>(a, b, c, d, s, [](auto &z, auto &x, auto &y) { wmma::bmma_sync(z, x, y, z, bmmaBitOpAND); }); }
"""


@pytest.mark.parametrize("kernel", ["s4", "u4", "b1xor", "b1and"])
def test_wmma_of_elements_smaller_than_a_byte(cuda, kernel):
    type_name, operation = kernel[:2], kernel[2:]
    bits, low, high = SMALL[type_name]
    k = 128 // bits if bits == 4 else 128
    rng = np.random.default_rng(bits)
    left, right, start = rng.integers(low, high, (8, k)), rng.integers(low, high, (k, 8)), rng.integers(-99, 99, (8, 8))
    rows, columns = (np.zeros((8, 8), np.uint32) for _ in "ab")
    rows[:, :4], columns[:, :4] = packed_words(left, bits), packed_words(right.T, bits)
    d = np.zeros((8, 8), np.int32)
    cuda(SMALL_WMMA, "--std=c++17", arch="compute_80").run(
        kernel, 1, 32, rows, columns, start.astype(np.int32), d, 2 * k
    )
    np.testing.assert_array_equal(d, small_product(left, right, operation) + start)
