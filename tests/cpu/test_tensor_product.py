"""What descriptors of products in tensor memory may say, and what lines are refused with what is legal."""

from __future__ import annotations

import pytest

from jitload.cpu.lanes.tensor_product import read_product
from tests.cpu.families import decide

N, M = 17, 24
F16 = 1 << 4 | 64 >> 3 << N | 128 >> 4 << M
MX = 1 << 23 | 64 >> 3 << N | 128 >> 7 << 27


def test_a_descriptor_is_read_field_by_field():
    word = 1 << 4 | 1 << 7 | 1 << 10 | 1 << 13 | 1 << 15 | 40 >> 3 << N | 64 >> 4 << M
    found = read_product("kind::f16", word, 0)
    assert (found.m, found.n, found.d, found.a, found.b) == (64, 40, "f32", "bf16", "bf16")
    assert (found.negated, found.turned_a, found.turned_b, found.scales) == (True, True, False, 0)
    found = read_product("kind::mxf8f6f4", MX | 3 << 7 | 5 << 10 | 2 << 4 | 3 << 29, 1)
    assert (found.m, found.a, found.b, found.d) == (128, "e2m3", "e2m1 in bytes", "f32")
    assert (found.scale, found.byte_a, found.byte_b) == ("ue8m0", 3, 2)


@pytest.mark.parametrize(("kind", "word", "scales", "why"), [
    ("kind::f16", F16 | 1 << 6, 0, "reserved bits"),
    ("kind::f16", F16 | 1 << 2, 0, "sparse A"),
    ("kind::f16", F16 | 2 << 7, 0, "types 2 of A, 0 of B, 1 of D: legal for .kind::f16 are of A and B 0 (f16), 1 (bf16); of D 0 (f16), 1 (f32)"),
    ("kind::tf32", F16, 0, "2 (tf32); of D 1 (f32)"),
    ("kind::f16", F16 + (8 >> 3 << N), 0, "128 rows and 72 columns: legal for .kind::f16 are 64 rows and 8 to 256"),
    ("kind::f16", F16 + (16 >> 4 << M), 0, "144 rows and 64 columns"),
    ("kind::f16", F16 | 1 << 3, 0, "saturation"),
    ("kind::i8", 2 << 4 | 40 >> 3 << N | 64 >> 4 << M, 0, "64 rows and 40 columns: legal for .kind::i8 are"),
    ("kind::i8", 2 << 4 | 64 >> 3 << N | 64 >> 4 << M | 1 << 14, 0, "negated"),
    ("kind::f8f6f4", F16 | 4 << 7 | 1 << 15, 0, "e3m2 is transposed"),
    ("kind::f8f6f4", (F16 & ~(63 << N)) - (64 >> 4 << M) | 40 >> 3 << N | 1 << 16, 0, "B of 8 bits is transposed and has 40 columns"),
    ("kind::mxf4", MX | 1 << 7 | 1 << 10 | 1 << 15, 2, "e2m1 is transposed"),
    ("kind::mxf4", MX | 1 << 7 | 1 << 10 | 1 << 31, 2, "K of 96"),
    ("kind::mxf4", (MX | 1 << 7 | 1 << 10) & ~(1 << 23), 2, "scales of type ue4m3: legal are ue8m0"),
    ("kind::mxf4nvf4", MX | 1 << 7 | 1 << 10 | 1 << 29, 4, "scale factor id 1 of A: legal is 0"),
    ("kind::mxf8f6f4", (MX & ~(3 << 27)) | 2 << 27, 1, "256 rows and 64 columns: legal for .kind::mxf8f6f4 are 128 rows"),
])  # fmt: skip
def test_a_descriptor_that_says_nothing(kind, word, scales, why):
    found = read_product(kind, word, scales)
    assert isinstance(found, str)
    assert why in found


@pytest.mark.parametrize(("line", "why"), [
    ("tcgen05.mma.cta_group::1.kind::f16 [%r1], %d1, %d2, %r2, %p1, 16", "scale-input-d: legal is a literal from 0 to 15"),
    ("tcgen05.mma.cta_group::1.kind::f8f6f4 [%r1], %d1, %d2, %r2, %p1, 1", "legal is tcgen05.mma"),
    ("tcgen05.mma.cta_group::1.kind::f16 [%r1], %d1, %d2, %r2, {%r3, %r4}, %p1", "4 registers of 32 bits in braces"),
    ("tcgen05.mma.cta_group::1.kind::f16 [%r1], %d1, %d2, %r2, {0, 0, 0, 0}, %p1", "4 registers of 32 bits in braces"),
    ("tcgen05.mma.cta_group::1.kind::mxf8f6f4 [%r1], %d1, %d2, %r2, [%r3], [%r4], %p1", "legal is tcgen05.mma"),
    ("tcgen05.mma.cta_group::1.kind::mxf4nvf4.block_scale [%r1], %d1, %d2, %r2, [%r3], [%r4], %p1", "legal is tcgen05.mma"),
    ("tcgen05.mma.ws.cta_group::1.kind::f16 [%r1], %d1, %d2, %r2, %p1", "tcgen05.mma.ws is not supported"),
    ("tcgen05.mma.sp.cta_group::1.kind::f16 [%r1], %d1, %d2, [%r3], %r2, %p1", "products of sparse matrices"),
    ("tcgen05.mma.cta_group::2.kind::f16 [%r1], %d1, %d2, %r2, %p1", "pair of thread blocks"),
    ("tcgen05.cp.cta_group::1.64x128b [%r1], %d1", "legal is tcgen05.cp"),
    ("tcgen05.cp.cta_group::1.4x256b [%r1], %d1", "tcgen05.cp.4x256b is not supported"),
    ("tcgen05.cp.cta_group::1.128x128b.b8x16 [%r1], %d1", "legal is tcgen05.cp"),
])  # fmt: skip
def test_refusals(line, why):
    assert why in decide(line)
