"""`jitload cache explain`: the arguments of `jitload compile`, and the reason for a hit or a miss."""

import pathlib
import shutil

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")


def test_explain_of_a_hit(ask, invoke, cache):
    (report,) = ask("explain", "scale.cu", "--arch", "sm_90")
    assert set(report) == {"request", "key", "hit", "outcome", "launch", "tier", "factors", "tiers", "nearest"}
    assert report["hit"]
    assert report["key"] in {entry["key"] for entry in ask("ls")["entries"]}
    assert invoke("cache", "explain", "scale.cu", "--arch", "sm_90").stdout.startswith(
        "scale.cu (cubin, sm_90): a hit\n"
    )


def test_explain_of_a_miss_names_the_header_that_changed(ask, invoke, cache):
    pathlib.Path("factor.cuh").write_text("#define FACTOR 3.0f\n")
    result = invoke("cache", "explain", "scale.cu", "--arch", "sm_90")
    assert result.exit_code == 3
    assert result.stdout.startswith("scale.cu (cubin, sm_90): a miss\n")
    assert "factor.cuh" in result.stdout
    (report,) = ask("explain", "scale.cu", "--arch", "sm_90", code=3)
    (difference,) = report["nearest"][0]["differences"]
    assert difference["factor"].endswith("factor.cuh")


def test_explain_takes_the_arguments_of_compile(ask, invoke, cache):
    arguments = ["-a", "sm_80,sm_90", "-k", "cubin", "-D", "N=3", "-n", "&saxpy", "--option=-lineinfo", "-I", "."]
    assert [one["hit"] for one in ask("explain", "saxpy.cu", *arguments, code=3)] == [False, False]
    entries = len(ask("ls")["entries"])
    assert invoke("compile", "saxpy.cu", *arguments, "-o", "{arch}.cubin").exit_code == 0
    reports = ask("explain", "saxpy.cu", *arguments)
    assert [one["hit"] for one in reports] == [True, True]
    assert reports[0]["factors"]["arch"] == "sm_80"
    assert len(ask("ls")["entries"]) == entries + 2


def test_explain_compiles_and_makes_nothing(invoke, cache):
    shutil.rmtree(cache)
    compiles = jitload.stats().compiles
    assert invoke("cache", "explain", "saxpy.cu", "--arch", "sm_80").exit_code == 3
    assert jitload.stats().compiles == compiles
    assert not cache.exists()


def test_without_an_arch_it_is_what_a_launch_would_get(ask, invoke, cache, monkeypatch):
    """With compiling off, the executor takes the PTX without its own options."""
    jitload.compile(pathlib.Path("scale.cu"), arch="compute_90")
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    assert ask("explain", "scale.cu", code=3)[0]["outcome"] == "compile"
    monkeypatch.setenv("JITLOAD_COMPILE", "never")
    (report,) = ask("explain", "scale.cu")
    assert (report["outcome"], report["tier"]) == ("hit", "memory" if "memory" in report["launch"] else "disk")
    assert report["launch"].endswith("which stands in: without --generate-line-info")
    assert invoke("compile", "scale.cu", "-o", "scale.ptx").exit_code == 0
    (report,) = ask("explain", "scale.cu", "--arch", "compute_80", code=3)
    assert report["outcome"] == "error"
    assert "compiling is off" in report["launch"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.cu", "-a", "sm_90"], "absent.cu: No such file or directory"),
        (["saxpy.cu", "-a", "volta"], "sm_90"),
        (["saxpy.cu", "-a", "compute_90", "-k", "cubin"], "sm_90"),
    ],
)
def test_explain_says_what_cannot_be_asked(invoke, cache, arguments, words):
    result = invoke("cache", "explain", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr
