"""Texture objects of the driver: a CUDA array or linear memory with a copy of the texels, and how they are read."""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import TYPE_CHECKING

import numpy as np

from jitload.cuda import driver
from jitload.errors import JitloadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from jitload.cuda.driver import Foreign

# Flags of CUDA_ARRAY3D_DESCRIPTOR and CUDA_TEXTURE_DESC (cuda.h).
_LAYERED, _CUBE, _GATHER = 1, 4, 8
_AS_INTEGER, _NORMALIZED = 1, 2
#: The largest extent of an array that `tex2Dgather` reads, in every compute capability from 5.0 on.
_GATHERED = 16384
_FORMATS = {
    "uint8": "UNSIGNED_INT8", "uint16": "UNSIGNED_INT16", "uint32": "UNSIGNED_INT32", "int8": "SIGNED_INT8",
    "int16": "SIGNED_INT16", "int32": "SIGNED_INT32", "float16": "HALF", "float32": "FLOAT",
}  # fmt: skip


class DeviceTexture:
    """A texture object on the current device.

    Args:
        kind: a kind of `jitload.Texture`.
        texels: (layers, depth, height, width, channels).
        modes: what is done outside, along x, y and z.
        linear: whether neighbours are mixed.
        normalized_read: whether integers are read as numbers from 0 or -1 to 1.
        normalized: whether coordinates go from 0 to 1.

    Attributes:
        handle: the CUtexObject.

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(
        self,
        kind: str,
        texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
        modes: Sequence[str],
        *,
        linear: bool,
        normalized_read: bool,
        normalized: bool,
    ) -> None:
        bindings = driver.ensure_context()
        texels = np.ascontiguousarray(texels)
        resource = bindings.CUDA_RESOURCE_DESC()
        how = bindings.CUDA_TEXTURE_DESC()
        address = bindings.CUaddress_mode
        how.addressMode = [getattr(address, f"CU_TR_ADDRESS_MODE_{mode.upper()}") for mode in modes]
        how.filterMode = bindings.CUfilter_mode(int(linear))
        how.flags = (0 if normalized_read else _AS_INTEGER) | _NORMALIZED * (normalized or kind.startswith("cube"))
        with driver.beside_captures(bindings), contextlib.ExitStack() as undo:
            memory = _linear_memory if kind == "linear" else _array
            free, owned = memory(bindings, kind, texels, resource, undo)
            made = driver.check("cuTexObjectCreate", bindings.cuTexObjectCreate(resource, how, None))
            undo.pop_all()
        self.handle = int(made)
        context = driver.check("cuCtxGetCurrent", bindings.cuCtxGetCurrent())
        self._finalizer = weakref.finalize(self, _destroy, bindings, context, made, free, owned, os.getpid())
        self._finalizer.atexit = False  # at exit the driver frees everything itself, and may be gone

    def close(self) -> None:
        """Wait for the device, and end the object. May be repeated."""
        self._finalizer()


def _format(bindings: ModuleType, texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Foreign:
    return getattr(bindings.CUarray_format, f"CU_AD_FORMAT_{_FORMATS[texels.dtype.name]}")


def _linear_memory(
    bindings: ModuleType,
    _kind: str,
    texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    resource: Foreign,
    undo: contextlib.ExitStack,
) -> tuple[str, Foreign]:
    """Linear memory with the texels; what frees it, and it."""
    address = driver.check("cuMemAlloc", bindings.cuMemAlloc(texels.nbytes))
    undo.callback(bindings.cuMemFree, address)
    driver.check("cuMemcpyHtoD", bindings.cuMemcpyHtoD(address, texels.ctypes.data, texels.nbytes))
    resource.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_LINEAR
    resource.res.linear.devPtr = address
    resource.res.linear.format = _format(bindings, texels)
    resource.res.linear.numChannels = texels.shape[-1]
    resource.res.linear.sizeInBytes = texels.nbytes
    return "cuMemFree", address


def _array(
    bindings: ModuleType,
    kind: str,
    texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    resource: Foreign,
    undo: contextlib.ExitStack,
) -> tuple[str, Foreign]:
    """A CUDA array with the texels; what frees it, and it."""
    layers, depth, height, width, channels = texels.shape
    shape = bindings.CUDA_ARRAY3D_DESCRIPTOR()
    shape.Width = width
    shape.Height = 0 if kind.startswith("1d") else height
    shape.Depth = layers if kind not in {"1d", "2d", "3d"} else depth if kind == "3d" else 0
    shape.Format, shape.NumChannels = _format(bindings, texels), channels
    shape.Flags = _LAYERED * ("layered" in kind) | _CUBE * kind.startswith("cube")
    if kind == "2d" and max(width, height) <= _GATHERED:
        shape.Flags |= _GATHER
    array = driver.check("cuArray3DCreate", bindings.cuArray3DCreate(shape))
    undo.callback(bindings.cuArrayDestroy, array)
    copy = bindings.CUDA_MEMCPY3D()
    copy.srcMemoryType = bindings.CUmemorytype.CU_MEMORYTYPE_HOST
    copy.srcHost = texels.ctypes.data
    copy.srcPitch = copy.WidthInBytes = width * channels * texels.itemsize
    copy.srcHeight = copy.Height = height
    copy.dstMemoryType = bindings.CUmemorytype.CU_MEMORYTYPE_ARRAY
    copy.dstArray = array
    copy.Depth = layers * depth
    driver.check("cuMemcpy3D", bindings.cuMemcpy3D(copy))
    resource.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_ARRAY
    resource.res.array.hArray = array
    return "cuArrayDestroy", array


def _destroy(bindings: ModuleType, context: Foreign, made: Foreign, free: str, owned: Foreign, process: int) -> None:
    """End an object once no kernel reads it; in a child of `fork()` it is the parent's."""
    if os.getpid() != process:
        return
    with contextlib.suppress(JitloadError):
        driver.check("cuCtxPushCurrent", bindings.cuCtxPushCurrent(context))
        try:
            with driver.beside_captures(bindings):
                bindings.cuCtxSynchronize()
                bindings.cuTexObjectDestroy(made)
                getattr(bindings, free)(owned)
        finally:
            bindings.cuCtxPopCurrent()
