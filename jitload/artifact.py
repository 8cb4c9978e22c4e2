"""`Artifact`: what a compile gives, and the ways in and out of it."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType

import jitload
from jitload.errors import ArtifactError
from jitload.files.regular import open_regular
from jitload.format import entry
from jitload.format.entry import HEADER as HEADER
from jitload.format.entry import MAGIC as MAGIC
from jitload.format.entry import MAX_ENTRY_BYTES, encode_entry
from jitload.format.entry import decode_factors as decode_factors
from jitload.frozen import Value
from jitload.given import given_path
from jitload.lazy import lazy
from jitload.trace import is_mistake, short_errors
from jitload.values import KernelInfo, Kind, Toolchain
from jitload.values import Parameter as Parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from cuda import core as cuda_core

    from jitload import Module, notebook
    from jitload.files import atomic
    from jitload.images import resources as image_resources
    from jitload.values import Blob, Resources

    Foreign: TypeAlias = Any  # cuda.core's `ObjectCode`, which is known where it is installed
    #: What tiers keep.
    Kept: TypeAlias = "Artifact | Blob"
else:
    cuda_core = lazy("cuda.core")
    atomic = lazy("jitload.files.atomic")  # a hit writes nothing
    notebook = lazy("jitload.notebook")
    image_resources = lazy("jitload.images.resources")  # only entries of an older version have a use for it

__tracebackhide__ = is_mistake

#: `e_type` of a relocatable ELF file (ET_REL), little-endian, at byte 16.
ELF_RELOCATABLE = b"\x01\0"


class Artifact(Value):
    """A compiled image and everything a launch needs to know about it.

    Attributes:
        kind: "cubin", "ptx", "ltoir" or "fatbin".
        data: the image.
        arch: what it was compiled for: "sm_90", "compute_75"; several for a fatbin, joined by ",".
        name: the program name.
        key: 64 hex digits, the digest of everything that can change `data`.
        kernels: the name that the user wrote -> `KernelInfo`.
        toolchain: the compiler, with its version and the digest of its libraries.
        log: what the compiler said (warnings), with the user's file names.
        compile_seconds: what the compile took when it was made; a hit keeps the figure.
        variables: symbol -> canonical C++ type ("float [8]") of the variables of the device, where it is certain.
    """

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

    def __init__(
        self,
        *,
        kind: Kind,
        data: bytes,
        arch: str,
        name: str,
        key: str,
        kernels: Iterable[KernelInfo],
        toolchain: Toolchain,
        log: str = "",
        compile_seconds: float = 0.0,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._set(
            kind=kind,
            data=data,
            arch=arch,
            name=name,
            key=key,
            kernels=MappingProxyType({kernel.name: kernel for kernel in kernels}),
            toolchain=toolchain,
            log=log,
            compile_seconds=compile_seconds,
            variables=MappingProxyType(dict(variables)),
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is Artifact and other.key == self.key and other.data == self.data

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def relocatable(self) -> bool:
        """Whether it is a part of a program that is to be linked, and cannot be loaded: a cubin made with -rdc=true."""
        return self.kind is Kind.CUBIN and self.data[16:18] == ELF_RELOCATABLE

    def __repr__(self) -> str:
        names = ", ".join(self.kernels)
        kind = f"{self.kind}, relocatable" if self.relocatable else self.kind
        return f"Artifact(kind={kind}, arch={self.arch}, {len(self.data)} bytes, kernels=[{names}], {self.key[:12]})"

    def _repr_html_(self) -> str:
        rows = [
            (info.name, f"({', '.join(info.parameters)})", *_figures(info.resources)) for info in self.kernels.values()
        ]
        title = f"{self.name}: {self.kind} for {self.arch}, {len(self.data):,} bytes"
        header = ("kernel", "parameters", "registers", "shared bytes", "spilled bytes", "threads at most")
        return notebook.html_table(title, header, rows, f"{self.toolchain}; key {self.key[:12]}")

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # Mapping proxies do not pickle.
        return {**state, "kernels": dict(self.kernels), "variables": dict(self.variables)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        variables = state.get("variables", {})  # a pickle of a version without them has none
        proxies = {"kernels": MappingProxyType(state["kernels"]), "variables": MappingProxyType(variables)}
        self._set(**{**state, **proxies})

    def load(self) -> Module:
        """Load the image and give a module that answers to the names in `kernels` and to the symbols.

        Returns:
            The module; its kernels run on the device that is in force.

        Raises:
            LoadError: the image cannot be loaded here.
        """
        return jitload.load_artifact(self)

    def to_object_code(self) -> Foreign:
        """The image as an `ObjectCode` of cuda.core, whose `get_kernel` takes the names in `kernels` and the symbols.

        Raises:
            ImportError: cuda.core is not installed: pip install cuda-core.
        """
        symbols = {kernel.name: kernel.symbol.encode() for kernel in self.kernels.values()}
        make = getattr(cuda_core.ObjectCode, f"from_{self.kind}")
        return make(self.data, name=self.name, symbol_mapping=symbols)

    @short_errors
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one self-verifying file (the entry format), atomically.

        Args:
            path: the file, by custom in ".jle"; one that is there is replaced.

        Raises:
            OSError: the file cannot be written.
        """
        atomic.write_file(given_path("path", path), encode_entry(self))

    @staticmethod
    @short_errors
    def open(path: str | os.PathLike[str]) -> Artifact:
        """Read a file that `save` wrote.

        Args:
            path: the file.

        Returns:
            The artifact, verified, with its kernels, types and resources.

        Raises:
            ArtifactError: it is damaged, truncated or something else.
            OSError: it cannot be read.
        """
        name = given_path("path", path)
        with open_regular(name) as file:
            data = file.read(MAX_ENTRY_BYTES + 1)
        try:
            return decode_entry(data)
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error}") from None


def _figures(taken: Resources | None) -> tuple[object, ...]:
    if taken is None:
        return (None,) * 4
    return (taken.registers, taken.shared_bytes, taken.spill_store_bytes, taken.max_threads)


_make_artifact = Artifact._maker()


def decode_entry(data: bytes, key: str | None = None) -> Artifact:
    """The artifact in an entry.

    Args:
        data: the whole entry.
        key: the key that was asked for; an entry that holds another one is refused.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    return entry.decode_entry(data, key, _make_artifact, _resources_in)


def _resources_in(cubin: bytes) -> dict[str, Resources]:
    return image_resources.known_resources(cubin)


#: The same of an entry that may also hold a blob: `format.entry.decode_kept`, which makes an `Artifact` of an image.
decode_kept = partial(entry.decode_kept, make=_make_artifact, resources_in=_resources_in)
