"""What the library says to write is written as options where a command says it."""

import json

import pytest

import jitload
from jitload.cli.words import on_command_line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compile saxpy.cu -k cubin", "write e.g. --arch sm_90, or --kind ptx for the CPU executor"),
        ("precompile saxpy.cu -k fatbin", "write e.g. --arch sm_90, or --kind ptx for the CPU executor"),
        ("compile saxpy.cu -k cubin -a compute_90", "write --arch sm_90, or --kind ptx for 'compute_90'"),
        ("compile saxpy.cu -a sm_80,sm_90 -k ptx -o {arch}.x -a all", "write a list of them, with --kind fatbin"),
        ("compile saxpy.cu --option=-dlto", "write --kind ltoir instead"),
        ("compile saxpy.cu --option=-isystem=/x", "write --include-dir"),
        (
            "compile saxpy.cu --option=-gencode --option=arch=compute_90,code=[sm_90,compute_90]",
            "write --kind fatbin, --arch sm_90,compute_90",
        ),
        ("disasm saxpy.cu", "there is no GPU here to take it from: write --arch sm_90"),
        ("disasm saxpy.cu -a compute_90", "write --arch sm_90, or --kind ptx"),
    ],
)
def test_advice_is_in_the_words_of_the_command_line(invoke, workdir, monkeypatch, line, said):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    result = invoke(*line.split())
    assert result.exit_code == 1
    assert said in result.stderr
    assert "arch=" not in result.stderr.partition("write ")[2]
    told = json.loads(invoke(*line.split(), "--json").stdout) if line.startswith("compile") else None
    assert told is None or told["error"]["message"] in result.stderr


def test_an_arch_that_this_compiler_has_not_is_told_so_too(invoke, workdir, needs_nvrtc):
    for command in ("compile", "precompile"):
        assert "write one of them, e.g. --arch sm_90" in invoke(command, "saxpy.cu", "-a", "sm_35").stderr


def test_a_bundle_that_is_not_trusted_is_told_in_the_same_words_as_text_and_as_json(invoke, workdir, needs_nvrtc):
    request = jitload.CompileRequest("__global__ void k() {}", kind="ptx", arch="compute_80")
    jitload.Bundle.create("k.jlb", [request])
    result = invoke("bundle", "verify", "k.jlb", "--json")
    assert result.exit_code == 4
    assert f"jitload: {json.loads(result.stdout)['error']['message']}\n" == result.stderr
    assert "in --trust or in JITLOAD_TRUST" in result.stderr


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("archs=['sm_80', 'sm_90'] and kinds=['cubin']", "--arch sm_80,sm_90 and --kind cubin"),
        ("options=['-rdc=true']", "--option=-rdc=true"),
        ("in trust= or JITLOAD_TRUST", "in --trust or JITLOAD_TRUST"),
        ("(trust=) holds, a macro (defines=)", "(--trust) holds, a macro (--define)"),
        ("float arch = 'a'; kind == 'b'", "float arch = 'a'; kind == 'b'"),
        ("trust=unsigned", "trust=unsigned"),
        ("keys in trust=[...] (--trust on the command line) or in X", "keys in --trust or in X"),
    ],
)
def test_what_is_no_argument_is_left_alone(text, written):
    assert on_command_line(text) == written
