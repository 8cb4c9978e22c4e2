"""CUDA arrays: texels as the driver lays them out, for textures and surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cuda import driver
from jitload.cuda.owned import Owned

if TYPE_CHECKING:
    from collections.abc import Sequence
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

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(self, kind: str, texels: Texels, *, writable: bool = False) -> None:
        bindings = driver.ensure_context()
        self._shape, self._dtype = texels.shape, texels.dtype
        shape = _descriptor(bindings, kind, texels)
        shape.Flags |= _SURFACE * writable
        self.owned = Owned("cuArrayDestroy", driver.check("cuArray3DCreate", bindings.cuArray3DCreate(shape)))
        try:
            _copy(self.owned.thing, texels, into=True)
        except BaseException:
            self.owned.close()
            raise

    def read(self) -> Texels:
        """The texels, once what was launched before has run."""
        texels = np.empty(self._shape, self._dtype)
        _wait()
        _copy(self.owned.thing, texels, into=False)
        return texels

    def write(self, texels: Texels) -> None:
        """Give the texels new values, once what was launched before has run."""
        _wait()
        _copy(self.owned.thing, texels, into=True)

    def resource(self, bindings: ModuleType) -> Foreign:
        """What objects are made of."""
        found = bindings.CUDA_RESOURCE_DESC()
        found.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_ARRAY
        found.res.array.hArray = self.owned.thing
        return found


class DeviceMipmap:
    """A CUDA array of several levels of detail.

    Args:
        kind: a kind of `jitload.Texture` but "linear".
        levels: texels of each level, as `DeviceArray` has them.

    Attributes:
        owned: the CUmipmappedArray.

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(self, kind: str, levels: Sequence[Texels]) -> None:
        bindings = driver.ensure_context()
        made = bindings.cuMipmappedArrayCreate(_descriptor(bindings, kind, levels[0]), len(levels))
        self.owned = Owned("cuMipmappedArrayDestroy", driver.check("cuMipmappedArrayCreate", made))
        try:
            for number, texels in enumerate(levels):
                level = bindings.cuMipmappedArrayGetLevel(self.owned.thing, number)
                _copy(driver.check("cuMipmappedArrayGetLevel", level), texels, into=True)
        except BaseException:
            self.owned.close()
            raise

    def resource(self, bindings: ModuleType) -> Foreign:
        """What objects are made of."""
        found = bindings.CUDA_RESOURCE_DESC()
        found.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_MIPMAPPED_ARRAY
        found.res.mipmap.hMipmappedArray = self.owned.thing
        return found


def _descriptor(bindings: ModuleType, kind: str, texels: Texels) -> Foreign:
    """What an array is made by."""
    layers, depth, height, width, channels = texels.shape
    shape = bindings.CUDA_ARRAY3D_DESCRIPTOR()
    shape.Width = width
    shape.Height = 0 if kind.startswith("1d") else height
    shape.Depth = layers if kind not in {"1d", "2d", "3d"} else depth if kind == "3d" else 0
    shape.Format, shape.NumChannels = array_format(bindings, texels), channels
    shape.Flags = _LAYERED * ("layered" in kind) | _CUBE * kind.startswith("cube")
    if kind == "2d" and max(width, height) <= _GATHERED:
        shape.Flags |= _GATHER
    return shape


def _wait() -> None:
    bindings = driver.ensure_context()
    driver.check("cuCtxSynchronize", bindings.cuCtxSynchronize())


def _copy(thing: Foreign, texels: Texels, *, into: bool) -> None:
    """Copy all texels of an array, from or into the host's memory."""
    bindings = driver.ensure_context()
    layers, depth, height, width, channels = texels.shape
    texels = np.ascontiguousarray(texels) if into else texels
    host, array = bindings.CUmemorytype.CU_MEMORYTYPE_HOST, bindings.CUmemorytype.CU_MEMORYTYPE_ARRAY
    copy = bindings.CUDA_MEMCPY3D()
    copy.WidthInBytes, copy.Height, copy.Depth = width * channels * texels.itemsize, height, layers * depth
    if into:
        copy.srcMemoryType, copy.dstMemoryType = host, array
        copy.srcHost, copy.srcPitch, copy.srcHeight = texels.ctypes.data, copy.WidthInBytes, height
        copy.dstArray = thing
    else:
        copy.srcMemoryType, copy.dstMemoryType = array, host
        copy.dstHost, copy.dstPitch, copy.dstHeight = texels.ctypes.data, copy.WidthInBytes, height
        copy.srcArray = thing
    with driver.beside_captures(bindings):
        driver.check("cuMemcpy3D", bindings.cuMemcpy3D(copy))
