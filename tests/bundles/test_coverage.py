"""`check` foretells what happens: for every pair of a workload's entry and a GPU, the answer of the deploy side."""

from __future__ import annotations

import re

import numpy as np
import pytest

import jitload
from jitload.artifact import Artifact
from jitload.bundles import tier
from jitload.bundles.build import create
from jitload.bundles.check import DRIVERS, check_coverage
from jitload.bundles.sign import sign_bundle
from jitload.door import compile_request
from jitload.errors import NotPrecompiledError
from jitload.target import ANY_IMAGE, default_target
from jitload.values import Kind
from jitload.workloads.workload import BY_KIND, CHOSEN, Workload, planned_requests

from .conftest import write_sources

GPUS = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_103", "sm_110", "sm_120", "cpu"]
#: Archs and kinds that the bundle is built for.
BUILDS = {
    "cubins": (["sm_80", "sm_90a", "sm_100f"], []),
    "all": (["sm_80", "sm_90a", "sm_100f", "compute_90"], ["cubin", "ptx"]),
    "fatbin": (["sm_86", "sm_90", "compute_80"], ["fatbin"]),
    "ptx": (["sm_89"], ["ptx"]),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A workload of all three sorts: by the device, with a kind, and with kind and arch; and a cache."""
    base = tmp_path_factory.mktemp("coverage")
    source = write_sources(base / "src")
    cache = jitload.Cache(base / "cache")
    with jitload.record(base / "app.jlw"), jitload.configure(device="cpu"):
        jitload.compile(source, cache=cache)
        jitload.compile(source, kind="ptx", defines={"KIND": 1}, cache=cache)
        jitload.compile(source, kind="cubin", arch="sm_80", defines={"CHOSEN": 1}, cache=cache)
        jitload.compile(source, kind="ptx", arch="compute_80", defines={"LEFT_OUT": 1}, cache=cache)
    return source, Workload.read(base / "app.jlw"), cache


@pytest.fixture(scope="module", params=BUILDS)
def shipped(request, recorded, keys, tmp_path_factory):
    """A signed bundle of the workload, without the last of its requests."""
    _, workload, cache = recorded
    path = tmp_path_factory.mktemp("shipped") / "k.jlb"
    with workload.unpacked() as requests:
        plan = planned_requests(requests, *BUILDS[request.param])
        kept = {one: absent for one, absent in plan.items() if "LEFT_OUT" not in dict(one.defines)}
        for one in kept:
            compile_request(one, cache)
        create(path, kept, cache=cache, absent=kept).close()
    sign_bundle(path, keys["ci"][0])
    return path


def ask(source, row, kind, arch, how, gpu):
    """What the application gets on that device, as `jitload.compile` would ask there; "" for NotPrecompiledError."""
    fields = {"defines": dict(row["defines"])}
    options = {}
    if how != CHOSEN:
        chosen = kind if how == BY_KIND else None
        with jitload.configure(device="cpu"):
            wanted, arch = default_target(chosen, None if gpu == "cpu" else gpu)
        kind = wanted
        options = {"device": gpu, "kinds": ANY_IMAGE if how != BY_KIND else (Kind(chosen),)}
    try:
        artifact = compile_request(
            jitload.CompileRequest(source, kind=kind, arch=arch, **fields), jitload.Cache(), **options
        )
    except NotPrecompiledError:
        return ""
    if gpu == "cpu" and how != CHOSEN:
        y = np.ones(32, np.float32)
        artifact.load()["saxpy"][1, 32](np.float32(2), np.ones(32, np.float32), y, 32)
        assert (y == 3).all()
    return f"{artifact.kind} {artifact.arch}"


@pytest.mark.parametrize("driver", [row[0] for row in DRIVERS[-4:]])
def test_ptx_of_a_later_day_is_no_coverage_for_any_driver_that_is_known(tmp_path, driver):
    """The newest one included: only a driver that is newer than the table is trusted to take what is unknown, too."""
    request = jitload.CompileRequest('extern "C" __global__ void k() {}', kind="ptx", arch="compute_90")
    cache, later = jitload.Cache(), jitload.Cache()
    artifact = compile_request(request, cache)
    later.add_variant(request.digest, cache.variants(request.digest)[0])
    fields = {name: getattr(artifact, name) for name in ("kind", "arch", "name", "key", "toolchain")}
    data = re.sub(rb"(?m)^\.version .*$", b".version 99.9", artifact.data)
    later.put(Artifact(**fields, data=data, kernels=artifact.kernels.values()))
    create(tmp_path / "k.jlb", [request], cache=later).close()
    with jitload.record(tmp_path / "app.jlw"):
        compile_request(request, cache)
    with jitload.configure(bundles=[tmp_path / "k.jlb"], trust="unsigned"):
        ask = Workload.read(tmp_path / "app.jlw"), tier.bundles_in_force(), "sm_90"
        (told,) = check_coverage(*ask, driver=driver)
        assert "PTX ISA 99.9 is newer than driver" in str(told.reasons)
        assert not told.covered
        (told,) = check_coverage(*ask, driver=DRIVERS[-1][0] + 10)
        assert told.covered


@pytest.mark.parametrize("gpu", GPUS)
def test_check_agrees_with_the_deploy_side(recorded, shipped, keys, gpu):
    source, workload, _ = recorded
    seen = {True: 0, False: 0}
    with jitload.configure(bundles=[shipped], trust=keys["ci"][1], strict=True):
        for program in workload.programs:
            for kind, arch, how in sorted(program.targets):
                alone = Workload([type(program)(program.fields, [(kind, arch, how)])], workload.texts)
                (told,) = check_coverage(alone, tier.bundles_in_force(), gpu)
                assert told.found == ask(source, program.row, kind, arch, how, gpu), str(told)
                assert told.covered or told.reasons
                seen[told.covered] += 1
    assert sum(seen.values()) == 4
    assert seen[False] >= 1
