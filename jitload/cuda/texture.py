"""Texture objects of the driver: a CUDA array or linear memory with a copy of the texels, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cuda import driver
from jitload.cuda.array import DeviceArray, DeviceMipmap, array_format
from jitload.cuda.owned import Owned
from jitload.cuda.surface import DeviceSurface

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from jitload.cuda.driver import Foreign

    Texels = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

# Flags of CUDA_TEXTURE_DESC (cuda.h).
_AS_INTEGER, _NORMALIZED = 1, 2


class DeviceTexture:
    """A texture object on the current device.

    Args:
        kind: a kind of `jitload.Texture`.
        texels: (layers, depth, height, width, channels), or a surface, which shares them.
        modes: what is done outside, along x, y and z.
        linear: whether neighbours are mixed.
        normalized_read: whether integers are read as numbers from 0 or -1 to 1.
        normalized: whether coordinates go from 0 to 1.
        coarser: texels of further levels of detail.
        mixes_levels: whether two of them are mixed.

    Attributes:
        handle: the CUtexObject.

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(
        self,
        kind: str,
        texels: Texels | DeviceSurface,
        modes: Sequence[str],
        *,
        linear: bool,
        normalized_read: bool,
        normalized: bool,
        coarser: Sequence[Texels] = (),
        mixes_levels: bool = False,
    ) -> None:
        bindings = driver.ensure_context()
        how = bindings.CUDA_TEXTURE_DESC()
        address = bindings.CUaddress_mode
        how.addressMode = [getattr(address, f"CU_TR_ADDRESS_MODE_{mode.upper()}") for mode in modes]
        how.filterMode = bindings.CUfilter_mode(int(linear))
        how.flags = (0 if normalized_read else _AS_INTEGER) | _NORMALIZED * (normalized or kind.startswith("cube"))
        how.mipmapFilterMode = bindings.CUfilter_mode(int(mixes_levels))
        how.maxMipmapLevelClamp = float(len(coarser))
        with driver.beside_captures(bindings):
            memory, resource = _memory(bindings, kind, texels, coarser)
            try:
                made = driver.check("cuTexObjectCreate", bindings.cuTexObjectCreate(resource, how, None))
            except BaseException:
                if not isinstance(texels, DeviceSurface):
                    memory.close()
                raise
        self.handle = int(made)
        self._object = Owned("cuTexObjectDestroy", made, memory)

    def close(self) -> None:
        """Wait for the device, and end the object. May be repeated."""
        self._object.close()


def _memory(
    bindings: ModuleType, kind: str, texels: Texels | DeviceSurface, coarser: Sequence[Texels]
) -> tuple[Owned, Foreign]:
    """Memory with the texels, and what an object is made of."""
    if isinstance(texels, DeviceSurface):
        return texels.array.owned, texels.array.resource(bindings)
    if coarser:
        mipmap = DeviceMipmap(kind, [texels, *coarser])
        return mipmap.owned, mipmap.resource(bindings)
    if kind != "linear":
        array = DeviceArray(kind, texels)
        return array.owned, array.resource(bindings)
    texels = np.ascontiguousarray(texels)
    memory = Owned("cuMemFree", driver.check("cuMemAlloc", bindings.cuMemAlloc(texels.nbytes)))
    try:
        driver.check("cuMemcpyHtoD", bindings.cuMemcpyHtoD(memory.thing, texels.ctypes.data, texels.nbytes))
    except BaseException:
        memory.close()
        raise
    resource = bindings.CUDA_RESOURCE_DESC()
    resource.resType = bindings.CUresourcetype.CU_RESOURCE_TYPE_LINEAR
    resource.res.linear.devPtr = memory.thing
    resource.res.linear.format = array_format(bindings, texels)
    resource.res.linear.numChannels = texels.shape[-1]
    resource.res.linear.sizeInBytes = texels.nbytes
    return memory, resource
