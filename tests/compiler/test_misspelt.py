"""An option that the compiler refuses is told with the nearest that it takes, below the compiler's own words."""

from __future__ import annotations

import re

import pytest

import jitload
from jitload.compiler.misspelt import about_options, nearest_option
from jitload.source.options import canonical_options, known_options
from jitload.source.refused import ptxas_options

KERNEL = 'extern "C" __global__ void k(int *x) { *x = 1; }'


def refused(option, kind="ptx", arch="compute_80"):
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(KERNEL, kind=kind, arch=arch, options=[option])
    return str(caught.value), caught.value.log


@pytest.mark.usefixtures("needs_nvrtc")
@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--use_fast_mth", "--use_fast_math"),
        ("-use-fast-mth", "--use_fast_math"),
        ("-fast-math", "--use_fast_math"),
        ("-lineinf", "-lineinfo"),
        ("--generate-lineinfo", "--generate-line-info"),
        ("--maxrregcout=32", "--maxrregcount"),
        ("-maxregcount=32", "--maxrregcount"),
        ("--diag-supress=177", "--diag-suppress"),
        ("--std=c++71", "--std=c++17"),
        ("-std=C++2", "--std=c++20"),
    ],
)
def test_a_misspelt_option_is_told_with_the_nearest_one(option, meant):
    text, log = refused(option)
    said, hint = text.rsplit("\n", 1)
    assert hint.startswith("hint: ")
    assert hint.endswith(f"did you mean {meant!r}?")
    assert log.strip() in said
    jitload.compile(KERNEL, kind="ptx", arch="compute_80", options=[_whole(meant, option)])


def _whole(meant, option):
    value = "" if "=" in meant else "".join(option.partition("=")[1:])
    return f"{meant}{value}"


@pytest.mark.usefixtures("needs_nvrtc")
def test_an_option_of_ptxas_is_told_so_too():
    text, _ = refused("--ptxas-options=--alow-expensive-optimizations=1", kind="cubin", arch="sm_80")
    assert text.endswith("\nhint: did you mean '--ptxas-options=--allow-expensive-optimizations'?")


@pytest.mark.usefixtures("needs_nvrtc")
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--foo=bar", "hint: NVRTC has no option '--foo', nor one like it; its documentation lists them"),
        ("--std=17", "hint: --std takes c++03, c++11, c++14, c++17 or c++20"),
        ("--fmad=maybe", "expects true or false"),
    ],
)
def test_what_has_no_near_one_says_what_is_taken(option, said):
    text, _ = refused(option)
    assert said in text
    assert "did you mean" not in text


def test_an_option_of_another_version_is_not_told_to_be_written_as_it_is():
    said = about_options("nvrtc: error: unrecognized option --frandom-seed=1 found", ["--frandom-seed=1"])
    assert said == "'--frandom-seed' is an option of other versions of NVRTC than the one in use"


def test_what_is_no_complaint_about_options_has_no_hint():
    assert about_options('k.cu(1): error: identifier "nonsense" is undefined', ["--fmad=true"]) is None
    assert about_options("nvrtc: error: invalid value for --gpu-architecture (-arch)", []) is None
    assert about_options("ptxas fatal   : Unknown option 'zz'", []) is None


@pytest.mark.parametrize("known", [known_options(), ptxas_options()], ids=["NVRTC", "ptxas"])
def test_an_option_is_nearest_to_itself_however_it_is_spelled(known):
    for option in known:
        near = nearest_option(option, known)
        assert near is not None
        assert re.sub("[-_]", "", near).lower() == re.sub("[-_]", "", option).lower()


def test_a_library_of_nvcc_is_still_refused_as_one():
    with pytest.raises(jitload.UsageValueError, match="a compile links nothing"):
        canonical_options(["-lcublas"])
