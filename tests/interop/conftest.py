"""What the tests of the interop share: the connection to tvm-ffi, taken back after each test."""

import os
import sys

import pytest


@pytest.fixture
def installed():
    from jitload.interop import tvm_ffi as bridge

    bridge.install()
    yield bridge
    bridge.uninstall()


@pytest.fixture
def build_path(monkeypatch):
    """The programs of this virtual environment can be found, ninja among them."""
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def scaler():
    """A loader of kind "scaler": its bytes are a number, its function multiplies a tensor in place."""
    from jitload.interop.tvm_ffi_kernels import host_array
    from jitload.loader.module import Module
    from jitload.loader.registry import register_loader

    def load(data):
        own = int(data)  # ValueError where it is none

        def scale(factor, tensor):
            array = host_array(tensor)
            array *= own * factor
            return array.size

        return Module("scaler", {"scale": scale}, data=data)

    with register_loader("scaler", load):
        yield
