"""`jitload report`: one file of HTML about a cache, a bundle, a workload or a profile."""

import json

import pytest

import jitload
from tests.report.pages import read

SOURCE = 'extern "C" __global__ void k(int *x) { x[threadIdx.x] = 1; }'


@pytest.fixture
def files(workdir):
    with jitload.record("app.jlw"):
        jitload.compile(SOURCE, kind="cubin", arch="sm_90", name="k.cu")
    jitload.Bundle.create("app.jlb", [workdir / "app.jlw"])
    figures = {"inst_executed": 4, "thread_inst_executed": 128, "branches": 0, "divergent_branches": 0, "memory": {}}
    figures |= {"atomics": 0, "bank_conflicts": 0}
    kernel = {"kernel": "saxpy", "launches": 1, "shapes": [{"grid": [1], "block": [32]}], **figures}
    profile = {"kernels": [{**kernel, "lines": [{"line": "/elsewhere/saxpy.cu:3", **figures}]}]}
    (workdir / "profile.json").write_text(json.dumps(profile))
    return workdir


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "Cache of kernels"),
        (["cache"], "k.cu"),
        (["bundle", "app.jlb"], "cubin sm_90"),
        (["bundle", "app.jlb", "--workload", "app.jlw", "--driver", "580"], "Coverage of the workload"),
        (["workload", "app.jlw"], "1 of cubin sm_90"),
        (["profile", "profile.json"], "int i = blockIdx.x * blockDim.x + threadIdx.x;"),
        (["profile", "profile.json", "--source", "saxpy.cu"], "int i = blockIdx.x * blockDim.x + threadIdx.x;"),
        (["profile", "profile.json", "--source", "app.jlb"], "name its file or its directory by --source"),
        (["compare", "app.jlb", "app.jlb"], "0 of 1 with machine code in both"),
        (["compare", "profile.json", "profile.json"], "Bank conflicts"),
    ],
)
def test_a_page_is_written(files, invoke, arguments, shown):
    result = invoke("report", *arguments, "-o", "page.html")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("page.html: ")
    assert shown in read((files / "page.html").read_text()).text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bundle", "none.jlb", "-o", "p.html"], 1, "none.jlb: cannot open the bundle"),
        (["bundle", "saxpy.cu", "-o", "p.html"], 1, "not a bundle"),
        (["workload", "saxpy.cu", "-o", "p.html"], 1, "not a workload"),
        (["profile", "saxpy.cu", "-o", "p.html"], 1, "saxpy.cu is no profile"),
        (["profile", "none.json", "-o", "p.html"], 1, "none.json: No such file or directory"),
        (["cache", "--dir", "none", "-o", "p.html"], 1, "no such directory"),
        (["cache", "-o", "none/p.html"], 1, "no such directory to write into"),
        (["cache", "-o", "-"], 1, "a page is a file"),
        (["cache", "-o", "old.JSON"], 1, "old.JSON is named like what a page is about"),
        (["compare", "saxpy.cu", "saxpy.cu", "-o", "p.html"], 1, "saxpy.cu is no profile"),
        (["compare", ".", "saxpy.cu", "-o", "p.html"], 1, "profiles with profiles"),
        (["compare", ".", ".", "-o", "p.html"], 1, "not a cache directory"),
        (["compare", "none", "none", "-o", "p.html"], 1, "none: No such file or directory"),
        (["compare", "saxpy.cu", "-o", "p.html"], 2, "AFTER"),
        (["-o", "p.html", "workload", "app.jlw"], 2, "behind the command"),
        (["cache"], 2, "--output"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(workdir, invoke, arguments, code, said):
    result = invoke("report", *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not (workdir / "p.html").exists()


def test_without_anything_there_is_help(invoke):
    result = invoke("report")
    assert result.exit_code == 2
    assert "Usage: jitload report" in result.output


def test_precompile_writes_a_page_of_its_run(workdir, invoke):
    result = invoke("precompile", "saxpy.cu", "--arch", "sm_80", "--jobs", "1", "--report", "run.html")
    assert result.exit_code == 0, result.stderr
    text = read((workdir / "run.html").read_text()).text
    assert "1 request in " in text
    assert "1 processes" not in text
    assert "saxpy" in text
    refused = invoke("precompile", "saxpy.cu", "--arch", "sm_80", "--report", "none/run.html")
    assert (refused.exit_code, "no such directory" in refused.stderr) == (1, True)
