"""Addresses that say what is done through them, for launches that somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.memory.access import Addresses, GlobalAddresses, SlabAddresses
from jitload.cpu.memory.cluster import ClusterAddresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.types import Array, Lanes


class _ReportingAddresses(Addresses):
    """Addresses that report every access to their batch: after the checks, before memory is touched."""

    __slots__ = ()

    def _report(self, offset: int, nbytes: int, site: int, how: str, values: Sequence[Lanes] = ()) -> None:
        self.locate(offset, nbytes, site)
        self.batch.report(self, offset, nbytes, site, how, values)

    def load(self, offset: int, rep: str, size: int, site: int) -> Lanes:
        """What the lanes read."""
        self._report(offset, size, site, "load")
        return super().load(offset, rep, size, site)

    def store(self, offset: int, rep: str, size: int, site: int, value: Lanes) -> None:
        """Write a value per lane."""
        self._report(offset, size, site, "store", (value,))
        super().store(offset, rep, size, site, value)

    def load_vector(self, offset: int, rep: str, size: int, count: int, site: int) -> Sequence[Lanes]:
        """`count` elements per lane."""
        self._report(offset, size * count, site, "load")
        return super().load_vector(offset, rep, size, count, site)

    def store_vector(self, offset: int, rep: str, size: int, site: int, values: Sequence[Lanes]) -> None:
        """Write a vector per lane."""
        self._report(offset, size * len(values), site, "store", values)
        super().store_vector(offset, rep, size, site, values)

    def elements(self, offset: int, rep: str, size: int, site: int) -> tuple[Array, Array]:
        """(view, index per lane) for a read-modify-write."""
        self._report(offset, size, site, "atomic")
        return super().elements(offset, rep, size, site)


class ReportingGlobalAddresses(_ReportingAddresses, GlobalAddresses):
    """Addresses in the arena, watched."""

    __slots__ = ()


class ReportingSlabAddresses(_ReportingAddresses, SlabAddresses):
    """Addresses in shared, local or parameter memory, watched."""

    __slots__ = ()


class ReportingClusterAddresses(_ReportingAddresses, ClusterAddresses):
    """Addresses in the shared memory of a cluster, watched."""

    __slots__ = ()
