"""Lanes that left a loop early go on alone only where the others might wait for them."""

from __future__ import annotations

import numpy as np
import pytest

import jitload
from jitload.cpu import function

_HEAD = """
.visible .const .u32 fixed = 1;
.func callee(.reg .b32 %i) { ret; }
.visible .entry k(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r; .reg .b64 %w;
    ld.param.u64 %w, [out];
    mov.u32 %r, 0;"""
_TAIL = """
    add.u32 %r, %r, 1;
    setp.lt.u32 %p, %r, 10;
    @%p bra LOOP;
    ld.global.u32 %r, [%w];
    ret;
}"""


@pytest.mark.parametrize(
    ("inside", "depends"),
    [
        ("mul.lo.u32 %r, %r, 1", False),
        ("ld.const.u32 %r, [fixed]", False),
        ("ld.param.u32 %r, [out]", False),
        ("st.global.u32 [%w], %r", False),
        ("shfl.sync.bfly.b32 %r, %r, 1, 31, -1", False),
        ("ld.global.nc.u32 %r, [%w]", False),
        ("ld.global.u32 %r, [%w]", True),
        ("ld.u32 %r, [%w]", True),
        ("atom.global.add.u32 %r, [%w], 0", True),
        ("call callee, (%r)", True),
        ("@%p bra NEXT; NEXT: ld.volatile.global.u32 %r, [%w]", True),
    ],
)
def test_which_loops_may_depend_on_other_threads(ptx, inside, depends):
    device = ptx(f"{_HEAD}\nLOOP: {inside};{_TAIL}")
    assert device.module.device_function("k").code.depends_on_others is depends


def test_a_thread_that_waits_for_a_plain_store_is_not_left_alone(ptx):
    """The waiting loop stands first, and nothing but fairness lets the others come to their store."""
    device = ptx("""
    .visible .entry k(.param .u64 out) {
        .reg .pred %p; .reg .b32 %r; .reg .b64 %w;
        ld.param.u64 %w, [out];
        mov.u32 %r, %tid.x;
        setp.ne.u32 %p, %r, 0;
        @%p bra SET;
    WAIT:
        ld.global.u32 %r, [%w];
        setp.eq.u32 %p, %r, 0;
        @%p bra WAIT;
        st.global.u32 [%w+4], 7;
        ret;
    SET:
        st.global.u32 [%w], %r;
        ret;
    }""")
    words = np.zeros(2, np.uint32)
    device.run("k", 1, 32, words)
    assert words[1] == 7


def test_threads_that_left_a_long_loop_stay_for_the_others(cuda, monkeypatch):
    """So what follows the loop runs once per warp, and a profile is the same for every batch size."""
    source = """
extern "C" __global__ void k(int *x)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = 0;
    #pragma unroll 1
    for (int left = x[i]; left > 0; left--) n = n * 1664525 + 1013904223;
    x[i] = n;
}
"""
    device = cuda(source, "-lineinfo")
    profiles = []
    for lanes in (32, 1 << 15):
        monkeypatch.setattr(function, "BATCH_LANES", lanes)
        x = np.arange(64, dtype=np.int32) % 7 * 750  # up to 4500 times round
        with jitload.configure(device="cpu"), jitload.cpu_profile() as profile:
            device.run("k", 2, 32, x)
        profiles.append(profile)
    assert profiles[0].to_json() == profiles[1].to_json()
    assert profiles[0].line(7).memory("global", "store").requests == 2
