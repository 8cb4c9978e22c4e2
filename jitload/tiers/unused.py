"""Closure records that lead to nothing any more: they go with the last entry that they led to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.key import key_of
from jitload.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.tiers.disk import DiskStore


def drop_unused_records(disk: DiskStore, requests: Iterable[str]) -> int:
    """Drop the closure records of those requests of which no entry is left; one that is lost costs a scan of headers.

    Args:
        disk: the cache directory.
        requests: the digests of requests whose entries went.

    Returns:
        How many went.
    """
    return sum(_leads_nowhere(disk, digest) and disk.drop_record(digest) for digest in dict.fromkeys(requests))


def _leads_nowhere(disk: DiskStore, digest: str) -> bool:
    """Whether each entry that a record leads to is certainly gone; a damaged one stays for who puts it aside."""
    try:
        variants = disk.read_record(digest)
    except (ArtifactError, OSError):
        return False
    return all(disk.is_gone(key_of(digest, variant.closure, variant.toolchain)) for variant in variants)
