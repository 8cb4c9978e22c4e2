"""`jitload precompile`: what is missing is compiled, what fails is told last, and a log can be read."""

import json
import os
import pathlib
import pty
import subprocess
import sys

import pytest

import jitload

ROOT = pathlib.Path(jitload.__file__).parents[1]

pytestmark = pytest.mark.usefixtures("needs_nvrtc", "workdir")


@pytest.fixture
def broken(workdir):
    (workdir / "broken[1].cu").write_text("__global__ void broken() { undefined; }\n")
    return "broken[1].cu"


def test_every_file_is_compiled_for_every_arch(spawn, workdir):
    (workdir / "none.cu").write_text("__global__ void none() {}\n")
    done = spawn("precompile", "saxpy.cu", "none.cu", "--arch", "sm_80,compute_80", "-a", "sm_90", "-j", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert sorted(line.split(": ")[1].rsplit("/", 1)[1] for line in lines[:-1]) == sorted(
        f"{file} ({kind}, {arch})"
        for file in ("saxpy.cu", "none.cu")
        for kind, arch in (("cubin", "sm_80"), ("ptx", "compute_80"), ("cubin", "sm_90"))
    )
    assert lines[0].startswith("[1/6] compiled: ")
    assert lines[-1].startswith("6 requests in ")
    assert lines[-1].endswith(": 6 compiled, 0 cached, 0 failed")
    assert {path.name for path in workdir.iterdir()} == {"saxpy.cu", "none.cu"}


def test_compile_finds_what_was_precompiled(invoke, spawn):
    assert invoke("precompile", "saxpy.cu", "--arch", "sm_90").exit_code == 0
    assert b"from the disk cache" in spawn("compile", "saxpy.cu", "--arch", "sm_90").stdout
    assert "0 compiled, 1 cached, 0 failed" in invoke("precompile", "saxpy.cu", "--arch", "sm_90").stdout


def test_one_fatbin_holds_all_archs(invoke):
    result = invoke("precompile", "saxpy.cu", "-a", "sm_80,sm_90", "--kind", "fatbin", "--json")
    (row,) = json.loads(result.stdout)
    assert (row["kind"], row["arch"], row["outcome"]) == ("fatbin", "sm_80,sm_90", "compiled")


def test_several_kinds_in_one_run_and_only_what_is_missing_again(invoke):
    def made(*kinds):
        result = invoke("precompile", "saxpy.cu", "-a", "sm_80,compute_75", *kinds, "--json")
        assert result.exit_code == 0
        return [(row["kind"], row["arch"], row["outcome"]) for row in json.loads(result.stdout)]

    first = [("cubin", "sm_80"), ("ptx", "compute_75")]
    assert made("--kind", "cubin,ptx") == [(*image, "compiled") for image in first]
    again = made("--kind", "cubin,ptx", "--kind", "fatbin")
    assert again == [("fatbin", "sm_80,compute_75", "compiled"), *((*image, "cached") for image in first)]


def test_a_plan_is_read_where_nothing_is_named(invoke, workdir):
    (workdir / "precompile.toml").write_text('archs = ["sm_80"]\n[[program]]\nsources = ["*.cu"]\n')
    assert "1 compiled, 0 cached" in invoke("precompile").stdout
    assert "0 compiled, 1 cached" in invoke("precompile", "precompile.toml").stdout
    result = invoke("precompile", "--arch", "sm_90", "--kind", "cubin,ptx", "--json")
    assert [(row["kind"], row["arch"]) for row in json.loads(result.stdout)] == [("cubin", "sm_90"), ("ptx", "sm_90")]
    (workdir / "precompile.toml").write_text('arch = ["sm_80"]\n')
    result = invoke("precompile")
    assert result.exit_code == 1
    assert "jitload: precompile.toml: unknown key 'arch' at the top: did you mean 'archs'?" in result.stderr


def test_the_templates_of_a_source_are_those_that_a_plan_beside_it_names(invoke, workdir):
    """So that a glob of sources does not fail at those that need names."""
    (workdir / "t.cu").write_text("template <int N> __global__ void t(int *x) { *x = N * M; }")
    plan = '[[program]]\nsources = ["t.cu"]\nnames = ["t<3>"]\ndefines = { M = 2 }\narchs = ["sm_90"]\n'
    (workdir / "precompile.toml").write_text(plan)
    result = invoke("precompile", "t.cu", "saxpy.cu", "--arch", "sm_80", "--json")
    rows = [(row["arch"], row["names"], row["outcome"]) for row in json.loads(result.stdout)]
    assert sorted(rows) == [("sm_80", [], "compiled"), ("sm_80", ["t<3>"], "compiled")]
    result = invoke("precompile", "t.cu", "--arch", "sm_80", "--name", "t<5>", "-D", "M=1", "--json")
    assert [row["names"] for row in json.loads(result.stdout)] == [["t<5>"]]
    (workdir / "precompile.toml").write_text("nonsense")
    result = invoke("precompile", "saxpy.cu", "--arch", "sm_80")
    assert result.exit_code == 0


def test_names_and_options_reach_the_compiler(invoke, workdir):
    (workdir / "t.cu").write_text(
        '#include "n.h"\ntemplate <class T> __global__ void t(T *x) { *x = N + M; }\n#ifndef __CUDACC_RDC__\n#error\n#endif\n'
    )
    (workdir / "include").mkdir()
    (workdir / "include" / "n.h").write_text("#define N 1\n")
    result = invoke(
        *("precompile", "t.cu", "-a", "sm_80", "-I", "include", "-D", "M=2", "--name", "t<int>", "--option=-rdc=true"),
        "--json",
    )
    (row,) = json.loads(result.stdout)
    assert (row["outcome"], row["names"], row["error"]) == ("compiled", ["t<int>"], None)


def test_failures_come_last_and_the_rest_is_kept(invoke, broken):
    result = invoke("precompile", broken, "saxpy.cu", "-a", "sm_80")
    assert result.exit_code == 1
    assert "1 compiled, 0 cached, 1 failed" in result.stdout
    assert result.stderr.startswith("jitload: ")
    assert 'broken[1].cu(1): error: identifier "undefined" is undefined' in result.stderr
    assert "0 compiled, 1 cached, 0 failed" in invoke("precompile", "saxpy.cu", "-a", "sm_80").stdout


def test_json_is_all_there_is_on_stdout(invoke, broken):
    result = invoke("precompile", broken, "saxpy.cu", "-a", "sm_80", "--json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    assert [(row["file"].rsplit("/", 1)[1], row["outcome"], row["error"] is None) for row in rows] == [
        ("saxpy.cu", "compiled", True),
        ("broken[1].cu", "failed", False),
    ]
    assert "[2/2]" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.cu", "-a", "sm_80"], 1, "absent.cu: No such file or directory"),
        (["saxpy.cu", "-a", "sm_80", "-j", "0"], 2, "--jobs"),
        (["saxpy.cu", "-a", "volta"], 1, "volta"),
        ([], 1, "there is no precompile.toml here"),
        (["saxpy.cu", "-a", "sm_80,compute_80", "-k", "cubin"], 1, "nothing for compute_80"),
        (["saxpy.cu", "-a", "sm_80", "-k", "exe"], 1, "unknown kind 'exe'"),
        (["app.jlw", "-a", "sm_80", "-D", "N=1"], 1, "--define would not reach it"),
    ],
)
def test_what_cannot_be_is_said(invoke, arguments, code, words):
    result = invoke("precompile", *arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_a_terminal_gets_a_bar_and_the_summary(workdir, broken):
    """On a real (pseudo) terminal; brackets in a file name are not markup."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "jitload", "precompile", broken, "saxpy.cu", "-a", "sm_80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env={**os.environ, "TERM": "xterm"}) as run:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 4096):
                shown += chunk
        except OSError:
            pass  # the last writer is gone
        answer = run.stdout.read()
    os.close(leader)
    assert run.returncode == 1
    assert answer.startswith(b"2 requests in ")
    assert len(answer.splitlines()) == 1
    assert b"2/2" in shown
    assert b"broken[1].cu" in shown


def test_a_file_name_does_not_reach_the_terminal_as_it_is(invoke, workdir):
    (workdir / "a\x1b]0;b\x07.cu").write_text("__global__ void a() {}\n")
    said = invoke("precompile", "a\x1b]0;b\x07.cu", "--arch", "sm_80")
    assert "a\\x1b]0;b\\x07.cu (cubin, sm_80)" in said.stdout


def test_a_cache_that_keeps_nothing_is_said_before_anything_is_compiled(spawn, workdir, monkeypatch):
    (workdir / "in the way").write_text("")
    for place, words in (("in the way/cache", "cannot write to the cache"), ("in the way", "is not a directory")):
        monkeypatch.setenv("JITLOAD_CACHE_DIR", str(workdir / place))
        done = spawn("precompile", "saxpy.cu", "--arch", "sm_90")
        assert done.returncode == 1
        assert words in done.stderr.decode()
        assert "nothing compiled would be kept" in done.stderr.decode()
        assert done.stdout == b""


def test_a_full_disk_is_said_before_anything_is_compiled(workdir, cache_dir):
    """A limit of 0 bytes a file stands for it: a file can be made, and nothing be written into it."""
    command = f"ulimit -f 0 && exec {sys.executable} -m jitload precompile {workdir}/saxpy.cu --arch sm_90"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot write to the cache (File too large), so nothing compiled would be kept" in done.stderr


def test_what_a_disk_that_gets_full_does_not_take_is_said_at_the_end(workdir, cache_dir):
    """A limit of a megabyte a file stands for it: the smaller kernel is kept, and the larger is not."""
    large = "__device__ const int t[1 << 20] = {1};\n__global__ void large(int *x) { *x = t[*x]; }\n"
    (workdir / "large.cu").write_text(large)
    files = f"{workdir}/saxpy.cu {workdir}/large.cu"
    command = f"ulimit -f 2048 && exec {sys.executable} -m jitload precompile {files} --arch sm_90"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "2 compiled, 0 cached, 0 failed" in done.stdout) == (1, True)
    assert "jitload: 1 of 2 compiled could not be kept in the cache: make room there" in done.stderr
    assert len(list(cache_dir.glob("objects/*/*"))) == 1


def test_a_page_to_stdout_is_refused_before_anything_is_compiled(invoke, workdir, cache_dir):
    result = invoke("precompile", "saxpy.cu", "--arch", "sm_90", "--report", "-")
    assert (result.exit_code, "a page is a file" in result.stderr) == (1, True)
    assert not list(cache_dir.glob("objects/*/*"))
