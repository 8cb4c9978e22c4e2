"""What texels may be: their types, and the shapes that each kind of texture or surface takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.errors import UsageTypeError, UsageValueError

if TYPE_CHECKING:
    from jitload.cpu.types import Array

#: Kind -> how many axes the texels have, and which of them are layers, faces, depth, height and width.
AXES = {
    "linear": "w", "1d": "w", "2d": "hw", "3d": "dhw",
    "1d layered": "lw", "2d layered": "lhw", "cube": "lhw", "cube layered": "lfhw",
}  # fmt: skip
_PLAIN = {1: "1d", 2: "2d", 3: "3d"}
_ELEMENTS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32")


def as_texels(texels: object) -> Array:
    """Texels as an array in the machine's own order of bytes.

    Raises:
        UsageTypeError: no array, one with a mask, or of another type.
    """
    if isinstance(texels, np.ma.MaskedArray):
        raise UsageTypeError("a masked array cannot be texels, which have no mask; pass .filled(...)")
    try:
        array = np.asarray(texels)
    except Exception as error:  # lists of different lengths, or `__array__`, which is foreign code
        raise UsageTypeError(f"texels are an array, and NumPy makes none of this: {error}") from error
    if array.dtype.name not in _ELEMENTS:
        raise UsageTypeError(f"texels are one of {', '.join(_ELEMENTS)}, got {array.dtype}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_choice(what: str, given: object, choices: tuple[str, ...]) -> None:
    """Refuse what is none of some words.

    Raises:
        UsageValueError: it is none.
    """
    if not isinstance(given, str) or given not in choices:
        raise UsageValueError(f"{what}={given!r}: expected one of {', '.join(choices)}")


def kind_of(array: Array, kind: str | None, channels: int, kinds: tuple[str, ...]) -> str:
    """The kind, checked against the shape.

    Raises:
        UsageValueError: it is none of `kinds`, or takes other shapes.
    """
    if type(channels) is not int or channels not in {1, 2, 4}:
        raise UsageValueError(f"channels={channels!r}: a texel has 1, 2 or 4")
    axes = array.ndim - (channels > 1)
    found = _PLAIN.get(axes) if kind is None else kind
    if found is None:
        besides = " besides the channels" if channels > 1 else ""
        raise UsageValueError(f"texels of shape {array.shape}: without kind= they have 1 to 3 axes{besides}")
    check_choice("kind", found, kinds)
    wanted = AXES[found]
    if axes != len(wanted) or not array.size or (channels > 1 and array.shape[-1] != channels):
        last = f" and {channels} channels" if channels > 1 else ""
        raise UsageValueError(f"texels of shape {array.shape} for kind {found!r}: it takes {len(wanted)} axes{last}")
    faces = {"cube": 0, "cube layered": 1}.get(found)
    if faces is not None and (array.shape[faces] != 6 or array.shape[faces + 1] != array.shape[faces + 2]):
        raise UsageValueError(f"texels of shape {array.shape} for a {found}: 6 square faces are expected")
    return found


def spread(array: Array, kind: str, channels: int) -> Array:
    """The texels as (layers, depth, height, width, channels)."""
    shape = array.shape if channels > 1 else (*array.shape, 1)
    if kind == "cube layered":
        shape = (shape[0] * 6, *shape[2:])
    names = AXES[kind].replace("f", "")
    whole = [1, 1, 1, 1]
    for name, extent in zip(names, shape, strict=False):
        whole["ldhw".index(name)] = extent
    return array.reshape(*whole, shape[-1])
