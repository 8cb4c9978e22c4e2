"""The same random programs as machine code; what has no native form of them runs on lanes."""

from __future__ import annotations

import pytest

import jitload
from tests.cpu.differential import test_expressions, test_flow

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


@pytest.fixture(autouse=True)
def _native():
    with jitload.configure(cpu_engine="native"):
        yield


def test_random_functions(cuda, host):
    test_expressions.check(1, cuda, host, 1)


def test_random_control_flow(cuda):
    test_flow.check(1, cuda, 2)


@pytest.mark.slow(keep=2)
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_functions(seed, cuda, host):
    test_expressions.check(seed, cuda, host)


@pytest.mark.slow(keep=2)
@pytest.mark.parametrize("seed", range(100, 300))
def test_much_random_control_flow(seed, cuda):
    test_flow.check(seed, cuda)
