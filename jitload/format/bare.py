"""An image and what is known of its kernels and variables: the fields of an `Artifact`, most of them empty."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from jitload.digest import sha256_hex
from jitload.format.entry import decode_entry
from jitload.frozen import Value
from jitload.values import Kind, Toolchain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jitload.values import KernelInfo, Resources


class BareImage(Value):
    """What an entry holds that is not an artifact's."""

    __slots__ = ("arch", "compile_seconds", "data", "kernels", "key", "kind", "log", "name", "toolchain", "variables")
    kind: Kind
    data: bytes
    arch: str
    name: str
    key: str
    kernels: Mapping[str, KernelInfo]
    toolchain: Toolchain
    log: str
    compile_seconds: float
    variables: Mapping[str, str]


_make = BareImage._maker()


def bare_image(
    kind: str, data: bytes, kernels: Iterable[KernelInfo], variables: Mapping[str, str] = MappingProxyType({})
) -> BareImage:
    """The image, its kernels and the types of its variables, for `encode_entry`; the key is its own digest."""
    return _make(
        kind=Kind(kind),
        data=data,
        arch="",
        name="",
        key=sha256_hex(data),
        kernels={kernel.name: kernel for kernel in kernels},
        toolchain=Toolchain("", "", ""),
        log="",
        compile_seconds=0.0,
        variables=MappingProxyType(dict(variables)),
    )


def decode_bare(data: bytes, resources_in: Callable[[bytes], Mapping[str, Resources]]) -> BareImage:
    """What `encode_entry` gave.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    return decode_entry(data, None, _make, resources_in)
