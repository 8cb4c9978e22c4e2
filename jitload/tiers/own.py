"""`OwnBlobs`: bytes that are executed, which this user's own processes have put into this user's own directory.

They are entries like any other: verified, put aside when damaged, within the bound. But each has a seal, a keyed digest
whose secret lies in the directory and is part of no entry, so that what was merged, imported or sent, and what anybody
else has made, has none that fits. Memory, layers and remotes are not asked, and nothing goes there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jitload import config, log
from jitload.digest import keyed_sha256
from jitload.errors import ArtifactError
from jitload.tiers.blobs import blob_key
from jitload.tiers.lookup import read_key
from jitload.values import Blob

if TYPE_CHECKING:
    from jitload.tiers.cache import Cache

_SEALING = "sealing"  # the file that the secret is in
_SECRET_BYTES, _SEAL_BYTES = 32, 32


class OwnBlobs:
    """Sealed bytes under keys, in the directory of a cache.

    Args:
        cache: the cache. One that is read only, or has no directory, keeps nothing and gives nothing.
        namespace: whose keys they are.
    """

    def __init__(self, cache: Cache, namespace: str) -> None:
        self._cache = cache
        self._namespace = namespace

    def get(self, key: bytes) -> bytes | None:
        """What was put under a key, with a seal that fits; or None. In strict mode nothing is."""
        disk = self._cache.disk
        secret = None if config.current().strict else self._secret(make=False)
        if disk is None or secret is None:
            return None
        stored = blob_key(self._namespace, key)
        blob = read_key((disk,), stored)[0]
        if not isinstance(blob, Blob):
            return None
        seal, data = blob.data[:_SEAL_BYTES], blob.data[_SEAL_BYTES:]
        # Under the secret once more: how long it takes to compare those tells nothing of the seal that would fit.
        good, came = (keyed_sha256(secret, one) for one in (self._seal(secret, key, data), seal))
        if blob.foreign_key == key and good == came:
            return data
        why = f"{self._namespace} that no process of this user has made for this directory"
        log.warn(f"cache entry {stored[:12]} of {self._cache.directory} is not used: {why}")
        disk.put_aside(stored, ArtifactError(why))
        return None

    def put(self, key: bytes, data: bytes) -> None:
        """Keep bytes under a key. In strict mode, and where nothing can be written, they are not kept."""
        secret = None if config.current().strict else self._secret(make=True)
        if secret is not None:
            sealed = self._seal(secret, key, data) + data
            self._cache.put_here(Blob(self._namespace, key, sealed, blob_key(self._namespace, key)))

    def _seal(self, secret: bytes, key: bytes, data: bytes) -> bytes:
        return keyed_sha256(secret, blob_key(self._namespace, key).encode() + data)

    def _secret(self, *, make: bool) -> bytes | None:
        if self._cache.disk is None or self._cache.read_only:
            return None
        directory = self._cache.disk.directory
        try:
            found = directory.read(_SEALING, _SECRET_BYTES)
        except FileNotFoundError:
            found = b""
        except OSError as error:
            log.debug("no %s from %s: %s", self._namespace, directory.path, error.strerror)
            return None
        if len(found) == _SECRET_BYTES or not make:
            return found if len(found) == _SECRET_BYTES else None
        try:
            directory.write(_SEALING, os.urandom(_SECRET_BYTES), durable=False)
            return directory.read(_SEALING, _SECRET_BYTES)  # that of whoever was last, where two made one
        except OSError as error:
            log.debug("%s is not kept in %s: %s", self._namespace, directory.path, error.strerror)
            return None
