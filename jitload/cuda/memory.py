"""Device memory for arguments that come from the host, and the copies there and back."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from jitload import forks
from jitload.cuda import driver

if TYPE_CHECKING:
    from types import ModuleType

    from jitload.cuda.driver import Foreign
    from jitload.launch.device import StagingMemory

# CUdevice_attribute and CUmemPool_attribute values (cuda.h).
_MEMORY_POOLS_SUPPORTED, _RELEASE_THRESHOLD = 115, 4
_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE: page-locked for every context

#: What a device's pool keeps for the next launch. Copying more than this takes longer than allocating it anew.
POOL_BYTES = 64 << 20

#: Page-locked memory for one launch, and the most of it that one array may have: larger ones take longer to copy twice
#: than to wait for.
LANDING_BYTES, LANDING_MOST = 1 << 20, 64 << 10

_landings: list[_Landing] = []  # that no launch uses
_pools: dict[int, Foreign] = {}  # device ordinal -> our memory pool there, or None where it cannot have one
_lock = forks.ProcessLock()


def staging_memory(stream: int) -> StagingMemory:
    """The current device's memory for the host arrays of one launch on a stream."""
    pool = _pool(driver.current_device())
    return BlockingMemory(stream) if pool is None else StreamMemory(stream, pool)


class StreamMemory:
    """Allocations and copies that are queued on the stream of a launch, before and behind it: the host never waits.

    Args:
        stream: the stream.
        pool: a CUmemoryPool of its device.
    """

    def __init__(self, stream: int, pool: Foreign) -> None:
        self._stream = stream
        self._pool = pool
        self._bindings = driver.bindings()
        self._landing: _Landing | None = None

    def allocate(self, nbytes: int, label: str) -> int:
        """Reserve `nbytes` with cuMemAllocFromPoolAsync; 0 bytes are address 0, since it refuses them.

        Raises:
            DriverError: out of memory, or another driver error; the text names `label`.
        """
        if nbytes == 0:
            return 0
        status, address = self._bindings.cuMemAllocFromPoolAsync(nbytes, self._pool, self._stream)
        if status:
            raise driver.driver_error(
                "cuMemAllocFromPoolAsync", status, f"for {nbytes} bytes of {label}", stream=self._stream
            )
        return int(address)

    def free(self, address: int) -> None:
        """Give an allocation back with cuMemFreeAsync, once the stream has got there.

        Raises:
            DriverError: a driver call failed.
        """
        if address:
            self._check("cuMemFreeAsync", self._bindings.cuMemFreeAsync(address, self._stream))

    def write(self, address: int, source: memoryview) -> None:
        """Copy host bytes to the device; pageable ones have been read when this returns.

        Raises:
            DriverError: a driver call failed.
        """
        if source.nbytes:
            outcome = self._bindings.cuMemcpyHtoDAsync(address, source, source.nbytes, self._stream)
            self._check("cuMemcpyHtoDAsync", outcome)

    def read(self, address: int, target: memoryview) -> None:
        """Copy device bytes to the host, where all have arrived after `finish`.

        Raises:
            DriverError: the copy failed, or a kernel before it did.
        """
        if target.nbytes:
            # A copy to pageable memory has arrived when the call returns (CUDA driver API, "API synchronization
            # behavior"), so each of them would wait. Small ones go by page-locked memory, and one wait is enough.
            place: Foreign = self._land(target) or target
            outcome = self._bindings.cuMemcpyDtoHAsync(place, address, target.nbytes, self._stream)
            self._check("cuMemcpyDtoHAsync", outcome)

    def finish(self, deliver: bool, /) -> None:
        """Wait until everything has been done, the launch too; only if `deliver`, write what was read.

        Raises:
            DriverError: a kernel failed.
        """
        landing, self._landing = self._landing, None
        self._check("cuStreamSynchronize", self._bindings.cuStreamSynchronize(self._stream))
        if landing is not None:  # after an error it is not used again: who knows what still writes to it
            landing.deliver(wanted=deliver)
            _landings.append(landing)

    def _land(self, target: memoryview) -> int:
        """Where in page-locked memory the bytes for `target` arrive, or 0."""
        if target.nbytes > LANDING_MOST:
            return 0
        if self._landing is None:
            self._landing = _take_landing(self._bindings)
        return 0 if self._landing is None else self._landing.place(target)

    def _check(self, call: str, outcome: tuple[Foreign, ...]) -> None:
        if outcome[0]:
            raise driver.driver_error(call, outcome[0], stream=self._stream)


class BlockingMemory:
    """The same for a device without memory pools: each call waits until it is done.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._bindings = driver.ensure_context()

    def allocate(self, nbytes: int, label: str) -> int:
        """Reserve `nbytes` with cuMemAlloc; 0 bytes are address 0, since cuMemAlloc refuses them.

        Raises:
            DriverError: out of memory, or another driver error; the text names `label`.
        """
        if nbytes == 0:
            return 0
        status, address = self._bindings.cuMemAlloc(nbytes)
        if status:
            raise driver.driver_error("cuMemAlloc", status, f"for {nbytes} bytes of {label}")
        return int(address)

    def free(self, address: int) -> None:
        """Give an allocation back with cuMemFree, which waits for kernels that may still use it.

        Raises:
            DriverError: cuMemFree failed.
        """
        if address:
            driver.check("cuMemFree", self._bindings.cuMemFree(address))

    def write(self, address: int, source: memoryview) -> None:
        """Copy host bytes to the device and wait until they have arrived.

        cuMemcpyHtoD of pageable memory returns when the bytes are staged, not when they are there (CUDA driver API,
        "API synchronization behavior"), so a kernel on a non-blocking stream could still overtake it.

        Raises:
            DriverError: a driver call failed.
        """
        if source.nbytes:
            driver.check("cuMemcpyHtoD", self._bindings.cuMemcpyHtoD(address, source, source.nbytes))
            driver.check("cuStreamSynchronize", self._bindings.cuStreamSynchronize(0))

    def read(self, address: int, target: memoryview) -> None:
        """Copy device bytes to the host, after what was launched on the stream.

        Raises:
            DriverError: the copy failed, or a kernel before it did.
        """
        if target.nbytes:
            self.finish(True)
            driver.check("cuMemcpyDtoH", self._bindings.cuMemcpyDtoH(target, address, target.nbytes))

    def finish(self, _deliver: bool, /) -> None:
        """Wait until what was launched on the stream has run.

        Raises:
            DriverError: a kernel failed.
        """
        status = self._bindings.cuStreamSynchronize(self._stream)[0]
        if status:
            raise driver.driver_error("cuStreamSynchronize", status, stream=self._stream)


class _Landing:
    """Page-locked memory that small arrays come back through.

    Args:
        address: of LANDING_BYTES bytes.
    """

    def __init__(self, address: int) -> None:
        self._address = address
        self._bytes = memoryview((ctypes.c_ubyte * LANDING_BYTES).from_address(address)).cast("B")
        self._used = 0
        self._targets: list[tuple[int, memoryview]] = []

    def place(self, target: memoryview) -> int:
        """An address for the bytes of `target`, or 0 when there is no room."""
        start = self._used
        if start + target.nbytes > LANDING_BYTES:
            return 0
        self._used = (start + target.nbytes + 63) & ~63
        self._targets.append((start, target))
        return self._address + start

    def deliver(self, *, wanted: bool) -> None:
        """Copy to the targets what has arrived for them, if that is wanted, and forget them."""
        targets, self._targets, self._used = self._targets, [], 0
        if wanted:
            for start, target in targets:
                target[:] = self._bytes[start : start + target.nbytes]


def _take_landing(bindings: ModuleType) -> _Landing | None:
    """One that no launch uses; there are as many as launches at one time."""
    try:
        return _landings.pop()
    except IndexError:
        with driver.beside_captures(bindings):
            status, address = bindings.cuMemHostAlloc(LANDING_BYTES, _PORTABLE)
        return None if status else _Landing(int(address))


def _pool(ordinal: int) -> Foreign:
    """Our pool on a device: the default one gives all memory back at every wait, and is not ours to change."""
    with _lock.here:
        if ordinal not in _pools:
            _pools[ordinal] = _make_pool(ordinal) if driver.device_attribute(_MEMORY_POOLS_SUPPORTED, ordinal) else None
        return _pools[ordinal]


def _make_pool(ordinal: int) -> Foreign:
    bindings = driver.bindings()
    wanted = bindings.CUmemPoolProps()
    wanted.allocType = bindings.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    wanted.location.type = bindings.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    wanted.location.id = ordinal
    with driver.beside_captures(bindings):
        status, pool = bindings.cuMemPoolCreate(wanted)
    if status:
        return None
    attribute = bindings.CUmemPool_attribute(_RELEASE_THRESHOLD)
    bindings.cuMemPoolSetAttribute(pool, attribute, bindings.cuuint64_t(POOL_BYTES))
    return pool
