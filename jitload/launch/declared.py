"""Read the C++ type that a parameter was declared with: its size and whether it has a sign.

Sizes are those of device code on 64-bit Linux (LP64; CUDA C++ Programming Guide, "Built-in Vector Types" for the
vectors). A typedef, a template parameter or a class gives None: nothing is checked against a guess.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class CType(NamedTuple):
    """A builtin type.

    Attributes:
        size: bytes.
        category: "signed", "unsigned", "float", "half", "bfloat16", "bool", "pointer" or "vector".
        component: bytes of one component; equals `size` except for vectors.
    """

    size: int
    category: str
    component: int


_QUALIFIERS = re.compile(
    r"\b(?:const|volatile|restrict|__restrict__|__restrict|struct|typename)\b|(?:\b(?:cuda|std))?::"
)
_INTEGER_WORDS = frozenset({"unsigned", "signed", "char", "short", "int", "long"})
_FIXED = re.compile(r"(u?)int(8|16|32|64)_t")
_VECTOR = re.compile(r"u?(char|short|int|long|longlong|float|double)([1-4])")
_VECTOR_COMPONENTS = {"char": 1, "short": 2, "int": 4, "long": 8, "longlong": 8, "float": 4, "double": 8}
_NAMED = {
    "float": CType(4, "float", 4),
    "double": CType(8, "float", 8),
    "half": CType(2, "half", 2),
    "__half": CType(2, "half", 2),
    "__nv_bfloat16": CType(2, "bfloat16", 2),
    "nv_bfloat16": CType(2, "bfloat16", 2),
    "half2": CType(4, "vector", 2),
    "__half2": CType(4, "vector", 2),
    "__nv_bfloat162": CType(4, "vector", 2),
    "nv_bfloat162": CType(4, "vector", 2),
    "cuComplex": CType(8, "vector", 4),
    "cuFloatComplex": CType(8, "vector", 4),
    "cuDoubleComplex": CType(16, "vector", 8),
    "bool": CType(1, "bool", 1),
    "size_t": CType(8, "unsigned", 8),
    "uintptr_t": CType(8, "unsigned", 8),
    "ptrdiff_t": CType(8, "signed", 8),
    "intptr_t": CType(8, "signed", 8),
    "uint": CType(4, "unsigned", 4),
    "ushort": CType(2, "unsigned", 2),
    "uchar": CType(1, "unsigned", 1),
    "ulong": CType(8, "unsigned", 8),
}


def value_type(declared: str) -> CType | None:
    """The builtin type that is passed by value, or None when it is a pointer or not builtin."""
    text = _QUALIFIERS.sub(" ", declared)
    if "*" in text or "&" in text or "[" in text:
        return None
    return _builtin(" ".join(text.split()))


def element_type(declared: str) -> CType | None:
    """What a pointer points to, or None when that is `void`, `char`, not builtin, or no pointer at all."""
    text = _QUALIFIERS.sub(" ", declared).replace("[]", "*")
    stars = text.count("*")
    if stars == 0:
        return None
    if stars > 1:
        return CType(8, "pointer", 8)
    name = " ".join(text.replace("*", " ").split())
    # char is how C spells "bytes of anything"; void says so outright.
    return None if name in {"char", "void"} else _builtin(name)


def _builtin(name: str) -> CType | None:
    words = name.split()
    if words and _INTEGER_WORDS.issuperset(words):
        size = 1 if "char" in words else 2 if "short" in words else 8 if "long" in words else 4
        return CType(size, "unsigned" if "unsigned" in words else "signed", size)
    if fixed := _FIXED.fullmatch(name):
        size = int(fixed[2]) // 8
        return CType(size, "unsigned" if fixed[1] else "signed", size)
    if vector := _VECTOR.fullmatch(name):
        component = _VECTOR_COMPONENTS[vector[1]]
        return CType(component * int(vector[2]), "vector", component)
    return _NAMED.get(name)
