"""Shadow memory: what is known about each word or byte that a kernel can touch."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.types import Array, Lanes

_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
_SLACK = 1 << 20


def lazy_zeros(count: int, dtype: DTypeLike) -> Array:
    """Zeros that take memory when they are touched; what the arena's size would promise is far more than is used."""
    size = max(count, 1) * np.dtype(dtype).itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    return np.frombuffer(mmap.mmap(-1, size, flags=flags), dtype)


class Shadow:
    """Arrays of one length over some memory, which grow with it.

    Args:
        dtypes: name -> type of each array; they become attributes of `arrays`.
        count: elements at first.
    """

    def __init__(self, dtypes: Mapping[str, DTypeLike], count: int) -> None:
        self.arrays = {name: lazy_zeros(count, dtype) for name, dtype in dtypes.items()}
        self._count = count

    def grown_to(self, end: int) -> dict[str, Array]:
        """The arrays, long enough for elements before `end`."""
        if end > self._count:
            count = 2 * end + _SLACK
            for name, old in self.arrays.items():
                grown = self.arrays[name] = lazy_zeros(count, old.dtype)
                grown[: self._count] = old
            self._count = count
        return self.arrays


def byte_positions(addresses: Addresses, offset: int) -> Array | int:
    """Where in its buffer each lane's access begins; an int when it is one place for all."""
    return addresses.offsets + addresses.slabs + offset


def writes_what_is_there(addresses: Addresses, offset: int, values: Sequence[Lanes], chosen: Array) -> Array:
    """Per chosen lane (positions among the addresses), whether its store would change nothing."""
    size = values[0].dtype.itemsize
    places = np.atleast_1d(np.asarray(byte_positions(addresses, offset - addresses.origin)))
    places = (places[chosen] if len(places) > 1 else np.broadcast_to(places, chosen.shape)) // size
    view = addresses.views[f"u{8 * size}"]
    same = np.ones(len(chosen), np.bool_)
    for number, value in enumerate(values):
        bits = value.view(view.dtype)
        same &= view[places + number] == (bits[chosen] if bits.ndim else bits)
    return same
