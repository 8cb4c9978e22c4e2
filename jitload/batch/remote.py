"""What worker processes compile, on its way to a remote: they write to a directory and know of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.key import key_of, readable_factors
from jitload.format.json import canonical_json

if TYPE_CHECKING:
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache


def give_to_remote(request: CompileRequest, cache: Cache) -> None:
    """Have the remote of a cache get what a worker process has put into its directory."""
    if cache.remote is None or cache.disk is None:
        return
    for variant in cache.disk.variants(request.digest)[0][:1]:
        artifact = cache.disk.read(key_of(request.digest, variant.closure, variant.toolchain))[0]
        if artifact is not None:
            cache.remote.put(artifact, canonical_json(readable_factors(request, variant.headers())))
            cache.remote.add_variant(request.digest, variant)
