"""Every compile of a source gives the same bytes; where an old NVRTC makes names of a process id, they are found."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

import jitload
from jitload.compiler import nvrtc
from jitload.compiler.unstable import unstable_name, why_unstable

HIDDEN = "namespace { __global__ void q(int *x) { x[0] = 1; } }"
TARGETS = [("ptx", "compute_75"), ("cubin", "sm_80"), ("ltoir", "sm_80"), ("fatbin", ["sm_80", "compute_80"])]


def run_python(text, *arguments):
    """What a new interpreter writes to its standard error stream."""
    environment = {**os.environ, "JITLOAD_LOG": "error"}
    command = [sys.executable, "-c", text, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr  # what is not installed is told from other reasons by this text
    return done.stderr


def compiled(source, kind="ptx", arch="compute_75", names=("q",), **fields):
    return jitload.compile(source, kind=kind, arch=arch, names=names, **fields)


STATIC = (
    "static __device__ int v;\nstatic __device__ __noinline__ int f(int x) { return x + v++; }\n"
    "template <int N> __global__ void q(int *x) { *x = f(*x); }"
)
TYPE = "namespace { struct A { int v = 1; }; } template <class T> __global__ void t(int *x) { *x = T().v; }"


class OldNvrtc:
    """The NVRTC that is installed, without some options: it names the first of those in its log, as 12.8 does."""

    def __init__(self, *without):
        self.new, self.without, self.log = nvrtc.bindings(), without, b""
        self.asked = []

    def __getattr__(self, name):
        return getattr(self.new, name)

    def nvrtcCompileProgram(self, program, count, options):
        self.asked.append([option.decode() for option in options])
        refused = [option for option in self.asked[-1] if option.startswith(self.without)]
        self.log = f"nvrtc: error: unrecognized option {refused[0]} found\0".encode() if refused else b""
        return (
            (self.new.nvrtcResult.NVRTC_ERROR_INVALID_OPTION,)
            if refused
            else self.new.nvrtcCompileProgram(program, count, options)
        )

    def nvrtcGetProgramLogSize(self, program):
        return (
            (self.new.nvrtcResult.NVRTC_SUCCESS, len(self.log))
            if self.log
            else self.new.nvrtcGetProgramLogSize(program)
        )

    def nvrtcGetProgramLog(self, program, buffer):
        if not self.log:
            return self.new.nvrtcGetProgramLog(program, buffer)
        ctypes.memmove(buffer, self.log, len(self.log))
        return (self.new.nvrtcResult.NVRTC_SUCCESS,)


@pytest.fixture
def old_nvrtc(monkeypatch):
    """`old_nvrtc("--frandom-seed")`: an NVRTC as before 12.9 in the place of the one that is installed."""

    def put(*without):
        old = OldNvrtc(*without)
        monkeypatch.setattr(nvrtc, "bindings", lambda: old)
        return old

    return put


@pytest.fixture
def seedless(old_nvrtc):
    """An NVRTC without `--frandom-seed`."""
    return old_nvrtc("--frandom-seed")


@pytest.mark.usefixtures("seedless")
@pytest.mark.parametrize(("kind", "arch"), TARGETS, ids=[kind for kind, _ in TARGETS])
def test_a_kernel_in_an_anonymous_namespace_alone_is_unstable(kind, arch):
    why = why_unstable(compiled(HIDDEN, kind, arch))
    assert "_GLOBAL__N__" in why
    assert "__device__ void anchor() {}" in why


@pytest.mark.usefixtures("seedless")
@pytest.mark.parametrize(("kind", "arch"), TARGETS[:2], ids=["ptx", "cubin"])
def test_what_is_static_in_a_relocatable_image_is_unstable(kind, arch):
    assert "_INTERNAL_" in why_unstable(compiled(STATIC, kind, arch, names=["q<1>"], options=["-rdc=true"]))


@pytest.mark.usefixtures("seedless")
@pytest.mark.parametrize("anchor", ["__device__ void anchor() {}", 'extern "C" __global__ void z() {}'])
@pytest.mark.parametrize(("kind", "arch"), TARGETS, ids=[kind for kind, _ in TARGETS])
def test_an_external_symbol_makes_it_stable(kind, arch, anchor):
    assert why_unstable(compiled(f"{HIDDEN}\n{anchor}", kind, arch)) == ""


@pytest.mark.usefixtures("seedless")
@pytest.mark.parametrize("name", ["k.cu", "a-b c.cu", "9.cu", "ä$.cu", "long_" * 30 + ".cu"])
def test_whatever_the_program_is_called(name):
    assert why_unstable(compiled(HIDDEN, name=name))


@pytest.mark.usefixtures("seedless")
def test_a_template_argument_from_an_anonymous_namespace():
    assert why_unstable(compiled(TYPE, names=["t<A>"]))


COMPILED = """
import sys, hashlib, jitload
source, kind, arch, names, options = eval(sys.argv[1])
for _ in range(2):
    made = jitload.compile(source, kind=kind, arch=arch, names=names, options=options, name="k.cu", cache=jitload.Cache(None))
    print(made.key, hashlib.sha256(made.data).hexdigest(), [kernel.symbol for kernel in made.kernels.values()], file=sys.stderr)
"""


@pytest.mark.unmeasured
@pytest.mark.parametrize(("kind", "arch"), TARGETS, ids=[kind for kind, _ in TARGETS])
@pytest.mark.parametrize(
    ("source", "names", "options"),
    [(HIDDEN, ["q"], []), (STATIC, ["q<1>"], ["-rdc=true"]), (TYPE, ["t<A>"], []), (HIDDEN, ["q"], ["-G"])],
    ids=["anonymous", "static", "type", "debug"],
)
def test_every_process_makes_the_same_bytes(needs_nvrtc, kind, arch, source, names, options):
    needs_nvrtc("12.9")
    made = [run_python(COMPILED, repr((source, kind, arch, names, options))) for _ in range(2)]
    assert made[0] == made[1]
    assert len({*made[0].splitlines()}) == 1


def test_names_are_those_of_the_program_whatever_it_is_compiled_to(needs_nvrtc):
    needs_nvrtc("12.9")
    symbols = {compiled(HIDDEN, kind, arch).kernels["q"].symbol for kind, arch in TARGETS}
    assert len(symbols) == 1
    others = [compiled(HIDDEN, defines={"N": 1}), compiled(f"{HIDDEN}\n"), compiled(HIDDEN, options=["-lineinfo"])]
    assert len({*symbols, *(other.kernels["q"].symbol for other in others)}) == 4


def test_a_seed_of_the_callers_is_the_one(needs_nvrtc):
    needs_nvrtc("12.9")
    first, second = (compiled(text, options=["--frandom-seed=7"], name="k.cu") for text in (HIDDEN, f"{HIDDEN}\n"))
    assert first.kernels["q"].symbol == second.kernels["q"].symbol == "_ZN36_GLOBAL__N__00000000_4_k_cu_000000071qEPi"


@pytest.mark.parametrize(("kind", "arch"), [("ptx", "compute_75"), ("cubin", "sm_80")])
@pytest.mark.parametrize(
    "source", [f"{HIDDEN}\n__device__ void anchor() {{}}", 'extern "C" __global__ void q(int *x) { *x = 1; }']
)
def test_a_seed_changes_nothing_where_the_bytes_were_the_same_before(old_nvrtc, kind, arch, source):
    """Entries and bundles of before are made again, byte for byte."""
    seeded = compiled(source, kind, arch, cache=jitload.Cache(None))
    old_nvrtc("--frandom-seed")
    assert compiled(source, kind, arch, cache=jitload.Cache(None)).data == seeded.data


def test_an_nvrtc_that_does_not_know_our_options_is_asked_without_them(old_nvrtc):
    """At every compile after the one that found them out at once."""
    old = old_nvrtc("--no-cache", "--frandom-seed")
    source = b"__global__ void k() {}"
    for _ in range(2):
        nvrtc.compile_program(nvrtc.Run(source, "k.cu", {}, (), jitload.Kind.PTX, "compute_75", seed="5"))
    ours = [[option for option in asked if option.startswith(old.without)] for asked in old.asked]
    assert ours == [["--no-cache", "--frandom-seed=5"], ["--frandom-seed=5"], [], []]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_GLOBAL__N__00000000_4_k_cu_9c037531_11211",
        "_ZN29_GLOBAL__N__00000000_4_k_cu_z1qEPi",
        "_ZN43_GLOBAL__N__00000000_4_k_cu_deadbeef_1xyzabc1qEPi",
        "_ZN12_GLOBAL__N_16hiddenEPf",
        "_ZN36_GLOBAL__N__00000000_4_k_cu_000000071qEPi",
        "_ZN34_INTERNAL_00000000_4_k_cu_e8b7be431fEi",
        "_ZN9999_GLOBAL__N__00000000_4_k_cu_9c037531_11211",
    ],
)
def test_other_names_are_stable(text):
    assert unstable_name(text.encode()) == ""


def test_the_name_is_cut_where_its_length_says():
    assert unstable_name(b"_ZN42_GLOBAL__N__00000000_4_k_cu_9c037531_112111qEPi").endswith("_9c037531_11211")
    assert unstable_name(b"_ZN40_INTERNAL_00000000_4_k_cu_2b1da09c_114121fEi").endswith("_2b1da09c_11412")
    assert unstable_name(b"_Z1tIN142_GLOBAL__N__00000000_4_k_cu_9c037531_112111AEEvPi").endswith("_11211")
