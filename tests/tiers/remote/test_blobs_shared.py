"""Blobs that machines share: written back, signed, replaced, removed, and produced once."""

from __future__ import annotations

import time

import pytest

import jitload
from jitload.bundles.sign import generate_keys

#: Produces what is not there, and tells what it had and whether it has made it.
PROGRAM = """
import json, sys, time
import jitload
made = 0
blobs = jitload.Cache.default().blobs("n")
for key in sys.argv[1:]:
    with blobs.lock(key) as found:
        if found is None:
            time.sleep(0.3)
            blobs.put(key, b"value of " + key.encode())
            made += 1
    assert blobs.get(key) == b"value of " + key.encode()
stats = jitload.stats()
print(json.dumps({"made": made, "hits": {k: v for k, v in stats.hits.items() if v},
                  "errors": dict(stats.remote_errors)}))
"""


@pytest.fixture
def store_of(tmp_path):
    """`store_of(url)`: the blobs of a machine of its own, and how it waits until all has gone out."""
    sessions = []

    def make(url, **options):
        session = jitload.Session(cache_dir=tmp_path / f"machine-{len(sessions)}", remote=url, **options)
        session.__enter__()
        sessions.append(session)
        cache = jitload.Cache.default()
        return cache.blobs("n"), cache.flush

    yield make
    for session in reversed(sessions):
        session.__exit__(None, None, None)


def test_another_machine_has_it_and_keeps_it(shared, host):
    assert host(shared.url, "a").run("k", program=PROGRAM)["made"] == 1
    said = host(shared.url, "b").run("k", program=PROGRAM)
    assert (said["made"], said["errors"], said["hits"]["remote"]) == (0, {}, 1)
    assert host(None, "b").run("k", program=PROGRAM)["hits"]["disk"] == 1


def test_one_machine_of_a_fleet_produces(shared, host):
    hosts = [host(shared.url, str(number)) for number in range(3)]
    started = [(one, one.start("k", program=PROGRAM)) for one in hosts for _ in range(2)]
    assert sum(one.end(process)["made"] for one, process in started) == 1


def test_a_put_replaces_and_a_delete_removes_for_the_fleet(shared, store_of):
    blobs, flush = store_of(shared.url)
    blobs.put("k", b"1")
    flush()
    blobs.put("k", b"2")
    flush()
    assert store_of(shared.url)[0].get("k") == b"2"
    assert blobs.delete("k")
    assert blobs.get("k") is None
    assert store_of(shared.url)[0].get("k") is None
    assert not blobs.delete("k")


def test_clearing_one_machine_leaves_the_remote(shared, store_of):
    blobs, flush = store_of(shared.url)
    blobs.put("k", b"1")
    flush()
    assert blobs.clear() == 1
    assert len(blobs) == 0
    assert blobs.get("k") == b"1"


def test_a_remote_that_is_only_read_keeps_what_it_has(shared, store_of):
    blobs, flush = store_of(shared.url)
    blobs.put("k", b"1")
    flush()
    reader, _ = store_of(shared.url, remote_mode="read")
    assert reader.get("k") == b"1"
    reader.put("k", b"other")
    assert reader.delete("k")
    assert reader.get("k") == b"1"


def test_only_what_trusted_keys_have_signed_is_taken(directory, store_of, tmp_path):
    (ci, public), (other, _) = [(str(tmp_path / name), generate_keys(tmp_path / name)) for name in ("ci", "other")]
    for key, options in (("signed", {"remote_key": ci}), ("forged", {"remote_key": other}), ("plain", {})):
        blobs, flush = store_of(directory.url, **options)
        blobs.put(key, b"v")
        flush()
    blobs, _ = store_of(directory.url, remote_trust=public)
    assert [blobs.get(key) for key in ("signed", "forged", "plain")] == [b"v", None, None]


def test_a_flipped_bit_there_is_a_miss_and_mended_by_the_next_put(directory, store_of):
    blobs, flush = store_of(directory.url)
    blobs.put("k", b"v")
    flush()
    (path,) = [path for path in directory.path.rglob("e/*") if path.is_file()]
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    second, flush = store_of(directory.url)
    assert second.get("k") is None
    second.put("k", b"v")
    flush()
    assert store_of(directory.url)[0].get("k") == b"v"


def test_a_remote_that_is_away_costs_nothing_but_itself(store_of):
    blobs, _ = store_of("redis://127.0.0.1:9/0")
    started = time.monotonic()
    for key in map(str, range(20)):
        assert blobs.get(key) is None
        with blobs.lock(key) as found:
            assert found is None
        blobs.put(key, b"v")
        assert blobs.get(key) == b"v"
        assert blobs.delete(key)
    assert time.monotonic() - started < 10
