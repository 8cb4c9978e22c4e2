"""Runs reductions in bulk, of two blocks of a cluster, and says what their models make of each element.

In these models `old` is an element in memory and `b` the one that comes to it, as in those of `accesses.py`.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.types import TYPES
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.reals import FORMATS
from tests.cpu.isa.values import Kind, encoded, read, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

_BLOCKS, _WORDS = 2, 64
#: Bytes of each block, and those of them that are reduced.
_REGION, _FIRST, _LAST = 4 * _WORDS, 32, 224

_KERNEL = """.visible .entry k(.param .u64 memory, .param .u64 source) {{
.reg .b64 %m, %s, %x, %y, %z; .reg .b32 %t, %o, %v, %r, %n, %a, %c, %w; .reg .pred %p, %q; .shared .align 16 .b8 sh[512]; .shared .align 8 .b64 bar;
mov.u32 %t, %tid.x; mov.u32 %r, %ctaid.x; mov.b64 %z, 0; mul.lo.u32 %o, %t, 4; mov.u32 %n, sh; add.u32 %n, %n, %o; cvt.u64.u32 %x, %o;
ld.param.u64 %m, [memory]; ld.param.u64 %s, [source]; mad.wide.u32 %m, %r, 256, %m; mad.wide.u32 %s, %r, 256, %s;
add.u64 %y, %s, %x; ld.global.b32 %v, [%y]; st.shared.b32 [%n], %v; add.u64 %y, %m, %x; ld.global.b32 %v, [%y]; st.shared.b32 [%n+256], %v;
setp.ne.u32 %p, %t, 0; @%p bra READY; mbarrier.init.shared.b64 [bar], 1; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 192; fence.proxy.async;
READY: barrier.cluster.arrive; barrier.cluster.wait; @%p bra WAIT; xor.b32 %w, %r, 1;
mov.u32 %a, sh; add.u32 %a, %a, 288; mapa.shared::cluster.u32 %a, %a, %w; mov.u32 %c, bar; mapa.shared::cluster.u32 %c, %c, %w;
{code} barrier.cluster.arrive; barrier.cluster.wait; ret; }}"""
_GLOBAL = "{name} [%m+32], [sh+32], 192{hint}; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; WAIT:"
_CLUSTER = """{name} [%a], [sh+32], 192, [%c]; WAIT: mbarrier.try_wait.parity.shared.b64 %q, [bar], 0; @!%q bra WAIT;
ld.shared.b32 %v, [%n+256]; st.global.b32 [%y], %v;"""


def kind_of(type_: str) -> Kind:
    """How elements of a type are read."""
    bits = TYPES[type_].bits
    reads = type_ if type_ in FORMATS else "s" if type_[0] == "s" else "u"
    return Kind(bits, reads, bits, bits)


def joined(name: Name, kind: Kind, old: bytes, new: bytes) -> bytes:
    """What the model makes of elements."""
    size = kind.bits // 8
    found = b""
    for k in range(0, len(old), size):
        one, other = (read(int.from_bytes(raw[k : k + size], "little"), kind) for raw in (old, new))
        word = encoded(name, evaluated(name, {"old": one, "b": other}), kind)
        found += int(word).to_bytes(size, "little")
    return found


def noise(kind: Kind, count: int, chance: random.Random) -> bytes:
    """So many bytes of words of a type."""
    return b"".join(word.to_bytes(kind.bits // 8, "little") for word in words(kind, count * 8 // kind.bits, chance))


def difference(ptx: Callable, name: Name) -> str:
    """How the executor differs from the model, or ""."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    kind = kind_of(name.types[0])
    memory, source = (noise(kind, _BLOCKS * _REGION, chance) for _ in range(2))
    near = name.has("shared::cluster")
    hint = ", %z" if name.has("L2::cache_hint") else ""
    code = (_CLUSTER if near else _GLOBAL).format(name=".".join([name.row.opcode, *name.parts]), hint=hint)
    got = np.frombuffer(memory, np.uint8).copy()
    given = np.frombuffer(source, np.uint8).copy()
    ptx(_KERNEL.format(code=code)).run("k", _BLOCKS, _WORDS, got, given, cluster=_BLOCKS)
    for block in range(_BLOCKS):
        first, sender = block * _REGION, (1 - block if near else block) * _REGION
        old, new = memory[first + _FIRST : first + _LAST], source[sender + _FIRST : sender + _LAST]
        want = memory[first : first + _FIRST] + joined(name, kind, old, new) + memory[first + _LAST : first + _REGION]
        is_ = got[first : first + _REGION].tobytes()
        wrong = [k for k in range(_REGION) if is_[k] != want[k]]
        if wrong:
            at = wrong[0] // (kind.bits // 8) * (kind.bits // 8)
            end = at + kind.bits // 8
            return f"{'.'.join(name.parts)}, byte {at} of block {block}: {memory[first + at : first + end].hex()} and {source[sender + at : sender + end].hex()} give {is_[at:end].hex()}, not {want[at:end].hex()}"
    return ""
