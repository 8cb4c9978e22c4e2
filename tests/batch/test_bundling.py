"""`Bundle.create`: whatever names kernels becomes a bundle of them; what the cache lacks is compiled."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import traceback

import pytest

import jitload
from jitload.errors import BundleError, CompileError, NotPrecompiledError, TrustError
from jitload.workloads.workload import Workload

K = 'extern "C" __global__ void k(int *x) { x[0] = N; }'
SAXPY = '#include "scale.h"\nextern "C" __global__ void saxpy(float *x) { *x *= SCALE; }\n'


@jitload.jit_kernel(source=K, defines={"N": 1})
def k(x): ...


@jitload.jit_kernel(source="template <class T> __global__ void t(T *x) { *x = 1; }", entry="t<{T}>")
def t(x, *, T="float"): ...


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture
def source(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/scale.h").write_text("#define SCALE 2\n")
    (tmp_path / "src/saxpy.cu").write_text(SAXPY)
    return tmp_path / "src/saxpy.cu"


@pytest.fixture
def bundle(tmp_path):
    """`bundle(items, ...)`: the targets of the bundle that is made of them, and the bundle."""

    def make(items, **fields):
        made = jitload.Bundle.create(tmp_path / "k.jlb", items, **fields)
        made.verify()
        return [f"{kind} {arch}" for kind, arch in made.manifest["targets"]], made

    return make


def test_the_sentence_of_the_documentation(tmp_path):
    """In Python the same things: precompile for some archs, then a bundle of that, then its use."""
    jitload.precompile([k], archs=["sm_90", "compute_90"])
    before = jitload.stats().compiles
    bundle = jitload.Bundle.create(tmp_path / "k.jlb", [k])
    assert bundle.manifest["targets"] == [["cubin", "sm_90"], ["ptx", "compute_90"]]
    assert jitload.stats().compiles == before
    used = jitload.use_bundle(tmp_path / "k.jlb", trust="unsigned")
    with jitload.configure(compile="never"):
        assert k.artifact(arch="sm_90").arch == "sm_90"
        assert k.artifact().kind == "ptx"
    jitload.stop_bundle(used)


def test_with_archs_it_compiles_what_it_needs(bundle, tmp_path):
    targets, _ = bundle([k], archs=["sm_80", "compute_90"])
    assert targets == ["cubin sm_80", "ptx compute_90"]
    targets, made = bundle([k, t, t.specialize(T="int")], archs="sm_80,compute_90", kinds=["cubin", "ptx", "fatbin"])
    assert targets == ["cubin sm_80", "fatbin sm_80,compute_90", "ptx compute_90"]
    assert len(made) == 9
    names = {name for entry in made.entries() for name in entry.artifact.kernels}
    assert names == {"k", "t<float>", "t<int>"}


def test_without_archs_it_takes_those_that_were_precompiled(bundle):
    jitload.precompile([k], archs=["sm_80", "sm_90"], kinds=["cubin", "fatbin"])
    jitload.precompile([t], archs=["sm_86"])
    assert bundle([k])[0] == ["cubin sm_80", "cubin sm_90", "fatbin sm_80,sm_90"]
    assert bundle([k], kinds="fatbin")[0] == ["fatbin sm_80,sm_90"]
    assert bundle([k, t])[0] == ["cubin sm_80", "cubin sm_86", "cubin sm_90", "fatbin sm_80,sm_90"]


def test_of_what_was_never_compiled_it_takes_the_kernels_own_arch(bundle):
    @jitload.jit_kernel(source=K, defines={"N": 2}, arch="sm_86", entry="k")
    def own(x): ...

    assert bundle([own])[0] == ["cubin sm_86"]


def test_what_the_executor_added_stays_out(bundle, tmp_path):
    """A launch here compiles with line information; a bundle has what the application wrote, for every device."""
    k.artifact()
    _, made = bundle([k])
    assert made.requests == (k.request(arch="compute_90").digest,)


def test_one_item_or_several_of_every_sort(bundle, source, tmp_path):
    request = jitload.CompileRequest(source, kind="cubin", arch="sm_80")
    (tmp_path / "src/precompile.toml").write_text('archs = ["sm_86"]\n[[program]]\nsources = ["*.cu"]\n')
    with jitload.record(tmp_path / "app.jlw"):
        jitload.compile(source, arch="sm_90")
    workload = Workload.read(tmp_path / "app.jlw")
    for item, expected in (
        (k, "ptx compute_90"),
        (request, "cubin sm_80"),
        (source, "cubin sm_80, cubin sm_90"),  # what the cache has of it by now
        (tmp_path / "src/precompile.toml", "cubin sm_86"),
        (tmp_path / "app.jlw", "cubin sm_90"),
        (workload, "cubin sm_90"),
    ):
        assert ", ".join(bundle(item)[0]) == expected
        assert ", ".join(bundle([item])[0]) == expected
    everything = [k, request, tmp_path / "src/precompile.toml", workload]
    assert bundle(everything)[0] == ["cubin sm_80", "cubin sm_86", "cubin sm_90", "ptx compute_90"]
    assert bundle(iter(everything), archs=["sm_80"])[0] == ["cubin sm_80", "cubin sm_90"]  # the workload chose


def test_a_kernel_with_its_own_cache(bundle, tmp_path):
    own = jitload.Cache(tmp_path / "own")

    @jitload.jit_kernel(source=K, defines={"N": 3}, cache=own, entry="k")
    def mine(x): ...

    assert bundle([mine, k], archs=["sm_80"])[1].manifest["requests"] == 2
    assert [entry.arch for entry in own.entries()] == ["sm_80"]


def test_the_manifest_says_what_it_is_told(bundle, tmp_path, source):
    _, made = bundle([k], archs=["sm_80"], builder="ci", licences=["MIT"], name="ops", serial=7)
    assert {field: made.manifest[field] for field in ("builder", "licences", "name", "serial", "workload")} == {
        "builder": "ci", "licences": ["MIT"], "name": "ops", "serial": 7, "workload": ""
    }  # fmt: skip
    with jitload.record(tmp_path / "app.jlw"):
        jitload.compile(source, arch="sm_90")
    workload = Workload.read(tmp_path / "app.jlw")
    assert bundle(workload)[1].manifest["workload"] == workload.digest
    assert bundle([k], workload=workload)[1].manifest["workload"] == workload.digest
    assert bundle(workload, with_workload=True)[1].workload().digest == workload.digest


def test_kernels_can_carry_their_sources(bundle, source, tmp_path):
    """Without a run of an application that recorded them: the bundle can then be made again from itself."""
    _, made = bundle([k, source], archs=["sm_80", "compute_90"], with_workload=True)
    with made.workload().unpacked() as requests:
        digests = {
            requests[program].replace(kind=kind, arch=arch).digest
            for program in requests
            for kind, arch, _ in program.targets
        }
    assert digests == set(made.requests)
    command = [sys.executable, "-m", "jitload", "repro", str(tmp_path / "k.jlb")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.endswith("4 of 4 are the same bytes\n"), done.stderr


def test_two_builds_are_the_same_bytes(tmp_path, source):
    found = []
    for number in range(2):
        cache = jitload.Cache(tmp_path / f"cache{number}")
        items = [k, source][:: 1 - 2 * number]
        jitload.Bundle.create(tmp_path / "k.jlb", items, archs=["sm_80", "sm_90"], cache=cache, with_workload=True)
        found.append((tmp_path / "k.jlb").read_bytes())
    assert found[0] == found[1]


def test_what_cannot_be_made_is_named_and_no_file_is_written(tmp_path):
    bad = jitload.CompileRequest(
        'extern "C" __global__ void b() { nonsense; }', kind="cubin", arch="sm_80", name="b.cu"
    )
    with pytest.raises(BundleError, match=r"1 of 2 images cannot be made(.|\n)*b\.cu(.|\n)*nonsense") as caught:
        jitload.Bundle.create(tmp_path / "k.jlb", [bad, k], archs=["sm_80"])
    assert isinstance(caught.value.__context__, CompileError)
    with jitload.configure(compile="never"), pytest.raises(BundleError, match="cannot be made") as caught:
        jitload.Bundle.create(tmp_path / "k.jlb", [t], archs=["sm_80"])
    assert isinstance(caught.value.__context__, NotPrecompiledError)
    assert not (tmp_path / "k.jlb").exists()


def test_an_error_of_the_compiler_is_shown_once_in_a_traceback_for_all_archs(tmp_path):
    bad = jitload.CompileRequest("__global__ void b() { nonsense; }", kind="cubin", arch="sm_80", name="b.cu")
    with pytest.raises(BundleError) as caught:
        jitload.Bundle.create(tmp_path / "k.jlb", [bad, k], archs=["sm_80", "sm_90"])
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count('identifier "nonsense" is undefined') == 1
    assert (
        "2 of 4 images cannot be made\n  b.cu (cubin sm_80, cubin sm_90): b.cu does not compile for sm_80, sm_90"
        in shown
    )
    assert caught.value.__context__.diagnostics[0].line == 1


@pytest.mark.parametrize("items", ["saxpy.cu", 7, None, b"x", [7], ["saxpy.cu"]])
def test_an_item_that_is_none_is_refused(tmp_path, items):
    with pytest.raises(TypeError, match=r"CompileRequest"):
        jitload.Bundle.create(tmp_path / "k.jlb", items)


@pytest.mark.parametrize("items", [[], (), Workload(), [Workload()]])
def test_a_bundle_of_nothing_is_refused(tmp_path, items):
    with pytest.raises(jitload.UsageValueError, match="there is nothing to make"):
        jitload.Bundle.create(tmp_path / "k.jlb", items, archs=["sm_80"])
    for name in ("archs", "kinds"):
        with pytest.raises(jitload.UsageValueError, match=f"{name} is empty"):
            jitload.Bundle.create(tmp_path / "k.jlb", [k], **{"archs": ["sm_80"], name: []})
    assert not list(tmp_path.glob("*.jlb"))


def test_a_place_that_cannot_be_written_is_told_before_anything_compiles(tmp_path):
    before = jitload.stats().compiles
    for path in (tmp_path, tmp_path / "none" / "k.jlb"):
        with pytest.raises(OSError, match=str(tmp_path)):
            jitload.Bundle.create(path, [k], archs=["sm_80"])
    assert jitload.stats().compiles == before
    assert not list(pathlib.Path(os.environ["JITLOAD_CACHE_DIR"]).glob("objects/*/*"))


def test_kinds_without_archs_and_kinds_that_fit_none(tmp_path):
    with pytest.raises(ValueError, match="cubin"):
        jitload.Bundle.create(tmp_path / "k.jlb", [k], archs=["compute_90"], kinds="cubin")


def test_what_a_bundle_in_force_has_is_taken_from_there(bundle, tmp_path):
    """Who builds has no need of a cache that was lost, and nothing is compiled beside what was signed."""
    jitload.Bundle.create(tmp_path / "first.jlb", [k], archs=["sm_80"])
    used = jitload.use_bundle(tmp_path / "first.jlb", trust="unsigned")
    try:
        with jitload.configure(compile="never"):
            targets, _ = bundle([k], archs=["sm_80"], cache=jitload.Cache(tmp_path / "empty"))
    finally:
        jitload.stop_bundle(used)
    assert targets == ["cubin sm_80"]
    assert (tmp_path / "k.jlb").read_bytes() == (tmp_path / "first.jlb").read_bytes()
    with jitload.configure(bundles=[tmp_path / "first.jlb"], trust="ed25519:" + "11" * 32), pytest.raises(TrustError):
        bundle([k], archs=["sm_80"])


def test_an_image_that_differs_from_run_to_run_has_no_place_in_a_bundle(tmp_path, unstable_artifact):
    request, cache = unstable_artifact
    with pytest.raises(BundleError, match=r"k\.cu \(ptx, compute_90\) has no place in a bundle: NVRTC has named"):
        jitload.Bundle.create(tmp_path / "k.jlb", [request], cache=cache)
    assert not (tmp_path / "k.jlb").exists()


@pytest.fixture
def unstable_artifact(tmp_path):
    """(request, cache): an entry whose symbols are made of a process id, whatever this compiler makes of the source."""
    from jitload.artifact import Artifact
    from jitload.door import compile_request
    from jitload.values import KernelInfo

    symbol = "_ZN42_GLOBAL__N__00000000_4_k_cu_9c037531_112111qEPi"
    request = jitload.CompileRequest('extern "C" __global__ void q() {}', kind="ptx", arch="compute_90", name="k.cu")
    cache = jitload.Cache(tmp_path / "cache")
    made = compile_request(request, cache)
    fields = {name: getattr(made, name) for name in ("kind", "arch", "name", "key", "toolchain")}
    cache.put(
        Artifact(
            data=made.data.replace(b" q(", f" {symbol}(".encode()), kernels=[KernelInfo("q", symbol, ())], **fields
        )
    )
    return request, jitload.Cache(tmp_path / "cache")


def test_progress_and_jobs_go_to_the_compiler(tmp_path):
    seen = []
    jitload.Bundle.create(
        tmp_path / "k.jlb",
        [k],
        archs=["sm_80"],
        jobs=1,
        progress=lambda done, total, request, outcome: seen.append(outcome),
    )
    assert seen == ["compiled"]


def test_its_parameters_are_real():
    import inspect

    names = list(inspect.signature(jitload.Bundle.create).parameters)
    assert names[:4] == ["path", "items", "archs", "kinds"]
    assert not {"details", "kwargs"} & set(names)


def test_a_plan_is_bundled_on_the_command_line(source, tmp_path):
    (tmp_path / "src/p.toml").write_text('archs = ["sm_86"]\n[[program]]\nsources = ["*.cu"]\n')
    command = [sys.executable, "-m", "jitload", "bundle"]
    made = subprocess.run([*command, "create", tmp_path / "src/p.toml", "-o", tmp_path / "p.jlb"], capture_output=True)
    assert made.returncode == 0, made.stderr
    shown = subprocess.run([*command, "inspect", tmp_path / "p.jlb", "--json"], capture_output=True, check=True).stdout
    assert [entry["arch"] for entry in json.loads(shown)["entries"]] == ["sm_86"]
