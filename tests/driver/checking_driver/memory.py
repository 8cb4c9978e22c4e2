"""Device memory is memory of the CPU executor; who owns it and when it may be touched is what is modelled here."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from jitload.errors import JitloadError

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .device import Context
    from .stream import Stream

# CUpointer_attribute (cuda.h).
_CONTEXT, _MEMORY_TYPE, _DEVICE_ORDINAL = 1, 2, 9
_HOST, _DEVICE = 1, 2


class Block:
    """One allocation."""

    def __init__(self, context: Context, nbytes: int) -> None:
        self.context = context
        self.nbytes = nbytes


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

    def allocate(self, context: Context, nbytes: int) -> int:
        if not nbytes:
            raise Refused(status.INVALID_VALUE, "an allocation of 0 bytes")
        try:
            address = self.arena.allocate(nbytes, "an allocation of the driver")
        except (JitloadError, MemoryError) as error:
            raise Refused(status.OUT_OF_MEMORY, str(error)) from error
        self.blocks[address] = Block(context, nbytes)
        return address

    def free(self, address: int) -> None:
        if self.blocks.pop(address, None) is None:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no allocation")
        self.arena.free(address)

    def owner(self, address: int) -> Context | None:
        """The context of the allocation that an address points into."""
        return next(
            (block.context for start, block in self.blocks.items() if start <= address < start + block.nbytes), None
        )

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

    def must_not_capture(name: str) -> Context:
        context = driver.current()
        if context.capturing():
            context.break_captures()
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, f"{name} during a capture")
        return context

    def allocate(out: int, nbytes: int) -> None:
        driver.write(out, memory.allocate(must_not_capture("cuMemAlloc"), nbytes))

    def free(address: int) -> None:
        must_not_capture("cuMemFree").finish()  # it waits for kernels that may use the memory
        if address:
            memory.free(address)

    def allocate_async(out: int, nbytes: int, stream: int) -> None:
        driver.write(out, memory.allocate(driver.stream(stream).context, nbytes))

    def free_async(address: int, stream: int) -> None:
        if address not in memory.blocks:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no allocation")
        driver.stream(stream).submit("cuMemFreeAsync", lambda: memory.free(address))

    def check(address: int, nbytes: int) -> None:
        if memory.owner(address) is None or memory.owner(address + nbytes - 1) is None:
            raise Refused(status.INVALID_VALUE, f"{nbytes} bytes at {address:#x} are not in one allocation")

    def to_device(stream: Stream, address: int, host: int, nbytes: int) -> None:
        """Pageable bytes are read now and arrive later; page-locked ones are read when the copy runs."""
        if not nbytes:
            return
        check(address, nbytes)
        if memory.is_pinned(host):
            stream.submit("a copy to the device", lambda: memory.put(address, ctypes.string_at(host, nbytes)))
        else:
            data = ctypes.string_at(host, nbytes)
            stream.submit("a copy to the device", lambda: memory.put(address, data))

    def to_host(stream: Stream, host: int, address: int, nbytes: int) -> None:
        if not nbytes:
            return
        check(address, nbytes)
        stream.submit("a copy to the host", lambda: memory.take(host, address, nbytes))
        if not memory.is_pinned(host) and stream.graph is None:
            stream.wait()
            stream.context.raise_fault()

    def copy_to_device(address: int, host: int, nbytes: int) -> None:
        to_device(must_not_capture("cuMemcpyHtoD").legacy, address, host, nbytes)

    def copy_to_host(host: int, address: int, nbytes: int) -> None:
        context = must_not_capture("cuMemcpyDtoH")
        to_host(context.legacy, host, address, nbytes)
        context.legacy.wait()
        context.raise_fault()

    def host_allocate(out: int, nbytes: int, _flags: int) -> None:
        must_not_capture("cuMemHostAlloc")
        buffer = (ctypes.c_ubyte * nbytes)()
        memory.pinned[ctypes.addressof(buffer)] = buffer, nbytes
        driver.write(out, ctypes.addressof(buffer))

    def host_free(address: int) -> None:
        must_not_capture("cuMemFreeHost").finish()
        if memory.pinned.pop(address, None) is None:
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no page-locked memory")

    def pointer_attribute(out: int, attribute: int, address: int) -> None:
        owner = memory.owner(address)
        if owner is None and not memory.is_pinned(address):
            raise Refused(status.INVALID_VALUE, f"{address:#x} is no memory of CUDA")
        if attribute == _MEMORY_TYPE:
            driver.write(out, _DEVICE if owner else _HOST, 4)
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
        "cuMemFreeAsync": free_async,
        "cuMemcpyHtoD": copy_to_device,
        "cuMemcpyDtoH": copy_to_host,
        "cuMemcpyHtoDAsync": lambda address, host, n, stream: to_device(driver.stream(stream), address, host, n),
        "cuMemcpyDtoHAsync": lambda host, address, n, stream: to_host(driver.stream(stream), host, address, n),
        "cuMemHostAlloc": host_allocate,
        "cuMemFreeHost": host_free,
        "cuPointerGetAttribute": pointer_attribute,
    }
