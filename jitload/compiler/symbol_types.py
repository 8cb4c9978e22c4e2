"""C++ types for kernels of images that came without a description: from their lowered names, which have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.lazy import lazy
from jitload.values import KernelInfo, Parameter

if TYPE_CHECKING:
    from jitload.compiler import signature as signatures
    from jitload.images import layouts
else:
    layouts = lazy("jitload.images.layouts")
    signatures = lazy("jitload.compiler.signature")  # 10 ms, and what jitload compiled has its types

#: What PTX says of a parameter of these types, where an image says its size only.
_PTX_TYPES = {"float": "f32", "double": "f64", "bool": "u8"}


def with_symbol_types(kernel: KernelInfo) -> KernelInfo:
    """The kernel with the C++ types that its symbol tells, unless it has types already or the symbol tells none.

    They are taken only if there are as many as parameters, of the sizes that the image has.
    """
    if not kernel.symbol.startswith("_Z") or any(kernel.parameters):
        return kernel

    return signatures.typed_by_symbol(kernel)


def kernel_of_sizes(symbol: str, places: list[tuple[int, int]]) -> KernelInfo:
    """The kernel of which an image tells (offset, size) of each parameter, with what its symbol adds.

    Where the type is not known, the parameter is bits that take integers, typed NumPy scalars, or pointers.
    """
    kernel = with_symbol_types(
        KernelInfo(symbol, symbol, [layouts.plain_parameter(offset, size) for offset, size in places])
    )
    return KernelInfo(symbol, symbol, [_as_ptx(param) for param in kernel.params])


def _as_ptx(param: Parameter) -> Parameter:
    """The parameter with the type that PTX would have for it, where its C++ type is known."""
    if param.pointer or _is_integer(param.cpp):
        ptx_type = f"u{8 * param.size}"
    else:
        ptx_type = _PTX_TYPES.get(param.cpp, param.type)
    return Parameter(
        param.offset,
        param.size,
        param.alignment,
        ptx_type,
        cpp=param.cpp,
        pointer=param.pointer,
        const=param.const,
    )


def _is_integer(cpp: str) -> bool:
    return bool(cpp) and {"unsigned", "signed", "char", "short", "int", "long"}.issuperset(cpp.split())
