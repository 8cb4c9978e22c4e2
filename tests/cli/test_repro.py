"""`jitload repro` says of each image that differs, or is not made again, which it is and why."""

from __future__ import annotations

import os

import pytest

import jitload
from jitload.artifact import Artifact
from jitload.bundles.build import collect, write
from jitload.bundles.manifest import About
from jitload.compiler.key import artifact_key
from jitload.headers.record import Variant
from jitload.values import KernelInfo, Toolchain
from jitload.workloads.workload import Workload

ABOUT = About()
SYMBOL = "_ZN42_GLOBAL__N__00000000_4_k_cu_9c037531_112111qEPi"
OTHER = Toolchain("nvrtc", "11.0.0", "ab" * 32)


@pytest.fixture
def repro(workdir, invoke):
    """`repro(change)`: what the command says of a bundle with three images, the middle one changed by `change`."""
    with jitload.record(workdir / "app.jlw"):
        for arch in ("sm_80", "sm_86", "compute_75"):
            jitload.compile(workdir / "saxpy.cu", arch=arch)
    workload = Workload.read(workdir / "app.jlw")

    def run(change):
        with workload.unpacked() as requests:
            (base,) = requests.values()
            plan = {base.replace(kind="cubin", arch=arch): None for arch in ("sm_80", "sm_86")}
            plan[base.replace(kind="ptx", arch="compute_75")] = None
            found, _ = collect(plan, jitload.Cache.default())
            request = next(request for request in plan if request.arch == "sm_86")
            ((variant, _, artifact),) = found[request.digest].values()
            changed_variant, changed = change(request, variant, artifact)
            data = jitload.artifact.encode_entry(changed)
            found[request.digest] = {changed.key: (changed_variant, data, changed)}
        write(workdir / "k.jlb", found, ABOUT, workload).close()
        result = invoke("repro", "k.jlb")
        *lines, last = result.stdout.splitlines()
        assert result.exit_code == (1 if lines else 0)
        assert last == f"k.jlb: {3 - len(lines)} of 3 are the same bytes"
        return [line.removeprefix("saxpy.cu (cubin, sm_86): ") for line in lines if "sm_86" in line]

    return run


def test_what_is_no_file_beside_a_bundle_is_passed_over(workdir, repro):
    """The workload is found among its neighbours; a pipe there must not hang the search."""
    os.mkfifo(workdir / "aaa.jlw")
    (workdir / "bbb.jlw").mkdir()
    assert repro(lambda request, variant, artifact: (variant, artifact)) == []


def changed(artifact, **fields):
    names = ("kind", "data", "arch", "name", "key", "toolchain")
    kept = {name: getattr(artifact, name) for name in names} | {"kernels": artifact.kernels.values()}
    return Artifact(**{**kept, **fields})


def test_what_is_the_same_is_the_same(repro):
    assert repro(lambda request, variant, artifact: (variant, artifact)) == []


def test_other_bytes_are_told_with_where_they_begin(repro):
    def change(request, variant, artifact):
        return variant, changed(artifact, data=artifact.data + b"\0")

    ((line),) = repro(change)
    assert line.startswith("other bytes: ")
    assert "and the first that differs is at" in line


def test_names_of_a_process_are_the_reason_where_there_are_any(repro):
    def change(request, variant, artifact):
        kernels = [KernelInfo("saxpy", SYMBOL, ())]
        return variant, changed(artifact, kernels=kernels, data=artifact.data + b"\0")

    (line,) = repro(change)
    assert line.startswith("other bytes: NVRTC has named what is the program's own after a process (_GLOBAL__N__0")


def test_another_compiler_is_the_reason_where_there_was_one(repro):
    def change(request, variant, artifact):
        other = Variant(variant.closure, OTHER, variant.files, variant.absent)
        key = artifact_key(request, other.closure, OTHER)
        return other, changed(artifact, key=key, toolchain=OTHER)

    (line,) = repro(change)
    assert line.startswith("not made again: it was made by nvrtc 11.0.0 (abababababab), and nvrtc ")


def test_other_headers_are_the_reason_where_the_compiler_is_the_same(repro):
    def change(request, variant, artifact):
        other = Variant("cd" * 32, variant.toolchain, variant.files, variant.absent)
        return other, changed(artifact, key=artifact_key(request, other.closure, other.toolchain))

    (line,) = repro(change)
    assert line.startswith("not made again: it was made by nvrtc ")
    assert "from headers of the toolkit that differ" in line
