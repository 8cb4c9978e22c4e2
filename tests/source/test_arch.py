"""Arch names, which kind goes with which, and the arch of the CPU executor."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import jitload
from jitload.compiler import nvrtc
from jitload.errors import UsageValueError
from jitload.source.arch import (
    EXECUTOR_ARCH,
    FORMER_EXECUTOR_ARCHS,
    capability,
    normalize_arch,
    normalize_archs,
    parse_kind,
    virtual_arch,
)
from jitload.values import Kind

SOURCE = b'extern "C" __global__ void k(int *out) { *out = 1; }\n'


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("sm_90", "sm_90"), ("SM_90", "sm_90"), (" sm_90 ", "sm_90"), ("90", "sm_90"), ("9.0", "sm_90"), ("9.0a", "sm_90a"), ("90a", "sm_90a"),
        ("10.0f", "sm_100f"), ("sm_120", "sm_120"), ("compute_75", "compute_75"), ("compute_100f", "compute_100f"), ("ptx:90", "compute_90"),
    ],
)  # fmt: skip
def test_spellings(written, canonical):
    assert normalize_arch(written) == canonical


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "sm_",
        "sm_9",
        "sm90",
        "sm_90b",
        "sm_90af",
        "sm_9a",
        "sm_٩٠",
        "ssm_90",
        "gfx90",
        "sm_9000",
        "compute-90",
        "9.00",
        "ptx:",
        "sm_90 sm_80",
        "sm_90\n--x",
    ],
)
def test_no_arch(bad):
    with pytest.raises(ValueError, match=r"unknown arch .*: write 'sm_90'"):
        normalize_arch(bad)


@pytest.mark.parametrize("bad", [90, 9.0, None, b"sm_90", ("sm_90",)], ids=str)
def test_an_arch_is_text(bad):
    with pytest.raises(TypeError, match="an arch is a str like 'sm_90'"):
        normalize_arch(bad)


@pytest.mark.parametrize("bad", [None, 90, b"sm_90", [90]], ids=str)
def test_archs_of_another_type(bad):
    with pytest.raises(TypeError, match="an arch is a str like 'sm_90'"):
        normalize_archs(Kind.CUBIN, bad)


FITS = [
    ("cubin", "sm_90"), ("cubin", "sm_90a"), ("cubin", "sm_100f"), ("ptx", "compute_90"), ("ptx", "sm_90"), ("ptx", "compute_90a"),
    ("ltoir", "sm_90"), ("ltoir", "compute_90"), ("fatbin", "sm_90"), ("fatbin", "sm_80,sm_90"), ("fatbin", "sm_80,compute_90"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arch"), FITS)
def test_kind_and_arch_that_go_together_give_an_image(kind, arch, cache, needs_nvrtc):
    if arch.endswith("f"):
        needs_nvrtc("12.9")  # the first with archs of a family
    artifact = jitload.compile(SOURCE.decode(), kind=kind, arch=arch, cache=cache)
    assert (artifact.kind, artifact.arch) == (kind, arch)
    assert len(artifact.data) > 100
    assert list(artifact.kernels) == ["k"]


@pytest.mark.parametrize(
    ("kind", "arch", "advice"),
    [
        ("cubin", "compute_90", "write arch='sm_90', or kind='ptx'"),
        ("cubin", "compute_90a", "write arch='sm_90a'"),
        ("cubin", "sm_80,sm_90", "kind='fatbin'"),
        ("ptx", ["compute_80", "compute_90"], "kind='fatbin'"),
        ("ltoir", ["sm_80", "sm_90"], "kind='fatbin'"),
        ("cubin", [], "needs an arch, e.g. arch='sm_90'"),
    ],
)
def test_kind_and_arch_that_do_not_go_together_say_what_to_write(kind, arch, advice):
    with pytest.raises(ValueError, match=re.escape(advice)):
        normalize_archs(Kind(kind), arch)


def test_the_same_arch_twice_is_once_and_order_is_kept():
    assert normalize_archs(Kind.FATBIN, ["sm_90", "9.0", "sm_80"]) == ("sm_90", "sm_80")
    assert normalize_archs(Kind.CUBIN, ["sm_90", "90"]) == ("sm_90",)


@pytest.mark.parametrize("bad", ["", "exe", "obj", None, 1, b"ptx"], ids=str)
def test_no_kind(bad):
    with pytest.raises(ValueError, match="expected one of cubin, ptx, ltoir, fatbin"):
        parse_kind(bad)


def test_kinds_in_any_case():
    assert parse_kind("CUBIN") is Kind.CUBIN
    assert parse_kind(Kind.PTX) is Kind.PTX


def test_parts():
    assert virtual_arch("sm_90a") == "compute_90a"
    assert virtual_arch("compute_90") == "compute_90"
    assert [capability(arch) for arch in ("sm_75", "sm_90a", "compute_100f", "sm_121")] == [
        (7, 5, ""),
        (9, 0, "a"),
        (10, 0, "f"),
        (12, 1, ""),
    ]
    with pytest.raises(ValueError, match="unknown arch"):
        capability("nine")


def compile_for(arch):
    return nvrtc.compile_program(nvrtc.Run(SOURCE, "k.cu", {}, (), Kind.PTX, arch))


def test_the_executors_arch_is_compiled_for_without_a_word():
    assert compile_for(EXECUTOR_ARCH).log == ""


@pytest.mark.parametrize("least", [700, 750, 800, 900])
def test_what_todays_code_asks_the_arch_for_is_there_on_the_executor(least):
    """Without an arch, code behind `#if __CUDA_ARCH__ >= 800` runs."""
    source = f"""extern "C" __global__ void k(int *x) {{
    #if __CUDA_ARCH__ >= {least}
        x[threadIdx.x] = __CUDA_ARCH__;
    #endif
    }}"""
    x = np.zeros(4, np.int32)
    with jitload.configure(device="cpu"):
        jitload.compile(source).load()["k"](x, grid=1, block=4)
    assert x.tolist() == [900] * 4


def test_nvrtc_knows_its_archs():
    named = (EXECUTOR_ARCH, *FORMER_EXECUTOR_ARCHS)
    assert {*(capability(arch)[0] * 10 + capability(arch)[1] for arch in named), 80} <= set(nvrtc.supported_archs())


def test_nvrtc_knows_the_archs_of_its_day(needs_nvrtc):
    needs_nvrtc("12.9")
    assert {100, 120} <= set(nvrtc.supported_archs())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (9.0, "got float: write '9.0'"),
        (True, "got bool"),
        (b"sm_90", "got bytes"),
        ("native", "leave it out"),
        ("all", "a list of them"),
        (90, "got int: write 'sm_90'"),
        ([90, 80], "got int: write 'sm_90'"),
        (np.int64(90), "got int64: write 'sm_90'"),
        ("sm90", "write 'sm_90'"),
        ((9, 0), r"capability \(9, 0\) is written 'sm_90'"),
    ],
)
def test_what_is_no_arch_says_what_to_write(given, message):
    with pytest.raises((jitload.UsageTypeError, jitload.UsageValueError), match=message):
        jitload.CompileRequest("", kind="cubin", arch=given)


def test_native_is_the_device_in_force():
    with jitload.configure(device="cpu"):
        made = jitload.compile("__global__ void k() {}", arch="native")
        assert (made.arch, made.kind) == (EXECUTOR_ARCH, "ptx")

        @jitload.jit_kernel(source="__global__ void k() {}", arch="native")
        def k(): ...

        assert k.request().arch == k.request(arch="native").arch == EXECUTOR_ARCH
        with pytest.raises(jitload.UsageTypeError, match="got bytes"):
            jitload.compile("", arch=b"sm_90")


@pytest.mark.parametrize(
    ("name", "archs"),
    [
        ("H100", "sm_90"),
        ("NVIDIA H100 80GB HBM3", "sm_90"),
        ("a100-sxm4-80gb", "sm_80"),
        ("NVIDIA GeForce RTX 4090", "sm_89"),
        ("rtx_5090", "sm_120"),
        ("NVIDIA RTX 6000 Ada Generation", "sm_89"),
        ("RTX A6000", "sm_86"),
        ("A10G", "sm_86"),
        ("Tesla T4", "sm_75"),
        ("B200", "sm_100"),
        ("GB300", "sm_103"),
        ("hopper", "sm_90"),
        ("Ampere", "sm_80, sm_86 and sm_87"),
        ("GTX 1080 Ti", "sm_61"),
    ],
)
def test_the_name_of_a_card_is_told_with_its_arch(name, archs):
    with pytest.raises(UsageValueError) as caught:
        normalize_arch(name)
    assert str(caught.value).endswith(f"or 'compute_80'; {name} is {archs}")
    for arch in re.findall(r"sm_\d+", archs):
        assert normalize_arch(arch) == arch


@pytest.mark.parametrize("name", ["gfx90", "MI300X", "sm_9000", "9.00", "h1000", "data", "titan x", "sm 90", ""])
def test_no_card_is_made_of_another_name(name):
    with pytest.raises(UsageValueError, match=r"or 'compute_80'$"):
        normalize_arch(name)


@pytest.mark.parametrize(
    ("arch", "near"),
    [
        ("sm_91", "sm_90 and sm_100"),
        ("compute_81", "sm_80 and sm_86"),
        ("8.5", "sm_80 and sm_86"),
        ("sm_99a", "sm_90 and sm_100"),
        ("sm_71", "sm_70 and sm_72"),
        ("sm_10", "sm_20 and sm_21"),
    ],
)
def test_an_arch_that_no_toolkit_compiles_for_is_refused_with_the_nearest(arch, near):
    with pytest.raises(UsageValueError, match=f"^unknown arch '{arch}': no CUDA toolkit .* the nearest are {near}$"):
        normalize_arch(arch)


@pytest.mark.parametrize("arch", ["sm_88", "sm_107", "compute_130", "sm_121a"])
def test_an_arch_that_a_toolkit_to_come_may_have_is_taken(arch):
    assert normalize_arch(arch) == arch


@pytest.mark.parametrize(
    "ask",
    [
        lambda kernel, tmp: jitload.compile("", arch="sm_91"),
        lambda kernel, tmp: jitload.precompile([kernel], archs=["sm_90", "sm_91"]),
        lambda kernel, tmp: jitload.Bundle.create(tmp / "x.jlb", [kernel], archs="sm_91"),
        lambda kernel, tmp: kernel.artifact(arch="sm_91"),
        lambda kernel, tmp: jitload.occupancy(kernel, 32, arch="sm_91"),
        lambda kernel, tmp: jitload.jit_kernel(source=SOURCE.decode(), arch="sm_91"),
        lambda kernel, tmp: jitload.jit_kernel(source=SOURCE.decode(), arch=iter(["sm_90", "sm_91"])),
    ],
    ids=["compile", "precompile", "bundle", "kernel", "occupancy", "decorator", "decorator for a fatbin"],
)
def test_it_is_refused_wherever_an_arch_is_taken(ask, tmp_path):
    kernel = jitload.jit_kernel(source=SOURCE.decode())(k)
    with (
        jitload.configure(cache_dir=tmp_path / "cache"),
        pytest.raises(UsageValueError, match=r"the nearest are sm_90 and sm_100"),
    ):
        ask(kernel, tmp_path)
    assert not (tmp_path / "x.jlb").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "cubn"}, "unknown kind 'cubn'"),
        ({"kind": "cubin", "arch": "compute_90"}, "write arch='sm_90'"),
        ({"kind": "ptx", "arch": ["sm_80", "sm_90"]}, "write kind='fatbin' for several"),
        ({"arch": 90}, "write 'sm_90'"),
    ],
)
def test_a_declaration_refuses_kinds_and_archs_before_it_is_used(given, said):
    with pytest.raises(jitload.UsageError, match=said):
        jitload.jit_kernel(source=SOURCE.decode(), **given)


def test_a_declaration_with_an_arch_loads_no_more_than_one_without():
    program = """if True:
        import sys
        from jitload import jit_kernel
        jit_kernel(source="__global__ void k() {}")
        before = set(sys.modules)
        jit_kernel(source="__global__ void k() {}", kind="cubin", arch="sm_90a")
        print(sorted(set(sys.modules) - before))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["compile", "precompile"])
def test_it_is_refused_on_the_command_line(command, tmp_path):
    (tmp_path / "k.cu").write_bytes(SOURCE)
    done = subprocess.run(
        [sys.executable, "-m", "jitload", command, "k.cu", "--arch", "sm_90,sm_91"],
        cwd=tmp_path,
        env={**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "the nearest are sm_90 and sm_100" in done.stderr.replace("\n", " ")


def k(out): ...
