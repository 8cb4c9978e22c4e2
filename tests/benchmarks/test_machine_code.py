"""The part `native` of the benchmarks: what it launches gives what it should, and its budgets are those that were asked for."""

import numpy as np
import pytest

import jitload

pytest.importorskip("llvmlite", reason="machine code is made by llvmlite")
pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)


@pytest.fixture
def machine_code(benchmarks):
    import machine_code

    with jitload.configure(device="cpu", cpu_engine="native"):
        yield machine_code


def test_its_kernels_are_right(machine_code):
    file = machine_code.HERE / "machine_code.cu"
    count = np.zeros(1, np.int32)
    machine_code.load(file, "queens")[8, 32](8, count)
    assert count[0] == 92
    q, k, v = np.random.default_rng(0).standard_normal((3, 64, 32))
    out = np.zeros((64, 32), np.float32)
    machine_code.load(file, "attention")[1, 64](*(one.astype(np.float32) for one in (q, k, v)), out, 64, 0.255)
    parts = np.exp2(q @ k.T * 0.255)
    np.testing.assert_allclose(out, parts / parts.sum(axis=1, keepdims=True) @ v, rtol=1e-4, atol=1e-5)


def test_what_is_launched_has_the_factor_over_lanes_that_was_asked_for(machine_code):
    assert sorted(factor for _, factor in machine_code.ways().values()) == [4, 5, 5, 6, 50, 200]


def test_a_new_process_launches_what_another_has_kept(machine_code, python_without_nvrtc, cache_dir):
    with jitload.configure(cache_dir=str(cache_dir)):
        machine_code.load(machine_code.KERNELS / "matmul.cu", "matmul")
    done = python_without_nvrtc(machine_code.NEW_PROCESS, cache_dir, JITLOAD_DEVICE="cpu")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
