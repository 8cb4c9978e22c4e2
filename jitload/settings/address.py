"""`Address`: the URL of a remote, which is shown without what is secret in it."""

from __future__ import annotations

import re

from jitload.errors import UsageValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REDIS_SCHEMES = ("redis", "rediss")
OBJECT_SCHEMES = ("s3", "gs", "az", "http", "https", "file")
_SCHEMES = (*REDIS_SCHEMES, *OBJECT_SCHEMES)
_EXPECTED = f"expected a URL that begins with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
#: Of the parameters of a URL those that tell nothing secret; a signature or a password may stand in any other.
_SHOWN_PARAMETERS = ("prefix", "endpoint", "region")
#: Those that may have an "@" in them, behind a place that has none.
_WITH_AT = (
    "endpoint",
    "username",
    "password",
    "client_name",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
)
#: What ends the URL in a parameter, but for parameters of its own.
_ENDS = re.compile("[?#;]")


class Address(str):
    """Where a remote is. As text it has no user, no password and no parameter that may be secret.

    Attributes:
        url: the URL as it was given: for the client that connects, and for nothing that anybody reads.
        scheme: "redis", "s3"...
    """

    __slots__ = ("scheme", "url")
    url: str
    scheme: str

    def __new__(cls, url: str) -> Address:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        """The address of a URL whose scheme is known."""
        made = super().__new__(cls, _shown(url))
        made.url = url
        made.scheme = url.partition("://")[0].lower()
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other.url == self.url

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[type[Address], tuple[str]]:
        """How it is pickled, for worker processes: as the URL."""
        return Address, (self.url,)


def remote_address(name: str, value: Any) -> Address | None:
    """A setting that is the URL of a remote; None stays None. What is refused is not repeated: it may be secret.

    Raises:
        UsageValueError: it is no URL of a kind that is known.
    """
    if value is None or isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise UsageValueError(f"{name} is not a URL but a {type(value).__name__}; {_EXPECTED}")
    text = value.strip()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        what = f"{scheme}://" if separator and scheme.isalnum() else "what it holds"
        raise UsageValueError(f"{name}: {what} names no remote that is known; {_EXPECTED}")
    if not rest.strip("/") or not text.isprintable():
        raise UsageValueError(f"{name}: {scheme}:// is followed by no place; {_EXPECTED} and goes on with a place")
    address = Address(text)
    if address.scheme == "file" and not rest.startswith("/"):
        raise UsageValueError(f"{name}: file:// is followed by no absolute path; expected file:///DIRECTORY")
    host = address.partition("://")[2].partition("?")[0].partition("/")[0]
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise UsageValueError(f"{name}: a URL whose port is none; {_EXPECTED}, then HOST:PORT")
    return address


def _shown(url: str) -> str:
    """The URL without user, password, and parameters that may be secret."""
    place, _, rest = url.partition("?")
    scheme, _, rest_of_place = place.partition("://")
    # Before that "@" is no parameter: a user or a password that was not quoted has a question mark in it.
    while "@" in rest and "=" not in rest.partition("@")[0]:
        rest_of_place, _, rest = rest.partition("@")[2].partition("?")
    # Behind a place that is whole and has no user that is a parameter's; else a password may have it in it.
    whole = "/" in rest_of_place and "@" not in rest_of_place
    if any("@" in part and not (whole and part.partition("=")[0] in _WITH_AT) for part in rest.split("&")):
        return f"{scheme.lower()}://..."  # a password or a parameter: whose part the host is, nobody can tell
    host, slash, path = rest_of_place.partition("/")
    while "@" in path:  # a password that was not quoted may have a slash in it
        path = path.partition("@")[2]
        host, slash, path = path.partition("/")
    parameters = [part for part in rest.split("&") if part.partition("=")[0] in _SHOWN_PARAMETERS]
    parameters = [_ENDS.split(part, maxsplit=1)[0] for part in parameters if "@" not in part]
    query = f"?{'&'.join(parameters)}" if parameters else ""
    return f"{scheme.lower()}://{host.rpartition('@')[2]}{slash}{path.partition('#')[0]}{query}"
