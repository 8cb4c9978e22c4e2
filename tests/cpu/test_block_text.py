"""Blocks with the same text share what Python compiles, and nothing else."""

from __future__ import annotations

import numpy as np

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
    code = ptx(unrolled()).module.device_function("k").code
    functions = [block.run for block in code.functions["k"].blocks]
    between = functions[2:STEPS]  # those that add, and go on to the next shuffle
    assert len(between) == 3
    assert len({one.__code__ for one in between}) == 1
    assert len({one.__defaults__ for one in between}) == 3  # the registers
