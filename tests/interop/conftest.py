"""What the tests of the interop share: the connection to tvm-ffi, taken back after each test."""

import threading

import pytest


@pytest.fixture
def in_threads():
    """`in_threads(work)` has eight threads do something at once, and waits for them."""

    def start(work):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    return start


@pytest.fixture
def installed():
    from jitload.interop import tvm_ffi as bridge

    bridge.install()
    yield bridge
    bridge.uninstall()


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
