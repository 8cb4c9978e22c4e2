"""NVRTC in a child process: the same artifacts and errors, and a death that is only an error."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap

import pytest

import jitload
from jitload import Cache, CompileError, CompileRequest, Toolchain
from jitload.compiler import isolate
from jitload.compiler.isolate import CompilerDied, CompilerProcess, compile_isolated
from jitload.compiler.toolkit import toolkit_roots
from jitload.door import compile_request
from jitload.headers.closure import Closure

SOURCE = """#include <cuda_fp16.h>
#include "mine.h"
template <typename T> __global__ void add(T *x, int n) { if (threadIdx.x < n) x[threadIdx.x] += T(MINE); }
"""
TOOLCHAIN = Toolchain("nvrtc", "12.9.86", "ab" * 32)


def request(source: str = SOURCE, **changes) -> CompileRequest:
    fields = {"kind": "cubin", "arch": "sm_80", "name": "add.cu", "headers": {"mine.h": "#define MINE 3\n"}, **changes}
    return CompileRequest(source, **fields)


@pytest.mark.parametrize(
    "wanted",
    [
        request(names=["add<float>", "add<__half>"]),
        request(kind="ptx", arch="compute_80", options=["-lineinfo"], names=["add<float>"]),
        request(kind="ltoir", names=["add<float>"]),
        request(kind="fatbin", arch=["sm_80", "compute_80"], names=["add<int>"]),
        request("#define WHICH <cuda_fp16.h>\n#include WHICH\n__global__ void k(__half *x) { int unused; }"),
    ],
    ids=["cubin", "ptx", "ltoir", "fatbin", "macro"],
)
@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_the_artifact_is_the_same(wanted):
    alone, here = compile_request(wanted, Cache(), isolate=True), compile_request(wanted, Cache())
    assert (alone.key, alone.data, alone.log) == (here.key, here.data, here.log)
    assert alone.kernels == here.kernels


def test_a_compile_error_is_the_same():
    broken = request('#include "mine.h"\n__global__ void k() { no; }\n', headers={"mine.h": ""})
    errors = []
    for options in ({"isolate": True}, {}):
        with pytest.raises(CompileError) as caught:
            compile_request(broken, Cache(), **options)
        errors.append((str(caught.value), caught.value.file, caught.value.line, caught.value.log))
    assert errors[0] == errors[1]
    assert errors[0][1:3] == ("add.cu", 2)


def test_an_error_that_nvrtc_has_no_log_for_is_the_same():
    with pytest.raises(CompileError) as here:
        compile_request(request(options=["--no-such-option"]), Cache())
    with pytest.raises(CompileError) as alone:
        compile_request(request(options=["--no-such-option"]), Cache(), isolate=True)
    assert str(here.value) == str(alone.value)


def test_compile_has_the_switch_and_a_hit_starts_no_process(monkeypatch):
    cache = Cache()
    artifact = jitload.compile("__global__ void k() {}", arch="sm_80", cache=cache, isolate=True)
    monkeypatch.setattr(isolate, "CompilerProcess", None)
    assert jitload.compile("__global__ void k() {}", arch="sm_80", cache=cache, isolate=True) == artifact


def test_nvrtc_is_not_loaded_here(tmp_path):
    import subprocess

    code = """
import sys, jitload
jitload.compile("__global__ void k() {}", arch="sm_80", cache=jitload.Cache(), isolate=True)
assert "cuda.bindings.nvrtc" not in sys.modules
assert "nvrtc" not in open("/proc/self/maps").read()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_compiler_that_dies_is_a_compile_error(monkeypatch, tmp_path):
    """A real one: NVRTC 12.9.86 ends its process with a signal here, and one that does not has errors to report."""
    monkeypatch.chdir(tmp_path)
    deadly = "template<class T> __global__ void r(}T*x){}"
    with pytest.raises(CompileError) as caught:
        jitload.compile(deadly, arch="sm_80", names=["r<int>"], name="deadly.cu", isolate=True)
    assert caught.value.file == "deadly.cu"
    if jitload.compile("__global__ void k() {}", arch="sm_80").toolchain.version == "12.9.86":
        assert "the compiler died with signal 11 (SIGSEGV) on this request (cubin, sm_80)" in str(caught.value)
        assert "'r<int>'" in str(caught.value)
    assert not list(tmp_path.glob("core*"))


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """Children that do not answer, in a module that they can import."""
    (tmp_path / "bad_answers.py").write_text(
        textwrap.dedent(
            """
            import os, signal, sys, time

            def core_limit(question):
                import resource
                yield resource.getrlimit(resource.RLIMIT_CORE)

            def echo(question):
                print("noise on standard output")
                yield question
                yield question

            def killed(question):
                os.kill(os.getpid(), signal.SIGKILL)
                yield

            def raises(question):
                raise RuntimeError("not an answer")
                yield

            def silent(question):
                time.sleep(600)
                yield

            def unknown(question):
                os.kill(os.getpid(), signal.SIGRTMIN + 1)
                yield
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import bad_answers

    yield bad_answers
    del sys.modules["bad_answers"]


def test_questions_are_answered_in_order(answers):
    with CompilerProcess(answers.echo) as child:
        for question in ("one", b"\0" * (1 << 20), {"three": 3}):
            child.ask(question)
            assert (child.reply(), child.reply()) == (question, question)
        pid = child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("killed", "died with signal 9 (SIGKILL)"),
        ("raises", "ended with exit code 1"),
        ("unknown", "died with signal 35"),
    ],
)
def test_the_way_it_died_is_told(answers, how, words):
    with CompilerProcess(getattr(answers, how)) as child:
        child.ask("question")
        with pytest.raises(CompilerDied) as caught:
            child.reply()
        assert caught.value.how == words
        assert not caught.value.hung
        with pytest.raises(CompilerDied):
            child.ask("another")


def test_a_compiler_that_dies_leaves_no_core_file(answers):
    """Some hundred megabytes each, in the working directory."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with CompilerProcess(answers.core_limit) as child:
            child.ask("question")
            assert child.reply() == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_a_silent_child_is_stopped(answers):
    with CompilerProcess(answers.silent) as child:
        child.ask("question")
        with pytest.raises(CompilerDied, match=r"gave no answer within 0\.5 s") as caught:
            child.reply(0.5)
    assert caught.value.hung


def test_a_child_that_died_while_others_hold_its_end_is_noticed(answers, monkeypatch):
    """A fork of the caller's between the pipe and the start of the child inherits the other end."""
    held = []
    original = isolate.subprocess.Popen

    def popen(*arguments, pass_fds, **keywords):
        held.append(os.dup(pass_fds[0]))
        return original(*arguments, pass_fds=pass_fds, **keywords)

    monkeypatch.setattr(isolate.subprocess, "Popen", popen)
    monkeypatch.setattr(isolate, "LOOK_SECONDS", 0.1)
    with CompilerProcess(answers.killed) as child:
        child.ask("question")
        with pytest.raises(CompilerDied, match="SIGKILL"):
            child.reply(60)
    os.close(held[0])


def test_the_bound_holds_for_a_compile(monkeypatch, answers):
    monkeypatch.setattr(isolate, "answer_program", answers.silent)
    wanted = request()
    with pytest.raises(CompileError, match=r"add\.cu: the compiler gave no answer within 0\.5 s and was stopped"):
        compile_isolated(wanted, Closure(wanted, toolkit_roots()), TOOLCHAIN, bound_seconds=0.5)


def test_without_an_interpreter_there_is_no_child(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(CompileError, match="no process can be started"):
        jitload.compile("__global__ void k() {}", arch="sm_80", isolate=True)


LASTING = """
from jitload import Cache, CompileRequest
from jitload.door import compile_request
from jitload.batch.precompile import precompile

SOURCE = 'extern "C" __global__ void k(const float *x, float *y) { y[0] = 2 * x[0]; y[1] = x[1]; }'

def wanted(number, *options):
    return CompileRequest(f"{SOURCE} // {number}", kind="cubin", arch="sm_86", name="k.cu", options=options)

here = [wanted(0), wanted(1, "--restrict"), wanted(2)]
data = [compile_request(request, Cache()).data for request in here]
assert data[0] != data[1], "the option changes nothing here"
assert data[0] == data[2], "what came later was compiled with it"
there = [wanted(3, "--restrict"), wanted(4)]
cache = Cache()
assert len(precompile(there, cache=cache, jobs=1).compiled) == 2
assert [compile_request(request, cache).data for request in there] == [data[1], data[0]]
"""


def test_what_nvrtc_does_not_forget_is_the_option_of_one_compile_alone(tmp_path):
    """12.9 and 13.0 compile everything after a compile with --restrict with it, so wrong where pointers overlap."""
    done = subprocess.run([sys.executable, "-c", LASTING], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
