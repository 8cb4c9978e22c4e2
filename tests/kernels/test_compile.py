"""Every kernel compiles for every generation, without a GPU, without a CUDA install and without a warning."""

import pytest

import jitload
from jitload.images import check as images
from tests.kernels.cases import CASES, KERNELS, NAMES

FILES = sorted(NAMES)
# The one thing NVRTC 12.9 says about every source for sm_70.
DEPRECATED = "Architectures prior to '<compute/sm>_75' are deprecated"


def test_every_kernel_file_has_a_case():
    assert sorted(path.name for path in KERNELS.glob("*.cu")) == FILES


@pytest.mark.parametrize("arch", ["sm_70", "sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("file", FILES)
def test_cubin(compile_kernel, needs_arch, file, arch):
    needs_arch(int(arch.removeprefix("sm_")))
    artifact = compile_kernel(file, kind="cubin", arch=arch)

    images.verify_image("cubin", artifact.data, arch=arch)
    assert artifact.kind == "cubin"
    assert artifact.arch == arch
    assert set(artifact.kernels) == set(NAMES[file])
    assert warnings_in(artifact.log) == []


@pytest.mark.parametrize("file", FILES)
def test_ptx(compile_kernel, file):
    artifact = compile_kernel(file, kind="ptx", arch="compute_75")

    images.verify_image("ptx", artifact.data, arch="compute_75")
    assert set(artifact.kernels) == set(NAMES[file])
    for kernel in artifact.kernels.values():
        assert f".entry {kernel.symbol}(".encode() in artifact.data
    assert warnings_in(artifact.log) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_parameters_match_the_launches(compile_kernel, case):
    """An array that the kernel only reads is a pointer to const, so that a launch need not copy it back."""
    kernels = compile_kernel(case.file, kind="ptx", arch="compute_75").kernels
    problem = case.problem(case.shapes[0], "cover")
    written = set(problem.expected)
    for launch in problem.launches:
        params = kernels[launch.name].params
        assert len(params) == len(launch.args)
        for param, arg in zip(params, launch.args, strict=True):
            if not isinstance(arg, str):
                assert not param.pointer, f"{launch.name}: {param} gets {arg!r}"
            else:
                assert param.pointer, f"{launch.name}: {param} gets array {arg!r}"
                # A later launch may only read what an earlier one wrote.
                if arg not in written:
                    assert param.const, f"{launch.name}: {param} gets input {arg!r}"


def test_the_plan_beside_the_kernels_compiles(tmp_path):
    report = jitload.precompile([KERNELS / "precompile.toml"], "compute_75", cache=jitload.Cache(tmp_path / "cache"))
    assert report.ok, str(report)
    assert sorted(request.name for request in report.compiled) == FILES


def warnings_in(log):
    return [line for line in log.splitlines() if line.strip() and DEPRECATED not in line]
