"""`jitload check --strict-sources`: is a bundle as new as what it was built from? The exit code says it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

import jitload

from .conftest import ROOT

SCALE = '#include "factor.h"\nextern "C" __global__ void scale(float *x) { *x *= FACTOR; }\n'
FILL = "template <class T, int N> __global__ void fill(T *x) { *x = N; }\n"
PACKAGE = {
    "__init__.py": "from . import kernels\nprint('imported')\n",
    "kernels.py": f'''import jitload
@jitload.jit_kernel(file="scale.cu")
def scale(x): ...
@jitload.jit_kernel(source="""{FILL}""")
def fill(x, *, T, N): ...
def plus(x):
    """extern "C" __global__ void plus(float *x) {{ *x += 1; }}"""
plus = jitload.jit_kernel(plus)
''',
    "scale.cu": SCALE,
    "factor.h": "#define FACTOR 2.0f\n",
    "precompile.toml": '[[program]]\nsources = ["scale.cu"]\n',
}
BUILD = """if True:
    import jitload, ops.kernels as own
    kernels = [own.scale, own.plus, own.fill.specialize(T="float", N=1)]
    jitload.Bundle.create("ops/ops.jlb", kernels, archs=["sm_80", "compute_90"])
"""
ASK = ("check", "--bundle", "ops/ops.jlb", "--trust", "unsigned", "--strict-sources")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory of a package with a bundle of its kernels, for two kinds of target; made once."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)
    place = tmp_path_factory.mktemp("built")
    (place / "ops").mkdir()
    for name, text in PACKAGE.items():
        (place / "ops" / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    environment |= {"PYTHONPATH": str(ROOT), "JITLOAD_CACHE_DIR": str(place / "cache")}
    subprocess.run([sys.executable, "-c", BUILD], cwd=place, env=environment, check=True, timeout=60)
    return place / "ops"


@pytest.fixture
def ops(built, workdir):
    """That package in the current directory."""
    shutil.copytree(built, workdir / "ops")
    return workdir / "ops"


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_bundle_that_was_just_built_is_as_new(ops, spawn):
    done = spawn(*ASK, "ops/__init__.py")
    assert (done.returncode, done.stdout) == (0, b"sources: the bundle is as new (3 programs)\n"), done.stderr
    assert done.stderr == b"imported\n"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("scale.cu", "*= FACTOR", "*= 2 * FACTOR", "stale: scale.cu as cubin sm_80 in {ops}/ops.jlb: source: "),
        ("factor.h", "2.0f", "3.0f", "factor.h changed"),
        ("kernels.py", '"scale.cu"', '"scale.cu", options=["-use_fast_math"]', "options: none -> "),
        ("kernels.py", '"scale.cu"', '"scale.cu", defines={"N": 4}', "define N: absent -> 4"),
        ("kernels.py", "*x += 1", "*x += 2", "stale: plus.cu as ptx compute_90 in {ops}/ops.jlb: source: "),
        ("kernels.py", "*x = N", "*x = N + N", "stale: fill.cu (fill<float, 1>) as cubin sm_80 in {ops}/ops.jlb: source: "),
        ("kernels.py", "plus", "minus", "missing: minus.cu: in no bundle"),
    ],
    ids=["source", "header", "option", "define", "docstring", "template", "new kernel"],
)  # fmt: skip
def test_what_was_edited_since_is_listed(ops, spawn, name, old, new, said):
    edit(ops / name, old, new)
    done = spawn(*ASK, "ops/__init__.py")
    assert done.returncode == 3, done.stderr
    *listed, verdict = done.stdout.decode().splitlines()
    assert any(said.format(ops=ops) in line for line in listed)
    assert verdict == "sources: 1 of 3 missing or stale: build the bundle again"


def test_a_file_that_is_imported_as_another_one_is_refused(ops, spawn):
    (ops / "own").mkdir()
    (ops / "own" / "json.py").write_text("import jitload")
    done = spawn(*ASK, "ops/own/json.py")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"json.py cannot be imported as json, which is " in done.stderr


def test_a_plan_and_a_source_say_it_too_and_so_does_json(ops, invoke):
    assert invoke(*ASK, "ops/precompile.toml").stdout == "sources: the bundle is as new (1 program)\n"
    assert invoke(*ASK, "ops/scale.cu").exit_code == 0
    edit(ops / "factor.h", "2.0f", "3.0f")
    result = invoke(*ASK, "ops/precompile.toml", "--json")
    answer = json.loads(result.stdout)
    (row,) = answer["sources"]
    assert (result.exit_code, answer["fresh"], row["fresh"], row["images"], len(row["stale"])) == (
        3,
        False,
        False,
        2,
        2,
    )


def test_both_questions_are_answered_at_once(ops, invoke, monkeypatch):
    with jitload.record("app.jlw"):
        jitload.compile(ops / "scale.cu", arch="sm_80")
    result = invoke(*ASK, "ops/scale.cu", "-w", "app.jlw", "--gpu", "sm_80")
    assert result.stdout == "sm_80: covered (1 request)\nsources: the bundle is as new (1 program)\n"
    edit(ops / "factor.h", "2.0f", "3.0f")
    result = invoke(*ASK, "ops/scale.cu", "-w", "app.jlw", "--gpu", "sm_80")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-2:] == [
        "sm_80: covered (1 request)",
        "sources: 1 of 1 missing or stale: build the bundle again",
    ]


def test_a_bundle_that_nobody_vouches_for_is_told_apart(ops, invoke):
    assert invoke("check", "--bundle", "ops/ops.jlb", "--strict-sources", "ops/scale.cu").exit_code == 4


def test_what_cannot_be_imported_is_shown_as_python_shows_it(ops, spawn):
    (ops / "kernels.py").write_text("import nonsense_of_tests\n")
    done = spawn(*ASK, "ops/__init__.py")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No module named 'nonsense_of_tests'" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "declares no kernel"),
        (
            "import jitload\n@jitload.jit_kernel(source='__global__ void k() {}', link=['a.o'])\ndef k(): ...\n",
            "k of linked.py: the age of what is linked (link=) is not known",
        ),
    ],
)
def test_a_file_that_says_nothing_of_ages_is_refused(ops, spawn, workdir, text, said):
    (workdir / "linked.py").write_text(text)
    done = spawn(*ASK, "linked.py")
    assert done.returncode == 1
    assert said in done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "nothing is asked: write --workload FILE --gpu ARCH, or --strict-sources FILE"),
        ("-w app.jlw", "write --gpu sm_90, or --gpu cpu"),
        ("--gpu sm_90", "Write --workload FILE"),
        ("--strict-sources ops/scale.cu --driver 580", "with --workload FILE and --gpu ARCH"),
    ],
)
def test_half_a_question_is_refused(ops, invoke, line, said):
    result = invoke("check", "--bundle", "ops/ops.jlb", *line.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr.replace("\n", " ")
