"""Closure records count to the bound of a cache directory, and never leave its entries without room."""

from __future__ import annotations

import os
import time

import pytest

import jitload
from jitload.compiler.key import key_of
from jitload.digest import sha256_hex
from jitload.headers.record import Variant
from jitload.tiers.contents import Contents
from jitload.tiers.records import LEAST_SHARD_BYTES, bytes_in_bound
from jitload.values import Toolchain

from .conftest import make_artifact


def put_with_record(cache, number: int, requests: int = 256, padding: int = 100) -> None:
    """An entry, and a record that leads to it."""
    digest = sha256_hex(b"request %d" % (number % requests))
    variant = Variant(sha256_hex(b"closure %d" % number), Toolchain("nvrtc", "12.9", "01" * 32), (), ())
    artifact = make_artifact(number, padding, key_of(digest, variant.closure, variant.toolchain))
    cache.put(artifact, {"request": digest})
    cache.add_variant(digest, variant)


def in_records(path) -> tuple[int, int]:
    sizes = [file.stat().st_size for file in path.glob("manifests/*/*")]
    return len(sizes), sum(sizes)


def in_entries(path) -> int:
    return sum(file.stat().st_size for file in path.glob("objects/*/*"))


@pytest.mark.parametrize("indexed", [True, False])
def test_entries_and_their_records_keep_to_the_bound_together(tmp_path, indexed, monkeypatch, caplog):
    bound = 60_000
    if not indexed:
        monkeypatch.setattr("jitload.tiers.index.Index.work", lambda *_: False)
    cache = jitload.Cache(tmp_path, max_bytes=bound)
    for number in range(130):
        put_with_record(cache, number)
    cache.flush()
    cache.gc()
    number, size = in_records(tmp_path)
    assert in_entries(tmp_path) + min(size, bound // 2) <= bound
    assert in_entries(tmp_path) > bound // 4
    if indexed:
        sums = cache.index.record_sums().values()
        assert (sum(one.entries for one in sums), sum(one.bytes for one in sums)) == (number, size)
        assert number == len(list(tmp_path.glob("objects/*/*"))), "records of entries that went are gone"


def test_no_more_entries_go_than_with_their_records_make_room(tmp_path):
    cache = jitload.Cache(tmp_path)
    for number in range(60):
        put_with_record(cache, number)
    cache.flush()
    bound = (in_entries(tmp_path) + in_records(tmp_path)[1]) * 3 // 4
    cache.gc(max_bytes=bound)
    assert bound * 0.8 < in_entries(tmp_path) + in_records(tmp_path)[1] <= bound * 0.9


def test_what_others_did_to_records_is_found(tmp_path):
    cache = jitload.Cache(tmp_path)
    for number in range(40):
        put_with_record(cache, number)
    cache.flush()
    for path in list(tmp_path.glob("manifests/*/*"))[::2]:
        path.unlink()
    assert cache.summary().records == in_records(tmp_path)
    assert jitload.Cache(tmp_path, read_only=True).summary().records == in_records(tmp_path)
    cache.gc()
    sums = cache.index.record_sums().values()
    assert (sum(one.entries for one in sums), sum(one.bytes for one in sums)) == in_records(tmp_path)


def test_records_that_lead_nowhere_do_not_empty_a_cache(tmp_path, monkeypatch):
    """They take half of the bound at most; the oldest go."""
    monkeypatch.setattr("jitload.tiers.records.LEAST_SHARD_BYTES", 1000)
    cache = jitload.Cache(tmp_path, max_bytes=100_000)
    shard = tmp_path / "manifests" / "ab"
    shard.mkdir(parents=True, mode=0o700)
    shard.parent.chmod(0o700)
    for number in range(30):
        path = shard / f"{number:062x}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 + number, 1e9 + number))
    put_with_record(cache, 1)
    cache.flush()
    left = sorted(int(path.name, 16) for path in shard.iterdir())
    assert left == list(range(30 - len(left), 30))
    assert len(left) == 9
    assert cache.disk.contents.scan_keys()
    assert len(list(cache.disk.contents.scan_keys())) == 1


def test_a_full_disk_costs_no_more_entries_where_there_are_records(tmp_path):
    cache = jitload.Cache(tmp_path)
    for number in range(100):
        put_with_record(cache, number)
    assert in_records(tmp_path)[1] > in_entries(tmp_path) // 3
    cache.disk.contents.make_room(1000)
    left = len(list(cache.disk.contents.scan_keys()))
    assert 80 < left < 95


def test_a_quiet_directory_of_records_is_not_listed(tmp_path, monkeypatch):
    cache = jitload.Cache(tmp_path)
    for number in range(40):
        put_with_record(cache, number)
    cache.flush()
    past = time.time() - 100
    for shard in (tmp_path / "manifests").iterdir():
        os.utime(shard, (past, past))
    cache.gc()
    monkeypatch.setattr(Contents, "list_shard", lambda *_: pytest.fail("it was listed"))
    assert cache.summary().records == in_records(tmp_path)


def test_what_counts_to_a_bound_is_half_of_it_at_most():
    assert [bytes_in_bound(10, bound) for bound in (-1, 0, 1, 10, 20, 1000)] == [0, 0, 0, 5, 10, 10]
    assert LEAST_SHARD_BYTES * 256 == 16 << 20
