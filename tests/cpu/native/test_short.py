"""Short ways behind a branch, on which a row of machine code stays together: the same bits and faults as on lanes."""

from __future__ import annotations

import numpy as np

from .test_launch import both, run, without_addresses

SHORT = """
typedef unsigned u;
extern "C" __global__ void ways(const u *in, u *out, u *count, u limit) {
    __shared__ u part[96], more[96];
    u t = threadIdx.x, i = blockIdx.x * blockDim.x + t, x = in[i], mine[2] = {x, limit};
    if (x & 4) atomicAdd(count + (x >> 7 & 3), x & 7);
    part[t] = more[t] = limit;
    if (x & 1) part[t] = x;
    if (x & 2) more[t] += 3; else out[i * 8] = x;
    __syncthreads();
    x += more[blockDim.x - 1 - t];
    if (x & 8) mine[x >> 4 & 1] = part[t]; else if (x & 16) out[i * 8 + 2] = x;
    for (u k = 0; k < (x & 3); ++k) if (x >> k & 1) out[i * 8 + 3 + k] = part[t] + k;
    out[i * 8 + 7] = mine[x >> 5 & 1] + __ballot_sync(0xffffffffu, x & 64);
    if (in[i] == 7) out[limit * 1000000 + i] = 1;
}
"""
#: On one way a register is written that all have in common: the other way, or what follows, reads what it was.
IN_COMMON = """.visible .entry in_common(.param .u64 out, .param .u32 number, .param .u32 which) {
  .reg .b32 %r<9>;
  .reg .b64 %rd<3>;
  .reg .pred %p<3>;
  mov.u32 %r0, %tid.x;
  ld.param.u32 %r1, [number];
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd1, %r0, 12, %rd0;
  and.b32 %r2, %r0, 1;
  setp.eq.u32 %p0, %r2, 0;
  @%p0 bra $even;
  mov.u32 %r1, 77;
  st.global.u32 [%rd1], %r1;
  bra.uni $all;
$even:
  st.global.u32 [%rd1+4], %r1;
$all:
  ld.param.u32 %r3, [number];
  ld.param.u32 %r4, [which];
  @%p0 bra $behind;
  add.u32 %r3, %r3, %r4;
$behind:
  st.global.u32 [%rd1+8], %r3;
  ret;
}
"""


def test_ways_of_few_threads(cuda):
    values = np.random.default_rng(3).integers(8, 1 << 32, 192, np.uint32)
    device = cuda(SHORT)
    for block in (96, 61):
        arguments = (values, np.zeros(192 * 8, np.uint32), np.zeros(4, np.uint32), 5)
        assert not both(device, "ways", 2, block, *arguments)


def test_faults_on_short_ways(cuda):
    """They name the thread and the line, and what those before it wrote is there."""
    values = np.full(96, 8, np.uint32)
    values[45] = 7
    device, faults, written = cuda(SHORT), [], []
    for engine in ("lanes", "native"):
        written.append(np.zeros(96 * 8, np.uint32))
        faults.append(run(device, engine, "ways", 1, 96, values, written[-1], np.zeros(4, np.uint32), 5))
    assert not device.module.device_function("ways").native.refused
    np.testing.assert_array_equal(*written)
    assert "thread (45, 0, 0)" in faults[0]
    assert "out[limit * 1000000 + i]" in faults[0] or "st.global" in faults[0]
    assert without_addresses(faults[0]) == without_addresses(faults[1])


def test_what_a_row_has_in_common(ptx):
    assert not both(ptx(IN_COMMON), "in_common", 1, 40, np.zeros(120, np.uint32), 5, 9)
