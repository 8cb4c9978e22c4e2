"""Blocks with the same text share what Python compiles, and nothing else; what no lane comes by is not compiled."""

from __future__ import annotations

import numpy as np

import jitload

STEPS = 5


def unrolled() -> str:
    """Sums with the lane beside, as NVRTC unrolls a loop: the same instructions on other registers, five times."""
    steps = "\n".join(
        f"shfl.sync.bfly.b32 %r{5 + 2 * number}|%p1, %r{4 + 2 * number}, 1, 31, -1;\n"
        f"add.s32 %r{6 + 2 * number}, %r{4 + 2 * number}, %r{5 + 2 * number};"
        for number in range(STEPS)
    )
    return f"""
.visible .entry k(.param .u64 x) {{
 .reg .pred %p<2>;
 .reg .b32 %r<20>;
 .reg .b64 %rd<4>;
 ld.param.u64 %rd1, [x];
 mov.u32 %r1, %tid.x;
 mul.wide.u32 %rd2, %r1, 4;
 add.s64 %rd3, %rd1, %rd2;
 ld.global.u32 %r4, [%rd3];
 {steps}
 st.global.u32 [%rd3], %r{4 + 2 * STEPS};
 ret;
}}"""


def test_what_is_unrolled_gives_what_each_step_gives(ptx):
    x = np.random.default_rng(0).integers(0, 1 << 30, 64, dtype=np.uint32)
    expected = x.copy()
    for _ in range(STEPS):
        expected = expected + expected[np.arange(64) ^ 1]
    ptx(unrolled()).run("k", 1, 64, x)
    np.testing.assert_array_equal(x, expected)


def test_each_text_is_compiled_once(ptx):
    kernel = ptx(unrolled())
    with jitload.configure(cpu_engine="lanes"):
        kernel.run("k", 1, 64, np.zeros(64, np.uint32))
    code = kernel.module.device_function("k").code
    functions = [block.run for block in code.functions["k"].blocks]
    between = functions[2:STEPS]  # those that add, and go on to the next shuffle
    assert len(between) == 3
    assert len({one.__code__ for one in between}) == 1
    assert len({one.__defaults__ for one in between}) == 3  # the registers


BRANCH = """
.visible .entry k(.param .u64 x, .param .u32 n) {
 .reg .pred %p;
 .reg .b32 %n, %r;
 .reg .b64 %rd;
 ld.param.u64 %rd, [x];
 ld.param.u32 %n, [n];
 setp.eq.u32 %p, %n, 0;
 @%p bra SHORT;
 mul.lo.u32 %r, %n, 3;
 bra END;
SHORT:
 mov.u32 %r, 7;
END:
 st.global.u32 [%rd], %r;
 ret;
}"""


def test_code_is_compiled_when_lanes_first_come_by(ptx):
    kernel = ptx(BRANCH)
    blocks = kernel.module.device_function("k").code.functions["k"].blocks

    def compiled() -> int:
        return sum(block.run.__code__.co_filename == "<ptx k>" for block in blocks)

    x = np.zeros(1, np.uint32)
    counts = [compiled()]
    for n in (0, 5, 0, 5):
        with jitload.configure(cpu_engine="lanes"):
            kernel.run("k", 1, 1, x, n)
        assert x[0] == (3 * n or 7)
        counts.append(compiled())
    assert counts[0] == 0
    assert counts[1] < counts[2] == counts[3] == counts[4]
