"""The parts of the suite: which program measures what, and what it needs."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Row

#: What is compared, by the name of its package.
PEERS = {
    "cuda.core": "cuda-core",
    "CuPy": "cupy-cuda12x",
    "numba-cuda": "numba-cuda",
    "Triton": "triton",
    "Warp": "warp-lang",
    "tvm-ffi": "apache-tvm-ffi",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """One program of this directory.

    Attributes:
        name: as `--only` takes it.
        asks: the question, one line.
        program: module and function that gives the rows.
        rounds: in the whole suite.
        packages: what has to be installed, by the name of its package.
        programs: what has to be there to be started.
    """

    name: str
    asks: str
    program: str
    rounds: int
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What it needs and does not find here."""
        packages = [name for name in self.packages if not installed(name)]
        return packages + [name for name in self.programs if shutil.which(name) is None]

    def rows(self, rounds: int) -> Iterator[Row]:
        """Measured as they are asked for."""
        module, _, function = self.program.partition(":")
        yield from getattr(importlib.import_module(module), function)(rounds)


PARTS = (
    Part("hits", "Hits, compiles and new processes", "cache:rows", 15),
    Part("launch", "A launch, the Python side of it", "launch:suite", 60, ("cuda-bindings",), ("cc",)),
    Part("bundle", "Bundles", "bundle:rows", 15),
    Part("batch", "Batches", "precompile:rows", 2),
    Part("remote", "A remote", "remote:rows", 9, ("redis",), ("redis-server",)),
    Part("farm", "A farm of Dask workers", "farm:rows", 2, ("distributed",)),
    Part("triton", "Triton's cache on ours", "triton_cache:rows", 7, ("triton",)),
    Part("cpu", "The CPU executor", "cpu:rows", 9),
    Part("native", "The CPU executor's machine code", "machine_code:rows", 9, ("llvmlite",)),
)


def installed(package: str) -> str | None:
    """Its version; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
