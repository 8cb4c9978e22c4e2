"""CuPy's kernel cache on top of ours (CuPy 14, whose interface for it is experimental).

    from jitload.interop import cupy as jitload_cupy

    jitload_cupy.install()      # before the first kernel

CuPy makes the keys. They leave out what the headers behind `-I` contain, so a kernel that includes one of yours is
stale after an edit, as it is with CuPy's own cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.given import given_cache
from jitload.interop.claim import Claim
from jitload.lazy import lazy
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from cupy.cuda import compiler

    Backend = object
else:
    compiler = lazy("cupy.cuda.compiler")
    try:
        from cupy.cuda._compiler_cache import KernelCacheBackend as Backend
    except ImportError:  # its interface can be had without it
        Backend = object


class KernelCacheBackend(Backend):
    """A `KernelCacheBackend` of CuPy: what it compiles, verified, in every tier of a jitload cache.

    A kernel that is missed is compiled by one thread of one process, also over machines that share a remote. Who waits
    for one that fails to compile elsewhere goes on after two minutes, or when that thread has asked for another.

    Args:
        cache: where kernels are kept; default: `Cache.default()`.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        given_cache(cache)
        self._claim = Claim((Cache.default() if cache is None else cache).blobs("cupy"))

    def load(self, name: str) -> bytes | None:
        """The payload that was saved under a name, verified; None where it is to be compiled.

        Args:
            name: CuPy's, of the kernel.
        """
        return self._claim.get(name)

    def save(self, name: str, cubin: bytes, source: str) -> None:  # noqa: ARG002 - CuPy's interface
        """Keep a payload.

        Args:
            name: CuPy's, of the kernel.
            cubin: the payload.
            source: not kept.
        """
        self._claim.put(name, cubin)


def install(cache: Cache | None = None) -> KernelCacheBackend:
    """Have CuPy keep kernels in a cache of ours from now on.

    Args:
        cache: where kernels are kept; default: `Cache.default()`.

    Returns:
        The backend that CuPy has now.

    Raises:
        UsageTypeError: the cache is none.
        ImportError: CuPy 14 or later is not installed.
    """
    backend = KernelCacheBackend(cache)
    compiler._set_kernel_cache_backend(backend)
    return backend
