"""CUDA arrays, texture and surface objects; kernels use them through the CPU executor's own."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jitload.cpu.memory.images import Image
from jitload.cpu.memory.texels import Texels

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

# CUarray_format, CUaddress_mode, CUresourcetype and CUmemorytype (cuda.h).
_FORMATS = {1: "u1", 2: "u2", 3: "u4", 8: "i1", 9: "i2", 10: "i4", 16: "f2", 32: "f4"}
_MODES = {0: "wrap", 1: "clamp", 2: "mirror", 3: "border"}
_ARRAY, _MIPMAP, _LINEAR = 0, 1, 2
_HOST, _IN_ARRAY = 1, 3
_LAYERED, _WRITABLE, _CUBE = 1, 2, 4
#: Flags of an array -> (kind without a height, without a depth, with all three).
_KINDS = {0: ("1d", "2d", "3d"), 8: ("", "2d", ""), 1: ("1d layered", "", "2d layered"), 4: ("", "", "cube"), 5: ("", "", "cube layered")}  # fmt: skip


class Array:
    """A CUDA array: its kind, its texels as (layers, depth, height, width, channels), and whether surfaces may be made."""

    def __init__(self, kind: str, shape: tuple[int, int, int], dtype: str, channels: int, writable: bool) -> None:
        depth, height, width = (max(extent, 1) for extent in shape)
        outer = (1, depth) if kind == "3d" else (depth, 1)
        self.kind = kind
        self.texels = Texels(kind, np.zeros((*outer, height, width, channels), dtype))
        self.writable = writable
        self.filled = False


class Levels(NamedTuple):
    """A mipmapped array: the handle and the array of each level."""

    arrays: list[tuple[int, Array]]


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    images: dict[int, Image] = {}
    surfaces: dict[int, Texels] = {}

    def make(width: int, height: int, depth: int, form: int, channels: int, flags: int) -> Array:
        driver.current().raise_fault()
        layered = bool(flags & _LAYERED) and not flags & _CUBE
        place = (1 if height else 0) if not depth else 2 if height or not layered else 0
        kind = (
            _KINDS.get(flags & ~_WRITABLE, ("", "", ""))[place]
            if width and form in _FORMATS and channels in {1, 2, 4}
            else ""
        )
        if not kind or (layered and not depth):
            what = f"an array of {width} x {height} x {depth}, format {form}, {channels} channels, flags {flags}"
            raise Refused(status.INVALID_VALUE, what)
        if kind.startswith("cube") and (width != height or depth % 6 or (not flags & _LAYERED and depth != 6)):
            raise Refused(status.INVALID_VALUE, f"a cube of {width} x {height} x {depth}")
        return Array(kind, (depth, height, width), _FORMATS[form], channels, bool(flags & _WRITABLE))

    def create(out: int, *shape: int) -> None:
        driver.unsafe("cuArray3DCreate")
        driver.write(out, driver.handles.add(make(*shape), "array"))

    def create_levels(out: int, count: int, width: int, height: int, depth: int, *rest: int) -> None:
        driver.unsafe("cuMipmappedArrayCreate")
        layered = bool(rest[2] & (_LAYERED | _CUBE))
        levels = [
            make(
                max(width >> k, 1),
                height and max(height >> k, 1),
                depth if layered else depth and max(depth >> k, 1),
                *rest,
            )
            for k in range(count)
        ]
        if count > max(width, height, 0 if layered else depth).bit_length():
            raise Refused(status.INVALID_VALUE, f"{count} levels of {width} x {height} x {depth}")
        driver.write(
            out, driver.handles.add(Levels([(driver.handles.add(one, "level"), one) for one in levels]), "mipmap")
        )

    def end_levels(handle: int) -> None:
        for level, _ in driver.handles.get(handle, Levels).arrays:
            driver.handles.remove(level, Array)
        driver.handles.remove(handle, Levels)

    def level_of(out: int, handle: int, number: int) -> None:
        driver.write(out, driver.handles.get(handle, Levels).arrays[number][0])

    def copy(source: int, target: int, host: int, pitch: int, rows: int, handle: int, *extents: int) -> None:
        context = driver.current()
        context.legacy.wait()
        context.raise_fault()
        array = driver.handles.get(handle, Array)
        layers, depth, height, _, _ = array.texels.shape
        whole = (array.texels.row_bytes, height, layers * depth)
        if {source, target} != {_HOST, _IN_ARRAY} or (extents, pitch, rows) != (whole, whole[0], whole[1]):
            raise Refused(
                status.NOT_SUPPORTED, f"copies of {extents} bytes, not of the whole {whole}, are not modelled"
            )
        nbytes = whole[0] * whole[1] * whole[2]
        if source == _IN_ARRAY:
            ctypes.memmove(host, array.texels.read().tobytes(), nbytes)
            return
        array.texels.write(
            np.frombuffer(ctypes.string_at(host, nbytes), array.texels.dtype).reshape(array.texels.shape)
        )
        array.filled = True

    def texture(
        out: int, resource: int, thing: int, form: int, channels: int, nbytes: int, x: int, y: int, z: int, mixing: int, flags: int, between: int, coarsest: int
    ) -> None:  # fmt: skip
        driver.current().raise_fault()
        driver.unsafe("cuTexObjectCreate")
        if resource == _LINEAR:
            if driver.memory.around(thing) is None:
                raise Refused(status.INVALID_VALUE, f"{thing:#x} is no memory of CUDA")
            data = bytearray(nbytes)
            driver.current().legacy.wait()
            driver.arena.read(thing, memoryview(data))
            kind, texels = "linear", np.frombuffer(data, _FORMATS[form]).reshape(1, 1, 1, -1, channels)
            dtype, coarser = texels.dtype, []
        else:
            levels = driver.handles.get(thing, Levels).arrays if resource == _MIPMAP else []
            array = levels[0][1] if levels else driver.handles.get(thing, Array)
            coarser = [one.texels.read() for _, one in levels[1:]]
            if coarsest != len(coarser) or (coarser and not flags & 2):
                raise Refused(status.INVALID_VALUE, f"levels to {coarsest} of {len(coarser)}, flags {flags}")
            if not all(one.filled for one in (array, *(level for _, level in levels))):
                raise Refused(status.INVALID_VALUE, "an array that nobody has written")
            kind, texels, dtype = array.kind, array.texels, array.texels.dtype
        whole = dtype.kind in "iu" and dtype.itemsize < 4
        if mixing and dtype.kind in "iu" and (flags & 1 or not whole):
            raise Refused(status.INVALID_VALUE, "linear filtering of integers")
        if {x, y, z} - _MODES.keys() or flags & ~3:
            raise Refused(status.INVALID_VALUE, f"address modes {x}, {y}, {z}, flags {flags}")
        modes = (_MODES[x], _MODES[y], _MODES[z])
        normalized = bool(flags & 2)
        if not normalized and {"wrap", "mirror"} & {*modes}:
            raise Refused(status.INVALID_VALUE, "wrap and mirror without normalized coordinates")
        image = Image(
            kind,
            texels,
            modes,
            linear=bool(mixing),
            normalized_read=whole and not flags & 1,
            normalized=normalized,
            coarser=coarser,
            mixes_levels=bool(between),
        )
        driver.arena.textures[image.handle] = images[image.handle] = image
        driver.write(out, image.handle)

    def surface(out: int, handle: int) -> None:
        driver.current().raise_fault()
        driver.unsafe("cuSurfObjectCreate")
        array = driver.handles.get(handle, Array)
        if not array.writable:
            raise Refused(status.INVALID_VALUE, "a surface of an array without CUDA_ARRAY3D_SURFACE_LDST")
        texels = array.texels
        driver.arena.surfaces[texels.handle] = surfaces[texels.handle] = texels
        driver.write(out, texels.handle)

    def end_surface(handle: int) -> None:
        driver.unsafe("cuSurfObjectDestroy")
        if surfaces.pop(handle, None) is None:
            raise Refused(status.INVALID_VALUE, f"{handle:#x} is no surface object")
        driver.arena.surfaces.pop(handle, None)

    def end(handle: int) -> None:
        driver.unsafe("cuTexObjectDestroy")
        if images.pop(handle, None) is None:
            raise Refused(status.INVALID_VALUE, f"{handle:#x} is no texture object")
        driver.arena.textures.pop(handle, None)

    return {
        "cuArray3DCreate": create,
        "cuArrayDestroy": lambda handle: driver.handles.remove(handle, Array),
        "cuMemcpy3D": copy,
        "cuMipmappedArrayCreate": create_levels,
        "cuMipmappedArrayDestroy": end_levels,
        "cuMipmappedArrayGetLevel": level_of,
        "cuTexObjectCreate": texture,
        "cuTexObjectDestroy": end,
        "cuSurfObjectCreate": surface,
        "cuSurfObjectDestroy": end_surface,
    }
