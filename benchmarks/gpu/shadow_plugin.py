"""A pytest plugin: the executor's own tests, with the GPU as its shadow, compared array by array.

`python -m pytest -p gpu.shadow_plugin tests/cpu`, with GPU_DAY_SHADOW naming the file of what was compared. Every
allocation exists on both sides and every write goes to both. A launch runs on the executor first, and a kernel that
faults there never reaches the card. A read compares the two; where they differ the test gets the card's bytes, so that
its own assertions judge them.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jitload.cuda import driver
from jitload.cuda.module import CudaModule
from jitload.errors import DriverError, JitloadError, LaunchError, LoadError
from jitload.images.check import verify_image

#: Fixtures of tests/cpu/conftest.py that run kernels.
RUNNERS = {"cuda", "ptx", "apply", "device"}
#: Tests of what the executor alone has: its objects, its observers, its order of threads, its own output.
ABOUT_EXECUTOR = re.compile(r"test_(profile\w*|observe|checks|fairness|schedule)\.py|printf|share_one_address_space")


def tell(**words: Any) -> None:
    """A line of JSON about the test that runs; one write, so that processes do not mix theirs."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "?").rpartition(" ")[0]
    with Path(os.environ["GPU_DAY_SHADOW"]).open("ab", buffering=0) as file:
        file.write(json.dumps({"test": test, **words}).encode() + b"\n")


class Memory:
    """The executor's memory, one per process, whose addresses the test sees; and a place on the card for each block."""

    def __init__(self, arena: Any) -> None:
        self._arena = arena
        self._beside: dict[int, tuple[int, int]] = {}  # address here -> address on the card, bytes
        self._apart: set[int] = set()

    def set_apart(self) -> None:
        """One side did what the other did not: what lives now is not comparable any more."""
        self._apart = set(self._beside)

    def is_apart(self) -> bool:
        """Whether anything that lives is not comparable."""
        return bool(self._apart)

    def allocate(self, nbytes: int, label: str, **options: Any) -> int:
        address = self._arena.allocate(nbytes, label, **options)
        bindings = driver.ensure_context()
        there = driver.check("cuMemAlloc", bindings.cuMemAlloc(max(nbytes, 1)))
        self._beside[address] = int(there), nbytes
        return address

    def free(self, address: int) -> None:
        self._arena.free(address)
        self._apart.discard(address)
        there, _ = self._beside.pop(address, (0, 0))
        if there:
            driver.check("cuMemFree", driver.ensure_context().cuMemFree(there))

    def put_beside(self, address: int, there: int, nbytes: int) -> None:
        """Memory that both sides have already: a variable of a module."""
        self._beside[address] = there, nbytes

    def place(self, address: int) -> int | None:
        """Where an address of the executor lies on the card."""
        for start, (there, nbytes) in self._beside.items():
            if start <= address < start + max(nbytes, 1):
                return there + address - start
        return None

    def moved(self, data: bytes, *, back: bool = False) -> bytes:
        """The bytes with every aligned word that is an address of one side made that of the other."""
        words = np.frombuffer(data, np.uint64, len(data) // 8).copy()
        known = words.copy()
        for start, (there, nbytes) in self._beside.items():
            source, target = (there, start) if back else (start, there)
            inside = (known >= source) & (known < source + max(nbytes, 1))
            words[inside] = known[inside] - np.uint64(source) + np.uint64(target)
        return words.tobytes() + data[8 * len(words) :]

    def write(self, address: int, source: memoryview) -> None:
        self._arena.write(address, source)
        there = self.place(address)
        if there is None or not source.nbytes:
            return
        data = self.moved(bytes(source))
        driver.check("cuMemcpyHtoD", driver.ensure_context().cuMemcpyHtoD(there, data, len(data)))

    def read(self, address: int, target: memoryview) -> None:
        self._arena.read(address, target)
        there = self.place(address)
        if there is None or self._apart or not target.nbytes:
            return
        raw = bytearray(target.nbytes)
        driver.check("cuMemcpyDtoH", driver.ensure_context().cuMemcpyDtoH(raw, there, len(raw)))
        theirs, mine = self.moved(bytes(raw), back=True), bytes(target)
        differ = sum(one != other for one, other in zip(mine, theirs, strict=True)) if mine != theirs else 0
        tell(compared=len(mine), differ=differ)
        if differ:
            target[:] = theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arena, name)


class Function:
    """A kernel on both sides, as `jitload.launch.kernel.DeviceFunction`."""

    def __init__(self, mine: Any, theirs: Any, memory: Memory) -> None:
        self._mine = mine
        self._theirs = theirs
        self._memory = memory

    def launch(self, parameters: bytearray, *shape: Any) -> None:
        here = bytes(parameters)
        try:
            self._mine.launch(parameters, *shape)
        except JitloadError:
            self._memory.set_apart()
            raise
        if self._memory.is_apart():
            self._memory.set_apart()
            return
        try:
            self._theirs.launch(bytearray(self._memory.moved(here)), *shape)
            self._theirs.synchronize(shape[3])
        except LaunchError as error:
            self._memory.set_apart()
            tell(refused=str(error)[:300])
        except DriverError as error:
            # The context is lost. This worker ends, with the test that it was at; pytest-xdist starts another one.
            tell(faulted=str(error)[:300])
            os._exit(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine, name)


@functools.cache
def memory_over(arena: Any) -> Memory:
    """The one memory of this process."""
    return Memory(arena)


def later_target(ptx: bytes) -> str:
    """Why this card cannot run the PTX whatever its driver is, or ""."""
    found = re.search(rb"^\s*\.target\s+sm_(\d+)", ptx, re.MULTILINE)
    arch = driver.device_arch()
    return f"PTX for sm_{int(found[1])} on {arch}" if found and int(found[1]) > int(arch[3:]) else ""


class Module:
    """PTX loaded on both sides; whatever is not about launches is the executor's."""

    def __init__(self, load: Any, data: bytes) -> None:
        self._mine = load(data)
        verify_image("ptx", data)
        self._theirs = CudaModule("ptx", data)
        self._refusal = later_target(data)
        self.memory = memory_over(self._mine.memory)

    def device_function(self, name: str, kernel: Any = None) -> Function:
        mine = self._mine.device_function(name, kernel)
        self._theirs.attach_kernels([mine.info])
        theirs, refusal = None, self._refusal
        if not refusal:
            try:
                theirs = self._theirs.get_function(mine.info.name)
            except LoadError as error:
                refusal = str(error)[-300:]
        if theirs is None:
            tell(refused=refusal)
            pytest.skip(f"not for this card: {refusal}")
        return Function(mine, theirs._function, self.memory)

    def get_global(self, name: str) -> tuple[int, int]:
        address, nbytes = self._mine.get_global(name)
        self.memory.put_beside(address, self._theirs.get_global(name)[0], nbytes)
        return address, nbytes

    def __getitem__(self, name: str) -> Any:
        return self._mine[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine, name)


def pytest_plugin_registered(plugin: Any) -> None:
    """tests/cpu/conftest.py loads PTX for its tests: from here on, on both sides."""
    load = getattr(plugin, "load_ptx", None)
    if load is not None and hasattr(plugin, "Device"):
        plugin.load_ptx = lambda data: Module(load, data)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """The tests that run kernels, once each: not again with the executor's checks on."""
    kept = [
        item
        for item in items
        if RUNNERS & set(item.fixturenames) and "[checked" not in item.name and not ABOUT_EXECUTOR.search(item.nodeid)
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
