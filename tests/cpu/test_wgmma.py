"""Products of warpgroups against NumPy, with matrices laid out by the canonical layouts of the PTX ISA (9.7.15.5.1.2.1.3)."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.lanes.warpgroup import Descriptor, chunk_addresses
from jitload.errors import CpuFault
from tests.cpu.families import decide
from tests.cpu.isa.layouts import canonical, descriptor, strides, swizzled
from tests.cpu.test_matrix import encode

BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "s8": 8, "u8": 8, "b1": 1}


def place_matrix(memory, start, matrix, type_name, major, width, leading, stride):
    """Write the elements (row, k) where the descriptor looks for them."""
    bits = BITS[type_name]
    if bits == 1:
        matrix, bits = np.packbits(matrix.astype(np.uint8), axis=1, bitorder="little"), 8
    raw = (matrix if matrix.dtype == np.uint8 else encode(matrix, type_name)).view(f"u{bits // 8}")
    for (row, k), element in np.ndenumerate(raw):
        at = swizzled(start + canonical(row, k, major, width, leading, stride, bits), width)
        memory[at : at + bits // 8] = np.frombuffer(element.tobytes(), np.uint8)


KERNEL = """.visible .entry k(.param .u64 memory, .param .u64 a, .param .u64 d, .param .u64 da, .param .u64 db, .param .u32 add) {{
.reg .b64 %m, %a, %d, %da, %db; .reg .b32 %t, %i, %x<5>, %c<130>; .reg .pred %p; .shared .align 1024 .b8 box[32768];
ld.param.u64 %m, [memory]; ld.param.u64 %a, [a]; ld.param.u64 %d, [d]; ld.param.u64 %da, [da]; ld.param.u64 %db, [db];
mov.u32 %t, %tid.x; and.b32 %i, %t, 127; mul.lo.u32 %i, %i, 4; cvt.u64.u32 %x0w, %i; add.u64 %m, %m, %x0w; mov.u32 %x0, box; add.u32 %i, %i, %x0;
mov.u32 %x1, 0;
COPY: ld.global.b32 %x2, [%m]; st.shared.b32 [%i], %x2; add.u64 %m, %m, 512; add.u32 %i, %i, 512; add.u32 %x1, %x1, 1; setp.lt.u32 %p, %x1, 64; @%p bra COPY;
bar.sync 0; mov.u32 %x0, %ctaid.x; mov.u32 %x1, %ntid.x; mad.lo.u32 %t, %x0, %x1, %t; mul.wide.u32 %x0w, %t, 16; add.u64 %a, %a, %x0w; ld.global.v4.b32 {{%x0, %x1, %x2, %x3}}, [%a];
mul.wide.u32 %x0w, %t, {stride}; add.u64 %d, %d, %x0w; {load}
ld.param.u32 %i, [add]; setp.ne.u32 %p, %i, 0; fence.proxy.async; wgmma.fence.sync.aligned;
{product}
wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; {store} ret; }}""".replace(
    ".reg .b64 %m,", ".reg .b64 %x0w, %m,"
)


def kernel_for(ptx, name, count, registers_a, literals):
    load = " ".join(f"ld.global.b32 %c{k}, [%d+{4 * k}];" for k in range(count))
    store = " ".join(f"st.global.b32 [%d+{4 * k}], %c{k};" for k in range(count))
    sums = ", ".join(f"%c{k}" for k in range(count))
    first = "{%x0, %x1, %x2, %x3}" if registers_a else "%da"
    product = f"wgmma.mma_async.sync.aligned.{name} {{{sums}}}, {first}, %db, %p{literals};"
    return ptx(KERNEL.format(stride=4 * count, load=load, store=store, product=product))


def fragment(matrix, d):
    """The sums that each thread holds (PTX ISA, figure of the accumulator): d[i] at row and column by lane."""
    thread, i = np.arange(128)[:, None], np.arange(matrix.shape[1] // 2)[None, :]
    rows = thread // 32 * 16 + thread % 32 // 4 + np.where(i % 4 >= 2, 8, 0)
    columns = i // 4 * 8 + thread % 4 * 2 + i % 2
    return np.ascontiguousarray(matrix[rows, columns]).astype(
        {"f16": np.float16, "f32": np.float32, "s32": np.int32}[d]
    )


def fragment_a(matrix, bits):
    """A in registers: m64k16 of 16 bits, and what goes with its width."""
    per, thread, i = 32 // bits, np.arange(128)[:, None], np.arange(4 * (32 // bits))[None, :]
    register, element = i // per, i % per
    rows = thread // 32 * 16 + thread % 32 // 4 + register % 2 * 8
    return np.ascontiguousarray(matrix[rows, register // 2 * 4 * per + thread % 4 * per + element])


CASES = [
    # d, a, b, n, layouts of A (None: registers) and B as (major, width), sign, turned literals
    ("f32", "f16", "f16", 8, ("k", 128), ("k", 128)), ("f32", "bf16", "bf16", 128, ("k", 128), ("k", 128)),
    ("f16", "f16", "f16", 64, ("k", 64), ("k", 32)), ("f32", "f16", "f16", 96, ("k", 0), ("k", 0)),
    ("f32", "f16", "f16", 256, None, ("mn", 128)), ("f32", "bf16", "bf16", 64, ("mn", 128), ("mn", 64)),
    ("f32", "f16", "f16", 32, ("mn", 32), ("mn", 0)), ("f32", "bf16", "bf16", 16, ("mn", 0), ("mn", 32)),
    ("f32", "f16", "f16", 40, ("mn", 64), ("k", 64)), ("f32", "tf32", "tf32", 24, ("k", 128), ("k", 64)),
    ("f32", "tf32", "tf32", 8, None, ("k", 0)), ("f32", "e4m3", "e5m2", 16, ("k", 128), ("k", 128)),
    ("f16", "e5m2", "e4m3", 32, None, ("k", 32)), ("s32", "s8", "u8", 48, ("k", 128), ("k", 64)),
    ("s32", "u8", "s8", 8, None, ("k", 128)), ("s32", "b1", "b1", 16, ("k", 128), ("k", 0)),
]  # fmt: skip


@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(part) for part in case))
def test_product(ptx, case, add):
    d, a, b, n, layout_a, layout_b = case
    k = 256 // BITS[a]
    chance = np.random.default_rng(n)
    low, high = (0, 2) if a == "b1" else (0 if a == "u8" else -3, 4)
    left, right = chance.integers(low, high, (64, k)), chance.integers(0 if b in {"u8", "b1"} else -3, high, (n, k))
    memory = np.zeros(32768, np.uint8)
    words = []
    for matrix, type_name, layout, start in ((left, a, layout_a, 0), (right, b, layout_b, 16384)):
        if layout is not None:
            leading, stride = strides(*layout, len(matrix))
            place_matrix(memory, start, matrix, type_name, *layout, leading, stride)
            words.append(descriptor(start, leading, stride, layout[1]))
        else:
            words.append(0)
    in_registers = np.zeros((128, 4), np.uint32)
    if layout_a is None:
        in_registers = fragment_a(encode(left, a), BITS[a]).view(np.uint32)
    before = fragment(chance.integers(-5, 5, (64, n)), d)
    sums = before.copy()
    signs = "" if d == "s32" else ", -1, 1" if n % 16 else ", 1, 1"
    turned = [layout is not None and layout[0] == "mn" for layout in (layout_a, layout_b)]
    turns = "".join(f", {int(one)}" for one in (turned if layout_a else turned[1:])) if a in {"f16", "bf16"} else ""
    name = f"m64n{n}k{k}.{d}.{a}.{b}{'.and.popc' if a == 'b1' else ''}"
    device = kernel_for(ptx, name, sums.nbytes // 512, layout_a is None, signs + turns)
    device.run("k", 1, 128, memory, in_registers, sums, *words, add)
    product = left @ right.T
    expected = fragment(-product if "-1" in signs else product, d) + add * before
    np.testing.assert_array_equal(sums, expected)


def exact(shape, strides_, count):
    """A CuTe layout ((..),(..)):((..),(..)), coordinates run through from the left."""
    place, rest = 0, count
    for extent, stride in zip(shape, strides_, strict=True):
        place, rest = place + rest % extent * stride, rest // extent
    return place


@pytest.mark.parametrize(("width", "leading", "stride", "size", "turned", "rows", "columns"), [
    # The examples of the PTX ISA: strides as encoded there, and the exact layout in elements.
    (16, 256, 128, 4, False, ((8, 2), (4, 32)), ((4, 4), (1, 64))),
    (32, 16, 256, 4, False, ((8, 2), (8, 64)), ((4, 4), (1, 4))),
    (16, 256, 128, 2, True, ((8, 1, 2), (1, 8, 64)), ((8, 2), (8, 128))),
    (32, 256, 512, 2, True, ((8, 2, 2), (1, 8, 128)), ((8, 2), (16, 256))),
    (64, 512, 1024, 2, True, ((8, 4, 2), (1, 8, 256)), ((8, 2), (32, 512))),
])  # fmt: skip
def test_examples_of_the_isa(width, leading, stride, size, turned, rows, columns):
    extent = int(np.prod(rows[0]))
    found = chunk_addresses(Descriptor(0, leading, stride, 0, width), extent, turned)
    for row in range(0, extent, 8 if turned else 1):
        for k in range(16) if turned else (0, 4):
            place = swizzled((exact(*rows, row) + exact(*columns, k)) * size, width if width > 16 else 0)
            assert found[(k, row // 8) if turned else (row, k // 4)] == place


def test_a_base_offset_shifts_the_pattern():
    """A pattern that begins 384 bytes after a boundary of 1024: its first row is the one that is not permuted."""
    start = 1024 + 384
    plain = chunk_addresses(Descriptor(1024, 16, 1024, 0, 128), 8, turned=False) - 1024
    shifted = chunk_addresses(Descriptor(start, 16, 1024, 3, 128), 8, turned=False) - start
    np.testing.assert_array_equal(plain, shifted)


def test_a_part_of_k_starts_within_the_pattern(ptx):
    """As kernels go along k: 32 bytes further in the start address."""
    left = np.arange(64 * 64).reshape(64, 64) % 7 - 3
    right = np.arange(8 * 64).reshape(8, 64) % 5 - 2
    memory = np.zeros(32768, np.uint8)
    place_matrix(memory, 0, left, "f16", "k", 128, 16, 1024)
    place_matrix(memory, 16384, right, "f16", "k", 128, 16, 1024)
    device = kernel_for(ptx, "m64n8k16.f32.f16.f16", 4, False, ", 1, 1, 0, 0")
    sums = np.zeros((128, 4), np.float32)
    for part in range(4):
        words = [descriptor(start + 32 * part, 16, 1024, 128) for start in (0, 16384)]
        device.run("k", 1, 128, memory, np.zeros((128, 4), np.uint32), sums, *words, int(part > 0))
    np.testing.assert_array_equal(sums, fragment(left @ right.T, "f32"))


def test_saturation_and_several_warpgroups(ptx):
    """Sums of integers wrap, or saturate; two groups of two blocks have their own."""
    memory = np.full(32768, 0x7F, np.uint8)
    words = [descriptor(start, 16, 1024, 128) for start in (0, 16384)]
    for middle, expected in ((".satfinite", 2**31 - 1), ("", 2**31 - 1 + 32 * 127 * 127 - 2**32)):
        name = f"m64n8k32{middle}.s32.s8.s8"
        sums = np.full((512, 4), 2**31 - 1, np.int32)
        kernel_for(ptx, name, 4, False, "").run("k", 2, 256, memory, np.zeros((512, 4), np.uint32), sums, *words, 1)
        assert (sums == expected).all()


@pytest.mark.parametrize(("threads", "change", "text"), [
    (96, {}, "without all 128 threads"),
    (128, {"%db, %p": "%db, %q", "wgmma.fence": "setp.eq.u32 %q, %t, 5; wgmma.fence"}, "do not agree on the predicate scale-d"),
    (128, {"wgmma.fence": "cvt.u64.u32 %x0w, %t; add.u64 %db, %db, %x0w; wgmma.fence"}, "do not agree on the descriptor of B"),
    (128, {"wgmma.fence": "setp.lt.u32 %q, %t, 32; @%q bra END; wgmma.fence", "ret;": "END: bar.sync 1; ret;"}, "barrier divergence|deadlock"),
    (128, {"wgmma.fence": "setp.lt.u32 %q, %t, 32; @%q bra END; wgmma.fence", "ret;": "END: ret;"}, "without all 128 threads"),
    (128, {"wgmma.mma_async": "setp.lt.u32 %q, %t, 32; @%q bra OTHER; wgmma.mma_async", "wgmma.commit_group.sync.aligned;": "bra JOIN; OTHER: {same} JOIN: wgmma.commit_group.sync.aligned;"}, "warps of a warpgroup come to different instructions"),
    (128, {"wgmma.fence": "add.u64 %db, %db, 2000; wgmma.fence"}, "out of bounds: access of 16 bytes at shared address 0x"),
])  # fmt: skip
def test_what_is_undefined_is_a_fault(ptx, threads, change, text):
    text_of = kernel_for(ptx, "m64n8k16.f32.f16.f16", 4, False, ", 1, 1, 0, 0").ptx.decode()
    same = "wgmma.mma_async" + text_of.partition("wgmma.mma_async")[2].partition(";")[0] + ";"
    for old, new in {".reg .pred %p": ".reg .pred %q, %p", **change}.items():
        assert old in text_of
        text_of = text_of.replace(old, new.replace("{same}", same))
    words = [descriptor(start, 16, 1024, 128) for start in (0, 16384)]
    arrays = np.zeros(32768, np.uint8), np.zeros((128, 4), np.uint32), np.zeros((128, 4), np.float32)
    with pytest.raises(CpuFault, match=text):
        ptx(text_of.partition("64\n")[2]).run("k", 1, threads, *arrays, *words, 0)


SUMS = "{%f1, %f2, %f3, %f4}"


@pytest.mark.parametrize(("line", "why"), [
    (f"wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {SUMS}, %d1, %d2, %p1, 1, 2, 0, 0", "1 or -1 for the sign"),
    (f"wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32 {SUMS}, %d1, %d2, %p1, 1, 1, 0, 0", "8 operands"),
    (f"wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {SUMS}, %d1, %d2, %p1, 1, 1, 0, 0", "4 registers where 8 hold"),
    (f"wgmma.mma_async.sync.aligned.m64n40k32.s32.s8.s8 {SUMS}, %d1, %d2, %p1", "legal is wgmma"),
    (f"wgmma.mma_async.sync.aligned.m64n8k16.f16.bf16.bf16 {SUMS}, %d1, %d2, %p1, 1, 1, 0, 0", "legal is wgmma"),
    (f"wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {SUMS}, {{%r1, %r2}}, %d2, %p1, 1, 1, 0", "2 registers where 4"),
    (f"wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {SUMS}, %d1, %d2, %r1, 0, %p1, 1, 1, 0, 0", "sparse matrices"),
])  # fmt: skip
def test_refusals(line, why):
    assert why in decide(line)
