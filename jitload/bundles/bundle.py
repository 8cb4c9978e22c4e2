"""`Bundle`: an open bundle file. Opening verifies header, index, manifest and signatures; each read verifies its blob.

What was verified is what is used: the index stays in memory, and a blob is hashed in the bytes that are then decoded.
The file is read with `pread`, never mapped: a file that shrinks under a mapping would end the process.
"""

from __future__ import annotations

import os

from jitload.artifact import canonical_json, decode_entry, decode_factors
from jitload.bundles.format import (
    HEADER_BYTES,
    blobs_end,
    decode_front,
    decode_header,
    decode_signatures,
    split_blob,
)
from jitload.bundles.index import find_row, request_column
from jitload.bundles.source import FileSource, MemorySource
from jitload.cache.memory import MemoryStore
from jitload.compiler.key import key_of
from jitload.compiler.manifest import decode_manifest
from jitload.digest import sha256
from jitload.errors import ArtifactError, BundleError, LoadError
from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.bundles.source import Source
    from jitload.bundles.workload import Workload
    from jitload.compiler.manifest import Variant


class Entry(Value):
    """One artifact of a bundle, verified.

    Attributes:
        request: the digest of the request that it answers.
        variant: the headers and the toolchain it was compiled with.
        artifact: the artifact.
        factors: what its key was made of.
        data: the bytes of the entry (artifact.py).
    """

    __slots__ = ("artifact", "data", "factors", "request", "variant")
    request: str
    variant: Variant
    artifact: Artifact
    factors: dict[str, Any]
    data: bytes

    def __init__(
        self, request: str, variant: Variant, artifact: Artifact, factors: dict[str, Any], data: bytes
    ) -> None:
        self._set(request=request, variant=variant, artifact=artifact, factors=factors, data=data)


class Bundle:
    """An open bundle.

    Attributes:
        path: the file, or a word for bytes that came from elsewhere.
        manifest: archs, kinds, targets, toolchains, builder, licences, workload and number of requests.
        signers: names of the trusted keys that signed it; empty for one that was opened as "unsigned".
        served: what was read of it for use, in memory.
    """

    def __init__(self, source: Source, trust: Iterable[Any] | str | None) -> None:
        self.path = source.name
        self._source = source
        head = source.read(0, min(HEADER_BYTES, source.size))
        self._header = decode_header(head, source.size)
        self._index = source.read(HEADER_BYTES, self._header.index_end - HEADER_BYTES)
        rest = source.read(self._header.index_end, self._header.blobs_start - self._header.index_end)
        self._prefixes, self.manifest = decode_front(self._header, self._index, rest)
        self.signatures = decode_signatures(source.read(self._header.end, source.size - self._header.end))
        self._head = head
        self._known: dict[str, tuple[tuple[Variant, str], ...]] = {}
        self.served = MemoryStore()
        self._fresh: tuple[str, list[Entry]] = ("", [])  # what `variants` had to read anyway, for `take`
        if self.manifest["requests"] != len(self):
            raise BundleError(
                f"bundle whose manifest speaks of {self.manifest['requests']} requests, its index of {len(self)}"
            )
        from jitload.bundles.trust import verify_trust

        self.signers = verify_trust(self.path, head, self.signatures, trust)

    @staticmethod
    def open(path: str | os.PathLike[str], trust: Iterable[Any] | str | None = None) -> Bundle:
        """Open a bundle file, verifying what it says about itself.

        Args:
            path: the file.
            trust: public keys ("ed25519:..."), files with such a key, or trust files; or "unsigned". Default: the
                setting `trust` (JITLOAD_TRUST).

        Raises:
            BundleError: it is missing, damaged, truncated, altered or something else.
            TrustError: it is not signed by a trusted key.
        """
        return _opened(FileSource(os.fspath(path)), trust)

    @staticmethod
    def from_bytes(data: bytes, name: str = "bundle", trust: Iterable[Any] | str | None = None) -> Bundle:
        """The same for a bundle that is in memory, under a name for messages."""
        return _opened(MemorySource(data, name), trust)

    @staticmethod
    def create(path: str | os.PathLike[str], requests: Iterable[Any], **details: Any) -> Bundle:
        """Write an unsigned bundle of what a cache holds for some requests; see `jitload.bundles.build.create`."""
        from jitload.bundles.build import create

        return create(path, requests, **details)

    def __len__(self) -> int:
        return len(self._prefixes)

    def __contains__(self, request: object) -> bool:
        return isinstance(request, str) and self._place(request) is not None

    def __repr__(self) -> str:
        return f"Bundle({self.path!r}, {len(self)} requests, signed by {', '.join(self.signers) or 'nobody'})"

    @property
    def requests(self) -> tuple[str, ...]:
        """The digests of the requests that it answers, sorted."""
        return tuple([request.hex() for request in request_column(self._index)])

    @property
    def statement(self) -> bytes:
        """What is signed: the header, which covers the index and the manifest by digest."""
        return self._head

    @property
    def unsigned_bytes(self) -> int:
        """How much of the file comes before its signatures."""
        return self._header.end

    def variants(self, request: str) -> tuple[tuple[Variant, str], ...]:
        """(variant, key) of every artifact for a request digest; none where the bundle has none.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        known = self._known.get(request)
        if known is None:
            entries = self.read(request)
            known = tuple([(entry.variant, entry.artifact.key) for entry in entries])
            if known:
                self._fresh = (request, entries)
                self._known[request] = known
        return known

    def take(self, request: str, key: str) -> Artifact:
        """The artifact of that key, which `variants` has named.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        fresh, self._fresh = self._fresh, ("", [])
        entries = fresh[1] if fresh[0] == request else self.read(request)
        for entry in entries:
            if entry.artifact.key == key:
                return entry.artifact
        raise BundleError(f"{self.path}: it has no entry {key[:12]} for request {request[:12]}")

    def read(self, request: str) -> list[Entry]:
        """Every artifact for a request digest, verified; none where the bundle has none.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        place = self._place(request)
        if place is None:
            return []
        offset, size, digest = place
        try:
            padded = -(-size // 64) * 64
            data = self._source.read(offset, padded)
            blob = data[:size]
            if sha256(blob) != digest or any(data[size:]):
                raise BundleError("it does not match its digest: damaged or altered since the bundle was opened")
            return _decode_blob(request, blob)
        except (BundleError, ArtifactError, LoadError) as error:
            raise BundleError(f"{self.path}: entry of request {request[:12]}: {error}") from None

    def entries(self) -> Iterator[Entry]:
        """Every artifact, verified, in the order of the index.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        for request in self.requests:
            yield from self.read(request)

    def workload(self) -> Workload | None:
        """The workload that it was made from, verified, where it carries one: sources, headers and all.

        Raises:
            BundleError: the bytes are not what the manifest promises.
        """
        size = self.manifest.get("workload_bytes", 0)
        if not size:
            return None
        from jitload.bundles.workload import decode_workload

        start = blobs_end(self._header, self.manifest)
        data = self._source.read(start, self._header.end - start)
        if sha256(data[:size]).hex() != self.manifest["workload"] or any(data[size:]):
            raise BundleError(f"{self.path}: its sources do not match their digest: damaged or altered")
        return decode_workload(data[:size])

    def verify(self) -> int:
        """Read and verify everything; gives the number of artifacts.

        Raises:
            BundleError: anything at all is wrong, or the manifest tells of other entries than there are.
        """
        count, targets = 0, set()
        for entry in self.entries():
            count += 1
            targets.add((entry.artifact.kind.value, entry.artifact.arch))
        self.workload()
        stated = {(kind, arch) for kind, arch in self.manifest["targets"]}
        if targets != stated:
            raise BundleError(f"{self.path}: its manifest promises {sorted(stated)}, it holds {sorted(targets)}")
        return count

    def close(self) -> None:
        """Close the file; nothing can be read any more."""
        self._source.close()

    def __enter__(self) -> Bundle:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _place(self, request: str) -> tuple[int, int, bytes] | None:
        return find_row(self._index, self._prefixes, bytes.fromhex(request))


def _opened(source: Source, trust: Iterable[Any] | str | None) -> Bundle:
    try:
        return Bundle(source, trust)
    except BundleError as error:
        source.close()
        raise BundleError(f"{source.name}: {error}") from None
    except BaseException:
        source.close()
        raise


def _decode_blob(request: str, blob: bytes) -> list[Entry]:
    from jitload.loader.images import verify_image

    encoded, datas = split_blob(blob)
    variants = decode_manifest(encoded, request)
    if len(variants) != len(datas):
        raise BundleError(f"{len(datas)} entries for {len(variants)} variants")
    found = []
    for variant, data in zip(variants, datas, strict=True):
        # The key is computed, not believed: an entry cannot stand in for a request that it was not compiled for.
        key = key_of(request, variant.closure, variant.toolchain)
        artifact = decode_entry(data, key)
        if artifact.toolchain != variant.toolchain:
            raise BundleError(f"an entry of {artifact.toolchain} for a variant of {variant.toolchain}")
        verify_image(artifact.kind, artifact.data)
        factors = decode_factors(data, key)
        canonical_json(factors)
        found.append(Entry(request, variant, artifact, factors, data))
    return found
