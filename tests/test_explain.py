"""What `explain` says is what a launch does: in every combination of what is there and what is allowed."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import jitload
from jitload.bundles.build import create
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.door import compile_request
from jitload.source.arch import EXECUTOR_ARCH, EXECUTOR_OPTIONS, FORMER_EXECUTOR_ARCHS
from jitload.values import Kind

SOURCE = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'
OTHER = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = 1 + VALUE; }\n'

#: Asks under each combination, first for the explanation, then for the kernel, and both once more; JSON rows.
PROGRAM = """
import itertools, json, os, pathlib, shutil, sys
import jitload
from jitload.source.arch import EXECUTOR_ARCH

base = pathlib.Path(sys.argv[1])
parts, known = json.loads(sys.argv[2])
key = (base / "key.pub").read_text().split()[0]
POLICIES = {
    "missing": {}, "never": {"compile": "never"}, "always": {"compile": "always"}, "strict": {"strict": True}, "sealed": {},
}

def kernel(cache, **options):
    @jitload.jit_kernel(file=base / "k.cu", cache=cache, **options)
    def k(x): ...
    return k

def ask(cache, chosen):
    before = jitload.stats()
    said = jitload.explain(kernel(cache, **chosen))
    row = {"changed": before != jitload.stats()}
    row["said"] = [said.outcome, said.tier, said.key, said.launch]
    try:
        artifact = kernel(cache, **chosen).artifact()
    except jitload.JitloadError as error:
        return {**row, "did": ["error", None, None, type(error).__name__]}
    after = jitload.stats()
    tiers = [name for name, count in after.hits.items() for _ in range(count - before.hits[name])]
    compiled = after.compiles - before.compiles
    row["did"] = ["compile" if compiled else "hit", tiers[0] if tiers else None, artifact.key]
    row["did"].append(f"{artifact.kind} {artifact.arch}")
    return {**row, "tiers": len(tiers)}

BUNDLES = ["none", "exact", "written", "older", "other arch", "stale"]
STORED = ["exact", "written", "former", "stale", "unlisted", "cold"]

for number, (bundle, stored, policy, asked) in enumerate(itertools.product(
    BUNDLES, STORED, POLICIES, ["device", "named"],
)):
    if bundle != "none" and not (base / f"{bundle}.jlb").exists():
        continue
    # Those that are known, and a fifth of all, in which every two of bundle, store and policy meet.
    part = (BUNDLES.index(bundle) + 2 * STORED.index(stored) + list(POLICIES).index(policy)) % 5
    if part not in parts and [bundle, stored, policy, asked] not in known:
        continue
    directory = base / f"run-{os.getpid()}-{number}"
    shutil.copytree(base / stored, directory)
    bundles = [] if bundle == "none" else [base / f"{bundle}.jlb"]
    chosen = {} if asked == "device" else {"kind": "ptx", "arch": EXECUTOR_ARCH}
    row = {"case": [bundle, stored, policy, asked]}
    # A session of its own: what a bundle has served in an earlier row is in its memory.
    with jitload.Session(device="cpu", bundles=bundles, trust=key, **POLICIES[policy]):
        jitload.seal(policy == "sealed")
        cache = jitload.Cache(directory)
        for again in (False, True):
            print(json.dumps({**row, "again": again, **ask(cache, chosen)}))
    shutil.rmtree(directory)
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A directory with the source, caches of five sorts, and bundles of five sorts."""
    base = tmp_path_factory.mktemp("places")
    (base / "value.h").write_text("#define VALUE 1\n")
    archs = {
        "exact": EXECUTOR_ARCH,
        "written": EXECUTOR_ARCH,
        "former": FORMER_EXECUTOR_ARCHS[0],
        "older": "compute_70",
        "other arch": "sm_80",
    }
    public = generate_keys(base / "key", "tests")
    assert (base / "key.pub").read_text().split()[0] == public

    def store(name, text, header="#define VALUE 1\n", **fields):
        (base / "k.cu").write_text(text)
        (base / "value.h").write_text(header)
        request = jitload.CompileRequest(base / "k.cu", **fields)
        cache = jitload.Cache(base / name)
        compile_request(request, cache)
        create(base / f"{name}.jlb", [request], cache=cache).close()
        sign_bundle(base / f"{name}.jlb", base / "key")

    for name, arch in archs.items():
        kind = "cubin" if arch.startswith("sm_") else "ptx"
        options = EXECUTOR_OPTIONS if name in {"exact", "former"} else ()
        try:
            store(name, SOURCE, kind=kind, arch=arch, device_options=options)
        except jitload.CompileError:
            assert name == "older"  # this NVRTC begins later
    store("stale", SOURCE, "#define VALUE 2\n", kind="ptx", arch=EXECUTOR_ARCH, device_options=EXECUTOR_OPTIONS)
    shutil.copytree(base / "exact", base / "unlisted")
    shutil.rmtree(base / "unlisted" / "manifests")
    jitload.Cache(base / "cold")
    (base / "cold").mkdir(mode=0o700)
    (base / "k.cu").write_text(SOURCE)
    (base / "value.h").write_text("#define VALUE 1\n")
    return base


#: What is right of some combinations, so that both sides are not wrong in the same way: a part of what is said.
WITH_COMPILER = {
    ("none", "cold", "missing", "device"): "compile",
    ("written", "exact", "missing", "device"): "stands in: without",
    ("exact", "exact", "always", "device"): "compile",
    ("none", "written", "never", "device"): "disk",
    ("none", "former", "never", "device"): "which stands in: for compute_75",
    ("none", "former", "never", "named"): "error",
    ("none", "former", "strict", "device"): "error",
    ("none", "former", "missing", "device"): "compile",
    ("none", "written", "strict", "device"): "error",
    ("other arch", "cold", "never", "device"): "error",
    ("none", "unlisted", "missing", "device"): "disk",
    ("none", "unlisted", "never", "device"): "error",
}
WITHOUT_COMPILER = {
    ("none", "cold", "missing", "device"): "error",
    ("none", "written", "missing", "device"): "disk",
    ("none", "former", "missing", "device"): "disk",
    ("none", "exact", "always", "device"): "error",
}
#: The combinations come in fifths: one of them, another one, and all.
SOME, OTHERS, ALL = (0,), (3,), (0, 1, 2, 3, 4)


@pytest.fixture(params=[SOME, pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"])
def parts(request, bounded):
    return request.param if request.param == SOME else bounded(ALL, OTHERS)


def check(lines, parts, known):
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) >= 80 * len(parts)
    wrong = []
    for row in rows:
        (outcome, tier, key, launch), did = row["said"], row["did"]
        same = (outcome, tier) == tuple(did[:2]) and (outcome != "hit" or (key == did[2] and launch.startswith(did[3])))
        if not same or row["changed"] or (outcome == "hit" and row["tiers"] != 1):
            wrong.append(row)
    assert wrong == [], f"{len(wrong)} of {len(rows)} are explained wrongly"
    said = {tuple(row["case"]): row["said"] for row in rows if not row["again"]}
    for case, words in known.items():
        assert words in f"{said[case][0]} {said[case][1]} {said[case][3]}", case


def test_what_is_said_is_what_is_done_with_a_compiler(places, parts):
    env = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(places), json.dumps([parts, list(WITH_COMPILER)])],
        env={**env, "PYTHONPATH": str(pathlib.Path(jitload.__file__).parent.parent), "HOME": str(places)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check(done.stdout, parts, WITH_COMPILER)


def test_what_is_said_is_what_is_done_without_a_compiler(places, parts, python_without_nvrtc):
    known = json.dumps([parts, list(WITHOUT_COMPILER)])
    done = python_without_nvrtc(PROGRAM, places, str(places), known, JITLOAD_CACHE_DIR="")
    assert done.returncode == 0, done.stderr
    check(done.stdout, parts, WITHOUT_COMPILER)


@pytest.mark.parametrize("kinds", [None, (Kind.PTX,), (Kind.CUBIN,)], ids=str)
@pytest.mark.parametrize("device", ["sm_80", "sm_86", "sm_90", "sm_70"])
def test_what_is_said_of_a_gpu_is_what_it_gets(places, device, kinds):
    """The choice of an image for a GPU needs no GPU."""
    chosen = {"device": device} if kinds is None else {"device": device, "kinds": kinds}
    bundles = [places / "other arch.jlb", places / "written.jlb"]
    request = jitload.CompileRequest(places / "k.cu", kind="cubin", arch=device)
    with jitload.configure(bundles=bundles, trust="unsigned", compile="never"):
        said = jitload.explain(request, jitload.Cache(), **chosen)
        before = jitload.stats().hits
        try:
            artifact = compile_request(request, jitload.Cache(), **chosen)
        except jitload.NotPrecompiledError:
            assert (said.outcome, said.tier) == ("error", None)
            return
        assert (said.outcome, said.key) == ("hit", artifact.key)
        assert said.launch.startswith(f"{artifact.kind} {artifact.arch} from bundle ")
        assert [tier for tier, count in jitload.stats().hits.items() if count > before[tier]] == [said.tier]
