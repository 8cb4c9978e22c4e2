"""A registry of images, as far as bundles need one: a few calls of the OCI distribution protocol, with credentials.

Credentials go to the host that they are for and to the place that it names for tokens, never where a redirect leads.
What is said of a failure has no query of a URL in it, where such places keep signatures, and no header.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from jitload.errors import BundleError
from jitload.files.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message
    from http.client import HTTPResponse

#: How long a server may keep silent.
TIMEOUT_SECONDS = 30.0
#: How much of an answer that is no blob is read.
MAX_ANSWER_BYTES = 4 << 20
_MAX_REDIRECTS = 5
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
#: One parameter of a challenge: realm="https://auth.example/token".
_PARAMETER = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|([^\s,"]+))')


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Where a redirect leads is looked at before anything is sent there."""


class Credentials:
    """What the file of the container tools says of a registry.

    Attributes:
        basic: the value of an Authorization header, or "".
        why_none: what to tell the user where there is none.
    """

    def __init__(self, basic: str = "", why_none: str = "") -> None:
        self.basic = basic
        self.why_none = why_none


def read_credentials(path: str, host: str) -> Credentials:
    """The credentials for a registry in a config.json of Docker; a file that is missing has none.

    Args:
        path: the file.
        host: "registry.example" or "registry.example:5000".

    Raises:
        BundleError: the file cannot be read as one. What is in it is not shown.
    """
    try:
        with open_regular(path) as file:
            config = json.loads(file.read(MAX_ANSWER_BYTES))
        auths, helpers = config.get("auths") or {}, config.get("credHelpers") or {}
        entry = next((auths[name] for name in auths if _host_of(name) == host), None) or {}
        if entry.get("auth"):
            base64.b64decode(entry["auth"], validate=True)
            return Credentials(f"Basic {entry['auth']}")
        helper = helpers.get(host) or config.get("credsStore")
    except FileNotFoundError:
        return Credentials(why_none=f"there is no {path}")
    except (OSError, ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise BundleError(f"{path} cannot be read as the container tools' file ({type(error).__name__})") from None
    if entry.get("identitytoken"):
        return Credentials(why_none=f"{path} has an identity token for {host}, which is not supported: use a password")
    if helper:
        why = f"{path} leaves {host} to docker-credential-{helper}, and credential helpers are not supported"
        return Credentials(why_none=f"{why}: put an `auth` for it into a config.json that DOCKER_CONFIG leads to")
    return Credentials(why_none=f"{path} has none for {host}")


def _host_of(name: str) -> str:
    """The registry that a key of `auths` means: "https://registry.example/v1/" too."""
    return name.partition("://")[2].split("/")[0] if "://" in name else name.split("/", maxsplit=1)[0]


class Registry:
    """One registry.

    Args:
        host: "registry.example" or "registry.example:5000".
        repository: whose blobs and manifests are asked for.
        config: the container tools' file.
        plain_http: speak HTTP; on the loopback interface that is always done.
    """

    def __init__(self, host: str, repository: str, config: str, *, plain_http: bool = False) -> None:
        self.host = host
        here = bool(_LOOPBACK.fullmatch(host))
        self._plain_hosts = re.compile(".*") if plain_http else _LOOPBACK if here else None
        self._base = f"{'http' if plain_http or here else 'https'}://{host}/v2/{repository}/"
        self._repository = repository
        self._config = config
        self._authorization: dict[str, str] = {}  # what is asked for -> header
        self._opener = build_opener(_NoRedirects)

    def has_blob(self, digest: str) -> bool:
        """Whether it holds a blob."""
        return self._ask("HEAD", f"blobs/{digest}", expect=(200, 404))[0] == 200

    def push_blob(self, digest: str, body: bytes) -> None:
        """Upload a blob in one piece, if it is not there."""
        if self.has_blob(digest):
            return
        _, headers, _ = self._ask("POST", "blobs/uploads/", body=b"", expect=(202,), write=True)
        location = urljoin(self._base, headers.get("Location", ""))
        where = f"{location}{'&' if urlsplit(location).query else '?'}{urlencode({'digest': digest})}"
        about = {"Content-Type": "application/octet-stream"}
        self._ask("PUT", where, body=body, headers=about, expect=(201,), write=True)

    def push_manifest(self, name: str, manifest: bytes, media_type: str) -> None:
        """Put a manifest under a tag or its digest."""
        self._ask(
            "PUT", f"manifests/{name}", body=manifest, headers={"Content-Type": media_type}, expect=(201,), write=True
        )

    def manifest(self, name: str, media_type: str) -> bytes:
        """The manifest of a tag or digest, as it came."""
        return self._ask("GET", f"manifests/{name}", headers={"Accept": media_type}, expect=(200,))[2]

    def blob(self, digest: str, size: int) -> bytes:
        """What is served as a blob, up to that many bytes and one."""
        return self._ask("GET", f"blobs/{digest}", expect=(200,), most=size + 1)[2]

    def _ask(
        self,
        method: str,
        where: str,
        *,
        expect: tuple[int, ...],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool = False,
        most: int = MAX_ANSWER_BYTES,
    ) -> tuple[int, Message, bytes]:
        """(status, headers, body) of an answer, with credentials where they are asked for.

        Raises:
            OSError: the registry cannot be asked, or says something else than was expected.
        """
        url, scope = urljoin(self._base, where), "pull,push" if write else "pull"
        for _ in range(_MAX_REDIRECTS + 2):
            own = self._is_own(url)
            sent = {**(headers or {}), "User-Agent": "jitload"}
            if own and scope in self._authorization:
                sent["Authorization"] = self._authorization[scope]
            status, answer, data = self._exchange(method, url, body, sent, most)
            if status == 401 and own and "Authorization" not in sent:
                self._authorize(answer.get("WWW-Authenticate", ""), scope)
            elif status in {301, 302, 303, 307, 308} and method in {"GET", "HEAD"}:
                target = urljoin(url, answer.get("Location", ""))
                self._expect_allowed(target)
                url = target
            elif status in expect:
                return status, answer, data
            else:
                raise OSError(f"{method} {_shown(url)}: {self._complaint(status, data)}")
        raise OSError(f"{method} {_shown(self._base)}: redirected too often")

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], most: int
    ) -> tuple[int, Message, bytes]:
        self._expect_allowed(url)
        request = Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - http and https alone
        try:
            try:
                response: HTTPResponse | HTTPError = self._opener.open(request, timeout=TIMEOUT_SECONDS)
            except HTTPError as error:
                response = error
            with response:
                return response.status or 0, response.headers, response.read(most)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a host or header that cannot be
            reason = getattr(error, "reason", None) or error
            raise OSError(f"{method} {_shown(url)}: {type(reason).__name__}: {_without_query(str(reason))}") from None

    def _authorize(self, challenge: str, scope: str) -> None:
        """Get what the registry asks for: a name and password, or a token of the place that it names."""
        scheme, _, rest = challenge.partition(" ")
        found = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        credentials = read_credentials(self._config, self.host)
        if scheme.lower() == "basic":
            if not credentials.basic:
                raise OSError(f"{self.host} wants credentials: {credentials.why_none}")
            self._authorization[scope] = credentials.basic
            return
        if scheme.lower() != "bearer" or "realm" not in found:
            raise OSError(f"{self.host} wants credentials of a kind that is not supported: {scheme[:40]!r}")
        query = {"service": found["service"]} if "service" in found else {}
        query["scope"] = f"repository:{self._repository}:{scope}"
        realm = f"{found['realm']}{'&' if urlsplit(found['realm']).query else '?'}{urlencode(query, quote_via=quote)}"
        sent = {"User-Agent": "jitload", **({"Authorization": credentials.basic} if credentials.basic else {})}
        status, _, data = self._exchange("GET", realm, None, sent, MAX_ANSWER_BYTES)
        if status != 200:
            why = f" ({credentials.why_none})" if credentials.why_none else ""
            raise OSError(f"GET {_shown(realm)}: {self._complaint(status, b'')}{why}")
        try:
            answer = json.loads(data)
            token = answer.get("token") or answer["access_token"]
            if not re.fullmatch(r"[\x21-\x7e]+", token):
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise OSError(f"GET {_shown(realm)}: what came is no token") from None
        self._authorization[scope] = f"Bearer {token}"

    def _is_own(self, url: str) -> bool:
        own, other = urlsplit(self._base), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def _expect_allowed(self, url: str) -> None:
        """Nothing where a URL may be asked for.

        Raises:
            OSError: it is none, or one in the clear.
        """
        parts = urlsplit(url)
        in_the_clear = self._plain_hosts is not None and self._plain_hosts.fullmatch(parts.netloc)
        if parts.scheme != "https" and not (parts.scheme == "http" and in_the_clear):
            raise OSError(f"{_shown(url)} is not asked: only https is, and http on request (--plain-http)")

    def _complaint(self, status: int, data: bytes) -> str:
        """What a registry says is wrong, by its code alone: messages may repeat what was sent."""
        try:
            codes = [str(error["code"]) for error in json.loads(data)["errors"]]
            said = ", ".join(code for code in codes if re.fullmatch(r"[A-Z_]{1,40}", code))
        except (ValueError, TypeError, KeyError, RecursionError):
            said = ""
        refused = ", with the credentials of " + self._config if status in {401, 403} and self._authorization else ""
        return f"the registry answers {status}{f' ({said})' if said else ''}{refused}"


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _without_query(text: str) -> str:
    return re.sub(r"\?\S*", "?...", text)
