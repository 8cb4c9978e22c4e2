"""Closure records that lead to nothing any more: they go with the last entry that they led to."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jitload.compiler.key import key_of
from jitload.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.tiers.disk import DiskStore


def drop_unused_records(disk: DiskStore, requests: Iterable[str]) -> dict[str, int]:
    """Drop the closure records of those requests of which no entry is left; one that is lost costs a scan of headers.

    Args:
        disk: the cache directory.
        requests: the digests of requests whose entries went.

    Returns:
        The digests of those that went, with the bytes of each.
    """
    sizes: dict[str, int] = {}
    for digest in dict.fromkeys(requests):
        if _leads_nowhere(disk, digest):
            with suppress(OSError):  # dropped by another process
                size = disk.contents.measure_record(digest)
                if disk.contents.drop_record(digest):
                    sizes[digest] = size
    return sizes


def _leads_nowhere(disk: DiskStore, digest: str) -> bool:
    """Whether each entry that a record leads to is certainly gone; a damaged one stays for who puts it aside."""
    try:
        variants = disk.read_record(digest)
    except (ArtifactError, OSError):
        return False
    return all(disk.contents.is_gone(key_of(digest, variant.closure, variant.toolchain)) for variant in variants)
