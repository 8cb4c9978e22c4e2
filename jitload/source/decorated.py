"""What `jit_kernel` may decorate: a plain function, with one source.

Each everyday mistake gets one sentence that says what to write instead.
"""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError, UsageValueError
from jitload.source.python_code import about_python
from jitload.source.text import is_path
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200  # `inspect.CO_*`, whose import costs 10 ms


__tracebackhide__ = is_mistake


class Undecorated:
    """`jit_kernel(...)` with its options, waiting for the function that it decorates."""

    def __init__(self, decorate: Callable[[Callable[..., object]], Any]) -> None:
        self._decorate = decorate

    @short_errors
    def __call__(self, declaration: Callable[..., object], /, *arguments: object, **keywords: object) -> Any:
        """Decorate a function, and nothing else yet."""
        if arguments or keywords:
            self._refuse("called with arguments")
        return self._decorate(declaration)

    def __getitem__(self, configuration: object) -> NoReturn:
        self._refuse("given a grid and a block")

    def _refuse(self, what: str) -> NoReturn:
        raise UsageTypeError(
            f"jit_kernel(...) was {what} before it decorated a function: write jit_kernel(...) above "
            f"`def saxpy(a, x, y, n): ...`, which names the kernel and its arguments, and launch that"
        )


def check_function(given: object) -> None:
    """Nothing, where `given` is a function that can declare a kernel.

    Raises:
        UsageTypeError: it is something else; the text says what to write.
    """
    if isinstance(given, FunctionType):
        return _check_plain(given)
    name = getattr(given, "__name__", None) or type(given).__name__
    if isinstance(given, str):
        _refuse_text(given)
    if isinstance(given, os.PathLike):
        raise UsageTypeError(f"jit_kernel takes a file by name: write @jit_kernel(file={os.fspath(given)!r})")
    if isinstance(given, (bytes, bytearray)):
        raise UsageTypeError("jit_kernel takes the source as text, by name: write @jit_kernel(source=data.decode())")
    if isinstance(given, (staticmethod, classmethod)):
        word = type(given).__name__
        raise UsageTypeError(
            f"{given.__func__.__name__} is a {word} already: write @{word} above @jit_kernel, not below"
        )
    if isinstance(given, type):
        raise UsageTypeError(f"class {name} cannot be a kernel: decorate a function, `def {name.lower()}(x, n): ...`")
    if isinstance(given, MethodType):
        raise UsageTypeError(f"{name} is a method of an object, and a kernel has no self: decorate a plain function")
    if hasattr(given, "specialize") and hasattr(given, "__wrapped__"):
        raise UsageTypeError(
            f"{name} is a jit_kernel already: decorate once; for other template arguments write {name}.specialize(...)"
        )
    if hasattr(given, "func") and hasattr(given, "keywords"):
        inner = getattr(given.func, "__name__", "the function")
        raise UsageTypeError(
            f"a functools.partial of {inner} has no name and no source: decorate {inner} itself, with defaults "
            f"`def {inner}(x, n=1024)`, or functools.partial(kernel[grid, block], ...) at the launch"
        )
    if isinstance(given, BuiltinFunctionType):
        raise UsageTypeError(f"{name} is built in: decorate a function of your own, `def {name}(x, n): ...`")
    raise UsageTypeError(
        f"jit_kernel decorates a function, got {type(given).__name__}: write it above `def name(x, n): ...`"
    )


def check_source(name: str, file: object, source: object) -> None:
    """Nothing, where a file or a source was given as what it is.

    Raises:
        UsageValueError: both were given, or one in the place of the other.
        UsageTypeError: of the wrong type.
    """
    if file is not None and source is not None:
        raise UsageValueError(f"{name} has file= and source=: give one")
    if source is not None and not isinstance(source, str):
        path = os.fspath(source) if isinstance(source, os.PathLike) else None
        instead = "decode it" if path is None else f"write file={str(path)!r}"
        raise UsageTypeError(f"source= of {name} is CUDA C++ text (str), got {type(source).__name__}: {instead}")
    if isinstance(source, str) and is_path(source):
        raise UsageValueError(f"source= of {name} is CUDA C++ text, got the path {source!r}: write file={source!r}")
    if file is not None and not isinstance(file, (str, os.PathLike)):
        raise UsageTypeError(f"file= of {name} is a path, got {type(file).__name__}")
    if file is not None and os.fspath(file) in {"", b""}:
        raise UsageValueError(f"file= of {name} is empty: write file='{name}.cu'")
    if isinstance(file, str) and ("\n" in file or "__global__" in file):
        raise UsageValueError(f"file= of {name} is a path, got CUDA C++ text: write source=...")


def docstring_source(declaration: Callable[..., object]) -> str:
    """The source in the docstring of a declaration.

    Raises:
        UsageValueError: there is none; the text says why, where it can be told.
    """
    text: str | None = declaration.__doc__
    if text and "__global__" in text:
        return text
    name = declaration.__name__
    if text is None and sys.flags.optimize >= 2:
        why = "python -OO (PYTHONOPTIMIZE=2) takes docstrings out; write source=... or file=..., which it leaves alone"
    elif text is None:
        why = "give file= or source=, or write it as the docstring"
        why += "; an f-string, or text put together by %, + or .format(), is no docstring: write source=f'...' for that"
        why += ". Python in the body is not compiled"
    else:
        why = "give file= or source=, or write it as the docstring, which here has no __global__ function in it"
        python = about_python(text.splitlines())
        why += f": {python}" if python else ""
    raise UsageValueError(f"{name} has no CUDA source: {why}")


def _check_plain(function: FunctionType) -> None:
    name, flags = function.__name__, function.__code__.co_flags
    if name == "<lambda>":
        raise UsageTypeError(
            "a lambda has no name for the kernel: write `def saxpy(a, x, y, n): ...` below @jit_kernel"
        )
    if flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR):
        raise UsageTypeError(
            f"async def {name} cannot declare a kernel: write `def {name}(...): ...`; its body never runs"
        )
    if flags & _CO_GENERATOR:
        raise UsageTypeError(f"{name} is a generator, and its body never runs: write `def {name}(...): ...`")
    outer, _, _ = function.__qualname__.rpartition(".")
    first = function.__code__.co_varnames[:1] if function.__code__.co_argcount else ()
    if outer and not outer.endswith("<locals>") and first in {("self",), ("cls",)}:
        raise UsageTypeError(
            f"{function.__qualname__} is a method, and a kernel has no {first[0]}: take {first[0]} out and write "
            f"@staticmethod above @jit_kernel, or declare it outside the class"
        )


def _refuse_text(given: str) -> NoReturn:
    if is_path(given):
        raise UsageTypeError(f"jit_kernel takes a file by name: write @jit_kernel(file={given!r})")
    raise UsageTypeError(
        "jit_kernel takes the source by name: write @jit_kernel(source=...) above `def saxpy(a, x, y, n): ...`, "
        "which names the kernel and its arguments"
    )
