"""Every product of matrices, and what brings its fragments and takes them away, does what the model of its row says."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa import matrices, tiles, warpgroups
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.page import short
from tests.cpu.isa.products import summed
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "matrix"]


def _named(opcode):
    return pytest.mark.parametrize(
        "row", [row for row in ROWS if row.opcode == opcode], ids=lambda row: short(row.name)
    )


@_named("mma")
def test_a_product_of_fragments_is_what_the_model_of_a_row_says(ptx, row):
    found = [matrices.difference(ptx, matrices.product(name, number)) for number, name in enumerate(names_of(row, 12))]
    assert not any(found), found


@_named("wgmma")
def test_a_product_of_a_warpgroup_is_what_the_model_of_a_row_says(ptx, row):
    for number, name in enumerate(names_of(row, 3)):
        assert not warpgroups.difference(ptx, warpgroups.group_product(name, number))


@_named("wmma")
def test_tiles_are_loaded_multiplied_and_stored_as_the_model_of_a_row_says(ptx, row):
    for name in names_of(row, 4):

        def multiply(_one, a, b, c, name=name):
            if row.model == "multiplied(n, a, b, c)":
                return evaluated(name, {"a": a, "b": b, "c": c})
            return summed(a, b, c, operator.xor if "b1" in name.picked else operator.mul)

        assert not tiles.difference(ptx, name, multiply)


_MOVES = """.visible .entry k(.param .u64 pm, .param .u64 pr) {{
    .reg .b32 %t, %u, %s, %r<4>; .reg .b64 %w, %x; .shared .align 16 .b8 sh[512];
    mov.u32 %t, %tid.x; ld.param.u64 %w, [pm]; mul.wide.u32 %x, %t, 16; add.u64 %w, %w, %x; shl.b32 %u, %t, 4;
    mov.u32 %s, sh; add.u32 %s, %s, %u; ld.param.u64 %x, [pr]; cvt.u64.u32 %x, %u; .reg .b64 %y; ld.param.u64 %y, [pr]; add.u64 %y, %y, %x;
    {body} ret; }}"""
_QUAD = "{{%r0, %r1, %r2, %r3}}"
_LOADED = f"ld.global.v4.b32 {_QUAD}, [%w]; st.shared.v4.b32 [%s], {_QUAD}; bar.warp.sync -1; {{mnemonic}} {{group}}, [%s]; st.global.v4.b32 [%y], {_QUAD};"
_STORED = f"ld.global.v4.b32 {_QUAD}, [%y]; {{mnemonic}} [%s], {{group}}; bar.warp.sync -1; ld.shared.v4.b32 {_QUAD}, [%s]; st.global.v4.b32 [%w], {_QUAD};"


def _eights(count, seed):
    return np.random.default_rng(seed).integers(0, 1 << 16, (count, 8, 8)).astype(np.uint16)


def _fragment(matrix):
    """Lane by lane, two neighbours of a row of 8 x 8 elements of 16 bits."""
    return [[matrix[lane // 4][lane % 4 * 2], matrix[lane // 4][lane % 4 * 2 + 1]] for lane in range(32)]


@pytest.mark.parametrize("opcode", ["ldmatrix", "stmatrix"])
def test_rows_of_matrices_move_as_the_models_of_rows_say(ptx, opcode):
    """Each lane names 16 bytes of shared memory; a fragment has two neighbours of a row, or of a column."""
    for row in (row for row in ROWS if row.opcode == opcode and "b16" in row.spelled):
        for name in names_of(row):
            count = next(int(part[1]) for part in name.picked if part in {"x1", "x2", "x4"})
            group = "{" + ", ".join(f"%r{k}" for k in range(count)) + "}"
            mnemonic = f"{'.'.join([opcode, *name.parts])}"
            into, out = (text.format(mnemonic=mnemonic, group=group) for text in (_LOADED, _STORED))
            memory = _eights(4, count)
            registers = np.zeros((32, 4, 2), np.uint16)
            if opcode == "ldmatrix":
                wanted = [_fragment(evaluated(name, {"a": matrix.tolist()})) for matrix in memory[:count]]
                ptx(_MOVES.format(body=into)).run("k", 1, 32, memory, registers)
                assert registers[:, :count].tolist() == [[one[lane] for one in wanted] for lane in range(32)], mnemonic
            else:
                for number in range(count):
                    registers[:, number] = _fragment(evaluated(name, {"b": memory[number].tolist()}))
                stored = np.zeros_like(memory)
                ptx(_MOVES.format(body=f"mov.b32 %r0, 0; {out}")).run("k", 1, 32, stored, registers)
                assert stored[:count].tolist() == memory[:count].tolist(), mnemonic


_BYTES = [row for row in ROWS if row.opcode in {"ldmatrix", "stmatrix"} and "b16" not in row.spelled]


def _bytes_of_a_lane(matrix, lane):
    """The bytes of each register that a lane has of 8 x 16, 16 x 16 or 16 x 8 elements of 8 bits (PTX ISA, `ldmatrix`)."""
    group, place = divmod(lane, 4)
    if len(matrix) == 8:
        return [matrix[group][4 * place : 4 * place + 4]]
    several = len(matrix[0]) // 8
    firsts = [2 * several * place + 2 * register for register in range(several)]
    return [matrix[group][at : at + 2] + matrix[group + 8][at : at + 2] for at in firsts]


@pytest.mark.parametrize("row", _BYTES, ids=[row.spelled for row in _BYTES])
def test_matrices_of_bytes_move_as_the_model_of_a_row_says(ptx, row):
    """Each lane names 16 bytes of shared memory, one row of them or of what is packed there."""
    height = 16 if "m16n16" in row.spelled else 8
    for name in names_of(row):
        count = next(int(part[1]) for part in name.picked if part in {"x1", "x2", "x4"})
        memory = np.random.default_rng(count).integers(0, 256, (32, 16)).astype(np.uint8)
        there = [memory[height * k : height * k + height].tolist() for k in range(count)]
        held = [evaluated(name, {"b" if row.opcode == "stmatrix" else "a": one}) for one in there]
        wanted = [[part for one in held for part in _bytes_of_a_lane(one, lane)] for lane in range(32)]
        group = "{" + ", ".join(f"%r{k}" for k in range(len(wanted[0]))) + "}"
        mnemonic = ".".join([row.opcode, *name.parts])
        registers, stored = np.zeros((32, 4, 4), np.uint8), np.zeros_like(memory)
        if row.opcode == "ldmatrix":
            ptx(_MOVES.format(body=_LOADED.format(mnemonic=mnemonic, group=group))).run("k", 1, 32, memory, registers)
            assert registers[:, : len(wanted[0])].tolist() == wanted, mnemonic
        else:
            registers[:, : len(wanted[0])] = wanted
            ptx(_MOVES.format(body=_STORED.format(mnemonic=mnemonic, group=group))).run("k", 1, 32, stored, registers)
            assert stored[: height * count].tolist() == memory[: height * count].tolist(), mnemonic


@_named("movmatrix")
def test_a_matrix_is_turned_as_the_model_of_a_row_says(ptx, row):
    for name in names_of(row):
        (matrix,) = _eights(1, 3)
        registers = np.zeros((32, 4, 2), np.uint16)
        registers[:, 0] = _fragment(matrix.tolist())
        body = f"ld.global.b32 %r0, [%y]; {'.'.join(['movmatrix', *name.parts])} %r1, %r0; st.global.b32 [%y+4], %r1;"
        ptx(_MOVES.format(body=body)).run("k", 1, 32, np.zeros(256, np.uint16), registers)
        assert registers[:, 1].tolist() == _fragment(evaluated(name, {"a": matrix.tolist()}))
