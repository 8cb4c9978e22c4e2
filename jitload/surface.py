"""`jitload.Surface`: texels that kernels read and write through a surface object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.memory.arena import process_arena
from jitload.cpu.memory.images import GEOMETRIES
from jitload.cpu.memory.texels import Texels
from jitload.device import resolve_device
from jitload.errors import UsageTypeError, UsageValueError
from jitload.lazy import lazy
from jitload.texels import as_texels, kind_of, spread
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from types import TracebackType
    from typing import NoReturn

    import numpy as np

    from jitload.cpu.types import Array
    from jitload.cuda import surface
    from jitload.cuda.surface import DeviceSurface
else:
    surface = lazy("jitload.cuda.surface")

__tracebackhide__ = is_mistake

_KINDS = tuple(kind for kind in GEOMETRIES if kind != "linear")


class Surface:
    """Texels that kernels read and write, for a parameter of type `cudaSurfaceObject_t`.

    The texels are copied to the device in force, and `read()` copies them back. Kernels give x in bytes:
    `surf2Dread<float>(s, 4 * x, y)` reads `texels[y, x]`. A texture over the surface, `Texture(surface, ...)`, reads
    what kernels that ended before have written.

    Args:
        texels: an array of one of uint8, int8, uint16, int16, uint32, int32, float16 and float32, with axes as
            `jitload.Texture` has them.
        kind: "1d", "2d", "3d" (default: by the number of axes), "1d layered", "2d layered", "cube" or "cube layered".
        channels: 1, 2 or 4: more than one are the last axis.

    Attributes:
        handle: what the kernel gets; passing the object itself does the same.

    Raises:
        UsageTypeError: no array, or texels of another type.
        UsageValueError: a kind or a shape that does not exist, or that do not go together.
        DriverError: a driver call failed.
    """

    @short_errors
    def __init__(self, texels: object, kind: str | None = None, *, channels: int = 1) -> None:
        array = as_texels(texels)
        self.kind = kind_of(array, kind, channels, _KINDS)
        self.channels = channels
        self._shape, self._dtype = array.shape, array.dtype
        make = Texels if resolve_device() == "cpu" else surface.DeviceSurface
        self._object: Texels | DeviceSurface | None = make(self.kind, spread(array, self.kind, channels))
        if isinstance(self._object, Texels):
            process_arena().surfaces[self._object.handle] = self._object

    @property
    def handle(self) -> int:
        """The surface object as a number, `cudaSurfaceObject_t`.

        Raises:
            UsageValueError: it is closed.
        """
        return self.memory.handle

    @property
    def memory(self) -> Texels | DeviceSurface:
        """The texels on their device.

        Raises:
            UsageValueError: it is closed.
        """
        if self._object is None:
            raise UsageValueError("this surface is closed")
        return self._object

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of an element."""
        return self._dtype

    def __index__(self) -> int:
        return self.handle

    def read(self) -> Array:
        """The texels as an array of the shape that was given; a GPU runs first what was launched before.

        Raises:
            UsageValueError: it is closed.
            DriverError: a driver call failed.
        """
        return self.memory.read().reshape(self._shape)

    def write(self, texels: object) -> None:
        """Give the texels new values; a GPU first runs what was launched before.

        Args:
            texels: an array of the shape and the type that was given.

        Raises:
            UsageTypeError: texels of another type.
            UsageValueError: another shape, or it is closed.
            DriverError: a driver call failed.
        """
        array = as_texels(texels)
        if array.dtype != self._dtype:
            raise UsageTypeError(f"texels of {self._dtype} are expected, got {array.dtype}")
        if array.shape != self._shape:
            raise UsageValueError(f"texels of shape {self._shape} are expected, got {array.shape}")
        self.memory.write(spread(array, self.kind, self.channels))

    def close(self) -> None:
        """End the object; a GPU runs first what was launched before. A second time does nothing."""
        ended, self._object = self._object, None
        if isinstance(ended, Texels):
            process_arena().surfaces.pop(ended.handle, None)
        elif ended is not None:
            ended.close()

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError("a surface belongs to this process and can be neither copied nor pickled: send its texels")

    def __enter__(self) -> Surface:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
