"""A bundle whose sources were edited after it was built is named with what differs, whatever happens then."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

import jitload
from jitload.bundles import build, nearest, tier
from jitload.bundles.build import create
from jitload.door import compile_request
from jitload.errors import NotPrecompiledError
from jitload.format.json import canonical_json
from jitload.source.arch import EXECUTOR_ARCH

SCALE = '#include "factor.h"\nextern "C" __global__ void scale(float *x) { x[threadIdx.x] *= FACTOR; }\n'
APP = """
import numpy as np, jitload, ops
x = np.ones(4, np.float32)
ops.scale[1, 4](x)
assert (x == float({factor})).all(), x
print(jitload.stats().compiles, jitload.stats().hits["bundle"])
"""


@pytest.fixture(autouse=True)
def _nothing_compared():
    with jitload.Session():
        yield


@pytest.fixture
def package(tmp_path):
    """The directory of an installed package with a kernel, and a bundle of it as it is now."""
    site = tmp_path / "site"
    (site / "ops").mkdir(parents=True)
    (site / "ops" / "factor.h").write_text("#define FACTOR 2.0f\n")
    (site / "ops" / "scale.cu").write_text(SCALE)
    (site / "ops" / "__init__.py").write_text(
        "import jitload\n@jitload.jit_kernel(file='scale.cu')\ndef scale(x): ...\n"
    )
    (site / "ops-1.dist-info").mkdir()
    (site / "ops-1.dist-info" / "entry_points.txt").write_text("[jitload.bundles]\nops = ops:ops.jlb\n")
    request = jitload.CompileRequest(site / "ops" / "scale.cu", kind="ptx", arch=EXECUTOR_ARCH)
    cache = jitload.Cache(tmp_path / "build")
    compile_request(request, cache)
    create(site / "ops" / "ops.jlb", [request], cache=cache).close()
    return site


def run(package, factor, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    return subprocess.run(
        [sys.executable, "-c", APP.format(factor=factor)],
        env={
            **kept,
            "PYTHONPATH": f"{package}{os.pathsep}{pathlib.Path(jitload.__file__).parent.parent}",
            "JITLOAD_CACHE_DIR": str(package.parent / "cache"),
            "JITLOAD_DEVICE": "cpu",
            **environment,
        },
        capture_output=True,
        text=True,
    )


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


EDITS = {
    "source": (lambda site: edit(site / "ops/scale.cu", "*= FACTOR", "*= 2 * FACTOR"), 4, "source: "),
    "header": (lambda site: edit(site / "ops/factor.h", "2.0f", "3.0f"), 3, "factor.h changed"),
    "option": (
        lambda site: edit(site / "ops/__init__.py", "'scale.cu'", "'scale.cu', options=['-use_fast_math']"),
        2,
        "options: none -> ",
    ),
    "define": (
        lambda site: edit(site / "ops/__init__.py", "'scale.cu'", "'scale.cu', defines={'N': 4}"),
        2,
        "define N: absent -> 4",
    ),
}


def test_a_bundle_that_is_up_to_date_serves_without_a_word(package):
    done = run(package, 2)
    assert (done.stdout, done.stderr) == ("0 1\n", "")


@pytest.mark.parametrize("edited", EDITS)
def test_a_stale_bundle_is_named_once_where_compiling_goes_on(package, edited):
    change, factor, said = EDITS[edited]
    change(package)
    done = run(package, factor)
    assert done.stdout == "1 0\n", done.stderr
    (line,) = done.stderr.splitlines()
    for words in ("ops:ops.jlb", "scale.cu", said, "Build the bundle again, or install a release of ops whose"):
        assert words in line


@pytest.mark.parametrize("edited", EDITS)
def test_it_is_named_where_compiling_is_off(package, edited):
    change, factor, said = EDITS[edited]
    change(package)
    done = run(package, factor, JITLOAD_COMPILE="never")
    line = next(line for line in done.stderr.splitlines() if line.startswith("  nearest  :"))
    assert "as ptx compute_90 in ops:ops.jlb" in line
    assert said in line
    (fix,) = [line for line in done.stderr.splitlines() if line.startswith("  fix      :")]
    assert (
        "the bundle of the installed package ops is not of the sources and options beside it: install a release" in fix
    )
    assert "who builds ops: build the bundle again, with arch compute_90, before the wheel" in fix
    assert "K.jlb" not in fix
    assert fix.endswith(". Or set JITLOAD_COMPILE=missing")


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (("ops:ops.jlb", "ops:none.jlb"), "K.jlb"),  # no bundle of the package is in force
        (("scale.cu", "other.cu"), "the installed package ops has nothing of other.cu: install"),
        (("'scale.cu'", "'scale.cu', arch='compute_80'"), "the installed package ops was not built for this: install"),
    ],
)
def test_what_to_do_follows_from_what_the_package_lacks(package, edited, said):
    (package / "ops" / "other.cu").write_text(SCALE)
    for path in (package / "ops-1.dist-info" / "entry_points.txt", package / "ops" / "__init__.py"):
        edit(path, *edited)
    (fix,) = [
        line for line in run(package, 2, JITLOAD_COMPILE="never").stderr.splitlines() if line.startswith("  fix      :")
    ]
    assert said in fix


def test_a_source_of_somebody_else_is_not_the_packages(package, tmp_path):
    """Though the package has a bundle in force, and a program of that name."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "scale.cu").write_text(SCALE.replace("FACTOR", "5.0f").partition("\n")[2])
    code = "import jitload, pathlib; jitload.compile(pathlib.Path({!r}), arch='compute_90')".format(
        str(mine / "scale.cu")
    )
    environment = {"PYTHONPATH": f"{package}{os.pathsep}{pathlib.Path(jitload.__file__).parent.parent}"}
    environment |= {"JITLOAD_COMPILE": "never", "JITLOAD_DEVICE": "cpu", "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert "name K.jlb in JITLOAD_BUNDLES here" in done.stderr
    assert "package ops" not in done.stderr


@pytest.mark.parametrize("edited", EDITS)
def test_it_is_named_where_nothing_can_be_compiled(package, edited, python_without_nvrtc):
    change, factor, said = EDITS[edited]
    change(package)
    code = f"import sys; sys.path.insert(0, {str(package)!r})\n{APP.format(factor=factor)}"
    done = python_without_nvrtc(code, package.parent / "empty")
    error = done.stderr[done.stderr.index("jitload.errors.CompileError") :]
    assert "scale.cu (ptx, compute_90) is in no bundle and in no cache directory" in error
    assert "NVRTC is not installed" in error
    assert f"nearest: scale.cu as ptx compute_90 in ops:ops.jlb (installed): {said}" in error.replace(
        f"header {package}/ops/", ""
    )
    assert "\n  or: the bundle of the installed package ops is not of the sources" in error
    assert "tier" not in error


def test_it_is_named_where_the_process_is_sealed(shipped):
    source, _ = shipped
    source.write_text(source.read_text().replace("= 1", "= 2"))
    jitload.seal()
    try:
        with pytest.raises(jitload.CompileDisabledError, match=r"sealed.*\n  nearest: fill.cu .*fill.jlb: source: "):
            ask(source)
    finally:
        jitload.seal(False)


@pytest.fixture
def shipped(tmp_path):
    """(source file, its bundle in use): a template for two archs."""
    source = tmp_path / "fill.cu"
    source.write_text("template <class T> __global__ void fill(T *x) { *x = 1; }\n")
    requests = [
        jitload.CompileRequest(source, kind=kind, arch=arch, names=["fill<float>"])
        for kind, arch in (("ptx", EXECUTOR_ARCH), ("cubin", "sm_80"))
    ]
    cache = jitload.Cache()
    for request in requests:
        compile_request(request, cache)
    create(tmp_path / "fill.jlb", requests, cache=cache).close()
    bundle = jitload.use_bundle(tmp_path / "fill.jlb", trust="unsigned")
    yield source, bundle
    tier.stop_bundle(bundle)


def ask(source, **changes):
    fields = {"kind": "ptx", "arch": EXECUTOR_ARCH, "names": ["fill<float>"], **changes}
    return compile_request(jitload.CompileRequest(source, **fields), jitload.Cache())


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "cubin", "arch": "sm_90"},
        {"names": ["fill<double>"]},
        {"arch": "compute_80"},
    ],
    ids=str,
)
def test_what_a_bundle_was_not_made_for_does_not_make_it_stale(shipped, changes, caplog):
    ask(shipped[0], **changes)
    assert caplog.text == ""


def test_a_program_of_many_variants_is_not_compared_each_time(shipped, monkeypatch):
    source, _ = shipped
    read = []
    monkeypatch.setattr(nearest, "nearest_in", lambda *asked: read.append(asked) or [])
    for number in range(nearest.MAX_COMPARED + 3):
        ask(source, defines={"N": number})
    assert len(read) == nearest.MAX_COMPARED


def test_another_program_of_the_same_name_is_not_an_older_one(shipped, tmp_path, caplog):
    other = tmp_path / "other" / "fill.cu"
    other.parent.mkdir()
    other.write_text('extern "C" __global__ void clear(float *x) { *x = 0; }\n')
    ask(other, names=[])
    assert caplog.text == ""


def test_a_program_without_a_name_is_not_compared(tmp_path, caplog):
    cache = jitload.Cache()
    first = jitload.CompileRequest('extern "C" __global__ void k() {}', kind="ptx", arch=EXECUTOR_ARCH)
    compile_request(first, cache)
    create(tmp_path / "k.jlb", [first], cache=cache).close()
    with jitload.configure(bundles=[tmp_path / "k.jlb"], trust="unsigned"):
        jitload.compile('extern "C" __global__ void k() { ; }', arch=EXECUTOR_ARCH, cache=cache)
    assert caplog.text == ""


def test_the_nearest_of_several_instantiations_is_named_first(shipped):
    source, bundle = shipped
    source.write_text(source.read_text().replace("= 1", "= 2"))
    request = jitload.CompileRequest(source, kind="cubin", arch="sm_80", names=["fill<float>"])
    first, second = nearest.nearest_in(bundle, request)
    assert first.image == "fill.cu (fill<float>) as cubin sm_80"
    assert first.target == ()
    assert [text.split(":")[0] for text in first.stale] == ["source"]
    assert [text.split(":")[0] for text in second.target] == ["kind", "arch"]


def test_explain_names_what_the_bundle_has(shipped):
    source, bundle = shipped
    source.write_text(source.read_text().replace("= 1", "= 2"))
    request = jitload.CompileRequest(source, kind="ptx", arch=EXECUTOR_ARCH, names=["fill<float>"])
    said = dict(jitload.explain(request, jitload.Cache()).tiers)[f"bundle {bundle.path} has"]
    assert said.startswith("fill.cu (fill<float>) as ptx compute_90 in fill.jlb: source: ")


def test_programs_are_listed_in_the_manifest_and_found_without_the_list(shipped, monkeypatch, tmp_path):
    """A program that is not listed costs no reading; a bundle of an earlier version has no list."""
    source, bundle = shipped
    assert bundle.manifest["programs"] == ["fill.cu"]
    source.write_text(source.read_text().replace("= 1", "= 2"))
    request = jitload.CompileRequest(source, kind="ptx", arch=EXECUTOR_ARCH, names=["fill<float>"])
    read = []
    monkeypatch.setattr(type(bundle), "read", lambda self, digest: read.append(digest) or [])
    other = jitload.CompileRequest(source, kind="ptx", arch=EXECUTOR_ARCH, name="other.cu")
    assert nearest.nearest_in(bundle, other) == []
    assert read == []
    monkeypatch.undo()
    del bundle.manifest["programs"]
    assert len(nearest.nearest_in(bundle, request)) == 2


def test_too_many_programs_are_not_listed(monkeypatch, shipped, tmp_path):
    monkeypatch.setattr(build, "MAX_PROGRAMS", 0)
    merged = build.merge(tmp_path / "merged.jlb", [shipped[1]])
    assert "programs" not in merged.manifest
    assert canonical_json(merged.manifest)


def test_the_error_of_a_program_that_no_bundle_has_says_so(shipped, tmp_path):
    request = jitload.CompileRequest("__global__ void k() {}", name="nobody.cu", kind="ptx", arch=EXECUTOR_ARCH)
    with jitload.configure(compile="never"), pytest.raises(NotPrecompiledError, match="nothing of this program"):
        compile_request(request, jitload.Cache())
