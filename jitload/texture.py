"""`jitload.Texture`: texels that a kernel reads through a texture object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.sampling import MODES
from jitload.cpu.memory.arena import process_arena
from jitload.cpu.memory.images import GEOMETRIES, Image
from jitload.cpu.memory.texels import Texels
from jitload.device import resolve_device
from jitload.errors import UsageTypeError, UsageValueError
from jitload.given import given_truth
from jitload.lazy import lazy
from jitload.surface import Surface
from jitload.texels import as_texels, check_choice, kind_of, spread
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import NoReturn

    from jitload.cpu.types import Array
    from jitload.cuda import texture
    from jitload.cuda.surface import DeviceSurface
    from jitload.cuda.texture import DeviceTexture
else:
    texture = lazy("jitload.cuda.texture")

__tracebackhide__ = is_mistake


class Texture:
    """Texels with the way in which they are read, for a parameter of type `cudaTextureObject_t`.

    The texels are copied to the device in force; `close()`, the end of a `with`, or nobody holding it any more ends the
    object.

    Args:
        texels: an array of one of uint8, int8, uint16, int16, uint32, int32, float16 and float32, or a `Surface`, whose
            texels are read as kernels have left them. Of an array the last axis but the channels is x: `tex2D(t, x, y)`
            reads `texels[y, x]`, `tex2DLayered(t, x, y, n)` reads `texels[n, y, x]`.
            The first axis of a cube has the faces +x, -x, +y, -y, +z, -z.
        kind: "1d", "2d", "3d" (default: by the number of axes), "1d layered", "2d layered", "cube", "cube layered", or
            "linear", which `tex1Dfetch` reads.
        channels: 1, 2 or 4: more than one are the last axis.
        address: what a coordinate outside reads, one for all axes or one for each of x, y and z: "clamp" the edge,
            "border" zeros; "wrap" and "mirror" with normalized coordinates.
        filter: "point" for the texel that a coordinate lies in, "linear" for a mixture of its neighbours.
        read: "element", or "normalized": integers of 8 and 16 bits become numbers from 0 (or -1) to 1.
        normalized: whether coordinates go from 0 to 1, whatever the number of texels.
        levels: texels of coarser levels of detail (a mipmap), each half as large as the one before in every direction,
            and 1 at least: `tex2DLod` and `tex2DGrad` read them. They need normalized coordinates.
        between: "point" for the nearest level, "linear" for a mixture of two.

    Attributes:
        handle: what the kernel gets; passing the object itself does the same.

    Raises:
        UsageTypeError: no array, or texels of another type.
        UsageValueError: a kind, a shape or a way of reading that does not exist, or that do not go together.
        DriverError: a driver call failed.
    """

    @short_errors
    def __init__(
        self,
        texels: object,
        kind: str | None = None,
        *,
        channels: int = 1,
        address: str | Sequence[str] = "clamp",
        filter: str = "point",  # noqa: A002 - the name that the driver has for it
        read: str = "element",
        normalized: bool = False,
        levels: Sequence[object] = (),
        between: str = "point",
    ) -> None:
        dtype, found, source = _texels_of(texels, kind, channels)
        modes = _modes_of(address)
        check_choice("filter", filter, ("point", "linear"))
        check_choice("read", read, ("element", "normalized"))
        check_choice("between", between, ("point", "linear"))
        given_truth("normalized", normalized)
        mixing = "linear" if "linear" in {filter, between} else "point"
        _check_reading(dtype, found, modes, mixing, read, normalized=normalized)
        coarser = _coarser(levels, source, found, channels, normalized=normalized)
        make: Callable[..., Image | DeviceTexture] = Image if _is_on_cpu(source) else texture.DeviceTexture
        self._object: Image | DeviceTexture | None = make(
            found,
            source,
            modes,
            linear=filter == "linear",
            normalized_read=read == "normalized",
            normalized=normalized,
            coarser=coarser,
            mixes_levels=between == "linear",
        )
        if isinstance(self._object, Image):
            process_arena().textures[self._object.handle] = self._object

    @property
    def handle(self) -> int:
        """The texture object as a number, `cudaTextureObject_t`.

        Raises:
            UsageValueError: it is closed.
        """
        if self._object is None:
            raise UsageValueError("this texture is closed")
        return self._object.handle

    def __index__(self) -> int:
        return self.handle

    def close(self) -> None:
        """End the object; a GPU runs first what was launched before. A second time does nothing."""
        ended, self._object = self._object, None
        if isinstance(ended, Image):
            process_arena().textures.pop(ended.handle, None)
        elif ended is not None:
            ended.close()

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError("a texture belongs to this process and can be neither copied nor pickled: send its texels")

    def __enter__(self) -> Texture:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _texels_of(
    texels: object, kind: str | None, channels: int
) -> tuple[np.dtype[np.generic], str, Array | Texels | DeviceSurface]:
    """The type of an element, the kind, and the texels as objects take them."""
    if not isinstance(texels, Surface):
        array = as_texels(texels)
        found = kind_of(array, kind, channels, tuple(GEOMETRIES))
        return array.dtype, found, spread(array, found, channels)
    if kind is not None or channels != 1:
        raise UsageValueError("a texture over a surface has the surface's kind and channels")
    return texels.dtype, texels.kind, texels.memory


def _coarser(
    levels: Sequence[object], source: Array | Texels | DeviceSurface, kind: str, channels: int, *, normalized: bool
) -> list[Array]:
    """The texels of further levels as objects take them, checked against the first."""
    if isinstance(levels, str | bytes) or not hasattr(levels, "__len__"):
        raise UsageTypeError(f"levels={levels!r}: a list of arrays is expected")
    if not len(levels):
        return []
    if not isinstance(source, np.ndarray) or kind == "linear" or not (normalized or kind.startswith("cube")):
        raise UsageValueError("levels of detail need an array that is no linear memory, and normalized=True")
    found, last = [], source
    for number, one in enumerate(levels, 1):
        array = as_texels(one)
        texels = spread(array, kind_of(array, kind, channels, tuple(GEOMETRIES)), channels)
        wanted = (last.shape[0], *(max(extent // 2, 1) for extent in last.shape[1:4]), last.shape[4])
        if texels.shape != wanted or texels.dtype != source.dtype or last.shape[1:4] == (1, 1, 1):
            what = f"level {number} has shape {array.shape} of {array.dtype}"
            raise UsageValueError(
                f"{what}: each is half as large as the one before, of {source.dtype}, down to 1 texel"
            )
        found.append(texels)
        last = texels
    return found


def _is_on_cpu(source: Array | Texels | DeviceSurface) -> bool:
    """Whether the executor has the texels, or is to have them."""
    return isinstance(source, Texels) or (isinstance(source, np.ndarray) and resolve_device() == "cpu")


def _modes_of(address: str | Sequence[str]) -> tuple[str, str, str]:
    if not isinstance(address, str | list | tuple):
        raise UsageTypeError(f"address={address!r}: expected one of {', '.join(MODES)}, or one for each axis")
    given = (address,) * 3 if isinstance(address, str) else tuple(address)
    for mode in given:
        check_choice("address", mode, MODES)
    if not 1 <= len(given) <= 3:
        raise UsageValueError(f"address takes one mode, or one for each of x, y and z, got {len(given)}")
    x, y, z = (*given, "clamp", "clamp")[:3]
    return x, y, z


def _check_reading(
    dtype: np.dtype[np.generic], kind: str, modes: Sequence[str], mixing: str, read: str, *, normalized: bool
) -> None:
    """What the driver refuses, or takes for something else without a word."""
    whole = dtype.kind in "iu"
    if read == "normalized" and not (whole and dtype.itemsize < 4):
        raise UsageValueError(f"read='normalized' is for integers of 8 and 16 bits, got {dtype}")
    if mixing == "linear" and whole and read != "normalized":
        raise UsageValueError("filter='linear' mixes floats: give such texels, or read='normalized'")
    if not normalized and not kind.startswith("cube") and {"wrap", "mirror"} & {*modes}:
        raise UsageValueError("address 'wrap' and 'mirror' need normalized=True: a GPU takes them for 'clamp' without")
    if kind == "linear" and (mixing, normalized) != ("point", False):
        raise UsageValueError("a texture of kind 'linear' has no filter and no normalized coordinates")
