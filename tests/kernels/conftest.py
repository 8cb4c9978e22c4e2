"""A compile per kernel file, kind and arch, shared by the whole run, in a cache directory of its own."""

import functools

import pytest

import jitload
from tests.kernels.cases import KERNELS, NAMES


@pytest.fixture(scope="session")
def compile_kernel(tmp_path_factory):
    """`compile_kernel(file, kind=..., arch=...)`: the artifact with all names that the cases of the file use."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)
    directory = tmp_path_factory.mktemp("cache")

    @functools.cache
    def compile_file(file, **target):
        with jitload.configure(cache_dir=directory):
            return jitload.compile(KERNELS / file, names=NAMES[file], **target)

    return compile_file
