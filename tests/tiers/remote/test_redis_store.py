"""The tier in a real Redis: what one machine compiles, the others have."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitload
from jitload.format import entry as entries
from jitload.format.entry import encode_entry
from jitload.headers.record import Variant
from jitload.tiers.remote import bound_socket
from jitload.tiers.remote.redis_store import MAX_IDLE, open_store
from jitload.tiers.remote.store import StoreError
from jitload.values import Toolchain
from tests.tiers.conftest import make_artifact

KEY, DIGEST = "ab" * 32, "cd" * 32


@pytest.fixture
def store(redis):
    return open_store(redis.url, "jitload/1")


def soon(seconds=2.0):
    return time.monotonic() + seconds


def test_what_one_machine_compiles_the_others_have_and_the_next_process_asks_nobody(redis, host):
    first = host(redis.url, "a").run(1, 2)
    assert (first["compiles"], first["errors"]) == (2, {})
    assert host(redis.url, "b").run(1, 2)["hits"] == {"remote": 2}
    redis.stop()
    again = host(redis.url, "b").run(1, 2)
    assert (again["hits"], again["compiles"], again["log"]) == ({"disk": 2}, 0, "")


def test_a_machine_that_only_reads_writes_nothing(redis, host):
    host(redis.url, "a", remote_mode="read").run(1)
    assert redis.ask("DBSIZE") == 0
    host(redis.url, "b").run(1)
    assert redis.ask("DBSIZE") == 2
    assert host(redis.url, "c", remote_mode="read").run(1)["hits"] == {"remote": 1}


def test_an_address_in_numbers_needs_no_resolver(store, monkeypatch):
    """Its thread had its turn too late on a machine that was busy: four machines at once left the remote alone."""

    def ask_resolver(*_):
        raise AssertionError("a resolver is asked")

    monkeypatch.setattr(bound_socket, "run_within", ask_resolver)
    assert store.read_entry(KEY, 100, soon()) is None
    with pytest.raises(StoreError) as caught:
        open_store("redis://[::1]:1/0", "jitload/1").ping(soon())
    assert caught.value.word == "away"


def test_an_entry_is_written_once_and_replaced_only_when_that_is_meant(store):
    assert store.read_entry(KEY, 100, soon()) is None
    assert store.write_entry(KEY, b"one", soon())
    assert not store.write_entry(KEY, b"two", soon())
    assert store.read_entry(KEY, 100, soon()) == b"one"
    assert store.write_entry(KEY, b"two", soon(), replace=True)
    assert store.read_entry(KEY, 100, soon()) == b"two"


def test_records_of_several_writers_add_up_the_newest_first(store):
    assert store.read_records(DIGEST, 1000, soon()) == []
    for data in (b"one", b"two", b"one"):
        store.add_record(DIGEST, data, soon())
        time.sleep(0.002)
    assert store.read_records(DIGEST, 1000, soon()) == [b"two", b"one"]


def test_what_is_longer_than_is_taken_is_not_transferred(store):
    store.write_entry(KEY, b"x" * 5000, soon())
    assert store.read_entry(KEY, 5000, soon()) == b"x" * 5000
    with pytest.raises(StoreError) as caught:
        store.read_entry(KEY, 4999, soon())
    assert caught.value.word == "too large"
    for number in range(10):
        store.add_record(DIGEST, bytes([number]) * 50_000, soon())
    with pytest.raises(StoreError) as caught:
        store.read_records(DIGEST, 1000, soon())
    assert caught.value.word == "too large"
    assert store.read_entry(KEY, 5000, soon()) == b"x" * 5000  # by a connection without a half-read reply


def test_something_of_another_type_is_damage_and_is_replaced(store, redis):
    redis.ask("LPUSH", f"jitload/1/e/{KEY}", "x")
    redis.ask("SET", f"jitload/1/r/{DIGEST}", "x")
    for ask in (store.read_entry, store.read_records):
        with pytest.raises(StoreError) as caught:
            ask(KEY if ask == store.read_entry else DIGEST, 100, soon())
        assert caught.value.word == "damaged"
    store.write_entry(KEY, b"one", soon(), replace=True)
    store.add_record(DIGEST, b"two", soon())
    assert store.read_entry(KEY, 100, soon()) == b"one"
    assert store.read_records(DIGEST, 100, soon()) == [b"two"]


def test_a_connection_that_the_server_has_closed_is_no_failure(redis, store):
    store.write_entry(KEY, b"one", soon())
    redis.stop()
    redis.start()
    assert store.read_entry(KEY, 100, soon()) is None


def sockets():
    """How many this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


def test_no_more_connections_are_kept_than_are_of_use_where_redis_refuses(redis, store):
    """Those of refused commands were all kept."""
    redis.ask("LPUSH", f"jitload/1/e/{KEY}", "x")
    before, asking = sockets(), MAX_IDLE + 6

    def read():
        with pytest.raises(StoreError):
            store.read_entry(KEY, 100, soon(60))

    redis.pause()
    with ThreadPoolExecutor(asking) as pool:
        reading = [pool.submit(read) for _ in range(asking)]
        end = soon(60)
        while sockets() < before + asking and time.monotonic() < end:
            time.sleep(0.01)
        redis.go_on()
    assert [one.result() for one in reading] == [None] * asking
    assert sockets() <= before + MAX_IDLE


def test_a_child_of_a_fork_has_connections_of_its_own(store):
    store.write_entry(KEY, b"one", soon())
    child = os.fork()
    if child == 0:
        right = all(store.read_entry(KEY, 100, soon()) == b"one" for _ in range(100))
        os._exit(0 if right else 1)
    assert all(store.read_entry(KEY, 100, soon()) == b"one" for _ in range(100))
    assert os.waitpid(child, 0)[1] == 0


def test_versions_and_applications_that_share_a_redis_do_not_meet(redis, host):
    host(redis.url, "a").run(1)
    assert host(f"{redis.url}?prefix=other", "b").run(1)["compiles"] == 1
    assert host(f"{redis.url}?prefix=other", "c").run(1)["hits"] == {"remote": 1}


def test_records_of_two_machines_are_both_found(redis, tmp_path):
    """Whatever each of them knew when it wrote."""
    caches = []
    for name in "ab":
        with jitload.Session(cache_dir=tmp_path / name, remote=redis.url):
            cache = jitload.Cache.default()
            variant = Variant((name * 64), Toolchain("nvrtc", "12.9.86", "ab" * 32), (), ())
            cache.add_variant(DIGEST, variant)
            cache.put(make_artifact(ord(name)))
            cache.remote.flush()
            caches.append(cache)
    for cache in caches:
        assert {variant.closure[0] for variant in cache.remote.variants(DIGEST)[0]} == {"a", "b"}
        assert cache.remote.read(make_artifact(ord("a")).key)[0] == make_artifact(ord("a"))


def test_the_stamps_of_files_of_one_machine_are_no_business_of_another(redis, tmp_path):
    files = [("include/0", "a.h", "ef" * 32, (1, 2, 3, 4, 5))]
    with jitload.Session(cache_dir=tmp_path / "a", remote=redis.url):
        cache = jitload.Cache.default()
        cache.add_variant(DIGEST, Variant("12" * 32, Toolchain("nvrtc", "12.9.86", "ab" * 32), files, ()))
        cache.remote.flush()
        (found,) = cache.remote.variants(DIGEST)[0]
        assert found.files == (("include/0", "a.h", "ef" * 32, None),)


@pytest.mark.parametrize("harm", [None, 40, 70_000, 200_000, -40, -1])
def test_much_is_verified_as_it_comes(redis, remote_of, harm, monkeypatch):
    """One digest of what came in parts: damage anywhere is seen by it, and landing makes no other."""
    made = make_artifact(1, padding=300_000)
    entry = bytearray(encode_entry(made))
    if harm is not None:
        entry[harm] ^= 1
    remote = remote_of(redis.url)
    remote.store.write_entry(made.key, bytes(entry), soon(20))
    monkeypatch.setattr(entries, "sha256", None)
    assert remote.read(made.key) == ((made, "hit") if harm is None else (None, "damaged"))
    if harm is None:
        remote.flush()
        monkeypatch.undo()
        assert jitload.Cache.default().disk.read(made.key) == (made, "hit")
