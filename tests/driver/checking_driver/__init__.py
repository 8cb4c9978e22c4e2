"""The model behind libcuda.c: an NVIDIA driver that refuses what its documentation forbids and computes on the CPU.

It has devices, contexts, streams, memory and libraries as the driver API describes them, runs queued work only when
somebody waits for it, and writes down every call that is against the rules. What it cannot know is time and hardware.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import compiled_images

from jitload.cpu.memory.arena import process_arena

from . import capture, device, launch, library, memory, status, stream, tensor_map, texture
from .handles import Handles
from .scenario import Scenario, scenario
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Calls that a driver answers in any state.
_ALWAYS = {"cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString"}


class Driver:
    """One process's driver.

    Attributes:
        calls: how often each function was called.
        forbidden: "function: status: why" of every call that a right program does not make.
        launches: (symbol, grid, block, shared bytes, attributes, device) of every launch that was taken.
    """

    def __init__(self, machine: Scenario, built_for: int) -> None:
        self.scenario = machine
        self.version = machine.version or built_for
        self.handles = Handles()
        self.arena = process_arena()
        self.memory = memory.Memory(self.arena)
        self.started = False
        self.calls: dict[str, int] = {}
        self.forbidden: list[str] = []
        self.launches: list[Any] = []
        self.devices = [
            device.Device(self, ordinal, (major, minor), pools=machine.pools)
            for ordinal, (major, minor) in enumerate(machine.capabilities)
        ]
        self._texts: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._functions: dict[str, Callable[..., Any]] = {}
        for room in (device, stream, capture, memory, library, launch, tensor_map, texture):
            self._functions |= room.calls(self)

    def answer(self, name: str, arguments: list[int]) -> int:
        """One call: its status."""
        with self._lock, _no_collection():
            self.calls[name] = self.calls.get(name, 0) + 1
            planned = self.scenario.fail.pop(name, 0)
            if planned:
                return planned
            try:
                self._carry_out(name, arguments)
            except Refused as refused:
                self._note(name, refused)
                return refused.status
            except Exception:  # noqa: BLE001 - whatever it is, a driver answers with a status
                traceback.print_exc()
                self._note(name, Refused(status.UNKNOWN, "the model itself failed"))
                return status.UNKNOWN
            return status.SUCCESS

    def stream(self, handle: int) -> stream.Stream:
        """The stream of a handle: 0 and 1 are the legacy default stream of the current context."""
        if handle in (0, 1):
            return self.current().legacy  # type: ignore[attr-defined, no-any-return]
        if handle == 2:
            raise Refused(status.NOT_SUPPORTED, "the per-thread default stream is not modelled")
        return self.handles.get(handle, stream.Stream)

    def contexts(self) -> list[device.Context]:
        return [one.context for one in self.devices]

    def must_be_sound(self) -> None:
        """After a fault every call of the process gives its status, as long as the context lives."""
        for context in self.contexts():
            context.raise_fault()

    def read(self, address: int, nbytes: int) -> bytes:
        if not address:
            raise Refused(status.INVALID_VALUE, "nowhere to read from")
        return ctypes.string_at(address, nbytes)

    def write(self, address: int, value: int, nbytes: int = 8) -> None:
        if not address:
            raise Refused(status.INVALID_VALUE, "nowhere to write the answer")
        ctypes.memmove(address, int(value).to_bytes(nbytes, "little", signed=value < 0), nbytes)

    def write_bytes(self, address: int, data: bytes) -> None:
        ctypes.memmove(address, data, len(data))

    def write_text(self, address: int, text: str) -> None:
        kept = self._texts.setdefault(text, ctypes.create_string_buffer(text.encode()))
        self.write(address, ctypes.addressof(kept))

    def text(self, address: int) -> str:
        if not address:
            raise Refused(status.INVALID_VALUE, "no name")
        return ctypes.string_at(address).decode()

    def _carry_out(self, name: str, arguments: list[int]) -> None:
        if not self.started and name not in _ALWAYS:
            raise Refused(status.NOT_INITIALIZED, "before cuInit")
        function = self._functions.get(name)
        if function is None:
            raise Refused(status.NOT_SUPPORTED, "not modelled")
        function(*arguments)

    def _note(self, name: str, refused: Refused) -> None:
        if refused.expected:
            return
        line = f"{name}: {refused}"
        self.forbidden.append(line)
        if self.scenario.report:
            with open(self.scenario.report, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")


@contextmanager
def _no_collection() -> Iterator[None]:
    """A driver runs no Python of its caller's: without this a kernel's own objects could set off a collection, and the
    finalizer of a module that is dropped in it would call the driver, which is in the midst of that kernel.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


_MODEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t)


def install() -> Driver:
    """Put the model behind the library that is loaded as libcuda.so.1; once per process."""
    library = ctypes.CDLL("libcuda.so.1")
    made = Driver(scenario(), library.driver_built_for())
    compiled_images.watch()
    made.callback = _MODEL(lambda name, words, count: made.answer(name.decode(), words[:count]))  # type: ignore[attr-defined]
    library.driver_use_model(made.callback)  # type: ignore[attr-defined]
    # What calls the driver after Python is gone gets CUDA_ERROR_DEINITIALIZED, as from NVIDIA's.
    atexit.register(library.driver_use_model, None)
    return made


driver = install()
