"""`Bundle`: an open bundle file. Opening verifies header, index, manifest and signatures; each read verifies its blob.

What was verified is what is used: the index stays in memory, and a blob is hashed in the bytes that are then decoded.
The file is read with `pread`, never mapped: a file that shrinks under a mapping would end the process.
"""

from __future__ import annotations

import jitload
from jitload.bundles.blobs import Blobs
from jitload.bundles.format import HEADER_BYTES, blobs_end, decode_front, decode_header
from jitload.bundles.index import request_column
from jitload.bundles.manifest import About
from jitload.bundles.signature import decode_signatures
from jitload.bundles.source import FileSource, MemorySource
from jitload.bundles.trust import verify_serial, verify_trust
from jitload.errors import BundleError
from jitload.given import given_file
from jitload.lazy import lazy
from jitload.tiers.memory import MemoryStore
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from jitload.bundles.entry import Entry
    from jitload.bundles.source import Source
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.tiers.tier import Tier
    from jitload.values import KindName
    from jitload.workloads import workload as workloads
    from jitload.workloads.workload import Workload
else:
    workloads = lazy("jitload.workloads.workload")

__tracebackhide__ = is_mistake


class Bundle:
    """An open bundle, as `Bundle.open` gives it.

    Args:
        source: what reads its bytes.
        trust: as for `open`.

    Raises:
        BundleError: it is damaged, truncated, altered or something else.
        TrustError: it is not signed by a trusted key.

    Attributes:
        path: the file, or a word for bytes that came from elsewhere.
        manifest: archs, kinds, targets, toolchains, builder, licences, workload and number of requests (manifest.py).
        signatures: what came with it, with names and times that are the signers' own words.
        signers: names of the trusted keys that signed it, or ids where they have none; empty for one that was opened as
            "unsigned".
        tiers: what a look-up asks: what was read of it for use, in memory, and its entries. It has a memory of its own,
            for what a cache has in memory under the same key may come from a directory, and would then stand in for
            what was signed.
    """

    def __init__(self, source: Source, trust: Iterable[object] | str | None) -> None:
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
        self._blobs = Blobs(source, self._index, self._prefixes, self.manifest["targets"])
        self.tiers: tuple[Tier, ...] = (MemoryStore(place=self._blobs.place, checks_toolkit=False), self._blobs)
        if self.manifest["requests"] != len(self):
            raise BundleError(
                f"bundle whose manifest speaks of {self.manifest['requests']} requests, its index of {len(self)}"
            )
        verify_serial(self.path, self.manifest, policy)

    @staticmethod
    @short_errors
    def open(path: str | os.PathLike[str], trust: Iterable[object] | str | None = None) -> Bundle:
        """Open a bundle file, verifying what it says about itself.

        Args:
            path: the file.
            trust: public keys ("ed25519:..."), files with such a key, or trust files; or "unsigned". Default: the
                setting `trust` (JITLOAD_TRUST).

        Returns:
            The bundle; it keeps the file open until `close`, and is a context manager.

        Raises:
            BundleError: it is missing, damaged, truncated, altered or something else.
            TrustError: it is not signed by a trusted key.
        """
        return Bundle.from_source(FileSource(given_file("path", path)), trust)

    @staticmethod
    def from_bytes(data: bytes, name: str = "bundle", trust: Iterable[object] | str | None = None) -> Bundle:
        """The same for a bundle that is in memory, under a name for messages.

        Args:
            data: the bytes of a bundle.
            name: what messages call it.
            trust: as for `open`.
        """
        return Bundle.from_source(MemorySource(data, name), trust)

    @staticmethod
    def from_source(source: Source, trust: Iterable[object] | str | None = None) -> Bundle:
        """The same for bytes from anywhere; the source is closed where they are refused.

        Args:
            source: what reads them; its `name` stands in messages.
            trust: as for `open`.

        Raises:
            BundleError: they are damaged, truncated or altered.
            TrustError: they are not signed by a trusted key.
        """
        try:
            return Bundle(source, trust)
        except BundleError as error:
            source.close()
            raise BundleError(f"{source.name}: {error}") from None
        except BaseException:
            source.close()
            raise

    @staticmethod
    @short_errors
    def create(
        path: str | os.PathLike[str],
        items: Iterable[object] | object,
        *,
        archs: str | Iterable[str] | None = None,
        kinds: KindName | Iterable[KindName] | None = None,
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
            kinds: "cubin", "ptx", "ltoir", "fatbin" in place of that, one or several (`jitload.source.targets`).
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

        Returns:
            The bundle, opened as "unsigned": `jitload bundle sign` adds signatures.

        Raises:
            BundleError: an image cannot be made, differs from run to run, or an item is damaged; no file is written.
            TrustError: a bundle in force is refused.
            OSError: a source cannot be read, or the file cannot be written.
            ValueError: kinds and archs, or options, that cannot be, or nothing to make.
            TypeError: an item of another type.
        """
        # By the public door: a bundle is read in a lower room of the house than the one where kernels are compiled.

        made: Bundle = jitload.create_bundle(
            path,
            items,
            about=About(builder, licences, name, serial),
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
        return isinstance(request, str) and self._blobs.row(request) is not None

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

    def read(self, request: str) -> list[Entry]:
        """Every artifact for a request digest, verified; none where the bundle has none.

        Args:
            request: the digest of a request, `CompileRequest.digest`, 64 hex digits.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        return self._blobs.entries(request)

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

        start = blobs_end(self._header, self.manifest)
        data = self._blobs.read_part(start, size, bytes.fromhex(self.manifest["workload"]))
        if data is None:
            raise BundleError(f"{self.path}: its sources do not match their digest: damaged or altered")
        return workloads.decode_workload(data)

    @short_errors
    def verify(self) -> int:
        """Read and verify everything; gives the number of artifacts.

        Returns:
            How many artifacts there are.

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
