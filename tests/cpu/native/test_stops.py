"""What has no end is stopped: by a signal at once, by itself soon; also where all threads meet in the loop."""

from __future__ import annotations

import gc
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

import jitload
from jitload.cpu.native import context

from .test_launch import run

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

LOOPS = """
.visible .entry stands(.param .u64 p) {
    .reg .b64 %w; .reg .pred %p; .reg .b32 %r;
    ld.param.u64 %w, [p]; mov.u32 %r, 0;
T:  bar.sync 0; st.global.u32 [%w], 7; setp.eq.u32 %p, %r, 0; @%p bra T; ret; }
.visible .entry counts(.param .u64 p) {
    .reg .b64 %w; .reg .pred %p; .reg .b32 %r;
    ld.param.u64 %w, [p]; mov.u32 %r, 0;
T:  bar.sync 0; add.u32 %r, %r, 2; setp.ne.u32 %p, %r, 1; @%p bra T; st.global.u32 [%w], 7; ret; }
.visible .entry long(.param .u64 p) {
    .reg .b64 %w; .reg .pred %p; .reg .b32 %r;
    ld.param.u64 %w, [p]; mov.u32 %r, 0;
T:  bar.sync 0; add.u32 %r, %r, 1; setp.lt.u32 %p, %r, 50000; @%p bra T; st.global.u32 [%w], %r; ret; }
.visible .entry straight(.param .u64 p) {
    .reg .b64 %w; ld.param.u64 %w, [p]; st.global.u32 [%w], 7; ret; }
"""


@pytest.mark.parametrize("block", [200, 1024])
def test_threads_that_meet_for_ever_and_change_nothing_are_stopped_at_their_barrier(ptx, block):
    device = ptx(LOOPS)
    text = run(device, "native", "stands", 1, block, np.zeros(4, np.uint32))
    assert not device.module.device_function("stands").native.refused
    assert "going round in an endless loop: all threads of the block meet" in text
    assert "bar.sync 0" in text


def test_threads_that_meet_too_often_are_stopped(ptx, monkeypatch):
    monkeypatch.setattr(context, "MOST_ROUNDS", 100_000)
    text = run(ptx(LOOPS), "native", "counts", 1, 32, np.zeros(4, np.uint32))
    assert "an endless loop" in text
    assert "bar.sync 0" in text


def test_threads_that_meet_often_and_come_to_an_end_do(ptx):
    out = np.zeros(4, np.uint32)
    assert run(ptx(LOOPS), "native", "long", 1, 32, out) == ""
    assert out[0] == 50_000


LEADER = """
.visible .entry leader(.param .u64 p, .param .u32 n) {
    .reg .b64 %w; .reg .pred %p, %q; .reg .b32 %t, %l, %n, %c, %f; .shared .u32 flag;
    ld.param.u64 %w, [p]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mov.u32 %l, %ntid.x; sub.u32 %l, %l, 1;
    setp.ne.u32 %q, %t, %l; mov.u32 %c, 0; mov.u32 %f, 0; st.shared.u32 [flag], %f;
T:  bar.sync 0; @%q bra M; add.u32 %c, %c, 1; setp.ge.u32 %p, %c, %n; selp.u32 %f, 1, 0, %p; st.shared.u32 [flag], %f;
M:  bar.sync 0; ld.shared.u32 %f, [flag]; setp.eq.u32 %p, %f, 0; @%p bra T; @%q bra E; st.global.u32 [%w], %c; E: ret; }
"""


@pytest.mark.parametrize("block", [1, 33, 36])
def test_what_the_last_threads_of_a_block_count_is_a_change(ptx, block):
    device, out = ptx(LEADER), np.zeros(4, np.uint32)
    assert run(device, "native", "leader", 1, block, out, 150_000) == ""
    assert not device.module.device_function("leader").native.refused
    assert out[0] == 150_000


SIGNAL = f"""
import signal, numpy as np, jitload
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from jitload.cpu.module import load_ptx
text = '''.version 8.0
.target sm_80
.address_size 64
{LOOPS}'''
from jitload.cpu.native import context
context.MOST_ROUNDS = 1 << 60
x = np.zeros(4, np.uint32)
with jitload.configure(device="cpu", cpu_engine="native"):
    module = load_ptx(text.encode())
    module["straight"][1, 32](x)
    for name, grid in (("counts", 1), ("straight", (1 << 31) - 1)):
        try:
            print("started", flush=True)
            module[name][grid, 32](x)
        except KeyboardInterrupt:
            print("stopped", module.device_function(name).native.refused, flush=True)
"""


def test_an_interrupt_stops_threads_that_meet_and_blocks_without_loops():
    with subprocess.Popen([sys.executable, "-c", SIGNAL], stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        try:
            for _ in range(2):
                assert child.stdout.readline() == b"started\n"
                child.send_signal(signal.SIGINT)
                while not select.select([child.stdout], [], [], 10)[0]:
                    child.send_signal(signal.SIGINT)  # Python drops one that arrives where an object is freed
                assert child.stdout.readline() == b"stopped \n"
        finally:
            child.kill()


class Rung(BaseException):
    """What a signal raises: as KeyboardInterrupt, nothing that is caught as a mistake."""


@pytest.mark.parametrize(("name", "grid"), [("counts", 1), ("straight", (1 << 31) - 1)])
def test_what_a_signal_raises_comes_out_of_the_launch_wherever_it_arrives(ptx, monkeypatch, name, grid):
    """Also before its first look, which was ended by it for good: the launch went on without."""

    def ring(*_):
        raise Rung

    def launch(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)  # in machine code: what is raised while objects are freed is lost
        device.run(name, grid, 32, out)

    device, out = ptx(LOOPS), np.zeros(4, np.uint32)
    monkeypatch.setattr(context, "MOST_ROUNDS", 1000)
    run(device, "native", name, 1, 32, out)  # compiled, and stopped soon
    monkeypatch.setattr(context, "MOST_ROUNDS", 1 << 60)
    monkeypatch.setattr(context, "FUEL_EDGES", 1 << 25)
    gc.collect()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with jitload.configure(cpu_engine="native"):
            for number in range(3):
                with pytest.raises(Rung):
                    launch(0.05 + number * 0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_launch_after_one_that_was_stopped_is_whole(ptx):
    device, out = ptx(LOOPS), np.zeros(4, np.uint32)
    assert run(device, "native", "stands", 1, 64, out)
    with jitload.configure(cpu_engine="native"):
        device.run("straight", 3, 64, out)
    assert out[0] == 7


HANDLER = f"""
import signal, sys, numpy as np, jitload
from jitload.cpu.module import load_ptx
from jitload.cpu.native.loaded import MachineCode

def loading(code):
    return code is MachineCode.__init__.__code__

def importing(code):
    return code.co_name == "<module>" and code.co_filename.endswith("native/compile.py")

text = '''.version 8.0
.target sm_80
.address_size 64
{LOOPS}'''
inside, outside = np.zeros(4, np.uint32), np.zeros(4, np.uint32)
rung = []

def ring(*_):
    rung.append(1)
    kernel[1, 32](inside)

def look(frame, event, _argument):
    if event == "call" and not rung and globals()[sys.argv[1]](frame.f_code):
        signal.raise_signal(signal.SIGALRM)

signal.signal(signal.SIGALRM, ring)
with jitload.configure(device="cpu", cpu_engine="native"):
    module = load_ptx(text.encode())
    kernel, native = module["straight"], module.device_function("straight").native
    sys.setprofile(look)
    kernel[1, 32](outside)
    sys.setprofile(None)
print(len(rung), (inside == outside).all(), repr(native.refused), native.launches)
"""


@pytest.mark.parametrize("what", ["loading", "importing"])
def test_a_handler_launches_the_kernel_that_is_being_compiled(what):
    """It waited for itself for ever, or found half of a module and refused the kernel. The inner launch runs on lanes."""
    command = [sys.executable, "-c", HANDLER, what]
    assert subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True).stdout == b"1 True '' 1\n"


HEAP = """
import itertools, signal
from jitload.cpu.memory.heap import Heap

def take(nbytes, label):
    if label == "outside":
        signal.raise_signal(signal.SIGALRM)
    return 16 * next(numbers)

numbers, heap, inside = itertools.count(1), Heap(take, lambda address: None), []
signal.signal(signal.SIGALRM, lambda *_: inside.append(heap.allocate(8, "inside")))
outside = heap.allocate(8, "outside")
heap.free(outside)
heap.free(inside[0])
print(len({outside, *inside}))
"""


def test_a_handler_takes_of_the_heap_while_something_is_taken():
    """As a launch of a kernel with `malloc` does in the middle of another: it waited for itself for ever."""
    command = [sys.executable, "-c", HEAP]
    assert subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True).stdout == b"2\n"
