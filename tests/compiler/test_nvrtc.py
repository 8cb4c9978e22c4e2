"""The bindings' own room: foreign failures become ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jitload
from jitload.compiler import nvrtc, toolkit
from jitload.images.check import sniff_kind
from jitload.values import Kind

SOURCE = b'extern "C" __global__ void k(int *out) { *out = 1; }\n'


def run(source=SOURCE, headers=None, options=(), *, kind=Kind.PTX, arch="compute_75", names=()):
    return nvrtc.compile_program(nvrtc.Run(source, "k.cu", headers or {}, tuple(options), kind, arch, tuple(names)))


@pytest.mark.parametrize(("kind", "arch"), [("cubin", "sm_80"), ("ptx", "compute_80"), ("ltoir", "sm_80")])
def test_images(kind, arch):
    output = run(kind=Kind(kind), arch=arch)
    assert sniff_kind(output.image) == kind
    assert (".entry k(" in output.ptx) is (kind != "ltoir")
    assert output.log == ""


def test_ptx_is_text_without_a_nul():
    image = run().image
    assert image.rstrip().endswith(b"}")
    assert b"\0" not in image


def test_ptx_for_a_real_arch_is_for_its_virtual_one():
    assert ".target sm_90a" in run(arch="sm_90a").ptx


def test_lowered_names():
    source = b"template <class T> __global__ void k(T *x) {}\nnamespace n { __global__ void k(int) {} }\n"
    assert run(source, names=["k<int>", "n::k"]).lowered == {"k<int>": "_Z1kIiEvPT_", "n::k": "_ZN1n1kEi"}


def test_headers_from_memory_and_none_from_the_disk(tmp_path, monkeypatch):
    (tmp_path / "value.h").write_text("#define VALUE 1\n")
    monkeypatch.chdir(tmp_path)
    source = b'#include "value.h"\nextern "C" __global__ void k(int *out) { *out = VALUE; }\n'
    assert "k" in run(source, {"value.h": b"#define VALUE 2\n"}).ptx
    with pytest.raises(nvrtc.NvrtcFailure) as caught:
        run(source)
    assert 'open source file "value.h"' in caught.value.log


def test_a_refusal_carries_status_and_log():
    with pytest.raises(nvrtc.NvrtcFailure) as caught:
        run(b"oops;\n")
    assert caught.value.status == "NVRTC_ERROR_COMPILATION"
    assert caught.value.log.startswith("k.cu(1): error")


def test_a_function_that_this_nvrtc_lacks_is_a_compile_error():
    with pytest.raises(jitload.CompileError, match="nvrtcNoSuchFunction is not in this NVRTC"):
        nvrtc.invoke("nvrtcNoSuchFunction")


def test_a_call_that_fails_is_a_compile_error():
    with pytest.raises(jitload.CompileError, match=r"nvrtcGetPTXSize failed: NVRTC_ERROR"):
        nvrtc.invoke("nvrtcGetPTXSize", 0)


def test_an_empty_program_has_no_image_problem():
    assert run(b"").image.startswith(b"//")
    assert sniff_kind(run(b"", kind=Kind.CUBIN, arch="sm_80").image) == "cubin"


def test_the_log_of_a_failure_is_not_that_of_the_next_compile():
    with pytest.raises(nvrtc.NvrtcFailure):
        run(b"oops;\n")
    assert run().log == ""


def test_importing_the_compiler_loads_no_bindings():
    script = "import sys, jitload.compiler.nvrtc, jitload.compiler.program, jitload.door; print([m for m in sys.modules if m.startswith(('cuda.', 'nvidia'))])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


HEAVY = ("typing", "dataclasses", "pathlib", "logging", "numpy", "inspect", "asyncio")


def test_the_hit_path_imports_nothing_heavy():
    script = f"import sys, jitload.door; jitload.door.toolkit_roots; print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}; {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "[]\n"


ELSEWHERE = """
import sys
sys.path[:0] = sys.argv[2:]
import jitload
from jitload.cuda.linker import link_ltoir
kernel = 'extern "C" __global__ void k(int *x) { *x = 1; }'
def compile(kind, arch, **options):
    return jitload.compile(kernel, kind=kind, arch=arch, cache=jitload.Cache(), **options).data
made = {
    "cubin": lambda: compile("cubin", "sm_80"),
    "isolated": lambda: compile("cubin", "sm_80", isolate=True),
    "fatbin": lambda: compile("fatbin", ["sm_80", "sm_90"]),
    "ltoir": lambda: link_ltoir(compile("ltoir", "sm_80"), "sm_80"),
}[sys.argv[1]]()
print(len(made) > 100)
"""


def run_elsewhere(kind, *options, **environment):
    if kind == "fatbin" and toolkit.find_library("nvfatbin") is None:
        pytest.skip("nvFatbin is not installed")
    paths = [path for path in sys.path if path]
    return subprocess.run(
        [sys.executable, *options, "-c", ELSEWHERE, kind, str(Path(jitload.__file__).parent.parent), *paths],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("kind", ["cubin", "isolated", "fatbin", "ltoir"])
def test_packages_anywhere_on_the_path_will_do(kind):
    """As `pip install --target` puts them: the bindings look for libraries in the interpreter's own site alone."""
    ran = run_elsewhere(kind, "-S")
    assert ran.stdout == "True\n", ran.stderr


@pytest.mark.parametrize("kind", ["cubin", "isolated"])
def test_built_ins_are_those_beside_the_library(tmp_path, kind):
    """NVRTC opens them by name: 13.0 does not look beside itself, and LD_LIBRARY_PATH comes before that for all."""
    import _ctypes

    directory = Path(toolkit.find_nvrtc().library).parent
    for library in directory.glob("libnvrtc-builtins.so*"):
        shutil.copy(_ctypes.__file__, tmp_path / library.name)  # a library, but not that one
    ran = run_elsewhere(kind, LD_LIBRARY_PATH=str(tmp_path))
    assert ran.stdout == "True\n", ran.stderr


ALONE = """
import ctypes, sys
import jitload
from jitload.compiler import toolkit
toolkit.use_nvrtc(toolkit.Nvrtc(sys.argv[1], toolkit.find_nvrtc().major))
try:
    print(jitload.compile("", kind="ptx", arch="compute_80", cache=jitload.Cache(), isolate=len(sys.argv) > 2))
except jitload.CompileError as error:
    print(error)
"""


@pytest.mark.parametrize("where", [[], ["isolated"]], ids=["here", "in a child"])
def test_without_its_built_ins_nvrtc_says_what_is_missing(tmp_path, where):
    """In a child too, which compiles with the NVRTC of its parent. (The copy does not look where it lies.)"""
    library = tmp_path / Path(toolkit.find_nvrtc().library).name
    library.write_bytes(Path(toolkit.find_nvrtc().library).read_bytes().replace(b"$ORIGIN\0", b"$NOWHER\0"))
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(library), *where], capture_output=True, text=True, check=True
    )
    assert f"NVRTC at {library} cannot use its library of built-ins (NVRTC_ERROR_BUILTIN" in ran.stdout
