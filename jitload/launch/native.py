"""Launches in native code: whether they are in force, and why not where they are not.

The extension `jitload.launch._native` is optional. What it does is what the Python road of this directory does, for the
arguments that most launches have; everything else it hands to that road.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, NamedTuple

from jitload import config
from jitload.launch.lookup import PythonLookup

if TYPE_CHECKING:
    from types import ModuleType

    from jitload.launch import _native
    from jitload.launch.arguments import Signature

#: Raised with every change of what Python and native code say to each other (jitload/launch/_native.c has the same).
REVISION = 2

_REBUILD = "install jitload again where a C compiler and the headers of this Python are"


class Build(NamedTuple):
    """The extension, or why there is none and what to do about it."""

    module: ModuleType | None
    found: str
    fix: str


@functools.cache
def build() -> Build:
    """The extension as it is installed here, whatever the settings say. Never raises."""
    try:
        module = importlib.import_module("jitload.launch._native")
    except ModuleNotFoundError:
        return Build(None, "the native code was not built", _REBUILD)
    except Exception as error:  # noqa: BLE001 - a shared library that is broken, or of another machine
        return Build(None, f"the native code cannot be loaded ({type(error).__name__}: {error})", _REBUILD)
    revision = getattr(module, "REVISION", None)
    if revision != REVISION:
        found = f"the native code at {module.__file__} is of revision {revision}, and this is {REVISION}"
        return Build(None, found, _REBUILD)
    return Build(module, f"native code, {module.__file__}", "")


def extension() -> ModuleType | None:
    """The extension where it is there and the settings let it be used.

    Raises:
        UsageValueError: `JITLOAD_NATIVE` means nothing.
    """
    return build().module if config.current().native else None


def lookup_type() -> type:
    """The base of kernels, which has their `kernel[grid, block]`."""
    try:
        native = extension()
    except ValueError:  # a setting that means nothing; who loads a kernel is told
        native = None
    found: type = PythonLookup if native is None else native.Lookup
    return found


def make_plan(native: ModuleType | None, signature: Signature) -> _native.Plan | None:
    """The plan of a kernel for native code; None where it has to be launched in Python."""
    if native is None or len(signature.info.params) > native.MOST_PARAMETERS:
        return None
    plan: _native.Plan = native.Plan(signature.rows())
    return plan
