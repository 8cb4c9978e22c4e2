"""Machine code against lanes: the same bits, the same faults with the same words, and a refusal before anything runs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

import jitload

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
UNSET_WORD = 0x7FFF7FFF  # what memory holds that nobody wrote


def run(device, engine: Literal["lanes", "native"], name: str, grid, block, *arguments, shared: int = 0) -> str:
    """Launch; the text of the fault, with addresses as they would be in both, or ""."""
    with jitload.configure(cpu_engine=engine):
        try:
            device.run(name, grid, block, *arguments, shared=shared)
        except jitload.CpuFault as fault:
            return str(fault)
    return ""


def both(device, name: str, grid, block, *arguments, shared: int = 0) -> str:
    """Launch with either engine on the same arrays, and compare all of them and the fault."""
    copies = [[one.copy() if isinstance(one, np.ndarray) else one for one in arguments] for _ in range(2)]
    faults = [
        run(device, "lanes", name, grid, block, *copies[0], shared=shared),
        run(device, "native", name, grid, block, *copies[1], shared=shared),
    ]
    for one, other in zip(*copies, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))
    assert not device.module.device_function(name).native.refused
    assert without_addresses(faults[0]) == without_addresses(faults[1])
    return faults[1]


def without_addresses(text: str) -> str:
    """The words that are the same with either engine: not where memory is, nor what of other tests' lies near to it."""
    return " ".join("0x" if "0x1000" in word else word for word in re.sub(r"Nearest: .*", "", text).split())


TILE = """
extern "C" __global__ void tile(const float *x, float *y, int n, int row) {
    __shared__ float part[64];
    extern __shared__ int more[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    float sum = 0;
    for (int k = 0; k < row; ++k) {
        part[t] = i + k < n ? x[i + k] : -1.0f;
        more[t] = t * k;
        __syncthreads();
        for (int j = 0; j < blockDim.x; ++j) sum += part[j] * more[blockDim.x - 1 - j];
        if (sum > 1e6f) sum *= 0.5f;
        __syncthreads();
    }
    int scratch[12];
    for (int k = 0; k < 12; ++k) scratch[(k * 5 + t) % 12] = k * i;
    if (i < n) y[i] = sum / (3.0f + scratch[t % 12]);
}
"""


@pytest.mark.parametrize("block", [1, 31, 64])
def test_barriers_shared_and_local_memory(cuda, block):
    x = np.random.default_rng(block).standard_normal(300).astype(np.float32)
    assert not both(cuda(TILE), "tile", (5, 2), block, x, np.zeros(300, np.float32), 300, 7, shared=64 * 4)


ONE_APART = """
.visible .entry one_apart(.param .u64 out, .param .u32 who, .param .u32 ends) {
    .shared .align 4 .b8 all[256];
    .reg .pred %p, %q; .reg .b32 %t, %who, %ends, %n, %s, %r; .reg .b64 %w, %o;
    mov.u32 %t, %tid.x; mov.u32 %n, %ntid.x; ld.param.u32 %who, [who]; ld.param.u32 %ends, [ends]; ld.param.u64 %w, [out];
    mov.u32 %s, all; mad.lo.u32 %s, %t, 4, %s; st.shared.u32 [%s], %t;
    setp.ne.u32 %p, %t, %who; @%p bra MANY;
    setp.ne.u32 %q, %ends, 0; @%q bra END;
    barrier.sync 0; bra MET;
MANY: barrier.sync 0;
MET: sub.u32 %r, %n, %t; mad.lo.u32 %s, %r, 4, all; ld.shared.u32 %r, [%s+-4]; mad.lo.u32 %r, %r, 100, 7;
    mul.wide.u32 %o, %t, 4; add.u64 %w, %w, %o; st.global.u32 [%w], %r;
END: ret;
}"""


@pytest.mark.parametrize(("block", "who"), [(8, 0), (64, 63), (64, 8), (60, 59)])
@pytest.mark.parametrize("ends", [0, 1])
def test_all_but_one_wait_at_a_barrier(ptx, block, who, ends):
    device, out = ptx(ONE_APART), np.zeros(64, np.uint32)
    assert not both(device, "one_apart", 1, block, out, who, ends)
    assert run(device, "native", "one_apart", 1, block, out, who, ends) == ""
    want = np.where(np.arange(64) < block, (block - 1 - np.arange(64)) * 100 + 7, 0)
    np.testing.assert_array_equal(out, np.where((np.arange(64) == who) & ends, 0, want).astype(np.uint32))


GENERIC = """
.visible .entry generic(.param .u64 out, .param .u32 n) {
    .local .align 8 .b8 own[512];
    .shared .align 8 .b8 all[512];
    .reg .pred %p; .reg .b32 %t, %n, %r, %s; .reg .b64 %w, %v, %a, %b, %c, %d, %e, %o, %x;
    mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4;
    ld.param.u64 %v, [out]; add.u64 %w, %v, %o; ld.param.u32 %n, [n];
    mov.u64 %b, own; cvta.local.u64 %c, %b; mov.u64 %d, all; cvta.shared.u64 %e, %d;
    setp.eq.u32 %p, %n, 0; selp.u64 %a, %c, %e, %p;
    st.u32 [%a+256], 7;
    add.u64 %x, %a, %o;
    st.u32 [%x], %t;
    bar.sync 0;
    ld.u32 %r, [%a+8]; ld.u32 %s, [%x]; mad.lo.u32 %r, %r, 100, %s; ld.u32 %s, [%a+256]; add.u32 %r, %r, %s;
    st.u32 [%w], %r;
    ret;
}"""


@pytest.mark.parametrize(("n", "third"), [(0, "own"), (1, "all")])
def test_one_generic_address_of_local_memory_is_a_place_for_each_thread(ptx, n, third):
    device, out = ptx(GENERIC), np.zeros(64, np.uint32)
    assert not both(device, "generic", 1, 64, out, n)
    with jitload.configure(cpu_engine="native"):
        device.run("generic", 1, 64, out, n)
    thread = np.arange(64)
    of_third = 2 if third == "all" else np.where(thread == 2, 2, UNSET_WORD)
    np.testing.assert_array_equal(out, (of_third * 100 + thread + 7).astype(np.uint32))


FAULTS = """
extern "C" __global__ void past(const float *x, float *y) { y[threadIdx.x] = x[threadIdx.x * 4]; }
extern "C" __global__ void before(int *x) { x[(int)threadIdx.x - 3] = 1; }
extern "C" __global__ void null(int *x) { *(int *)(x[0] * 8ull) = 1; }
extern "C" __global__ void odd(char *x) { *(int *)(x + 2 * threadIdx.x) = 1; }
extern "C" __global__ void shared(int *x, int n) { __shared__ int s[8]; s[threadIdx.x * n] = 1; x[0] = s[0]; }
extern "C" __global__ void stops(int *x) { if (x[threadIdx.x] == 5) __trap(); }
extern "C" __global__ void apart(int *x) { if (threadIdx.x < 40) { __syncthreads(); x[1] = 1; } else { __syncthreads(); x[2] = 1; } }
extern "C" __global__ void vector(float *x) { ((float4 *)(x + 1))[threadIdx.x] = make_float4(1, 2, 3, 4); }
"""


@pytest.mark.parametrize(
    ("name", "block", "arguments", "text"),
    [
        ("past", 32, (np.ones(64, np.float32), np.zeros(32, np.float32)), "thread (16, 0, 0)"),
        ("before", 32, (np.zeros(32, np.int32),), "access starts 12 bytes before its start"),
        ("null", 1, (np.zeros(1, np.int32),), "null pointer"),
        ("odd", 8, (np.zeros(64, np.int8),), "misaligned"),
        ("shared", 32, (np.zeros(1, np.int32), 3), "shared address"),
        ("stops", 32, (np.arange(32, dtype=np.int32),), "trap"),
        ("apart", 64, (np.zeros(4, np.int32),), "barrier divergence"),
        ("vector", 2, (np.zeros(64, np.float32),), "misaligned"),
    ],
)
def test_faults_have_the_words_of_lanes(cuda, name, block, arguments, text):
    device = cuda(FAULTS)
    native = run(device, "native", name, 1, block, *arguments)
    assert not device.module.device_function(name).native.refused
    lanes = run(
        device, "lanes", name, 1, block, *[one.copy() if isinstance(one, np.ndarray) else one for one in arguments]
    )
    assert text in native
    assert without_addresses(native) == without_addresses(lanes)


@pytest.mark.usefixtures("cuda")
def test_a_launch_of_the_public_api_uses_arrays_in_place_and_shields_constants():
    source = """extern "C" __global__ void k(const int *x, int *y) {
        int *hidden = (int *)x; hidden[threadIdx.x] += 1; y[threadIdx.x] = hidden[threadIdx.x] * 10 + x[0]; }"""
    x, y = np.arange(32, dtype=np.int32), np.zeros(32, np.int32)
    x.flags.writeable = False
    with jitload.configure(device="cpu", cpu_engine="native"):
        jitload.compile(source, name="shielded.cu").load()["k"][1, 32](x, y)
    np.testing.assert_array_equal(y, (np.arange(32) + 1) * 10 + 1)
    np.testing.assert_array_equal(x, np.arange(32))


SPIN = """
.visible .entry spin(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r; .reg .b64 %w;
    ld.param.u64 %w, [out];
WAIT:
    ld.global.u32 %r, [%w];
    setp.eq.u32 %p, %r, 0;
    @%p bra WAIT;
    ret;
}
.visible .entry gather(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r, %s; .reg .b64 %w;
    ld.param.u64 %w, [out];
    mov.b32 %s, 0;
MORE:
    ld.global.u32 %r, [%w];
    add.u32 %s, %s, %r;
    setp.lt.u32 %p, %s, 3;
    @%p bra MORE;
    ret;
}
.visible .entry round(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r; .reg .b64 %w;
    ld.param.u64 %w, [out];
TURN:
    bar.sync 0;
    ld.global.u32 %r, [%w];
    setp.eq.u32 %p, %r, 0;
    @%p bra TURN;
    ret;
}
.visible .entry agree(.param .u64 out) {
    .shared .b32 word;
    .reg .pred %p; .reg .b32 %r;
    st.shared.u32 [word], 1;
TURN:
    bar.sync 0;
    ld.shared.u32 %r, [word];
    setp.eq.u32 %p, %r, 0;
    @%p bra TURN;
    ret;
}
.visible .entry bound(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r, %s; .reg .b64 %w;
    ld.param.u64 %w, [out];
    mov.b32 %s, 0;
AGAIN:
    ld.global.u32 %r, [%w];
    add.u32 %s, %s, 1;
    setp.lt.u32 %p, %s, %r;
    @%p bra AGAIN;
    ret;
}
.visible .entry search(.param .u64 out) {
    .reg .pred %p; .reg .b32 %r, %s; .reg .b64 %w, %v;
    ld.param.u64 %w, [out];
    mov.b64 %v, %w;
    mov.b32 %s, 0;
ON:
    ld.global.u32 %r, [%v];
    add.u64 %v, %v, 4;
    add.u32 %s, %s, %r;
    setp.lt.u32 %p, %s, 2;
    @%p bra ON;
    ret;
}
.visible .entry chase(.param .u64 out) {
    .reg .pred %p; .reg .b64 %w, %v;
    ld.param.u64 %w, [out];
    mov.b64 %v, %w;
NEXT:
    ld.global.u64 %v, [%v];
    setp.ne.u64 %p, %v, 0;
    @%p bra NEXT;
    st.global.u64 [%w+8], 3;
    ret;
}
.visible .entry long(.param .u64 out) {
    .reg .b64 %w; .reg .b128 %q;
    ld.param.u64 %w, [out];
    mov.b128 %q, {%w, %w};
    ret;
}
.visible .entry rounds(.param .u64 out) {
    .reg .f64 %f;
    add.rz.f64 %f, 0d3FF0000000000000, 0d3FF0000000000000;
    ret;
}"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("spin", "may wait"), ("gather", "may wait"), ("round", "may wait"), ("agree", ""), ("bound", ""),
        ("search", ""), ("chase", ""),
        ("long", "128 bits have no native form"), ("rounds", ""),
    ],
)  # fmt: skip
def test_what_has_no_native_form_is_refused_and_runs_on_lanes(ptx, name, why):
    device = ptx(SPIN)
    words = np.array([0, 1], np.uint64) if name == "chase" else np.ones(2, np.uint64)
    with jitload.configure(cpu_engine="native"):
        device.run(name, 1, 1, words)
    refused = device.module.device_function(name).native.refused
    assert (why in refused) if why else not refused
    assert words[1] == (3 if name == "chase" else 1)


LOOPS = """
extern "C" __global__ void endless(volatile unsigned *x, unsigned n) {
    for (unsigned i = 0; ; i += 2) { if (i == n) break; x[0] = i; }
}
"""


def test_an_endless_thread_is_stopped_at_its_line(cuda):
    device = cuda(LOOPS, "-lineinfo")
    text = run(device, "native", "endless", 1, 32, np.zeros(32, np.uint32), 1)
    assert not device.module.device_function("endless").native.refused
    assert "an endless loop" in text
    assert "kernel.cu:3" in text


LONG = """
import signal, numpy as np, jitload
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from jitload.cpu.module import load_ptx
text = b'''.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p, .param .u32 n) {
    .reg .pred %p; .reg .b32 %r, %n; .reg .b64 %w;
    ld.param.u64 %w, [p]; ld.param.u32 %n, [n]; mov.u32 %r, 0;
NEXT:
    add.u32 %r, %r, 1; setp.lt.u32 %p, %r, %n; @%p bra NEXT;
    st.global.u32 [%w], %r; ret; }'''
x = np.zeros(1, np.uint32)
with jitload.configure(device="cpu", cpu_engine="native"):
    kernel = load_ptx(text)["k"]
    kernel[1, 1](x, 5)
    try:
        print(x[0], flush=True)
        kernel[1 << 20, 256](x, 1 << 20)  # for days
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


def test_an_interrupt_stops_a_long_launch():
    with subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "5\n"
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "stopped\n"
        finally:
            child.kill()


def test_without_llvmlite_everything_runs_on_lanes():
    script = (
        "import sys; sys.modules['llvmlite'] = None; sys.modules['llvmlite.binding'] = None\n"
        "import numpy as np, jitload\n"
        "from jitload.cpu.module import load_ptx\n"
        "text = b'''.version 8.0\\n.target sm_80\\n.address_size 64\\n.visible .entry k(.param .u64 p) {"
        " .reg .b64 %w; ld.param.u64 %w, [p]; st.global.u32 [%w], 7; ret; }'''\n"
        "module = load_ptx(text)\n"
        "with jitload.configure(device='cpu', cpu_engine='native'):\n"
        "    x = np.zeros(1, np.uint32); module['k'][1, 1](x)\n"
        "print(x[0], module.device_function('k').native.refused)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("7 llvmlite cannot be imported")
    assert "jitload[native]" in done.stdout


SOURCE_OF_ONE = """
extern "C" __global__ void twice(float *x, int n) {
    int i = threadIdx.x;
    if (i < n) x[i] *= 2;
}
"""


OUTLIVES = """
import numpy as np, jitload
from jitload.cpu.native import machine

@jitload.jit_kernel
def add(x):
    '''extern "C" __global__ void add(int *x) { x[threadIdx.x] += 1; }'''

x = np.zeros(32, np.int32)
with jitload.configure(cpu_engine="native", device="cpu"):
    add[1, 32](x)
machine.zzz = add  # goes when the names of that module that stand before it have gone
del add, jitload
print(x.sum())
"""


def test_machine_code_that_outlives_its_module_goes_without_a_word():
    done = subprocess.run([sys.executable, "-c", OUTLIVES], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("32\n", "")


def test_a_kernel_of_a_source_has_machine_code_and_faults_show_the_source():
    """Each reading of its PTX makes excerpts of its own: they say nothing of where an instruction stands."""

    @jitload.jit_kernel(source=SOURCE_OF_ONE)
    def twice(x, n): ...

    with jitload.configure(device="cpu", cpu_engine="native"):
        x = np.ones(32, np.float32)
        twice[1, 32](x, 32)
        assert (x == 2).all()
        with pytest.raises(jitload.CpuFault, match=r"(?s)out of bounds.*x\[i\] \*= 2"):
            twice[1, 64](x, 64)
        loaded = jitload.compile(SOURCE_OF_ONE).load()
        loaded["twice"][1, 32](x, 32)
        assert not loaded.device_function("twice").native.refused
