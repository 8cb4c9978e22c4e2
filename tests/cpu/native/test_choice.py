"""Engine auto: lanes until machine code has come to pay and is there, and nothing of how it is made is ever in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import jitload
from jitload import log
from jitload.cpu.native import choice
from jitload.cpu.native.background import Background, background

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

ADD = """.visible .entry add(.param .u64 out) {
    .reg .b32 %r; .reg .b64 %w;
    ld.param.u64 %w, [out];
    ld.global.u32 %r, [%w];
    add.u32 %r, %r, 1;
    st.global.u32 [%w], %r;
    ret;
}
.visible .entry long(.param .u64 out) {
    .reg .b64 %w; .reg .b128 %q;
    ld.param.u64 %w, [out];
    mov.b128 %q, {%w, %w};
    st.global.u32 [%w], 7;
    ret;
}"""


@pytest.fixture
def free(monkeypatch):
    """Compiling costs nothing, so that the first launch on lanes has cost more."""
    monkeypatch.setattr(choice, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(choice, "COMPILE_SECONDS", 0.0)
    monkeypatch.setattr(choice, "COMPILE_SECONDS_EACH", 0.0)


def launch(device, name: str, words, times: int = 1, **settings) -> None:
    with jitload.configure(**{"cpu_engine": "auto", **settings}):
        for _ in range(times):
            device.run(name, 1, 1, words)


@pytest.mark.usefixtures("free")
def test_the_first_launch_is_on_lanes_and_later_ones_are_machine_code(ptx):
    device, words = ptx(ADD), np.zeros(1, np.uint32)
    native = device.module.device_function("add").native
    launch(device, "add", words)
    assert native.launches == 0
    assert background.wait(60)
    assert native.ready
    launch(device, "add", words, 2)
    assert (words[0], native.launches) == (3, 2)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("settings", [{"cpu_check": "race"}, {"cpu_check": "init"}, {"cpu_engine": "lanes"}])
def test_who_watches_or_asks_for_lanes_gets_lanes(ptx, settings):
    device, words = ptx(ADD), np.zeros(1, np.uint32)
    native = device.module.device_function("add").native
    launch(device, "add", words)
    assert background.wait(60)
    launch(device, "add", words, **settings)
    assert (words[0], native.launches) == (2, 0)


def test_what_costs_little_is_not_compiled(ptx, monkeypatch):
    monkeypatch.setattr(choice, "COMPILE_SECONDS", 1000.0)
    device, words = ptx(ADD), np.zeros(1, np.uint32)
    launch(device, "add", words, 3)
    assert background.wait(60)
    assert not device.module.device_function("add").native.ready


@pytest.mark.usefixtures("free")
def test_what_is_refused_is_asked_once_and_goes_on_on_lanes(ptx, monkeypatch):
    said = []
    monkeypatch.setattr(log, "debug", lambda *words: said.append(words))
    device, words = ptx(ADD), np.zeros(1, np.uint32)
    for _ in range(3):
        launch(device, "long", words)
        assert background.wait(60)
    assert "128 bits" in device.module.device_function("long").native.refused
    assert len(said) == 1


@pytest.mark.usefixtures("free")
def test_a_kernel_that_takes_long_to_compile_is_not_compiled_beside_the_program(ptx, monkeypatch):
    monkeypatch.setattr(choice, "MOST_INSTRUCTIONS", 2)
    device, words = ptx(ADD), np.zeros(1, np.uint32)
    launch(device, "add", words)
    native = device.module.device_function("add").native
    assert background.wait(60)
    assert "5 instructions are more" in native.declined
    launch(device, "add", words, cpu_engine="native")
    assert (words[0], native.launches) == (2, 1)


ORDER = """.visible .entry k(.param .u64 out) {
    .reg .b32 %r, %n; .reg .f32 %f; .reg .b64 %w; .reg .pred %p;
    ld.param.u64 %w, [out]; mov.b32 %n, 0;
    """
LOOP = "LOOP: red.global.add.f32 [%w], 0f3F800000; add.u32 %n, %n, 1; setp.lt.u32 %p, %n, 3; @%p bra LOOP;"


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("red.global.add.u32 [%w], 1;", False),
        ("atom.global.add.u32 %r, [%w], 1; st.global.u32 [%w+4], %r;", False),
        ("@%p red.global.add.f32 [%w], 0f3F800000;", False),
        ("red.global.add.f32 [%w], 0f3F800000; red.global.add.f32 [%w], 0f3F800000;", True),
        (LOOP, True),
    ],
    ids=["integer", "in turn", "once", "twice", "loop"],
)
def test_auto_leaves_to_lanes_what_sums_floats_in_another_order(ptx, text, depends):
    device, words = ptx(ORDER + text + "ret; }"), np.zeros(2, np.uint32)
    native = device.module.device_function("k").native
    launch(device, "k", words)
    assert background.wait(60)
    assert not native.refused
    assert ("another way" in native.declined, native.ready) == (depends, not depends)


TWICE = """.visible .entry twice(.param .u64 from, .param .u64 to) {
    .reg .b32 %r; .reg .f32 %f; .reg .b64 %v, %w, %d;
    ld.param.u64 %v, [from]; ld.param.u64 %w, [to];
    mov.u32 %r, %tid.x; mul.wide.u32 %d, %r, 4; add.u64 %v, %v, %d; add.u64 %w, %w, %d;
    ld.global.f32 %f, [%v]; add.f32 %f, %f, %f; st.global.f32 [%w], %f; ret; }"""


def test_arrays_that_overlap_are_read_as_on_lanes(ptx):
    module = ptx(TWICE).module
    base = np.arange(100, dtype=np.float32)
    want = base.copy()
    want[10:42] = 2 * base[0:32]
    native = module.device_function("twice").native
    with jitload.configure(device="cpu", cpu_engine="native"):
        module["twice"][1, 32](base[0:32], base[10:42])
        np.testing.assert_array_equal(base, want)
        assert native.launches == 0
        module["twice"][1, 32](base[0:32], base[32:64])
        module["twice"][1, 32](base[0:32], base[0:32])
    assert native.launches == 2


def test_what_goes_wrong_in_the_thread_is_logged_and_the_next_piece_is_done(monkeypatch):
    said, done = [], threading.Event()
    monkeypatch.setattr(log, "debug", lambda text, *words: said.append(text % words))
    own = Background()
    assert own.add(lambda: {}[0])
    assert own.add(done.set)
    assert own.wait(60)
    assert done.is_set()
    assert said == ["KeyError while making machine code: 0"]
    own.end()
    assert not own.add(done.clear)


LARGE = """
import os, signal, sys, threading, time
import numpy as np, jitload
from jitload.cpu.module import load_ptx
from jitload.cpu.native import choice
from jitload.cpu.native.background import background
from jitload.cpu.native.machine import calls
choice.LOOK_SECONDS = choice.COMPILE_SECONDS = choice.COMPILE_SECONDS_EACH = 0.0
body = "".join(f"fma.rn.f32 %f{n % 7}, %f{n % 5}, %f{n % 3}, %f{n % 6};" for n in range(1200))
text = f'''.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p) {{ .reg .b64 %w; .reg .f32 %f<8>; ld.param.u64 %w, [p]; ld.global.f32 %f1, [%w];
{body} st.global.f32 [%w], %f3; ret; }}
.visible .entry small(.param .u64 p) {{ .reg .b64 %w; ld.param.u64 %w, [p]; st.global.u32 [%w], 7; ret; }}'''
module, x = load_ptx(text.encode()), np.ones(4, np.float32)
with jitload.configure(device="cpu", cpu_engine="native"):
    module["small"][1, 1](x)  # whose machine code a child frees
with jitload.configure(device="cpu", cpu_engine="auto"):
    module["k"][1, 1](x)
    while not calls.others_inside():
        assert not module.device_function("k").native.ready
        time.sleep(0.001)
"""
BY_LLVM = """
from jitload.cpu.native import compile as compiling
compiling.has_images = bool  # as on other systems
"""
FORK = """
child = os.fork()
if not child:
    signal.alarm(20)
    with jitload.configure(device="cpu", cpu_engine="native"):
        module["k"][1, 1](x)
        assert "forked" in module.device_function("k").native.refused
        module["small"][1, 1](x)
    module.close()
    del module
    import gc; gc.collect()
    assert background.wait(0)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "program",
    [LARGE + FORK, BY_LLVM + LARGE + FORK, LARGE + "sys.exit(0)"],
    ids=["fork", "fork, with code that LLVM has loaded", "exit"],
)
def test_a_process_that_ends_or_forks_in_the_middle_of_it_does_so_in_peace(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
