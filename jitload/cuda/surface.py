"""Surface objects of the driver: a CUDA array that kernels read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.cuda.array import DeviceArray
from jitload.cuda.owned import Owned

if TYPE_CHECKING:
    import numpy as np


class DeviceSurface:
    """A surface object on the current device.

    Args:
        kind: a kind of `jitload.Surface`.
        texels: (layers, depth, height, width, channels).

    Attributes:
        handle: the CUsurfObject.
        array: the CUDA array, which textures may be made of as well.

    Raises:
        DriverError: a driver call failed.
    """

    def __init__(self, kind: str, texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
        bindings = driver.ensure_context()
        with driver.beside_captures(bindings):
            self.array = DeviceArray(kind, texels, writable=True)
            try:
                made = driver.check("cuSurfObjectCreate", bindings.cuSurfObjectCreate(self.array.resource(bindings)))
            except BaseException:
                self.array.owned.close()
                raise
        self.handle = int(made)
        self._object = Owned("cuSurfObjectDestroy", made, self.array.owned)

    def read(self) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        """The texels, once what was launched before has run."""
        return self.array.read()

    def write(self, texels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
        """Give the texels new values, once what was launched before has run."""
        self.array.write(texels)

    def close(self) -> None:
        """Wait for the device, and end the object; the array ends when no texture is made of it. May be repeated."""
        self._object.close()
