"""The native road of a launch: when it is taken, what it gives way to, and that it keeps and loses nothing."""

import contextlib
import ctypes
import gc
import hashlib
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jitload import LaunchError
from jitload.launch import native
from jitload.launch.kernel import Kernel
from jitload.values import KernelInfo, Parameter
from tests.launch.conftest import SAXPY, NativeFunction
from tests.launch.table import TYPES

LAUNCH = pathlib.Path(native.__file__).parent
POINTER = Parameter(0, 8, 8, "u64", name="p", cpp="float *", pointer=True)


def scalar(cpp, size, ptx="b8", declared="T"):
    return Parameter(0, size, size, ptx, name="v", declared=declared, cpp=cpp, pointer=False)


@pytest.fixture
def native_saxpy(roads):
    """The kernel of `saxpy` on the native road, and its device."""
    both = roads(*SAXPY)
    return both.bound[1], both.native


# -- which build --


def test_the_build_is_of_these_sources():
    """What is tested is what is written here: after a change of the C sources, install again."""
    module = native.build().module
    if module is None:
        pytest.skip(native.build().found)
    sources = sorted(path for path in LAUNCH.glob("**/*.[ch]"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    assert not sources or digest == module.SOURCES_DIGEST


@pytest.mark.parametrize("state", ["absent", "broken", "older"])
def test_where_the_extension_cannot_be_used_launches_are_in_python_and_doctor_says_why(tmp_path, state):
    package = tmp_path / "jitload"
    package.symlink_to(LAUNCH.parent)
    finder = f"""
import importlib.abc, importlib.util, sys, types
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == "jitload.launch._native" else None
    def create_module(self, spec):
        if {state!r} == "absent":
            raise ModuleNotFoundError("No module named '_native'", name=spec.name)
        if {state!r} == "broken":
            raise ImportError("undefined symbol: PyNothing_New")
    def exec_module(self, module):
        module.REVISION, module.__file__ = 0, "old.so"
sys.meta_path.insert(0, Finder())
from jitload.cli.checks.launch import check_launch
finding = check_launch(None)
print(finding.status, finding.found, finding.fix, sep="|")
from jitload.launch.kernel import Kernel
print(Kernel.__mro__[1].__name__)
"""
    done = subprocess.run([sys.executable, "-c", finder], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    words = {"absent": "was not built", "broken": "undefined symbol: PyNothing_New", "older": "is of revision 0"}[state]
    assert lines[0].startswith("missing|pure Python: ")
    assert words in lines[0]
    assert "C compiler" in lines[0]
    assert lines[1] == "PythonLookup"


@pytest.mark.parametrize("setting", ["0", "1", ""])
def test_the_setting_decides_in_a_new_process(setting):
    if native.build().module is None:
        pytest.skip(native.build().found)
    code = """
from jitload.cli.checks.launch import check_launch
from jitload.launch.kernel import Kernel
print(check_launch(None).details["native"], Kernel.__mro__[1].__name__)
"""
    environment = {**os.environ, "JITLOAD_NATIVE": setting}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == (["False", "PythonLookup"] if setting == "0" else ["True", "Lookup"])


def test_a_setting_that_means_nothing_is_said(monkeypatch, saxpy):
    monkeypatch.setenv("JITLOAD_NATIVE", "perhaps")
    with pytest.raises(ValueError, match="JITLOAD_NATIVE='perhaps' means nothing"):
        Kernel(saxpy[0].info, NativeFunction(saxpy[0].info))


# -- scalars --


def values_of(row):
    """Values around everything that a scalar type could have a limit at, of every kind that a launch may be given."""
    edges = [0, 1, -1, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**53, 2**63, 2**64, 2**127, 2**128, 10**400, 448, 65520]
    integers = st.sampled_from(edges).flatmap(
        lambda edge: st.sampled_from([edge - 1, edge, edge + 1, -edge, -edge - 1])
    )
    numbers = st.one_of(integers, st.integers(), st.floats(), st.floats(width=32), st.floats(width=16), st.booleans())
    typed = st.sampled_from(["i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "?"]).flatmap(
        lambda code: st.binary(min_size=8, max_size=8).map(lambda raw: np.frombuffer(raw, code)[0])
    )
    others = st.one_of(st.none(), st.complex_numbers(), st.text(max_size=1), st.binary(max_size=row.nbytes + 1))
    parts = st.lists(st.one_of(st.floats(width=32), st.integers(-300, 300)), min_size=1, max_size=5).map(tuple)
    return st.one_of(numbers, numbers, typed, others, parts)


@pytest.mark.parametrize("row", TYPES, ids=lambda row: row.cpp)
def test_values_of_every_type_are_packed_as_python_packs_them(roads, row):
    """The same bits and the same errors, also when native code has seen the type of the value before."""
    ptx = {"float": "f32", "double": "f64"}.get(row.cpp, f"u{8 * row.nbytes}" if row.nbytes < 16 else "b8")
    if row.lanes > 1 or row.cpp.startswith("__"):
        ptx = "b8"
    launch = roads(scalar(row.cpp, row.nbytes, ptx))

    @settings(max_examples=settings.default.max_examples // 3)  # of more than a hundred types
    @given(values_of(row))
    @example(math.nan)
    @example(-math.inf)
    @example(-0.0)
    def check(value):
        launch(value)
        launch(value)

    check()


@pytest.mark.parametrize(
    "ptx", ["u32", "s32", "b32", "u64", "s64", "b64", "f16", "f32", "f64", "u8", "pred", "b16", "bf16"]
)
def test_values_of_parameters_of_which_only_ptx_tells_the_type(roads, ptx):
    size = {"pred": 1, "bf16": 2}.get(ptx) or int(ptx[1:]) // 8
    launch = roads(Parameter(0, size, size, ptx, name="v", pointer=None))

    @given(values_of(TYPES[0]))
    def check(value):
        launch(value)
        launch(value)

    check()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("value", [0, 1, -1, 2**63, 2**64 - 1, 2**64, True, None, 1.0, np.int64(5), np.uint64(2**64 - 1), "x",
                                   ctypes.c_void_p(7), -(2**63), -(2**63) - 1])  # fmt: skip
def test_addresses(roads, known, value):
    launch = roads(Parameter(0, 8, 8, "u64", name="p", declared="", pointer=True if known else None))
    for _ in range(3):
        launch(value)


def test_numbers_are_taken_by_native_code(roads):
    launch = roads(*SAXPY)
    assert not launch.is_native(1.0, 1, 2, 3), "the first launch makes the device ready"
    assert launch.is_native(1.0, 1, None, 3)
    assert launch.is_native(2, 1, 2**64 - 1, True)
    assert not launch.is_native(np.float32(1.5), 1, 2, np.int64(3)), "types of scalars are learned"
    assert launch.is_native(np.float32(1.5), 1, 2, np.int64(-3))
    assert launch.is_native(1.0, 1, 2, np.int64(3))
    launch(1.0, 1, 2, np.float32(3))
    launch(1.0, 1, 2, np.int64(2**31))


def test_structures_and_vectors_are_taken_by_native_code(roads):
    parameters = (scalar("float2", 8), Parameter(8, 12, 4, "b8", declared="S", pointer=False))
    launch = roads(*parameters, Parameter(24, 2, 2, "b16", cpp="__nv_bfloat16", pointer=False))
    launch((1.0, 2.0), b"x" * 12, 1.5)
    assert launch.is_native(1 + 2j, (ctypes.c_int * 3)(1, 2, 3), 2)
    assert launch.is_native(np.float32([3, 4]), np.zeros(1, "V12")[0], -1e-40)
    launch((1.0, 2.0), b"x" * 11, 1.5)
    launch((1.0, 1e40), b"x" * 12, 1.5)
    launch((1.0, 2.0), b"x" * 12, 1e40)


def test_a_kernel_of_no_parameters(roads):
    launch = roads()
    assert launch()
    assert launch.is_native()
    launch(1)


@pytest.mark.parametrize("count", [19, 128, 129, 300])
def test_kernels_of_many_parameters(roads, monkeypatch, count):
    parameters = [Parameter(4 * n, 4, 4, "u32", name=f"n{n}", cpp="int", pointer=False) for n in range(count)]
    monkeypatch.setenv("JITLOAD_NATIVE", "1")
    function = NativeFunction(KernelInfo("k", "k", parameters))
    bound = Kernel(function.info, function).bind(grid=1, block=1)
    assert (type(bound).__name__ == "Launch") is (count <= 128)
    for start in (0, 1000):
        bound(*range(start, start + count))
        assert function.launches[-1][0] == struct.pack(f"<{count}i", *range(start, start + count))


def test_a_wrong_count_and_keywords_are_told_alike(roads):
    launch = roads(*SAXPY)
    for _ in range(2):
        for count in (0, 1, 3, 5):
            assert "takes 4 arguments" in launch(*range(count))
        assert launch(1.0, 1, 2, n=3) == "launch() got an unexpected keyword argument 'n'"
        launch(1.0, 1, 2, 3)


# -- configurations and what the device says --


def test_configurations_reach_the_device_whole(roads, monkeypatch):
    monkeypatch.setenv("JITLOAD_NATIVE", "1")
    roads()
    function = NativeFunction(KernelInfo("saxpy", "saxpy", SAXPY))
    bound = Kernel(function.info, function).bind(
        grid=(2, 4, 6), block=(8, 4, 2), shared_bytes=4096, stream=0x99, cluster=(2, 1, 2), cooperative=True
    )
    for _ in range(3):
        bound(1.0, 1, 2, 3)
    assert function.native_launches == 2
    assert {launch[1:] for launch in function.launches} == {((2, 4, 6), (8, 4, 2), 4096, 0x99, (2, 1, 2), True)}


def test_a_status_is_for_the_device_to_deal_with(native_saxpy):
    bound, function = native_saxpy
    bound(1.0, 1, 2, 3)
    function.status = 201
    bound(2.0, 1, 2, 3)
    assert [struct.unpack_from("<f", launch[0])[0] for launch in function.launches] == [1.0, 2.0]

    def fail(*_):
        raise LaunchError("by the device")

    function.body = fail
    with pytest.raises(LaunchError, match="by the device"):
        bound(3.0, 1, 2, 3)
    function.body = None
    bound(4.0, 1, 2, 3)
    assert struct.unpack_from("<f", function.launches[-1][0])[0] == 4.0


def test_a_kernel_that_is_gone_goes_the_long_road(native_saxpy):
    bound, function = native_saxpy
    bound(1.0, 1, 2, 3)
    function.cell.value = 0
    before = function.native_launches
    bound(1.0, 1, 2, 3)
    assert function.native_launches == before


def test_a_module_that_is_closed_while_arguments_are_read_is_noticed(roads):
    launch = roads(POINTER)

    class Array:
        closes = False

        @property
        def __cuda_array_interface__(self):
            if self.closes:
                launch.native.cell.value = 0
            return {"shape": (4,), "typestr": "<f4", "data": (0x1000, False), "version": 3}

    array = Array()
    launch(array)
    array.closes = True
    before = launch.native.native_launches
    launch.bound[1](array)
    assert launch.native.native_launches == before


def test_a_launch_within_a_launch_keeps_the_arguments_of_both(roads):
    launch = roads(POINTER, Parameter(8, 4, 4, "u32", name="n", cpp="int", pointer=False))
    bound = launch.bound[1]

    class Array:
        depth = 0

        @property
        def __cuda_array_interface__(self):
            if self.depth:
                self.depth -= 1
                bound(self, 100 + self.depth)
            return {"shape": (4,), "typestr": "<f4", "data": (0x1000, False), "version": 3}

    array = Array()
    bound(array, 1)
    array.depth = 5
    bound(array, 7)
    assert [int.from_bytes(block[0][8:12], "little") for block in launch.native.launches] == [
        1,
        100,
        101,
        102,
        103,
        104,
        7,
    ]


def test_several_gpus_are_told_apart(roads):
    """A launch is made ready for one device; on another, and for arrays of another, Python decides."""
    from tests.launch.stand_ins import DLPack, Interface, Shown, exchange_type

    current = ctypes.c_int(1)

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int))
    def device(out):
        out[0] = current.value
        return 0 if current.value >= 0 else 201

    launch = roads(POINTER)
    make = launch.native.submission
    address = ctypes.cast(device, ctypes.c_void_p).value
    launch.native.submission = lambda *rest: (*make(*rest)[:4], 1, address)
    for kind in (DLPack, exchange_type()):
        launch(kind(Shown(device=1)))
        assert launch.is_native(kind(Shown(device=1)))
        assert not launch.is_native(kind(Shown(device=0)))
    launch(Interface(Shown()))
    assert not launch.is_native(Interface(Shown())), "it does not tell its device"
    assert launch.is_native(0x1000)
    for other in (0, -1):
        current.value = other
        assert not launch.is_native(0x1000)
        assert not launch.is_native(kind(Shown(device=1)))


# -- threads, leaks, circles --


def test_threads_share_a_launch(native_saxpy, bounded):
    """Every parameter block is right, whatever other threads launch with the same object meanwhile."""
    bound, function = native_saxpy
    seen = []
    function.launch = lambda block, *_: seen.append(bytes(block))
    bound(0.0, 0, 0, 0)
    failures = []

    def work(number):
        try:
            for turn in range(2000):
                bound(float(number), number, turn, number - turn)
        except Exception as error:  # noqa: BLE001 - for the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    wanted = {struct.pack("<f4xQQi", n, n, turn, n - turn) for n in range(8) for turn in range(2000)}
    assert set(seen) == wanted
    assert len(seen) == 16001


def test_launches_are_collected_with_what_they_hold(roads):
    both = roads(*SAXPY)
    both(1.0, 1, 2, 3)
    both(1.0, 1, 2, 3)
    function = weakref.ref(both.native)
    del both
    gc.collect()
    assert function() is None


def test_a_launch_in_a_circle_may_be_called_by_a_finalizer(roads):
    """It launches, or says that it was collected; it does not crash."""
    outcomes = []

    class Finalizer:
        def __init__(self, launch):
            self.launch, self.circle = launch, self

        def __del__(self):
            try:
                self.launch(1.0, 1, 2, 3)
                outcomes.append("launched")
            except ReferenceError as error:
                outcomes.append(str(error))

    both = roads(*SAXPY)
    both(1.0, 1, 2, 3)
    both.native.finalizer = Finalizer(both.bound[1])
    del both
    gc.collect()
    assert outcomes in (["launched"], ["this launch was collected"])


def references(objects):
    return [sys.getrefcount(one) for one in objects]


def test_references_are_given_back(roads):
    """Of arguments, and of everything that a launch asks of them, on every way out."""
    from tests.launch.stand_ins import DLPack, Interface, Shown, exchange_type

    launch = roads(POINTER,
                   Parameter(8, 4, 4, "u32", name="n", cpp="int", pointer=False),
                   Parameter(12, 4, 4, "b8", name="s", declared="S", pointer=False))  # fmt: skip
    bound = launch.bound[1]
    number, large, structure = 123456, 2**40, b"abcd"
    arrays = [Interface(Shown()), DLPack(Shown()), exchange_type()(Shown()), Interface(Shown(readonly=True))]
    objects = [number, large, structure, *arrays, bound, np.int64, None, True, False]
    for array in arrays:
        for value in (number, large):
            launch(array, value, structure)
            array.keep.clear()
    launch.native.launch = lambda *_: None
    before = references(objects)
    for _ in range(500):
        for array in arrays:
            for value in (number, large):
                with contextlib.suppress(TypeError):
                    bound(array, value, structure)
                array.keep.clear()
    for name, first, last in zip(objects, before, references(objects), strict=True):
        assert abs(last - first) < 100, name


# -- what only C can say --

#: Entries like cuLaunchKernelEx. `launch` looks at every parameter block by itself: what is launched below belongs together.
_ENTRIES = r"""
#include <stdint.h>
#include <unistd.h>
long long launches;
int launch(void *config, void *function, void **p, void **extra) {
    float a = *(float *)p[0];
    uint64_t x = *(uint64_t *)p[1], y = *(uint64_t *)p[2], thread = (uint64_t)a;
    int32_t n = *(int32_t *)p[3];
    __atomic_add_fetch(&launches, 1, __ATOMIC_RELAXED);
    int numbers = x == 2 * thread + (uint64_t)n && y == thread;
    int arrays = x == 4 * thread + 4 && y == 8 * thread + 8 && (uint64_t)n == thread;
    int null = x == thread + (uint64_t)n && y == 0;
    return numbers || arrays || null ? 0 : 7;
}
int wait_a_while(void *config, void *function, void **p, void **extra) { usleep(300000); return 0; }
"""
_SOAK = """
import ctypes, sys, threading
sys.path.insert(0, {root!r})
from jitload.values import KernelInfo, Parameter
from jitload.cuda.configuration import launch_config
from jitload.launch.kernel import Kernel

library = ctypes.CDLL({library!r})

class Function:
    device, memory = "cuda", None
    info = KernelInfo("k", "k", [
        Parameter(0, 4, 4, "f32", name="a", cpp="float", pointer=False),
        Parameter(8, 8, 8, "u64", name="x", cpp="const float *", pointer=True, const=True),
        Parameter(16, 8, 8, "u64", name="y", cpp="float *", pointer=True),
        Parameter(24, 4, 4, "u32", name="n", cpp="int", pointer=False),
    ])
    cell = ctypes.c_void_p(1)
    def launch(self, *_): pass
    def submission(self, *configuration):
        config = launch_config(*configuration)
        entry = ctypes.cast(library.launch, ctypes.c_void_p).value
        return entry, ctypes.addressof(self.cell), ctypes.addressof(config), config, -1, 0
    def refuse(self, outcome, submit):
        raise AssertionError(f"a wrong parameter block: {{outcome}}")

class Array:
    def __init__(self, address):
        self.__cuda_array_interface__ = {{"shape": (4,), "typestr": "<f4", "data": (address, False), "version": 3}}

def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

kernel = Kernel(Function.info, Function())
bound = kernel[1, 32]
assert type(bound).__name__ == "Launch"
def work(thread, count):
    x, y = Array(4 * thread + 4), Array(8 * thread + 8)
    bound(float(thread), x, y, thread)
    for turn in range(count):
        if turn % 3:
            bound(thread, 2 * thread + turn, thread, turn)
        elif turn % 2:
            bound(float(thread), x, y, thread)
        else:
            kernel[1, 32](thread, thread + turn, None, turn)

failures = []
threading.excepthook = failures.append
work(0, 10_000)
before = memory()
threads = [threading.Thread(target=work, args=(number, {count})) for number in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
launches = ctypes.c_longlong.in_dll(library, "launches").value
assert not failures, failures[0].exc_value
assert launches >= 8 * {count}, launches
grown = memory() - before
assert grown < 4 << 20, grown
"""


@pytest.fixture(scope="session")
def entries(tmp_path_factory):
    """The path of a library with _ENTRIES."""
    folder = tmp_path_factory.mktemp("entries")
    source, library = folder / "entries.c", folder / "entries.so"
    source.write_text(_ENTRIES)
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build entries with")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def soak(entries, count):
    if native.build().module is None:
        pytest.skip(native.build().found)
    code = _SOAK.format(root=str(LAUNCH.parents[1]), library=str(entries), count=count)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_eight_threads_of_launches_are_right_and_memory_is_flat(entries):
    soak(entries, 50_000)


@pytest.mark.slow
def test_eight_million_launches_are_right_and_memory_is_flat(entries, bounded):
    soak(entries, bounded(1_000_000, 100_000))


def test_other_threads_run_while_the_driver_is_called(roads, entries):
    """A driver that waits, as it does when its queue is full, holds up no other thread."""
    launch = roads(*SAXPY)
    function, library = launch.native, ctypes.CDLL(str(entries))
    make = function.submission
    address = ctypes.cast(library.wait_a_while, ctypes.c_void_p).value
    function.submission = lambda *rest: (address, *make(*rest)[1:])
    bound = launch.bound[1]
    bound(1.0, 1, 2, 3)
    waiting = threading.Thread(target=bound, args=(1.0, 1, 2, 3))
    waiting.start()
    turns = 0
    while waiting.is_alive():
        time.sleep(0.005)
        turns += 1
    assert turns > 10


def test_the_benchmark_runs(entries):
    """One call of every row, on the do-nothing driver."""
    command = [sys.executable, LAUNCH.parents[1] / "benchmarks" / "launch.py", "--rounds", "1", "--loops", "1"]
    if not command[1].exists():
        pytest.skip("these are the tests of an installed package, which has no benchmarks")
    pytest.importorskip("cuda.bindings")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "19 arguments" in done.stdout


_INTERPRETERS = """
import ctypes, sys, threading
sys.path.insert(0, {root!r})
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
from jitload.cuda.configuration import launch_config

library = ctypes.CDLL({library!r})
config, cell = launch_config((1, 1, 1), (1, 1, 1), 0, 0, None, False), ctypes.c_void_p(1)
addresses = ctypes.cast(library.launch, ctypes.c_void_p).value, ctypes.addressof(cell), ctypes.addressof(config)
code = '''
import sys
sys.path.insert(0, {root!r})
from jitload.launch import _native
pointer = ("p", 8, 0, 2**64 - 1, 0, True, True, False, None)
plan = _native.Plan((("f", 4, 0, 0, 0, False, False, False, None), pointer, pointer,
                     ("i", 4, -2**31, 2**31 - 1, 0, False, False, False, None)))
def wrong(*arguments):
    raise AssertionError(arguments)
launch = _native.Launch(plan, wrong, wrong, True)
launch.arm(*%r, None, -1, 0)
for turn in range(20_000):
    launch(5, 10 + turn, 5, turn)
''' % (addresses,)
failures = []

def run():
    interpreter = interpreters.create()
    try:
        failures.append(interpreters.run_string(interpreter, code))
        interpreters.destroy(interpreter)
    except Exception as error:
        failures.append(error)

threads = [threading.Thread(target=run) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
exec(code)
assert failures == [None] * 4, failures
assert ctypes.c_longlong.in_dll(library, "launches").value == 5 * 20_000
"""


@pytest.mark.skipif(getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this Python has a global lock")
def test_the_global_lock_stays_off():
    """The extension says that it needs none; otherwise its import would bring the lock back for the whole process."""
    code = "import sys, jitload.launch._native; assert not sys._is_gil_enabled()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters of their own need Python 3.12")
def test_interpreters_of_their_own_have_launches_of_their_own(entries):
    """Each has its own lock, types and state; launches in several of them at once do not meet."""
    if native.build().module is None:
        pytest.skip(native.build().found)
    code = _INTERPRETERS.format(root=str(LAUNCH.parents[1]), library=str(entries))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
