"""What ptxas tells is known without a trace: not in the image, not in the log unless it was asked for, never in a key."""

from __future__ import annotations

import warnings

import pytest

import jitload
from jitload.compiler import nvrtc
from jitload.compiler.nvrtc import supported_archs
from jitload.compiler.program import compile_artifact
from jitload.compiler.ptxas import VERBOSE, asks_for_figures, clean_log, read_spills, tells_for_free
from jitload.errors import CompileError, CompileWarning
from jitload.values import Kind, Toolchain

SPILLING = r"""
extern "C" __global__ void __launch_bounds__(1024) warning(float *x, int n) {
    float a[96];
#pragma unroll
    for (int i = 0; i < 96; i++) a[i] = x[i * n + threadIdx.x];
    for (int k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 96; i++) a[i] = a[i] * a[(i + 7) % 96] + x[i];
    }
#pragma unroll
    for (int i = 0; i < 96; i++) x[i * n + threadIdx.x] = a[i];
}
extern "C" __global__ void plain(float *x) { x[threadIdx.x] = 1; }
"""
LOG = """\
k.cu(3): warning #177-D: variable "k" was declared but never referenced
ptxas info    : 304 bytes gmem, 8 bytes cmem[4]
ptxas info    : Overriding maximum register limit 256 for 'plain' with  24 of maxrregcount option
ptxas info    : Compiling entry function 'warning' for 'sm_90'
ptxas info    : Function properties for warning
ptxas         .     1056 bytes stack frame, 1408 bytes spill stores, 1904 bytes spill loads
ptxas info    : Used 64 registers, used 0 barriers, 1056 bytes cumulative stack size
ptxas info    : Compile time = 105.103 ms
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized
ptxas warning : Stack size for entry function 'rec' cannot be statically determined
"""


def compiled(arch, *options, source=SPILLING):
    return jitload.compile(source, kind="cubin", arch=arch, options=options, cache=jitload.Cache())


ARCHS = [number for number in supported_archs() if number >= 70]


@pytest.mark.parametrize(
    ("number", "options"),
    [
        *((number, ()) for number in ARCHS),
        *((number, ("-G",)) for number in (75, 90, max(ARCHS))),
        *((number, ("-lineinfo", "-maxrregcount=32")) for number in (80, max(ARCHS))),
        *((number, ("-rdc=true",)) for number in (80, 90, max(ARCHS))),
    ],
)
def test_asking_changes_neither_the_image_nor_the_log(number, options, monkeypatch):
    arch = f"sm_{number}"
    told = compiled(arch, *options)
    monkeypatch.setattr("jitload.compiler.ptxas.tells_for_free", lambda *_: False)
    plain = compiled(arch, *options)
    assert (told.data, told.log, told.key) == (plain.data, plain.log, plain.key)
    assert "ptxas info" not in told.log


def test_spills_are_known_where_asking_is_free_or_the_user_asked():
    newest = max(supported_archs())
    (toolchain,) = {compiled(arch).toolchain for arch in ("sm_90", f"sm_{newest}")}
    for arch in ("sm_90", f"sm_{newest}"):
        resources = compiled(arch).kernels["warning"].resources
        if tells_for_free(arch, toolchain):
            assert resources.spill_store_bytes > 0
            assert resources.spill_load_bytes > 0
        else:
            assert (resources.spill_store_bytes, resources.spill_load_bytes) == (None, None)
        asked = compiled(arch, "-Xptxas", "-v").kernels["warning"].resources
        assert asked.spill_store_bytes > 0
        assert compiled(arch).kernels["plain"].resources.spill_store_bytes == 0


def test_only_twelve_up_to_sm_90_is_asked():
    for version, arch, free in [
        ("12.9.86", "sm_90a", True),
        ("12.1.105", "sm_75", True),
        ("12.9.86", "sm_100", False),
        ("13.5.37", "sm_90", False),
        ("11.8.89", "sm_90", False),
        ("?", "sm_90", False),
    ]:
        assert tells_for_free(arch, Toolchain("nvrtc", version, "")) == free


@pytest.mark.parametrize("kind", ["ptx", "ltoir"])
def test_kinds_without_machine_code_are_not_asked_and_have_no_resources(kind):
    seen = []

    def spying(run):
        seen.extend(run.options)
        return nvrtc.compile_program(run)

    request = jitload.CompileRequest(SPILLING, kind=kind, arch="sm_80")
    from jitload.headers.closure import Closure

    artifact = compile_artifact(request, Closure(request, ()), Toolchain("nvrtc", "12.9.86", "00" * 32), spying)
    assert VERBOSE not in seen
    assert [kernel.resources for kernel in artifact.kernels.values()] == [None, None]


def test_a_fatbin_has_no_resources_of_its_own():
    artifact = jitload.compile(SPILLING, kind=Kind.FATBIN, arch=["sm_80", "sm_90"], cache=jitload.Cache())
    assert {kernel.resources for kernel in artifact.kernels.values()} == {None}
    assert "ptxas info" not in artifact.log


def test_what_the_user_asked_for_stays_in_the_log_and_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)
        log = compiled("sm_90", "--ptxas-options=-v").log
    assert "Compiling entry function 'warning' for 'sm_90'" in log
    assert "bytes spill stores" in log
    assert "Compile time" not in log, "it differs in every run"


def test_a_log_without_figures_keeps_everything_else():
    first, *_, remark, last = LOG.splitlines(keepends=True)
    assert clean_log(LOG, ["--ptxas-options=-O1"]) == first + remark + last
    kept = [line for line in LOG.splitlines(keepends=True) if "Compile time" not in line]
    assert clean_log(LOG, [VERBOSE]) == "".join(kept)
    assert clean_log("", [VERBOSE]) == clean_log("", []) == ""
    assert read_spills(LOG) == {"warning": (1408, 1904)}
    assert read_spills(LOG[: LOG.index(" bytes spill loads")]) == {}


def test_every_spelling_of_the_question_is_seen():
    for written in ("-Xptxas -v", "--ptxas-options=-v", "--ptxas-options=-O3,--verbose", "-Xptxas '-O2 -v'"):
        request = jitload.CompileRequest("x", kind="cubin", arch="sm_90", options=written)
        assert asks_for_figures(request.options), written
    assert not asks_for_figures(["--ptxas-options=-O3", "-v"])


def test_an_error_of_ptxas_does_not_drown_in_figures():
    source = 'extern "C" __global__ void a(float *x) { x[0] = 1; }\n__device__ float f(float);\n'
    source += (
        'extern "C" __global__ void b(float *x) { __shared__ float s[20000]; s[threadIdx.x] = x[0]; x[1] = s[5]; }'
    )
    with pytest.raises(CompileError, match="uses too much shared data") as caught:
        compiled("sm_90", source=source)
    assert "ptxas info" not in caught.value.log
    assert "stack frame" not in str(caught.value)


def test_a_compiler_in_a_process_of_its_own_tells_as_much():
    here = compiled("sm_90")
    there = jitload.compile(SPILLING, kind="cubin", arch="sm_90", cache=jitload.Cache(), isolate=True)
    assert there.kernels == here.kernels
    assert there.log == here.log
