"""Compiles in a cache of their own, and a way to see in the PTX which header was used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jitload
from jitload.compiler import toolkit

#: Writes VALUE, which the headers of a test define, so that the PTX tells which of them was used.
KERNEL = 'extern "C" __global__ void k(int *out) { *out = VALUE; }\n'


@pytest.fixture
def cache(tmp_path):
    """A cache in a directory of this test."""
    return jitload.Cache(tmp_path / "cache")


@pytest.fixture
def compile_ptx(cache):
    """`compile(source, **arguments)` to PTX for compute_75, with this test's cache."""

    def run(source, **arguments):
        return jitload.compile(source, **{"arch": "compute_75", "cache": cache, **arguments})

    return run


@pytest.fixture
def value_of():
    """The constant that the kernel of an artifact writes."""

    def read(artifact):
        stored = re.search(r"st\.global\.\w+\s+\[[^\]]+\], (%r\d+|-?\d+);", artifact.data.decode())
        assert stored, artifact.data.decode()
        if not stored[1].startswith("%"):
            return int(stored[1])
        return int(re.search(rf"mov\.\w+\s+{stored[1]}, (-?\d+);", artifact.data.decode())[1])

    return read


@pytest.fixture
def value(compile_ptx, value_of):
    """The constant that the kernel writes when this text stands before it."""

    def read(prefix, **arguments):
        return value_of(compile_ptx(prefix + "\n" + KERNEL, **arguments))

    return read


@pytest.fixture
def file_value(tmp_path, compile_ptx, value_of):
    """The same for a source file at this path, which is written first."""

    def read(path, prefix, **arguments):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(prefix + "\n" + KERNEL)
        return value_of(compile_ptx(target, **arguments))

    return read


@pytest.fixture
def write(tmp_path):
    """Write files below tmp_path: path -> text or bytes. Gives tmp_path."""

    def put(files):
        for path, text in files.items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return put


@pytest.fixture
def compiles():
    """How many compiles this process has made so far."""
    return lambda: jitload.stats().compiles


@pytest.fixture
def needs_toolkit_header():
    """Skip unless the toolkit's headers have this one."""

    def check(name):
        if not any(Path(path, name).is_file() for _, path in toolkit.toolkit_roots()):
            pytest.skip(f"the toolkit's headers have no {name}")

    return check
