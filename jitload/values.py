"""What the rooms hand to each other: kinds of images, compilers, kernels, and what those take. Frozen, no codec."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

from jitload.frozen import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal, Protocol, TypeAlias

    #: How a kind is written; a `str` of which nobody knows what is in it is made one by `Kind(text)`.
    KindName: TypeAlias = "Kind | Literal['cubin', 'ptx', 'ltoir', 'fatbin']"

    class Image(Protocol):
        """What the rooms below an `Artifact` know of it: its fields."""

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


#: What is kept of a kind of its own: bytes under a foreign key (`Blob`). It is no `Kind`: nobody can compile it.
BLOB = "blob"


class Kind(str, Enum):
    """What the bytes of a module are. Members compare equal to their lower-case names."""

    CUBIN = "cubin"
    PTX = "ptx"
    LTOIR = "ltoir"
    FATBIN = "fatbin"

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(str(self.value), spec)


class Blob(Value):
    """Bytes that somebody else's system keeps here, under a key of its own.

    What an artifact has and a blob has not is empty, so that tiers keep both alike.

    Attributes:
        namespace: whose key it is: "triton".
        foreign_key: their key.
        data: the bytes.
        key: 64 hex digits: the digest of namespace and foreign key, under which tiers keep it.
    """

    __slots__ = ("data", "foreign_key", "key", "namespace")
    namespace: str
    foreign_key: bytes
    data: bytes
    key: str

    kind = BLOB
    arch = ""
    kernels: Mapping[str, KernelInfo] = MappingProxyType({})
    compile_seconds = 0.0

    def __init__(self, namespace: str, foreign_key: bytes, data: bytes, key: str) -> None:
        self._set(namespace=namespace, foreign_key=foreign_key, data=data, key=key)

    @property
    def name(self) -> str:
        """The namespace, where an artifact has the name of its program."""
        return self.namespace

    def __repr__(self) -> str:
        return f"Blob({self.namespace}, {self.foreign_key[:16]!r}, {len(self.data)} bytes, {self.key[:12]})"


class Toolchain(Value):
    """The compiler behind an artifact.

    Attributes:
        name: "nvrtc".
        version: its version with the build number, e.g. "12.9.86".
        digest: SHA-256 (hex) over the compiler's libraries.
    """

    __slots__ = ("digest", "name", "version")
    name: str
    version: str
    digest: str

    def __init__(self, name: str, version: str, digest: str) -> None:
        self._set(name=name, version=version, digest=digest)

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.digest[:12]})"


class Parameter(Value):
    """One parameter of a kernel, as the parameter block holds it.

    Attributes:
        name: the C++ name, or "" when the source does not show it.
        offset: bytes from the start of the parameter block (PTX ISA section 5.1.6, Parameter State Space).
        size: bytes.
        alignment: bytes.
        type: the PTX type: "u64", "f32", ... or "b8" for a structure or array by value.
        declared: the C++ type as written, e.g. `const T *`, or "" when not known.
        cpp: the canonical C++ type as instantiated, e.g. `const float *`, or "" when not known for certain. Typedefs
            are resolved ("unsigned long" for size_t, "float2" for cuFloatComplex), inline namespaces dropped.
        pointer: True for a pointer, False for a value, None when a 64-bit integer could be either.
        const: True for a pointer to const (its array is never written back).
    """

    __slots__ = ("alignment", "const", "cpp", "declared", "name", "offset", "pointer", "size", "type")
    name: str
    offset: int
    size: int
    alignment: int
    type: str
    declared: str
    cpp: str
    pointer: bool | None
    const: bool

    def __init__(
        self,
        offset: int,
        size: int,
        alignment: int,
        type: str,  # noqa: A002 - the field's word
        *,
        name: str = "",
        declared: str = "",
        cpp: str = "",
        pointer: bool | None = None,
        const: bool = False,
    ) -> None:
        self._set(
            name=name,
            offset=offset,
            size=size,
            alignment=alignment,
            type=type,
            declared=declared,
            cpp=cpp,
            pointer=pointer,
            const=const,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"cpp": "", **state})  # a pickle of a version without it


class Resources(Value):
    """What one kernel takes of a multiprocessor, as its cubin says. No GPU is needed to know it.

    Attributes:
        registers: per thread.
        stack_bytes: of its stack frame, per thread: local arrays, and registers that were spilled.
        shared_bytes: static shared memory per block, without the 1024 bytes that the system keeps from sm_90 on.
        spill_store_bytes: written to the stack for want of registers, or None where the compiler was not asked.
        spill_load_bytes: read back, likewise.
        constant_bytes: of its constant bank 0: the parameters and what lies before them.
        code_bytes: of its machine code.
        barriers: named barriers per block.
        max_threads: the most threads per block that can be launched, by `__launch_bounds__` and by registers.
    """

    __slots__ = (
        "barriers",
        "code_bytes",
        "constant_bytes",
        "max_threads",
        "registers",
        "shared_bytes",
        "spill_load_bytes",
        "spill_store_bytes",
        "stack_bytes",
    )
    registers: int
    stack_bytes: int
    shared_bytes: int
    spill_store_bytes: int | None
    spill_load_bytes: int | None
    constant_bytes: int
    code_bytes: int
    barriers: int
    max_threads: int

    def __init__(
        self,
        *,
        registers: int,
        stack_bytes: int = 0,
        shared_bytes: int = 0,
        spill_store_bytes: int | None = None,
        spill_load_bytes: int | None = None,
        constant_bytes: int = 0,
        code_bytes: int = 0,
        barriers: int = 0,
        max_threads: int = 1024,
    ) -> None:
        self._set(
            registers=registers,
            stack_bytes=stack_bytes,
            shared_bytes=shared_bytes,
            spill_store_bytes=spill_store_bytes,
            spill_load_bytes=spill_load_bytes,
            constant_bytes=constant_bytes,
            code_bytes=code_bytes,
            barriers=barriers,
            max_threads=max_threads,
        )


class KernelInfo(Value):
    """What a launch must know about one kernel.

    Attributes:
        name: what the user calls it: "saxpy", "reduce<float, 256>".
        symbol: the lowered name in the image.
        params: its parameters, in order.
        max_threads: threads per block allowed by `__launch_bounds__` (PTX `.maxntid`), or None.
        required_block: the block that PTX `.reqntid` demands, or None.
        resources: what it takes of a multiprocessor, where the image is a cubin; None for every other kind, whose
            machine code is made later (PTX, LTO-IR) or is there several times (fatbins: `jitload.occupancy`).
    """

    __slots__ = ("max_threads", "name", "params", "required_block", "resources", "symbol")
    name: str
    symbol: str
    params: tuple[Parameter, ...]
    max_threads: int | None
    required_block: tuple[int, int, int] | None
    resources: Resources | None

    def __init__(
        self,
        name: str,
        symbol: str,
        params: Iterable[Parameter],
        *,
        max_threads: int | None = None,
        required_block: tuple[int, int, int] | None = None,
        resources: Resources | None = None,
    ) -> None:
        self._set(
            name=name,
            symbol=symbol,
            params=tuple(params),
            max_threads=max_threads,
            required_block=required_block,
            resources=resources,
        )

    def __repr__(self) -> str:
        taken = (f"{one.cpp or one.type} {one.name or ''}".rstrip().replace("* ", "*") for one in self.params)
        return f"<KernelInfo {self.name}({', '.join(taken)})>"

    def replace(self, **changes: Any) -> KernelInfo:
        """The same with other values for some of its fields.

        Args:
            **changes: the new values, by name.
        """
        return KernelInfo(**{**self.__getstate__(), **changes})

    @property
    def parameters(self) -> tuple[str, ...]:
        """The canonical C++ type of each parameter as instantiated (`const float *`), "" where it is not known."""
        return tuple([p.cpp for p in self.params])

    @property
    def parameter_bytes(self) -> int:
        """Size of the parameter block in bytes."""
        return max((p.offset + p.size for p in self.params), default=0)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"resources": None, **state})  # a pickle of a version without them
