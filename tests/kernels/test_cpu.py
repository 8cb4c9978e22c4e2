"""Every kernel gives NumPy's numbers on the CPU executor."""

import numpy as np
import pytest

import jitload
from jitload.settings.check import CPU_CHECKS
from jitload.source.arch import EXECUTOR_ARCH
from tests.kernels.cases import EMPTY_SAMPLES, SAMPLES, launch_all, run, sample_id


@pytest.fixture(scope="module")
def load(compile_kernel):
    """`load(file)`: the module of that kernel file on the CPU executor."""
    modules = {}

    def load_file(file):
        if file not in modules:
            modules[file] = compile_kernel(file, kind="ptx", arch=EXECUTOR_ARCH).load()
        return modules[file]

    with jitload.configure(device="cpu"):
        yield load_file
    for module in modules.values():
        module.close()


@pytest.mark.parametrize("sample", SAMPLES, ids=sample_id)
def test_agrees_with_numpy(load, sample):
    case, shape, spread = sample
    run(case.problem(shape, spread), load(case.file))


@pytest.mark.parametrize("sample", SAMPLES, ids=sample_id)
def test_checks_report_nothing(load, sample):
    """These kernels are right: no race, no value that nobody wrote, no leak."""
    case, shape, spread = sample
    with jitload.configure(cpu_check=CPU_CHECKS):
        run(case.problem(shape, spread), load(case.file))


@pytest.mark.parametrize("sample", EMPTY_SAMPLES, ids=sample_id)
def test_empty_touches_nothing(load, sample):
    case, shape, spread = sample
    run(case.problem(shape, spread), load(case.file))


@pytest.mark.parametrize("pointer", ["null", "zero-size array"])
@pytest.mark.parametrize("sample", EMPTY_SAMPLES, ids=sample_id)
def test_empty_dereferences_nothing(load, sample, pointer):
    """The executor faults on any access through these pointers."""
    case, shape, spread = sample
    problem = case.problem(shape, spread)
    pointers = {name: 0 if pointer == "null" else np.empty(0, a.dtype) for name, a in problem.arrays.items()}
    launch_all(problem, load(case.file), pointers)
