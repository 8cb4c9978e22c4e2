"""Bundles in registries of container images: an image of one layer, which is the bundle.

    reference := "oci://" registry "/" repository [":" tag] ["@sha256:" digest of the manifest]

The manifest is that of an OCI artifact (image-spec 1.1): its `artifactType` and the media type of its layer are
`MEDIA_TYPE`, and its config is the empty one. The digest of a manifest says what the layer is to its last byte, so a
reference with one is pinned, whoever may write to the registry; signatures of the bundle are verified when it is used.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from jitload.bundles.bundle import Bundle
from jitload.bundles.registry import Registry
from jitload.digest import sha256_hex
from jitload.errors import BundleError, UsageValueError
from jitload.files.atomic import write_file
from jitload.files.regular import open_regular
from jitload.format.json import canonical_json
from jitload.frozen import Value
from jitload.given import given_path, given_truth
from jitload.settings.environment import docker_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MEDIA_TYPE = "application/vnd.jitload.bundle.v1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY, EMPTY_TYPE = b"{}", "application/vnd.oci.empty.v1+json"
#: A bundle is held in memory while its digest is found.
MAX_BUNDLE_BYTES = 4 << 30
_TITLE = "org.opencontainers.image.title"

# Distribution specification 1.1, "Pulling manifests". The registry is always written out: no company's is meant else.
_REFERENCE = re.compile(
    r"oci://(?P<host>(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?)"
    r"/(?P<repository>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Reference(Value):
    """Where a bundle is.

    Attributes:
        host: the registry.
        repository: in it.
        tag: "latest" where neither a tag nor a digest was given.
        digest: "sha256:..." of the manifest, or "".
    """

    __slots__ = ("digest", "host", "repository", "tag")
    host: str
    repository: str
    tag: str
    digest: str

    def __init__(self, host: str, repository: str, tag: str, digest: str) -> None:
        self._set(host=host, repository=repository, tag=tag, digest=digest)

    @staticmethod
    def parse(text: str) -> Reference:
        """The reference in a text.

        Raises:
            UsageValueError: there is none.
        """
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise UsageValueError(f"{text!r} is no reference: write oci://registry/repository:tag, or ...@sha256:...")
        tag, digest = found["tag"] or "", found["digest"] or ""
        return Reference(found["host"], found["repository"], tag or ("" if digest else "latest"), digest)

    def pinned(self, digest: str) -> str:
        """The reference with the digest of its manifest."""
        tag = f":{self.tag}" if self.tag else ""
        return f"oci://{self.host}/{self.repository}{tag}@{digest}"


def push_bundle(path: str | os.PathLike[str], reference: str, *, plain_http: bool = False) -> str:
    """Put a bundle into a registry, and give its reference with the digest of its manifest.

    Args:
        path: the bundle.
        reference: "oci://registry/repository:tag".
        plain_http: speak HTTP with a registry that is not on this machine.

    Returns:
        The reference with the digest: who pulls by it gets these bytes and no others.

    Raises:
        BundleError: it is no bundle, or the container tools' file cannot be read.
        UsageValueError: that is no reference, or one with a digest.
        OSError: the bundle cannot be read, or the registry does not take it.
    """
    where = Reference.parse(reference)
    if where.digest:
        raise UsageValueError(
            f"{reference} names a digest: a bundle is pushed to a tag, and has the digest that it has"
        )
    name = given_path("path", path)
    with open_regular(name) as file:
        data = file.read(MAX_BUNDLE_BYTES + 1)
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleError(f"{name} is longer than {MAX_BUNDLE_BYTES} bytes")
    Bundle.from_bytes(data, name, "unsigned")
    registry = _registry(where, plain_http=plain_http)
    layer = {**_descriptor(MEDIA_TYPE, data), "annotations": {_TITLE: os.path.basename(name)}}
    manifest = canonical_json(
        {
            "artifactType": MEDIA_TYPE,
            "config": _descriptor(EMPTY_TYPE, EMPTY),
            "layers": [layer],
            "mediaType": MANIFEST_TYPE,
            "schemaVersion": 2,
        }
    )
    for blob in (data, EMPTY):
        registry.push_blob(_digest(blob), blob)
    registry.push_manifest(where.tag, manifest, MANIFEST_TYPE)
    return where.pinned(_digest(manifest))


def pull_bundle(
    reference: str,
    path: str | os.PathLike[str],
    *,
    trust: Iterable[Any] | str | None = "unsigned",
    plain_http: bool = False,
) -> str:
    """Get a bundle out of a registry into a file, and give its reference with the digest of its manifest.

    Nothing is written before every byte was compared with the digest in the manifest, and that with the digest in the
    reference where it has one.

    Args:
        reference: "oci://registry/repository:tag", or with "@sha256:..." for that and no other.
        path: the file; it appears whole or not at all.
        trust: as for `Bundle.open`, before the file is written; default: the signatures are for whoever uses it.
        plain_http: as for `push_bundle`.

    Returns:
        The reference with the digest of what came.

    Raises:
        BundleError: what came is not what its digest says, or no bundle.
        TrustError: it is not signed by a trusted key.
        UsageValueError: that is no reference.
        OSError: the registry does not give it, or the file cannot be written.
    """
    where = Reference.parse(reference)
    target = given_path("path", path)
    registry = _registry(where, plain_http=plain_http)
    manifest = registry.manifest(where.digest or where.tag, MANIFEST_TYPE)
    digest = _digest(manifest)
    if where.digest and digest != where.digest:
        raise BundleError(f"{reference}: the manifest that came has the digest {digest}")
    wanted, size = _layer(manifest, reference)
    data = registry.blob(wanted, size)
    if len(data) != size or _digest(data) != wanted:
        raise BundleError(f"{reference}: {len(data)} bytes came that are not the {size} with the digest {wanted}")
    Bundle.from_bytes(data, reference, trust)
    write_file(target, data)
    return where.pinned(digest)


def _layer(manifest: bytes, reference: str) -> tuple[str, int]:
    """Digest and size of the one layer that is a bundle."""
    try:
        layers = [row for row in json.loads(manifest)["layers"] if row["mediaType"] == MEDIA_TYPE]
        ((digest, size),) = [(row["digest"], row["size"]) for row in layers]
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or type(size) is not int:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BundleError(f"{reference} is no image with one layer that is a bundle ({MEDIA_TYPE})") from None
    if not 0 < size <= MAX_BUNDLE_BYTES:
        raise BundleError(f"{reference}: a bundle of {size} bytes, and {MAX_BUNDLE_BYTES} are the most")
    return digest, size


def _registry(where: Reference, *, plain_http: bool) -> Registry:
    given_truth("plain_http", plain_http)
    return Registry(where.host, where.repository, docker_config(), plain_http=plain_http)


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"digest": _digest(data), "mediaType": media_type, "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{sha256_hex(data)}"
