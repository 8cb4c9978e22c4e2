"""C++ types as trees, and their one spelling.

A type is a `Node`; what its kinds mean:

    name      a builtin, class or enum, whole: "unsigned long", "n::S", "cuda::std::complex<float>"
    const, volatile     of the one part
    *, &, &&  pointer or reference to the one part
    member    pointer to a member: the class, the member's type
    array     of the one part, `text` elements ("" where that is not said)
    function  its result, then its parameters; `text` is what follows the parameters, e.g. "const"
    value     a template argument that is no type: "4", "true"

The spelling is that of the CUDA headers and of this project: `const` in front of what it qualifies, one blank before
the stars: "const float *", "float *const *", "void (*)(int, const float *)", "int (*)[4]".
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Node(NamedTuple):
    """A piece of a type.

    Attributes:
        kind: what it is.
        text: the part of it that is text.
        parts: the pieces it is made of.
    """

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()


_POINTERS = {"*", "&", "&&", "member"}
# Device code on 64-bit Linux (LP64).
_SIZES = {
    "bool": 1, "char": 1, "signed char": 1, "unsigned char": 1, "char8_t": 1, "short": 2, "unsigned short": 2,
    "char16_t": 2, "int": 4, "unsigned int": 4, "wchar_t": 4, "char32_t": 4, "long": 8, "unsigned long": 8,
    "long long": 8, "unsigned long long": 8, "__int128": 16, "unsigned __int128": 16, "float": 4, "double": 8,
    "std::nullptr_t": 8, "_Float16": 2, "__half": 2, "__half2": 4, "__nv_bfloat16": 2, "__nv_bfloat162": 4, "dim3": 12,
}  # fmt: skip
_VECTOR = re.compile(r"u?(char|short|int|long|longlong|float|double)([1-4])")
_COMPONENTS = {"char": 1, "short": 2, "int": 4, "long": 8, "longlong": 8, "float": 4, "double": 8}


def spell(node: Node, inner: str = "") -> str:
    """The type as text, declared around `inner` as C++ declares: inside out."""
    kind, text, parts = node
    if kind in _POINTERS:
        target = parts[-1]
        mark = f"{spell(parts[0])}::*" if kind == "member" else kind
        inner = mark + inner
        return spell(target, f"({inner})" if target.kind in {"array", "function"} else inner)
    if kind in {"const", "volatile"}:
        target = parts[0]
        if _is_pointer_under_qualifiers(target):
            return spell(target, f"{kind}{' ' if inner[:1] not in {'', ')', '['} else ''}{inner}")
        return f"{kind} {spell(target, inner)}"
    if kind == "array":
        return spell(parts[0], f"{inner}[{text}]")
    if kind == "function":
        params = ", ".join([spell(part) for part in parts[1:]])
        return spell(parts[0], f"{inner}({params}){text and ' '}{text}")
    return f"{text} {inner}" if inner else text


def _is_pointer_under_qualifiers(node: Node) -> bool:
    while node.kind in {"const", "volatile"}:
        node = node.parts[0]
    return node.kind in _POINTERS


def qualify(node: Node, kind: str) -> Node:
    """`const` or `volatile` of a type, in the one form: const outermost, none twice, on the elements of an array."""
    if node.kind in {"&", "&&", "function", kind}:  # C++17 [dcl.ref], [dcl.fct]: ignored there
        return node
    if node.kind == "array":
        return node._replace(parts=(qualify(node.parts[0], kind),))
    if node.kind == "const":  # so `kind` is volatile
        return Node("const", "", (qualify(node.parts[0], kind),))
    return Node(kind, "", (node,))


def point(node: Node, kind: str) -> Node:
    """A pointer or reference to a type; a reference to a reference collapses (C++17 [dcl.ref])."""
    if node.kind in {"&", "&&"}:
        return node if kind == "&&" or node.kind == "&" else point(node.parts[0], "&")
    return Node(kind, "", (node,))


def as_parameter(node: Node) -> Node:
    """The type that a parameter so declared has: arrays and functions decay, `const` of a value is dropped."""
    if node.kind == "array":
        return Node("*", "", node.parts)
    if node.kind == "function":
        return Node("*", "", (node,))
    return without_qualifiers(node)


def without_qualifiers(node: Node) -> Node:
    """The type without its own `const` and `volatile`."""
    while node.kind in {"const", "volatile"}:
        node = node.parts[0]
    return node


def points_to_const(node: Node) -> bool:
    """Whether it is a pointer or reference to what may not be written through it."""
    if node.kind not in {"*", "&", "&&"}:
        return False
    target = node.parts[0]
    while target.kind in {"array", "volatile"}:
        target = target.parts[0]
    return target.kind == "const"


def size_of(node: Node) -> int | None:
    """Bytes of a value of the type, or None for a class, an enum and what has no size."""
    node = without_qualifiers(node)
    if node.kind == "*":
        return 8
    vector = _VECTOR.fullmatch(node.text)
    if node.kind == "name" and vector is not None:
        return _COMPONENTS[vector[1]] * int(vector[2])
    return _SIZES.get(node.text) if node.kind == "name" else None
