"""Where things lie in a remote: `PREFIX/SCHEMA/...`, so that versions of jitload share one and do not meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.settings.address import Address

#: Of what lies in a remote and how it is named. What it was before stays for those who look for it there.
SCHEMA = "1"
#: In a store that has no directories, where nothing else is said.
DEFAULT_PREFIX = "jitload"


def split_prefix(address: Address) -> tuple[str, str]:
    """The URL for the client, without our own parameter `prefix`, and the prefix with the schema.

    For Redis the prefix is "jitload" where the URL has none; for others it goes behind the path of the URL.
    """
    place, mark, query = address.url.partition("?")
    parts = query.split("&") if mark else []
    given = [part.partition("=")[2] for part in parts if part.partition("=")[0] == "prefix"]
    others = [part for part in parts if part.partition("=")[0] != "prefix"]
    prefix = (given[-1] if given else DEFAULT_PREFIX).strip("/")
    url = f"{place}?{'&'.join(others)}" if others else place
    return url, f"{prefix}/{SCHEMA}" if prefix else SCHEMA
