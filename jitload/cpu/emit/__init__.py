"""One file per family of instructions: the code that each is turned into. Importing the package registers them all."""

from jitload.cpu.emit import (
    bits,
    convert,
    copy,
    float,  # noqa: A004 - the family's name
    integer,
    matrix,
    mbarrier,
    meeting,
    memory,
    stochastic,
    surface,
    tensor,
    texture,
    value,
    video,
    warpgroup,
)

__all__ = [
    "bits",
    "convert",
    "copy",
    "float",
    "integer",
    "matrix",
    "mbarrier",
    "meeting",
    "memory",
    "stochastic",
    "surface",
    "tensor",
    "texture",
    "value",
    "video",
    "warpgroup",
]
