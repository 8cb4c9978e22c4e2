"""Values by value: each parameter type takes what fits it, bit for bit, and nothing else."""

import ctypes
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitload import ArgumentError
from jitload.launch.cpp_type import element_type, value_type
from jitload.values import Parameter

fixture_is_stateless = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

EXACT = [
    ("int", "u32", "i"),
    ("unsigned int", "u32", "I"),
    ("unsigned", "u32", "I"),
    ("long long", "u64", "q"),
    ("size_t", "u64", "Q"),
    ("const short", "u16", "h"),
    ("unsigned char", "u8", "B"),
    ("signed char", "u8", "b"),
    ("std::int64_t", "u64", "q"),
    ("uint16_t", "u16", "H"),
    ("", "s32", "i"),
    ("", "s64", "q"),
]
UNSIGNED_OR_NOT = [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)]


def integer(declared, ptx, size):
    return Parameter(0, size, size, ptx, name="n", declared=declared, pointer=False)


@pytest.mark.parametrize(("declared", "ptx", "code"), EXACT)
def test_a_declared_integer_has_exactly_its_range(pack_one, declared, ptx, code):
    size = struct.calcsize("<" + code)
    low = -(1 << (8 * size - 1)) if code.islower() else 0
    high = (1 << (8 * size - (1 if code.islower() else 0))) - 1
    parameter = integer(declared, ptx, size)
    for value in (low, high, 0, 1, np.int8(5)):
        assert pack_one(parameter, value) == struct.pack("<" + code, int(value))
    for value in (low - 1, high + 1, 10**30):
        with pytest.raises(ArgumentError, match=f"{value} does not fit: the range is {low} to {high}"):
            pack_one(parameter, value)


@pytest.mark.parametrize(("ptx", "size"), UNSIGNED_OR_NOT)
def test_an_undeclared_integer_takes_both_readings_of_its_bits(pack_one, ptx, size):
    parameter = integer("", ptx, size)
    bits = 8 * size
    assert pack_one(parameter, -1) == b"\xff" * size
    assert pack_one(parameter, (1 << bits) - 1) == b"\xff" * size
    assert pack_one(parameter, -(1 << (bits - 1))) == (1 << (bits - 1)).to_bytes(size, "little")
    for value in (1 << bits, -(1 << (bits - 1)) - 1):
        with pytest.raises(ArgumentError, match="does not fit"):
            pack_one(parameter, value)


@pytest.mark.parametrize("value", [2.0, 2.5, np.float32(1), np.float64(2), float("nan"), ctypes.c_float(1)])
def test_a_float_is_never_an_integer(pack_one, value):
    with pytest.raises(ArgumentError, match="floating point number and the parameter is an integer"):
        pack_one(integer("int", "u32", 4), value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1",
        b"1",
        [1],
        1j,
        np.complex64(1),
        np.array([1]),
        np.datetime64(1, "s"),
        np.datetime64(1, "ns"),
        object(),
        np.timedelta64(1, "ns"),
        np.array(1, "m8[ns]"),
        np.str_("1"),
        np.bytes_("1"),
        np.array("1"),
    ],
)
@pytest.mark.parametrize("ptx", ["s32", "f32"])
def test_what_is_no_number_is_refused(pack_one, ptx, value):
    with pytest.raises(ArgumentError, match="expected a"):
        pack_one(Parameter(0, 4, 4, ptx, pointer=False), value)


def test_bool_parameters_take_truth_values(pack_one):
    parameter = integer("bool", "u8", 1)
    assert pack_one(parameter, True) == b"\1"
    assert pack_one(parameter, False) == b"\0"
    assert pack_one(parameter, np.bool_(True)) == b"\1"
    assert pack_one(parameter, 1) == b"\1"
    assert pack_one(Parameter(0, 1, 1, "pred", pointer=False), True) == b"\1"
    with pytest.raises(ArgumentError, match="the range is 0 to 1"):
        pack_one(parameter, 2)


def test_a_bool_is_an_integer_and_a_number_as_in_python(pack_one):
    assert pack_one(integer("int", "u32", 4), True) == struct.pack("<i", 1)
    assert pack_one(Parameter(0, 4, 4, "f32"), True) == struct.pack("<f", 1)


@fixture_is_stateless
@given(st.floats(width=32))
def test_float_bits_are_those_of_numpy(pack_one, value):
    expected = np.float32(value).tobytes()
    parameter = Parameter(0, 4, 4, "f32", declared="float", pointer=False)
    for same in (value, np.float32(value), np.float64(value), np.array(value), ctypes.c_float(value)):
        got = pack_one(parameter, same)
        assert got == expected or (value != value and np.isnan(np.frombuffer(got, np.float32)[0]))


@fixture_is_stateless
@given(st.floats(allow_nan=False), st.sampled_from([("f64", "<d", 8), ("f32", "<f", 4), ("f16", "<e", 2)]))
def test_floats_round_or_raise_but_never_turn_infinite(pack_one, value, kind):
    ptx, code, size = kind
    parameter = Parameter(0, size, size, ptx, pointer=False)
    try:
        expected = struct.pack(code, value)
    except OverflowError:
        with pytest.raises(ArgumentError, match="too large for"):
            pack_one(parameter, value)
    else:
        assert pack_one(parameter, value) == expected


@pytest.mark.parametrize("value", [2, -7, 2**24 + 1, 2**100, np.uint64(2**63)])
def test_integers_go_to_float_parameters(pack_one, value):
    assert pack_one(Parameter(0, 4, 4, "f32"), value) == np.float32(int(value)).tobytes()


@pytest.mark.parametrize(("ptx", "size", "value"), [("f32", 4, 2**128), ("f64", 8, 2**1024), ("f16", 2, 70000)])
def test_an_integer_too_large_for_a_float_raises(pack_one, ptx, size, value):
    with pytest.raises(ArgumentError, match="too large for"):
        pack_one(Parameter(0, size, size, ptx), value)


def test_half_and_bfloat16_by_value(pack_one):
    half = Parameter(0, 2, 2, "b8", declared="__half", pointer=False)
    assert pack_one(half, 1.5) == np.float16(1.5).tobytes()
    assert pack_one(half, np.float16(1.5)) == np.float16(1.5).tobytes()
    brain = Parameter(0, 2, 2, "b8", declared="const __nv_bfloat16", pointer=False)
    assert pack_one(brain, 1.0) == b"\x80\x3f"
    assert pack_one(brain, 1.00390625) == b"\x80\x3f"  # a tie goes to even
    assert pack_one(brain, float("nan")) == b"\xc0\x7f"
    assert pack_one(brain, float("-inf")) == b"\x80\xff"
    with pytest.raises(ArgumentError, match="too large for bfloat16"):
        pack_one(brain, 3.4e38)


@pytest.mark.parametrize(
    "parameter", [integer("int", "u32", 4), Parameter(0, 4, 4, "f32"), Parameter(0, 8, 8, "u64", pointer=True)]
)
def test_a_number_too_large_to_write_is_refused_in_our_words(pack_one, parameter):
    """Python gives a ValueError for the text of an integer of more than 4300 digits."""
    with pytest.raises(ArgumentError, match="an integer of 16610 bits"):
        pack_one(parameter, 10**5000)


@pytest.mark.parametrize("value", [np.longdouble("1e4000"), -np.longdouble("1e4000"), Decimal("1e400")])
def test_what_only_python_makes_infinite_is_refused(pack_one, value):
    with pytest.raises(ArgumentError, match="too large for double"):
        pack_one(Parameter(0, 8, 8, "f64", pointer=False), value)


def test_a_pair_of_halves_in_ptx_is_no_float(pack_one):
    pair = Parameter(0, 4, 4, "f16x2", pointer=False)
    assert pack_one(pair, b"abcd") == b"abcd"
    with pytest.raises(ArgumentError, match="expected a structure of 4 bytes"):
        pack_one(pair, 1.0)


def test_handles_of_the_driver_bindings(pack_one):
    driver = pytest.importorskip("cuda.bindings.driver", reason="the driver bindings are not installed")
    texture = Parameter(0, 8, 8, "u64", cpp="unsigned long long", pointer=False)
    assert pack_one(texture, driver.CUtexObject(7)) == struct.pack("<Q", 7)
    assert pack_one(Parameter(0, 8, 8, "u64", cpp="float *", pointer=True), driver.CUdeviceptr(4096)) == struct.pack(
        "<Q", 4096
    )
    tensor_map = driver.CUtensorMap()
    got = pack_one(Parameter(0, 128, 64, "b8", cpp="CUtensorMap_st", pointer=False), tensor_map)
    assert got == ctypes.string_at(int(tensor_map.getPtr()), 128)


def test_an_array_in_the_place_of_a_tensor_map_is_told_of_it(pack_one):
    with pytest.raises(ArgumentError, match=r"a structure of 128 bytes \(jitload\.TensorMap, a NumPy"):
        pack_one(Parameter(0, 128, 64, "b8", cpp="CUtensorMap_st", pointer=False), np.zeros(8))


class Pair(ctypes.Structure):
    _fields_ = (("count", ctypes.c_int32), ("weight", ctypes.c_double))


PAIR_DTYPE = np.dtype([("count", "i4"), ("weight", "f8")], align=True)


def test_structures_by_value_are_their_bytes(pack_one):
    parameter = Parameter(0, 16, 8, "b8", name="pair", declared="Pair", pointer=False)
    structured = np.zeros((), PAIR_DTYPE)
    structured["count"], structured["weight"] = 7, 2.5
    expected = bytes(Pair(7, 2.5))
    for same in (Pair(7, 2.5), expected):
        assert pack_one(parameter, same) == expected
    for same in (structured, structured[()]):
        got = np.frombuffer(pack_one(parameter, same), PAIR_DTYPE)[0]
        assert (got["count"], got["weight"]) == (7, 2.5)


def test_a_structure_of_another_size_is_refused(pack_one):
    parameter = Parameter(0, 16, 8, "b8", name="pair", declared="Pair", pointer=False)
    with pytest.raises(ArgumentError, match=r"the structure has 16 bytes, bytes .* has 15"):
        pack_one(parameter, b"x" * 15)
    with pytest.raises(ArgumentError, match="expected a structure of 16 bytes"):
        pack_one(parameter, np.zeros(2))
    swapped = np.zeros((), PAIR_DTYPE.newbyteorder(">"))
    with pytest.raises(ArgumentError, match="swapped bytes"):
        pack_one(parameter, swapped)


class Swapped(ctypes.BigEndianStructure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_float)]


class Around(ctypes.Structure):
    _fields_ = [("one", Swapped * 1)]


@pytest.mark.parametrize(
    "value",
    [
        Swapped(1, 2.0),
        (Swapped * 1)(),
        Around(),
        np.zeros((), [("v", ">i4", (2,))]),
        np.zeros((), [("v", [("x", ">f4")], (2,))])[()],
    ],
)
@pytest.mark.parametrize("cpp", ["Pair", "float2"])
def test_swapped_bytes_are_found_in_every_field_of_a_structure(pack_one, value, cpp):
    with pytest.raises(ArgumentError, match="swapped bytes"):
        pack_one(Parameter(0, 8, 4, "b8", name="pair", cpp=cpp, pointer=False), value)


class Floats(ctypes.Structure):
    _fields_ = [("x", ctypes.c_float), ("y", ctypes.c_float)]


class MoreFloats(Floats):
    _fields_ = [("z", ctypes.c_float * 2)]


def test_the_fields_of_a_structure_are_those_of_the_vector(pack_one):
    """Or the bits of an int would be read as a float; bytes without fields are bits and nothing else."""
    pair, words = struct.pack("<ff", 1.5, 2.5), struct.pack("<ii", 3, -4)
    floats, integers = np.array((1.5, 2.5), "f4,f4"), np.array((3, -4), "i4,i4")
    float2 = Parameter(0, 8, 8, "b8", name="v", cpp="float2", pointer=False)
    int2 = Parameter(0, 8, 8, "b8", name="v", cpp="int2", pointer=False)
    for value in (floats, floats[()], Floats(1.5, 2.5), (ctypes.c_float * 2)(1.5, 2.5), pair, np.void(pair)):
        assert pack_one(float2, value) == pair
    for value in (integers, integers[()], (ctypes.c_int * 2)(3, -4), (ctypes.c_char * 8)(*words), words):
        assert pack_one(int2, value) == words
    for parameter, value in (
        (float2, integers[()]),
        (float2, (ctypes.c_int * 2)(3, -4)),
        (float2, np.zeros((), "f8")[()].view("V8").view([("d", "f8")])),
        (int2, floats),
        (int2, Floats(1.5, 2.5)),
        (int2, (ctypes.c_uint * 2)(3, 4)),
    ):
        with pytest.raises(ArgumentError, match=r"the fields of .* are not 2 of \w+; pass a tuple of the numbers"):
            pack_one(parameter, value)
    four = Parameter(0, 16, 16, "b8", name="v", cpp="float4", pointer=False)
    assert pack_one(four, MoreFloats(1, 2, (3, 4))) == struct.pack("<ffff", 1, 2, 3, 4)


def test_ctypes_has_bits_alone_for_half(pack_one):
    half2 = Parameter(0, 4, 4, "b8", name="v", cpp="__half2", pointer=False)
    assert pack_one(half2, (ctypes.c_uint16 * 2)(0x3C00, 0xC000)) == np.array([1, -2], "f2").tobytes()
    with pytest.raises(ArgumentError, match="are not 2 of float16"):
        pack_one(half2, np.zeros((), "u2,u2"))


def test_an_array_of_bytes_is_bytes(pack_one):
    """As `bytes` and `bytearray` are; it is what buffers of ctypes are made of."""
    raw = np.array([1.5, -2], "f4").tobytes()
    for cpp in ("float2", "int2", "S"):
        value = Parameter(0, 8, 8, "b8", name="v", cpp=cpp, pointer=False)
        assert pack_one(value, (ctypes.c_uint8 * 8)(*raw)) == raw


@pytest.mark.parametrize("name", ["half", "byte", "complex<float>", "uint", "size_t", "cuComplex", "uint8_t"])
def test_a_class_of_the_users_own_is_no_type_of_cudas(pack_one, make_kernel, name):
    """Canonical text says `__half`, `std::byte`, `cuda::std::complex<float>`: the short names are of other classes."""
    value = Parameter(0, 12, 4, "b8", name="v", cpp=name, pointer=False)
    assert pack_one(value, b"0123456789ab") == b"0123456789ab"
    behind = Parameter(0, 8, 8, "u64", name="p", cpp=f"const {name} *", pointer=True, const=True)
    kernel, _ = make_kernel(behind)
    for dtype in ("f4", "f8", "c16", "u1", "i8"):
        kernel[1, 1](np.zeros(4, dtype))
    assert value_type(name, canonical=True) is None
    assert value_type(name) is not None
    assert value_type(f"cuda::std::{name}", canonical=True) == value_type(name)


def test_bits_of_unknown_type_take_typed_floats_of_their_size_only(pack_one):
    unknown = Parameter(0, 4, 4, "b32", pointer=False)
    assert pack_one(unknown, np.float32(1.5)) == np.float32(1.5).tobytes()
    assert pack_one(unknown, b"abcd") == b"abcd"
    for value in (1.5, np.float64(1.5)):
        with pytest.raises(ArgumentError, match=r"pass np\.float32"):
            pack_one(unknown, value)


@pytest.mark.parametrize(("size", "names"), [(2, "int16 float16"), (4, "int32 float32"), (8, "int64 float64")])
@pytest.mark.parametrize("pointer", [None, False])
def test_where_only_a_size_is_known_an_int_has_to_say_what_it_is(pack_one, size, names, pointer):
    """The kernel may read its bits as a float's, and nothing would be wrong but the numbers."""
    unknown = Parameter(0, size, size, f"b{8 * size}", pointer=pointer)
    for value in (3, -1, True):
        with pytest.raises(
            ArgumentError,
            match=r"the size of this parameter, {} bytes.*pass np\.{}.* or np\.{}".format(size, *names.split()),
        ):
            pack_one(unknown, value)
    for name in names.split():
        assert pack_one(unknown, np.dtype(name).type(3)) == np.dtype(name).type(3).tobytes()
    assert pack_one(unknown, 0) == bytes(size)
    known = Parameter(0, size, size, f"b{8 * size}", cpp="n::Mode", pointer=False)
    assert pack_one(known, 3) == (3).to_bytes(size, "little")
    if size == 8:
        assert pack_one(unknown, ctypes.c_void_p(2**64 - 1)) == b"\xff" * 8


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_whole_parameter_block_is_what_c_would_lay_out(make_kernel, data):
    """Any mix of scalars, pointers and structures against a ctypes structure with the same members."""
    kinds = {
        "f32": (ctypes.c_float, st.floats(width=32, allow_nan=False)),
        "f64": (ctypes.c_double, st.floats(allow_nan=False)),
        "s32": (ctypes.c_int32, st.integers(-(2**31), 2**31 - 1)),
        "u16": (ctypes.c_uint16, st.integers(0, 2**16 - 1)),
        "u8": (ctypes.c_uint8, st.integers(0, 255)),
        "u64": (ctypes.c_uint64, st.integers(0, 2**64 - 1)),
        "b8": (Pair, st.builds(Pair, st.integers(-5, 5), st.floats(allow_nan=False))),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(kinds)), max_size=12))
    block = type("Block", (ctypes.Structure,), {"_fields_": [(f"m{i}", kinds[k][0]) for i, k in enumerate(chosen)]})
    parameters = []
    for index, kind in enumerate(chosen):
        field = getattr(block, f"m{index}")
        parameters.append(Parameter(field.offset, field.size, field.size, kind, pointer=kind == "u64"))
    values = [data.draw(kinds[kind][1]) for kind in chosen]
    kernel, function = make_kernel(*parameters)
    kernel[1, 1](*values)
    packed = function.launches[0][0]
    assert len(packed) == kernel.info.parameter_bytes
    got = block.from_buffer_copy(packed.ljust(ctypes.sizeof(block), b"\0"))
    for index, (kind, value) in enumerate(zip(chosen, values, strict=True)):
        member = getattr(got, f"m{index}")
        assert bytes(member) == bytes(value) if kind == "b8" else member == value


@pytest.mark.parametrize(
    ("declared", "size"),
    [
        ("float", 4),
        ("const volatile unsigned long long int", 8),
        ("long", 8),
        ("::std::uint8_t", 1),
        ("float4", 16),
        ("uchar3", 3),
        ("cuda::std::size_t", 8),
        ("T", None),
        ("float *", None),
        ("", None),
    ],
)
def test_declared_value_types(declared, size):
    known = value_type(declared)
    assert (known and known.nbytes) == size


@pytest.mark.parametrize(
    ("declared", "size"),
    [
        ("const float *__restrict__", 4),
        ("double*", 8),
        ("unsigned char *", 1),
        ("__half const *", 2),
        ("float **", 8),
        ("const float []", 4),
        ("void *", None),
        ("const char *", 1),
        ("Node *", None),
        ("float", None),
    ],
)
def test_declared_element_types(declared, size):
    known = element_type(declared)
    assert (known and known.nbytes) == size


@pytest.mark.parametrize("cpp", ["__nv_bfloat16", "__nv_fp8_e4m3", "__nv_fp8_e5m2", "__nv_fp6_e2m3", "__nv_fp4_e2m1"])
@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 2**1023, 10**400])
def test_a_number_at_the_end_of_double_is_too_large_for_a_small_float(pack_one, cpp, value):
    size = 2 if "bfloat" in cpp else 1
    with pytest.raises(ArgumentError, match="does not fit: it is too large for"):
        pack_one(Parameter(0, size, size, "b8", name="v", cpp=cpp, pointer=False), value)


@pytest.mark.parametrize("value", [-1, -(2**63), 2**63 - 1])
def test_a_signed_integer_that_might_be_a_pointer_keeps_its_sign(pack_one, value):
    parameter = Parameter(0, 8, 8, "s64", name="v", pointer=None)
    assert pack_one(parameter, value) == value.to_bytes(8, "little", signed=True)
    with pytest.raises(ArgumentError, match="does not fit"):
        pack_one(parameter, 2**63)


@pytest.mark.parametrize("address", [-1, 2**64, "x", 1.5])
def test_an_array_at_no_address_is_refused(pack_one, address):
    class Array:
        __cuda_array_interface__ = {"shape": (1,), "typestr": "<f4", "data": (address, False), "version": 3}

    with pytest.raises(ArgumentError, match="its __cuda_array_interface__ is malformed"):
        pack_one(Parameter(0, 8, 8, "u64", name="p", cpp="float *", pointer=True), Array())
