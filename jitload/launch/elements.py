"""What an array is made of, under one name for all libraries, and whether that is what a pointer points to."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.launch.cpp_type import CppType
    from jitload.launch.foreign import CtypesType, NumpyDtype, TorchTensor


class Element:
    """The element type of an array. There is one object for each, so that launches can remember what it goes with.

    Attributes:
        name: as its library calls it, for messages.
        nbytes: its size.
        scalar: the scalar it is made of: "float32", "bfloat16"; "void" for bytes that are no more than that, "memory"
            for a buffer that has no element type at all, "record" for a structured dtype of several kinds.
        lanes: how many scalars; 2 for complex numbers.
        fields: (offset, scalar) of each field of a structured dtype, else None.
    """

    __slots__ = ("fields", "lanes", "name", "nbytes", "scalar")

    def __init__(
        self, name: str, nbytes: int, scalar: str, lanes: int = 1, fields: tuple[tuple[int, str], ...] | None = None
    ) -> None:
        self.name = name
        self.nbytes = nbytes
        self.scalar = scalar
        self.lanes = lanes
        self.fields = fields


#: What one scalar of C++ takes besides the element of its own name.
_ALSO = {
    "char": ("int8", "uint8", "bytes"),  # whether char has a sign is up to the compiler
    "byte": ("uint8", "int8"),
    "char8": ("uint8", "bytes"),
    "char16": ("uint16",),
    "char32": ("uint32", "str"),
    "wchar": ("int32", "str"),
    "address": ("uint64", "int64"),
    "fp4x2": ("uint8",),  # no library but torch has an element for two numbers in a byte
}
_COMPLEX = {
    "complex32": "float16",
    "bcomplex32": "bfloat16",
    "complex64": "float32",
    "complex128": "float64",
    "complex256": "float128",
}
#: DLDataTypeCode (dlpack.h) to the name of the scalar, which ends in its bits where the name does not tell.
_DLPACK_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat"}
_DLPACK_NAMES = {
    6: "bool",
    7: "float8_e3m4",
    8: "float8_e4m3",
    9: "float8_e4m3b11fnuz",
    10: "float8_e4m3fn",
    11: "float8_e4m3fnuz",
    12: "float8_e5m2",
    13: "float8_e5m2fnuz",
    14: "float8_e8m0fnu",
    15: "float6_e2m3fn",
    16: "float6_e3m2fn",
    17: "float4_e2m1fn",
}
_TYPESTR_KINDS = {"i": "int", "u": "uint", "f": "float"}

#: Bytes of a library that says nothing about what they hold: rmm, cuda.core.
MEMORY = Element("memory", 1, "memory")


def lanes_needed(element: Element, pointee: CppType) -> int:
    """How many neighbouring elements make what is pointed to: the length of the last axis must be a multiple of that.

    Returns:
        0 when the element does not go there at all.
    """
    if element.scalar == "memory":
        return 1
    if element.scalar == "void":
        if element.nbytes % pointee.nbytes == 0:
            return 1
        return pointee.lanes if element.nbytes == pointee.scalar_bytes else 0
    if element.fields is not None:
        return int(element.nbytes == pointee.nbytes and _same_fields(element.fields, pointee))
    if not _same_scalar(element.scalar, pointee.scalar):
        return 0
    if element.lanes > 1:
        return int(element.lanes == pointee.lanes)
    return 0 if pointee.complex else pointee.lanes


def _same_scalar(scalar: str, wanted: str) -> bool:
    return scalar == wanted or scalar in _ALSO.get(wanted, ())


def _same_fields(fields: tuple[tuple[int, str], ...], pointee: CppType) -> bool:
    if len(fields) != pointee.lanes:
        return False
    return all(
        offset == lane * pointee.scalar_bytes and _same_scalar(scalar, pointee.scalar)
        for lane, (offset, scalar) in enumerate(fields)
    )


@functools.cache
def numpy_element(dtype: NumpyDtype) -> Element:
    """The element of a NumPy dtype, those of ml_dtypes included."""
    name, nbytes = str(dtype.name), dtype.itemsize
    if dtype.fields is not None:
        return Element(str(dtype), nbytes, "record", fields=tuple(_flattened(dtype, 0)))
    if name in _COMPLEX:
        return Element(name, nbytes, _COMPLEX[name], 2)
    kind = dtype.kind
    # An extension type (bfloat16) is of kind V as well, but its scalars are no np.void.
    plain = {"S": "bytes", "U": "str", "V": "void" if dtype.type.__name__ == "void" else name}.get(kind, name)
    return Element(name, nbytes, plain)


def is_native(dtype: NumpyDtype) -> bool:
    """Whether no number in a NumPy dtype has swapped bytes; `dtype.isnative` does not look into arrays in fields."""
    if dtype.fields is not None:
        return all(is_native(field[0]) for field in dtype.fields.values())
    return bool(dtype.base.isnative if dtype.subdtype is None else is_native(dtype.base))


#: ctypes' codes of the simple types that are no integers.
_CTYPES = {"f": "float32", "d": "float64", "g": "float128", "?": "bool", "c": "bytes", "u": "str"}


@functools.cache
def ctypes_element(kind: CtypesType) -> Element:
    """The numbers in a ctypes structure, union or array; "swapped" for those with their bytes in the wrong order."""
    return Element(kind.__name__, ctypes.sizeof(kind), "record", fields=tuple(_ctypes_fields(kind, 0)))


def _ctypes_fields(kind: CtypesType, offset: int) -> Iterator[tuple[int, str]]:
    """(offset, scalar) of every number."""
    if issubclass(kind, ctypes.Array):
        size = ctypes.sizeof(kind._type_)
        for index in range(kind._length_):
            yield from _ctypes_fields(kind._type_, offset + index * size)
    elif issubclass(kind, ctypes.Structure | ctypes.Union):
        for owner in reversed(kind.__mro__):
            for name, field, *_ in owner.__dict__.get("_fields_", ()):
                yield from _ctypes_fields(field, offset + getattr(kind, name).offset)
    else:
        yield offset, _ctypes_scalar(kind)


def _ctypes_scalar(kind: CtypesType) -> str:
    is_swapped = getattr(kind, f"__ctype_{sys.byteorder[0]}e__", kind) is not kind
    if is_swapped:
        return "swapped"
    code: str = kind._type_ if isinstance(kind._type_, str) else "P"
    integer = f"{'u' * code.isupper()}int{8 * ctypes.sizeof(kind)}" if code in "bhilqBHILQ" else "address"
    return _CTYPES.get(code, integer)


def _flattened(dtype: NumpyDtype, offset: int) -> list[tuple[int, str]]:
    """(offset, scalar) of every scalar in a structured dtype, fields within fields and arrays in fields included."""
    if dtype.fields is not None:
        found = []
        for field in sorted(dtype.fields.values(), key=lambda field: field[1]):
            found += _flattened(field[0], offset + field[1])
        return found
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        count = functools.reduce(lambda product, extent: product * extent, shape, 1)
        return [pair for index in range(count) for pair in _flattened(base, offset + index * base.itemsize)]
    element = numpy_element(dtype)
    return [(offset + lane * (element.nbytes // element.lanes), element.scalar) for lane in range(element.lanes)]


_of_torch: dict[object, Element] = {}


def torch_element(dtype: object, tensor: TorchTensor) -> Element:
    """The element of a tensor by its dtype; bytes of no more than its width where it does not tell that."""
    found = _of_torch.get(dtype)
    if found is not None:
        return found
    nbytes = int(tensor.element_size())
    if dtype is None:
        return Element(f"void{8 * nbytes}", nbytes, "void")
    name = str(dtype).removeprefix("torch.")
    if name in _COMPLEX:
        found = Element(name, nbytes, _COMPLEX[name], 2)
    else:
        found = Element(name, nbytes, "fp4x2" if name == "float4_e2m1fn_x2" else name)
    _of_torch[dtype] = found
    return found


@functools.cache
def dlpack_element(code: int, bits: int, lanes: int) -> Element:
    """The element of a DLDataType (dlpack.h)."""
    nbytes = (bits * lanes + 7) // 8
    if code == 5:  # kDLComplex
        name = f"complex{bits}"
        return Element(name, nbytes, _COMPLEX.get(name, name), 2 * lanes)
    scalar = f"{_DLPACK_KINDS[code]}{bits}" if code in _DLPACK_KINDS else _DLPACK_NAMES.get(code, f"code{code}_{bits}")
    if scalar == "float4_e2m1fn" and lanes % 2 == 0:
        scalar, lanes = "fp4x2", lanes // 2
    return Element(f"{scalar}x{lanes}" if lanes > 1 else scalar, nbytes, scalar, lanes)


@functools.cache
def typestr_element(typestr: str) -> Element:
    """The element of a typestr of the array interfaces, such as "<f4".

    Raises:
        ValueError, IndexError: it is none.
    """
    kind, nbytes = typestr[1], int(typestr[2:])
    if kind == "c":
        name = f"complex{8 * nbytes}"
        return Element(name, nbytes, _COMPLEX.get(name, name), 2)
    plain = {"b": "bool", "S": "bytes", "U": "str", "V": "void"}.get(kind)
    scalar = plain or f"{_TYPESTR_KINDS.get(kind, kind)}{8 * nbytes}"
    return Element(typestr if plain else scalar, nbytes, scalar)
