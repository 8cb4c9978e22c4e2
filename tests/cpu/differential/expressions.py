"""Random C++ that means the same to NVRTC and to a host compiler: nothing undefined, nothing left to the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

PRELUDE = (Path(__file__).parent / "prelude.h").read_text()

INTEGERS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
FLOATS = ("f32", "f64")
INPUTS = len(INTEGERS + FLOATS)  # words of 64 bits per thread
_LITERALS = {
    "f32": (
        "0x1p-149f",
        "0x1.8p127f",
        "1.0f",
        "-0.0f",
        "0x1.000002p0f",
        "3.25f",
        "-0x1.7p-67f",
        "0x1.fffffep23f",
        "0x1.99999ap-4f",
    ),
    "f64": (
        "0x1p-1074",
        "0x1.8p1023",
        "1.0",
        "-0.0",
        "0x1.0000000000001p0",
        "3.25",
        "-0x1.5p-660",
        "0x1.fffffffffffffp52",
    ),
}
#: result type -> (function, argument types). Not __mul24: to NVRTC its overflow is undefined.
_INTRINSICS = {
    "i32": [
        *((name, ("u32",)) for name in ("__popc", "__clz", "__ffs")),
        *((name, ("u64",)) for name in ("__popcll", "__clzll", "__ffsll")),
        *((name, ("i32", "i32")) for name in ("__mulhi", "__hadd", "__rhadd")),
        *((name, ("f32",)) for name in ("nearest", "below", "f32_to_i32")),
        ("f64_to_i32", ("f64",)),
    ],
    "u32": [
        ("__brev", ("u32",)), ("bits", ("f32",)), ("f32_to_u32", ("f32",)), ("f64_to_u32", ("f64",)),
        *((name, ("u32",) * 3) for name in ("__byte_perm", "__usad", "__dp4a")),
        *((f"__funnelshift_{how}", ("u32",) * 3) for how in ("l", "r", "lc", "rc")),
        *((name, ("u32", "u32")) for name in ("__umulhi", "__uhadd", "__urhadd")),
        ("__sad", ("i32", "i32", "u32")),
        *((f"__v{name}", ("u32", "u32")) for name in (
            "add2", "add4", "sub2", "sub4", "addss4", "addus2", "subus4", "absdiffu4", "absdiffs2", "maxs4", "minu2",
            "cmpgts2", "seteq4", "avgu4", "avgs2")),
    ],
    "i64": [("__mul64hi", ("i64", "i64")), ("nearest", ("f64",)), ("f32_to_i64", ("f32",)), ("f64_to_i64", ("f64",))],
    "u64": [
        ("__brevll", ("u64",)), ("__umul64hi", ("u64", "u64")), ("bits", ("f64",)),
        ("f32_to_u64", ("f32",)), ("f64_to_u64", ("f64",)),
    ],
    "f32": [
        ("as_f32", ("u32",)), ("least", ("f32", "f32")), ("most", ("f32", "f32")), ("sign_of", ("f32", "f32")),
        *((name, ("f32",)) for name in ("fabsf", "floorf", "ceilf", "truncf", "rintf", "sqrtf")),
        ("fmaf", ("f32",) * 3), ("fmodf", ("f32", "f32")), ("roundf", ("f32",)),
    ],
    "f64": [
        ("as_f64", ("u64",)), ("least", ("f64", "f64")), ("most", ("f64", "f64")), ("sign_of", ("f64", "f64")),
        *((name, ("f64",)) for name in ("fabs", "floor", "ceil", "trunc", "rint", "sqrt")), ("fma", ("f64",) * 3),
        ("round", ("f64",)),
    ],
}  # fmt: skip


def width(type_: str) -> int:
    return int(type_[1:])


class Program:
    """One function `body(x, o, t)` from the inputs of a thread to its outputs, with the functions that it calls.

    Attributes:
        outputs: how many words the body writes.
    """

    def __init__(self, rng: random.Random, name: str, statements: int = 14) -> None:
        self.rng = rng
        self.name = name
        self.names = 0
        self.scope: list[tuple[str, str]] = []
        self.fixed: set[str] = set()
        self.arrays: list[tuple[str, str]] = []
        self.called: list[tuple[str, str, tuple[str, ...]]] = []
        self.functions: list[str] = []
        for _ in range(rng.randrange(3)):
            self._add_function()
        lines = self._inputs()
        for _ in range(statements):
            lines += self.statement(2, in_loop=False)
        self.outputs = len(self.scope) + len(self.arrays)
        results = [name for name, _ in self.scope] + [f"{name}[t & 3]" for name, _ in self.arrays]
        lines += [f"o[{place}] = bits({result});" for place, result in enumerate(results)]
        body = "\n  ".join(lines)
        self.text = "\n".join(self.functions)
        self.text += f"\nDEVICE void body_{name}(const u64 *x, u64 *o, u32 t) {{\n  {body}\n}}\n"
        self.text += f"ENTRY({name}, body_{name}, {INPUTS}, {self.outputs})\n"

    def _fresh(self, letter: str) -> str:
        self.names += 1
        return f"{letter}{self.names}"

    def _inputs(self) -> list[str]:
        lines = []
        for place, type_ in enumerate(INTEGERS + FLOATS):
            source = f"x[{place}]"
            value = f"as_{type_}({source})" if type_ in FLOATS else f"({type_}){source}"
            if type_ == "f32":
                value = f"as_f32((u32){source})"
            lines.append(f"{type_} {self._declare(type_)} = {value};")
        return lines

    def _declare(self, type_: str) -> str:
        name = self._fresh("v")
        self.scope.append((name, type_))
        return name

    def _add_function(self) -> None:
        arguments = [self.rng.choice(INTEGERS + FLOATS) for _ in range(self.rng.randrange(1, 4))]
        result = self.rng.choice(INTEGERS + FLOATS)
        saved, self.scope = self.scope, [(self._fresh("p"), type_) for type_ in arguments]
        name = f"{self.name}_{self._fresh('f')}"
        formals = ", ".join(f"{type_} {formal}" for formal, type_ in self.scope)
        self.functions.append(f"CALLED {result} {name}({formals}) {{ return {self.expression(result, 3)}; }}")
        self.scope = saved
        self.called.append((name, result, tuple(arguments)))

    def condition(self, depth: int) -> str:
        type_ = self.rng.choice(INTEGERS + FLOATS)
        test = self.rng.choice(("<", "<=", ">", ">=", "==", "!="))
        text = f"({self.expression(type_, depth)} {test} {self.expression(type_, depth)})"
        if self.rng.random() < 0.2:
            return f"({text} {self.rng.choice(('&&', '||', '!='))} {self.condition(depth - 1)})"
        return text

    def expression(self, type_: str, depth: int) -> str:
        rng = self.rng
        known = [name for name, own in self.scope if own == type_]
        if depth <= 0 or rng.random() < 0.12:
            if known and rng.random() < 0.8:
                return rng.choice(known)
            return self._literal(type_)
        roll = rng.random()
        functions = [one for one in self.called if one[1] == type_]
        if roll < 0.12:
            return f"({self.condition(depth - 1)} ? {self.expression(type_, depth - 1)} : {self.expression(type_, depth - 1)})"
        if roll < 0.2 and functions:
            name, _, arguments = rng.choice(functions)
            return f"{name}({', '.join(self.expression(one, depth - 1) for one in arguments)})"
        if roll < 0.26 and any(own == type_ for _, own in self.arrays):
            name = rng.choice([name for name, own in self.arrays if own == type_])
            return f"{name}[(u32){self.expression(rng.choice(INTEGERS), depth - 1)} & 3]"
        if roll < 0.5 and type_ in _INTRINSICS:
            name, arguments = rng.choice(_INTRINSICS[type_])
            return f"{name}({', '.join(self.expression(one, depth - 1) for one in arguments)})"
        if roll < 0.65:
            return self._conversion(type_, depth)
        return self._float(type_, depth) if type_ in FLOATS else self._integer(type_, depth)

    def _literal(self, type_: str) -> str:
        if type_ in FLOATS:
            return f"({self.rng.choice(_LITERALS[type_])})"
        value = self.rng.choice(
            (0, 1, 2, 7, 31, 255, (1 << width(type_)) - 1, 1 << (width(type_) - 1), self.rng.getrandbits(width(type_)))
        )
        return f"({type_}){value & (1 << width(type_)) - 1:#x}ull"

    def _conversion(self, type_: str, depth: int) -> str:
        source = self.rng.choice([one for one in INTEGERS + FLOATS if one != type_])
        text = self.expression(source, depth - 1)
        if source in FLOATS and type_ in INTEGERS:
            wide = type_ if width(type_) >= 32 else "i32"
            return f"({type_}){source}_to_{wide}({text})"
        return f"({type_})({text})"

    def _float(self, type_: str, depth: int) -> str:
        rng = self.rng
        if rng.random() < 0.25:
            name, count = rng.choice(
                (("add", 2), ("mul", 2), ("div", 2), ("sqrt", 1), ("rcp", 1), ("sub", 2), ("fma", 3))
            )
            arguments = ", ".join(self.expression(type_, depth - 1) for _ in range(count))
            letter = "f" if type_ == "f32" else "d"
            if name == "fma":  # the intrinsics are called __fmaf_rn and __fma_rn
                letter, name = ("f", "maf") if type_ == "f32" else ("", "fma")
            return f"ROUNDED({type_}, {letter}, {name}, {rng.choice(('rn', 'rz', 'ru', 'rd'))}, {arguments})"
        if rng.random() < 0.15:
            return f"(-{self.expression(type_, depth - 1)})"
        return f"({self.expression(type_, depth - 1)} {rng.choice('+-*/')} {self.expression(type_, depth - 1)})"

    def _integer(self, type_: str, depth: int) -> str:
        rng = self.rng
        wide = "u64" if width(type_) == 64 else "u32"
        a = self.expression(type_, depth - 1)
        roll = rng.random()
        if roll < 0.2:
            amount = f"({self.expression(rng.choice(INTEGERS), depth - 1)} & {width(type_) - 1})"
            return f"({type_})({a} >> {amount})" if rng.random() < 0.5 else f"({type_})(({wide}){a} << {amount})"
        if roll < 0.25:
            return f"absolute<{type_}>({a})"
        if roll < 0.3:
            return f"({type_})~{a}"
        b = self.expression(type_, depth - 1)
        if roll < 0.42:
            return f"{rng.choice(('divide', 'modulo'))}<{type_}>({a}, {b})"
        if roll < 0.5:
            return f"({a} {rng.choice('<>')} {b} ? {a} : {b})"
        return f"({type_})(({wide}){a} {rng.choice('+-*&|^')} ({wide}){b})"

    def statement(self, depth: int, *, in_loop: bool) -> list[str]:
        rng = self.rng
        roll = rng.random()
        if depth <= 0 or roll < 0.45:
            return self._assignment()
        if roll < 0.6:
            return [
                f"if {self.condition(2)} {{",
                *self._block(depth, in_loop),
                "} else {",
                *self._block(depth, in_loop),
                "}",
            ]
        if roll < 0.75:
            return self._loop(depth)
        if roll < 0.85:
            return self._switch(depth, in_loop)
        if roll < 0.95 and len(self.arrays) < 3:
            return self._array()
        if in_loop:
            return [f"if {self.condition(2)} {rng.choice(('break', 'continue'))};"]
        return self._assignment()

    def _assignment(self) -> list[str]:
        free = [one for one in self.scope if one[0] not in self.fixed]
        if free and self.rng.random() < 0.6:
            name, type_ = self.rng.choice(free)
            return [f"{name} = {self.expression(type_, 3)};"]
        type_ = self.rng.choice(INTEGERS + FLOATS)
        text = self.expression(type_, 3)
        return [f"{type_} {self._declare(type_)} = {text};"]

    def _block(self, depth: int, in_loop: bool) -> list[str]:
        scope, arrays = len(self.scope), len(self.arrays)
        lines = []
        for _ in range(self.rng.randrange(1, 4)):
            lines += self.statement(depth - 1, in_loop=in_loop)
        del self.scope[scope:], self.arrays[arrays:]
        return ["  " + line for line in lines]

    def _loop(self, depth: int) -> list[str]:
        counter = self._fresh("c")
        limit = f"(u32){self.expression(self.rng.choice(INTEGERS), 2)} % 5 + 1"
        limit = limit if self.rng.random() < 0.6 else str(self.rng.randrange(1, 6))
        self.scope.append((counter, "i32"))
        self.fixed.add(counter)
        bound = self._fresh("n")
        head = f"{{ const i32 {bound} = {limit}; for (i32 {counter} = 0; {counter} < {bound}; {counter}++) {{"
        lines = [head, *self._block(depth, in_loop=True), "} }"]
        self.scope.remove((counter, "i32"))
        return lines

    def _switch(self, depth: int, in_loop: bool) -> list[str]:
        cases = self.rng.randrange(2, 9)
        lines = [f"switch ((u32){self.expression(self.rng.choice(INTEGERS), 2)} % {cases + 1}) {{"]
        for case in range(cases):
            lines += [f"case {case}: {{", *self._block(depth, in_loop=False)]
            lines.append("} break;" if self.rng.random() < 0.7 else "} [[fallthrough]];" if case < cases - 1 else "}")
        return [*lines, "}"]

    def _array(self) -> list[str]:
        type_ = self.rng.choice(INTEGERS + FLOATS)
        name = self._fresh("a")
        values = ", ".join(self.expression(type_, 2) for _ in range(4))
        self.arrays.append((name, type_))
        place = self.expression(self.rng.choice(INTEGERS), 2)
        return [f"{type_} {name}[4] = {{{values}}};", f"{name}[(u32){place} & 3] = {self.expression(type_, 2)};"]
