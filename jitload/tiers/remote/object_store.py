"""A store in a bucket, behind a web server or in a directory. The only importer of `obstore`.

    PREFIX/SCHEMA/e/KEY              an entry
    PREFIX/SCHEMA/r/DIGEST/SHA256    a closure record of a request, under the digest of its own bytes
    PREFIX/SCHEMA/r/DIGEST/first     the first of them once more, for readers that cannot list: web servers
    PREFIX/SCHEMA/l/DIGEST           the lease on the compile of a request, which holds until its time is over; see
                                     object_lease.py

What is there is made once and by one: every put is a put that only makes ("if none match"), as far as the store has it.
"""

from __future__ import annotations

import errno
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
from jitload.tiers.remote.deadline import CONNECT_SECONDS, OPERATION_SECONDS, WRITE_SECONDS, Listing, run_within
from jitload.tiers.remote.object_lease import ObjectLeases
from jitload.tiers.remote.store import AWAY, DAMAGED, REFUSED, TIMED_OUT, TOO_LARGE, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from jitload.tiers.remote.object_lease import Version

    Result = TypeVar("Result")

#: Records of a request that are looked at, the newest first, and that are read.
MAX_RECORDS_LISTED, MAX_RECORDS_READ = 1000, 8
#: Names that come at once in a listing.
PAGE_NAMES = 1000
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
        self._leases = ObjectLeases(self)
        #: Whether it replaces a version and nothing else; a directory does not.
        self.conditional = not isinstance(reading, LocalStore)

    def read_entry(self, key: str, most_bytes: int, until: float) -> bytes | None:
        """See `Store`."""
        return _call(until, lambda: self._get(self._reading, f"e/{key}", most_bytes))

    def receive_entry(self, key: str, most_bytes: int, until: float) -> bytes | None:
        """See `Store`. It comes as a whole: in parts it would take this client ten times as long."""
        return self.read_entry(key, most_bytes, until)

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
        listing = Listing()
        while True:
            page: Any = listing.page(
                lambda until: _call(until, lambda: next(pages, None)), lambda page: len(page or ())
            )
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
        return self._leases.take(digest, token, seconds, until)

    def renew_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store`."""
        return self._leases.renew(digest, token, seconds, until)

    def free_lease(self, digest: str, token: str, until: float) -> None:
        """See `Store`."""
        self._leases.free(digest, token, until)

    def create(self, name: str, data: bytes, until: float) -> bool:
        """Put bytes where nothing stands; False where something does."""
        return _call(until, lambda: self._put(name, data, "create"))

    def version(self, name: str, most_bytes: int, until: float) -> tuple[Version, bytes] | None:
        """The version of what stands there, and its bytes (none of what has more than `most_bytes`); None: nothing."""
        return _call(until, lambda: self._version(name, most_bytes))

    def replace(self, name: str, data: bytes, version: Version, until: float, *, anyway: bool) -> bool:
        """Put bytes where that version stands; False where it does not any more.

        Args:
            name: where.
            data: what.
            version: what `version` has given.
            until: when the operation is over.
            anyway: whether to put them where a store knows no such condition, whatever stands there by then.
        """
        return _call(until, lambda: self._replace(name, data, version, anyway=anyway))

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

    def _replace(self, name: str, data: bytes, version: Version, *, anyway: bool) -> bool:
        if self.conditional:
            e_tag, number = version
            try:
                return self._put(
                    name, data, {"e_tag": e_tag} if number is None else {"e_tag": e_tag, "version": number}
                )
            except (NotSupportedError, NotImplementedError):
                self.conditional = False
        return anyway and self._put(name, data, "overwrite")

    def _version(self, name: str, most_bytes: int) -> tuple[Version, bytes] | None:
        try:
            found = obstore.get(self._writing, self._path(name))
        except FileNotFoundError:
            return None
        data = bytes(found.bytes()) if found.meta["size"] <= most_bytes else b""
        return (found.meta["e_tag"] or str(found.meta["last_modified"]), found.meta["version"]), data

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


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
