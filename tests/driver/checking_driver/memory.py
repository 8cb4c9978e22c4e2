"""Device memory is memory of the CPU executor; who owns it and when it may be touched is what is modelled here."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from jitload.errors import CpuFault, JitloadError

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .device import Context, Device
    from .stream import Stream, Work

# CUpointer_attribute, CUmemoryType and CUmemPool_attribute (cuda.h).
_CONTEXT, _MEMORY_TYPE, _IS_MANAGED, _DEVICE_ORDINAL = 1, 2, 8, 9
_HOST, _DEVICE = 1, 2
_RELEASE_THRESHOLD = 4


class Block:
    """One allocation.

    Attributes:
        born: the work after which memory of a pool may be used; None for memory that may be used at once.
        pooled: whether it came from a pool, to which cuMemFreeAsync gives it back.
    """

    def __init__(self, context: Context, nbytes: int, *, pooled: bool = False) -> None:
        self.context = context
        self.nbytes = nbytes
        self.pooled = pooled
        self.born: Work | None = None


class Pool:
    """A memory pool of one device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.threshold = 0


class Memory:
    """The allocations of all devices.

    Attributes:
        blocks: address -> allocation, while it lives.
        pinned: address -> (buffer, bytes) of page-locked host memory.
    """

    def __init__(self, arena: Any) -> None:
        self.arena = arena
        self.blocks: dict[int, Block] = {}
        self.pinned: dict[int, tuple[Any, int]] = {}

    def allocate(self, context: Context, nbytes: int, *, pooled: bool = False) -> int:
        if not nbytes:
            raise Refused(status.INVALID_VALUE, "an allocation of 0 bytes")
        try:
            address = int(self.arena.allocate(nbytes, "an allocation of the driver"))
        except (JitloadError, MemoryError) as error:
            raise Refused(status.OUT_OF_MEMORY, str(error), expected=True) from error
        self.blocks[address] = Block(context, nbytes, pooled=pooled)
        return address

    def block(self, address: int) -> Block:
        if address not in self.blocks:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no allocation")
        return self.blocks[address]

    def free(self, address: int) -> None:
        self.block(address)
        del self.blocks[address]
        self.arena.free(address)

    def around(self, address: int) -> Block | None:
        """The allocation that an address points into."""
        return next((one for start, one in self.blocks.items() if start <= address < start + one.nbytes), None)

    def owner(self, address: int) -> Context | None:
        """The context of the allocation that an address points into."""
        block = self.around(address)
        return None if block is None else block.context

    def must_be_usable(self, address: int, context: Context) -> None:
        """What work on a device may touch: nothing of another device (no peer access), nothing before it is there."""
        block = self.around(address)
        if block is not None and block.context is not context:
            raise CpuFault(f"{address:#x} is memory of device {block.context.device.ordinal}")
        if block is not None and block.born is not None and not block.born.done:
            raise CpuFault(f"{address:#x} is used before the stream that it was allocated on has got there")

    def is_pinned(self, address: int) -> bool:
        return any(start <= address < start + nbytes for start, (_, nbytes) in self.pinned.items())

    def put(self, address: int, data: bytes) -> None:
        self.arena.write(address, memoryview(data))

    def take(self, host: int, address: int, nbytes: int) -> None:
        target = (ctypes.c_ubyte * nbytes).from_address(host)
        self.arena.read(address, memoryview(target).cast("B"))


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    memory: Memory = driver.memory

    def allocate(out: int, nbytes: int) -> None:
        context = driver.current()
        driver.unsafe("cuMemAlloc")
        context.raise_fault()
        driver.write(out, memory.allocate(context, nbytes))

    def free(address: int) -> None:
        context = driver.current()
        driver.unsafe("cuMemFree")
        context.raise_fault()
        context.finish()  # it waits for kernels that may use the memory
        if address:
            memory.free(address)

    def require_pools(device: Device) -> None:
        if not device.pools:
            raise Refused(status.NOT_SUPPORTED, f"device {device.ordinal} has no memory pools")

    def allocate_async(out: int, nbytes: int, handle: int) -> None:
        stream = driver.stream(handle)
        require_pools(stream.context.device)
        stream.context.raise_fault()
        if stream.capture is not None:
            raise Refused(status.NOT_SUPPORTED, "memory nodes of graphs are not modelled")
        address = memory.allocate(stream.context, nbytes, pooled=True)
        stream.submit("cuMemAllocAsync", lambda: None)
        memory.blocks[address].born = stream.last
        driver.write(out, address)

    def allocate_from_pool(out: int, nbytes: int, handle: int, stream: int) -> None:
        pool = driver.handles.get(handle, Pool)
        if pool.device is not driver.stream(stream).context.device:
            raise Refused(status.INVALID_VALUE, "a pool and a stream of different devices")
        allocate_async(out, nbytes, stream)

    def free_async(address: int, handle: int) -> None:
        stream = driver.stream(handle)
        stream.context.raise_fault()
        if not memory.block(address).pooled:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is of no pool")
        stream.submit("cuMemFreeAsync", lambda: memory.free(address))

    def make_pool(out: int, kind: int, handle_types: int, location: int, ordinal: int) -> None:
        device = driver.device_of(ordinal)
        driver.unsafe("cuMemPoolCreate")  # the documentation does not say; so the worst
        if (kind, handle_types, location) != (1, 0, 1):
            raise Refused(status.INVALID_VALUE, f"allocation type {kind}, handles {handle_types}, location {location}")
        require_pools(device)
        driver.write(out, driver.handles.add(Pool(device), "pool"))

    def set_pool(handle: int, attribute: int, value: int) -> None:
        pool = driver.handles.get(handle, Pool)
        if attribute != _RELEASE_THRESHOLD:
            raise Refused(status.INVALID_VALUE, f"pool attribute {attribute}")
        pool.threshold = int.from_bytes(driver.read(value, 8), "little")

    def check(address: int, nbytes: int) -> None:
        if memory.around(address) is None or memory.around(address) is not memory.around(address + nbytes - 1):
            raise Refused(status.INVALID_VALUE, f"{nbytes} bytes at {address:#x} are not in one allocation")

    def to_device(stream: Stream, address: int, host: int, nbytes: int) -> None:
        """Pageable bytes are read now and arrive later; page-locked ones are read when the copy runs."""
        stream.context.raise_fault()
        if not nbytes:
            return
        check(address, nbytes)
        later = stream.capture is not None or memory.is_pinned(host)
        data = b"" if later else ctypes.string_at(host, nbytes)

        def copy() -> None:
            memory.must_be_usable(address, stream.context)
            memory.put(address, ctypes.string_at(host, nbytes) if later else data)

        stream.submit("a copy to the device", copy)

    def to_host(stream: Stream, host: int, address: int, nbytes: int) -> None:
        stream.context.raise_fault()
        if not nbytes:
            return
        check(address, nbytes)

        def copy() -> None:
            memory.must_be_usable(address, stream.context)
            memory.take(host, address, nbytes)

        stream.submit("a copy to the host", copy)
        if not memory.is_pinned(host) and stream.capture is None:
            stream.wait()
            stream.context.raise_fault()

    def within(target: int, source: int, nbytes: int, handle: int) -> None:
        stream = driver.stream(handle)
        stream.context.raise_fault()
        check(target, nbytes)
        check(source, nbytes)

        def copy() -> None:
            memory.must_be_usable(target, stream.context)
            memory.must_be_usable(source, stream.context)
            between = bytearray(nbytes)
            memory.arena.read(source, memoryview(between))
            memory.put(target, bytes(between))

        stream.submit("a copy on the device", copy)

    def copy_to_host(host: int, address: int, nbytes: int) -> None:
        context = driver.current()
        to_host(context.legacy, host, address, nbytes)
        context.legacy.wait()
        context.raise_fault()

    def host_allocate(out: int, nbytes: int, _flags: int) -> None:
        driver.current()
        driver.unsafe("cuMemHostAlloc")
        buffer = (ctypes.c_ubyte * nbytes)()
        memory.pinned[ctypes.addressof(buffer)] = buffer, nbytes
        driver.write(out, ctypes.addressof(buffer))

    def host_free(address: int) -> None:
        driver.unsafe("cuMemFreeHost")
        driver.current().finish()
        if memory.pinned.pop(address, None) is None:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no page-locked memory")

    def pointer_attribute(out: int, attribute: int, address: int) -> None:
        owner = memory.owner(address)
        if owner is None and not memory.is_pinned(address):
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no memory of CUDA", expected=True)
        if attribute == _MEMORY_TYPE:
            driver.write(out, _DEVICE if owner else _HOST, 4)
        elif attribute == _IS_MANAGED:
            driver.write(out, 0, 4)
        elif attribute == _DEVICE_ORDINAL:
            driver.write(out, owner.device.ordinal if owner else 0, 4)
        elif attribute == _CONTEXT:
            driver.write(out, owner.handle if owner else 0)
        else:
            raise Refused(status.NOT_SUPPORTED, f"pointer attribute {attribute}")

    return {
        "cuMemAlloc": allocate,
        "cuMemFree": free,
        "cuMemAllocAsync": allocate_async,
        "cuMemAllocFromPoolAsync": allocate_from_pool,
        "cuMemFreeAsync": free_async,
        "cuMemPoolCreate": make_pool,
        "cuMemPoolSetAttribute": set_pool,
        "cuMemPoolDestroy": lambda handle: driver.handles.remove(handle, Pool),
        "cuMemcpyHtoD": lambda address, host, n: to_device(driver.current().legacy, address, host, n),
        "cuMemcpyDtoH": copy_to_host,
        "cuMemcpyHtoDAsync": lambda address, host, n, stream: to_device(driver.stream(stream), address, host, n),
        "cuMemcpyDtoHAsync": lambda host, address, n, stream: to_host(driver.stream(stream), host, address, n),
        "cuMemcpyDtoDAsync": within,
        "cuMemHostAlloc": host_allocate,
        "cuMemFreeHost": host_free,
        "cuPointerGetAttribute": pointer_attribute,
    }
