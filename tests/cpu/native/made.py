"""Random kernels in PTX: any instruction that computes, among branches, loops, meetings, memory, atomics and mistakes.

What a kernel gives depends on no order of threads: each writes to places of its own, reads those of others between
barriers alone, and what atomics gave is read where threads come in turn.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from .computing import lines_that_compute

if TYPE_CHECKING:
    import random

#: Words that a thread is given, bytes that it may write to in `out`, and its own of shared and of local memory.
WORDS, OWN_BYTES, OUT_BYTES = 8, 64, 320
#: Threads of a block, at most; shapes with rows of eight, none, and one that is not whole.
SHAPES = [(64,), (8, 8), (4, 16), (32,), (44,)]
_COUNTS = {"b": 1, "h": 3, "r": 5, "d": 3, "f": 3, "e": 3, "p": 3}
_BITS = {"b": 8, "h": 16, "r": 32, "d": 64, "f": 32, "e": 64}
_REGISTER = re.compile(r"%([bhrdfep])(\d)(?!\d)")
_TESTS = ("eq", "ne", "lt", "ge", "gt", "le")
_SUMS = ("add.u32", "max.s32", "min.u32", "xor.b32", "or.b32", "add.u64", "max.u64")


class Kernel:
    """Several random programs, which take one of a kernel's ways each: what they begin and end with is compiled once.

    Args:
        chance: what decides.
        name: of the kernel.
        ways: how many programs.

    Attributes:
        text: the PTX; parameters are `in`, `out`, `sums`, `turns`, and which program.
        whole: of each program, whether every warp must be whole.
    """

    def __init__(self, chance: random.Random, name: str, ways: int) -> None:
        self.chance = chance
        self._labels = 0
        self._depth = 0
        self._turns = chance.random() < 0.15  # which no loop may come before
        self._sum = chance.choice(_SUMS)
        self.whole: list[bool] = []
        body = [f"setp.eq.u32 %go, %which, {way}; @%go bra W{way};" for way in range(ways)]
        for way in range(ways):
            self.whole.append(False)
            body.append(f"W{way}:")
            body += [line for _ in range(chance.randrange(3, 8)) for line in self.statement(None, together=True)]
            body.append("bra END;")
        self.text = "\n".join([*self._head(name, body), *body, "END:", *self._tail(body), "ret; }\n"])

    def _head(self, name: str, body: list[str]) -> list[str]:
        used = _used(body)
        registers = " ".join(f".reg .{'f' if kind in 'fe' else 'b'}{bits} %{kind}<8>;" for kind, bits in _BITS.items())
        word = "ld.global.v4.u32"
        return [
            f".visible .entry {name}(.param .u64 in, .param .u64 out, .param .u64 sums, .param .u64 turns, .param .u32 which) {{",
            f".shared .align 16 .b8 all[{64 * OWN_BYTES}]; .shared .align 8 .b8 total[64]; .local .align 16 .b8 own[{OWN_BYTES}];",
            f"{registers} .reg .pred %p<4>, %go, %ok; .reg .b64 %in, %out, %sums, %turns, %a, %b, %g; .reg .b32 %t, %n, %s, %m, %x, %y, %z;",
            ".reg .b32 %c<4>, %full, %k<9>, %which;",
            "mov.u32 %t, %tid.y; mov.u32 %n, %ntid.x; mov.u32 %x, %tid.x; mad.lo.u32 %t, %t, %n, %x;",
            "ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; ld.param.u64 %sums, [sums]; ld.param.u64 %turns, [turns]; ld.param.u32 %which, [which];",
            f"mul.wide.u32 %a, %t, {4 * WORDS}; add.u64 %g, %in, %a; mul.wide.u32 %a, %t, {OUT_BYTES}; add.u64 %out, %out, %a;",
            f"{word} {{%r0, %r1, %r2, %r3}}, [%g]; {word} {{%r4, %r5, %r6, %r7}}, [%g+16];",
            f"mov.u32 %s, all; mad.lo.u32 %s, %t, {OWN_BYTES}, %s; mov.u32 %m, own;",
            "mov.u32 %n, %ntid.y; mov.u32 %x, %ntid.x; mul.lo.u32 %n, %n, %x;",
            "and.b32 %x, %t, 32; sub.u32 %x, %n, %x; bmsk.clamp.b32 %full, 0, %x; mov.b32 %k0, %full;",
            "setp.lt.u32 %go, %t, 16; @%go shl.b32 %x, %t, 2; @%go mov.u32 %y, total; @%go add.u32 %x, %x, %y; @%go st.shared.u32 [%x], 0;",
            *(_first(kind, number) for kind, number in used),
            "add.cc.u32 %x, %r0, %r1;",
            "bar.sync 0;",
        ]

    def _tail(self, body: list[str]) -> list[str]:
        lines = ["bar.sync 0; ld.shared.u32 %x, [total]; st.global.u32 [%out+256], %x;"]
        for place, (kind, number) in enumerate(_used(body)):
            if kind == "p":
                lines.append(f"selp.u32 %x, 1, 2, %p{number}; st.global.u32 [%out+{8 * place}], %x;")
            else:
                lines.append(f"st.global.b{_BITS[kind]} [%out+{8 * place}], %{kind}{number};")
        return lines

    def _one(self, kind: str) -> str:
        return f"%{kind}{self.chance.randrange(_COUNTS[kind])}"

    def _label(self) -> str:
        self._labels += 1
        return f"L{self._labels}"

    def statement(self, mask: str | None, *, together: bool) -> list[str]:
        """One or several lines.

        Args:
            mask: the register that holds which threads of the warp are here; None where that is not known.
            together: whether all threads of the block are here.
        """
        ways = [(10, self.compute), (5, self.touch), (1, self.guarded), (1, self.mistake), (1, self.add)]
        if self._depth < 3:
            ways += [(2, self.branch), (0 if self._turns else 1, self.turn)]
        if mask is not None or together:
            ways.append((3, functools.partial(self.meet, mask or "%full")))
            ways += [(1, functools.partial(self.part, mask or "%full"))] * (self._depth < 3)
        if together:
            ways += [(2, self.exchange)] + [(0 if self._turns else 1, self.rounds)] * (self._depth < 2)
            ways += [(1, self.in_turn)] * (self._turns and not self._depth)
        return self.chance.choices([way for _, way in ways], [weight for weight, _ in ways])[0]()

    def block(self, mask: str | None = None, *, together: bool = False, most: int = 3) -> list[str]:
        """Some statements, one level deeper."""
        self._depth += 1
        count = self.chance.randrange(1, most + 1)
        found = [line for _ in range(count) for line in self.statement(mask, together=together)]
        self._depth -= 1
        return found

    def compute(self) -> list[str]:
        """An instruction, with registers by chance."""
        line = self.chance.choice(self.chance.choice(lines_that_compute()))
        return [_REGISTER.sub(lambda match: self._one(match[1]), line) + ";"]

    def guarded(self) -> list[str]:
        """One that some threads leave out."""
        return [f"@{self.chance.choice(('', '!'))}{self._one('p')} {line}" for line in self.compute()]

    def choose(self) -> str:
        """Sets a predicate that parts threads, in one of the ways in which compilers do it."""
        chance = self.chance
        test, low = chance.choice(_TESTS), chance.randrange(64)
        return chance.choice(
            [
                f"setp.{test}.s32 %go, {self._one('r')}, {self._one('r')};",
                f"setp.{test}.u32 %go, %t, {low};",
                f"and.b32 %x, {self._one('r')}, {low % 7 + 1}; setp.{test}.u32 %go, %x, 1;",
                f"setp.{test}.u32 %go, %n, {low};",
                f"setp.{test}.f32 %go, {self._one('f')}, {self._one('f')};",
            ]
        )

    def branch(self) -> list[str]:
        """Two ways, or one way round."""
        no, after = self._label(), self._label()
        test = [self.choose(), f"@{self.chance.choice(('', '!'))}%go bra {no};"]
        if self.chance.random() < 0.4:
            return [*test, *self.block(), f"{no}:"]
        return [*test, *self.block(), f"bra {after};", f"{no}:", *self.block(), f"{after}:"]

    def turn(self) -> list[str]:
        """A loop that threads go round different numbers of times."""
        count, again, after = f"%c{self._depth}", self._label(), self._label()
        begin = f"and.b32 {count}, {self._one('r')}, 3;"
        end = [f"sub.u32 {count}, {count}, 1;", f"bra {again};", f"{after}:"]
        leave = [self.choose(), f"@%go bra {after};"] if self.chance.random() < 0.3 else []
        return [begin, f"{again}:", f"setp.eq.u32 %go, {count}, 0; @%go bra {after};", *self.block(), *leave, *end]

    def rounds(self) -> list[str]:
        """A loop that all go round together, and may meet in."""
        count, again = f"%c{self._depth}", self._label()
        end = f"sub.u32 {count}, {count}, 1; setp.ne.u32 %go, {count}, 0; @%go bra {again};"
        return [
            f"mov.u32 {count}, {self.chance.randrange(1, 4)};",
            f"{again}:",
            *self.block("%full", together=True),
            end,
        ]

    def part(self, mask: str) -> list[str]:
        """Threads of a warp part, and each side knows who is there."""
        no, after, (yes_mask, no_mask) = (
            self._label(),
            self._label(),
            (f"%k{2 * self._depth + k + 1}" for k in range(2)),
        )
        head = [
            self.choose(),
            f"vote.sync.ballot.b32 {yes_mask}, %go, {mask}; xor.b32 {no_mask}, {yes_mask}, {mask};",
            f"@!%go bra {no};",
        ]
        return [*head, *self.block(yes_mask), f"bra {after};", f"{no}:", *self.block(no_mask), f"{after}:"]

    def meet(self, mask: str) -> list[str]:
        """An operation of a warp."""
        chance, (r, s, p) = self.chance, (self._one("r"), self._one("r"), self._one("p"))
        ways = [
            f"vote.sync.ballot.b32 {r}, {p}, {mask};",
            f"vote.sync.{chance.choice(('any', 'all', 'uni'))}.pred {self._one('p')}, {p}, {mask};",
            f"match.any.sync.b32 {r}, {s}, {mask};",
            f"match.any.sync.b64 {r}, {self._one('d')}, {mask};",
            f"match.all.sync.b32 {r}|{p}, {s}, {mask};",
            f"redux.sync.{chance.choice(('add.u32', 'min.s32', 'max.u32', 'min.u32', 'max.s32', 'and.b32', 'or.b32', 'xor.b32'))} {r}, {s}, {mask};",
            f"bar.warp.sync {mask};",
            f"bfind.u32 %y, {mask}; shfl.sync.idx.b32 {r}|{p}, {s}, %y, 31, {mask};",
        ]
        if mask == "%full":
            self.whole[-1] = True
            how, last = chance.choice((("up", 0), ("down", 31), ("bfly", 31), ("idx", 31)))
            step = chance.choice((str(chance.randrange(33)), s))
            width = chance.choice((0, 0, 0x1800, 0x1C00))  # segments of 32, 8 and 4
            ways += [f"shfl.sync.{how}.b32 {self._one('r')}|{p}, {r}, {step}, {width | last}, {mask};"] * 4
        return [chance.choice(ways)]

    def exchange(self) -> list[str]:
        """Something of another thread, through shared memory, or a barrier that counts."""
        chance, r, p = self.chance, self._one("r"), self._one("p")
        if chance.random() < 0.3:
            how = chance.choice(("or", "and"))
            return [chance.choice([f"bar.red.popc.u32 {r}, 0, {p};", f"bar.red.{how}.pred {self._one('p')}, 0, {p};"])]
        bits = chance.choice((8, 16, 32, 64))
        kind = {8: "b", 16: "h", 32: "r", 64: "d"}[bits]
        other = chance.choice(
            [
                f"xor.b32 %x, %t, {chance.randrange(8)};",
                f"add.u32 %x, %t, {chance.randrange(44)};",
                f"add.u32 %x, {r}, %t;",
            ]
        )
        return [
            f"bar.sync 0; st.shared.u{bits} [%s], {self._one(kind)}; bar.sync 0;",
            f"{other} rem.u32 %x, %x, %n; mov.u32 %y, all; mad.lo.u32 %x, %x, {OWN_BYTES}, %y; ld.shared.u{bits} {self._one(kind)}, [%x];",
            "bar.sync 0;",
        ]

    def add(self) -> list[str]:
        """An atomic that many threads come to, in any order."""
        r, name = self._one("d" if "64" in self._sum else "r"), self._sum
        step = 8 if "64" in name else 4
        places = [
            f"red.shared.{name} [total], {r};",
            f"red.global.{name} [%sums], {r};",
            f"red.global.{name} [%sums+{step}], {r};",
        ]
        near = f"and.b32 %x, {self._one('r')}, 3; cvt.u64.u32 %b, %x; mad.lo.u64 %b, %b, {step}, %sums; red.global.{name} [%b], {r};"
        return [self.chance.choice([*places, near])]

    def in_turn(self) -> list[str]:
        """An atomic whose result shows the order of threads; there is one."""
        self._turns = False
        r, name = (
            self._one("r"),
            self.chance.choice(("add.u32", "inc.u32", "dec.u32", "exch.b32", "max.s32", "xor.b32")),
        )
        return [f"atom.global.{name} {r}, [%turns], {self._one('r')};"]

    def touch(self) -> list[str]:
        """A load, or a store to what is the thread's own: any width, vectors, at a fixed place or one by chance."""
        chance = self.chance
        bits, vector = chance.choice(
            [(8, 1), (16, 1), (32, 1), (64, 1), (8, 4), (16, 2), (32, 2), (32, 4), (64, 2), (16, 4), (8, 2)]
        )
        size, kind = bits // 8 * vector, {8: "b", 16: "h", 32: "r", 64: "d"}[bits]
        space = chance.choice(("global", "out", "shared", "local", "generic"))
        base, room = {
            "global": ("%in", 1024),
            "out": ("%out", 64),
            "shared": ("%s", 64),
            "local": ("%m", 64),
            "generic": ("%g", 32),
        }[space]
        offset, lines = chance.randrange(room // size) * size, []
        if chance.random() < 0.5:
            lines.append(f"and.b32 %x, {self._one('r')}, {room // size - 1}; mul.lo.u32 %x, %x, {size};")
            wide = space not in {"shared", "local"}
            lines.append(f"cvt.u64.u32 %a, %x; add.u64 %a, {base}, %a;" if wide else f"add.u32 %x, {base}, %x;")
            base, offset = "%a" if wide else "%x", 0
        if space == "out":
            offset += 192
        name = {"out": ".global", "generic": ""}.get(space, f".{space}")
        letter = "u" if bits < 64 or chance.random() < 0.5 else "b"
        name += f".v{vector}.{letter}{bits}" if vector > 1 else f".{letter}{bits}"
        if space not in {"global", "generic"} and chance.random() < 0.5:
            items = [self._one(kind) for _ in range(vector)]
            return [*lines, f"st{name} [{base}+{offset}], {_vector(items)};"]
        items = chance.sample([f"%{kind}{k}" for k in range(_COUNTS[kind])], min(vector, _COUNTS[kind]))
        items += ["_"] * (vector - len(items))
        return [*lines, f"ld{name} {_vector(items)}, [{base}+{offset}];"]

    def mistake(self) -> list[str]:
        """One thread, at most, does what is a fault."""
        chance = self.chance
        if chance.random() < 0.7:
            return self.compute()
        after, size = self._label(), chance.choice((1, 2, 4, 8))
        kind = {1: "b", 2: "h", 4: "r", 8: "d"}[size]
        name, register = f"u{8 * size}", self._one(kind)
        place = chance.choice(
            [
                "[%in+4096]", "[%in+-8]", f"[%in+{2048 - 0}]", "[%turns+4096]", "[%g+1]" if size > 1 else "[%in+65536]",
            ]
        )  # fmt: skip
        wrong = chance.choice(
            [
                f"ld.global.{name} {register}, {place};", f"st.global.{name} {place}, {register};",
                f"ld.shared.{name} {register}, [%s+8192];", f"st.shared.{name} [%s+-8192], {register};",
                f"ld.local.{name} {register}, [%m+{OWN_BYTES}];", f"st.local.{name} [%m+-8], {register};",
                f"mov.u64 %a, {chance.choice((0, 8, 1 << 52))}; ld{chance.choice(('', '.global'))}.{name} {register}, [%a];",
                "trap;",
            ]
        )  # fmt: skip
        return [f"setp.ne.u32 %go, %t, {chance.randrange(64)}; @%go bra {after};", wrong, f"{after}:"]


def _vector(items: list[str]) -> str:
    return "{" + ", ".join(items) + "}" if len(items) > 1 else items[0]


def _used(body: list[str]) -> list[tuple[str, int]]:
    """Registers that a body names, of those that lines have by chance, but the words that all begin with."""
    return sorted({(match[1], int(match[2])) for line in body for match in _REGISTER.finditer(line)})


def _first(kind: str, number: int) -> str:
    """What a register begins with."""
    other = (3 * number + 1) % 8
    if kind == "r":
        return ""
    if kind == "p":
        return f"setp.gt.s32 %p{number}, %r{number}, %r{other};"
    if kind in "bh":
        return f"cvt.u{_BITS[kind]}.u32 %{kind}{number}, %r{number};"
    return f"mov.b{_BITS[kind]} %{kind}{number}, " + (
        f"%r{number};" if kind == "f" else f"{{%r{2 * number % 8}, %r{other}}};"
    )
