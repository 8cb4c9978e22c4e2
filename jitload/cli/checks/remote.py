"""The remote of the settings: whether it answers, how fast, and what is done with it. Without it everything runs."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.finding import missing, ok, problem
from jitload.digest import sha256_hex
from jitload.tiers.cache import Cache
from jitload.tiers.remote.deadline import OPERATION_SECONDS
from jitload.tiers.remote.store import StoreError

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample
    from jitload.tiers.remote.tier import RemoteTier

#: How often it is asked; the first time connects.
ROUNDS = 5
FIX = "mend it, or leave it out (JITLOAD_REMOTE): until then kernels are compiled here. docs/fleet.md has the words"


def check_remote(_sample: Sample) -> Finding:
    """Latency, mode, trust and leases of the remote in force."""
    settings = config.current()
    if settings.remote is None:
        return ok("none", remote=None)
    details: dict[str, object] = {"remote": str(settings.remote), "mode": settings.remote_mode}
    if settings.offline:
        return ok(f"{settings.remote}: not touched (JITLOAD_OFFLINE)", **details, offline=True)
    remote = Cache(remote=settings).remote
    if remote is None:
        return problem(f"{settings.remote} cannot be used", FIX, **details)
    try:
        first, *others = [_ping(remote) for _ in range(ROUNDS)]
    except StoreError as error:
        return problem(f"{settings.remote} {error.word}: {error.text}", FIX, **details, reason=error.word)
    latency = statistics.median(others) * 1000
    details |= {"milliseconds": round(latency, 3), "connects_in_milliseconds": round(first * 1000, 3)}
    written, hindered = _describe_writes(remote)
    trust = _describe_trust(remote)
    details |= {"writes": remote.writes and not hindered, "leases": remote.leases and not hindered}
    policy = remote.seal.policy
    details |= {"trusted_keys": [] if policy is None else sorted(policy.keys), "signs": settings.remote_key is not None}
    found = f"{settings.remote}: answers in {latency:.2f} ms (connected in {first * 1000:.1f} ms)\n{written}\n{trust}"
    return missing(found, FIX, **details) if hindered else ok(found, **details)


def _ping(remote: RemoteTier) -> float:
    start = time.monotonic()
    remote.store.ping(start + OPERATION_SECONDS)
    return time.monotonic() - start


def _describe_writes(remote: RemoteTier) -> tuple[str, bool]:
    """What is written there, and whether something is that cannot be. A lease is taken to see it, and given back."""
    if not remote.writes:
        read = "mode read" if remote.seal.policy is None else "mode read, or no key to sign with"
        why = remote.store.writes or read
        return f"nothing is written there, and no lease is taken: {why}", False
    token = f"doctor:{os.getpid()}"
    digest = sha256_hex(token.encode())
    until = time.monotonic() + OPERATION_SECONDS
    try:
        remote.store.take_lease(digest, token, 5, until)
        remote.store.free_lease(digest, token, until)
    except StoreError as error:
        return f"nothing can be written there, {error.word}: {error.text}", True
    leases = f"machines wait for each other's compiles (leases of {remote.lease_seconds:g} s)"
    return f"what is compiled here goes there; {leases if remote.leases else 'no leases'}", False


def _describe_trust(remote: RemoteTier) -> str:
    policy = remote.seal.policy
    if policy is None:
        return "nothing need be signed: whoever can write there runs code here (JITLOAD_REMOTE_TRUST)"
    names = ", ".join(sorted(name for name, _ in policy.keys.values()))
    return f"takes what {policy.threshold} of these keys have signed: {names}"
