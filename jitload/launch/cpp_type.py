"""Read the text of a C++ type: what one value of it is made of.

The text is the canonical type of a parameter, or the type as declared where that is not known; sizes are those of
device code on 64-bit Linux (LP64; CUDA C++ Programming Guide, "Built-in Vector Types" for the vectors and their
alignment). A class, an enumeration, a typedef or a template parameter gives None: nothing is checked against a guess.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.values import Parameter


class CppType(NamedTuple):
    """A type that is one scalar, or several of one kind side by side.

    Attributes:
        scalar: what it is made of, by the name that NumPy, ml_dtypes and torch give the element: "float32", "bfloat16",
            "float8_e4m3fn"; and "char", "byte", "wchar", "char8", "char16", "char32", "address", "fp4x2", which they
            have no element for.
        lanes: how many scalars; 2 for complex numbers.
        scalar_bytes: bytes of one scalar.
        alignment: bytes.
        complex: whether it is a complex number and nothing else; `float2` may be one or not.
    """

    scalar: str
    lanes: int
    scalar_bytes: int
    alignment: int
    complex: bool = False

    @property
    def nbytes(self) -> int:
        """Its size; no type here has padding."""
        return self.lanes * self.scalar_bytes


_QUALIFIERS = re.compile(
    r"\b(?:const|volatile|restrict|__restrict__|__restrict|struct|class|enum|typename)\b|"
    r"(?:\b(?:cuda|std|thrust|__\d+|THRUST_\w+))?::"
)
_INTEGER_WORDS = frozenset({"unsigned", "signed", "short", "int", "long", "char"})
_FIXED = re.compile(r"(u?)int(8|16|32|64)_t")
_VECTOR = re.compile(r"(u?(?:char|short|int|long|longlong)|float|double)([1-4])(?:_(16|32)a)?")
_COMPLEX = re.compile(r"complex ?< ?(.*?) ?>")
_POINTER_TO_ARRAY = re.compile(r"\( ?\* ?\) ?(?:\[ ?\d+ ?\] ?)+")
_LANE_NAMES = {"char": "int8", "short": "int16", "int": "int32", "long": "int64", "longlong": "int64"} | {
    "float": "float32",
    "double": "float64",
}
_SCALARS = {
    "bool": ("bool", 1),
    "char": ("char", 1),
    "byte": ("byte", 1),
    "wchar_t": ("wchar", 4),
    "char8_t": ("char8", 1),
    "char16_t": ("char16", 2),
    "char32_t": ("char32", 4),
    "float": ("float32", 4),
    "long double": ("float64", 8),  # NVRTC makes it a double
    "double": ("float64", 8),
    "__int128": ("int128", 16),
    "unsigned __int128": ("uint128", 16),
    "size_t": ("uint64", 8),
    "uintptr_t": ("uint64", 8),
    "ptrdiff_t": ("int64", 8),
    "intptr_t": ("int64", 8),
    "uint": ("uint32", 4),
    "ushort": ("uint16", 2),
    "uchar": ("uint8", 1),
    "ulong": ("uint64", 8),
}
# cuda_fp16.h, cuda_bf16.h, cuda_fp8.h, cuda_fp6.h, cuda_fp4.h, cuComplex.h, vector_types.h. The fp6 and fp4 types take
# a byte for each value, but for fp4 in twos and fours: those hold two in a byte.
_NAMED = {
    **{name: CppType("float16", 1, 2, 2) for name in ("half", "__half", "__half_raw")},
    **{name: CppType("float16", 2, 2, 4) for name in ("half2", "__half2", "__half2_raw")},
    **{name: CppType("bfloat16", 1, 2, 2) for name in ("nv_bfloat16", "__nv_bfloat16", "__nv_bfloat16_raw")},
    **{name: CppType("bfloat16", 2, 2, 4) for name in ("nv_bfloat162", "__nv_bfloat162", "__nv_bfloat162_raw")},
    **{name: CppType("float32", 2, 4, 8, complex=True) for name in ("cuComplex", "cuFloatComplex")},
    "cuDoubleComplex": CppType("float64", 2, 8, 16, complex=True),
    "dim3": CppType("uint32", 3, 4, 4),
    "__nv_fp4x2_e2m1": CppType("fp4x2", 1, 1, 1),
    "__nv_fp4x4_e2m1": CppType("fp4x2", 2, 1, 2),
    "__nv_fp4_e2m1": CppType("float4_e2m1fn", 1, 1, 1),
}
for _cuda, _field in (
    ("fp8{}_e4m3", "float8_e4m3fn"),
    ("fp8{}_e5m2", "float8_e5m2"),
    ("fp8{}_e8m0", "float8_e8m0fnu"),
    ("fp6{}_e2m3", "float6_e2m3fn"),
    ("fp6{}_e3m2", "float6_e3m2fn"),
):
    for _lanes in (1, 2, 4):
        _NAMED["__nv_" + _cuda.format(f"x{_lanes}" if _lanes > 1 else "")] = CppType(_field, _lanes, 1, _lanes)

_ADDRESS = CppType("address", 1, 8, 8)


#: What canonical text never has, because it is a typedef or stands in a namespace: there a class of the user's own.
_NEVER_CANONICAL = re.compile(
    r"(?:half|nv_bfloat16)2?|cu(?:|Float|Double)Complex|u(?:int|short|char|long)|(?:size|ptrdiff|u?intptr)_t|byte|"
    r"complex ?<.*|" + _FIXED.pattern
)
_BEHIND_NAMESPACE = re.compile(r"(?:(?:const|volatile) )*(?:cuda|std|thrust)::")


def value_of(parameter: Parameter) -> CppType | None:
    """`value_type` of a parameter, by its canonical type if it has one."""
    return value_type(parameter.cpp, canonical=True) if parameter.cpp else value_type(parameter.declared)


def element_of(parameter: Parameter) -> CppType | None:
    """`element_type` of a parameter, by its canonical type if it has one."""
    return element_type(parameter.cpp, canonical=True) if parameter.cpp else element_type(parameter.declared)


@functools.cache
def value_type(text: str, *, canonical: bool = False) -> CppType | None:
    """The type of a value that is passed as it is, or None when it is a pointer or not known here.

    Args:
        text: the type.
        canonical: whether all typedefs in it are resolved, so that `half` is no `__half` but a class of that name.
    """
    return None if _split_pointer(text) is not None else _named(text, canonical)


@functools.cache
def element_type(text: str, *, canonical: bool = False) -> CppType | None:
    """What a pointer points to, or None when that is `void` or not known here, or when it is no pointer."""
    pointee = _split_pointer(text)
    if pointee is None:
        return None
    return _ADDRESS if _split_pointer(pointee) is not None else _named(pointee, canonical)


def is_pointer(text: str) -> bool:
    """Whether a type is a pointer, a reference or an array."""
    return _split_pointer(text) is not None


def is_reference(text: str) -> bool:
    """Whether a type is a reference, also one to an array: "const int (&)[4]"."""
    bare = _without_template_arguments(text)
    return bare.endswith("&") or "(&)" in bare


def is_pointer_to_const(text: str) -> bool:
    """Whether what the outermost pointer of a type points to is const."""
    pointee = _split_pointer(text)
    if pointee is None or "(" in pointee:
        return False
    inner = _split_pointer(pointee)
    # Behind a star stands what qualifies that pointer: "float *const *" points to a constant pointer.
    qualified = pointee if inner is None else pointee[len(inner) + 1 :]
    return "const" in re.findall(r"\w+", _without_template_arguments(qualified))


def _split_pointer(text: str) -> str | None:
    """What stands before the outermost `*`, `&` or `[]`, or None when the type is none of these."""
    text = _POINTER_TO_ARRAY.sub("*", text).replace("[]", "*")
    outer = _without_template_arguments(text)
    end = max(outer.rfind("*"), outer.rfind("&"))
    return None if end < 0 else text[:end]


def _without_template_arguments(text: str) -> str:
    """The text with every <...> blanked out, of the same length."""
    while (shorter := re.sub(r"<[^<>]*>", lambda match: " " * len(match[0]), text)) != text:
        text = shorter
    return text


def _named(text: str, canonical: bool) -> CppType | None:
    name = " ".join(_QUALIFIERS.sub(" ", text).split())
    if canonical and not _BEHIND_NAMESPACE.match(text) and _NEVER_CANONICAL.fullmatch(name):
        return None
    if found := _NAMED.get(name):
        return found
    if scalar := _scalar(name):
        return CppType(scalar[0], 1, scalar[1], scalar[1])
    if match := _VECTOR.fullmatch(name):
        unsigned = match[1].startswith("u")
        scalar_name = _LANE_NAMES[match[1].removeprefix("u")]
        nbytes, lanes = int(scalar_name[-2:].lstrip("t")) // 8, int(match[2])
        alignment = int(match[3] or 0) or (min(lanes * nbytes, 16) if lanes in {2, 4} else nbytes)
        return CppType("u" * unsigned + scalar_name, lanes, nbytes, alignment)
    if match := _COMPLEX.fullmatch(name):
        part = _named(match[1], canonical)
        if part is not None and part.lanes == 1 and "float" in part.scalar:
            return CppType(part.scalar, 2, part.scalar_bytes, part.nbytes * 2, complex=True)
    return None


def _scalar(name: str) -> tuple[str, int] | None:
    """Name and bytes of an arithmetic type."""
    if found := _SCALARS.get(name):
        return found
    words = name.split()
    if words and _INTEGER_WORDS.issuperset(words):
        size = 1 if "char" in words else 2 if "short" in words else 8 if "long" in words else 4
        return f"{'u' * ('unsigned' in words)}int{size * 8}", size
    if fixed := _FIXED.fullmatch(name):
        return f"{fixed[1]}int{fixed[2]}", int(fixed[2]) // 8
    return None
