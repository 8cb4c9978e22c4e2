"""The ground: Python, the platform, jitload with its dependencies, and the settings in force."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import jitload
from jitload import config
from jitload.cli.checks.finding import ok, problem
from jitload.settings.environment import unknown_variables
from jitload.settings.option import OPTIONS

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample

OLDEST_PYTHON = (3, 10)
MACHINES = ("x86_64", "aarch64")

#: Module -> distribution, where it is not the same name.
DEPENDENCIES = ("numpy", "diskcache", "typer")


def check_python(_sample: Sample) -> Finding:
    """Version and place of the interpreter."""
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if tuple(sys.version_info[:2]) < OLDEST_PYTHON:
        return problem(found, f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or later")
    return ok(found, version=platform.python_version(), executable=sys.executable)


def check_platform(_sample: Sample) -> Finding:
    """Operating system and machine."""
    system, machine = platform.system(), platform.machine()
    found = f"{system} {platform.release()} on {machine}"
    if system != "Linux" or machine not in MACHINES:
        return problem(found, f"use Linux on {' or '.join(MACHINES)}: jitload is tested nowhere else")
    return ok(found, system=system, release=platform.release(), machine=machine)


def check_jitload(_sample: Sample) -> Finding:
    """Version and place of jitload."""
    place = os.path.dirname(jitload.__file__)  # noqa: PTH120 - only its text is wanted
    return ok(f"{jitload.__version__} at {place}", version=jitload.__version__, directory=place)


def check_dependencies(_sample: Sample) -> Finding:
    """The packages that jitload needs in any case can be imported."""
    versions: dict[str, object] = {}
    broken: dict[str, str] = {}
    for name in DEPENDENCIES:
        try:
            import_module(name)
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown version"
        except Exception as error:  # noqa: BLE001 - a broken binary package raises what it likes
            broken[name] = f"{type(error).__name__}: {error}"
    found = ", ".join(f"{name} {number}" for name, number in versions.items())
    if broken:
        reasons = "; ".join(f"{name} cannot be imported ({reason})" for name, reason in broken.items())
        return problem(reasons, f"pip install --force-reinstall {' '.join(broken)}", **versions)
    return ok(found, **versions)


def check_settings(_sample: Sample) -> Finding:
    """Every setting in force, as it is written in its variable, and the variables that nothing reads."""
    try:
        settings = config.current()
    except ValueError as error:
        return problem(str(error), "correct that variable, or unset it; until then nothing else can be checked")
    lines, details = [], {}
    for option in OPTIONS:
        value = getattr(settings, option.name)
        written = option.written(value)
        listed = f", separated by {option.separator}" if option.separator else ""
        lines.append(
            f"{option.variable}={shlex.quote(written) if written else ''}  # {option.text.replace('`', '')}{listed}"
        )
        details[option.variable] = list(value) if isinstance(value, tuple) else value
    unknown = unknown_variables()
    details["unknown"] = sorted(unknown)
    found = "\n".join([*lines, *unknown.values()])
    if unknown:
        return problem(found, f"correct or unset {', '.join(unknown)}", **details)
    return ok(found, **details)
