"""The one thing that pyproject.toml cannot say: which Python the optional extension is built for.

From Python 3.12 on one build serves all later ones (the limited API, abi3); older ones, and those without a global
lock, get one each. Where it cannot be built the install goes on, and kernels are launched in pure Python: `jitload
doctor` says which, and why.
"""

import hashlib
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

LIMITED_API = (3, 12)
SOURCES = sorted(Path("jitload/launch").glob("**/*.[ch]"))


def build_options() -> dict[str, object]:
    """The extension, and the tag of a wheel that has it."""
    macros = [("SOURCES_DIGEST", f'"{digest()}"')]
    limited = sys.version_info >= LIMITED_API and not sysconfig.get_config_var("Py_GIL_DISABLED")
    if limited:
        macros.append(("Py_LIMITED_API", f"0x{LIMITED_API[0]:02X}{LIMITED_API[1]:02X}0000"))
    extension = Extension(
        "jitload.launch._native",
        [str(path) for path in SOURCES if path.suffix == ".c"],
        depends=[str(path) for path in SOURCES if path.suffix == ".h"],
        define_macros=macros,
        extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden"],
        libraries=["m"],
        py_limited_api=limited,
        optional=True,
    )
    tag = {"bdist_wheel": {"py_limited_api": "cp{}{}".format(*LIMITED_API)}} if limited else {}
    return {"ext_modules": [extension], "options": tag}


def digest() -> str:
    """Tells a build of these sources from one of others."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in SOURCES)).hexdigest()


setup(**build_options())
