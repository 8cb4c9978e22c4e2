"""A device that records: the two protocols of jitload.launch.kernel, over plain Python bytes."""

import importlib
import os

import pytest

from jitload.artifact import KernelInfo, Parameter
from jitload.launch.kernel import Kernel

#: Read here, since no test sees a variable of jitload's from outside. Set where torch and JAX were installed on purpose.
FRAMEWORKS_ARE_INSTALLED = os.environ.get("JITLOAD_TEST_FRAMEWORKS") == "1"


class RecordingMemory:
    """Allocations are bytearrays at made-up addresses."""

    def __init__(self):
        self.blocks = {}
        self.log = []
        self._next = 0x10_0000

    def allocate(self, nbytes, label):
        address, self._next = self._next, self._next + nbytes + 0x1000
        self.blocks[address] = bytearray(nbytes)
        self.log.append(("allocate", label, nbytes))
        return address

    def free(self, address):
        del self.blocks[address]
        self.log.append(("free",))

    def write(self, address, source):
        assert source.format == "B"
        assert source.ndim == 1
        self.blocks[address][:] = source
        self.log.append(("write", len(source)))

    def read(self, address, target):
        assert not target.readonly
        target[:] = self.blocks[address]
        self.log.append(("read", len(target)))

    def at(self, address):
        """The block that an address lies in, and the offset."""
        for start, block in self.blocks.items():
            if start <= address < start + max(len(block), 1):
                return block, address - start
        raise AssertionError(f"{address:#x} is in no allocation")


class RecordingFunction:
    """Keeps every launch; `body(memory, parameters)` is what the kernel does."""

    def __init__(self, info, device="cuda"):
        self.info = info
        self.device = device
        self.memory = RecordingMemory()
        self.launches = []
        self.synchronized = []
        self.body = None

    def launch(self, parameters, grid, block, shared_bytes, stream, cluster, cooperative):
        self.launches.append((bytes(parameters), grid, block, shared_bytes, stream, cluster, cooperative))
        if self.body is not None:
            self.body(self.memory, bytes(parameters))

    def synchronize(self, stream):
        self.synchronized.append(stream)


SAXPY = (
    Parameter(0, 4, 4, "f32", name="a", declared="float", pointer=False),
    Parameter(8, 8, 8, "u64", name="x", declared="const float *", pointer=True, const=True),
    Parameter(16, 8, 8, "u64", name="y", declared="float *", pointer=True),
    Parameter(24, 4, 4, "u32", name="n", declared="int", pointer=False),
)


@pytest.fixture
def make_kernel():
    """make_kernel(*parameters, device="cuda", name="k", **more of KernelInfo) -> (kernel, function)."""

    def make(*parameters, device="cuda", name="k", **more):
        info = KernelInfo(name, name, parameters, **more)
        function = RecordingFunction(info, device)
        return Kernel(info, function), function

    return make


@pytest.fixture
def saxpy(make_kernel):
    """The kernel saxpy(float a, const float *x, float *y, int n) on a recording device, and the device."""
    return make_kernel(*SAXPY, name="saxpy")


@pytest.fixture
def pack_one(make_kernel):
    """pack_one(parameter, value) -> the bytes that the kernel gets for it, by the bound road; twice, as they agree."""

    def pack(parameter, value, device="cuda"):
        kernel, function = make_kernel(parameter, device=device)
        bound = kernel.bind(grid=1, block=1)
        bound(value)
        bound(value)
        first, second = (launch[0] for launch in function.launches)
        assert first == second
        return first[parameter.offset : parameter.offset + parameter.size]

    return pack


@pytest.fixture
def framework():
    """`framework("torch")`: the module; skips where it is not installed, unless CI says that it installed them all."""

    def load(name):
        try:
            return importlib.import_module(name)
        except ImportError:
            if FRAMEWORKS_ARE_INSTALLED:
                raise
            pytest.skip(f"{name} is not installed")

    return load
