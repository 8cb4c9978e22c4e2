"""What is compiled of the sources as they are now: of Python files, plans and CUDA C++, without compiling it."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from jitload.batch.plan import DEFAULT_PLAN, PLAN_SUFFIX, Plan
from jitload.cli.inputs import PYTHON, SOURCES, refuse_directory
from jitload.cli.script import expect_script, told_apart
from jitload.errors import UsageValueError
from jitload.jit import JitKernel
from jitload.jit.specialization import SOURCE_SUFFIXES
from jitload.source.arch import EXECUTOR_ARCH
from jitload.source.request import CompileRequest
from jitload.target import wanted_options
from jitload.values import Kind

if TYPE_CHECKING:
    from pathlib import Path

#: What the requests are for, since they have to be for something.
_KIND, _ARCH = Kind.PTX, EXECUTOR_ARCH
_INIT = "__init__"


def requests_in(path: Path) -> list[CompileRequest]:
    """The requests for the programs of a file, each once, for one and the same target.

    Args:
        path: a Python file, whose kernels are those of its variables, and of the modules of its package that it
            imports where it is a package; a plan; or a CUDA C++ file, which is compiled without options.

    Raises:
        OSError: it cannot be read, or is a directory.
        UsageValueError: a plan that cannot be, a kernel that cannot be compiled so, or a file of another kind.
        Failed: the Python file cannot be imported; stderr was told.
    """
    refuse_directory(path, f"{_INIT}.py", DEFAULT_PLAN, PYTHON, SOURCES)
    if path.suffix == PLAN_SUFFIX:
        return Plan.read(path).requests([_ARCH], [_KIND])
    if path.suffix in SOURCE_SUFFIXES:
        return [CompileRequest(path, kind=_KIND, arch=_ARCH, options=wanted_options(()))]
    if path.suffix != ".py":
        raise UsageValueError(f"{path} is no source: write a Python file, a plan (.toml) or CUDA C++ (.cu)")
    kernels = _kernels_of(path)
    if not kernels:
        raise UsageValueError(f"{path} declares no kernel: no jit_kernel is a variable of it")
    linked = [kernel.__name__ for kernel in kernels if kernel.is_linked]
    if linked:
        raise UsageValueError(
            f"{', '.join(linked)} of {path}: the age of what is linked (link=) is not known before that is done: run "
            f"it with JITLOAD_COMPILE=never and an empty cache"
        )
    return list(dict.fromkeys([_any_instance(kernel).request(kind="ptx", arch=_ARCH) for kernel in kernels]))


def _kernels_of(path: Path) -> list[JitKernel]:
    """The kernels among the variables of a Python file. What it prints goes to stderr."""
    expect_script(path)
    name, place = _module_of(path)
    sys.path.insert(0, place)
    with told_apart(path, name):
        imported = getattr(import_module(name), "__file__", None)
    if imported is None or not path.samefile(imported):
        raise UsageValueError(
            f"{path} cannot be imported as {name}, which is {imported or 'built in'}: give it another name"
        )
    below = f"{name}." if path.stem == _INIT else None
    modules = [
        module for known, module in list(sys.modules.items()) if known == name or (below and known.startswith(below))
    ]
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, JitKernel)}
    return list(found.values())


def _module_of(path: Path) -> tuple[str, str]:
    """(the name by which a Python file is imported, the directory that its package lies in)."""
    place, parts = path.resolve().parent, [path.stem]
    while (place / f"{_INIT}.py").is_file():
        parts.insert(0, place.name)
        place = place.parent
    return ".".join(parts[:-1] if parts[-1] == _INIT and len(parts) > 1 else parts), str(place)


def _any_instance(kernel: JitKernel) -> JitKernel:
    """A kernel with something for each template argument, which does not matter to the age of its source."""
    parameters = inspect.signature(kernel.__wrapped__).parameters.values()
    own = [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY and one.default is one.empty]
    return kernel.specialize(**dict.fromkeys([one.name for one in own], "int")) if own else kernel
