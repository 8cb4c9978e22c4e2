"""A store in a bucket, behind a web server or in a directory. The only importer of `obstore`.

    PREFIX/SCHEMA/e/KEY              an entry
    PREFIX/SCHEMA/r/DIGEST/SHA256    a closure record of a request, under the digest of its own bytes
    PREFIX/SCHEMA/r/DIGEST/first     the first of them once more, for readers that cannot list: web servers
    PREFIX/SCHEMA/l/DIGEST           the lease on the compile of a request, which holds until its time is over

What is there is made once and by one: every put is a put that only makes ("if none match"), as far as the store has it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import HTTPStore, LocalStore, from_url

from jitload import forks
from jitload.digest import sha256_hex
from jitload.format.json import canonical_json
from jitload.tiers.remote.deadline import CONNECT_SECONDS, OPERATION_SECONDS, PAGE_SECONDS, WRITE_SECONDS, run_within
from jitload.tiers.remote.store import AWAY, DAMAGED, REFUSED, TIMED_OUT, TOO_LARGE, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from jitload.format.arriving import Arriving

    Result = TypeVar("Result")

#: Records of a request that are looked at, the newest first, and that are read.
MAX_RECORDS_LISTED, MAX_RECORDS_READ = 1000, 8
#: Names that come at once in a listing.
PAGE_NAMES = 1000
#: A lease whose holder's clock says that it is over since then is over, whatever that clock is.
CLOCK_SECONDS = 60.0
_MAX_LEASE_SECONDS = 600.0
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_ERRNO = re.compile(r"\(os error ([0-9]{1,4})\)")
# What a disk says that will not have it; a network has numbers too, and cannot be reached then.
_REFUSING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
_FORKED = (
    "this process was forked from one that had used it, which its client does not survive: start workers by spawn, or "
    "use the remote in them alone"
)


class _Client:
    """The client's own threads, one set for the process.

    Attributes:
        used: whether it has been called here, and so has them.
        torn: whether it was called before a fork: they do not exist in the child, and it would wait for them for ever.
    """

    def __init__(self) -> None:
        self.used = self.torn = False
        forks.after_fork(self._note_fork)

    def _note_fork(self) -> None:
        self.torn = self.used


_client = _Client()


class ObjectStore:
    """A `Store` of objects.

    Args:
        reading: the client's store for what somebody waits for.
        writing: the same with time for what nobody waits for.
        prefix: what all names begin with.
    """

    def __init__(self, reading: Any, writing: Any, prefix: str) -> None:
        self._reading, self._writing = reading, writing
        self._prefix = prefix
        self._lists = not isinstance(reading, HTTPStore)
        self.writes = self.leases = "" if self._lists else "a web server is read only"
        # (digest of a request) -> (what its lease was, and since when it is that), by our own clock.
        self._seen: dict[str, tuple[str, float]] = {}

    def read_entry(self, key: str, most_bytes: int, until: float, arriving: Arriving | None = None) -> bytes | None:  # noqa: ARG002
        """See `Store`. It comes as a whole: in parts it would take this client ten times as long."""
        return _call(until, lambda: self._get(self._reading, f"e/{key}", most_bytes))

    def read_records(self, digest: str, most_bytes: int, until: float) -> list[bytes]:
        """See `Store`."""
        return _call(until, lambda: self._records(digest, most_bytes, until))

    def keys(self) -> Iterator[str]:
        """See `Store`."""
        return self._names("e")

    def digests(self) -> Iterator[str]:
        """See `Store`. Those of one request come behind each other, as a rule, and are one."""
        last = ""
        for name in self._names("r"):
            digest = name.partition("/")[0]
            if digest != last:
                yield (last := digest)

    def _names(self, what: str) -> Iterator[str]:
        if not self._lists:
            raise StoreError(REFUSED, "a web server is not listed")
        place = self._path(f"{what}/")
        pages = iter(obstore.list(self._writing, place, chunk_size=PAGE_NAMES))
        while True:
            page: Any = _call(time.monotonic() + PAGE_SECONDS, lambda: next(pages, None))
            if page is None:
                return
            yield from (row["path"][len(place) :] for row in page)

    def write_entry(self, key: str, data: bytes, until: float, *, replace: bool = False) -> bool:
        """See `Store`."""
        return _call(until, lambda: self._put(f"e/{key}", data, "overwrite" if replace else "create"))

    def drop_entry(self, key: str, until: float) -> None:
        """See `Store`."""
        _call(until, lambda: self._delete(f"e/{key}"))

    def add_record(self, digest: str, data: bytes, until: float) -> None:
        """See `Store`."""
        name = f"r/{digest}/{sha256_hex(data)}"
        if not _call(until, lambda: self._put(name, data, "create")):
            there = _call(until, lambda: self._get(self._writing, name, len(data)))
            if there != data:  # under the digest of these bytes nothing else is of any use
                _call(until, lambda: self._put(name, data, "overwrite"))
        _call(until, lambda: self._put(f"r/{digest}/first", data, "create"))

    def ping(self, until: float) -> None:
        """See `Store`: whether it can say that something is not there."""
        _call(until, lambda: self._get(self._reading, "ping", 1 << 10))

    def take_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store`."""
        name = f"l/{digest}"
        body = _lease(token, seconds)
        if _call(until, lambda: self._put(name, body, "create")):
            self._seen.pop(digest, None)
            return True
        found = _call(until, lambda: self._lease_there(name))
        if found is None:  # given back meanwhile: the next look gets it
            return False
        version, expires, its_seconds = found
        seen, since = self._seen.get(digest, ("", 0.0))
        if seen != version:
            self._seen[digest] = (version, time.monotonic())
        over = seen == version and time.monotonic() - since > (its_seconds or seconds)
        if not over and (expires is None or time.time() < expires + CLOCK_SECONDS):
            return False
        if not _call(until, lambda: self._replace(name, body, version)):
            return False
        self._seen.pop(digest, None)
        return True

    def renew_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store`."""
        name = f"l/{digest}"
        version = _call(until, lambda: self._own_version(name, token))
        return version is not None and _call(until, lambda: self._replace(name, _lease(token, seconds), version))

    def free_lease(self, digest: str, token: str, until: float) -> None:
        """See `Store`."""
        name = f"l/{digest}"
        if _call(until, lambda: self._own_version(name, token)) is not None:
            _call(until, lambda: obstore.delete(self._writing, self._path(name)))

    def _records(self, digest: str, most_bytes: int, until: float) -> list[bytes]:
        names = [f"r/{digest}/first"]
        if self._lists:
            listed: list[Any] = []
            for chunk in obstore.list(self._reading, self._path(f"r/{digest}/"), chunk_size=100):
                listed += [row for row in chunk if not row["path"].endswith("/first")]
                if len(listed) >= MAX_RECORDS_LISTED or time.monotonic() >= until:
                    break
            newest = sorted(listed, key=lambda row: row["last_modified"], reverse=True)
            names = [f"r/{digest}/{row['path'].rpartition('/')[2]}" for row in newest[:MAX_RECORDS_READ]]
        found: list[bytes] = []
        for name in names:
            if time.monotonic() >= until:
                break
            data = self._get(self._reading, name, most_bytes - sum(map(len, found)))
            found += [] if data is None else [data]
        return found

    def _get(self, store: Any, name: str, most_bytes: int) -> bytes | None:
        try:
            found = obstore.get(store, self._path(name))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StoreError(REFUSED, "there is no such bucket") from None
            return None
        if found.meta["size"] > most_bytes:
            raise StoreError(TOO_LARGE, f"it has {found.meta['size']} bytes, {most_bytes} are taken")
        return bytes(found.bytes())

    def _delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._writing, self._path(name))

    def _put(self, name: str, data: bytes, mode: Any) -> bool:
        try:
            obstore.put(self._writing, self._path(name), data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _replace(self, name: str, data: bytes, version: str) -> bool:
        """Put bytes where those of that version are; False where they are not any more."""
        if isinstance(self._writing, LocalStore):  # it has no conditions: two that come at once may both have it
            return self._put(name, data, "overwrite")
        try:
            return self._put(name, data, {"e_tag": version})
        except (NotSupportedError, NotImplementedError):
            return self._put(name, data, "overwrite")

    def _lease_there(self, name: str) -> tuple[str, float | None, float | None] | None:
        """Version, end by its holder's clock, and length of a lease, as far as it says; None where there is none."""
        version, held = self._held(name)
        if held is None:
            return (version, None, None) if version else None
        return version, held["expires"], min(held["seconds"], _MAX_LEASE_SECONDS)

    def _own_version(self, name: str, token: str) -> str | None:
        """The version of a lease that has this token; None where it is another's, or gone."""
        version, held = self._held(name)
        return version if held is not None and held["token"] == token else None

    def _held(self, name: str) -> tuple[str, dict[str, Any] | None]:
        """What stands in the place of a lease: its version ("": nothing does) and the lease, if it is one."""
        try:
            found = obstore.get(self._writing, self._path(name))
        except FileNotFoundError:
            return "", None
        data = bytes(found.bytes()) if found.meta["size"] < 1 << 10 else b""
        return str(found.meta["e_tag"] or found.meta["last_modified"]), _read_lease(data)

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _lease(token: str, seconds: float) -> bytes:
    return canonical_json({"expires": time.time() + seconds, "seconds": seconds, "token": token})


def _read_lease(data: bytes) -> dict[str, Any] | None:
    try:
        held = json.loads(data)
        good = type(held["token"]) is str and 0 <= float(held["expires"]) < 1e12 and 0 <= float(held["seconds"]) < 1e12
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return held if good else None


def _call(until: float, work: Callable[[], Result]) -> Result:
    """What an operation of the client gives, in a thread that is given up at `until`."""
    if _client.torn:
        raise StoreError(AWAY, _FORKED)
    _client.used = True
    try:
        return run_within(until, work)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - of the client: no compile fails for it
        raise _as_ours(error, until) from None


def _as_ours(error: Exception, until: float) -> StoreError:
    """What a failure of the client is to us. Its text is left out: it has URLs, which may be signed."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        return StoreError(REFUSED, f"it answers {status[1]}{f' {code[1]}' if code else ''}")
    if isinstance(error, OSError) and error.errno:
        return StoreError(REFUSED, f"errno {error.errno}")
    number = _ERRNO.search(text)
    if number is not None and int(number[1]) in _REFUSING:
        return StoreError(REFUSED, os.strerror(int(number[1])))
    if time.monotonic() >= until - 0.1 or "timed out" in text:
        return StoreError(TIMED_OUT, "no answer in time")
    if "decoding response body" in text or "Content-Length" in text or "ETag" in text:
        return StoreError(DAMAGED, "it sends something else than an object, or not all of it")
    return StoreError(AWAY, f"it cannot be reached ({type(error).__name__})")


def open_store(url: str, prefix: str) -> ObjectStore:
    """The store of a URL; nothing is connected yet. Of its parameters, `endpoint` and `region` are known.

    Raises:
        StoreError: the client does not take the URL.
    """
    place, _, query = url.partition("?")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    if set(options) - {"endpoint", "region"}:
        raise StoreError(REFUSED, "its URL has parameters other than endpoint, region and prefix")
    try:
        if place.startswith("file:"):
            made = partial(LocalStore, place.removeprefix("file://"), mkdir=True)
            return ObjectStore(made(), made(), prefix)
        scheme, _, rest = place.partition("://")
        connect = partial(from_url, f"{scheme.lower()}://{rest}", config=options or None)
        reading, writing = (_limited(connect, seconds, scheme) for seconds in (OPERATION_SECONDS, WRITE_SECONDS))
    except (BaseError, OSError, ValueError, TypeError) as error:
        what = f"the client does not take this URL, or the credentials that it finds ({type(error).__name__})"
        raise StoreError(REFUSED, what) from None
    return ObjectStore(reading, writing, prefix)


def _limited(connect: Callable[..., Any], seconds: float, scheme: str) -> Any:
    client = {
        "timeout": f"{int(seconds * 1000)}ms",
        "connect_timeout": f"{int(CONNECT_SECONDS * 1000)}ms",
        # An endpoint without TLS is somebody's choice: it stands in a URL.
        "allow_http": scheme.lower() != "https",
    }
    return connect(client_options=client, retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)})
