"""Damaged PTX: an error of ours, or a kernel that still makes sense; never anything else."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from jitload.cpu.isa.registry import opcodes as known_opcodes
from jitload.errors import JitloadError

SOURCE = r"""
__constant__ float w[3] = {1, 2, 3}; __device__ int count;
__device__ __noinline__ float f(float x, int n) { return n ? x * w[n % 3] : sqrtf(x); }
extern "C" __global__ void k(const float *x, float *y, int n) {
    __shared__ float s[64]; int t = threadIdx.x;
    s[t] = t < n ? x[t] : 0; __syncthreads();
    float v = f(s[63 - t], t & 3); v += __shfl_xor_sync(0xffffffffu, v, 1);
    atomicAdd(&count, 1); y[t] = v / 3 + (float)(n % 7); if (t > 70) printf("%f\n", v);
}
"""
FRAGMENTS = [
    ";",
    ",",
    "{",
    "}",
    "[",
    "]",
    "%r1",
    "%rd2",
    "%f3",
    "%p1",
    ".u64",
    ".f32",
    "bra",
    "call",
    "0",
    "-1",
    "4294967296",
    "@",
    ".reg",
    ".",
]


def attempt(device, text: str) -> None:
    """Load, fetch and launch; every exception but ours goes through and fails the test."""
    with contextlib.suppress(JitloadError):
        made = device(text.encode())
        for name in made.module.functions:
            function = made.module.device_function(name)
            parameters = [(one.offset, one.size) for one in function.info.params]
            if parameters == [(0, 8), (8, 8), (16, 4)]:
                made.run(name, 1, 64, np.ones(64, np.float32), np.zeros(64, np.float32), 64)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("jitload.cpu.run.schedule.STEP_LIMIT", 3000)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_text(cuda, device, quick, seed):
    mutate_text(cuda, device, seed)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 200))
def test_much_mutated_text(cuda, device, quick, seed):
    mutate_text(cuda, device, seed)


def mutate_text(cuda, device, seed):
    text = cuda(SOURCE, "-lineinfo").ptx.decode().rstrip("\0")
    rng = random.Random(seed)
    for _ in range(150):
        changed = text
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(len(changed))
            end = place + rng.choice([0, 1, 1, 3, 20])
            insert = rng.choice([*FRAGMENTS, "", "", chr(rng.randrange(32, 127))])
            changed = changed[:place] + insert + changed[end:]
        attempt(device, changed)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_tokens(cuda, device, quick, seed):
    mutate_tokens(cuda, device, seed)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 134))
def test_much_mutated_tokens(cuda, device, quick, seed):
    mutate_tokens(cuda, device, seed)


def mutate_tokens(cuda, device, seed):
    words = cuda(SOURCE).ptx.decode().rstrip("\0").split(" ")
    rng = random.Random(seed)
    for _ in range(150):
        changed = list(words)
        for _ in range(rng.choice([1, 1, 2, 4])):
            changed[rng.randrange(len(changed))] = rng.choice(rng.choice([FRAGMENTS, words]))
        attempt(device, " ".join(changed))


def test_every_truncation(cuda, device, quick):
    text = cuda(SOURCE).ptx.decode().rstrip("\0")
    for end in range(0, len(text), 97):
        attempt(device, text[:end])


class Grammar:
    """PTX by the rules of the language, with operands, types and modifiers that need not go together."""

    TYPES = (
        "u8",
        "s16",
        "b32",
        "u32",
        "s64",
        "b64",
        "f16",
        "bf16",
        "f32",
        "f64",
        "f16x2",
        "bf16x2",
        "pred",
        "tf32",
        "b128",
    )
    NUMBERS = (
        "0", "-1", "1", "0x7fffffff", "4294967295", "0xffffffffffffffff", "017", "0b101", "1.5", "1e999", "-0.0", "0f7FC00001",
        "0d7FF8000000000001", "WARP_SZ", "99999999999999999999999", "(3+4)*2", "1?2:3", "~0", "!5", "(.u64)-1", "1/0", "1<<99",
        "5%(2-2)", "(.s64)1e30", "-(-(7))", "0f7F800000*2",
    )  # fmt: skip
    PARTS = (
        "rn", "rz", "rm", "rp", "rni", "ftz", "sat", "approx", "full", "lo", "hi", "wide", "cc", "relu", "NaN", "abs", "xorsign",
        "sync", "aligned", "cta", "gpu", "sys", "global", "shared", "local", "param", "const", "volatile", "acquire", "release",
        "relaxed", "v2", "v4", "add", "min", "cas", "exch", "inc", "eq", "ltu", "nan", "and", "popc", "down", "idx", "bfly",
        "ballot", "uni", "any", "all", "wrap", "clamp", "l", "r", "b4e", "to", "m16n8k8", "m16n16k16", "row", "col", "x2", "trans",
        "satfinite", "noinc", "shared::cta", "mbarrier::complete_tx::bytes", "bulk", "async", "cg", "wait_group", "init", "arrive",
    )  # fmt: skip

    def __init__(self, rng: random.Random, opcodes: list[str]) -> None:
        self.rng = rng
        self.opcodes = opcodes

    def text(self) -> str:
        """A module with one kernel and one function."""
        rng, variables = self.rng, "".join(self.variable(number) for number in range(self.rng.randrange(3)))
        body = "".join(self.statement(3) for _ in range(rng.randrange(1, 6)))
        function = f".func (.reg .b32 %o) f(.param .b32 a) {{ .reg .b32 %r<9>; {self.instruction()} ret; }}\n"
        registers = (
            ".reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 %r<9>; .reg .b64 %w<9>; .reg .f32 %f<9>; .reg .f64 %d<4>;"
            ".reg .b128 %q<2>; .reg .v4 .f32 %v; .shared .align 16 .b8 s[64]; .local .b32 m[4];"
        )
        head = f".version 8.7\n.target sm_90\n.address_size 64\n{variables}{function}"
        return f"{head}.visible .entry k(.param .u64 a) {{ {registers} ld.param.u64 %w1, [a];\n{body} L0: L1: ret; }}\n"

    def variable(self, number: int) -> str:
        rng = self.rng
        space, type_ = rng.choice((".global", ".const", ".shared", ".local")), rng.choice(self.TYPES)
        sizes = "".join(f"[{rng.choice(('', '2', '3', '0', '4-1', '1<<40', '-1'))}]" for _ in range(rng.randrange(3)))
        value = rng.choice(("", f" = {self.value(2)}", " = f", f" = generic(x{number})+4", " = 0xff(x0)"))
        return f"{rng.choice(('', '.visible ', '.extern ', '.align 8 '))}{space} .{type_} x{number}{sizes}{value};\n"

    def value(self, depth: int) -> str:
        if not depth or self.rng.random() < 0.5:
            return self.rng.choice(self.NUMBERS)
        return "{" + ", ".join(self.value(depth - 1) for _ in range(self.rng.randrange(4))) + "}"

    def statement(self, depth: int) -> str:
        roll = self.rng.random()
        if depth and roll < 0.1:
            return "{ " + self.statement(depth - 1) + self.statement(depth - 1) + "}\n"
        if roll < 0.15:
            return f"@{self.rng.choice(('', '!'))}%p{self.rng.randrange(4)} bra L{self.rng.randrange(3)};\n"
        if roll < 0.2:
            return ".reg .b32 %a<" + self.rng.choice(self.NUMBERS) + ">;\n"
        return self.instruction() + "\n"

    def instruction(self) -> str:
        rng = self.rng
        parts = [rng.choice(self.PARTS) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        types = [rng.choice(self.TYPES) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
        name = ".".join([rng.choice(self.opcodes), *parts, *types])
        guard = rng.choice(("", "", "", "@%p1 ", "@!%p2 "))
        return f"{guard}{name} {', '.join(self.operand(2) for _ in range(rng.randrange(6)))};"

    def operand(self, depth: int) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.55:
            return rng.choice(("%p", "%h", "%r", "%r", "%w", "%f", "%d")) + str(rng.randrange(4))
        if roll < 0.65:
            return rng.choice(self.NUMBERS)
        if depth and roll < 0.8:
            offset = rng.choice(("", "+4", "-8", f"+{rng.choice(self.NUMBERS)}"))
            return f"[{rng.choice(('%w1', '%w2', '%r1', 's', 'm', 'x0', 'a', '16'))}{offset}]"
        if depth and roll < 0.88:
            return "{" + ", ".join(self.operand(depth - 1) for _ in range(rng.choice((1, 2, 4)))) + "}"
        return rng.choice(
            (
                "%tid.x",
                "%laneid",
                "%v",
                "%v.x",
                "_",
                "s",
                "f",
                "x0",
                "L0",
                "!%p1",
                "%p1|%p2",
                "-%r1",
                "%r1.b0",
                "%q1",
                "(%r1)",
            )
        )


def generate(device, seed: int, count: int) -> None:
    opcodes = sorted({*known_opcodes(), "nonsense"})
    grammar = Grammar(random.Random(seed), opcodes)
    for _ in range(count):
        with contextlib.suppress(JitloadError):
            made = device(grammar.text().encode())
            made.run("k", 1, 40, np.zeros(64, np.uint64))


@pytest.mark.parametrize("seed", range(4))
def test_text_by_the_grammar(device, quick, seed):
    generate(device, seed, 150)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 140))
def test_much_text_by_the_grammar(device, quick, seed):
    generate(device, seed, 500)
