"""The policy that a bundle must meet when it is opened; what a policy is, `trust/policy.py` says. All offline."""

from __future__ import annotations

from jitload.errors import TrustError
from jitload.lazy import lazy
from jitload.trust.policy import KEY_ID_DIGITS as KEY_ID_DIGITS
from jitload.trust.policy import PREFIX as PREFIX
from jitload.trust.policy import Policy as Policy
from jitload.trust.policy import decode_trust_file as decode_trust_file
from jitload.trust.policy import is_key_id as is_key_id
from jitload.trust.policy import key_id as key_id
from jitload.trust.policy import parse_public_key as parse_public_key
from jitload.trust.policy import read_policy as read_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles.manifest import Manifest
    from jitload.bundles.signature import Signature
    from jitload.trust import ed25519
else:
    ed25519 = lazy("jitload.trust.ed25519")

#: In `not_older_than`: every bundle that is not named there.
ANY_BUNDLE = "*"
_TRUST_IT = "where you trust that key, name its .pub file in trust= or JITLOAD_TRUST, or "
# (header, signatures, policy) that were verified in this process: one file, one verification.
_verified: dict[tuple[object, ...], tuple[str, ...]] = {}
_MAX_VERIFIED = 256


def verify_trust(
    name: str, header: bytes, signatures: tuple[Signature, ...], trust: Iterable[object] | str | None
) -> tuple[Policy, tuple[str, ...]]:
    """The policy, and the names of the trusted keys that signed a bundle as it demands; no names where none need sign.

    Args:
        name: what to call the bundle in a message.
        header: the header of the bundle.
        signatures: those that came with it.
        trust: as `read_policy` takes it.

    Raises:
        TrustError: the policy is not met.
    """
    try:
        policy = read_policy(trust)
        if policy.unsigned:
            return policy, ()
        state = (header, signatures, tuple(policy.keys.items()), policy.threshold, policy.revoked)
        if state not in _verified:
            if len(_verified) >= _MAX_VERIFIED:
                _verified.clear()
            _verified[state] = _signers(policy, header, signatures)
        return policy, _verified[state]
    except TrustError as error:
        raise TrustError(f"{name} is not used: {error}") from None


def verify_serial(name: str, manifest: Manifest, policy: Policy) -> None:
    """Nothing for a bundle whose manifest has the serial that a policy demands; its signatures are verified before.

    Raises:
        TrustError: it is older, or the policy does not speak of it.
    """
    own, serial = manifest.get("name", ""), manifest.get("serial", 0)
    called = f"bundle {own!r} of serial {serial}" if own else f"a bundle without a name, of serial {serial}"
    for table in policy.serials:
        least = table.get(own, table.get(ANY_BUNDLE))
        if least is None:
            raise TrustError(
                f"{name} is not used: it is {called}, and the trust file takes only {', '.join(sorted(table))} "
                f"(not_older_than): name it there, or write {ANY_BUNDLE!r} for all others"
            )
        if serial < least:
            raise TrustError(
                f"{name} is not used: it is {called}, and the trust file takes none before serial {least}: "
                f"deploy a newer one"
            )


def _signers(policy: Policy, header: bytes, signatures: Iterable[Signature]) -> tuple[str, ...]:
    signed: list[str] = []
    rejected = []
    unknown = False
    for signature in signatures:
        if signature.key in policy.revoked:
            rejected.append(f"key {signature.key} is revoked")
        elif signature.key not in policy.keys:
            rejected.append(f"key {signature.key} is not trusted")
            unknown = True
        else:
            name, public = policy.keys[signature.key]
            ed25519.verify_signature(public, signature.data, signature.statement(header), name)
            signed.append(name)
    if len(signed) < policy.threshold:
        many = policy.threshold > 1
        why = "; ".join(rejected) or ("too few have signed" if signed else "it is not signed")
        needed = f"the signature{'s' * many} of {policy.threshold} trusted key{'s' * many}"
        ways_out = f"{_TRUST_IT if unknown else ''}have it signed by {'them' if many else 'one'} (jitload bundle sign)"
        raise TrustError(f"it needs {needed} and has {len(signed)}: {why}; {ways_out}")
    return tuple(signed)
