"""Merging cache directories: everything good is taken in once, records add up, and what is damaged stays outside."""

from __future__ import annotations

import pytest

import jitload
from jitload.headers.record import Variant
from jitload.tiers.upkeep import FLUSH_EVERY

from .conftest import make_artifact

TOOLCHAIN = make_artifact().toolchain
REQUEST = "ab" * 32


def variant(letter: str, stamp=None) -> Variant:
    files = [("include/0", "a.h", letter * 64, stamp)]
    return Variant(letter * 64, TOOLCHAIN, files, [])


def filled(path, *numbers: int) -> jitload.Cache:
    cache = jitload.Cache(path)
    for number in numbers:
        cache.put(make_artifact(number), {"name": f"k{number}.cu"})
    cache.flush()
    return cache


def state(path) -> dict:
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.rglob("*") if file.is_file()}


def test_entries_of_several_directories_become_one_cache(tmp_path):
    filled(tmp_path / "a", 1, 2, 3)
    filled(tmp_path / "b", 3, 4)
    own = filled(tmp_path / "own", 4, 5)
    before = {name: state(tmp_path / name) for name in "ab"}
    merged = own.merge([tmp_path / "a", tmp_path / "b"])
    assert (merged.added, merged.present, merged.lost, merged.damaged) == (3, 2, 0, ())
    fresh = jitload.Cache(tmp_path / "own")
    assert all(fresh.get(make_artifact(number).key) == make_artifact(number) for number in range(1, 6))
    assert {entry.name for entry in fresh.entries()} == {f"k{number}.cu" for number in range(1, 6)}
    assert {name: state(tmp_path / name) for name in "ab"} == before
    assert own.merge([tmp_path / "a", tmp_path / "b"]).added == 0


def test_records_add_up_and_bring_no_stamps(tmp_path):
    own, other = filled(tmp_path / "own", 1), filled(tmp_path / "other", 2)
    own.disk.add_variant(REQUEST, variant("c"))
    for letter in "cde":
        other.disk.add_variant(REQUEST, variant(letter, stamp=(1, 2, 3, 4, 5)))
    assert own.merge([tmp_path / "other"]).records == 1
    known = jitload.Cache(tmp_path / "own").variants(REQUEST)
    assert {one.closure[0] for one in known} == {"c", "d", "e"}
    assert all(stamp is None for one in known for *_, stamp in one.files)
    assert own.merge([tmp_path / "other"]).records == 0


def test_what_is_damaged_is_named_and_left_out(tmp_path):
    own, other = filled(tmp_path / "own", 1), filled(tmp_path / "other", 2, 3)
    other.disk.add_variant(REQUEST, variant("c"))
    key = make_artifact(2).key
    entry = tmp_path / "other" / "objects" / key[:2] / key[2:]
    entry.write_bytes(entry.read_bytes()[:-1])
    record = tmp_path / "other" / "manifests" / REQUEST[:2] / REQUEST[2:]
    record.write_bytes(b"no record")
    merged = own.merge([tmp_path / "other"])
    assert (merged.added, merged.records) == (1, 0)
    assert {damage.key: damage.file for damage in merged.damaged} == {key: str(entry), REQUEST: str(record)}
    assert entry.exists()
    assert own.get(key) is None


def test_the_entry_of_another_kernel_is_damage(tmp_path):
    own, other = filled(tmp_path / "own", 1), filled(tmp_path / "other", 2)
    good, place = (tmp_path / "other" / "objects" / key[:2] / key[2:] for key in (make_artifact(2).key, "cd" * 32))
    place.parent.mkdir(mode=0o700)
    place.write_bytes(good.read_bytes())
    merged = own.merge([tmp_path / "other"])
    assert merged.added == 1
    assert [damage.key for damage in merged.damaged] == ["cd" * 32]
    assert other.get("cd" * 32) is None


def test_a_damaged_entry_here_is_replaced_by_a_good_one(tmp_path):
    own = filled(tmp_path / "own", 1)
    filled(tmp_path / "other", 1)
    key = make_artifact(1).key
    (tmp_path / "own" / "objects" / key[:2] / key[2:]).write_bytes(b"damaged")
    assert own.merge([tmp_path / "other"]).added == 1
    assert jitload.Cache(tmp_path / "own").get(key) == make_artifact(1)


def test_the_bound_holds(tmp_path):
    other = jitload.Cache(tmp_path / "other")
    for number in range(FLUSH_EVERY + 10):
        other.put(make_artifact(number, padding=5000))
    own = jitload.Cache(tmp_path / "own", max_bytes=100_000)
    assert own.merge([tmp_path / "other"]).added == FLUSH_EVERY + 10
    assert own.stats().bytes <= 100_000


def test_where_nothing_can_be_merged_says_so(tmp_path):
    own = filled(tmp_path / "own", 1)
    with pytest.raises(jitload.UsageValueError, match="is the cache itself"):
        own.merge([tmp_path / "own"])
    with pytest.raises(FileNotFoundError):
        own.merge([tmp_path / "absent"])
    for cache in (jitload.Cache(), jitload.Cache(tmp_path / "own", read_only=True)):
        with pytest.raises(jitload.UsageValueError, match="merge needs a cache directory"):
            cache.merge([tmp_path / "own"])
    filled(tmp_path / "open", 2)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(OSError, match="can be written by other users"):
        own.merge([tmp_path / "open"])
