"""`Bundle`: an open bundle file. Opening verifies header, index, manifest and signatures; each read verifies its blob.

What was verified is what is used: the index stays in memory, and a blob is hashed in the bytes that are then decoded.
The file is read with `pread`, never mapped: a file that shrinks under a mapping would end the process.
"""

from __future__ import annotations

from importlib import import_module

from jitload.bundles.entry import decode_blob
from jitload.bundles.format import BLOB_HEAD_BYTES, HEADER_BYTES, blob_sizes, blobs_end, decode_front, decode_header
from jitload.bundles.index import ALIGN, find_row, request_column
from jitload.bundles.signature import decode_signatures
from jitload.bundles.source import FileSource, MemorySource
from jitload.bundles.trust import verify_serial, verify_trust
from jitload.digest import sha256, sha256_parts
from jitload.errors import ArtifactError, BundleError, LoadError
from jitload.given import given_file
from jitload.tiers.memory import MemoryStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.bundles.entry import Entry
    from jitload.bundles.source import Source
    from jitload.bundles.workload import Workload
    from jitload.compiler.manifest import Variant
    from jitload.compiler.request import CompileRequest
    from jitload.tiers.cache import Cache

#: Parts beyond this are hashed before they are read as a whole, in steps.
_LARGE_BYTES, _STEP_BYTES = 32 << 20, 1 << 20


class Bundle:
    """An open bundle.

    Attributes:
        path: the file, or a word for bytes that came from elsewhere.
        manifest: archs, kinds, targets, toolchains, builder, licences, workload and number of requests (manifest.py).
        signatures: what came with it, with names and times that are the signers' own words.
        signers: names of the trusted keys that signed it; empty for one that was opened as "unsigned".
        served: what was read of it for use, in memory.
    """

    def __init__(self, source: Source, trust: Iterable[Any] | str | None) -> None:
        self.path = source.name
        self._source = source
        head = source.read(0, min(HEADER_BYTES, source.size))
        self._header = decode_header(head, source.size)
        self.signatures = decode_signatures(source.read(self._header.end, source.size - self._header.end))
        # The header has the digests of index and manifest: what nobody vouches for is not read.
        policy, self.signers = verify_trust(self.path, head, self.signatures, trust)
        self._index = source.read(HEADER_BYTES, self._header.index_end - HEADER_BYTES)
        rest = source.read(self._header.index_end, self._header.blobs_start - self._header.index_end)
        self._prefixes, self.manifest = decode_front(self._header, self._index, rest)
        self._head = head
        self._known: dict[str, tuple[tuple[Variant, str], ...]] = {}
        self.served = MemoryStore()
        self._fresh: tuple[str, list[Entry]] = ("", [])  # what `variants` had to read anyway, for `take`
        if self.manifest["requests"] != len(self):
            raise BundleError(
                f"bundle whose manifest speaks of {self.manifest['requests']} requests, its index of {len(self)}"
            )
        verify_serial(self.path, self.manifest, policy)

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
        return Bundle.from_source(FileSource(given_file("path", path)), trust)

    @staticmethod
    def from_bytes(data: bytes, name: str = "bundle", trust: Iterable[Any] | str | None = None) -> Bundle:
        """The same for a bundle that is in memory, under a name for messages."""
        return Bundle.from_source(MemorySource(data, name), trust)

    @staticmethod
    def from_source(source: Source, trust: Iterable[Any] | str | None = None) -> Bundle:
        """The same for bytes from anywhere; the source is closed where they are refused."""
        try:
            return Bundle(source, trust)
        except BundleError as error:
            source.close()
            raise BundleError(f"{source.name}: {error}") from None
        except BaseException:
            source.close()
            raise

    @staticmethod
    def create(
        path: str | os.PathLike[str],
        items: Iterable[Any] | Any,
        *,
        archs: str | Iterable[str] | None = None,
        kinds: str | Iterable[str] | None = None,
        cache: Cache | None = None,
        executor: Executor | None = None,
        progress: Callable[[int, int, CompileRequest, str], None] | None = None,
        jobs: int | None = None,
        builder: str = "",
        licences: Iterable[str] = (),
        name: str = "",
        serial: int = 0,
        workload: Workload | str | None = None,
        with_workload: bool = False,
        absent: Mapping[CompileRequest, tuple[tuple[str, str], ...]] | None = None,
    ) -> Bundle:
        """Write an unsigned bundle of kernels, and open it. What the cache lacks is compiled first; no GPU is needed.

        Args:
            path: the file to write; it appears whole or not at all.
            items: `jit_kernel`s, `CompileRequest`s, source files (`os.PathLike`), recorded workloads (or their files,
                in ".jlw") and plans (".toml"); one or several.
            archs: what to compile for: "sm_90", "compute_80", ...; a cubin for each "sm_*", PTX for each "compute_*".
                Default: requests, workloads and plans as they are; kernels and sources for every arch that the cache
                has them for, else for their own. Name the archs where two builds must give the same bytes.
            kinds: "cubin", "ptx", "ltoir", "fatbin" in place of that, one or several (`jitload.compiler.targets`).
            cache: where the images are and are kept; default: a kernel's own cache where it has one, else the user's.
            executor: where to compile, as for `jitload.precompile`; default: `jobs` processes.
            progress: called as `progress(done, total, request, outcome)`.
            jobs: worker processes; default: the cores of this process.
            builder: who builds it, for the manifest.
            licences: notes for the manifest.
            name: what the bundle is called, for trust files that ask for a serial.
            serial: a number that grows from one issue of it to the next.
            workload: what the items were made from, or its SHA-256, for the manifest; default: the workloads among the
                items.
            with_workload: carry sources and headers, so that `jitload repro` needs no more: whoever has the file can
                then read them.
            absent: for requests of `Workload.unpacked`: where they looked for headers in vain when they were recorded.

        Raises:
            BundleError: an image cannot be made, differs from run to run, or an item is damaged; no file is written.
            TrustError: a bundle in force is refused.
            OSError: a source cannot be read, or the file cannot be written.
            ValueError: kinds and archs, or options, that cannot be.
            TypeError: an item of another type.
        """
        # By name: a bundle is read in a lower room of the house than the one where kernels are compiled.
        made: Bundle = import_module("jitload.bundling").create_bundle(
            path,
            items,
            about={"builder": builder, "licences": licences, "name": name, "serial": serial},
            workload=workload,
            with_workload=with_workload,
            archs=archs,
            kinds=kinds,
            cache=cache,
            executor=executor,
            progress=progress,
            jobs=jobs,
            absent=absent,
        )
        return made

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
    def header(self) -> bytes:
        """What is signed: the header, which covers the index and the manifest by digest."""
        return self._head

    @property
    def unsigned_bytes(self) -> int:
        """How much of the file comes before its signatures."""
        return self._header.end

    def read_unsigned(self) -> bytes:
        """All of the file that comes before its signatures.

        Raises:
            BundleError: the file cannot be read, or became shorter.
        """
        return self._source.read(0, self._header.end)

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
            if size > _LARGE_BYTES:
                blob_sizes(self._source.read(offset, BLOB_HEAD_BYTES), size)  # a size that lies is seen before it costs
            blob = self._read_part(offset, size, digest)
            if blob is None:
                raise BundleError("it does not match its digest: damaged or altered since the bundle was opened")
            return decode_blob(request, blob, self.manifest["targets"])
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
        data = self._read_part(start, size, bytes.fromhex(self.manifest["workload"]))
        if data is None:
            raise BundleError(f"{self.path}: its sources do not match their digest: damaged or altered")
        return decode_workload(data)

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
        try:
            digest = bytes.fromhex(request)
        except ValueError:
            return None  # no digest, so nothing has it
        return find_row(self._index, self._prefixes, digest)

    def _read_part(self, offset: int, size: int, digest: bytes) -> bytes | None:
        """A blob or the sources, without the zeros behind them; None where they do not match their digest."""
        if size > _LARGE_BYTES and not self._matches(offset, size, digest):
            return None
        padded = -(-size // ALIGN) * ALIGN
        data = self._source.read(offset, padded)
        part = data[:size]  # hashed again, where it is large: what was hashed is what is used
        return None if sha256(part) != digest or any(data[size:]) else part

    def _matches(self, offset: int, size: int, digest: bytes) -> bool:
        """Whether a part matches its digest, found out without holding it: a false size must not cost the memory."""
        steps = range(0, size, _STEP_BYTES)
        return sha256_parts(self._source.read(offset + at, min(_STEP_BYTES, size - at)) for at in steps) == digest
