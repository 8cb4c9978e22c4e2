"""Making modules from code and what is known about it.

tvm-ffi's maintainers drew the line that is kept here: `load_module_from_bytes` reads what a kind's own `save_to_bytes`
wrote, and each kind has constructors with arguments of its own (there: the globals `ffi.Module.create.<kind>`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError
from jitload.loader.inputs import as_bytes, checked_kind
from jitload.loader.module import Module
from jitload.loader.registry import load_module_from_bytes
from jitload.loader.specs import IMAGE_KINDS
from jitload.trace import is_mistake, short_errors
from jitload.values import KernelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

    from jitload.loader.module import Function

__tracebackhide__ = is_mistake


@short_errors
def create_module(
    kind: str,
    code: Buffer,
    *,
    functions: Mapping[str, str | bytes | KernelInfo | Function] | None = None,
    source: str | None = None,
) -> Module:
    """Make a module from code and what is known about it; `load_module_from_bytes` has to do with the bytes alone.

    Args:
        kind: an image kind ("cubin", "ptx", "fatbin", "ltoir"), whose loader then makes the module; or any other name,
            which makes a module of Python callables.
        code: the image; for other kinds the bytes that `save_to_bytes` gives.
        functions: for an image, the name to answer to -> the symbol in it (a str, or bytes as the `symbol_mapping` of
            cuda.core has them), or a `KernelInfo` with the parameters; for other kinds, the name -> the callable.
        source: what `inspect_source` shall show.

    Returns:
        The module.

    Raises:
        UsageTypeError: a function is none of these, or `code` is not bytes-like.
        LoadError: the image cannot be loaded here.
    """
    name = checked_kind(kind)
    image = as_bytes(code)
    if functions is not None and not hasattr(functions, "items"):
        raise UsageTypeError(f"functions maps names to symbols or callables, got {type(functions).__name__}")
    given = dict(functions or {})
    if name in IMAGE_KINDS:
        return _image_module(name, image, given, source)
    callables = {}
    for function, target in given.items():
        if isinstance(target, (str, bytes, KernelInfo)) or not callable(target):
            raise UsageTypeError(f"function {function!r} of kind {name!r} is a {type(target).__name__}, not a callable")
        callables[function] = target
    return Module(name, callables, data=image, source=source or "")


@short_errors
def module_from_cubin(
    code: Buffer, *, functions: Mapping[str, str | bytes | KernelInfo] | None = None, source: str | None = None
) -> Module:
    """A module of a cubin: ELF machine code for one arch.

    Args:
        code: the image.
        functions: the name to answer to -> the symbol in the image, or a `KernelInfo` with the parameters.
        source: what `inspect_source` shall show.

    Returns:
        The module.

    Raises:
        UsageTypeError: `code` is not bytes-like, or a function is neither.
        LoadError: the image is damaged.
    """
    return create_module("cubin", code, functions=functions, source=source)


@short_errors
def module_from_ptx(
    code: str | Buffer, *, functions: Mapping[str, str | bytes | KernelInfo] | None = None, source: str | None = None
) -> Module:
    """A module of PTX; `code` is its text, or its bytes. The rest is as for `module_from_cubin`.

    Args:
        code: PTX, as text or as bytes.
        functions: as for `module_from_cubin`.
        source: what `inspect_source` shall show.

    Returns:
        The module.

    Raises:
        UsageTypeError: `code` is neither, or a function is neither symbol nor `KernelInfo`.
        LoadError: the text is damaged, or not PTX.
    """
    return create_module("ptx", code.encode() if isinstance(code, str) else code, functions=functions, source=source)


@short_errors
def module_from_fatbin(
    code: Buffer, *, functions: Mapping[str, str | bytes | KernelInfo] | None = None, source: str | None = None
) -> Module:
    """A module of a fatbin: images for several archs. The arguments are those of `module_from_cubin`.

    Args:
        code: the fatbin.
        functions: as for `module_from_cubin`.
        source: what `inspect_source` shall show.

    Returns:
        The module.

    Raises:
        UsageTypeError: `code` is not bytes-like, or a function is neither symbol nor `KernelInfo`.
        LoadError: the image is damaged.
    """
    return create_module("fatbin", code, functions=functions, source=source)


def _image_module(
    kind: str, image: bytes, functions: Mapping[str, str | bytes | KernelInfo | Function], source: str | None
) -> Module:
    kernels: list[KernelInfo] = []
    symbols: dict[str, str] = {}
    for function, target in functions.items():
        if isinstance(target, KernelInfo):
            kernels.append(target.replace(name=function))
        elif isinstance(target, (str, bytes)):
            symbols[function] = target if isinstance(target, str) else target.decode("utf-8", "surrogateescape")
        else:
            raise UsageTypeError(
                f"function {function!r} needs a symbol (str or bytes) or a KernelInfo, got {type(target).__name__}"
            )
    module = load_module_from_bytes(kind, image)
    module.attach_kernels(kernels)
    module.attach_names(symbols)
    if source is not None:
        module.attach_source(source)
    return module
