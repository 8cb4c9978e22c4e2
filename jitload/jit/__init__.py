"""`@jit_kernel`: a CUDA C++ kernel as a Python function.

The decorated function is a declaration: its positional parameters name the kernel's arguments, in order, with their
defaults; its keyword-only parameters are template arguments. The source is a file beside the Python file, a string, or
the function's docstring. Compile, cache look-up and loading happen at the first use; after that a call only launches.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

from jitload.declaration import KernelSource
from jitload.errors import UsageTypeError
from jitload.given import given_cache, given_list, given_truth, kept
from jitload.jit.kernel import JitKernel
from jitload.jit.specialization import KernelOptions, Specialization
from jitload.launch.signature import split_signature
from jitload.source.arch import given_arch
from jitload.source.decorated import Undecorated, check_function, check_source, docstring_source
from jitload.target import check_target
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jitload.jit.kernel import Declared
    from jitload.tiers.cache import Cache
    from jitload.values import KindName

__tracebackhide__ = is_mistake

__all__ = ["JitKernel", "jit_kernel"]


@overload
def jit_kernel(function: Callable[Declared, object], /) -> JitKernel[Declared]: ...


@overload
def jit_kernel(
    *,
    file: str | os.PathLike[str] | None = None,
    source: str | None = None,
    entry: str | None = None,
    kind: KindName | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    cache: Cache | None = None,
    link: Iterable[object] = (),
    host_headers: bool = True,
) -> Callable[[Callable[Declared, object]], JitKernel[Declared]]: ...


@short_errors
def jit_kernel(
    function: Callable[..., object] | None = None,
    /,
    *,
    file: str | os.PathLike[str] | None = None,
    source: str | None = None,
    entry: str | None = None,
    kind: KindName | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    cache: Cache | None = None,
    link: Iterable[object] = (),
    host_headers: bool = True,
) -> JitKernel[...] | Callable[[Callable[..., object]], JitKernel[...]]:
    """Declare a CUDA C++ kernel. Nothing is compiled before the first use.

    Args:
        function: the declaration, when used without parentheses (the source is then its docstring).
        file: the source file, relative to the Python file: on the disk, or where its module's loader has it (a zip,
            a frozen application), with the headers that it includes by quoted names. Never the working directory: from
            a prompt, a notebook or `python -c` it has to be absolute.
        source: the source text.
        entry: the kernel's C++ name, with template arguments in braces: "reduce<{T}, {BLOCK}>"; default: the
            function's name with its keyword-only parameters as template arguments.
        kind: "cubin", "ptx", "ltoir" or "fatbin"; default: what the device runs.
        arch: default: the device's.
        options: NVRTC options, a list of them or one string that is split as a shell would.
        include_dirs: directories for `#include`, relative to the Python file.
        headers: include name -> text.
        defines: macro -> value.
        cache: where to look and to keep; default: the user's cache.
        link: what is linked with it, as `jitload.link` takes it, and source files, which are compiled as it is; paths
            are relative to the Python file.
        host_headers: as for `compile`.

    Returns:
        The kernel; or, where keywords alone were given, the decorator that makes it.

    Raises:
        UsageValueError: no source, or more than one; an arch or a kind that does not exist, or not for the other.
        UsageTypeError: what is decorated is no function.
    """
    given_cache(cache)
    settings = KernelOptions(
        entry=entry,
        kind=kind,
        arch=kept(given_arch(arch)),
        options=kept(options),
        include_dirs=kept(include_dirs),
        headers=headers,
        defines=kept(defines),
        cache=cache,
        link=given_list("link", link),
        host_headers=given_truth("host_headers", host_headers),
    )
    if isinstance(include_dirs, (str, os.PathLike)):
        raise UsageTypeError(
            f"include_dirs is a list, got one {type(include_dirs).__name__}: write [{str(include_dirs)!r}]"
        )
    check_target(settings.kind, settings.arch)

    def decorate(declaration: Callable[..., object]) -> JitKernel[...]:
        check_function(declaration)
        check_source(declaration.__name__, file, source)
        text = docstring_source(declaration) if file is None and source is None else source
        parameters, names, template = split_signature(declaration)
        beside = KernelSource(declaration, file, text)
        wanted = Specialization(declaration.__name__, beside, settings, names, template)
        return JitKernel(declaration, parameters, wanted)

    return Undecorated(decorate) if function is None else decorate(function)
