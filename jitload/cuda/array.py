"""CUDA arrays: texels as the driver lays them out, for textures and surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cuda import driver
from jitload.cuda.owned import Owned

if TYPE_CHECKING:
    from types import ModuleType

    from jitload.cuda.driver import Foreign

    Texels = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

# Flags of CUDA_ARRAY3D_DESCRIPTOR (cuda.h).
_LAYERED, _SURFACE, _CUBE, _GATHER = 1, 2, 4, 8
#: The largest extent of an array that `tex2Dgather` reads, in every compute capability from 5.0 on.
_GATHERED = 16384
_FORMATS = {
    "uint8": "UNSIGNED_INT8", "uint16": "UNSIGNED_INT16", "uint32": "UNSIGNED_INT32", "int8": "SIGNED_INT8",
    "int16": "SIGNED_INT16", "int32": "SIGNED_INT32", "float16": "HALF", "float32": "FLOAT",
}  # fmt: skip


def array_format(bindings: ModuleType, texels: Texels) -> Foreign:
    """The CUarray_format of texels."""
    return getattr(bindings.CUarray_format, f"CU_AD_FORMAT_{_FORMATS[texels.dtype.name]}")


class DeviceArray:
    """A CUDA array on the current device.

    Args:
        kind: a kind of `jitload.Texture` but "linear".
        texels: (layers, depth, height, width, channels).
        writable: whether surfaces may be made of it.

    Attributes:
        owned: the CUarray.
        texels: an empty array of the same shape and type.

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(self, kind: str, texels: Texels, *, writable: bool = False) -> None:
        bindings = driver.ensure_context()
        layers, depth, height, width, channels = self._shape = texels.shape
        self._dtype = texels.dtype
        shape = bindings.CUDA_ARRAY3D_DESCRIPTOR()
        shape.Width = width
        shape.Height = 0 if kind.startswith("1d") else height
        shape.Depth = layers if kind not in {"1d", "2d", "3d"} else depth if kind == "3d" else 0
        shape.Format, shape.NumChannels = array_format(bindings, texels), channels
        shape.Flags = _LAYERED * ("layered" in kind) | _CUBE * kind.startswith("cube") | _SURFACE * writable
        if kind == "2d" and max(width, height) <= _GATHERED:
            shape.Flags |= _GATHER
        self.owned = Owned("cuArrayDestroy", driver.check("cuArray3DCreate", bindings.cuArray3DCreate(shape)))
        try:
            self._copy(texels, into=True)
        except BaseException:
            self.owned.close()
            raise

    def read(self) -> Texels:
        """The texels, once what was launched before has run."""
        texels = np.empty(self._shape, self._dtype)
        self._wait()
        self._copy(texels, into=False)
        return texels

    def write(self, texels: Texels) -> None:
        """Give the texels new values, once what was launched before has run."""
        self._wait()
        self._copy(texels, into=True)

    def resource(self, bindings: ModuleType) -> Foreign:
        """What objects are made of."""
        found = bindings.CUDA_RESOURCE_DESC()
        found.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_ARRAY
        found.res.array.hArray = self.owned.thing
        return found

    def _wait(self) -> None:
        bindings = driver.ensure_context()
        driver.check("cuCtxSynchronize", bindings.cuCtxSynchronize())

    def _copy(self, texels: Texels, *, into: bool) -> None:
        bindings = driver.ensure_context()
        layers, depth, height, width, channels = self._shape
        texels = np.ascontiguousarray(texels) if into else texels
        host, array = bindings.CUmemorytype.CU_MEMORYTYPE_HOST, bindings.CUmemorytype.CU_MEMORYTYPE_ARRAY
        copy = bindings.CUDA_MEMCPY3D()
        copy.WidthInBytes, copy.Height, copy.Depth = width * channels * self._dtype.itemsize, height, layers * depth
        if into:
            copy.srcMemoryType, copy.dstMemoryType = host, array
            copy.srcHost, copy.srcPitch, copy.srcHeight = texels.ctypes.data, copy.WidthInBytes, height
            copy.dstArray = self.owned.thing
        else:
            copy.srcMemoryType, copy.dstMemoryType = array, host
            copy.dstHost, copy.dstPitch, copy.dstHeight = texels.ctypes.data, copy.WidthInBytes, height
            copy.srcArray = self.owned.thing
        with driver.beside_captures(bindings):
            driver.check("cuMemcpy3D", bindings.cuMemcpy3D(copy))
