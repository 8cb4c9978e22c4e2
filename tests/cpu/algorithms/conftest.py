"""`program`: the .cu file beside a test module, compiled once per build and loaded on the executor."""

from __future__ import annotations

from pathlib import Path

import pytest

import jitload
from jitload.settings.check import CPU_CHECKS
from tests.cpu.algorithms.builds import BUILDS, CHECKED, combinations


def pytest_generate_tests(metafunc):
    if "program" not in metafunc.fixturenames:
        return
    quick, slow = getattr(metafunc.function, "sizes", ((None,), ()))
    rows = combinations(metafunc.module, quick, slow)
    if "size" in metafunc.fixturenames:
        metafunc.parametrize(("program", "size"), rows, indirect=["program"])
    else:
        one = [pytest.param(row.values[0], marks=row.marks, id=row.values[0].replace(" ", "-")) for row in rows]
        metafunc.parametrize("program", one, indirect=True)


_loaded: dict[tuple[str, str], object] = {}


@pytest.fixture
def program(request, cuda, needs_arch):
    path = Path(request.path).with_name(Path(request.path).stem.removeprefix("test_") + ".cu")
    checked = request.param == CHECKED
    build = request.module.BUILDS[0] if checked else request.param
    key = (path.name, build)
    if key not in _loaded:
        arch, options = BUILDS[build]
        needs_arch(arch)
        _loaded[key] = cuda(path.read_text(), "--std=c++17", "--device-int128", *options, arch=f"compute_{arch}")
    with jitload.configure(cpu_check=CPU_CHECKS if checked else ()):
        yield _loaded[key]


@pytest.fixture
def rng(request):
    """Numbers that are the same in every run of a test."""
    import zlib

    import numpy as np

    return np.random.default_rng(zlib.crc32(request.node.name.encode()))
