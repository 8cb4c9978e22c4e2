"""Arrays by native code: the same launches and the same errors as by Python, and Python is left out where it can be."""

import ctypes
import gc

import numpy as np
import pytest

from jitload.values import Parameter
from tests.launch import stand_ins
from tests.launch.stand_ins import Shown


def pointer(cpp="float *", *, const=False):
    return Parameter(0, 8, 8, "u64", name="p", declared=cpp, cpp=cpp, pointer=True, const=const)


WRITTEN, READ = pointer(), pointer("const float *", const=True)
#: What tensors of tvm-ffi were made from: it has to outlive them, since its capsules have no deleter.
PRODUCERS: list[object] = []
EVERY_KIND = (
    "interface",
    "dlpack",
    "old dlpack",
    "exchange",
    "managed",
    "torch",
    "torch exchange",
    "cupy",
    "tvm-ffi",
)


@pytest.fixture
def maker(monkeypatch, request):
    """maker(kind): what makes arrays of a library of that kind, all of one type."""

    def make(kind):
        if kind.startswith("torch"):
            return stand_ins.install_torch(monkeypatch, exchange="exchange" in kind).Tensor
        if kind == "tvm-ffi":
            return request.getfixturevalue("tvm_tensor")
        if kind == "cupy":
            return stand_ins.install_cupy(monkeypatch).ndarray
        if kind in {"exchange", "managed"}:
            return stand_ins.exchange_type(borrows=kind == "exchange")
        return {"interface": stand_ins.Interface, "dlpack": stand_ins.DLPack, "old dlpack": stand_ins.OldDLPack}[kind]

    return make


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("parameter", [WRITTEN, READ], ids=["written", "read"])
def test_an_array_is_read_by_native_code_from_the_second_launch_on(maker, roads, kind, parameter):
    make, launch = maker(kind), roads(parameter)
    assert not launch.is_native(make(Shown()))
    for address in (0x7F00_0000_2000, 0xFFFF_FFFF_FFFF_FFF0):
        assert launch.is_native(make(Shown(address=address)))
        assert launch(make(Shown(address=address)))[0][0] == address.to_bytes(8, "little")


#: What may differ from one array of a type to the next.
CHANGES: dict[str, dict] = {
    "another element": {"dtype": "float64"},
    "another element of that size": {"dtype": "int32"},
    "bytes": {"dtype": "uint8"},
    "read-only": {"readonly": True},
    "on the host": {"device_type": 1},
    "managed memory": {"device_type": 13},
    "pinned memory": {"device_type": 3},
    "a device of another kind": {"device_type": 10},
    "another stream": {"stream": 0x77},
    "the legacy stream": {"stream": 1},
    "negated": {"negated": True},
    "requires grad": {"requires_grad": True},
    "off by a byte": {"address": 0x7F00_0000_1001},
    "off by two": {"address": 0x7F00_0000_1002},
    "nowhere": {"address": 0},
    "nowhere and empty": {"address": 0, "shape": (0,)},
    "empty and off by a byte": {"address": 0x7F00_0000_1001, "shape": (0,)},
    "strided": {"shape": (4, 2), "strides": (4, 2)},
    "without axes": {"shape": ()},
}


#: CuPy has none of these.
OF_OTHERS = {"read-only", "negated", "requires grad", *(name for name in CHANGES if "device_type" in CHANGES[name])}


@pytest.mark.parametrize(
    ("kind", "change"), [(k, c) for k in EVERY_KIND for c in CHANGES if k != "cupy" or c not in OF_OTHERS]
)
@pytest.mark.parametrize("parameter", [WRITTEN, READ], ids=["written", "read"])
def test_what_differs_between_arrays_of_a_type_counts_in_every_launch(maker, roads, kind, parameter, change):
    make, launch = maker(kind), roads(parameter)
    memory = np.zeros(4, "f4")  # what is on the host is read
    there = {"address": memory.ctypes.data} if change == "on the host" else {}
    right, other = make(Shown()), make(Shown(**CHANGES[change], **there))
    for _ in range(3):
        launch(right)
        launch(other)
    assert launch.is_native(right)
    assert not launch(right)[0][3]


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("parameter", [WRITTEN, READ], ids=["written", "read"])
def test_an_array_is_waited_for_where_its_library_works_on_another_stream(maker, roads, kind, parameter):
    make = maker(kind)
    for stream in (None, 0, 1, 0x99):
        launch = roads(parameter, stream=stream)
        for shown in (Shown(), Shown(stream=0x99), Shown(stream=1)):
            for _ in range(2):
                launch(make(shown))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_vectors_are_whole_in_every_launch(maker, roads, kind):
    make, launch = maker(kind), roads(pointer("float4 *"))
    right = make(Shown(shape=(3, 4)))
    launch(right)
    for shape, strides in (((8,), None), ((2, 3, 8), None), ((4, 4), (1, 4)), ((4, 3), None), ((3,), None), ((), None),
                           ((0, 3), None), ((4, 4), (8, 1)), ((4, 1), (1, 7)), ((4, 4), (4, 2))):  # fmt: skip
        for _ in range(2):
            launch(make(Shown(shape=shape, strides=strides)))
    assert launch.is_native(right)
    assert launch.is_native(make(Shown(shape=(5, 8))))
    launch(make(Shown(address=0x7F00_0000_1008, shape=(3, 4))))


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize(
    "cpp", ["float2 *", "void *", "const void *", "Unknown *", "int *", "unsigned char *", "bool *"]
)
def test_every_element_behind_every_pointer(maker, roads, kind, cpp):
    make, launch = maker(kind), roads(pointer(cpp, const=cpp.startswith("const")))
    dtypes = ("float32", "complex64", "float64", "int32", "uint8", "int8", "bool", "float16", "uint32", "int64")
    for _ in range(2):
        for dtype in dtypes:
            launch(make(Shown(dtype=dtype, shape=(2, 2))))


def test_conjugates_of_torch_are_refused_in_every_launch(maker, roads):
    for kind in ("torch", "torch exchange"):
        make, launch = maker(kind), roads(pointer("float2 *"))
        right, other = Shown(dtype="complex64"), Shown(dtype="complex64", conjugated=True)
        for shown in (right, other, right, other):
            launch(make(shown))
        assert launch.is_native(make(right))
        assert "resolve_conj" in launch(make(other))


@pytest.mark.parametrize("exchange", [True, False])
def test_torch_is_told_of_writes_and_of_no_more(monkeypatch, roads, exchange):
    torch = stand_ins.install_torch(monkeypatch, exchange=exchange)
    tensor, other = torch.Tensor(Shown()), torch.Tensor(Shown())
    launch = roads(WRITTEN, Parameter(8, 8, 8, "u64", cpp="const float *", pointer=True, const=True),
                   Parameter(16, 8, 8, "u64", cpp="float *", pointer=True))  # fmt: skip
    launch(tensor, tensor, other)
    del torch.counted[:]
    assert launch.is_native(tensor, tensor, other)
    assert torch.counted == [tensor, other] * 2  # once by each road
    launch.bound[1](tensor, 0x1000, None)
    assert torch.counted[4:] == [tensor]


def test_a_layout_of_torch_that_is_not_strided_is_refused_in_every_launch(monkeypatch, roads):
    torch = stand_ins.install_torch(monkeypatch, exchange=False)
    launch = roads(WRITTEN)
    launch(torch.Tensor(Shown()))
    assert "layout is sparse" in launch(torch.Tensor(Shown(strides="sparse")))


def test_what_is_exported_is_freed_whatever_becomes_of_the_launch(roads):
    kind = stand_ins.exchange_type(borrows=False)
    launch = roads(WRITTEN, Parameter(8, 4, 4, "u32", cpp="int", pointer=False))
    for shown, number in ((Shown(), 1), (Shown(), 2), (Shown(), 2**40), (Shown(readonly=True), 3), (Shown(), True)):
        launch(kind(shown), number)
    assert kind.api.exported == kind.api.freed > 4
    array = kind(Shown())
    launch.native.body = lambda *_: freed.append(kind.api.freed)
    freed = [kind.api.freed]
    launch.bound[1](array, 5)
    assert freed[0] == freed[1], "it is freed only when the launch is queued"
    assert kind.api.freed == freed[0] + 1


def test_what_a_borrowed_array_does_not_tell_is_asked_where_it_counts(roads):
    kind = stand_ins.exchange_type()
    for parameter, borrowed in ((READ, 1), (WRITTEN, 0)):
        launch = roads(parameter)
        launch(kind(Shown()))
        before = kind.api.borrowed
        assert launch.is_native(kind(Shown()))
        assert kind.api.borrowed == before + borrowed
    assert "is read-only" in launch(kind(Shown(readonly=True)))


def test_an_exchange_api_that_fails_is_not_the_last_word(roads):
    kind = stand_ins.exchange_type()
    launch = roads(READ)
    launch(kind(Shown()))
    kind.api.fails = True  # and sets no exception
    assert not launch.is_native(kind(Shown()))


@pytest.mark.parametrize("major", [0, 2])
def test_an_exchange_api_of_another_major_version_is_left_alone_but_for_its_older_one(roads, major):
    import ctypes

    older = stand_ins.exchange_api()
    for chained in (None, ctypes.addressof(older.table)):
        kind = stand_ins.exchange_type(major=major, older=chained)
        launch = roads(READ)
        launch(kind(Shown()))
        launch(kind(Shown()))
        assert kind.api.borrowed == kind.api.exported == 0
        assert bool(older.borrowed) is (chained is not None)


@pytest.fixture
def tvm_tensor():
    """tvm_tensor(shown): a tensor of tvm-ffi that is on a GPU, as far as it knows."""
    tvm_ffi = pytest.importorskip("tvm_ffi")

    def make(shown):
        PRODUCERS.append(stand_ins.OldDLPack(shown))
        return tvm_ffi.from_dlpack(PRODUCERS[-1])

    return make


def test_tensors_of_tvm_ffi(roads, tvm_tensor):
    import tvm_ffi

    tensors = [tvm_tensor(Shown(address=address)) for address in (0x7000, 0x8000)]
    wrapped = [tvm_ffi.core.DLTensorTestWrapper(tensor) for tensor in tensors]
    for arrays in (tensors, wrapped):
        launch = roads(WRITTEN)
        launch(arrays[0])
        assert launch.is_native(arrays[1])
        assert launch(arrays[1])[0][0] == (0x8000).to_bytes(8, "little")


def test_tensors_of_tvm_ffi_are_read_where_its_objects_have_them(roads, tvm_tensor):
    """A capsule would hold the object behind a tensor while the launch is queued."""

    def references():
        return ctypes.c_uint32.from_address(tensor.__chandle__()).value

    tensor, launch, held = tvm_tensor(Shown(address=0x7004)), roads(WRITTEN), []
    launch(tvm_tensor(Shown()))
    launch.native.body = lambda *_: held.append(references())
    assert launch(tensor)[0][0] == (0x7004).to_bytes(8, "little")
    assert held == [1]


@pytest.mark.parametrize("change", ["its version", "its class"])
def test_objects_of_another_tvm_ffi_are_asked_for_a_capsule(roads, tvm_tensor, monkeypatch, change):
    import tvm_ffi

    if change == "its version":
        monkeypatch.setattr(tvm_ffi, "__version__", "0.2.0")
    else:
        monkeypatch.setattr(tvm_ffi.core, "Tensor", None)
    tensor, launch, held = tvm_tensor(Shown()), roads(WRITTEN), []
    launch(tvm_tensor(Shown()))
    launch.native.body = lambda *_: held.append(ctypes.c_uint32.from_address(tensor.__chandle__()).value)
    launch(tensor)
    assert held == [2]


def test_a_tensor_of_tvm_ffi_is_used_on_the_stream_of_its_environment(roads, tvm_tensor):
    import tvm_ffi

    wrapped = tvm_ffi.core.DLTensorTestWrapper(tvm_tensor(Shown()))
    launch, other = roads(WRITTEN), roads(WRITTEN, stream=0x99)
    launch(wrapped)
    other(wrapped)
    with tvm_ffi.use_raw_stream(tvm_ffi.device("cuda:0"), 0x99):
        assert other.is_native(wrapped)
        assert not launch.is_native(wrapped)
    assert launch.is_native(wrapped)


def test_the_older_types_stay_known_when_there_are_many(roads):
    launch = roads(READ)
    kinds = [type(f"Array{number}", (stand_ins.Interface,), {}) for number in range(12)]
    for kind in kinds * 2:
        launch(kind(Shown()))
    known = [launch.is_native(kind(Shown())) for kind in kinds]
    assert known.count(True) == 8
    assert known[:8] == [True] * 8


def test_an_immutable_array_is_refused_in_every_launch(roads, monkeypatch):
    class Array(stand_ins.DLPack):
        __module__ = "jaxlib"

    launch = roads(WRITTEN)
    for _ in range(3):
        assert "is immutable" in launch(Array(Shown()))
    launch = roads(READ)
    launch(Array(Shown()))
    assert launch.is_native(Array(Shown()))


def test_malformed_interfaces_are_complained_of_in_every_launch(roads):
    class Array:
        def __init__(self, **changes):
            interface = {"shape": (4,), "typestr": "<f4", "data": (0x1000, False), "version": 3, **changes}
            self.__cuda_array_interface__ = {key: value for key, value in interface.items() if value is not ...}

    launch = roads(WRITTEN)
    launch(Array())
    assert launch.is_native(Array())
    for changes in ({"shape": ...}, {"shape": 4}, {"shape": ("4",)}, {"shape": [4]}, {"shape": (np.int64(4),)},
                    {"typestr": ...}, {"typestr": ">f4"}, {"typestr": 5}, {"typestr": "<"}, {"typestr": str(b"<f4", "ascii")},
                    {"data": ...}, {"data": 0x1000}, {"data": [0x1000, False]}, {"data": (None, False)}, {"data": (-1, False)},
                    {"data": (2**64, False)}, {"data": (0x1000, 1)}, {"data": (0x1000, True)}, {"data": ("x", False)},
                    {"data": (0x1000, 0)}, {"data": (np.uint64(0x1000), False)}, {"mask": 1}, {"mask": None},
                    {"stream": None}, {"stream": 1}, {"stream": 0}, {"strides": None}, {"strides": (4,)}):  # fmt: skip
        for _ in range(2):
            launch(Array(**changes))


def test_an_interface_that_is_no_dict_any_more(roads):
    array = stand_ins.Base(Shown())
    array.__cuda_array_interface__ = {"shape": (4,), "typestr": "<f4", "data": (0x1000, False), "version": 3}
    launch = roads(WRITTEN)
    launch(array)
    assert launch.is_native(array)
    for other in (None, [1], {}):
        array.__cuda_array_interface__ = other
        launch(array)
    del array.__cuda_array_interface__
    launch(array)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_what_the_code_of_others_raises_comes_out_of_either_road(roads, error):
    class Array:
        fails = False

        @property
        def __cuda_array_interface__(self):
            if self.fails:
                raise error("by the array")
            return {"shape": (4,), "typestr": "<f4", "data": (0x1000, False), "version": 3}

    launch, array = roads(WRITTEN), Array()
    launch(array)
    array.fails = True
    if error is KeyboardInterrupt:
        for bound in launch.bound:
            with pytest.raises(KeyboardInterrupt):
                bound(array)
    else:
        assert "by the array" in launch(array)


@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if kind != "tvm-ffi"])  # nothing refers to these weakly
def test_nothing_of_an_array_is_kept(maker, roads, kind):
    """Neither the array, nor what it is described with, is held by a launch that has ended."""
    import weakref

    make, launch = maker(kind), roads(READ)
    launch(make(Shown()))
    array = make(Shown())
    assert launch.is_native(array)
    seen = weakref.ref(array)
    del array
    gc.collect()
    assert seen() is None
