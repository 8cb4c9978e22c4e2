"""Random structured control flow with warp and block operations, as CUDA C and as an interpreter of single threads.

Operations of many threads stand only where all of their threads arrive: `mask` names the variable that holds them, and
is None where threads may have left through `break` or `continue`, or run different numbers of rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random

WORD = 0xFFFFFFFF
VARIABLES = 4


class Expression(NamedTuple):
    """A number of one thread: `text` is C over v0.. and t."""

    text: str

    def value(self, state: dict[str, int]) -> int:
        return eval(self.text, {}, state) & WORD


class Statement(NamedTuple):
    kind: str
    parts: tuple[Any, ...]


class Generator:
    """Makes one kernel: a body with common operations, and a tail in which threads may end early."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self.may_return = False
        self.body = [self.statement(3, "full", True, False) for _ in range(7)]
        self.may_return = True
        self.tail = [self.statement(3, None, False, False) for _ in range(4)]

    def expression(self) -> Expression:
        rng = self.rng
        names = [f"v{k}" for k in range(VARIABLES)] + ["t"]
        a, b = rng.choice(names), rng.choice([*names, str(rng.randrange(1, 1000))])
        text = f"(({a} {rng.choice('+*^&|')} {b}) & 0xffffffff)"  # which is nothing in C, and the width of a word here
        return Expression(f"({text} >> {rng.randrange(9)})" if rng.random() < 0.4 else text)

    def condition(self) -> Expression:
        divisor = self.rng.randrange(2, 6)
        return Expression(f"({self.expression().text} % {divisor} < {self.rng.randrange(1, divisor)})")

    def fresh(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def block(self, depth: int, mask: str | None, whole: bool, in_loop: bool) -> list[Statement]:
        return [self.statement(depth - 1, mask, whole, in_loop) for _ in range(self.rng.randrange(1, 4))]

    def statement(self, depth: int, mask: str | None, whole: bool, in_loop: bool) -> Statement:
        rng = self.rng
        roll = rng.random()
        target = rng.randrange(VARIABLES)
        if whole and roll < 0.1:
            return Statement("exchange", (target, rng.randrange(1, 40)))
        if mask is not None and roll < 0.35:
            kind = rng.choice(("shfl", "xor", "down", "ballot", "any", "sync"))
            return Statement(kind, (target, mask, self.condition(), rng.randrange(1, 32)))
        if depth <= 0 or roll < 0.5:
            return Statement("assign", (target, self.expression()))
        if mask is not None and roll < 0.65:
            name = self.fresh("m")
            other = self.fresh("m")
            inside = self.block(depth, name, False, False), self.block(depth, other, False, False)
            return Statement("part", (name, other, mask, self.condition(), *inside))
        if roll < 0.75:
            return Statement(
                "if",
                (self.condition(), self.block(depth, None, False, in_loop), self.block(depth, None, False, in_loop)),
            )
        if roll < 0.83:
            return Statement(
                "repeat", (self.fresh("c"), Expression(str(rng.randrange(2, 4))), self.block(depth, mask, whole, False))
            )
        if roll < 0.92:
            rounds = Expression(f"({self.expression().text} % 5)")
            return Statement("repeat", (self.fresh("c"), rounds, self.block(depth, None, False, True)))
        if roll < 0.96 or mask is not None or not (in_loop or self.may_return):
            cases = [self.block(depth, None, False, False) for _ in range(rng.randrange(2, 6))]
            return Statement("switch", (self.expression(), cases))
        ways = ["break", "continue"] if in_loop else ["return"]
        return Statement("leave", (self.condition(), rng.choice(ways)))


def text_of(statements: list[Statement]) -> str:
    return "\n".join(_text(one) for one in statements)


def _text(one: Statement) -> str:
    p = one.parts
    if one.kind == "assign":
        return f"v{p[0]} = {p[1].text};"
    if one.kind == "exchange":
        return f"box[t] = v{p[0]}; __syncthreads(); v{p[0]} ^= box[(t + {p[1]}) % n]; __syncthreads();"
    if one.kind == "part":
        name, other, mask, test, yes, no = p
        return (f"u32 {name} = __ballot_sync({mask}, {test.text}), {other} = {mask} & ~{name};\n"
                f"if ({name} >> (t & 31) & 1) {{ {text_of(yes)} }} else {{ {text_of(no)} }}")  # fmt: skip
    if one.kind == "if":
        return f"if {p[0].text} {{ {text_of(p[1])} }} else {{ {text_of(p[2])} }}"
    if one.kind == "repeat":
        return (
            f"{{ u32 n{p[0]} = {p[1].text}; for (u32 {p[0]} = 0; {p[0]} < n{p[0]}; {p[0]}++) {{ {text_of(p[2])} }} }}"
        )
    if one.kind == "switch":
        cases = " ".join(f"case {k}: {{ {text_of(case)} }} break;" for k, case in enumerate(p[1]))
        return f"switch ({p[0].text} % {len(p[1]) + 1}) {{ {cases} }}"
    if one.kind == "leave":
        return f"if {p[0].text} {{ {'goto end' if p[1] == 'return' else p[1]}; }}"
    target, mask, test, number = p
    return {
        "shfl": f"v{target} += __shfl_sync({mask}, v{target}, __ffs({mask}) - 1);",
        "xor": f"{{ u32 got = __shfl_xor_sync({mask}, v{target}, {number}); if ({mask} >> ((t & 31) ^ {number}) & 1) v{target} += got; }}",
        "down": f"{{ u32 got = __shfl_down_sync({mask}, v{target}, {number}); if ((t & 31) + {number} < 32 && ({mask} >> ((t & 31) + {number}) & 1)) v{target} ^= got; }}",
        "ballot": f"v{target} += __ballot_sync({mask}, {test.text});",
        "any": f"v{target} ^= __any_sync({mask}, {test.text}) * 2 + __all_sync({mask}, {test.text});",
        "sync": f"__syncwarp({mask});",
    }[one.kind]


class Interpreter:
    """Runs a block's threads as sets: those that are here, and those that left by a way."""

    def __init__(self, n: int, seeds: list[int]) -> None:
        self.n = n
        self.states: list[dict[str, int]] = []
        for t in range(n):
            rest = n - t // 32 * 32
            full = WORD if rest >= 32 else (1 << rest) - 1
            self.states.append(
                {"t": t, "full": full, **{f"v{k}": (seeds[t] >> 7 * k) & WORD for k in range(VARIABLES)}}
            )

    def run(self, statements: list[Statement], here: list[int], left: dict[str, set[int]]) -> list[int]:
        for one in statements:
            here = self.step(one, here, left)
        return here

    def choose(self, test: Expression, here: list[int]) -> list[int]:
        return [t for t in here if test.value(self.states[t])]

    def step(self, one: Statement, here: list[int], left: dict[str, set[int]]) -> list[int]:
        p, states = one.parts, self.states
        if one.kind == "assign":
            for t in here:
                states[t][f"v{p[0]}"] = p[1].value(states[t])
        elif one.kind == "exchange":
            box = {t: states[t][f"v{p[0]}"] for t in here}
            for t in here:
                states[t][f"v{p[0]}"] ^= box[(t + p[1]) % self.n]
        elif one.kind in {"part", "if"}:
            test = p[3] if one.kind == "part" else p[0]
            yes = self.choose(test, here)
            no = [t for t in here if t not in set(yes)]
            if one.kind == "part":
                for t in here:
                    word = sum(1 << u % 32 for u in yes if u // 32 == t // 32)
                    states[t] |= {p[0]: word, p[1]: states[t][p[2]] & ~word}
            return sorted(self.run(p[-2], yes, left) + self.run(p[-1], no, left))
        elif one.kind == "repeat":
            return self._repeat(p, here, left)
        elif one.kind == "switch":
            chosen = {t: p[0].value(states[t]) % (len(p[1]) + 1) for t in here}
            after = [t for t in here if chosen[t] == len(p[1])]
            for k, case in enumerate(p[1]):
                after += self.run(case, [t for t in here if chosen[t] == k], left)
            return sorted(after)
        elif one.kind == "leave":
            gone = set(self.choose(p[0], here))
            left.setdefault(p[1], set()).update(gone)
            return [t for t in here if t not in gone]
        else:
            self._together(one.kind, p, here)
        return here

    def _repeat(self, p: tuple[Any, ...], here: list[int], left: dict[str, set[int]]) -> list[int]:
        rounds = {t: p[1].value(self.states[t]) for t in here}
        inside, after, turn = here, [], 0
        while inside:
            after += [t for t in inside if rounds[t] <= turn]
            own: dict[str, set[int]] = {}
            inside = self.run(p[2], [t for t in inside if rounds[t] > turn], own)
            inside = sorted({*inside, *own.pop("continue", set())})
            after += sorted(own.pop("break", set()))
            left.setdefault("return", set()).update(own.pop("return", set()))
            turn += 1
        return sorted(after)

    def _together(self, kind: str, p: tuple[Any, ...], here: list[int]) -> None:
        target, mask, test, number = p
        name = f"v{target}"
        before = {t: self.states[t][name] for t in here}
        true = set(self.choose(test, here))
        for t in here:
            base = t // 32 * 32
            warp = [u for u in here if u // 32 == t // 32]
            assert sum(1 << u % 32 for u in warp) == self.states[t][mask], (
                "the generator put an operation where it may not be"
            )
            value = before[t]
            if kind == "shfl":
                value += before[warp[0]]
            elif kind == "xor" and base + ((t - base) ^ number) in before:
                value += before[base + ((t - base) ^ number)]
            elif kind == "down" and t - base + number < 32 and t + number in before:
                value ^= before[t + number]
            elif kind == "ballot":
                value += sum(1 << u % 32 for u in warp if u in true)
            elif kind == "any":
                value ^= any(u in true for u in warp) * 2 + all(u in true for u in warp)
            self.states[t][name] = value & WORD


def source_of(made: Generator, name: str) -> str:
    loads = " ".join(f"u32 v{k} = (u32)(x[i] >> {7 * k});" for k in range(VARIABLES))
    stores = " ".join(f"o[i * {VARIABLES} + {k}] = v{k};" for k in range(VARIABLES))
    return f"""extern "C" __global__ void {name}(const u64 *x, u32 *o) {{
    __shared__ u32 box[128]; u32 t = threadIdx.x, n = blockDim.x, i = blockIdx.x * n + t; {loads}
    u32 full = n - t / 32 * 32 >= 32 ? 0xffffffffu : (1u << n % 32) - 1;
    {{ {text_of(made.body)} }}
    {{ {text_of(made.tail)} }}
    end: {stores} }}
"""
