"""`jitload init`: a small package with a kernel, a test, a plan for its bundle, and the entry point that ships it."""

import keyword
from pathlib import Path
from typing import Annotated

import typer

from jitload.cli.console import clean_failures, new_app
from jitload.files.atomic import write_file

app = new_app()

#: What the package itself imports under these names.
_IMPORTED = frozenset({"jitload", "numpy", "pytest"})
_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["jitload", "numpy"]

[project.optional-dependencies]
test = ["jitload[cu12]", "pytest"]

# Who installs the wheel needs no compiler: its kernels are in the bundle, which is built as README.md says.
[project.entry-points."jitload.bundles"]
{name} = "{name}:{name}.jlb"

[tool.setuptools]
packages = ["{name}"]

[tool.setuptools.package-data]
{name} = ["*.cu", "*.jlb"]
""",
    "README.md": """\
# {name}

```sh
pip install -e '.[test]' && python -m pytest      # runs without a GPU, too
jitload bundle create {name}/precompile.toml -o {name}/{name}.jlb
pip wheel --no-deps .                             # a wheel with the kernels in it
```
""",
    "{name}/__init__.py": '''\
"""Kernels of {name}."""

import jitload
import numpy as np


@jitload.jit_kernel(file="scale.cu")
def scale(a: float, x: np.ndarray, n: int) -> None: ...


def scaled(a: float, x: np.ndarray) -> np.ndarray:
    """A copy of a float32 array, times `a`."""
    out = x.astype(np.float32)
    scale.forall(out.size)(a, out, out.size)
    return out
''',
    "{name}/scale.cu": """\
extern "C" __global__ void scale(float a, float *x, int n)
{{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= a;
}}
""",
    "{name}/precompile.toml": """\
# Four generations, and PTX for those that come after them and for machines without a GPU.
archs = ["sm_80", "sm_90", "sm_100", "sm_120", "compute_90"]

[[program]]
sources = ["*.cu"]
""",
    "tests/test_{name}.py": """\
import numpy as np

from {name} import scaled


def test_scaled():
    x = np.arange(1000, dtype=np.float32)
    np.testing.assert_array_equal(scaled(2.0, x), 2 * x)
""",
}


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made where it is not there.", show_default=False)
    ] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the package. Default: the directory's.")
    ] = None,
) -> None:
    """Begin a package with a kernel, a test and a bundle.

    Its wheel then carries the bundle, so who installs that needs no compiler. Nothing that is there is written over.

    \b
    jitload init fastops && cd fastops && pip install -e '.[test]' && python -m pytest
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        package = name or directory.resolve().name.replace("-", "_")
        taken = keyword.iskeyword(package) or package in _IMPORTED
        if taken or not package.isidentifier() or not package.isascii():
            raise ValueError(f"{package!r} cannot be the name of a package: write --name NAME")
        files = {directory / path.format(name=package): text.format(name=package) for path, text in _FILES.items()}
        there = [str(path) for path in files if path.exists()]
        if there:
            raise ValueError(f"nothing is written: {', '.join(there)} is there already")
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path.resolve(), text.encode())
            typer.echo(str(path))
