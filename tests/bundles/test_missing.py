"""What `NotPrecompiledError` says, and that `check` foretells it for every pair of a matrix."""

from __future__ import annotations

import numpy as np
import pytest

import jitload
from jitload.bundles import tier
from jitload.bundles.build import create
from jitload.bundles.check import check_coverage
from jitload.door import compile_request
from jitload.errors import NotPrecompiledError
from jitload.workloads.workload import Workload, planned_requests

from .conftest import requests_of, write_sources


def test_the_error_says_wanted_searched_nearest_and_fix(built, unsigned):
    (request,) = requests_of(built[0], [("cubin", "sm_70")])
    settings = jitload.configure(bundles=[unsigned], trust="unsigned", compile="never")
    with settings, pytest.raises(NotPrecompiledError) as caught:
        compile_request(request, built[2], device="sm_70")
    error = caught.value
    assert "cubin sm_70" in error.wanted
    assert [line.split()[0].rstrip(":") for line in error.searched] == ["memory", "bundle", "disk"]
    assert any("does not run on sm_70" in line for line in error.nearest)
    assert any("arch: sm_" in line for line in error.nearest)
    assert "--arch sm_70" in error.fix
    for label in ("wanted", "searched", "nearest", "fix"):
        assert f"\n  {label:<9}: " in str(error)


def test_the_differing_factor_is_named(built):
    (request,) = requests_of(built[0], [("cubin", "sm_80")], options=["--use_fast_math"])
    with jitload.configure(compile="never"), pytest.raises(NotPrecompiledError) as caught:
        compile_request(request, built[2])
    assert any("options: none -> " in line for line in caught.value.nearest)
    assert "none in force" in str(caught.value)


def test_without_a_bundle_or_a_cache_it_still_says_what_to_do(tmp_path):
    request = jitload.CompileRequest("__global__ void k() {}", kind="ptx", arch="compute_90")
    with jitload.configure(compile="never"), pytest.raises(NotPrecompiledError, match="nothing of this program"):
        compile_request(request, jitload.Cache())


PROGRAMS = {
    "plain": {"names": ()},
    "template": {"names": ("twice<float>",)},
    "defined": {"defines": {"SCALE2": "3"}},
}
GPUS = ["sm_75", "sm_80", "sm_86", "sm_87", "sm_90", "sm_100", "sm_103", "cpu"]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """A workload of three programs by device and one request by choice, and a bundle that lacks some of it."""
    base = tmp_path_factory.mktemp("matrix")
    source = write_sources(base / "src")
    source.write_text(source.read_text() + "template <class T> __global__ void twice(T *x) { *x = *x + *x; }\n")
    cache = jitload.Cache(base / "cache")
    with jitload.record(base / "app.jlw"), jitload.configure(device="cpu"):
        for fields in PROGRAMS.values():
            jitload.compile(source, cache=cache, **fields)
        jitload.compile(source, arch="sm_75", cache=cache)
    workload = Workload.read(base / "app.jlw")
    with workload.unpacked() as requests:
        plan = planned_requests(requests, ["sm_80", "sm_100f", "compute_90"])
        kept = {
            request: absent
            for request, absent in plan.items()
            # One program has no PTX, one no family image, and the chosen request is left out.
            if not (request.names and request.kind == "ptx")
            and not (request.defines and request.arch == "sm_100f")
            and request.arch != "sm_75"
        }
        for request in kept:
            compile_request(request, cache)
        create(base / "k.jlb", kept, cache=cache, absent=kept).close()
    return source, workload, base / "k.jlb"


def reality(source, bundle, gpu):
    """What the deploy side meets: program -> True when it gets an image with compiling off."""
    found = {}
    for name, fields in PROGRAMS.items():
        kind, arch = ("ptx", "compute_90") if gpu == "cpu" else ("cubin", gpu)
        request = jitload.CompileRequest(source, kind=kind, arch=arch, **fields)
        try:
            artifact = compile_request(request, jitload.Cache(), device=gpu)
            found[name] = f"{artifact.kind} {artifact.arch}"
            if gpu == "cpu" and name != "template":
                y = np.ones(32, np.float32)
                artifact.load()["saxpy"][1, 32](np.float32(2), np.ones(32, np.float32), y, 32)
                assert (y == 3).all()
        except NotPrecompiledError:
            found[name] = ""
    return found


@pytest.mark.parametrize("gpu", GPUS)
def test_check_agrees_with_reality(matrix, gpu):
    source, workload, path = matrix
    with jitload.configure(bundles=[path], trust="unsigned", compile="never"):
        real = reality(source, path, gpu)
        coverage = check_coverage(workload, tier.bundles_in_force(), gpu)
        with pytest.raises(NotPrecompiledError):
            jitload.compile(source, arch="sm_75", cache=jitload.Cache())
    told = {}
    for row in coverage:
        if row.wanted == "cubin sm_75" and gpu != "sm_75":
            assert not row.covered
    with workload.unpacked() as requests:
        for program in requests:
            name = "template" if program.row["names"] else "defined" if program.row["defines"] else "plain"
            single = Workload([program], workload.texts)
            with jitload.configure(bundles=[path], trust="unsigned"):
                rows = check_coverage(single, tier.bundles_in_force(), gpu)
            by_device = [row for row in rows if row.wanted != "cubin sm_75" or gpu == "sm_75"]
            told[name] = next((row.found for row in by_device if row.found), "")
    assert told == real
