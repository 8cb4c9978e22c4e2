"""Copies of boxes of tensors (TMA) and reductions in bulk, against NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from jitload.cpu.memory.tensor_map import (
    ELEMENTS,
    TensorMap,
    decode_tensor_map,
    encode_tensor_map,
    misfit_of,
)
from jitload.errors import CpuFault
from tests.cpu.families import decide

pytestmark = pytest.mark.usefixtures("checked_too")

DTYPES = {"u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "s32": np.int32, "u64": np.uint64, "s64": np.int64, "f16": np.float16, "f32": np.float32, "f64": np.float64, "bf16": np.uint16}  # fmt: skip
NUMBER = {name: number for number, (name, _, _) in enumerate(ELEMENTS) if name}
AXES = "xyzwv"

KERNEL = """.visible .entry k(.param .align 64 .b8 map[128], .param .u64 out, {parameters}) {{
.reg .b64 %m, %o, %s; .reg .b32 %t, %i, %n, %c<6>; .reg .pred %p; .shared .align 1024 .b8 box[{room}]; .shared .align 8 .b64 bar;
mov.b64 %m, map; cvta.param.u64 %m, %m; ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; {coordinates}
setp.ne.u32 %p, %t, 0; @%p bra READY; mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster; READY: bar.sync 0;
{code} ret; }}"""
LOAD = """@%p bra WAIT; prefetch.tensormap [%m]; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {expected};
cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [box+{start}], [%m, {{{axes}}}], [bar];
WAIT: mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
mul.lo.u32 %i, %t, 16; mov.u32 %n, {nbytes};
COPY: setp.ge.u32 %p, %i, %n; @%p bra END; cvt.u64.u32 %s, %i; add.u64 %s, %s, %o; mov.u32 %t, box; add.u32 %t, %t, %i;
.reg .b32 %x<4>; ld.shared.v4.b32 {{%x0, %x1, %x2, %x3}}, [%t+{start}]; st.global.v4.b32 [%s], {{%x0, %x1, %x2, %x3}};
add.u32 %i, %i, 1024; bra COPY; END:"""
STORE = """mul.lo.u32 %i, %t, 16; mov.u32 %n, {nbytes};
COPY: setp.ge.u32 %p, %i, %n; @%p bra END; cvt.u64.u32 %s, %i; add.u64 %s, %s, %o; mov.u32 %c5, box; add.u32 %c5, %c5, %i;
.reg .b32 %x<4>; ld.global.v4.b32 {{%x0, %x1, %x2, %x3}}, [%s]; st.shared.v4.b32 [%c5], {{%x0, %x1, %x2, %x3}};
add.u32 %i, %i, 1024; bra COPY; END: fence.proxy.async.shared::cta; bar.sync 0; setp.ne.u32 %p, %t, 0; @%p bra DONE;
{instruction} [%m, {{{axes}}}], [box]; cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; DONE:"""


def build(ptx, code, rank, room, **fields):
    parameters = ", ".join(f".param .u32 c{axis}" for axis in range(rank))
    coordinates = " ".join(f"ld.param.u32 %c{axis}, [c{axis}];" for axis in range(rank))
    axes = ", ".join(f"%c{axis}" for axis in range(rank))
    code = code.format(rank=rank, axes=axes, **fields)
    return ptx(KERNEL.format(parameters=parameters, coordinates=coordinates, code=code, room=room))


def map_of(address, array, element, box, steps=None, swizzle=16, nan=False):
    """The tensor map of an array in C order; boxes and steps innermost first."""
    strides = tuple(reversed(array.strides[:-1]))
    found = TensorMap(address, tuple(reversed(array.shape)), strides, tuple(box), tuple(steps or (1,) * array.ndim), NUMBER[element], swizzle, nan)  # fmt: skip
    assert not misfit_of(found)
    return found


def permuted(raw, swizzle, start=0):
    """The bytes of a box as they lie in shared memory from `start` on: chunks of 16 bytes by Swizzle<b,4,3>."""
    found = np.zeros_like(raw)
    bits = {16: 0, 32: 1, 64: 2, 128: 3}[swizzle]
    for chunk in range(0, len(raw), 16):
        at = start + chunk
        at ^= (at >> 7 & (1 << bits) - 1) << 4
        found[at - start : at - start + 16] = raw[chunk : chunk + 16]
    return found


def box_of(array, coordinates, found, filler):
    """The elements of a box, outermost axis first, by a loop over its elements."""
    counts = tuple(reversed(found.counts))
    steps = (*reversed(found.steps[1:]), 1)
    result = np.full(counts, filler, array.dtype)
    for index in product(*(range(count) for count in counts)):
        place = [start + one * step for start, one, step in zip(reversed(coordinates), index, steps, strict=True)]
        if all(0 <= one < extent for one, extent in zip(place, array.shape, strict=True)):
            result[index] = array[tuple(place)]
    return result


LOADS = [
    # element, shape, box and start (innermost first), steps, swizzle, NaN outside
    ("u8", (100,), (64,), (16,), None, 16, False), ("f32", (100,), (32,), (90,), None, 16, False),
    ("f16", (40, 64), (64, 16), (0, 8), None, 128, False), ("bf16", (40, 64), (32, 9), (-5, 35), None, 64, False),
    ("f32", (9, 12), (8, 16), (3, -4), None, 32, True), ("f16", (17, 24), (16, 8), (17, 13), None, 16, True),
    ("f64", (5, 6), (4, 4), (3, -1), None, 32, True), ("u8", (7, 48), (32, 8), (-1, -2), None, 32, False),
    ("s32", (6, 7, 8), (4, 3, 2), (1, -1, 4), None, 16, False), ("u16", (4, 5, 6, 16), (8, 3, 2, 2), (8, 4, -1, 3), None, 16, False),
    ("s64", (3, 2, 3, 2, 4), (2, 2, 2, 2, 2), (1, 1, 2, 0, -1), None, 16, False), ("f32", (20, 8), (8, 16), (0, 2), (1, 3), 32, False),
    ("f16", (30, 64), (64, 8), (0, 5), (1, 2), 128, False), ("u32", (8, 12, 4), (4, 8, 5), (0, 1, 1), (1, 4, 2), 16, False),
]  # fmt: skip


@pytest.mark.parametrize("case", LOADS, ids=lambda case: "-".join(str(part) for part in case))
def test_load(ptx, case):
    element, shape, box, start, steps, swizzle, nan = case
    array = np.random.default_rng(len(shape)).integers(1, 100, shape).astype(DTYPES[element])
    probe = map_of(0, array, element, box, steps, swizzle, nan)
    nbytes = int(np.prod(probe.counts)) * array.itemsize
    fields = {"expected": nbytes, "nbytes": nbytes, "start": 128}
    device = build(ptx, LOAD, len(shape), nbytes + 1024, **fields)
    address, out = device.put(array), np.zeros(nbytes, np.uint8)
    raw = encode_tensor_map(probe._replace(address=address))
    device.run("k", 1, 64, np.void(raw), out, *start)
    filler = np.frombuffer(b"\xff\x7f" if array.itemsize == 2 else b"\xff" * (array.itemsize - 1) + b"\x7f", array.dtype)[0] if nan else 0  # fmt: skip
    wanted = box_of(array, start, probe, filler)
    np.testing.assert_array_equal(out, permuted(wanted.reshape(-1).view(np.uint8), swizzle, 128))
    device.memory.free(address)


@pytest.mark.parametrize("case", LOADS[:-3], ids=lambda case: "-".join(str(part) for part in case))
def test_store(ptx, case):
    """What lies outside is left out; the rest of the tensor stays."""
    element, shape, box, start, _, swizzle, _ = case
    array = np.zeros(shape, DTYPES[element])
    probe = map_of(0, array, element, box, None, swizzle)
    given = np.random.default_rng(len(shape)).integers(1, 100, tuple(reversed(box))).astype(array.dtype)
    near = permuted(given.reshape(-1).view(np.uint8), swizzle)
    instruction = f"cp.async.bulk.tensor.{len(shape)}d.global.shared::cta.tile.bulk_group"
    device = build(ptx, STORE, len(shape), len(near), nbytes=len(near), instruction=instruction)
    address = device.put(array)
    device.run("k", 1, 64, np.void(encode_tensor_map(probe._replace(address=address))), near, *start)
    device.get(address, array)
    wanted = np.zeros(shape, array.dtype)
    for index in np.ndindex(given.shape):
        place = tuple(a + b for a, b in zip(reversed(start), index, strict=True))
        if all(0 <= one < extent for one, extent in zip(place, shape, strict=True)):
            wanted[place] = given[index]
    np.testing.assert_array_equal(array, wanted)
    device.memory.free(address)


ROWS = (30, 2, -1, 17)


@pytest.mark.parametrize(("swizzle", "column"), [(16, 8), (128, 0), (64, -4)])
def test_rows_one_by_one(ptx, swizzle, column):
    """`.tile::gather4`: each row has a coordinate of its own; one lies outside."""
    array = np.random.default_rng(4).integers(1, 100, (40, 64)).astype(np.float16)
    probe = map_of(0, array, "f16", (swizzle // 2, 1), None, swizzle)
    nbytes = 4 * swizzle
    load = LOAD.replace("{rank}d.shared::cluster.global.tile", "2d.shared::cta.global.tile::gather4")
    device = build(ptx, load, 5, nbytes + 1024, expected=nbytes, nbytes=nbytes, start=128)
    address, out = device.put(array), np.zeros(nbytes, np.uint8)
    device.run("k", 1, 64, np.void(encode_tensor_map(probe._replace(address=address))), out, column, *ROWS)
    wanted = np.concatenate([box_of(array, (column, row), probe, 0) for row in ROWS])
    np.testing.assert_array_equal(out, permuted(wanted.reshape(-1).view(np.uint8), swizzle, 128))
    device.memory.free(address)


def test_rows_one_by_one_back(ptx):
    """`.tile::scatter4`."""
    array, given = np.zeros((40, 64), np.float32), np.arange(1, 33, dtype=np.float32).reshape(4, 8)
    probe = map_of(0, array, "f32", (8, 1))
    instruction = "cp.async.bulk.tensor.2d.global.shared::cta.tile::scatter4.bulk_group"
    device = build(ptx, STORE, 5, given.nbytes, nbytes=given.nbytes, instruction=instruction)
    address = device.put(array)
    near = given.reshape(-1).view(np.uint8).copy()
    device.run("k", 1, 64, np.void(encode_tensor_map(probe._replace(address=address))), near, 16, *ROWS)
    device.get(address, array)
    wanted = np.zeros_like(array)
    for row, values in zip(ROWS, given, strict=True):
        if row >= 0:
            wanted[row, 16:24] = values
    np.testing.assert_array_equal(array, wanted)
    device.memory.free(address)


def test_rows_one_by_one_of_a_higher_box(ptx):
    array = np.zeros((40, 64), np.float32)
    raw = encode_tensor_map(map_of(0, array, "f32", (8, 4)))
    load = LOAD.replace("{rank}d.shared::cluster.global.tile", "2d.shared::cta.global.tile::gather4")
    with pytest.raises(CpuFault, match="boxes of 4 x 8, not 1 x n"):
        build(ptx, load, 5, 1024, expected=128, nbytes=128, start=0).run(
            "k", 1, 64, np.void(raw), np.zeros(128, np.uint8), 0, *ROWS
        )


REDUCTIONS = {
    "add": lambda a, b: a + b, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "inc": lambda a, b: np.where(a >= b, 0, a + 1), "dec": lambda a, b: np.where((a == 0) | (a > b), b, a - 1),
}  # fmt: skip


@pytest.mark.parametrize(("operation", "element"), [
    ("add", "f32"), ("add", "f16"), ("add", "u64"), ("min", "s32"), ("max", "f16"), ("and", "u32"), ("or", "s64"), ("xor", "u32"),
    ("inc", "u32"), ("dec", "u32"),
])  # fmt: skip
def test_reduction_of_a_tensor(ptx, operation, element):
    chance = np.random.default_rng(3)
    array = chance.integers(0, 9, (10, 16)).astype(DTYPES[element])
    given = chance.integers(0, 9, (4, 8)).astype(DTYPES[element])
    wanted = array.copy()
    wanted[8:, 8:] = REDUCTIONS[operation](array[8:, 8:], given[:2])
    instruction = f"cp.reduce.async.bulk.tensor.2d.global.shared::cta.{operation}.tile.bulk_group"
    device = build(ptx, STORE, 2, given.nbytes, nbytes=given.nbytes, instruction=instruction)
    address = device.put(array)
    device.run("k", 1, 64, np.void(encode_tensor_map(map_of(address, array, element, (8, 4)))), given, 8, 8)
    device.get(address, array)
    np.testing.assert_array_equal(array, wanted)
    device.memory.free(address)


@pytest.mark.parametrize(("operation", "element", "dtype"), [
    ("add", "u32", np.uint32), ("add.noftz", "f16", np.float16), ("min", "s64", np.int64), ("and", "b32", np.uint32), ("add", "f64", np.float64),
])  # fmt: skip
def test_reduction_in_bulk(ptx, operation, element, dtype):
    """Blocks add to the same memory; each its own number of bytes."""
    text = f"""{STORE.partition("fence.proxy")[0]} bar.sync 0; setp.ne.u32 %p, %t, 0; @%p bra DONE; mov.u32 %t, %ctaid.x; mul.lo.u32 %t, %t, 32;
    add.u64 %o, %o, 256; cp.reduce.async.bulk.global.shared::cta.bulk_group.{operation}.{element} [%o], [box], %t; cp.async.bulk.commit_group; DONE:"""
    given = np.random.default_rng(5).integers(1, 9, 512 // np.dtype(dtype).itemsize).astype(dtype)
    device, out = build(ptx, text, 1, 256, nbytes=256), given.copy()
    device.run("k", 3, 32, np.void(bytes(128)), out, 0)
    wanted = given.copy()
    per = 32 // wanted.itemsize
    for block in range(3):
        mine = wanted[8 * per : (8 + block) * per]
        mine[...] = REDUCTIONS[operation.partition(".")[0]](mine, given[: block * per])
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(("change", "text"), [
    ({"[box+0], [%m": "[box+64], [%m"}, "misaligned: a box at shared address 0x440"),
    ({"[box+0], [%m": "[box+4096], [%m"}, "out of bounds: access of 16 bytes at shared address 0x1"),
    ({"map[128]": "map[128], .param .align 8 .b8 pad[8]", "mov.b64 %m, map;": "mov.b64 %m, map; add.u64 %m, %m, 16;"}, "misaligned: a tensor map"),
    ({"mov.b64 %m, map; cvta.param.u64 %m, %m; ld.param.u64 %o, [out];": "ld.param.u64 %o, [out]; mov.b64 %m, %o;"}, "there is no tensor map"),
    ({".2d.": ".1d.", "{%c0, %c1}": "{%c0}"}, "1 coordinates for a tensor of 2 axes"),
    ({"[%m, {%c0, %c1}], [bar]": "[%m, {%c0, %c1}], [box+4096]"}, "shared address"),
])  # fmt: skip
def test_faults_of_a_load(ptx, change, text):
    array = np.zeros((8, 16), np.float32)
    device = build(ptx, LOAD, 2, 4096, expected=512, nbytes=512, start=0)
    source = device.ptx.decode().partition("64\n")[2]
    for old, new in change.items():
        assert old in source
        source = source.replace(old, new)
    device = ptx(source)
    address = device.put(array)
    raw = np.void(encode_tensor_map(map_of(address, array, "f32", (16, 8))))
    pads = [np.void(bytes(8))] if "pad" in source else []
    with pytest.raises(CpuFault, match=text):
        device.run("k", 1, 64, raw, *pads, np.zeros(512, np.uint8), 0, 0)
    device.memory.free(address)


def test_a_tensor_that_is_larger_than_its_memory_is_out_of_bounds(ptx):
    """The map says what the tensor is; the memory behind it is what was allocated."""
    array = np.zeros((8, 16), np.float32)
    device = build(ptx, LOAD, 2, 4096, expected=512, nbytes=512, start=0)
    address = device.put(array)
    found = map_of(address, array, "f32", (16, 8))._replace(extents=(16, 9))
    with pytest.raises(CpuFault, match="out of bounds: access of 16 bytes at global address"):
        device.run("k", 1, 64, np.void(encode_tensor_map(found)), np.zeros(512, np.uint8), 0, 1)
    device.memory.free(address)


def test_maps_that_differ_between_blocks(ptx):
    """An array of maps in global memory: every block has its own."""
    code = LOAD.replace("@%p bra WAIT;", "ld.param.u64 %m, [c0]; ld.param.u64 %m, [c0]; mov.u32 %c0, %ctaid.x; mad.wide.u32 %m, %c0, 128, %m; mad.wide.u32 %o, %c0, 512, %o; mov.u32 %c0, 0; setp.ne.u32 %p, %t, 0; @%p bra WAIT;")  # fmt: skip
    device = build(ptx, code, 1, 4096, expected=512, nbytes=512, start=0)
    device = ptx(device.ptx.decode().partition("64\n")[2].replace(".param .u32 c0", ".param .u64 c0").replace("ld.param.u32 %c0, [c0];", ""))  # fmt: skip
    array = np.arange(3 * 128, dtype=np.float32).reshape(3, 128)
    address = device.put(array)
    maps = b"".join(encode_tensor_map(map_of(address + 512 * row, array[row], "f32", (128,))) for row in range(3))
    out = np.zeros((3, 128), np.float32)
    device.run("k", 3, 32, np.void(bytes(128)), out, np.frombuffer(maps, np.uint8).copy())
    np.testing.assert_array_equal(out, array)
    device.memory.free(address)


REPLACE = """@%p bra WAIT; ld.param.u64 %s, [c0]; .reg .b64 %g; ld.param.u64 %g, [c1]; .reg .b32 %sm; mov.u32 %sm, box;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%sm], [%s], 128, [bar]; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 128;
FIRST: mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra FIRST;
tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%sm], %g; tensormap.replace.tile.rank.shared::cta.b1024.b32 [%sm], 1;
tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%sm], 0, 8; tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%sm], 1, 6;
tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [%sm], 0, 64; tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%sm], 0, 4;
tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%sm], 1, 8; tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%sm], 1, 2;
tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%sm], 7; tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [%sm], 0;
tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%sm], 0; tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [%sm], 1;
tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%s], [%sm], 128;
fence.proxy.tensormap::generic.release.gpu; fence.proxy.tensormap::generic.acquire.gpu [%s], 128;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 64; mov.u32 %c0, 4; mov.u32 %c1, 2;
cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%sm], [%s, {%c0, %c1}], [bar];
SECOND: mbarrier.try_wait.parity.shared.b64 %p, [bar], 1; @!%p bra SECOND;
cp.async.bulk.global.shared::cta.bulk_group [%o], [%sm], 64; WAIT:"""


def test_a_map_that_the_kernel_changes(ptx):
    """All of its fields: from a row of bytes to a part of a plane."""
    parameters = ".param .u64 c0, .param .u64 c1"
    device = ptx(KERNEL.format(parameters=parameters, coordinates="", code=REPLACE, room=1024))
    plane, row = np.arange(6 * 16, dtype=np.float32).reshape(6, 16), np.zeros(32, np.uint8)
    address, other = device.put(plane), device.put(row)
    maps, out = (
        np.frombuffer(encode_tensor_map(map_of(other, row, "u8", (16,))), np.uint8).copy(),
        np.zeros((4, 4), np.float32),
    )
    device.run("k", 1, 32, np.void(bytes(128)), out, maps, address)
    np.testing.assert_array_equal(out, [plane[2, 4:8], plane[4, 4:8], [np.nan] * 4, [np.nan] * 4])
    for one in (address, other):
        device.memory.free(one)


def test_a_map_survives_its_encoding():
    found = TensorMap(1 << 44, (1 << 32, 5, 4), (1 << 39, 32), (256, 2, 3), (1, 8, 1), NUMBER["u8"], 64, False)
    assert decode_tensor_map(encode_tensor_map(found)) == found
    assert decode_tensor_map(encode_tensor_map(found._replace(element=8))) is None  # f32 that is flushed
    assert len(encode_tensor_map(found)) == 128
    assert decode_tensor_map(bytes(128)) is None


@pytest.mark.parametrize("form", ["im2col", "im2col::w"])
def test_other_forms_are_refused_by_name(form):
    line = f"cp.async.bulk.tensor.4d.shared::cluster.global.{form}.mbarrier::complete_tx::bytes [%r1], [%w, {{%r2, %r3, %r4, %r5}}], [%r3]"
    assert f"in the form .{form}" in decide(line)
