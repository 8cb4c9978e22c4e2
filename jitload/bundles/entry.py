"""One artifact of a bundle, with all that is known of it, and how it is read out of a blob (format.py)."""

from __future__ import annotations

from jitload.artifact import decode_entry
from jitload.bundles.format import split_blob
from jitload.compiler.key import key_of
from jitload.errors import BundleError
from jitload.format.entry import HEADER, decode_factors
from jitload.format.json import canonical_json, check_marks
from jitload.frozen import Value
from jitload.headers.record import decode_record
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.headers.record import Variant
    from jitload.images import check as images
else:
    images = lazy("jitload.images.check")

#: JSON up to here cannot make much of itself. Beyond it its brackets and commas are counted: the headers of sixteen
#: variants have less, and these take some 128 MiB.
_SMALL_BYTES, _MAX_MARKS = 1 << 20, 1 << 21


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
    factors: dict[str, object]
    data: bytes

    def __init__(
        self, request: str, variant: Variant, artifact: Artifact, factors: dict[str, object], data: bytes
    ) -> None:
        self._set(request=request, variant=variant, artifact=artifact, factors=factors, data=data)


def decode_blob(request: str, blob: bytes, targets: list[list[str]]) -> list[Entry]:
    """Every artifact in the blob of a request, verified.

    Args:
        request: the digest of the request.
        blob: the blob, which matches its digest.
        targets: the [kind, arch] pairs of the bundle's manifest.

    Raises:
        BundleError, ArtifactError, LoadError: the parts do not fit each other.
    """
    encoded, datas = split_blob(blob)
    _expect_bounded(encoded)
    variants = decode_record(encoded, request)
    if len(variants) != len(datas):
        raise BundleError(f"{len(datas)} entries for {len(variants)} variants")
    found = []
    for variant, data in zip(variants, datas, strict=True):
        # The key is computed, not believed: an entry cannot stand in for a request that it was not compiled for.
        key = key_of(request, variant.closure, variant.toolchain)
        _expect_bounded(_json_of(data))
        artifact = decode_entry(data, key)
        if artifact.toolchain != variant.toolchain:
            raise BundleError(f"an entry of {artifact.toolchain} for a variant of {variant.toolchain}")
        if [artifact.kind.value, artifact.arch] not in targets:
            raise BundleError(f"an entry of {artifact.kind} {artifact.arch!r:.40}, which the manifest does not promise")
        images.verify_image(artifact.kind, artifact.data)
        found.append(Entry(request, variant, artifact, _factors_of(data, key), data))
    return found


def _json_of(data: bytes) -> bytes:
    """The sections of an entry that are JSON; b"" for what is too short for one."""
    if len(data) < HEADER.size:
        return b""
    _, _, meta_bytes, factors_bytes, _, _ = HEADER.unpack_from(data)
    return data[HEADER.size : HEADER.size + meta_bytes + factors_bytes]


def _expect_bounded(data: bytes) -> None:
    """Nothing for JSON that can be read in bounded time and memory: a digest that fits does not say who wrote it.

    Raises:
        BundleError: it holds too much.
    """
    if len(data) > _SMALL_BYTES:
        try:
            check_marks(data, _MAX_MARKS)
        except ValueError as error:
            raise BundleError(str(error)) from None


def _factors_of(data: bytes, key: str) -> dict[str, object]:
    factors = decode_factors(data, key)
    try:
        canonical_json(factors)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"an entry with unreadable factors ({error})") from None
    return factors
