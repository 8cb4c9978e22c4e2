"""Texels as bytes, in rows: what surfaces read and write, and textures over them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.types import Array

#: A row begins at a multiple of it, so that every element of a row lies at one of its own width.
_ROW_ALIGNMENT = 16
# No address of device memory or of the host looks like this, and no texture object.
_handles = count(0x7E59_0000_0000_0001)


class Texels:
    """Texels in memory that kernels write.

    Args:
        kind: one of `jitload.cpu.memory.images.GEOMETRIES`, but "linear".
        texels: (layers, depth, height, width, channels).

    Attributes:
        handle: what a kernel gets, as a surface.
        shape: of the texels.
        dtype: of an element.
        row_bytes: bytes of a row.
        pitch: bytes from a row to the next.
        changes: how often they were written; a kernel counts once for each instruction.
    """

    def __init__(self, kind: str, texels: Array) -> None:
        self.kind = kind
        self.handle = next(_handles)
        self.shape = texels.shape
        self.dtype = texels.dtype
        self.row_bytes = texels.shape[3] * self.texel_bytes
        self.pitch = -(-self.row_bytes // _ROW_ALIGNMENT) * _ROW_ALIGNMENT
        self.changes = 0
        self._memory = np.zeros((*texels.shape[:3], self.pitch), np.uint8)
        self.write(texels)

    @property
    def texel_bytes(self) -> int:
        """Bytes of all channels of a texel."""
        return int(self.shape[4]) * self.dtype.itemsize

    @property
    def extents(self) -> tuple[int, int, int, int]:
        """(bytes of a row, rows, planes, layers): how far coordinates of surfaces go."""
        layers, depth, height = self.shape[:3]
        return self.row_bytes, height, depth, layers

    def read(self) -> Array:
        """The texels, copied."""
        rows = self._memory[..., : self.row_bytes].copy()
        return np.asarray(rows.view(self.dtype).reshape(self.shape))

    def write(self, texels: Array) -> None:
        """Give all texels new values; the shape is the same."""
        rows = np.ascontiguousarray(texels, self.dtype).reshape(*self.shape[:3], -1)
        self._memory[..., : self.row_bytes] = rows.view(np.uint8)
        self.changes += 1

    def words(self, rep: str) -> Array:
        """The bytes as a flat array of a representation, in place."""
        return self._memory.reshape(-1).view(DTYPES[rep])
