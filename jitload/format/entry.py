r"""The bytes in which what a compile gives is kept.

The entry format, version 1. All integers are little-endian; nothing follows the last digest.

    entry    := magic version:u32 meta_bytes:u32 factors_bytes:u32 payload_bytes:u64 key:32 bytes
                meta factors payload digest:32 bytes
    magic    := "JLENTRY\n"
    meta     := canonical JSON: arch, compile_seconds, kernels, kind, log, name, toolchain; and three parts that are
                left out where nothing is known and that readers before them pass over. Two have a row for every kernel:
                types, the C++ types of its parameters; resources, the fields of `Resources` in the order of their
                names, or null. variables: {symbol: C++ type of the variable}. Of a blob it is: foreign_key (hex
                digits), kind ("blob"), namespace; readers before them refuse such an entry
    factors  := canonical JSON: what the key was made of, for `explain` and for rebuilding the index; may be "{}"
    payload  := the image: cubin, PTX, LTO-IR or fatbin
    digest   := SHA-256 over every byte before it

Canonical JSON is UTF-8, sorted keys, no spaces, no NaN. A reader gives all of it, or raises `ArtifactError`;
it never believes a length before comparing it with the bytes at hand.
"""

from __future__ import annotations

import struct
from types import MappingProxyType

from jitload.digest import DIGEST_BYTES, sha256
from jitload.errors import ArtifactError
from jitload.format.json import canonical_json, read_canonical
from jitload.frozen import Makers
from jitload.values import BLOB, Blob, KernelInfo, Kind, Parameter, Resources, Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol, TypeVar

    from jitload.format.json import Json, JsonObject
    from jitload.values import Image

    Made = TypeVar("Made")

    class Came(Protocol):
        """An entry that came in pieces, as `Arrived` has them."""

        payload: bytes
        digest: bytes

        def sha256_before(self) -> bytes:
            """SHA-256 of what stands before its digest."""

        def __len__(self) -> int:
            """Of all of it."""


MAGIC = b"JLENTRY\n"
VERSION = 1
HEADER = struct.Struct("<8sIIIQ32s")
#: No kernel image comes near this; a file that claims more is refused before it is read.
MAX_ENTRY_BYTES = 1 << 30

_KINDS = {kind.value: kind for kind in Kind}


def encode_entry(kept: Image | Blob, factors: bytes = b"{}") -> bytes:
    """The bytes of an entry; `factors` is canonical JSON."""
    meta = canonical_json(_blob_fields(kept) if isinstance(kept, Blob) else _image_fields(kept))
    header = HEADER.pack(MAGIC, VERSION, len(meta), len(factors), len(kept.data), bytes.fromhex(kept.key))
    body = b"".join((header, meta, factors, kept.data))
    return body + sha256(body)


def _blob_fields(blob: Blob) -> dict[str, object]:
    return {"foreign_key": blob.foreign_key.hex(), "kind": BLOB, "namespace": blob.namespace}


def _image_fields(artifact: Image) -> dict[str, object]:
    toolchain = artifact.toolchain
    fields: dict[str, object] = {
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
    if artifact.variables:
        fields["variables"] = dict(artifact.variables)
    return fields


def decode_entry(
    data: bytes, key: str | None, make: Callable[..., Made], resources_in: Callable[[bytes], Mapping[str, Resources]]
) -> Made:
    """The image that an entry holds.

    The arguments are those of `decode_kept`.

    Raises:
        ArtifactError: anything at all is wrong with the bytes, or they hold a blob.
    """
    kept = decode_kept(data, key, make, resources_in)
    if isinstance(kept, Blob):
        raise ArtifactError(f"entry of a blob of {kept.namespace!r}: the bytes of another system, and no kernel")
    return kept


def decode_kept(
    data: bytes,
    key: str | None,
    make: Callable[..., Made],
    resources_in: Callable[[bytes], Mapping[str, Resources]],
    came: Came | None = None,
) -> Made | Blob:
    """What an entry holds: an image, or a blob.

    Args:
        data: the whole entry, or the head of one that came in pieces.
        key: the key that was asked for; an entry that holds another one is refused.
        make: makes the result of an image; it is called with the fields of `Image` by name.
        resources_in: a cubin -> its symbols' resources, for an entry of a version that did not keep them.
        came: that entry.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    meta_end, factors_end, payload_end = _section_ends(data, key, came)
    try:
        meta = read_canonical(data[HEADER.size : meta_end])
        payload = data[factors_end:payload_end] if came is None else came.payload
        if meta["kind"] == BLOB:
            return _blob_from_json(meta, payload, key or data[28:60].hex())
        return make(**_fields_from_json(meta, payload, resources_in), data=payload, key=key or data[28:60].hex())
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtifactError(f"entry with unreadable metadata ({type(error).__name__}: {error})") from None


def _blob_from_json(meta: JsonObject, payload: bytes, key: str) -> Blob:
    namespace = _expect(meta["namespace"], str)
    return Blob(namespace, bytes.fromhex(_expect(meta["foreign_key"], str)), payload, key)


def decode_factors(data: bytes, key: str | None = None, came: Came | None = None) -> JsonObject:
    """The factors section of an entry, verified like what `decode_kept` gives, which says what the arguments are.

    Raises:
        ArtifactError: anything at all is wrong with the bytes.
    """
    meta_end, factors_end, _ = _section_ends(data, key, came)
    try:
        factors = read_canonical(data[meta_end:factors_end])
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"entry with unreadable factors ({error})") from None
    if not isinstance(factors, dict):
        raise ArtifactError(f"entry with unreadable factors: expected an object, got {type(factors).__name__}")
    return factors


def _section_ends(data: bytes, key: str | None, came: Came | None) -> tuple[int, int, int]:
    """Check magic, version, lengths, key and digest; give the ends of meta, factors and payload."""
    size = len(data) if came is None else len(came)
    if size < HEADER.size + DIGEST_BYTES:
        raise ArtifactError(f"entry too short: {size} bytes, the header alone takes {HEADER.size + DIGEST_BYTES}")
    if size > MAX_ENTRY_BYTES:
        raise ArtifactError(f"entry too long: more than {MAX_ENTRY_BYTES} bytes")
    magic, version, meta_bytes, factors_bytes, payload_bytes, own_key = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ArtifactError(f"not a jitload entry: starts with {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise ArtifactError(f"entry of version {version}, this jitload reads version {VERSION}")
    meta_end = HEADER.size + meta_bytes
    factors_end = meta_end + factors_bytes
    payload_end = factors_end + payload_bytes
    if payload_end + DIGEST_BYTES != size:
        raise ArtifactError(f"entry of {size} bytes whose header promises {payload_end + DIGEST_BYTES}")
    if came is None:
        right = sha256(memoryview(data)[:payload_end]) == data[payload_end:]
    else:
        right = came.sha256_before() == came.digest
    if not right:
        raise ArtifactError("entry whose digest does not match: it was damaged or altered")
    if key is not None and own_key.hex() != key:
        raise ArtifactError(f"entry holds key {own_key.hex()[:12]}..., not the {key[:12]}... that was asked for")
    return meta_end, factors_end, payload_end


#: On the way to every hit from the disk.
_make = Makers()
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def _kernel_to_json(kernel: KernelInfo) -> list[object]:
    params = [[p.offset, p.size, p.alignment, p.type, p.name, p.declared, p.pointer, p.const] for p in kernel.params]
    return [kernel.name, kernel.symbol, params, kernel.max_threads, kernel.required_block]


def _fields_from_json(
    meta: JsonObject, payload: bytes, resources_in: Callable[[bytes], Mapping[str, Resources]]
) -> dict[str, object]:
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
        known = resources_in(payload) if kind is Kind.CUBIN and rows else {}
        resources = [known.get(row[1]) for row in rows]
    if len(resources) != len(rows):
        raise ValueError(f"resources of {len(resources)} kernels, there are {len(rows)}")
    by_name = {row[0]: _kernel_from_json(row, *own) for row, *own in zip(rows, types, resources)}  # noqa: B905
    if len(by_name) != len(rows):
        raise ValueError("two kernels of one name")
    seconds = float(meta["compile_seconds"])
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} seconds")
    return {
        "arch": arch,
        "compile_seconds": seconds,
        "kernels": MappingProxyType(by_name),
        "kind": kind,
        "log": log,
        "name": name,
        "toolchain": _make[Toolchain](digest=digest, name=compiler, version=version),
        "variables": _variables_from_json(meta["variables"]) if "variables" in meta else _NO_VARIABLES,
    }


def _variables_from_json(types: Json) -> Mapping[str, str]:
    for text in _expect(types, dict).values():
        _expect(text, str)
    return MappingProxyType(types)


def _resources_from_json(row: list[Json] | None) -> Resources | None:
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
    return _make[Resources](
        barriers=barriers,
        code_bytes=code,
        constant_bytes=constant,
        max_threads=threads,
        registers=registers,
        shared_bytes=shared,
        spill_load_bytes=load,
        spill_store_bytes=store,
        stack_bytes=stack,
    )


def _kernel_from_json(row: list[Json], types: list[Json], resources: Resources | None) -> KernelInfo:
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
    return _make[KernelInfo](
        max_threads=max_threads,
        name=name,
        params=parameters,
        required_block=required_block,
        resources=resources,
        symbol=symbol,
    )


def _parameter_from_json(row: list[Json], cpp: str) -> Parameter:
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
    return _make[Parameter](
        alignment=alignment,
        const=const,
        cpp=cpp,
        declared=declared,
        name=name,
        offset=offset,
        pointer=pointer,
        size=size,
        type=ptx_type,
    )


def _count(value: Json) -> int:
    if _expect(value, int) < 0:
        raise ValueError(f"expected a count, got {value}")
    return int(value)


def _expect(value: object, kind: type) -> Json:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value
