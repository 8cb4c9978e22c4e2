"""Whatever answers in the place of a Redis: an artifact, or a miss with its reason, and no error of another kind."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from jitload.format.entry import encode_entry
from jitload.tiers.remote import deadline
from jitload.tiers.remote.redis_store import open_store
from jitload.tiers.remote.store import StoreError
from tests.tiers.conftest import make_artifact

DIGEST = "cd" * 32


class Answering:
    """A server that gives one answer after the other, and closes the connection behind those that say so."""

    def __init__(self, *answers):
        self._answers = iter(answers)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError, StopIteration):
            while True:
                self._serve_one(self._listening.accept()[0])

    def _serve_one(self, connection):
        with connection:
            while connection.recv(65536):
                data, closes = next(self._answers)
                connection.sendall(data)
                if closes:
                    return

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def answering():
    with contextlib.ExitStack() as stack:
        yield lambda *answers: stack.enter_context(contextlib.closing(Answering(*answers)))


def string(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


ASKS = {
    "entry": lambda store: store.read_entry("ab" * 32, 1000, time.monotonic() + 20),
    "records": lambda store: store.read_records(DIGEST, 1000, time.monotonic() + 20),
    "names": lambda store: list(store.keys()),
}
OTHERS = {
    "entry": [b":5\r\n", b"*1\r\n+x\r\n", b"*0\r\n"],
    "records": [b":5\r\n", b"+OK\r\n", string(b"abc"), b"*1\r\n:1\r\n", b"*2\r\n$1\r\nx\r\n$-1\r\n", b"*1\r\n*0\r\n"],
    "names": [
        b":5\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*2\r\n:0\r\n*0\r\n",
        b"*2\r\n$1\r\n0\r\n*1\r\n:7\r\n",
        b"*2\r\n+0\r\n*-1\r\n",
    ],
}


@pytest.mark.parametrize(("what", "reply"), [(what, reply) for what, all_of in OTHERS.items() for reply in all_of])
def test_a_reply_to_something_else_is_damage_and_the_next_call_has_another_connection(answering, what, reply):
    """It was a TypeError, for which a compile failed."""
    good = {"entry": string(b"abc"), "records": b"*1\r\n+abc\r\n", "names": b"*2\r\n+0\r\n*1\r\n+p/e/abc\r\n"}
    # What else comes on that connection would be wrong too.
    server = answering((reply, False), (good[what], False))
    store = open_store(server.url, "p")
    with pytest.raises(StoreError) as caught:
        ASKS[what](store)
    assert caught.value.word == "damaged"
    assert ASKS[what](store) == (b"abc" if what == "entry" else ["abc"] if what == "names" else [b"abc"])


def test_a_listing_without_end_is_ended(answering, monkeypatch):
    """A server that always says that it goes on had `cache pull --all` go on for ever."""
    monkeypatch.setattr(deadline, "MAX_NAMES", 3)
    page = b"*2\r\n+7\r\n*2\r\n+p/e/abc\r\n+p/e/def\r\n"
    names = []
    with pytest.raises(StoreError) as caught:
        names.extend(open_store(answering(*[(page, False)] * 5).url, "p").keys())
    assert (caught.value.word, caught.value.text) == ("damaged", "its listing does not end")


def test_a_listing_of_pages_without_names_ends_too(answering, monkeypatch):
    monkeypatch.setattr(deadline, "LISTING_SECONDS", 0.2)
    server = answering(*[(b"*2\r\n+7\r\n*0\r\n", False)] * 200_000)
    with pytest.raises(StoreError) as caught:
        list(open_store(server.url, "p").keys())
    assert caught.value.word in {"damaged", "timed out"}


@pytest.mark.parametrize(("what", "reply"), [("entry", b"$-1\r\n"), ("records", b"*-1\r\n"), ("records", b"$-1\r\n")])
def test_nothing_is_what_is_not_there(answering, what, reply):
    assert not ASKS[what](open_store(answering((reply, False)).url, "p"))


def test_a_digest_is_never_that_of_what_came_on_a_connection_that_was_lost(answering, remote_of):
    """The right bytes came but for the last; then, all at once, others with the same digest at their end."""
    made = make_artifact(1, padding=3000)
    entry = encode_entry(made)
    harmed = bytearray(entry)
    harmed[-100] ^= 1
    server = answering((string(b"x"), False), (string(entry)[:-10], True), (string(bytes(harmed)), False))
    remote = remote_of(server.url)
    remote.store.read_entry("ab" * 32, 1000, time.monotonic() + 20)  # an idle connection may be lost, and is not told
    assert remote.read(made.key) == (None, "damaged")
