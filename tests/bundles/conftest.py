"""A cache with a few compiled kernels, made once per test process, and bundles of it."""

from __future__ import annotations

import pytest

import jitload
from jitload.bundles.build import create
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.workloads.workload import Workload

SAXPY = """
#include "scale.h"
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = SCALE * a * x[i] + y[i];
}
"""
HEADER = "#pragma once\n#define SCALE 1.0f\n"
TARGETS = (("ptx", "compute_90"), ("cubin", "sm_80"), ("cubin", "sm_90"))


def write_sources(directory, header=HEADER):
    """saxpy.cu and the header it includes."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "saxpy.cu").write_text(SAXPY)
    (directory / "scale.h").write_text(header)
    return directory / "saxpy.cu"


def requests_of(source, targets=TARGETS, **fields):
    return [jitload.CompileRequest(source, kind=kind, arch=arch, **fields) for kind, arch in targets]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(source file, its requests, a cache that holds them)."""
    base = tmp_path_factory.mktemp("built")
    source = write_sources(base / "src")
    cache = jitload.Cache(base / "cache")
    requests = requests_of(source)
    from jitload.door import compile_request

    for request in requests:
        compile_request(request, cache)
    return source, requests, cache


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Two key pairs: name -> (private file, public key)."""
    base = tmp_path_factory.mktemp("keys")
    return {name: (base / name, generate_keys(base / name, name)) for name in ("ci", "other")}


@pytest.fixture(scope="session")
def unsigned(built, tmp_path_factory):
    """The file of an unsigned bundle."""
    path = tmp_path_factory.mktemp("bundle") / "plain.jlb"
    create(path, built[1], cache=built[2]).close()
    return path


@pytest.fixture(scope="session")
def carrying(built, keys, tmp_path_factory):
    """The file of a bundle that carries its workload, signed by "ci"."""
    base = tmp_path_factory.mktemp("carrying")
    with jitload.record(base / "app.jlw"):
        for request in built[1]:
            jitload.door.compile_request(request, built[2])
    workload = Workload.read(base / "app.jlw")
    create(base / "full.jlb", built[1], cache=built[2], workload=workload, with_workload=True).close()
    sign_bundle(base / "full.jlb", keys["ci"][0])
    return base / "full.jlb"


@pytest.fixture(scope="session")
def signed(unsigned, keys):
    """The file of a bundle that "ci" has signed."""
    path = unsigned.parent / "signed.jlb"
    path.write_bytes(unsigned.read_bytes())
    sign_bundle(path, keys["ci"][0])
    return path
