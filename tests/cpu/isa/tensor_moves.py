"""Runs moves between registers and tensor memory by the four warps of a block, beside the models of their rows."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from tests.cpu.isa.models import evaluated
from tests.cpu.isa.tensor_cells import registers_of_move, shape_of_move

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

_MANY = 32  # columns that are filled and looked at together
_VECTOR = "{" + ", ".join(f"%e{k}" for k in range(_MANY)) + "}"
_FOURS = ["{" + ", ".join(f"%e{4 * k + j}" for j in range(4)) + "}" for k in range(_MANY // 4)]
_LOADS = " ".join(f"ld.global.v4.b32 {four}, [%w+{16 * k}];" for k, four in enumerate(_FOURS))
_STORES = " ".join(f"st.global.v4.b32 [%w+{16 * k}], {four};" for k, four in enumerate(_FOURS))
#: `(cells, registers, cells afterwards)`: fills all columns, moves once, reads all columns.
_KERNEL = """.visible .entry k(.param .u64 cells, .param .u64 registers, .param .u64 afterMORE) {
.reg .b64 %w, %g; .reg .b32 %t, %a, %b, %c, %e<32>, %x<COUNT>; .reg .pred %p, %q; .shared .b32 place;
mov.u32 %t, %tid.x; setp.ge.u32 %p, %t, 32; @%p bra WAIT; mov.u32 %a, place;
tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%a], 512; WAIT: bar.sync 0; ld.shared.b32 %a, [place];
ld.param.u64 %w, [cells]; mad.wide.u32 %w, %t, 2048, %w; mov.b32 %c, 0;
FILL: LOADS add.u32 %b, %a, %c; tcgen05.st.sync.aligned.32x32b.x32.b32 [%b], VECTOR;
add.u64 %w, %w, 128; add.u32 %c, %c, 32; setp.lt.u32 %q, %c, 512; @%q bra FILL;
tcgen05.wait::st.sync.aligned; ld.param.u64 %g, [registers]; mad.wide.u32 %g, %t, BYTES, %g;
shr.u32 %c, %t, 5; and.b32 %b, %c, 1; mul.lo.u32 %b, %b, %t; and.b32 %b, %b, 96; shr.u32 %c, %c, 1; mad.lo.u32 %b, %c, HIGH, %b;
shl.b32 %b, %b, 16; add.u32 %b, %b, %a; MOVE
ld.param.u64 %w, [after]; mad.wide.u32 %w, %t, 2048, %w; mov.b32 %c, 0;
LOOK: add.u32 %b, %a, %c; tcgen05.ld.sync.aligned.32x32b.x32.b32 VECTOR, [%b]; tcgen05.wait::ld.sync.aligned;
STORES add.u64 %w, %w, 128; add.u32 %c, %c, 32; setp.lt.u32 %q, %c, 512; @%q bra LOOK;
bar.sync 0; @%p bra END; tcgen05.dealloc.cta_group::1.sync.aligned.b32 %a, 512; END: ret; }"""


def kernel(move: str, more: str = "", count: int = 1, high: int = 16) -> str:
    """The kernel around a move of so many registers of each thread, with more parameters."""
    words = {"COUNT": count, "BYTES": 4 * count, "HIGH": high, "MOVE": move, "MORE": more}
    text = _KERNEL
    for word, value in {**words, "VECTOR": _VECTOR, "LOADS": _LOADS, "STORES": _STORES}.items():
        text = text.replace(word, str(value))
    return text


def _text(name: Name, split: int) -> str:
    count, high = registers_of_move(name), 0 if shape_of_move(name) == "32x32b" else 16
    spelled = ".".join([name.row.opcode, *name.parts])
    vector = "{" + ", ".join(f"%x{k}" for k in range(count)) + "}"
    far = f", {split}" if split else ""
    if name.has("ld"):
        stores = " ".join(f"st.global.b32 [%g+{4 * k}], %x{k};" for k in range(count))
        move = f"{spelled} {vector}, [%b]{far}; tcgen05.wait::ld.sync.aligned; {stores}"
    else:
        loads = " ".join(f"ld.global.b32 %x{k}, [%g+{4 * k}];" for k in range(count))
        move = f"{loads} {spelled} [%b]{far}, {vector}; tcgen05.wait::st.sync.aligned;"
    return kernel(move, "", count, high)


def difference(ptx: Callable, name: Name) -> str:
    """How the executor differs from the model, or ""; odd warps name their lanes, even ones count from their part."""
    count, shape = registers_of_move(name), shape_of_move(name)
    chance = np.random.default_rng(zlib.crc32(".".join(name.parts).encode()))
    split = count * (1 + (name.has("pack::16b") or name.has("unpack::16b"))) if shape == "16x32bx2" else 0
    cells = chance.integers(0, 1 << 32, (128, 512), dtype=np.uint32)
    registers = chance.integers(0, 1 << 32, (128, count), dtype=np.uint32)
    wanted, moved, after = cells.copy(), registers.copy(), np.zeros_like(cells)
    letters = {"b": split} if split else {}
    for warp in range(4):
        first = 32 * warp + (16 * (warp // 2) if shape != "32x32b" else 0)
        mine = slice(32 * warp, 32 * warp + 32)
        if name.has("ld"):
            moved[mine] = evaluated(name, {"t": cells[first:].tolist(), **letters})
            continue
        for (lane, column), word in evaluated(name, {"c": registers[mine].tolist(), **letters}).items():  # type: ignore[attr-defined]
            wanted[first + lane, column] = word
    ptx(_text(name, split)).run("k", 1, 128, cells, registers, after)
    if (registers != moved).any():
        return f"{'.'.join(name.parts)}: registers {np.argwhere(registers != moved)[:4].tolist()}"
    return "" if (after == wanted).all() else f"{'.'.join(name.parts)}: {np.argwhere(after != wanted)[:4].tolist()}"
