r"""What a compile gives, and the bytes it is kept in.

The entry format, version 1. All integers are little-endian; nothing follows the last digest.

    entry    := magic version:u32 meta_bytes:u32 factors_bytes:u32 payload_bytes:u64 key:32 bytes
                meta factors payload digest:32 bytes
    magic    := "JLENTRY\n"
    meta     := canonical JSON: arch, compile_seconds, kernels, kind, log, name, toolchain; and two parts that are left
                out where nothing is known and that readers before them pass over, each with a row for every kernel:
                types, the C++ types of its parameters; resources, the fields of `Resources` in the order of their
                names, or null
    factors  := canonical JSON: what the key was made of, for `explain` and for rebuilding the index; may be "{}"
    payload  := the image: cubin, PTX, LTO-IR or fatbin
    digest   := SHA-256 over every byte before it

Canonical JSON is UTF-8, sorted keys, no spaces, no NaN. A reader gives an `Artifact`, or raises `ArtifactError`;
it never believes a length before comparing it with the bytes at hand.
"""

from __future__ import annotations

import json
import struct
from enum import Enum
from types import MappingProxyType

from jitload.digest import DIGEST_BYTES, sha256
from jitload.errors import ArtifactError
from jitload.files.atomic import write_file
from jitload.given import given_path
from jitload.values import Resources, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import Any

    from jitload.loader.module import Module

MAGIC = b"JLENTRY\n"
VERSION = 1
HEADER = struct.Struct("<8sIIIQ32s")
#: No kernel image comes near this; a file that claims more is refused before it is read.
MAX_ENTRY_BYTES = 1 << 30
#: `e_type` of a relocatable ELF file (ET_REL), little-endian, at byte 16.
ELF_RELOCATABLE = b"\x01\0"


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


_KINDS = {kind.value: kind for kind in Kind}
#: (text) -> (value, end): what `json.loads` does, without looking for another encoding or white space.
_decode_json = json.JSONDecoder().raw_decode


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
        declared: the C++ type as written, e.g. "const T *", or "" when not known.
        cpp: the canonical C++ type as instantiated, e.g. "const float *", or "" when not known for certain. Typedefs
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

    def replace(self, **changes: Any) -> KernelInfo:
        """The same with other values for some of its fields."""
        return KernelInfo(**{**self.__getstate__(), **changes})

    @property
    def parameters(self) -> tuple[str, ...]:
        """The canonical C++ type of each parameter as instantiated ("const float *"), "" where it is not known."""
        return tuple([p.cpp for p in self.params])

    @property
    def parameter_bytes(self) -> int:
        """Size of the parameter block in bytes."""
        return max((p.offset + p.size for p in self.params), default=0)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"resources": None, **state})  # a pickle of a version without them


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
    """

    __slots__ = ("arch", "compile_seconds", "data", "key", "kind", "kernels", "log", "name", "toolchain")  # noqa: RUF023
    kind: Kind
    data: bytes
    arch: str
    name: str
    key: str
    kernels: Mapping[str, KernelInfo]
    toolchain: Toolchain
    log: str
    compile_seconds: float

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

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, "kernels": dict(self.kernels)}  # a mapping proxy does not pickle

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**{**state, "kernels": MappingProxyType(state["kernels"])})

    def load(self) -> Module:
        """Load the image and give a module that answers to the names in `kernels` and to the symbols.

        Raises:
            LoadError: the image cannot be loaded here.
        """
        from jitload.loader.registry import load_artifact

        return load_artifact(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one self-verifying file (the entry format), atomically.

        Raises:
            OSError: the file cannot be written.
        """
        write_file(given_path("path", path), encode_entry(self))

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Artifact:
        """Read a file that `save` wrote.

        Raises:
            ArtifactError: it is damaged, truncated or something else.
            OSError: it cannot be read.
        """
        name = given_path("path", path)
        with open(name, "rb") as file:
            data = file.read(MAX_ENTRY_BYTES + 1)
        try:
            return decode_entry(data)
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error}") from None


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: UTF-8, sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")  # as json.loads decodes: file names need not be UTF-8


def encode_entry(artifact: Artifact, factors: bytes = b"{}") -> bytes:
    """The bytes of an entry; `factors` is canonical JSON."""
    toolchain = artifact.toolchain
    fields: dict[str, Any] = {
        "arch": artifact.arch,
        "compile_seconds": artifact.compile_seconds,
        "kernels": [_kernel_to_json(kernel) for kernel in artifact.kernels.values()],
        "kind": artifact.kind.value,
        "log": artifact.log,
        "name": artifact.name,
        "toolchain": [toolchain.name, toolchain.version, toolchain.digest],
    }
    types = [kernel.parameters for kernel in artifact.kernels.values()]
    if any(map(any, types)):
        fields["types"] = types
    resources = [kernel.resources and kernel.resources._fields() for kernel in artifact.kernels.values()]
    if any(resources):
        fields["resources"] = resources
    meta = canonical_json(fields)
    header = HEADER.pack(MAGIC, VERSION, len(meta), len(factors), len(artifact.data), bytes.fromhex(artifact.key))
    body = b"".join((header, meta, factors, artifact.data))
    return body + sha256(body)


def decode_entry(data: bytes, key: str | None = None) -> Artifact:
    """The artifact in an entry.

    Args:
        data: the whole entry.
        key: the key that was asked for; an entry that holds another one is refused.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    meta_end, factors_end, payload_end = _section_ends(data, key)
    try:
        text = data[HEADER.size : meta_end].decode("utf-8", "surrogatepass")
        meta, end = _decode_json(text)
        if end != len(text):
            raise ValueError(f"{len(text) - end} characters after it")
        return _artifact_from_json(meta, data[factors_end:payload_end], key or data[28:60].hex())
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtifactError(f"entry with unreadable metadata ({type(error).__name__}: {error})") from None


def decode_factors(data: bytes, key: str | None = None) -> dict[str, Any]:
    """The factors section of an entry, verified like `decode_entry`.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    meta_end, factors_end, _ = _section_ends(data, key)
    try:
        factors = json.loads(data[meta_end:factors_end])
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"entry with unreadable factors ({error})") from None
    if not isinstance(factors, dict):
        raise ArtifactError(f"entry with unreadable factors: expected an object, got {type(factors).__name__}")
    return factors


def _section_ends(data: bytes, key: str | None) -> tuple[int, int, int]:
    """Check magic, version, lengths, key and digest; give the ends of meta, factors and payload."""
    if len(data) < HEADER.size + DIGEST_BYTES:
        raise ArtifactError(f"entry too short: {len(data)} bytes, the header alone takes {HEADER.size + DIGEST_BYTES}")
    if len(data) > MAX_ENTRY_BYTES:
        raise ArtifactError(f"entry too long: more than {MAX_ENTRY_BYTES} bytes")
    magic, version, meta_bytes, factors_bytes, payload_bytes, own_key = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ArtifactError(f"not a jitload entry: starts with {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise ArtifactError(f"entry of version {version}, this jitload reads version {VERSION}")
    meta_end = HEADER.size + meta_bytes
    factors_end = meta_end + factors_bytes
    payload_end = factors_end + payload_bytes
    if payload_end + DIGEST_BYTES != len(data):
        raise ArtifactError(f"entry of {len(data)} bytes whose header promises {payload_end + DIGEST_BYTES}")
    if sha256(memoryview(data)[:payload_end]) != data[payload_end:]:
        raise ArtifactError("entry whose digest does not match: it was damaged or altered")
    if key is not None and own_key.hex() != key:
        raise ArtifactError(f"entry holds key {own_key.hex()[:12]}..., not the {key[:12]}... that was asked for")
    return meta_end, factors_end, payload_end


# On the way to every hit from the disk. Their arguments are in the order of `__slots__`.
_make_toolchain = Toolchain._maker()
_make_parameter = Parameter._maker()
_make_resources = Resources._maker()
_make_kernel = KernelInfo._maker()
_make_artifact = Artifact._maker()


def _kernel_to_json(kernel: KernelInfo) -> list[Any]:
    params = [[p.offset, p.size, p.alignment, p.type, p.name, p.declared, p.pointer, p.const] for p in kernel.params]
    return [kernel.name, kernel.symbol, params, kernel.max_threads, kernel.required_block]


def _artifact_from_json(meta: dict[str, Any], payload: bytes, key: str) -> Artifact:
    arch, name, log = meta["arch"], meta["name"], meta["log"]
    compiler, version, digest = _expect(meta["toolchain"], list)
    if not type(arch) is type(name) is type(log) is type(compiler) is type(version) is type(digest) is str:
        raise TypeError("expected text")
    rows = meta["kernels"]
    types = _expect(meta.get("types", [[]] * len(rows)), list)
    if len(types) != len(rows):
        raise ValueError(f"types of {len(types)} kernels, there are {len(rows)}")
    kind = _KINDS[meta["kind"]]
    if "resources" in meta:
        resources = [_resources_from_json(row) for row in meta["resources"]]
    else:
        resources = _read_resources(payload, rows) if kind is Kind.CUBIN else [None] * len(rows)
    if len(resources) != len(rows):
        raise ValueError(f"resources of {len(resources)} kernels, there are {len(rows)}")
    by_name = {row[0]: _kernel_from_json(row, *own) for row, *own in zip(rows, types, resources)}  # noqa: B905
    if len(by_name) != len(rows):
        raise ValueError("two kernels of one name")
    seconds = float(meta["compile_seconds"])
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} seconds")
    toolchain = _make_toolchain(digest, compiler, version)
    return _make_artifact(arch, seconds, payload, key, kind, MappingProxyType(by_name), log, name, toolchain)


def _read_resources(cubin: bytes, rows: list[Any]) -> list[Resources | None]:
    """What the image itself tells, for an entry of a version that did not keep it."""
    from jitload.loader.resources import known_resources  # other entries have no use for it

    found = known_resources(cubin)
    return [found.get(row[1]) for row in rows]


def _resources_from_json(row: list[Any] | None) -> Resources | None:
    if row is None:
        return None
    barriers, code, constant, threads, registers, shared, load, store, stack = row
    loads, stores = (0, 0) if load is None and store is None else (load, store)
    if not (
        type(barriers) is type(code) is type(constant) is type(threads) is type(registers) is type(shared) is int
        and type(loads) is type(stores) is type(stack) is int
        and (barriers >= 0 <= code and constant >= 0 <= threads and registers >= 0 <= shared)
        and (loads >= 0 <= stores and stack >= 0)
    ):
        raise TypeError(f"expected the resources of a kernel, got {row!r:.80}")
    return _make_resources(barriers, code, constant, threads, registers, shared, load, store, stack)


def _kernel_from_json(row: list[Any], types: list[Any], resources: Resources | None) -> KernelInfo:
    name, symbol, params, max_threads, required_block = row
    if max_threads is not None:
        _count(max_threads)
    if required_block is not None:
        x, y, z = required_block
        required_block = (_count(x), _count(y), _count(z))
    if type(name) is not str or type(symbol) is not str:
        raise TypeError("a kernel without a name")
    if not types:  # an entry without them, or a kernel without parameters
        types = [""] * len(params)
    elif len(types) != len(params):
        raise ValueError(f"types of {len(types)} parameters, there are {len(params)}")
    parameters = tuple([_parameter_from_json(*pair) for pair in zip(params, _expect(types, list))])  # noqa: B905
    return _make_kernel(max_threads, name, parameters, required_block, resources, symbol)


def _parameter_from_json(row: list[Any], cpp: str) -> Parameter:
    offset, size, alignment, ptx_type, name, declared, pointer, const = row
    if not (
        (type(offset) is type(size) is type(alignment) is int)
        and (type(ptx_type) is type(name) is type(declared) is type(cpp) is str)
        and type(const) is bool
        and (pointer is None or type(pointer) is bool)
        and offset >= 0 <= size
        and alignment >= 0
    ):
        raise TypeError(f"expected a parameter, got {row!r:.80}")
    return _make_parameter(alignment, const, cpp, declared, name, offset, pointer, size, ptx_type)


def _count(value: Any) -> int:
    if _expect(value, int) < 0:
        raise ValueError(f"expected a count, got {value}")
    return int(value)


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value
