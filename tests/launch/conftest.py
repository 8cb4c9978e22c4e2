"""A device that records: the protocols of jitload.launch.kernel, over plain Python bytes; by both roads of a launch."""

import ctypes

import pytest

from jitload.cuda.configuration import LaunchConfig, launch_config
from jitload.launch import native
from jitload.launch.kernel import Kernel
from jitload.values import KernelInfo, Parameter


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
        self.awaited = []  # (stream of the launch, another stream)
        self.body = None

    def launch(self, parameters, grid, block, shared_bytes, stream, cluster, cooperative):
        self.launches.append((bytes(parameters), grid, block, shared_bytes, stream, cluster, cooperative))
        if self.body is not None:
            self.body(self.memory, bytes(parameters))

    def synchronize(self, stream):
        self.synchronized.append(stream)

    def settle(self, arrays, stream):
        busy = [view.stream for view in arrays.values() if view.stream not in (None, stream or 1)]
        self.awaited += [(stream, other) for other in busy]


_ENTRY = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(LaunchConfig),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)


class NativeFunction(RecordingFunction):
    """The same with an entry of C, which gets from native code what a driver would."""

    def __init__(self, info, device="cuda"):
        super().__init__(info, device)
        self.entry = _ENTRY(self._enter)
        self.cell = ctypes.c_void_p(0x3000)
        self.native_launches = 0  # that did not go by way of Python
        self.status = 0  # what the entry answers when it is not 0
        self._failure = None

    def submission(self, grid, block, shared_bytes, stream, cluster, cooperative, hints):
        config = launch_config(grid, block, shared_bytes, stream, cluster, cooperative, hints)
        entry = ctypes.cast(self.entry, ctypes.c_void_p).value
        return entry, ctypes.addressof(self.cell), ctypes.addressof(config), (self, config), -1, 0

    def _enter(self, config, function, pointers, extra):
        if self.status:
            return self.status
        try:
            self.native_launches += 1
            assert (function, extra) == (self.cell.value, None)
            parameters = bytearray(max((p.offset + p.size for p in self.info.params), default=0))
            for index, parameter in enumerate(self.info.params):
                start, end = parameter.offset, parameter.offset + parameter.size
                parameters[start:end] = ctypes.string_at(pointers[index], parameter.size)
            self.launch(parameters, *_configuration(config.contents))
        except BaseException as error:  # noqa: BLE001 - kept for `refuse`
            self._failure = error
            return 999
        return 0

    def refuse(self, outcome, submit, stream):
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self.status = 0
        submit()


def _configuration(config):
    attributes = {config.attributes[n].id: config.attributes[n].value for n in range(config.attribute_count)}
    grid, block = tuple(config.grid), tuple(config.block)
    cluster = tuple(attributes[4][:3]) if 4 in attributes else None
    return grid, block, config.shared_bytes, config.stream or 0, cluster, 2 in attributes


SAXPY = (
    Parameter(0, 4, 4, "f32", name="a", declared="float", pointer=False),
    Parameter(8, 8, 8, "u64", name="x", declared="const float *", pointer=True, const=True),
    Parameter(16, 8, 8, "u64", name="y", declared="float *", pointer=True),
    Parameter(24, 4, 4, "u32", name="n", declared="int", pointer=False),
)


@pytest.fixture(params=["python", "native"])
def road(request, monkeypatch, _own_settings):
    """Which of the short roads the kernels of a test have: every test that makes one runs on both."""
    if request.param == "native" and native.build().module is None:
        pytest.skip(native.build().found)
    monkeypatch.setenv("JITLOAD_NATIVE", str(int(request.param == "native")))
    return request.param


class Roads:
    """One kernel by Python alone and one with native code, which are launched alike."""

    def __init__(self, monkeypatch, parameters, stream=None):
        info = KernelInfo("k", "k", parameters)
        monkeypatch.setenv("JITLOAD_NATIVE", "0")
        self.python = RecordingFunction(info)
        by_python = Kernel(info, self.python)
        monkeypatch.setenv("JITLOAD_NATIVE", "1")
        self.native = NativeFunction(info)
        by_native = Kernel(info, self.native)
        self.bound = [kernel.bind(grid=1, block=1, stream=stream) for kernel in (by_python, by_native)]
        assert type(self.bound[0]).__name__ != "Launch"
        assert type(self.bound[1]).__name__ == "Launch"

    def __call__(self, *arguments, **keywords):
        """Launch both; gives what both did: the launch, or the words of the error."""
        outcomes = []
        for bound, function in zip(self.bound, (self.python, self.native), strict=True):
            before = len(function.launches)
            try:
                bound(*arguments, **keywords)
            except TypeError as error:  # ArgumentError, but for keywords
                outcomes.append((type(error), str(error)))
            else:
                outcomes.append(function.launches[before:])
        assert self.python.synchronized == self.native.synchronized
        assert outcomes[0] == outcomes[1]
        return outcomes[0] if isinstance(outcomes[0], list) else outcomes[0][1]

    def is_native(self, *arguments):
        """Whether a launch went by native code; both must agree on it all the same."""
        before = self.native.native_launches
        self(*arguments)
        return self.native.native_launches == before + 1


@pytest.fixture
def roads(monkeypatch, _own_settings):
    """roads(*parameters, stream=None): a kernel by both roads, for launches that must do the same."""
    if native.build().module is None:
        pytest.skip(native.build().found)
    return lambda *parameters, stream=None: Roads(monkeypatch, parameters, stream)


@pytest.fixture
def make_kernel(road):
    """make_kernel(*parameters, device="cuda", name="k", **more of KernelInfo) -> (kernel, function)."""

    def make(*parameters, device="cuda", name="k", **more):
        info = KernelInfo(name, name, parameters, **more)
        function = (NativeFunction if road == "native" and device == "cuda" else RecordingFunction)(info, device)
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
