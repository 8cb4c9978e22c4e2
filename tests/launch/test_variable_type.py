"""Arrays against the C++ type of a variable: another element or other rows are refused, whatever may be meant is taken."""

import array
import ctypes

import ml_dtypes
import numpy as np
import pytest

import jitload
from jitload import ArgumentError
from jitload.launch.device_global import DeviceGlobal
from jitload.launch.variable_type import VariableType

VECTOR = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("w", "f4")])
#: Type -> its bytes, arrays that it takes, and arrays of just these bytes that it does not take.
CASES = {
    "double [8]": (
        64,
        [
            np.zeros(8), np.zeros((2, 4)), np.zeros((2, 4), order="F"), np.zeros(8, "V8"), bytes(64), bytearray(64),
            np.zeros((2, 4)).data, array.array("d", [0] * 8), (ctypes.c_double * 8)(),
        ],
        [
            np.zeros(16, "f4"), np.zeros(8, "i8"), np.zeros(64, "u1"), np.zeros(4, "c16"),
            array.array("f", [0] * 16), np.zeros(16, "f4").data, (ctypes.c_int64 * 8)(),
        ],
    ),
    "float [4][8]": (
        128,
        [np.zeros((4, 8), "f4"), np.zeros(32, "f4"), np.zeros((1, 4, 8, 1), "f4"), np.zeros((2, 2, 2, 4), "f4")],
        [np.zeros((8, 4), "f4"), np.zeros((2, 16), "f4"), np.zeros((4, 8), "f4", order="F"), np.zeros((4, 4), "f8")],
    ),
    "float": (4, [np.zeros((), "f4"), np.zeros((1, 1), "f4"), np.float32(1)], [np.int32(1), np.zeros(2, "f2")]),
    "int": (4, [np.int32(1), np.zeros(1, "i4")], [np.uint32(1), np.float32(1)]),
    "const float [][]": (36, [np.zeros((3, 3), "f4"), np.zeros(9, "f4")], [np.zeros(9, "i4")]),
    "float [][4]": (48, [np.zeros((3, 4), "f4")], [np.zeros((4, 3), "f4")]),
    "float4 [2]": (
        32, [np.zeros((2, 4), "f4"), np.zeros(8, "f4"), np.zeros(2, VECTOR)], [np.zeros((4, 2), "f4"), np.zeros(8, "i4")]
    ),
    "float2 [2]": (16, [np.zeros(2, "c8"), np.zeros((2, 2), "f4")], [np.zeros(2, "f8")]),
    "cuda::std::complex<float> [2]": (16, [np.zeros(2, "c8")], [np.zeros((2, 2), "f4")]),
    "__half [2]": (4, [np.zeros(2, "f2")], [np.zeros(2, ml_dtypes.bfloat16), np.zeros(1, "f4")]),
    "__nv_bfloat16 [2]": (4, [np.zeros(2, ml_dtypes.bfloat16)], [np.zeros(2, "f2"), np.zeros(2, "u2")]),
    "bool [4]": (4, [np.zeros(4, "?")], [np.zeros(4, "u1")]),
    "char [4]": (4, [np.zeros(4, "S1"), np.zeros(4, "i1"), np.array(b"abcd")], [np.zeros(1, "f4")]),
    "unsigned char [4]": (4, [np.zeros(4, "u1"), b"abcd"], [np.zeros(4, "i1")]),
    "void *[2]": (16, [np.zeros(2, "u8"), (ctypes.c_void_p * 2)(), array.array("Q", [0, 0])], [np.zeros(2)]),
}  # fmt: skip
#: What nothing is said about: classes, enumerations, what is not known, and what has other bytes than it should.
OPEN = [
    "Color",
    "P [2]",
    "n::float4",
    "half",
    "cuda::std::array<float, 4>",
    "int (*)(int)",
    "float (*)[4]",
    "",
    "double [9]",
]


class Memory:
    device = "cpu"

    def write(self, address, source, stream):
        self.written = bytes(source)


def variable(text, nbytes, memory=None):
    found = DeviceGlobal("v", 0, nbytes, memory or Memory(), lambda: False)
    found.type = text
    return found


@pytest.mark.parametrize("text", CASES)
def test_what_a_type_takes(text):
    nbytes, right, wrong = CASES[text]
    memory = Memory()
    found = variable(text, nbytes, memory)
    for value in right:
        found.copy_from(value)
        assert len(memory.written) == nbytes
    for value in wrong:
        with pytest.raises(ArgumentError, match=r"variable 'v': it is '"):
            found.copy_from(value)


@pytest.mark.parametrize("text", OPEN)
def test_of_what_is_not_known_the_bytes_count(text):
    assert VariableType.of(text, 16) is None
    for value in (np.zeros(4, "f4"), np.zeros((2, 2), "i4", order="F"), np.zeros(2), bytes(16)):
        variable(text, 16).copy_from(value)


def test_the_message_says_what_to_do():
    for value, says in {
        "f4": r"it is 'double \[4\]', and numpy.ndarray of dtype float32 and shape \(8,\) is made of float32; convert it",
        "i8": r"convert it with .astype\(np.float64\), or reinterpret its bytes with .view\(np.float64\)",
    }.items():
        with pytest.raises(ArgumentError, match=says):
            variable("double [4]", 32).copy_from(np.zeros(32 // np.dtype(value).itemsize, value))
    for buffer, says in [
        (
            array.array("f", [0] * 8),
            r"array.array is made of float32; convert it with np.asarray\(...\).astype\(np.float64\)",
        ),
        ((ctypes.c_void_p * 4)(), r"is made of address; convert it with np.asarray\(...\)"),
    ]:
        with pytest.raises(ArgumentError, match=says):
            variable("double [4]", 32).copy_from(buffer)
    with pytest.raises(ArgumentError, match=r"has other rows; reshape or transpose it to \(4, 8\)"):
        variable("float [4][8]", 128).copy_from(np.zeros((8, 4), "f4"))
    with pytest.raises(ArgumentError, match=r"not in the order of C; pass np.ascontiguousarray"):
        variable("float [4][4]", 64).copy_from(np.zeros((4, 4), "f4", order="F"))


SOURCE = """
namespace n { __constant__ double coeff[8]; template <class T> __device__ T table[2][3]; }
extern "C" __global__ void k(double *out) { *out = n::coeff[0] + n::table<float>[1][2]; }
"""


@pytest.mark.parametrize("road", ["compiled", "hit", "linked", "saved"])
def test_every_road_to_a_module_knows_the_types(road, tmp_path):
    kind = "ltoir" if road == "linked" else "ptx"
    for _ in range(2 if road == "hit" else 1):
        cache = jitload.Cache(tmp_path)
        artifact = jitload.compile(SOURCE, kind=kind, arch="compute_80", options=["-rdc=true"], cache=cache)
    if road == "linked":
        artifact = jitload.link([artifact], kind="ptx", arch="sm_80", cache=cache)
    with jitload.configure(device="cpu"):
        module = artifact.load()
        if road == "saved":
            module = jitload.load_module_from_bytes("ptx", module.save_to_bytes())
        found = module.get_global("n::coeff")
        assert found.type == "double [8]"
        assert module.get_global("n::table<float>").type == "float [2][3]"
        with pytest.raises(ArgumentError, match="made of float32"):
            found.copy_from(np.zeros(16, "f4"))
        with pytest.raises(ArgumentError, match="made of float32"):
            found.copy_to(np.zeros(16, "f4"))
        bare = jitload.load_module_from_bytes("ptx", artifact.data).get_global("n::coeff")
        assert bare.type == ""
        bare.copy_from(np.zeros(16, "f4"))
