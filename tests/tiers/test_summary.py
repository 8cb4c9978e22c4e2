"""What a cache directory holds, in figures: those of its entries, whatever came of it, and without reading its rows."""

from __future__ import annotations

import json
import os
import random
import shutil
import time

import diskcache
import pytest

import jitload
from jitload.tiers.index import Index
from jitload.tiers.sums import MAX_GROUPS, ShardSums, merged

from .conftest import make_artifact


def by_entries(cache: jitload.Cache) -> dict:
    """The same, entry by entry."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    uses = []
    for entry in cache.entries():
        blob = entry.kind == "blob"
        sums = groups.setdefault((entry.kind, "" if blob else entry.arch, entry.name if blob else ""), [0, 0, 0.0])
        sums[:] = [sums[0] + 1, sums[1] + entry.bytes, sums[2] + entry.compile_seconds]
        uses.append(entry.used)
    return {"groups": groups, "uses": (min(uses, default=None), max(uses, default=None))}


def by_summary(cache: jitload.Cache) -> dict:
    summary = cache.summary()
    uses = (summary.oldest, summary.newest) if summary.groups else (None, None)
    return {"groups": summary.groups, "uses": pytest.approx(uses, abs=1e-3) if summary.groups else uses}


def settled(cache: jitload.Cache) -> jitload.Cache:
    """With every directory as old as it takes to be told from one that changes now."""
    cache.flush()
    past = time.time() - 100
    for shard in os.listdir(f"{cache.directory}/objects"):
        os.utime(f"{cache.directory}/objects/{shard}", (past, past))
    cache.gc()
    return cache


@pytest.fixture
def cache(tmp_path):
    """With blobs of two namespaces and entries of one arch, in the index."""
    made = jitload.Cache(tmp_path / "cache")
    for number in range(40):
        made.put(make_artifact(number, padding=number))
    for number in range(20):
        made.blobs("one" if number % 3 else "two").put(f"key {number}", b"x" * number)
    return settled(made)


@pytest.fixture
def no_rows(monkeypatch):
    """`no_rows()`: from now on no row of an entry is read."""

    def forbid():
        monkeypatch.setattr(Index, "rows_of", lambda *_: pytest.fail("rows were read"))

    return forbid


def test_a_quiet_cache_is_told_by_its_sums_alone(cache, no_rows):
    expected = by_entries(cache)
    assert len(expected["groups"]) == 3
    no_rows()
    for opened in (cache, jitload.Cache(cache.directory)):
        assert by_summary(opened) == expected
    assert cache.summary().state.agrees


def test_so_is_one_that_was_just_written_to(cache, no_rows):
    """Its directories have changed, and have the names that the index has."""
    for number in range(100, 140):
        cache.put(make_artifact(number))
    cache.flush()
    expected = by_entries(cache)
    no_rows()
    assert by_summary(cache) == expected


def test_what_the_index_does_not_know_is_read(cache):
    for number in range(100, 110):
        cache.put(make_artifact(number))
    assert by_summary(cache) == by_entries(cache)
    assert by_summary(jitload.Cache(cache.directory)) == by_entries(jitload.Cache(cache.directory))


@pytest.mark.parametrize("seed", range(2))
def test_the_figures_are_those_of_the_entries_whatever_happens_to_a_cache(cache, seed):
    chance = random.Random(seed)

    def put():
        cache.put(make_artifact(chance.randrange(200), padding=chance.randrange(50)))

    def put_blob():
        cache.blobs(f"space {chance.randrange(4)}").put(f"key {chance.randrange(30)}", bytes(chance.randrange(9)))

    def remove_file():
        key, _ = chance.choice(list(cache.disk.contents.scan_keys()))
        os.unlink(f"{cache.directory}/objects/{key[:2]}/{key[2:]}")

    def remove_shard():
        shutil.rmtree(f"{cache.directory}/objects/{chance.choice(os.listdir(f'{cache.directory}/objects'))}")

    def remove_row():
        cache.index.remove([chance.choice(list(cache.disk.contents.scan_keys()))[0]])

    def forget_groups():
        forget(cache, lambda row: row.pop("groups", None))

    actions = [put] * 8 + [put_blob] * 4 + [remove_file, remove_shard, remove_row, forget_groups]
    actions += [cache.flush, lambda: settled(cache), lambda: cache.gc(cache.stats().bytes * 9 // 10)]
    for _ in range(60):
        chance.choice(actions)()
        if chance.random() < 0.3:
            assert by_summary(cache) == by_entries(cache)
    assert by_summary(settled(cache)) == by_entries(cache)


def forget(cache, change):
    """Change what the index keeps of each shard."""
    with diskcache.Cache(f"{cache.directory}/index") as opened:
        for key in [key for key in opened if key.startswith("shard-")]:
            row = json.loads(opened[key])
            change(row)
            opened.set(key, json.dumps(row).encode())


@pytest.mark.parametrize(
    "groups",
    [
        None,
        5,
        [[]],
        [["ptx", "compute_75", "", 1, 1]],
        [["ptx", "compute_75", "", -1, 0, 0.0]],
        [["ptx", "compute_75", "", 1, 1, float("nan")]],
        [["ptx", "compute_75", "", 1e9, 1, 0.0]],
        [["no kind", "", "", 1, 100, 0.0]],
        [["ptx", "compute_75", "", 1000, 1000, 0.0]],
    ],
)
def test_sums_by_group_that_make_no_sense_are_not_used(cache, groups):
    """As an earlier version left them out, or others wrote them."""
    expected = by_entries(cache)
    forget(cache, lambda row: row.update(groups=groups))
    assert by_summary(cache) == expected
    cache.put(make_artifact(500))
    assert by_summary(settled(cache)) == by_entries(cache)


def test_damage_is_counted_as_such(cache):
    key = make_artifact(3).key
    with open(f"{cache.directory}/objects/{key[:2]}/{key[2:]}", "r+b") as file:
        file.truncate(10)
    shutil.rmtree(f"{cache.directory}/index")
    assert cache.summary().groups[("", "", "")] == [1, 10, 0.0]
    assert by_summary(cache) == by_entries(cache)


def test_a_cache_without_entries_has_no_figures(tmp_path):
    for made in (jitload.Cache(tmp_path / "none"), jitload.Cache(None)):
        assert made.summary().groups == {}


def test_a_shard_of_many_groups_keeps_none_of_them_and_is_read(cache):
    kept = {(f"kind {number}", "", ""): [1, 1, 0.0] for number in range(MAX_GROUPS)}
    assert merged(kept, {("one more", "", ""): [1, 1, 0.0]}) == {}
    assert merged({}, {("ptx", "", ""): [-1, -1, 0.0]}) is None
    sums = ShardSums(3, 3, 0, {})
    assert not sums.is_grouped
    for number in range(40):
        cache.blobs(f"space {number}").put("key", b"")
    assert by_summary(settled(cache)) == by_entries(cache)


def test_an_entry_used_last_that_the_index_has_far_behind_is_the_newest(cache, monkeypatch):
    monkeypatch.setattr("jitload.tiers.summary.BATCH_ENTRIES", 2)
    key = list(cache.index.oldest(30))[-1]
    cache.disk.touched[key] = time.time() + 1000
    assert by_summary(cache) == by_entries(cache)
    cache.disk.touched["0" * 64] = time.time() + 2000  # of one that is gone
    assert by_summary(cache) == by_entries(cache)


def test_where_the_index_is_emptied_meanwhile_entries_are_listed(cache, monkeypatch):
    expected = by_entries(cache)
    monkeypatch.setattr(Index, "oldest", lambda *_, **__: {})
    assert by_summary(cache) == expected
