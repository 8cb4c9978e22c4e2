"""Every C++ type of the table against every array and every number: the right bytes, or an ArgumentError."""

import contextlib
import ctypes
import math
import pathlib
import re
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import jitload
from jitload import ArgumentError
from jitload.launch.cpp_type import element_type, value_type
from jitload.values import Parameter
from tests.launch.table import ELEMENTS, NUMBERS, TYPES, UNTYPED

BY_CPP = {row.cpp: row for row in TYPES}
LIBRARIES = sorted(ELEMENTS)


def pointer(cpp, *, const=False):
    return Parameter(0, 8, 8, "u64", name="p", declared="T *", cpp=f"{cpp} *", pointer=True, const=const)


def value(cpp, *, declared="T"):
    row = BY_CPP[cpp]
    ptx = {"float": "f32", "double": "f64"}.get(cpp, f"u{8 * row.nbytes}" if row.numbers and row.nbytes < 16 else "b8")
    if row.lanes > 1 or cpp.startswith("__") or cpp[-1] == "1":
        ptx = "b8"  # a class, to PTX
    return Parameter(0, row.nbytes, row.alignment, ptx, name="v", declared=declared, cpp=cpp, pointer=False)


# -- arrays --


class Arrays:
    """Arrays of one library: `make(element, shape)` gives the array and its bytes."""

    def __init__(self, library, framework):
        self.library = library
        self.module = None if library == "numpy" else framework(library)
        self.framework = framework

    def make(self, element, shape):
        return getattr(self, f"_{self.library}")(element, shape)

    def _bytes(self, count):
        return (np.arange(count) % 2).astype(np.uint8)  # no NaN, and every byte a bool

    def _numpy(self, element, shape):
        dtype = np.dtype(element)
        array = np.empty(shape, dtype)
        raw = self._bytes(array.nbytes)
        return raw.view(dtype).reshape(shape), raw.tobytes()

    def _ml_dtypes(self, element, shape):
        dtype = np.dtype(getattr(self.module, element))
        raw = self._bytes(math.prod(shape) * dtype.itemsize)
        return raw.view(dtype).reshape(shape), raw.tobytes()

    def _torch(self, element, shape):
        dtype = getattr(self.module, element)
        raw = self._bytes(math.prod(shape) * dtype.itemsize)
        return self.module.from_numpy(raw.copy()).view(dtype).reshape(shape), raw.tobytes()

    def _jax(self, element, shape):
        self.module.config.update("jax_enable_x64", True)
        made = np.dtype(element) if element in ELEMENTS["numpy"] else np.dtype(getattr(self.module.numpy, element))
        raw = self._bytes(math.prod(shape) * made.itemsize)
        return self.module.numpy.asarray(raw.view(made).reshape(shape)), raw.tobytes()

    def _tvm_ffi(self, element, shape):
        array, raw = Arrays("torch", self.framework).make(element, shape)
        return self.module.from_dlpack(array), raw


def recorded(make_kernel, parameter, array):
    """The bytes that a kernel on host arrays finds behind its one pointer, or None when the array is refused."""
    kernel, function = make_kernel(parameter, device="cpu")
    seen = []
    function.body = lambda memory, block: seen.append(bytes(memory.blocks[struct.unpack("<Q", block)[0]]))
    try:
        kernel[1, 1](array)
    except ArgumentError:
        return None
    return seen[0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_arrays_of_every_element_for_every_pointer(make_kernel, framework, library):
    arrays = Arrays(library, framework)
    wrong = []
    for element in ELEMENTS[library]:
        made = {lanes: arrays.make(element, (3, lanes) if lanes > 1 else (3,)) for lanes in (1, 2, 3, 4)}
        for row in TYPES:
            array, raw = made[row.lanes]
            want = raw if element in row.whole | row.parts else None
            if recorded(make_kernel, pointer(row.cpp, const=True), array) != want:
                wrong.append((element, row.cpp, "refused" if want else "taken"))
    assert wrong == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_has_no_element_type_takes_every_array(make_kernel, framework, library):
    arrays = Arrays(library, framework)
    for cpp in UNTYPED:
        for element in ELEMENTS[library]:
            kernel, function = make_kernel(pointer(cpp, const=True), device="cpu")
            kernel[1, 1](arrays.make(element, (3,))[0])
            assert len(function.launches) == 1, (cpp, element)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_pointer_to_pointers_takes_addresses(make_kernel, framework, library):
    arrays = Arrays(library, framework)
    for element in ELEMENTS[library]:
        kernel, function = make_kernel(pointer("float *", const=True), device="cpu")
        array = arrays.make(element, (3,))[0]
        if element in {"int64", "uint64"}:
            kernel[1, 1](array)
            assert len(function.launches) == 1
        else:
            with pytest.raises(ArgumentError):
                kernel[1, 1](array)


@pytest.mark.parametrize("row", [row for row in TYPES if row.lanes > 1 and row.parts], ids=lambda row: row.cpp)
def test_the_last_axis_holds_whole_vectors(make_kernel, framework, row):
    ml_dtypes = framework("ml_dtypes")
    part = sorted(row.parts)[-1]
    dtype = np.dtype(getattr(ml_dtypes, part, None) or part)
    kernel, function = make_kernel(pointer(row.cpp, const=True), device="cpu")
    for shape in ((4, row.lanes), (row.lanes,), (0, row.lanes), (2 * row.lanes,), (3, 2 * row.lanes)):
        launches = len(function.launches)
        kernel[1, 1](np.zeros(shape, dtype))
        assert len(function.launches) == launches + 1
    for shape in ((), (row.lanes + 1,), (row.lanes, 1), (2, 1), (row.lanes, row.lanes - 1)):
        with pytest.raises(ArgumentError, match=f"groups of {row.lanes}"):
            kernel[1, 1](np.zeros(shape, dtype))
    with pytest.raises(ArgumentError, match="side by side"):  # the order of Fortran
        kernel[1, 1](np.zeros((row.lanes, 5), dtype).T)


@pytest.mark.parametrize(
    ("cpp", "declared", "name"),
    [
        ("float2 *", "cuFloatComplex *", "complex64"),
        ("", "cuFloatComplex *", "complex64"),
        ("double2 *", "const cuDoubleComplex *", "complex128"),
        ("cuda::std::complex<float> *", "T *", "complex64"),
        ("thrust::complex<double> *", "T *", "complex128"),
    ],
)
def test_real_numbers_in_a_row_are_no_complex_ones(make_kernel, cpp, declared, name):
    real = name.replace("complex64", "float32").replace("complex128", "float64")
    kernel, function = make_kernel(Parameter(0, 8, 8, "u64", cpp=cpp, declared=declared, pointer=True), device="cpu")
    for shape in ((2,), (3, 2), (8,)):
        with pytest.raises(ArgumentError, match=rf"{real} is not {name}; .*\.view\(np\.{name}\)"):
            kernel[1, 1](np.zeros(shape, real))
        kernel[1, 1](np.zeros(shape, real).view(name) if shape[-1] % 2 == 0 else np.zeros(shape, name))
    assert len(function.launches) == 3


@pytest.mark.parametrize("row", [row for row in TYPES if row.lanes > 1 and row.dtype], ids=lambda row: row.cpp)
def test_a_structured_dtype_is_taken_for_its_fields(make_kernel, framework, row):
    ml_dtypes = framework("ml_dtypes")
    scalar = np.dtype(getattr(ml_dtypes, row.dtype, None) or row.dtype)
    fields = [(name, scalar) for name in "xyzw"[: row.lanes]]
    kernel, function = make_kernel(pointer(row.cpp), device="cpu")
    kernel[1, 1](np.zeros(3, fields))
    kernel[1, 1](np.zeros(3, [("v", scalar, (row.lanes,))]))
    kernel[1, 1](np.zeros(3, [("in", fields)]))
    assert len(function.launches) == 3
    other = np.dtype("int8") if scalar.itemsize != 1 else np.dtype("int16")
    for bad in (fields[:-1], [*fields, ("more", scalar)], [(name, other) for name, _ in fields]):
        with pytest.raises(ArgumentError, match=f"a structured dtype must have {row.lanes} fields of"):
            kernel[1, 1](np.zeros(3, bad))
    if scalar.itemsize > 1:
        shifted = np.dtype(
            {"names": ["a", "b"], "formats": [scalar, scalar], "offsets": [0, 1], "itemsize": row.nbytes}
        )
        with pytest.raises(ArgumentError):
            kernel[1, 1](np.zeros(3, shifted))


@pytest.mark.parametrize("row", [row for row in TYPES if row.alignment > 1], ids=lambda row: row.cpp)
def test_arrays_lie_where_their_elements_may(make_kernel, row):
    kernel, function = make_kernel(pointer(row.cpp), device="cpu")
    needed = min(row.alignment, 16)
    raw = np.zeros(row.nbytes * 2 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    kernel[1, 1](raw[start : start + row.nbytes].view(f"V{row.nbytes}"))
    kernel[1, 1](raw[start + needed : start + needed + row.nbytes].view(f"V{row.nbytes}"))
    assert len(function.launches) == 2
    off = raw[start + needed // 2 : start + needed // 2 + row.nbytes].view(f"V{row.nbytes}")
    with pytest.raises(ArgumentError, match=rf"aligned to {needed} bytes; pass \.copy\(\)"):
        kernel[1, 1](off)
    kernel[1, 1](off[:0])


# -- numbers --


class Thing:
    """A number of a class of its own."""

    def __init__(self, number):
        self.number = number


class Indexed(Thing):
    def __index__(self):
        return self.number


class Floated(Thing):
    def __float__(self):
        return self.number


class Complexed(Thing):
    def __complex__(self):
        return self.number


def forms(kind, number):
    """The same number as every library has it, with a name for each."""
    numpy_type = {"bool": np.bool_, "float": np.float64, "complex": np.complex128}.get(kind)
    if kind == "int":
        numpy_type = np.int64 if -(2**63) <= number < 2**63 else np.uint64 if 0 <= number < 2**64 else None
    yield "python", number
    if numpy_type is not None:
        yield "numpy scalar", numpy_type(number)
        yield "numpy 0-d", np.array(number, numpy_type)
    if kind == "bool":
        yield "ctypes", ctypes.c_bool(number)
    elif kind == "int":
        yield "__index__", Indexed(number)
        if numpy_type is np.int64:
            yield "ctypes", ctypes.c_int64(number)
    elif kind == "float":
        yield "__float__", Floated(number)
        yield "ctypes", ctypes.c_double(number)
        yield "Decimal", Decimal(number)
        if math.isfinite(number) and number:  # a fraction has no negative zero
            yield "Fraction", Fraction(number)
    else:
        yield "__complex__", Complexed(number)


def framework_forms(library, framework, kind, number):
    """The same number as a library has it without axes."""
    if kind == "int" and not -(2**63) <= number < 2**63:
        return
    dtype = {"bool": "bool", "int": "int64", "float": "float64", "complex": "complex128"}[kind]
    if library == "torch":
        torch = framework("torch")
        yield "torch", torch.tensor(number, dtype=getattr(torch, dtype))
        if kind in {"float", "complex"}:
            yield "torch with grad", torch.tensor(number, dtype=getattr(torch, dtype), requires_grad=True)
    elif library == "jax":
        jax = framework("jax")
        jax.config.update("jax_enable_x64", True)
        yield "jax", jax.numpy.asarray(np.array(number, dtype))
    elif library == "tvm_ffi" and kind != "complex":
        yield "tvm_ffi", framework("tvm_ffi").from_dlpack(np.array(number, dtype))
    elif library == "ml_dtypes":
        ml_dtypes = framework("ml_dtypes")
        if kind == "float":
            for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
                scalar = getattr(ml_dtypes, name)(number)
                if float(scalar) == number:
                    yield name, scalar
                    yield f"{name} 0-d", np.array(scalar)
        elif kind == "int" and -8 <= number < 8:
            yield "int4", ml_dtypes.int4(number)


def expected_bytes(row, kind, number, ml_dtypes):
    """The bytes of a number in a type, by NumPy and ml_dtypes; None where the type must refuse it."""
    if kind not in row.numbers:
        return None
    parts = (number.real, number.imag) if kind == "complex" else (number, 0)
    scalars = [_scalar_bytes(row.dtype, kind, part, ml_dtypes) for part in parts[: row.lanes]]
    return None if None in scalars else b"".join(scalars)


def _scalar_bytes(name, kind, number, ml_dtypes):
    dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.array(int(number), dtype).tobytes() if info.min <= number <= info.max else None
    if dtype.kind == "b":
        return np.array(bool(number)).tobytes() if number in {0, 1} else None
    if name == "float8_e8m0fnu":
        two = number > 0 and math.isfinite(number) and math.frexp(number)[0] == 0.5 and 2**-127 <= number <= 2**127
        return np.array(float(number), dtype).tobytes() if two or math.isnan(number) else None
    largest = float(ml_dtypes.finfo(dtype).max)
    with np.errstate(all="ignore"):
        made = np.array(float(number)).astype(dtype)
    if math.isnan(number) or math.isinf(number):
        kept = math.isnan(float(made)) if math.isnan(number) else math.isinf(float(made))
        return made.tobytes() if kept else None
    return made.tobytes() if abs(number) <= largest else None


def same_number(row, got, want, ml_dtypes):
    """Whether two values are the same bits, or NaN both."""
    dtype = np.dtype(getattr(ml_dtypes, row.dtype, None) or row.dtype)
    pairs = zip(np.frombuffer(got, dtype), np.frombuffer(want, dtype), strict=True)
    return got == want or all(a.tobytes() == b.tobytes() or (a != a and b != b) for a, b in pairs)


@pytest.mark.parametrize("library", ["python", "ml_dtypes", "torch", "jax", "tvm_ffi"])
@pytest.mark.parametrize("row", TYPES, ids=lambda row: row.cpp)
def test_numbers_of_every_kind_for_every_value(make_kernel, framework, row, library):
    ml_dtypes = framework("ml_dtypes")
    kernel, function = make_kernel(value(row.cpp))
    wrong = []
    for kind, numbers in NUMBERS.items():
        for number in numbers:
            want = expected_bytes(row, kind, number, ml_dtypes)
            same = forms(kind, number) if library == "python" else framework_forms(library, framework, kind, number)
            for form, given in same:
                function.launches.clear()
                with contextlib.suppress(ArgumentError):
                    kernel[1, 1](given)
                got = function.launches[0][0] if function.launches else None
                right = got == want if None in {got, want} else same_number(row, got, want, ml_dtypes)
                if not right:
                    wrong.append((kind, number, form, got, want))
    assert wrong == []


@pytest.mark.parametrize("row", [row for row in TYPES if row.lanes > 1 and row.dtype], ids=lambda row: row.cpp)
def test_vectors_by_value_are_their_parts(pack_one, framework, row):
    ml_dtypes, torch, jax = framework("ml_dtypes"), framework("torch"), framework("jax")
    tvm_ffi = framework("tvm_ffi")
    parameter = value(row.cpp)
    dtype = np.dtype(getattr(ml_dtypes, row.dtype, None) or row.dtype)
    parts = [1, 2, 4, 2][: row.lanes]
    array = np.array(parts, dtype)
    want = array.tobytes()
    same = [tuple(parts), parts, array, np.array(parts, np.int8), jax.numpy.asarray(parts), torch.tensor(parts), want]
    same += [tvm_ffi.from_dlpack(torch.tensor(parts)), bytearray(want), (ctypes.c_uint8 * row.nbytes)(*want)]
    same += [np.array([tuple(parts)], [(name, dtype) for name in "xyzw"[: row.lanes]])[0], tuple(array)]
    for given in same:
        assert pack_one(parameter, given) == want, given
    for bad in (parts[1:], [*parts, 1], (), "12", None, np.zeros((1, row.lanes)), np.zeros(0, dtype), want + b"x", {}):
        with pytest.raises(ArgumentError):
            pack_one(parameter, bad)
    for bad in (10**400, "x", None, 1j, np.array([1])):
        with pytest.raises(ArgumentError):
            pack_one(parameter, [bad, *parts[1:]])


def test_a_float_is_no_part_of_an_integer_vector(pack_one):
    for given in ((1.0, 2, 3, 4), np.arange(4.0), [1, 2, 3, np.float32(4)]):
        with pytest.raises(ArgumentError, match="floating point number"):
            pack_one(value("int4"), given)


def test_fp4_in_twos_and_fours_is_packed(pack_one):
    assert pack_one(value("__nv_fp4x2_e2m1"), (1.0, -6.0)) == bytes([0xF2])
    assert pack_one(value("__nv_fp4x4_e2m1"), (0.5, 1.0, -6.0, 3)) == bytes([0x21, 0x5F])
    assert pack_one(value("__nv_fp4x4_e2m1"), b"\x12\x34") == b"\x12\x34"


def test_a_real_number_is_a_complex_one_where_the_source_says_complex(pack_one):
    """cuFloatComplex is float2, which a single number cannot be."""
    assert pack_one(value("float2", declared="cuFloatComplex"), 2) == np.complex64(2).tobytes()
    with pytest.raises(ArgumentError, match="expected a complex number, 2 numbers"):
        pack_one(value("float2", declared="float2"), 2)


def test_the_widest_integers(pack_one):
    signed = Parameter(0, 16, 16, "b8", cpp="__int128", pointer=False)
    unsigned = Parameter(0, 16, 16, "b8", cpp="unsigned __int128", pointer=False)
    assert pack_one(signed, -1) == b"\xff" * 16
    assert pack_one(unsigned, 2**127) == (2**127).to_bytes(16, "little")
    for parameter, bad in (
        (signed, 2**127),
        (signed, -(2**127) - 1),
        (unsigned, -1),
        (unsigned, 2**128),
        (signed, 1.0),
    ):
        with pytest.raises(ArgumentError):
            pack_one(parameter, bad)


def test_every_type_has_the_size_that_cuda_gives_it():
    for row in TYPES:
        known, pointee = value_type(row.cpp), element_type(f"const {row.cpp} *")
        assert known == pointee
        assert (known.nbytes, known.alignment) == (row.nbytes, row.alignment), row


def test_the_documentation_names_what_is_taken():
    """The rows of docs/arguments.md with a type of one scalar name its elements, and the example there runs."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "arguments.md").read_text()
    for line in [line for line in text.splitlines() if line.startswith("| `")]:
        types, elements = (re.findall("`([^`]+)`", cell) for cell in line.split("|")[1:3])
        for row in [BY_CPP[cpp] for cpp in types if cpp in BY_CPP and elements]:
            assert row.lanes > 1 or row.whole <= set(elements), row.cpp
    example = re.search("```python\n(.*?)```", text, re.DOTALL)[1]
    names = {"np": np, "jitload": jitload}
    told = []
    with jitload.configure(device="cpu"), jitload.on_event(told.append):
        exec(example, names)
    assert sorted(event.kernel for event in told if event.name == "load") == ["twice<double>", "twice<short>"]
