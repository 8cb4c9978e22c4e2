"""Bundles as a tier: asked before every directory, and never passed over when they are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import jitload
from jitload.bundles import tier
from jitload.bundles.build import create
from jitload.bundles.bundle import Bundle
from jitload.bundles.check import check_coverage
from jitload.door import compile_request
from jitload.errors import BundleError, CompileDisabledError, NotPrecompiledError, TrustError
from jitload.source.arch import EXECUTOR_ARCH, EXECUTOR_OPTIONS
from jitload.workloads.workload import Workload

from .conftest import requests_of, write_sources

open_ = Bundle.open


@pytest.fixture(autouse=True)
def session():
    """No bundle of a test is in force in the next one."""
    with jitload.Session() as session:
        yield session


@pytest.fixture
def hits():
    before = jitload.stats()

    def since():
        after = jitload.stats()
        return {name: after.hits[name] - before.hits[name] for name in after.hits} | {
            "compiles": after.compiles - before.compiles
        }

    return since


def test_a_bundle_serves_without_a_compile(built, unsigned, hits):
    jitload.use_bundle(unsigned, trust="unsigned")
    cache = jitload.Cache()
    with jitload.configure(compile="never"):
        first = compile_request(built[1][0], cache)
        again = compile_request(built[1][0], cache)
    assert first == again == built[2].get(first.key)
    assert hits() == {"memory": 2, "bundle": 1, "disk": 0, "remote": 0, "compiles": 0}


def test_a_bundle_comes_before_the_directory(built, unsigned, hits):
    jitload.use_bundle(unsigned, trust="unsigned")
    compile_request(built[1][0], jitload.Cache(built[2].directory))
    assert hits()["bundle"] == 1
    assert hits()["disk"] == 0


def test_the_settings_name_bundles_and_trust(built, signed, keys, hits, monkeypatch):
    monkeypatch.setenv("JITLOAD_BUNDLES", str(signed))
    monkeypatch.setenv("JITLOAD_TRUST", keys["ci"][1])
    compile_request(built[1][1], jitload.Cache())
    assert hits()["bundle"] == 1


@pytest.mark.parametrize("policy", ["missing", "never", "always"])
def test_a_refused_bundle_is_never_passed_over(built, signed, keys, hits, policy, tmp_path):
    damaged = tmp_path / "damaged.jlb"
    damaged.write_bytes(signed.read_bytes()[:-1])
    refused = [(signed, keys["other"][1], TrustError), (damaged, keys["ci"][1], BundleError)]
    refused += [(signed, None, TrustError), (tmp_path / "absent.jlb", "unsigned", BundleError)]
    for path, trust, error in refused:
        with jitload.configure(bundles=[path], trust=trust, compile=policy):
            for _ in range(2):
                with pytest.raises(error):
                    compile_request(built[1][0], jitload.Cache(built[2].directory))
    assert hits()["compiles"] == 0


DOORS = {
    "compile": lambda source, request, kernel: jitload.compile(source, arch="compute_90"),
    "compile for the device": lambda source, request, kernel: jitload.compile(source),
    "request": lambda source, request, kernel: compile_request(request),
    "artifact": lambda source, request, kernel: kernel.artifact(),
    "kernel": lambda source, request, kernel: kernel.kernel(),
    "launch": lambda source, request, kernel: kernel[1, 1](1.0, 0, 0, 0),
    "precompile": lambda source, request, kernel: jitload.precompile([request], jobs=1),
    "precompile a kernel": lambda source, request, kernel: kernel.precompile("sm_80", jobs=1),
    "explain": lambda source, request, kernel: jitload.explain(request),
    "explain a kernel": lambda source, request, kernel: kernel.explain(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("policy", ["missing", "never", "always", "sealed"])
def test_no_door_leads_past_a_refused_bundle(built, signed, keys, hits, tmp_path, policy, door):
    @jitload.jit_kernel(file=built[0], entry="saxpy")
    def saxpy(a, x, y, n): ...

    options = {} if policy == "sealed" else {"compile": policy}
    for bundle, trust, error in (
        (signed, keys["other"][1], TrustError),
        (tmp_path / "absent.jlb", "unsigned", BundleError),
    ):
        with jitload.configure(bundles=[bundle], trust=trust, device="cpu", **options):
            jitload.seal(policy == "sealed")
            try:
                with pytest.raises(error):
                    DOORS[door](built[0], built[1][0], saxpy)
            finally:
                jitload.seal(False)
    assert hits()["compiles"] == 0


def test_an_entry_that_is_damaged_later_is_no_reason_to_compile(built, signed, keys, hits, tmp_path):
    data = bytearray(signed.read_bytes())
    bundle = jitload.Bundle.open(signed, trust="unsigned")
    data[bundle.tiers[1].row(built[1][0].digest)[0] + 300] ^= 1
    path = tmp_path / "k.jlb"
    path.write_bytes(data)
    with jitload.configure(bundles=[path], trust=keys["ci"][1]), pytest.raises(BundleError, match="altered"):
        compile_request(built[1][0], jitload.Cache())
    assert hits()["compiles"] == 0


def test_a_changed_header_is_not_served_from_a_bundle(unsigned, tmp_path):
    jitload.use_bundle(unsigned, trust="unsigned")
    requests = requests_of(write_sources(tmp_path / "moved"))
    with jitload.configure(compile="never"):
        assert compile_request(requests[0], jitload.Cache())
        write_sources(tmp_path / "moved", header="#pragma once\n#define SCALE 2.0f\n")
        with pytest.raises(NotPrecompiledError):
            compile_request(requests_of(tmp_path / "moved" / "saxpy.cu")[1], jitload.Cache())


def test_several_bundles_are_asked_in_order(built, tmp_path, hits):
    for number, request in enumerate(built[1][:2]):
        create(tmp_path / f"{number}.jlb", [request], cache=built[2])
    with jitload.configure(bundles=[tmp_path / "0.jlb", tmp_path / "1.jlb"], trust="unsigned", compile="never"):
        for request in built[1][:2]:
            compile_request(request, jitload.Cache())
        with pytest.raises(CompileDisabledError):
            compile_request(built[1][2], jitload.Cache())
    assert hits()["bundle"] == 2


@pytest.mark.parametrize(
    ("device", "expected"),
    [("sm_80", "sm_80"), ("sm_86", "sm_80"), ("sm_90", "sm_90"), ("sm_120", "compute_90"), ("cpu", "compute_90")],
)
def test_the_image_for_a_device_is_chosen(built, unsigned, device, expected):
    jitload.use_bundle(unsigned, trust="unsigned")
    kind, arch = ("ptx", "compute_90") if device == "cpu" else ("cubin", device)
    (request,) = requests_of(built[0], [(kind, arch)])
    with jitload.configure(compile="never"):
        assert compile_request(request, jitload.Cache(), device=device).arch == expected


def test_nothing_stands_in_while_the_exact_image_can_be_compiled(built, unsigned, hits):
    jitload.use_bundle(unsigned, trust="unsigned")
    (request,) = requests_of(built[0], [("cubin", "sm_86")])
    assert compile_request(request, jitload.Cache(), device="sm_86").arch == "sm_86"
    assert hits()["compiles"] == 1


def test_an_arch_that_was_asked_for_is_not_replaced(built, unsigned):
    jitload.use_bundle(unsigned, trust="unsigned")
    with jitload.configure(compile="never"), pytest.raises(NotPrecompiledError):
        jitload.compile(built[0], arch="sm_86", cache=jitload.Cache())


def test_a_decorated_kernel_runs_from_a_bundle(built, unsigned, hits):
    @jitload.jit_kernel(file=built[0], cache=jitload.Cache())
    def saxpy(a, x, y, n): ...

    jitload.use_bundle(unsigned, trust="unsigned")
    x, y = np.arange(64, dtype=np.float32), np.ones(64, np.float32)
    with jitload.configure(compile="never", device="cpu"):
        saxpy[2, 32](2.0, x, y, 64)
    assert np.array_equal(y, 2 * x + 1)
    assert hits() == {"memory": 0, "bundle": 1, "disk": 0, "remote": 0, "compiles": 0}


def test_line_information_for_the_executor_is_no_reason_to_pass_a_bundle_over(built, unsigned, hits, tmp_path):
    """A bundle holds what applications write; its PTX serves where a compile would have added `-lineinfo`."""
    workload = tmp_path / "app.jlw"
    with jitload.configure(device="cpu"):
        lined = jitload.compile(built[0], cache=jitload.Cache())
        jitload.use_bundle(unsigned, trust="unsigned")
        with jitload.record(workload):
            plain = jitload.compile(built[0], cache=jitload.Cache())
    assert b".loc" in lined.data
    assert plain == built[2].get(plain.key)
    assert hits()["compiles"] == 1
    assert "line-info" not in workload.read_text()


def test_a_workload_of_the_executor_is_one_of_every_device(built, tmp_path):
    """What the executor adds is not recorded, and a bundle of it covers the executor, with the options and without."""
    workload, own = tmp_path / "app.jlw", jitload.Cache(tmp_path / "cache")
    with jitload.configure(device="cpu"), jitload.record(workload):
        jitload.compile(built[0], cache=own)
    lined = jitload.CompileRequest(built[0], kind="ptx", arch=EXECUTOR_ARCH, device_options=EXECUTOR_OPTIONS)
    recorded = Workload.read(workload)
    for number, (requests, cache) in enumerate([(built[1], built[2]), ([lined], own)]):
        path = tmp_path / f"{number}.jlb"
        create(path, requests, cache=cache).close()
        with jitload.Bundle.open(path, trust="unsigned") as bundle:
            assert [row.covered for row in check_coverage(recorded, [bundle], "cpu")] == [True]
            assert [row.covered for row in check_coverage(recorded, [bundle], "sm_80")] == [not number]
        used = jitload.use_bundle(path, trust="unsigned")
        with jitload.configure(device="cpu", compile="never"):
            jitload.compile(built[0], cache=jitload.Cache())
        tier.stop_bundle(used)


def test_a_bundle_that_comes_while_another_thread_asks_is_in_force(built, unsigned, monkeypatch, session):
    """What that thread keeps of its look, which began before, must not stand in the way of the new bundle."""
    looking, came = threading.Event(), threading.Event()

    def slowly(path, trust=None):
        if threading.current_thread() is asking:
            looking.set()
            came.wait(10)
        return open_(path, trust)

    with jitload.configure(bundles=[unsigned], trust="unsigned"):
        settings = jitload.config.current()
    monkeypatch.setattr(Bundle, "open", staticmethod(slowly))
    asking = threading.Thread(target=session.run, args=[tier.bundles_in_force, settings])
    asking.start()
    assert looking.wait(10)
    bundle = jitload.use_bundle(unsigned, trust="unsigned")
    came.set()
    asking.join(10)
    assert bundle in tier.bundles_in_force(settings)
    jitload.stop_bundle(bundle)
    assert bundle not in tier.bundles_in_force(settings)


@pytest.mark.parametrize("wrong", [3, None, b"ops.jlb", "", object()])
def test_what_is_neither_a_bundle_nor_a_path_cannot_be_stopped(wrong):
    with pytest.raises(jitload.UsageError, match="what use_bundle gave, or its path"):
        jitload.stop_bundle(wrong)


def test_bundles_come_and_go_beside_threads_that_ask(built, unsigned):
    """After each change its own thread sees it, and nobody who asks meets an error."""
    settings, over = jitload.config.current(), threading.Event()

    def ask():
        while not over.is_set():
            for bundle in tier.bundles_in_force(settings):
                assert bundle.read(built[1][0].digest)

    def come_and_go():
        for _ in range(100):
            bundle = jitload.use_bundle(unsigned, trust="unsigned")
            assert bundle in tier.bundles_in_force(settings)
            jitload.stop_bundle(bundle)
            assert bundle not in tier.bundles_in_force(settings)

    with ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        changing = [pool.submit(come_and_go) for _ in range(2)]
        try:
            for future in changing:
                future.result()
        finally:
            over.set()
        for future in asking:
            future.result()
    assert tier.bundles_in_force(settings) == ()


def test_a_bundle_is_stopped_by_its_path_or_itself(built, unsigned, tmp_path, monkeypatch):
    first, second = (jitload.use_bundle(unsigned, trust="unsigned") for _ in range(2))
    monkeypatch.chdir(unsigned.parent)
    with pytest.raises(BundleError, match=r"absent\.jlb is not in use .*plain\.jlb"):
        jitload.stop_bundle("absent.jlb")
    jitload.stop_bundle(second)
    jitload.stop_bundle(second)
    assert tier.bundles_in_force() == (first,)
    jitload.use_bundle(unsigned, trust="unsigned")
    jitload.stop_bundle(unsigned.name)
    assert tier.bundles_in_force() == ()
    with jitload.configure(bundles=[unsigned], trust="unsigned"):
        assert compile_request(built[1][0], jitload.Cache())
        with pytest.raises(BundleError, match="JITLOAD_BUNDLES"):
            jitload.stop_bundle(unsigned)


def test_explain_asks_bundles_first(built, unsigned, hits):
    with jitload.configure(bundles=[unsigned], trust="unsigned"):
        found = jitload.explain(built[1][0], jitload.Cache())
    assert found.hit
    assert found.tiers[0] == (f"bundle {unsigned}", "hit")
    assert hits()["bundle"] == 0


PACKAGED = """
import sys
sys.path.insert(0, {place!r})
import jitload
artifact = jitload.compile(__import__("pathlib").Path({source!r}), kind="cubin", arch="sm_80")
print(jitload.stats().hits["bundle"], jitload.stats().compiles, len(artifact.data))
"""


def package(base, bundle):
    """What `pip install` leaves behind of a wheel with a bundle in it."""
    (base / "ops").mkdir(parents=True)
    (base / "ops" / "__init__.py").touch()
    shutil.copy(bundle, base / "ops" / "ops.jlb")
    (base / "ops-1.0.dist-info").mkdir()
    (base / "ops-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ops\nVersion: 1.0\n")
    (base / "ops-1.0.dist-info" / "entry_points.txt").write_text(
        "[console_scripts]\nops = ops:main\n\n[jitload.bundles]\nops = ops:ops.jlb\n"
    )
    return base


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("trust", ["", "wrong"])
def test_an_installed_package_carries_its_bundle(built, signed, keys, tmp_path, zipped, trust):
    place = package(tmp_path / "site", signed)
    if zipped:
        with zipfile.ZipFile(tmp_path / "site.zip", "w") as archive:
            for file in place.rglob("*"):
                archive.write(file, file.relative_to(place))
        place = tmp_path / "site.zip"
    env = {**os.environ, "JITLOAD_COMPILE": "never", "JITLOAD_TRUST": keys["other"][1] if trust else ""}
    done = subprocess.run(
        [sys.executable, "-c", PACKAGED.format(place=str(place), source=str(built[0]))],
        env=env,
        capture_output=True,
        text=True,
    )
    if trust:
        assert "TrustError" in done.stderr
    else:
        assert done.stdout.split()[:2] == ["1", "0"], done.stderr


def test_threads_with_bundles_of_their_own_do_not_see_each_others(built, signed, unsigned, keys, monkeypatch, session):
    """Neither the bundles nor what they must meet: each file is opened once for each trust, however they take turns."""
    opened = []
    monkeypatch.setattr(
        Bundle, "open", staticmethod(lambda path, trust=None: opened.append(path) or open_(path, trust))
    )
    barrier = threading.Barrier(3)
    settings = [
        {"bundles": [unsigned], "trust": "unsigned", "compile": "never"},
        {"bundles": [signed], "trust": keys["ci"][1], "compile": "never"},
        {"bundles": [signed], "trust": keys["other"][1], "compile": "never"},
    ]

    def work(number):
        served = set()
        with jitload.configure(**settings[number]):
            for _ in range(10):
                barrier.wait()
                try:
                    compile_request(built[1][0], jitload.Cache())
                    served.add(tier.bundles_in_force()[0].path)
                except TrustError:
                    served.add("refused")
        return served

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(partial(session.run, work), range(3))) == [{str(unsigned)}, {str(signed)}, {"refused"}]
    assert opened.count(str(unsigned)) == 1


def test_an_installed_bundle_must_meet_the_trust_of_whoever_asks(built, unsigned, keys, tmp_path, monkeypatch):
    package = tmp_path / "site" / "ops_of_threads"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(unsigned, package / "ops.jlb")
    info = tmp_path / "site" / "ops_of_threads-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[jitload.bundles]\nops = ops_of_threads:ops.jlb\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with jitload.configure(compile="never"):
        assert compile_request(built[1][0], jitload.Cache())
        said = (
            r"^ops_of_threads:ops\.jlb \(installed\) is not used: .* it is not signed; have it signed by one "
            r"\(jitload bundle sign\)\. It came with the installed package ops_of_threads \(entry point 'ops'\), and "
            r"JITLOAD_TRUST .* install a release that is signed so, or uninstall it$"
        )
        with jitload.configure(trust=keys["ci"][1]), pytest.raises(TrustError, match=said):
            compile_request(built[1][0], jitload.Cache())
        assert compile_request(built[1][0], jitload.Cache())
