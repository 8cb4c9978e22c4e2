"""Making bundles: what a cache holds for some requests, or several bundles, as one file. Same inputs, same bytes.

What differs from one build to the next is left out of the entries: how long a compile took, what the compiler said with
the user's file names, and the stamps of header files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.artifact import Artifact
from jitload.bundles.bundle import Bundle
from jitload.bundles.format import encode_blob, encode_bundle
from jitload.bundles.manifest import MAX_PROGRAMS, About
from jitload.compiler.key import readable_factors
from jitload.compiler.unstable import why_unstable
from jitload.digest import sha256_hex
from jitload.errors import BundleError, UsageValueError
from jitload.files.atomic import write_file
from jitload.format.entry import encode_entry
from jitload.format.json import canonical_json
from jitload.headers.record import MAX_VARIANTS, Variant, encode_record
from jitload.source.request import request_of
from jitload.tiers.cache import default_cache
from jitload.tiers.lookup import ask

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from jitload.bundles.manifest import Manifest
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.workloads.workload import Workload

    Row = tuple[Variant, bytes, Artifact]
    Found = dict[str, dict[str, Row]]
    Absent = tuple[tuple[str, str], ...]


def create(
    path: str | os.PathLike[str],
    requests: Iterable[object],
    *,
    cache: Cache | None = None,
    builder: str = "",
    licences: Iterable[str] = (),
    name: str = "",
    serial: int = 0,
    workload: Workload | str = "",
    with_workload: bool = False,
    absent: Mapping[CompileRequest, tuple[tuple[str, str], ...]] | None = None,
) -> Bundle:
    """Write an unsigned bundle of what a cache holds for some requests, and open it. Nothing is compiled.

    Args:
        path: the file to write; it appears whole or not at all.
        requests: `CompileRequest`s, or kernels that have a `request()`.
        cache: where the artifacts are, made by `jitload.precompile`; the default cache when None.
        builder: who builds it, for the manifest.
        licences: notes for the manifest.
        name: what the bundle is called, for trust files that ask for a serial.
        serial: a number that grows from one issue of it to the next.
        workload: the workload that it was made from, or its digest, for the manifest.
        with_workload: carry the workload itself, all sources and headers, so that it can be reproduced from the bundle.
        absent: where a request looked for headers in vain on the machine that recorded it, in place of where the
            build did.

    Raises:
        BundleError: the cache lacks an artifact, or has one whose bytes differ from run to run; the text names it.
        OSError: the file cannot be written.
        ValueError: a workload to carry, and none is given.
    """
    store = default_cache() if cache is None else cache
    wanted = {request: (absent or {}).get(request) for request in map(request_of, requests)}
    found, missing = collect(wanted, store)
    if missing:
        raise BundleError(
            f"the cache {store.directory} lacks {len(missing)} artifact{'s' * (len(missing) > 1)}: "
            f"{', '.join(map(_describe, missing[:10]))}: run `jitload precompile` for them first"
        )
    refuse_unstable(found)
    about = About(builder, licences, name, serial)
    return write(path, found, about, workload, with_workload=with_workload)


def collect(
    requests: Mapping[CompileRequest, Absent | None], cache: Cache, *, bundles: Iterable[Bundle] = ()
) -> tuple[Found, list[CompileRequest]]:
    """What a cache has for some requests, made the same for every builder, and the requests for which it has nothing.

    Args:
        requests: request -> where it looked for headers in vain elsewhere; None: as the cache has it.
        cache: where to look.
        bundles: where to look besides, for what a cache need not have: bundles in force.

    Raises:
        BundleError: a bundle is damaged.
    """
    found: Found = {}
    missing = []
    for request, absent in requests.items():
        row = _take(request, cache, absent) or _take_bundled(request, bundles)
        if row is None:
            missing.append(request)
        else:
            found.setdefault(request.digest, {}).setdefault(row[2].key, row)
    return found, missing


def refuse_unstable(found: Found) -> None:
    """Nothing for artifacts that a bundle may hold.

    Raises:
        BundleError: the bytes of one differ from run to run, so that a bundle of them could never be made again.
    """
    for rows in found.values():
        for _, _, artifact in rows.values():
            if why := why_unstable(artifact):
                name = f"{artifact.name} ({artifact.kind}, {artifact.arch})"
                raise BundleError(f"{name} has no place in a bundle: {why}")


def write(
    path: str | os.PathLike[str],
    found: Found,
    about: About,
    workload: Workload | str = "",
    *,
    with_workload: bool = False,
) -> Bundle:
    """Write a bundle of these artifacts, and open it.

    Args:
        path: the file.
        found: request digest -> key -> (variant, entry, artifact).
        about: for the manifest.
        workload: the workload that they were made from, or its digest, or "".
        with_workload: carry it.

    Raises:
        BundleError: what the manifest cannot hold.
        OSError: the file cannot be written.
        ValueError: a workload to carry, and none is given.
    """
    if with_workload and isinstance(workload, str):
        raise UsageValueError(
            "with_workload carries the workload itself: give workload=Workload.read(path), not a digest"
        )
    sources = b"" if isinstance(workload, str) or not with_workload else workload.encode()
    digest = workload if isinstance(workload, str) else workload.digest
    write_file(path, encode_found(found, about, digest, sources))
    return Bundle.open(path, trust="unsigned")


def merge(
    path: str | os.PathLike[str], bundles: Iterable[Bundle], *, builder: str = "", name: str = "", serial: int = 0
) -> Bundle:
    """Write an unsigned bundle with the artifacts of several; where two answer one request, the first comes first.

    It carries sources when all of them do that are made from a workload.

    Raises:
        BundleError: one of them is damaged.
        OSError: the file cannot be written.
    """
    found: Found = {}
    licences: list[str] = []
    workloads: dict[str, Workload | None] = {}
    for bundle in bundles:
        licences += bundle.manifest["licences"]
        if bundle.manifest["workload"]:
            digest = bundle.manifest["workload"]
            workloads[digest] = workloads.get(digest) or bundle.workload()
        for entry in bundle.entries():
            row = (entry.variant, entry.data, entry.artifact)
            found.setdefault(entry.request, {}).setdefault(entry.artifact.key, row)
    digest, sources = _merged(workloads)
    about = About(builder, licences, name, serial)
    write_file(path, encode_found(found, about, digest, sources))
    return Bundle.open(path, trust="unsigned")


def _merged(workloads: Mapping[str, Workload | None]) -> tuple[str, bytes]:
    """The digest of several workloads, and they as one where all are there."""
    digests = sorted(workloads)
    there = [workload for workload in workloads.values() if workload is not None]
    if there and len(there) == len(digests):
        merged = there[0].merged(*there[1:])
        return merged.digest, merged.encode()
    return digests[0] if len(digests) == 1 else sha256_hex("".join(digests).encode()) if digests else "", b""


def encode_found(found: Found, about: About, workload: str = "", sources: bytes = b"") -> bytes:
    """The bytes of a bundle.

    Args:
        found: its artifacts: request digest -> key -> (variant, entry, artifact).
        about: for its manifest.
        workload: the digest of what it was made from, or "".
        sources: the workload, where it is carried.

    Raises:
        BundleError: what the manifest cannot hold.
    """
    kept = {digest: list(rows.values())[:MAX_VARIANTS] for digest, rows in found.items()}
    artifacts = [artifact for rows in kept.values() for _, _, artifact in rows]
    archs = {arch for artifact in artifacts for arch in artifact.arch.split(",")}
    toolchains = {artifact.toolchain for artifact in artifacts}
    programs = sorted({artifact.name for artifact in artifacts})
    blobs = {}
    for digest, rows in kept.items():
        variants = encode_record(digest, [variant for variant, _, _ in rows])
        blobs[bytes.fromhex(digest)] = encode_blob(variants, [data for _, data, _ in rows])
    manifest: Manifest = {
        "archs": sorted(archs),
        "builder": about.builder,
        "kinds": sorted({artifact.kind.value for artifact in artifacts}),
        "licences": sorted(set(about.licences)),
        "requests": len(blobs),
        "targets": sorted([kind, arch] for kind, arch in {(a.kind.value, a.arch) for a in artifacts}),
        "toolchains": sorted([chain.name, chain.version, chain.digest] for chain in toolchains),
        "workload": workload,
    }
    if about.name:
        manifest["name"] = about.name
    if about.serial:
        manifest["serial"] = about.serial
    if len(programs) <= MAX_PROGRAMS:
        manifest["programs"] = programs
    return encode_bundle(blobs, manifest, sources)


def _describe(request: CompileRequest) -> str:
    return f"{request.name} ({request.kind}, {request.arch})"


def _take(request: CompileRequest, cache: Cache, absent: Absent | None) -> Row | None:
    """The artifact of a request as the cache has it, whatever compiled it, the same for every builder; or None."""
    answer = ask(request, cache.tiers)
    artifact, variant = answer.artifact, answer.variant
    if artifact is None or variant is None:
        return None
    files = sorted(variant.unstamped().files)
    plain = Variant(variant.closure, variant.toolchain, files, sorted(variant.absent if absent is None else absent))
    factors = canonical_json(readable_factors(request, plain.headers()))
    return plain, encode_entry(_reproducible(artifact), factors), artifact


def _take_bundled(request: CompileRequest, bundles: Iterable[Bundle]) -> Row | None:
    """The same as the first bundle that has it was built with it."""
    for bundle in bundles:
        found = ask(request, bundle.tiers, use=False).artifact
        for entry in bundle.read(request.digest) if found is not None else ():
            if found is not None and entry.artifact.key == found.key:
                return entry.variant, entry.data, entry.artifact
    return None


def _reproducible(artifact: Artifact) -> Artifact:
    return Artifact(
        kind=artifact.kind,
        data=artifact.data,
        arch=artifact.arch,
        name=artifact.name,
        key=artifact.key,
        kernels=artifact.kernels.values(),
        toolchain=artifact.toolchain,
        variables=artifact.variables,
    )
