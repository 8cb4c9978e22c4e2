"""`Seal`: signs what goes to a remote, where this process has a key, and judges what comes, where keys are demanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import log
from jitload.digest import sha256
from jitload.errors import TrustError
from jitload.lazy import lazy
from jitload.tiers.remote.store import REFUSED, UNSIGNED, UNTRUSTED, StoreError

if TYPE_CHECKING:
    from jitload.format.arriving import Arrived
    from jitload.trust import trailer
    from jitload.trust.policy import Policy
    from jitload.trust.trailer import Rows, Signer
else:
    trailer = lazy("jitload.trust.trailer")

#: What is signed, as the signature calls it.
ENTRY, RECORD = "entry", "closure record"
_MAGIC = b"JLSIGNED"  # of trailer.py, which need not be imported where nothing ends with it


class Seal:
    """Signatures of one remote.

    Args:
        policy: what must have signed whatever comes; None where nothing need be signed.
        key_path: the private key that signs what goes; None for none.
    """

    def __init__(self, policy: Policy | None = None, key_path: str | None = None) -> None:
        self.policy = policy
        self.key_path = key_path
        self._signer: Signer | None = None

    def open(self, data: bytes, what: str, name: str) -> bytes:
        """The bytes without their signatures, where those do.

        Raises:
            StoreError: "unsigned" or "untrusted".
        """
        if self.policy is None:
            return trailer.split_trailer(data)[0] if data.endswith(_MAGIC) else data
        body, rows = trailer.split_trailer(data)
        _judge(self.policy, rows, sha256(body), what, name)
        return body

    def open_arrived(self, came: Arrived, what: str, name: str) -> Arrived:
        """The same of what came in pieces, whose digest was made then.

        Raises:
            StoreError: "unsigned" or "untrusted".
        """
        if self.policy is None and not came.behind:
            return came
        behind, rows = trailer.split_trailer(came.behind)
        body = came.without(behind)
        if self.policy is not None:
            _judge(self.policy, rows, body.sha256(), what, name)
        return body

    def close(self, body: bytes, what: str, name: str) -> bytes:
        """The bytes with the signature of this process, where it has a key.

        Raises:
            StoreError: the key cannot be used: nothing goes there then.
        """
        if self.key_path is None:
            return body
        return self._own().sign(body, what, name)

    def suffices(self, data: bytes) -> bool:
        """Whether what stands there, and passes here, is signed as what would be put in its place."""
        if self.key_path is None:
            return True
        rows = trailer.split_trailer(data)[1]
        return any(key == self._own().key for key, _ in rows) or (self.policy is not None and bool(rows))

    def _own(self) -> Signer:
        if self._signer is None:
            try:
                self._signer = trailer.Signer(self.key_path or "")
            except TrustError as error:
                log.warn_once(("remote key", self.key_path), f"nothing is written to the remote: {error}")
                raise StoreError(REFUSED, "the key that signs cannot be used") from None
        return self._signer


def _judge(policy: Policy, rows: Rows, digest: bytes, what: str, name: str) -> None:
    try:
        trailer.verify_trailer(policy, rows, digest, what, name)
    except TrustError as error:
        raise StoreError(UNTRUSTED if rows else UNSIGNED, str(error)) from None
