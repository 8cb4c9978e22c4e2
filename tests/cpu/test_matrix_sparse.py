"""`mma.sp` against NumPy, with metadata laid out as the PTX ISA draws them, and a sparse GEMM in CUDA C++."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault
from tests.cpu.families import decide
from tests.cpu.fragments import columns_of_b, deal, multiply, numbers_of, pack, rows_of_a, sums

PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
BITS = {"f16": 16, "bf16": 16, "tf32": 32, "s4": 4, "u4": 4}
#: Name and bits of elements -> lane and first bit of the metadata of a row's chunk, for a selector (PTX ISA figures 119
#: to 141): one thread of four, two of them with half of two rows each or with one row each, or all four.
ONE = lambda row, chunk, f: (row % 8 * 4 + f, 16 * (row // 8) + 4 * chunk)  # noqa: E731
HALVES = lambda row, chunk, f: (row % 8 * 4 + 2 * f + chunk // 4, 16 * (row // 8) + 4 * (chunk % 4))  # noqa: E731
ROWS = lambda row, chunk, f: (row % 8 * 4 + 2 * f + row // 8, 4 * chunk)  # noqa: E731
ALL = lambda row, chunk, f: (row % 8 * 4 + row // 8 + 2 * (chunk // 8), 4 * (chunk % 8))  # noqa: E731
FORMS = [
    ("m16n8k16", "", "f32", "f16", "f16", ONE, range(4)), ("m16n8k32", "", "f32", "f16", "f16", HALVES, range(2)),
    ("m16n8k16", "", "f16", "f16", "f16", ONE, (1,)), ("m16n8k32", "", "f16", "f16", "f16", HALVES, (1,)),
    ("m16n8k16", "", "f32", "bf16", "bf16", ONE, (2,)), ("m16n8k32", "", "f32", "bf16", "bf16", HALVES, (1,)),
    ("m16n8k8", "", "f32", "tf32", "tf32", ONE, range(4)), ("m16n8k16", "", "f32", "tf32", "tf32", HALVES, range(2)),
    ("m16n8k32", "", "s32", "s8", "u8", ROWS, range(2)), ("m16n8k64", "", "s32", "u8", "s8", ALL, (0,)),
    ("m16n8k64", "", "s32", "s4", "u4", ROWS, range(2)), ("m16n8k128", "", "s32", "u4", "s4", ALL, (0,)),
    ("m16n8k64", "", "f32", "e4m3", "e5m2", ALL, (0,)), ("m16n8k64", "", "f16", "e4m3", "e4m3", ALL, (0,)),
    ("m16n8k64", ".kind::f8f6f4", "f32", "e3m2", "e2m1", ALL, (0,)), ("m16n8k64", ".kind::f8f6f4", "f32", "e2m1", "e2m3", ALL, (0,)),
]  # fmt: skip


def parts_of(name):
    """(elements that are kept together, elements of a chunk)."""
    return {"tf32": (1, 2), "s4": (2, 8), "u4": (2, 8)}.get(name, (1, 4))


def keep_some(shape, name, rng, ordered):
    """(columns that are kept, metadata of each chunk) of a matrix of that shape."""
    rows, k = shape
    together, chunk = parts_of(name)
    kept, metadata = [], []
    for _ in range(rows):
        columns, numbers = [], []
        for start in range(0, k, chunk):
            if name == "tf32":
                one = int(rng.integers(2))
                columns.append(start + one)
                numbers.append((0b0100, 0b1110)[one])
                continue
            first, second = PAIRS[rng.integers(6)][:: 1 if ordered or rng.integers(2) else -1]
            columns += [start + part * together + i for part in (first, second) for i in range(together)]
            numbers.append(first | second << 2)
        kept.append(columns)
        metadata.append(numbers)
    return np.array(kept), metadata


def code_width(name, kind):
    return BITS.get(name, 8 if kind or name != "e2m1" else 4)


def in_container(codes, name, kind):
    """Codes of 4 bits stand in the middle of a byte."""
    return codes << 2 if name == "e2m1" and kind else codes


def run_form(ptx, which, form, selector, rng):
    """(what the instruction gives, what NumPy does)."""
    shape, kind, d, a, b, place, _ = form
    k = int(shape.partition("k")[2])
    kept, metadata = keep_some((16, k), a, rng, which != "sp")
    values, codes = numbers_of(a, kept.shape, rng)
    dense = np.zeros((16, k))
    np.put_along_axis(dense, kept, values, 1)
    right, right_codes = numbers_of(b, (k, 8), rng)
    start = rng.integers(-9, 10, (16, 8))
    words = rng.integers(0, 2**32, (32, 1)).astype(np.uint32)  # the others count for nothing
    for row, numbers in enumerate(metadata):
        for chunk, number in enumerate(numbers):
            lane, bit = place(row, chunk, selector)
            words[lane] = words[lane] & ~np.uint32(15 << bit) | np.uint32(number << bit)
    storage = {"f16": np.float16, "f32": np.float32, "s32": np.int32}[d]
    parts = {
        "a": pack(deal(in_container(codes, a, kind), rows_of_a(k // 2, code_width(a, kind))), code_width(a, kind)),
        "b": pack(deal(in_container(right_codes, b, kind), columns_of_b(k, code_width(b, kind))), code_width(b, kind)),
        "c": deal(start.astype(storage), sums).view(np.uint32), "e": words,
    }  # fmt: skip
    name = f"{which}.sync.aligned.{shape}.row.col{kind}.{d}.{a}.{b}.{d}"
    got = multiply(ptx, name, parts, 2 if d == "f16" else 4, f", %e0, {selector}")
    return got, deal((dense @ right + start).astype(storage), sums).view(np.uint32)


@pytest.mark.parametrize("which", ["sp", "sp::ordered_metadata"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: ".".join(form[:1] + form[2:5]))
def test_what_is_stored_is_multiplied_where_the_metadata_say(ptx, form, which):
    if which == "sp" and (form[1] or (form[2] == "f16" and form[3] == "e4m3")):
        assert decide(f"mma.sp.sync.aligned.{form[0]}.row.col{form[1]}.{form[2]}.{form[3]}.{form[4]}.{form[2]} {{%r1}}")
        return  # ordered metadata alone have it
    rng = np.random.default_rng(len(form[0]) + len(which))
    for selector in form[6]:
        got, want = run_form(ptx, which, form, selector, rng)
        np.testing.assert_array_equal(got, want)


def words_of(shape="m16n8k16", count=2, metadata=0x44444444):
    return {
        "a": np.full((32, count), 0x3C003C00, np.uint32), "b": np.full((32, count), 0x3C003C00, np.uint32),
        "c": np.zeros((32, 4), np.uint32), "e": np.full((32, 1), metadata, np.uint32),
    }  # fmt: skip


def test_what_is_left_out_multiplies_no_infinity(ptx):
    """1 times B's rows 0 and 1 of each four, and rows 2 and 3 hold infinity and NaN."""
    words = words_of()
    words["b"][:] = np.where(np.arange(32) % 2, 0x7C007E00, 0x3C003C00)[:, None]
    got = multiply(ptx, "sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", words, 4, ", %e0, 0")
    assert (got.view(np.float32) == 8).all()


@pytest.mark.parametrize(
    ("which", "types", "metadata", "message"),
    [
        ("sp", "f16", 0x44454444, "sparsity metadata 0b0101 of row 8, chunk 0: legal are two different numbers"),
        ("sp::ordered_metadata", "f16", 0x44444144, "0b0001 of row 0, chunk 2: legal are two numbers of 2 bits, the lower one first"),
        ("sp", "tf32", 0x44448444, "0b1000 of row 0, chunk 3: legal are 0b0100 and 0b1110"),
    ],
)  # fmt: skip
def test_metadata_that_mean_nothing_are_a_fault(ptx, which, types, metadata, message):
    shape = "m16n8k16" if types == "f16" else "m16n8k8"
    name = f"{which}.sync.aligned.{shape}.row.col.f32.{types}.{types}.f32"
    with pytest.raises(CpuFault, match=message.replace("(", r"\(")):
        multiply(ptx, name, words_of(metadata=metadata), 4, ", %e0, 0")


SOURCE = r"""
#include <cuda_fp16.h>
// Keeps the two largest of each four of a row, in their order; a word of metadata has 16 columns.
extern "C" __global__ void prune(const half *a, half *kept, unsigned short *metadata, int m, int k) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= m * k / 16) return;
    unsigned word = 0;
    for (int chunk = 0; chunk < 4; ++chunk) {
        const half *four = a + i * 16 + chunk * 4;
        int first = 0, second = 1;
        float best = -1;
        for (int p = 0; p < 3; ++p)
            for (int q = p + 1; q < 4; ++q) {
                float size = fabsf(__half2float(four[p])) + fabsf(__half2float(four[q]));
                if (size > best) best = size, first = p, second = q;
            }
        kept[i * 8 + chunk * 2] = four[first];
        kept[i * 8 + chunk * 2 + 1] = four[second];
        word |= (first | second << 2) << (4 * chunk);
    }
    metadata[i] = word;
}
// A warp per 16 x 8 of C; B is stored by columns. Two steps along k take their metadata from different pairs of threads.
extern "C" __global__ void multiply(const half *kept, const unsigned short *metadata, const half *b, float *c, int n, int k) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, row = blockIdx.y * 16 + g, column = blockIdx.x * 8 + g;
    float d[4] = {};
    for (int k0 = 0; k0 < k; k0 += 64) {
        unsigned words = 0;
        int part = k0 / 16 + t;  // threads 0 and 1 of a group hold the first 32 columns, 2 and 3 the others
        words = metadata[row * (k / 16) + part] | metadata[(row + 8) * (k / 16) + part] << 16;
        for (int step = 0; step < 2; ++step) {
            int at = k0 + 32 * step;
            const unsigned *upper = (const unsigned *)(kept + row * (k / 2) + at / 2);
            const unsigned *lower = (const unsigned *)(kept + (row + 8) * (k / 2) + at / 2);
            const unsigned *right = (const unsigned *)(b + column * k + at);
#define STEP(f) asm("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, " #f ";" \
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(upper[t]), "r"(lower[t]), "r"(upper[t + 4]), "r"(lower[t + 4]), \
              "r"(right[t]), "r"(right[t + 4]), "r"(right[t + 8]), "r"(right[t + 12]), "r"(words))
            if (step == 0) STEP(0x0); else STEP(0x1);
        }
    }
    float *out = c + row * n + blockIdx.x * 8 + 2 * t;
    out[0] = d[0], out[1] = d[1], out[8 * n] = d[2], out[8 * n + 1] = d[3];
}"""


def test_a_sparse_gemm(cuda, checked_too):
    m, n, k = 48, 24, 128
    rng = np.random.default_rng(8)
    a = (
        rng.permuted(np.tile(np.arange(1, 5), (m, k // 4, 1)), axis=2) * rng.choice([-1, 1], (m, k // 4, 4)) / 2
    ).reshape(m, k)
    b = rng.integers(-4, 5, (n, k)) / 4
    kept, metadata = np.zeros((m, k // 2), np.float16), np.zeros((m, k // 16), np.uint16)
    c = np.zeros((m, n), np.float32)
    device = cuda(SOURCE)
    device.run("prune", -(-m * k // 16 // 64), 64, a.astype(np.float16), kept, metadata, m, k)
    device.run("multiply", (n // 8, m // 16), 32, kept, metadata, b.astype(np.float16), c, n, k)
    pruned = np.where(np.abs(a) > 1, a, 0)
    assert ((pruned.reshape(m, -1, 4) != 0).sum(2) == 2).all()
    np.testing.assert_array_equal(c, pruned @ b.T)
