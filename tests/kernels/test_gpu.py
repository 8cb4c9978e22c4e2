"""The cases of test_cpu.py on a GPU, from cubin for its own arch and from PTX that its driver compiles."""

import pytest

import jitload
from tests.kernels.cases import EMPTY_SAMPLES, SAMPLES, launch_all, run, sample_id

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def gpu(needs_gpu):
    with jitload.configure(device="cuda"):
        yield


@pytest.fixture(scope="module", params=["cubin", "ptx"])
def load(request, gpu, compile_kernel):
    """`load(file)`: the module of that kernel file on the current device."""
    target = {"kind": "cubin", "arch": None} if request.param == "cubin" else {"kind": "ptx", "arch": "compute_75"}
    modules = {}

    def load_file(file):
        if file not in modules:
            modules[file] = compile_kernel(file, **target).load()
        return modules[file]

    yield load_file
    for module in modules.values():
        module.close()


@pytest.mark.parametrize("sample", SAMPLES, ids=sample_id)
def test_agrees_with_numpy(load, sample):
    case, shape, spread = sample
    run(case.problem(shape, spread), load(case.file))


@pytest.mark.parametrize("sample", EMPTY_SAMPLES, ids=sample_id)
def test_empty_touches_nothing(load, sample):
    case, shape, spread = sample
    problem = case.problem(shape, spread)
    run(problem, load(case.file))
    launch_all(problem, load(case.file), dict.fromkeys(problem.arrays, 0))
