"""What came, and what to write instead, in the words of the library that the value is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.launch.cpp_type import CppType
    from jitload.launch.elements import Element

#: Where a library keeps its dtypes.
_PREFIXES = {"numpy": "np", "torch": "torch", "cupy": "cupy", "jax": "jnp"}
#: Elements that none of them calls by the name of the C++ scalar.
_ELEMENTS = {
    "char": "int8",
    "byte": "uint8",
    "wchar": "int32",
    "char8": "uint8",
    "char16": "uint16",
    "char32": "uint32",
    "address": "uint64",
}
_OF_NUMPY = frozenset({"bool", "float16", "float32", "float64", "complex64", "complex128"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def library(value: object) -> str:
    """The library that a value is from: "numpy", "torch", "cupy", "jax", or the first part of its type's module."""
    for kind in type(value).__mro__:
        root = kind.__module__.partition(".")[0]
        root = "jax" if root == "jaxlib" else root
        if root in _PREFIXES:
            return root
    return type(value).__module__.partition(".")[0]


def described(value: object) -> str:
    """A short name for what came: never the contents of an array."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    name = {"jaxlib.ArrayImpl": "jax.Array"}.get(name, name)
    try:
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape is not None and dtype is not None:
            return f"{name} of dtype {dtype} and shape {tuple(shape)}"
    except Exception:  # noqa: BLE001 - of its library, which may not know its own dtype: a message names the rest
        return name
    if value is None:
        return "None"
    text = shown(value) if isinstance(value, int | float | complex | str | bytes) else ""
    return f"{name} {text}" if text and len(text) <= 40 else name


def shown(number: object) -> str:
    """A number as it is written, but not more of it than can be read."""
    if isinstance(number, int) and number.bit_length() > 256:  # Python itself refuses to write very large ones
        return f"an integer of {number.bit_length()} bits"
    text = repr(number)
    return text if len(text) <= 100 else f"{text[:100]}..."


def dtype_words(value: object, scalar: str) -> str:
    """How the library of an array calls a scalar: "np.float32", "torch.bfloat16", "ml_dtypes.bfloat16"."""
    name, home = _ELEMENTS.get(scalar, scalar), library(value)
    if scalar == "fp4x2":
        return "torch.float4_e2m1fn_x2" if home == "torch" else dtype_words(value, "uint8")
    if home == "torch":
        return f"torch.{name}"
    if home == "jax" and (name in _OF_NUMPY or name == "bfloat16" or name.startswith("float8")):
        return f"jnp.{'bool_' if name == 'bool' else name}"
    if name not in _OF_NUMPY:
        return f"ml_dtypes.{name}"
    return f"{_PREFIXES.get(home, 'np')}.{'bool_' if name == 'bool' else name}"


def element_advice(value: object, element: Element, pointee: CppType) -> str:
    """How to make an array of one element into what a parameter points to."""
    scalar = whole_name(pointee)
    if element.scalar == "record" and pointee.lanes > 1:
        return f"a structured dtype must have {pointee.lanes} fields of {pointee.scalar} side by side and no more"
    words = dtype_words(value, scalar)
    torch = library(value) == "torch"
    # Not every library can convert: tvm-ffi's tensors are handed from one to the other, and so are buffers.
    other = "np.from_dlpack(...)" if hasattr(value, "__dlpack__") else "np.asarray(...)"
    subject = "" if torch or hasattr(value, "astype") else other
    advice = f"convert it with {subject}{'.to' if torch else '.astype'}({words})"
    same_bits = element.nbytes == pointee.scalar_bytes or scalar.startswith("complex") or element.lanes > 1
    if same_bits or element.scalar in {"uint8", "int8", "void", "bytes", "record"}:
        advice += f", or reinterpret its bytes with {subject}.view({words})"
    if pointee.lanes > 1 and not pointee.complex:
        advice += f"; its last axis must be a multiple of {pointee.lanes} long"
    return advice


def whole_name(pointee: CppType) -> str:
    """The name of the element that is the whole of what is pointed to, where there is one."""
    if pointee.complex and pointee.scalar in {"float32", "float64"}:
        return "complex64" if pointee.scalar == "float32" else "complex128"
    return pointee.scalar


def dense_copy(value: object) -> str:
    """How to get the elements of an array side by side."""
    home = library(value)
    if home == "torch":
        return ".contiguous()"
    return f"{'cupy' if home == 'cupy' else 'np'}.ascontiguousarray(...)" + ("" if home in _PREFIXES else " of it")


def writable_copy(value: object) -> str:
    """How to get a copy that a kernel may write to."""
    home = library(value)
    if home == "torch":
        return ".clone()"
    return ".copy()" if home in {"numpy", "cupy"} else "np.array(...) of it, a copy"


def address_advice(value: object) -> str:
    """What to pass for a pointer instead of something that is neither an array nor an address."""
    if "Tracer" in type(value).__name__:
        return "; launch outside of jax.jit"
    if isinstance(value, bytes):
        return "; pass np.frombuffer(...)"
    if hasattr(value, "_length_") or type(value).__name__ in {"CArgObject", "c_char_p", "c_wchar_p"}:
        return ", which lies in host memory; pass it as an array: np.ctypeslib.as_array(...)"
    if isinstance(value, list | tuple) or hasattr(value, "__array__") or _is_buffer(value):
        return "; pass np.asarray(...)"
    return ""


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value).release()  # type: ignore[arg-type]  # what it refuses is none
    except (TypeError, ValueError, BufferError):
        return False
    return True
