"""Memory of the state spaces that are not the arena: shared, local and parameter memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.bounds import relation
from jitload.cpu.memory.views import Views

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Slabs start at multiples of the widest vector access.
_SLAB_ALIGNMENT = 32
#: What fresh shared and local memory holds: NaN in every float type, and an index far out of bounds.
UNSET = 0x7FFF
_UNSET_BYTES = 1 << 25  # beyond this only the first bytes of every slab are set, so that stacks stay cheap


class Slab:
    """Memory of a state space that is not the arena: `copies` slabs of `nbytes` each.

    Args:
        space: "shared", "local" or "param".
        nbytes: bytes that a lane may touch.
        copies: how many slabs lie one after the other.
        variables: (offset, bytes, name) of what lies in a slab.
        unset: whether it starts with a pattern that shows, instead of zeros.
    """

    __slots__ = ("nbytes", "space", "stride", "variables", "views")

    def __init__(
        self,
        space: str,
        nbytes: int,
        copies: int,
        variables: Sequence[tuple[int, int, str]] = (),
        *,
        unset: bool = False,
    ) -> None:
        self.space = space
        self.nbytes = nbytes
        self.stride = -(-nbytes // _SLAB_ALIGNMENT) * _SLAB_ALIGNMENT
        self.variables = variables
        buffer = np.zeros(max(self.stride * copies, _SLAB_ALIGNMENT), np.uint8)
        if unset and nbytes:
            buffer.view(np.uint16).reshape(copies, -1)[:, : unset_bytes(self.stride, copies) // 2] = UNSET
        self.views = Views(buffer)

    def describe(self, offset: int, size: int) -> str:
        """The variable nearest to an access, and how far off it is; without variables, the size of the slab."""
        if not self.variables:
            return f"{self.space} memory of {self.nbytes} bytes, {relation(offset, size, self.nbytes)}"
        best = min(self.variables, key=lambda one: max(one[0] - offset, offset - one[0] - one[1], 0))
        start, nbytes, name = best
        return f"{name}: {nbytes} bytes at {self.space} address {start:#x}, {relation(offset - start, size, nbytes)}"


def unset_bytes(stride: int, copies: int) -> int:
    """How many bytes at the start of each of so many slabs hold the pattern."""
    return min(stride, max(_UNSET_BYTES // copies, 256))
