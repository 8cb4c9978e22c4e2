"""Eight threads register, load and unregister at once: nothing is lost, nothing waits for ever."""

import faulthandler
import threading
import time

import pytest

from jitload.errors import LoaderNotFoundError
from jitload.loader.module import Module
from jitload.loader.registry import (
    find_loader,
    load_module_from_bytes,
    register_loader,
    registered_kinds,
    unregister_loader,
)
from jitload.loader.system import register_system_symbol, system_lib
from jitload.loader.whole import LibraryModule, pack_module

THREADS = 8


def load(data):
    register_system_symbol("stress_symbol", len)
    assert system_lib("stress_")["symbol"] is len
    return Module("stress", {"payload": lambda: data}, data=data)


def work(number, until, start, failures, turns):
    own, turn = f"stress{number}", 0
    start.wait()
    try:
        while not turn or time.monotonic() < until:  # where the machine is busy a thread may start late
            turn += 1
            payload = f"{number} {turn}".encode()
            register_loader(own, load)
            with register_loader("stress_shared", load, override=True):
                assert load_module_from_bytes("stress_shared", payload)["payload"]() == payload
            assert own in registered_kinds()
            top = LibraryModule()
            top.import_module(Module(own, data=payload))
            root = load_module_from_bytes("library_bin", pack_module(top))
            assert root.get_function("payload", query_imports=True)() == payload
            unregister_loader(own)
            with pytest.raises(LoaderNotFoundError):
                load_module_from_bytes(own, payload)
    except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
        failures.append(error)
    turns.append(turn)


def stress(seconds):
    failures, turns = [], []
    start = threading.Barrier(THREADS)
    until = time.monotonic() + seconds
    # A deadlock inside C code holds every thread; this prints where they stand and ends the process.
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    try:
        threads = [
            threading.Thread(target=work, args=(number, until, start, failures, turns)) for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert failures == []
    assert min(turns) > 0
    assert find_loader("stress_shared") is None
    assert not [kind for kind in registered_kinds() if kind.startswith("stress")]


SECONDS = [1, pytest.param(10, marks=pytest.mark.slow)]


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads(seconds):
    stress(seconds)


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads_with_tvm_ffi_connected(seconds):
    tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")
    from jitload.interop import tvm_ffi as bridge

    before = set(tvm_ffi.registry.list_global_func_names())
    bridge.install()
    try:
        stress(seconds)
    finally:
        bridge.uninstall()
    assert set(tvm_ffi.registry.list_global_func_names()) == before


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads_that_go_through_tvm_ffi(seconds):
    """Conversions, calls and releases."""
    tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")
    from jitload.interop import tvm_ffi as bridge

    bridge.install()
    failures = []
    until = time.monotonic() + seconds

    def convert(number):
        try:
            with register_loader(f"stress{number}", load):
                while time.monotonic() < until:
                    payload = f"{number} {time.monotonic_ns()}".encode()
                    entry = tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")
                    assert entry(f"stress{number}", payload)["payload"]() == payload
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    try:
        threads = [threading.Thread(target=convert, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        faulthandler.cancel_dump_traceback_later()
        bridge.uninstall()
    assert failures == []
