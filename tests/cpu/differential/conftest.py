"""The reference: the same text, compiled for the host."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess

import pytest

COMPILER = shutil.which("g++") or shutil.which("c++")
FLAGS = [
    "-std=c++17",
    "-O1",
    "-ffp-contract=off",
    "-frounding-math",
    "-fno-strict-aliasing",
    "-fwrapv",
    "-w",
    "-shared",
    "-fPIC",
]


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """C++ -> loaded library; skips without a compiler."""
    if COMPILER is None:
        pytest.skip("needs a C++ compiler for the reference")
    directory = tmp_path_factory.mktemp("host")

    def build(text: str) -> ctypes.CDLL:
        stem = directory / hashlib.sha256(text.encode()).hexdigest()[:16]
        stem.with_suffix(".cpp").write_text(text)
        library = stem.with_suffix(".so")
        done = subprocess.run(
            [str(COMPILER), *FLAGS, str(stem.with_suffix(".cpp")), "-o", str(library)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr[:4000]
        return ctypes.CDLL(str(library))

    return build
