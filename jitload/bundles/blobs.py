"""The artifacts of an open bundle, each verified when it is read: what a look-up asks a bundle for."""

from __future__ import annotations

from jitload.bundles.entry import decode_blob
from jitload.bundles.format import BLOB_HEAD_BYTES, blob_sizes
from jitload.bundles.index import ALIGN, find_row
from jitload.digest import sha256, sha256_parts
from jitload.errors import ArtifactError, BundleError, LoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from jitload.artifact import Artifact, Kept
    from jitload.bundles.entry import Entry
    from jitload.bundles.source import Source
    from jitload.headers.record import Variant

#: Parts beyond this are hashed before they are read as a whole, in steps.
_LARGE_BYTES, _STEP_BYTES = 32 << 20, 1 << 20


class Blobs:
    """A `Tier`: the entries of a bundle. Unlike other tiers it raises where it is damaged.

    Args:
        source: the file.
        index: its rows, verified.
        prefixes: the first bytes of each row, as `find_row` wants them.
        targets: the [kind, arch] pairs that its manifest promises.
    """

    name = "bundle"
    checks_toolkit = False

    def __init__(self, source: Source, index: bytes, prefixes: array[int], targets: list[list[str]]) -> None:
        self.place = f"bundle {source.name}"
        self._source = source
        self._index = index
        self._prefixes = prefixes
        self._targets = targets
        self._variants: dict[str, tuple[Variant, ...]] = {}
        self._request_of: dict[str, str] = {}
        self._fresh: tuple[str, list[Entry]] = ("", [])  # what `variants` had to read anyway, for `read`

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """The headers and the compiler of every artifact for a request digest, and "hit"; or none and "absent".

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        known = self._variants.get(request_digest)
        if known is None:
            entries = self.entries(request_digest)
            known = tuple([entry.variant for entry in entries])
            if known:
                self._fresh = (request_digest, entries)
                self._request_of.update({entry.artifact.key: request_digest for entry in entries})
                self._variants[request_digest] = known
        return known, "hit" if known else "absent"

    def read(self, key: str) -> tuple[Artifact | None, str]:
        """The artifact of that key, once `variants` has been asked for its request.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        request_digest = self._request_of.get(key)
        if request_digest is None:
            return None, "absent"
        fresh, self._fresh = self._fresh, ("", [])
        entries = fresh[1] if fresh[0] == request_digest else self.entries(request_digest)
        found = [entry.artifact for entry in entries if entry.artifact.key == key]
        return (found[0], "hit") if found else (None, "absent")

    peek = read

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:  # noqa: ARG002 - a bundle is as it was signed
        """Nothing is added to a bundle."""
        return False

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Nothing is added to a bundle."""

    def entries(self, request_digest: str) -> list[Entry]:
        """Every artifact for a request digest, verified; none where the bundle has none.

        Raises:
            BundleError: the bytes are not what the index promises.
        """
        row = self.row(request_digest)
        if row is None:
            return []
        offset, size, digest = row
        try:
            if size > _LARGE_BYTES:
                blob_sizes(self._source.read(offset, BLOB_HEAD_BYTES), size)  # a size that lies is seen before it costs
            blob = self.read_part(offset, size, digest)
            if blob is None:
                raise BundleError("it does not match its digest: damaged or altered since the bundle was opened")
            return decode_blob(request_digest, blob, self._targets)
        except (BundleError, ArtifactError, LoadError) as error:
            raise BundleError(f"{self._source.name}: entry of request {request_digest[:12]}: {error}") from None

    def row(self, request_digest: str) -> tuple[int, int, bytes] | None:
        """Offset, size in bytes and SHA-256 of the blob of a request; None where there is none."""
        try:
            digest = bytes.fromhex(request_digest)
        except ValueError:
            return None  # no digest, so nothing has it
        return find_row(self._index, self._prefixes, digest)

    def read_part(self, offset: int, size: int, digest: bytes) -> bytes | None:
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
