"""`compile_options`: what every compile has in front of its own options, whichever way it is asked for."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import jitload
from jitload.batch.expand import expanded
from jitload.cli.app import app
from jitload.cli.request import build_requests
from jitload.settings.option import OPTIONS
from jitload.values import Kind

TEXT = """
#ifndef BY
#define BY 1
#endif
extern "C" __global__ void k(float *x) { x[threadIdx.x] += BY; }
"""


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


def test_they_stand_in_front_of_those_of_a_compile_as_if_written_there():
    written = jitload.compile(TEXT, arch="compute_75", options="-use_fast_math -maxrregcount=32")
    with jitload.configure(compile_options="-use_fast_math"):
        assert jitload.compile(TEXT, arch="compute_75", options=["-maxrregcount=32"]) is written
    assert jitload.compile(TEXT, arch="compute_75", options=["-maxrregcount=32"]).key != written.key


def test_the_compile_s_own_count_where_both_speak_of_one_thing():
    with jitload.configure(compile_options=["-DBY=2", "-ftz=true"]):
        mine = jitload.compile(TEXT, arch="compute_75", options=["-DBY=3"])
        assert b".ftz" in mine.data
        assert b"0f40400000" in mine.data  # 3.0
        assert b".ftz" not in jitload.compile(TEXT, arch="compute_75", options=["-ftz=false"]).data


def test_a_directory_of_headers_is_looked_in_after_the_compile_s_own(tmp_path):
    mine, for_all = tmp_path / "mine", tmp_path / "for all"
    for directory, names in ((mine, "a"), (for_all, "ab")):
        directory.mkdir()
        for name in names:
            (directory / f"{name}.h").write_text(f"#define {name.upper()} {1 if directory == mine else 2}\n")
    text = '#include <a.h>\n#include <b.h>\nextern "C" __global__ void k(int *x) { x[0] = 10 * A + B; }'
    with jitload.configure(compile_options=["-I", str(for_all)]):
        for own in ({"options": f"-I{mine}"}, {"include_dirs": [mine]}):
            x = np.zeros(1, np.int32)
            jitload.compile(text, **own).load()["k"][1, 1](x)
            assert x[0] == 12


def test_a_macro_that_is_taken_back_for_all_is_the_compile_s_own_to_define():
    x = np.zeros(2, np.float32)
    with jitload.configure(compile_options="-DBY=2 -UBY -DELSE"):
        jitload.compile(TEXT).load()["k"][1, 1](x[:1])
        jitload.compile(TEXT, options="-DBY=5").load()["k"][1, 1](x[1:])
    assert x.tolist() == [1, 5]


def test_a_kernel_that_is_loaded_is_loaded_anew_under_others_and_found_again():
    @jitload.jit_kernel(source=TEXT, entry="k")
    def k(x): ...

    x = np.zeros(1, np.float32)
    for options, total in (("", 1), ("-DBY=10", 11), ("", 12), ("-DBY=10", 22)):
        with jitload.configure(compile_options=options):
            k[1, 1](x)
            assert x[0] == total


def test_whichever_way_a_kernel_is_asked_for(tmp_path):
    """Decorated, from a path, from a plan and from the command line: one request, so what was compiled ahead is found."""
    file, plan = tmp_path / "k.cu", tmp_path / "precompile.toml"
    file.write_text(TEXT)
    plan.write_text('archs = ["sm_90"]\n[[program]]\nsources = ["k.cu"]\n')

    @jitload.jit_kernel(file=str(file), entry="k")
    def k(x): ...

    def asked():
        with expanded([k, file, plan], ["sm_90"], None) as requests:
            return {*requests, *build_requests(file, Kind.CUBIN, ["sm_90"])[1]}

    (before,) = asked()
    with jitload.configure(compile_options="-DBY=2 -lineinfo"):
        (one,) = asked()
        assert one.options == ("--generate-line-info",)
        assert dict(one.defines) == {"BY": "2"}
        k.artifact(arch="sm_90")
        told = CliRunner().invoke(app, ["precompile", str(file), "--arch", "sm_90"]).output
        assert "0 compiled, 1 cached" in told
    assert before.options == ()


def test_all_units_of_one_program_have_them():
    units = [
        "__device__ int by() { return BY; }",
        'int __device__ by(); extern "C" __global__ void k(int *x) { *x = by(); }',
    ]
    x = np.zeros(1, np.int32)
    with jitload.configure(compile_options="-DBY=6"):
        jitload.compile(sources=units).load()["k"][1, 1](x)
    assert x[0] == 6


def test_a_request_that_is_written_out_is_as_it_is_written():
    with jitload.configure(compile_options="-lineinfo"):
        assert jitload.CompileRequest(TEXT, kind="cubin", arch="sm_90").options == ()


@pytest.mark.parametrize(
    ("options", "advice"),
    [("--pch", "reads a file"), (["-O3"], "is nvcc's"), ("-arch=sm_90", "write arch="), ("'", "quot")],
)
def test_what_cannot_be_an_option_is_told_with_the_setting_that_has_it(options, advice):
    with (
        jitload.configure(compile_options=options),
        pytest.raises(jitload.UsageValueError, match=f"compile_options=.*{re.escape(advice)}"),
    ):
        jitload.compile(TEXT)


def test_the_variable_says_the_same_as_the_argument(monkeypatch):
    given = ["-DTEXT=two words", "-lineinfo"]
    option = next(option for option in OPTIONS if option.name == "compile_options")
    monkeypatch.setenv("JITLOAD_COMPILE_OPTIONS", option.written(option.check("compile_options", given)))
    with jitload.configure(compile="missing"):
        by_variable = jitload.compile(TEXT, arch="compute_75")
    monkeypatch.delenv("JITLOAD_COMPILE_OPTIONS")
    with jitload.configure(compile_options=given):
        assert jitload.compile(TEXT, arch="compute_75") is by_variable


@pytest.mark.parametrize("junk", [7, b"-G", ["-G", 1], {"-G": 1}])
def test_what_is_no_text_is_refused_by_its_name(junk):
    with pytest.raises(jitload.UsageValueError, match="compile_options"):
        jitload.configure(compile_options=junk)


def test_the_log_says_with_which_options_a_kernel_was_compiled(caplog):
    with caplog.at_level(logging.DEBUG, "jitload"):
        jitload.compile(TEXT, arch="compute_75", options="-use_fast_math -maxrregcount=32")
    assert "--maxrregcount=32, --use_fast_math) in " in caplog.text
