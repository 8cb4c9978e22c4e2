"""Matrices of bytes between shared memory and registers: `ldmatrix` and `stmatrix` of 8 bits and of what is unpacked to them."""

from __future__ import annotations

import numpy as np
import pytest

KERNEL = """.visible .entry k(.param .u64 memory, .param .u64 registers) {{
.reg .b32 %t, %u, %s, %r<4>; .reg .b64 %w, %y, %x; .shared .align 16 .b8 sh[512];
mov.u32 %t, %tid.x; ld.param.u64 %w, [memory]; mul.wide.u32 %x, %t, 16; add.u64 %w, %w, %x; shl.b32 %u, %t, 4;
mov.u32 %s, sh; add.u32 %s, %s, %u; ld.param.u64 %y, [registers]; add.u64 %y, %y, %x;
{body} ret; }}"""
QUAD = "{%r0, %r1, %r2, %r3}"
LOAD = "ld.global.v4.b32 {quad}, [%w]; st.shared.v4.b32 [%s], {quad}; bar.warp.sync -1; {name} {group}, [%s]; st.global.v4.b32 [%y], {quad};"
STORE = "ld.global.v4.b32 {quad}, [%y]; {name} [%s], {group}; bar.warp.sync -1; ld.shared.v4.b32 {quad}, [%s]; st.global.v4.b32 [%w], {quad};"


def run(ptx, body, name, count, memory, registers):
    group = "{" + ", ".join(f"%r{k}" for k in range(count)) + "}"
    ptx(KERNEL.format(body=body.format(quad=QUAD, name=name, group=group))).run("k", 1, 32, memory, registers)


def some_bytes(seed):
    """32 rows of 16 bytes."""
    return np.random.default_rng(seed).integers(0, 256, (32, 16)).astype(np.uint8)


@pytest.mark.usefixtures("checked_too")
@pytest.mark.parametrize("space", ["", ".shared", ".shared::cta"])
@pytest.mark.parametrize("count", [1, 2])
def test_ldmatrix_of_16_rows_of_bytes(ptx, count, space):
    """Lane 4g + p has of rows 4p to 4p + 3 the bytes of columns g and g + 8, two rows in a register."""
    memory, registers = some_bytes(count), np.zeros((32, 4, 4), np.uint8)
    run(ptx, LOAD, f"ldmatrix.sync.aligned.m16n16.x{count}.trans{space}.b8", 2 * count, memory, registers)
    for lane in range(32):
        column, place = divmod(lane, 4)
        for register in range(2 * count):
            first = 16 * (register // 2) + 4 * place + 2 * (register % 2)
            wanted = [memory[first + row, column + 8 * right] for right in (0, 1) for row in (0, 1)]
            assert registers[lane, register].tolist() == wanted, (lane, register)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_stmatrix_of_bytes(ptx, count):
    """Lane 4g + p has of rows 2p and 2p + 1 the bytes of columns g and g + 8."""
    wanted, registers = some_bytes(count), np.zeros((32, 4, 4), np.uint8)
    for lane in range(32):
        column, place = divmod(lane, 4)
        for register in range(count):
            first = 8 * register + 2 * place
            registers[lane, register] = [wanted[first + row, column + 8 * right] for right in (0, 1) for row in (0, 1)]
    memory = np.zeros((32, 16), np.uint8)
    run(ptx, STORE, f"stmatrix.sync.aligned.m16n8.x{count}.trans.shared.b8", count, memory, registers)
    assert memory[: 8 * count].tolist() == wanted[: 8 * count].tolist()


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize(("form", "bits"), [("b4x16_p64", 4), ("b6x16_p32", 6)])
def test_ldmatrix_unpacks_elements_into_bytes(ptx, form, bits, count):
    """A row is 16 elements one behind the other, and padding to 16 bytes; lane 4g + p has four of row g."""
    memory, registers = some_bytes(bits + count), np.zeros((32, 4, 4), np.uint8)
    run(ptx, LOAD, f"ldmatrix.sync.aligned.m8n16.x{count}.shared.b8x16.{form}", count, memory, registers)
    for lane in range(32):
        row, place = divmod(lane, 4)
        for register in range(count):
            whole = int.from_bytes(memory[8 * register + row].tobytes(), "little")
            wanted = [whole >> bits * (4 * place + k) & (1 << bits) - 1 for k in range(4)]
            assert registers[lane, register].tolist() == wanted, (lane, register)
