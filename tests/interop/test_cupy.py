"""CuPy's kernel cache on ours: its interface without CuPy, and with it where the frameworks are installed."""

from __future__ import annotations

import pathlib
import re
import threading
import time
from types import SimpleNamespace

import pytest

import jitload
from jitload.errors import UsageTypeError
from jitload.interop import cupy as bridge
from jitload.launch.streams import stream_handle
from jitload.tiers.cache import Cache

NAME = "0123456789abcdef0123456789abcdef01234567.cubin"


def test_what_is_saved_is_loaded_by_the_next_process(cache_dir):
    backend = bridge.KernelCacheBackend()
    assert backend.load(NAME) is None
    backend.save(NAME, b"\x93CUPYNE\0payload", "source")
    assert backend.load(NAME) == b"\x93CUPYNE\0payload"
    assert bridge.KernelCacheBackend(Cache(cache_dir)).load(NAME) == b"\x93CUPYNE\0payload"
    assert Cache(cache_dir).blobs("cupy").keys() == [NAME.encode()]


def test_a_flipped_bit_is_none_and_mended_by_the_next_save(cache_dir):
    bridge.KernelCacheBackend().save(NAME, b"payload", "source")
    (path,) = [path for path in (cache_dir / "objects").rglob("*") if path.is_file()]
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    fresh = bridge.KernelCacheBackend(Cache(cache_dir))
    assert fresh.load(NAME) is None
    fresh.save(NAME, b"payload", "source")
    assert bridge.KernelCacheBackend(Cache(cache_dir)).load(NAME) == b"payload"


def test_of_threads_that_miss_one_compiles(in_threads):
    backend, missed = bridge.KernelCacheBackend(), []

    def work():
        if backend.load(NAME) is None:
            missed.append(time.sleep(0.05))
            backend.save(NAME, b"payload", "source")

    in_threads(work)
    assert len(missed) == 1


def test_a_thread_that_asks_for_another_kernel_or_ends_holds_nobody_up():
    backend = bridge.KernelCacheBackend()

    def fails():
        assert backend.load("one") is None
        assert backend.load("one") is None  # once more: the first did not compile
        assert backend.load("two") is None

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join(60)
    for name in ("one", "two"):
        assert backend.load(name) is None
        backend.save(name, b"payload", "source")


def test_only_a_cache_is_one():
    with pytest.raises(UsageTypeError, match=r"cache is a jitload\.Cache, got str"):
        bridge.KernelCacheBackend("directory")


def test_cupy_takes_it(monkeypatch):
    compiler = pytest.importorskip("cupy.cuda.compiler", reason="cupy is not installed")
    monkeypatch.setattr(compiler, "_kernel_cache_backend", None)
    installed = bridge.install(jitload.Cache())
    assert compiler._kernel_cache_backend is installed
    assert isinstance(installed, compiler._KernelCacheBackend)


def test_the_block_of_the_page_on_caches_runs(monkeypatch):
    compiler = pytest.importorskip("cupy.cuda.compiler", reason="cupy is not installed")
    monkeypatch.setattr(compiler, "_kernel_cache_backend", None)
    page = pathlib.Path(__file__).parents[2] / "docs" / "interop.md"
    (block,) = [one for one in re.findall("```python\n(.*?)```", page.read_text(), re.DOTALL) if "import cupy" in one]
    exec(block, {})
    assert isinstance(compiler._kernel_cache_backend, bridge.KernelCacheBackend)


def test_a_stream_of_cupy_is_a_stream():
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    stream = cupy.cuda.Stream.from_external(SimpleNamespace(__cuda_stream__=lambda: (0, 0x1230)))
    assert stream_handle(stream, "cuda") == 0x1230


def test_a_kernel_runs_where_cupy_is_imported_and_cannot_use_the_driver(on_driver):
    """CUDA's runtime, which CuPy allocates by, asks a driver for tables that are documented nowhere."""
    pytest.importorskip("cupy", reason="cupy is not installed")
    on_driver(
        """
import cupy, numpy
import jitload
assert cupy.__version__.startswith("14.")
try:
    cupy.cuda.runtime.getDeviceCount()
    raise SystemExit("CuPy has found a GPU: allocate on it here")
except cupy.cuda.runtime.CUDARuntimeError:
    pass
kernel = jitload.compile('extern "C" __global__ void set(int *x) { *x = 3; }', arch="sm_90").load()["set"]
x = numpy.zeros(1, "i4")
kernel[1, 1](x)
kernel.bind(grid=1, block=1)(x)
assert x[0] == 3
"""
    )
