"""Machine code from one process to the next: found by all that decides of it, and good at other addresses."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import jitload
from jitload.cpu.native import kept, machine, makers, sources
from jitload.cpu.native.compile import compile_native
from jitload.tiers.cache import default_cache

llvmlite = pytest.importorskip("llvmlite", reason="llvmlite is not installed")

COUNT = """.visible .global .align 4 .u32 turns = 5;
.visible .entry count(.param .u64 out) {
    .reg .b32 %r; .reg .b64 %w, %v;
    ld.param.u64 %w, [out];
    mov.u64 %v, turns;
    ld.global.u32 %r, [turns];
    add.u32 %r, %r, 1;
    st.global.u32 [%v], %r;
    st.global.u32 [%w], %r;
    ret;
}"""


def launch(device, out) -> int:
    with jitload.configure(cpu_engine="native"):
        device.run("count", 1, 1, out)
    return int(out[0])


def objects() -> list[str]:
    beside = {sources.NAMESPACE, makers.NAMESPACE}
    return [one.name for one in default_cache().entries() if one.kind == "blob" and one.name not in beside]


@pytest.fixture
def cache_of_its_own(tmp_path):
    """Where no thread that still makes machine code of a test before keeps it."""
    with jitload.Session(cache_dir=tmp_path / "own", device="cpu"):
        yield


@pytest.mark.usefixtures("cache_of_its_own")
def test_another_module_of_the_same_text_takes_what_is_kept_and_uses_its_own_variables(ptx, monkeypatch):
    out = np.zeros(1, np.uint32)
    devices = [ptx(COUNT), ptx(COUNT)]
    assert launch(devices[0], out) == 6
    assert objects() == [kept.NAMESPACE]
    monkeypatch.setattr("jitload.cpu.native.compile.generate", None)  # nothing can be compiled any more
    assert [launch(devices[1], out), launch(devices[0], out), launch(devices[1], out)] == [6, 7, 7]
    assert devices[1].module.device_function("count").native.launches == 2


def test_no_address_of_this_process_is_in_it(ptx):
    codes = [device.module.device_function("count").code for device in (ptx(COUNT), ptx(COUNT))]
    addresses = {code.linker.address(code.linker.program.variables["turns"]) for code in codes}
    assert len(addresses) == 2
    assert len({compile_native(code).code for code in codes}) == 1


@pytest.mark.parametrize("field", ["llvm", "binding", "processor", "features"])
def test_another_llvm_or_processor_does_not_find_it(ptx, monkeypatch, field):
    code = ptx(COUNT).module.device_function("count").code
    kept.keep(code, compile_native(code))
    assert kept.find(code)
    here = machine.maker()
    monkeypatch.setattr(kept, "known_maker", lambda: here._replace(**{field: "another"}))
    assert kept.find(code) is None


def test_other_text_does_not_find_it(ptx):
    codes = [ptx(text).module.device_function("count").code for text in (COUNT, COUNT.replace("= 5", "= 6"))]
    kept.keep(codes[0], compile_native(codes[0]))
    assert [kept.find(code) is None for code in codes] == [False, True]


def test_strict_mode_compiles_and_takes_nothing(ptx):
    with jitload.configure(strict=True):
        assert launch(ptx(COUNT), np.zeros(1, np.uint32)) == 6
    assert objects() == []


NEXT = """
import sys
before = {*sys.modules}  # coverage is there already where it measures
import numpy as np, jitload
from jitload.cpu.module import load_ptx
module, out = load_ptx(open(sys.argv[1], "rb").read()), np.zeros(1, np.uint32)
if sys.argv[2] == "second":
    sys.modules["jitload.cpu.native.compile"] = None  # whoever imports it fails
with jitload.configure(device="cpu", cpu_engine="native"):
    module["count"][1, 1](out)
print(out[0], module.device_function("count").native.launches)
if sys.argv[2] == "second":
    unneeded = {"jitload.cpu.native.inlined", "jitload.cpu.native.stopped", "llvmlite", "hmac", "json"}
    print(*unneeded & sys.modules.keys() - before)
"""


def test_the_next_process_takes_it_and_loads_nothing_that_writes_it(tmp_path):
    path = tmp_path / "count.ptx"
    path.write_text(f".version 8.0\n.target sm_80\n.address_size 64\n{COUNT}")
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    for number in ("first", "second"):
        command = [sys.executable, "-c", NEXT, str(path), number]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert (done.stdout, done.stderr) == ("6 1\n" if number == "first" else "6 1\n\n", "")
    assert pathlib.Path(tmp_path, "cache", "objects").is_dir()


@pytest.fixture
def asked(monkeypatch):
    """How often LLVM is asked what it makes code for, each time as by a new process."""
    times, llvm = [], machine.maker

    def ask() -> machine.Maker:
        times.append(1)
        return llvm()

    monkeypatch.setattr(machine, "maker", ask)
    makers.known_maker.cache_clear()
    yield times
    makers.known_maker.cache_clear()


@pytest.mark.usefixtures("cache_of_its_own")
@pytest.mark.parametrize("what", ["STARTED", "PROCESSORS"])
def test_llvm_is_asked_once_for_each_processor_and_start_of_the_system(tmp_path, monkeypatch, asked, what):
    def known() -> int:
        makers.known_maker.cache_clear()
        assert makers.known_maker().binding == llvmlite.__version__
        return len(asked)

    assert [known(), known()] == [1, 1]
    other = tmp_path / what
    other.write_text("flags\t\t: fpu vme\n\n")
    monkeypatch.setattr(makers, what, other)
    assert [known(), known()] == [2, 2]
    other.unlink()
    assert [known(), known()] == [3, 4]  # a system that does not say
