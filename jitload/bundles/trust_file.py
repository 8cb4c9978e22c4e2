"""Trust files as they are written; trust.py has what stands in them, and reads them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from jitload.bundles.trust import KEY_ID_DIGITS, PREFIX, decode_trust_file, is_key_id, read_policy
from jitload.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles.trust import Policy

_HEX = frozenset("0123456789abcdef")


def encode_trust_file(policy: Policy) -> str:
    """The text of a trust file.

    Raises:
        TrustError: a policy that cannot be written down.
    """
    rows = [{"key": f"{PREFIX}{public.hex()}", "name": name} for name, public in policy.keys.values()]
    value: dict[str, object] = {"jitload trust": 1, "keys": rows, "threshold": policy.threshold}
    value["revoked"] = sorted(policy.revoked)
    if policy.serials:
        names = {name for table in policy.serials for name in table}
        value["not_older_than"] = {name: max(table.get(name, 0) for table in policy.serials) for name in sorted(names)}
    text = json.dumps(value, indent=2) + "\n"
    decode_trust_file(text)
    return text


def find_key(text: str, keys: Iterable[str]) -> str:
    """The id of a key that somebody named: by its .pub file, by itself, by its id, or by the first digits of it.

    Args:
        text: what was written.
        keys: the ids among which the first digits are looked for.

    Raises:
        TrustError: it is none of these, or the digits fit no key or several.
    """
    if is_key_id(text):
        return text
    if _HEX.issuperset(text) and len(text) < KEY_ID_DIGITS and not os.path.exists(text):
        found = [key for key in keys if key.startswith(text)]
        if len(found) != 1:
            fits = f"fits {len(found)} of them" if found else "fits none of them"
            raise TrustError(f"key {text!r} {fits}: {', '.join(sorted(keys))}; write the .pub file or the whole id")
        return found[0]
    if not text.startswith(PREFIX) and not os.path.exists(text):
        raise TrustError(
            f"{text!r} is no key: write its .pub file, {PREFIX}..., or its id of {KEY_ID_DIGITS} hex digits"
        )
    named = read_policy(text).keys
    if len(named) != 1:
        raise TrustError(f"{text} names {len(named)} keys, expected one")
    return next(iter(named))
