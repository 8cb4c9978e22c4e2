"""Several sources as one program: `compile(sources=[...])` and `jit_kernel(link=[...])`."""

from __future__ import annotations

import numpy as np
import pytest

import jitload
from jitload import CompileError, LinkError, NotPrecompiledError, UsageTypeError, UsageValueError, jit_kernel

MAIN = """
#include "scale.h"
template <typename T> __global__ void twice(T *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = scale(x[i]);
}
"""
HELPER = '#include "scale.h"\n__device__ float scale(float x) { return x * FACTOR; }'
HEADER = "__device__ float scale(float x);"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path):
    with jitload.configure(cache_dir=tmp_path / "cache", device="cpu"):
        yield


@pytest.fixture
def files(tmp_path):
    (tmp_path / "scale.h").write_text(HEADER)
    (tmp_path / "main.cu").write_text(MAIN)
    (tmp_path / "helper.cu").write_text(HELPER)
    return tmp_path


def test_sources_are_compiled_and_linked_for_the_device(files):
    x = np.arange(4, dtype="f4")
    found = jitload.compile(
        sources=[files / "main.cu", HELPER], headers={"scale.h": HEADER}, defines={"FACTOR": 3}, names=["twice<float>"]
    )
    assert (found.kind, found.name) == ("ptx", "main.cu")
    found.load()["twice<float>"][1, 32](x, 4)
    assert x.tolist() == [0, 3, 6, 9]
    assert found.kernels["twice<float>"].parameters == ("float *", "int")


def test_sources_link_to_a_cubin_with_what_speaks_of_machine_code():
    source = 'extern __device__ float f(float); extern "C" __global__ void k(float *x) { *x = f(*x) / 3; }'
    sources = [source, "__device__ float f(float x) { return sqrtf(x); }"]
    plain = jitload.compile(sources=sources, arch="compute_80")
    fast = jitload.compile(sources=sources, arch="compute_80", options="-use_fast_math -lineinfo")
    assert b"sqrt.rn.f32" in plain.data
    assert b"sqrt.approx.ftz.f32" in fast.data
    assert b".loc" in fast.data
    assert jitload.compile(sources=sources, arch="sm_90", options="-maxrregcount=32").kernels["k"].resources.registers


def test_an_error_names_the_source(files):
    with pytest.raises(CompileError, match=r"helper.cu does not compile") as caught:
        jitload.compile(sources=[files / "main.cu", files / "helper.cu"], names=["twice<float>"])
    assert caught.value.line == 2
    with pytest.raises(LinkError, match=r"undefined: scale"):
        jitload.compile(sources=[files / "main.cu"], names=["twice<float>"])


def test_bad_calls_say_what_to_write():
    for arguments, error, text in (
        ({}, UsageTypeError, "compile takes a source: CUDA"),
        ({"source": "", "sources": [""]}, UsageTypeError, "not both"),
        ({"sources": "x"}, UsageTypeError, "sources is a list, got str"),
        ({"sources": []}, UsageValueError, "names no source"),
        ({"sources": [""], "arch": ["sm_80", "sm_90"]}, UsageValueError, "several sources make kind 'cubin' or 'ptx'"),
        ({"sources": [3]}, UsageTypeError, "int"),
    ):
        with pytest.raises(error, match=text):
            jitload.compile(**arguments)


def declared(files, **more):
    """A kernel that is linked with a source; where there is no Python file, paths are absolute."""

    @jit_kernel(file=files / "main.cu", entry="twice<{T}>", link=[files / "helper.cu"], defines={"FACTOR": 5}, **more)
    def twice(x, n, *, T="float"): ...

    return twice


def test_a_kernel_is_linked_with_sources_artifacts_and_images(files):
    helper = jitload.compile(
        HELPER, kind="ltoir", arch="sm_75", headers={"scale.h": HEADER}, defines=["FACTOR=7"], options=["-rdc=true"]
    )
    (files / "helper.ltoir").write_bytes(helper.data)
    for link, factor in (([files / "helper.cu"], 5), ([helper], 7), ([str(files / "helper.ltoir")], 7)):

        @jit_kernel(file=files / "main.cu", entry="twice<float>", link=link, defines={"FACTOR": 5})
        def twice(x, n): ...

        x = np.arange(3, dtype="f4")
        twice[1, 32](x, 3)
        assert x.tolist() == [0, factor, 2 * factor]
        assert "hit" in str(twice.explain())


def test_a_linked_kernel_is_found_again_without_a_compile(files):
    declared(files).kernel()
    before = jitload.stats()
    declared(files).kernel()
    after = jitload.stats()
    assert (after.compiles, after.links) == (before.compiles, before.links)
    (files / "helper.cu").write_text(HELPER.replace("FACTOR", "(FACTOR + 1)"))
    x = np.ones(1, "f4")
    declared(files)[1, 32](x, 1)
    assert x[0] == 6


def test_a_linked_kernel_is_precompiled_and_bundled_with_its_parts(files, tmp_path):
    """For archs that are listed, each with inputs of its own; and served where nothing may be compiled."""
    report = declared(files).precompile(["sm_80", "compute_90"], jobs=1)
    assert not report.failed
    bundle = jitload.Bundle.create(tmp_path / "k.jlb", [declared(files)], archs=["sm_80", "compute_90"])
    assert sorted(map(tuple, bundle.manifest["targets"])) == [
        ("cubin", "sm_80"), ("ltoir", "sm_80"), ("ltoir", "sm_90"), ("ptx", "compute_90"),
    ]  # fmt: skip
    with jitload.Session(cache_dir=tmp_path / "empty"), jitload.configure(device="cpu", compile="never"):
        with pytest.raises(NotPrecompiledError):
            declared(files).kernel()
        jitload.use_bundle(tmp_path / "k.jlb", trust="unsigned")
        x = np.ones(2, "f4")
        declared(files)[1, 32](x, 2)
        assert x.tolist() == [5, 5]
        assert declared(files).artifact(arch="sm_80").kernels["twice<float>"].resources.registers
