"""The table of arguments: which C++ type takes which values and which arrays. Data alone; `test_table.py` runs it.

Every type that CUDA's own headers offer as a parameter is here, and every element that NumPy, ml_dtypes, tvm-ffi, torch
and JAX have. What is in no row of `TYPES` for a type must be refused.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A C++ type.

    cpp: its canonical spelling.
    nbytes, alignment: of a value.
    whole: the elements of an array that are one such value each.
    parts: the elements of which `lanes` beside each other are one value.
    lanes: how many scalars it has.
    dtype: the NumPy or ml_dtypes name of its scalar, whose bytes are the oracle for values; "" where there is none.
    numbers: the kinds of Python numbers that it takes by value.
    """

    cpp: str
    nbytes: int
    alignment: int
    whole: frozenset[str]
    parts: frozenset[str]
    lanes: int
    dtype: str
    numbers: frozenset[str]


def _row(cpp, nbytes, alignment, whole="", parts="", lanes=1, dtype="", numbers=""):
    sets = [frozenset(text.split()) for text in (whole, parts, numbers)]
    return Row(cpp, nbytes, alignment, sets[0], sets[1], lanes, dtype, sets[2])


def _integers():
    """The integer types, by the names that canonical types have."""
    for cpp, size in (("signed char", 1), ("short", 2), ("int", 4), ("long", 8), ("long long", 8)):
        yield _row(cpp, size, size, f"int{8 * size}", dtype=f"int{8 * size}", numbers="bool int")
        unsigned = "unsigned " + cpp.removeprefix("signed ")
        yield _row(unsigned, size, size, f"uint{8 * size}", dtype=f"uint{8 * size}", numbers="bool int")


def _vectors():
    """The built-in vectors (vector_types.h)."""
    scalars = {
        "char": ("int8", 1), "uchar": ("uint8", 1), "short": ("int16", 2), "ushort": ("uint16", 2), "int": ("int32", 4),
        "uint": ("uint32", 4), "long": ("int64", 8), "ulong": ("uint64", 8), "longlong": ("int64", 8),
        "ulonglong": ("uint64", 8), "float": ("float32", 4), "double": ("float64", 8),
    }  # fmt: skip
    for name, (dtype, size) in scalars.items():
        for lanes in (1, 2, 3, 4):
            alignment = size if lanes in {1, 3} else min(size * lanes, 16)
            whole = {("float", 2): "complex64", ("double", 2): "complex128"}.get((name, lanes), "")
            real = "bool int float" if "float" in dtype else "bool int"
            numbers = real if lanes == 1 else "complex" if whole else ""
            yield _row(f"{name}{lanes}", size * lanes, alignment, whole, dtype, lanes, dtype, numbers)
    for name in ("long4", "ulong4", "longlong4", "ulonglong4", "double4"):
        dtype = "float64" if name == "double4" else f"{'u' * name.startswith('u')}int64"
        for alignment in (16, 32):
            yield _row(f"{name}_{alignment}a", 32, alignment, "", dtype, 4, dtype)
    yield _row("dim3", 12, 4, "", "uint32", 3, "uint32")


def _small_floats():
    """cuda_fp16.h, cuda_bf16.h, cuda_fp8.h, cuda_fp6.h, cuda_fp4.h."""
    real = "bool int float"
    for cpp, dtype in (("__half", "float16"), ("__nv_bfloat16", "bfloat16")):
        yield _row(cpp, 2, 2, dtype, dtype=dtype, numbers=real)
        pair = {"float16": "complex32", "bfloat16": "bcomplex32"}[dtype]
        yield _row(f"{cpp}2", 4, 4, pair, dtype, 2, dtype)
    for cpp, dtype in (
        ("__nv_fp8{}_e4m3", "float8_e4m3fn"),
        ("__nv_fp8{}_e5m2", "float8_e5m2"),
        ("__nv_fp8{}_e8m0", "float8_e8m0fnu"),
        ("__nv_fp6{}_e2m3", "float6_e2m3fn"),
        ("__nv_fp6{}_e3m2", "float6_e3m2fn"),
    ):
        yield _row(cpp.format(""), 1, 1, dtype, dtype=dtype, numbers=real)
        for lanes in (2, 4):
            yield _row(cpp.format(f"x{lanes}"), lanes, lanes, "", dtype, lanes, dtype)
    yield _row("__nv_fp4_e2m1", 1, 1, "float4_e2m1fn", dtype="float4_e2m1fn", numbers=real)
    yield _row("__nv_fp4x2_e2m1", 1, 1, "float4_e2m1fn_x2 uint8")
    yield _row("__nv_fp4x4_e2m1", 2, 2, "", "float4_e2m1fn_x2 uint8", 2)


def _complex():
    """Complex numbers are (re, im) of two scalars; cuFloatComplex is float2 and stands among the vectors."""
    for home in ("cuda::std", "thrust"):
        for cpp, size, whole, dtype in (("float", 4, "complex64", "float32"), ("double", 8, "complex128", "float64")):
            name = f"{home}::complex<{cpp}>"
            yield _row(name, 2 * size, 2 * size, whole, "", 2, dtype, "bool int float complex")
    for cpp, whole, dtype in (("__half", "complex32", "float16"), ("__nv_bfloat16", "bcomplex32", "bfloat16")):
        yield _row(f"cuda::std::complex<{cpp}>", 4, 4, whole, "", 2, dtype, "bool int float complex")


TYPES = (
    *_integers(),
    _row("bool", 1, 1, "bool", dtype="bool", numbers="bool int"),
    _row("char", 1, 1, "int8 uint8 S1", dtype="int8", numbers="bool int"),
    _row("std::byte", 1, 1, "int8 uint8", dtype="uint8", numbers="bool int"),
    _row("cuda::std::byte", 1, 1, "int8 uint8", dtype="uint8", numbers="bool int"),
    _row("wchar_t", 4, 4, "int32 U1", dtype="int32", numbers="bool int"),
    _row("char8_t", 1, 1, "uint8 S1", dtype="uint8", numbers="bool int"),
    _row("char16_t", 2, 2, "uint16", dtype="uint16", numbers="bool int"),
    _row("char32_t", 4, 4, "uint32 U1", dtype="uint32", numbers="bool int"),
    _row("float", 4, 4, "float32", dtype="float32", numbers="bool int float"),
    _row("double", 8, 8, "float64", dtype="float64", numbers="bool int float"),
    *_small_floats(),
    *_vectors(),
    *_complex(),
)

#: Pointers to what has no element type of its own take an array of anything.
UNTYPED = ("void", "Node", "ns::Color", "cuda::atomic<int>")

#: The elements of each library, by the name that it gives them.
_STANDARD = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip
_SMALL = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")
ELEMENTS = {
    "numpy": (*_STANDARD, "S1", "U1", "M8[s]", "m8[s]", "longdouble"),
    "ml_dtypes": (
        *_SMALL, "float8_e4m3", "float8_e3m4", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "int4",
        "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "complex32", "bcomplex32",
    ),
    "torch": (*_STANDARD, *_SMALL, "float8_e4m3fnuz", "float8_e5m2fnuz", "complex32", "float4_e2m1fn_x2"),
    "jax": (*_STANDARD, *_SMALL),
    "tvm_ffi": (*(name for name in _STANDARD if "complex" not in name), *_SMALL),
}  # fmt: skip

#: Numbers by kind. Where one does not fit a type, the type must refuse it.
NUMBERS = {
    "bool": (True, False),
    "int": (0, 1, -1, 3, 127, 128, -128, -129, 255, 256, 300, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, -(2**31),
            -(2**31) - 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64),
    "float": (0.0, -0.0, 1.5, -2.0, 0.1, 448.0, 65504.0, 3.0e38, 1e40, -1e40, 1e308, float("inf"), float("nan")),
    "complex": (1 + 2j, -0.5j, complex(1e40, 0), complex(0, float("inf"))),
}  # fmt: skip
