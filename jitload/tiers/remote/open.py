"""The remote that settings name, as a tier; and what is behind it, imported now and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import log
from jitload.errors import TrustError
from jitload.lazy import lazy
from jitload.settings.address import REDIS_SCHEMES
from jitload.tiers.remote.layout import split_prefix
from jitload.tiers.remote.seal import Seal
from jitload.tiers.remote.store import StoreError
from jitload.tiers.remote.tier import RemoteTier

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.config import Config
    from jitload.settings.address import Address
    from jitload.tiers.remote import object_store, redis_store
    from jitload.tiers.remote.store import Store
    from jitload.tiers.remote.tier import Land
    from jitload.trust import policy as policies
else:
    policies = lazy("jitload.trust.policy")
    object_store = lazy("jitload.tiers.remote.object_store")
    redis_store = lazy("jitload.tiers.remote.redis_store")


def open_remote(settings: Config, verify: Callable[[str, bytes], None], land: Land) -> RemoteTier | None:
    """The remote of the settings as a tier; None where there is none, none may be touched, or its client is missing.

    Args:
        settings: the settings: where it is, and how it is used.
        verify: the structural check of an image.
        land: keeps what comes from there.
    """
    address = settings.remote
    if address is None or settings.offline:
        return None
    try:
        store = _open_store(address)
    except ImportError as error:
        extra = "redis" if address.scheme in REDIS_SCHEMES else "remote"
        log.warn_once(
            ("remote", address.url), f"{address} is not used ({error}): its client is of pip install 'jitload[{extra}]'"
        )
        return None
    except StoreError as error:
        log.warn_once(("remote", address.url), f"{address} is not used: {error.text}")
        return None
    policy = None
    if settings.remote_trust:
        try:
            policy = policies.read_policy(settings.remote_trust)
        except TrustError as error:
            log.warn_once(("remote", address.url), f"{address} is not used, and kernels are compiled here: {error}")
            return None
    demanding = policy is not None and not policy.unsigned
    return RemoteTier(
        store,
        address,
        # What nobody has signed would be of no use to others who demand what is demanded here.
        writes=settings.remote_mode == "readwrite" and (settings.remote_key is not None or not demanding),
        lease_seconds=settings.remote_lease_seconds,
        wait_seconds=settings.remote_wait_seconds,
        seal=Seal(policy if demanding else None, settings.remote_key),
        most_bytes=settings.remote_max_entry_bytes,
        verify=verify,
        land=land,
    )


def _open_store(address: Address) -> Store:
    url, prefix = split_prefix(address)
    opener: Callable[[str, str], Store]
    opener = redis_store.open_store if address.scheme in REDIS_SCHEMES else object_store.open_store
    return opener(url, prefix)
