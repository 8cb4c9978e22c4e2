"""A store in Redis, or in what speaks its protocol. The only importer of `redis`.

    PREFIX/SCHEMA/e/KEY       a string: an entry
    PREFIX/SCHEMA/r/DIGEST    a sorted set: the closure records of a request, by the time at which they came
    PREFIX/SCHEMA/l/DIGEST    a string that expires: the lease on the compile of a request, and who has it

The client's own time-outs hold for one read of a socket each, so a server that sends a byte now and then is waited for
without end, and its retries multiply that. So the sockets are ours (`bound_socket`).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

import redis.exceptions as failures
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, parse_url
from redis.retry import Retry

from jitload import forks
from jitload.format.arriving import Arrived, receive_whole
from jitload.tiers.remote.bound_socket import BoundSocket, TooMuchError, find_places
from jitload.tiers.remote.deadline import CONNECT_SECONDS, OPERATION_SECONDS, Listing
from jitload.tiers.remote.redis_scripts import ADD_RECORD, FREE_LEASE, RENEW_LEASE, TAKE_LEASE
from jitload.tiers.remote.resp import is_page, is_string, is_strings, packed
from jitload.tiers.remote.store import AWAY, DAMAGED, REFUSED, TIMED_OUT, TOO_LARGE, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from jitload.tiers.remote.bound_socket import Take

    Foreign: TypeAlias = Any  # a connection of the client, and what it makes of a reply

#: Records of a request that are read, and that are kept.
MAX_RECORDS_READ, MAX_RECORDS_KEPT = 16, 64
#: What a reply has besides the bytes that were asked for.
_REPLY_BYTES = 64 << 10
#: Connections that are kept for the next who asks.
MAX_IDLE = 8
#: Names that come at once in a listing, and what they take at most.
PAGE_NAMES, PAGE_BYTES = 1000, 16 << 20
_SPECIAL = re.compile(r"[*?\[\]\\]")  # in a pattern of SCAN


class _Bound:
    """What both kinds of connections have besides: until when, and how many bytes."""

    until = 0.0
    bytes_left = 0
    host: str
    port: int
    bound: BoundSocket

    def _reach(self) -> socket.socket:
        until = min(self.until, time.monotonic() + CONNECT_SECONDS)
        failed: OSError = TimeoutError()
        for family, address in find_places(self.host, self.port, until):
            reached = socket.socket(family, socket.SOCK_STREAM)
            try:
                reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reached.settimeout(max(0.001, until - time.monotonic()))
                reached.connect(address)
                return reached
            except OSError as error:
                reached.close()
                failed = error
        raise failed


class _Plain(_Bound, Connection):
    def _connect(self) -> Any:
        self.bound = BoundSocket(self._reach(), self)
        return self.bound


class _Secure(_Bound, SSLConnection):
    def _connect(self) -> Any:
        # The handshake keeps to the time-out of the socket as a whole.
        wrap: Any = self._wrap_socket_with_ssl
        reached = self._reach()
        try:
            self.bound = BoundSocket(wrap(reached), self)
        except BaseException:
            reached.close()
            raise
        return self.bound


class RedisStore:
    """A `Store` in Redis.

    Args:
        url: "redis://[user:password@]host[:port][/database]", or rediss:// for TLS; what else the client takes may
            follow as parameters.
        prefix: what all keys begin with.
    """

    writes = leases = ""

    def __init__(self, url: str, prefix: str) -> None:
        parse: Any = parse_url
        options: dict[str, Any] = parse(url)
        secure = options.pop("connection_class", None) is not None
        self._kind: type[Any] = _Secure if secure else _Plain
        options.setdefault("host", "localhost")
        options.setdefault("port", 6379)
        self._options = {
            **options,
            "socket_timeout": OPERATION_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,  # else two more round trips with each connection
        }
        self._prefix = prefix
        self._idle: list[Foreign] = []
        forks.after_fork(self._drop)

    def read_entry(self, key: str, most_bytes: int, until: float) -> bytes | None:
        """See `Store`. An empty string is what is not there."""
        data: bytes | None = self._read(key, most_bytes, until, receive_whole)
        return data

    def receive_entry(self, key: str, most_bytes: int, until: float) -> bytes | Arrived | None:
        """See `Store`."""
        entry: bytes | Arrived | None = self._read(key, most_bytes, until, Arrived)
        return entry

    def _read(self, key: str, most_bytes: int, until: float, take: Take) -> Foreign:
        # One byte more than is taken: however long it is, no more of it comes over the wire.
        command = ("GETRANGE", f"{self._prefix}/e/{key}", 0, most_bytes)
        found = self._ask(until, most_bytes, *command, read=partial(_read_string, take=take), right=is_string)
        if found and len(found) > most_bytes:
            raise StoreError(TOO_LARGE, f"it has more than {most_bytes} bytes")
        return found or None

    def read_records(self, digest: str, most_bytes: int, until: float) -> list[bytes]:
        """See `Store`."""
        name = f"{self._prefix}/r/{digest}"
        last = MAX_RECORDS_READ - 1
        found: list[bytes] | None = self._ask(until, most_bytes, "ZREVRANGE", name, 0, last, right=is_strings)
        return found or []

    def keys(self) -> Iterator[str]:
        """See `Store`."""
        return self._names("e")

    def digests(self) -> Iterator[str]:
        """See `Store`."""
        return self._names("r")

    def _names(self, what: str) -> Iterator[str]:
        place = f"{self._prefix}/{what}/"
        pattern = _SPECIAL.sub(r"\\\g<0>", place) + "*"
        cursor, listing = b"0", Listing()
        while True:
            cursor, names = listing.page(partial(self._page, cursor, pattern), lambda page: len(page[1]))
            yield from (name[len(place) :].decode("ascii", "replace") for name in names)
            if cursor == b"0":
                return

    def _page(self, cursor: bytes, pattern: str, until: float) -> tuple[bytes, list[bytes]]:
        """Where a listing goes on behind that place, and the names up to there."""
        command = ("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE_NAMES)
        following, names = self._ask(until, PAGE_BYTES, *command, right=is_page)
        return following, names or []

    def write_entry(self, key: str, data: bytes, until: float, *, replace: bool = False) -> bool:
        """See `Store`."""
        name = f"{self._prefix}/e/{key}"
        return self._ask(until, 0, "SET", name, data, *(() if replace else ("NX",))) is not None

    def drop_entry(self, key: str, until: float) -> None:
        """See `Store`."""
        self._ask(until, 0, "DEL", f"{self._prefix}/e/{key}")

    def add_record(self, digest: str, data: bytes, until: float) -> None:
        """See `Store`. What is of another type there goes: it is not ours."""
        name = f"{self._prefix}/r/{digest}"
        self._ask(until, 0, "EVAL", ADD_RECORD, 1, name, int(time.time() * 1000), data, MAX_RECORDS_KEPT)

    def take_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store`. What stands there for ever, or nearly, is no lease of ours, and goes."""
        name = f"{self._prefix}/l/{digest}"
        if self._ask(until, 0, "SET", name, token, "NX", "PX", int(seconds * 1000)) is not None:
            return True
        return bool(self._ask(until, 0, "EVAL", TAKE_LEASE, 1, name, token, int(seconds * 1000)))

    def renew_lease(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store`."""
        name = f"{self._prefix}/l/{digest}"
        return bool(self._ask(until, 0, "EVAL", RENEW_LEASE, 1, name, token, int(seconds * 1000)))

    def free_lease(self, digest: str, token: str, until: float) -> None:
        """See `Store`."""
        self._ask(until, 0, "EVAL", FREE_LEASE, 1, f"{self._prefix}/l/{digest}", token)

    def ping(self, until: float) -> None:
        """See `Store`."""
        self._ask(until, 0, "PING")

    def _ask(
        self,
        until: float,
        most_bytes: int,
        *command: str | bytes | int,
        read: Callable[[Foreign], Foreign] = methodcaller("read_response"),
        right: Callable[[Foreign], bool] = lambda _: True,
    ) -> Foreign:
        """The reply to a command. A connection that was idle may have been closed by the server: then by another.

        One that is not `right` is none of this command, and nothing that follows it is taken.
        """
        while True:
            idle = bool(self._idle)
            connection = self._take()
            connection.until = until
            connection.bytes_left = most_bytes + _REPLY_BYTES
            try:
                connection.send_packed_command(packed(command))
                reply = read(connection)
                if not right(reply):
                    raise failures.InvalidResponse
            except failures.ConnectionError as error:
                with suppress(Exception):
                    connection.disconnect()
                if idle and not isinstance(error, failures.AuthenticationError):
                    continue
                raise _as_ours(error) from None
            except failures.ResponseError as error:
                self._keep(connection)
                raise _as_ours(error) from None
            except Exception as error:  # noqa: BLE001 - of the client, by what its URL has it do: no compile fails for it
                with suppress(Exception):
                    connection.disconnect()
                raise _as_ours(error) from None
            except BaseException:
                connection.disconnect()
                raise
            self._keep(connection)
            return reply

    def new_connection(self) -> Foreign:
        """A connection, not yet connected."""
        return self._kind(**self._options)

    def _take(self) -> Foreign:
        try:
            return self._idle.pop()
        except IndexError:
            return self.new_connection()

    def _keep(self, connection: Foreign) -> None:
        """For the next who asks, where not enough are kept already."""
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.disconnect()

    def _drop(self) -> None:
        """After a fork: the connections are the parent's."""
        self._idle = []


def _read_string(connection: Foreign, take: Take) -> Foreign:
    try:
        found = connection.bound.read_string(take)
    except TimeoutError:
        raise
    except OSError as error:
        raise failures.ConnectionError(type(error).__name__) from error
    return connection.read_response() if found is None else found


def _as_ours(error: Exception) -> StoreError:
    """What a failure of the client is to us. Its text is left out: it may repeat what was sent."""
    if isinstance(error, StoreError):
        return error
    secured = _of_tls(error)
    if secured is not None:
        return StoreError(AWAY, secured)
    name = type(error).__name__
    for kinds, word, text in _WORDS:
        if isinstance(error, kinds):
            return StoreError(word, text.format(name))
    if str(error).startswith("WRONGTYPE"):
        return StoreError(DAMAGED, "something of another type stands there")
    return StoreError(REFUSED, f"Redis refuses ({name})")


def _of_tls(error: BaseException | None) -> str | None:
    """What is wrong with TLS, where that is behind a failure of the client."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            other_name = error.verify_code in _OTHER_NAME
            return f"its certificate is {'for another name' if other_name else 'not trusted here'}"
        if isinstance(error, ssl.SSLError):
            no_tls = error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}
            return "it does not speak TLS" if no_tls else f"TLS with it fails ({error.reason})"
        error = error.__cause__ or error.__context__
    return None


#: Of OpenSSL: a certificate that is for another host, or another address.
_OTHER_NAME = (62, 64)

_WORDS: tuple[tuple[Any, str, str], ...] = (
    (TooMuchError, TOO_LARGE, "the reply is longer than it may be"),
    (failures.AuthenticationError, REFUSED, "Redis takes neither user nor password ({})"),
    ((failures.NoPermissionError, failures.AuthenticationWrongNumberOfArgsError), REFUSED, "no right to it ({})"),
    (failures.OutOfMemoryError, REFUSED, "Redis has no room left (maxmemory)"),
    (failures.ReadOnlyError, REFUSED, "this Redis is a read-only replica"),
    (failures.BusyLoadingError, AWAY, "Redis is loading its data"),
    ((failures.TimeoutError, TimeoutError), TIMED_OUT, "no answer in time"),
    ((failures.ConnectionError, OSError, UnicodeError), AWAY, "it cannot be reached ({})"),
    ((failures.InvalidResponse, ValueError), DAMAGED, "what answers does not speak the protocol of Redis ({})"),
)


def open_store(url: str, prefix: str) -> RedisStore:
    """The store of a URL; nothing is connected yet.

    Raises:
        StoreError: the client does not take the URL.
    """
    try:
        store = RedisStore(url, prefix)
        store.new_connection()  # which looks at all that the URL has
    except (ValueError, TypeError, failures.RedisError) as error:
        raise StoreError(REFUSED, f"the client for Redis does not take this URL ({type(error).__name__})") from None
    return store
