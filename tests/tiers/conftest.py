"""Artifacts whose payload is a real image, made without a compiler: the cache does not care where they come from."""

from __future__ import annotations

import pytest

from jitload.artifact import Artifact
from jitload.digest import sha256_hex
from jitload.values import KernelInfo, Kind, Parameter, Toolchain

PTX = b"""//
.version 8.4
.target sm_75
.address_size 64

.visible .entry k()
{
	ret;
}
"""


def make_artifact(number: int = 0, padding: int = 0, key: str = "") -> Artifact:
    data = PTX + b"// " + str(number).encode() + b"." * padding + b"\n\0"
    return Artifact(
        kind=Kind.PTX,
        data=data,
        arch="compute_75",
        name=f"k{number}.cu",
        key=key or sha256_hex(b"key %d" % number),
        kernels=[KernelInfo("k", "k", [Parameter(0, 8, 8, "u64", name="x", pointer=True)])],
        toolchain=Toolchain("nvrtc", "12.9.86", "ab" * 32),
        compile_seconds=0.25,
    )


@pytest.fixture
def artifact() -> Artifact:
    return make_artifact()
