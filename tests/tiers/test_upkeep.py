"""When a process tells the index of a directory what it has put there."""

from __future__ import annotations

import threading

import pytest

from jitload.tiers.counters import Counters
from jitload.tiers.disk import DiskStore
from jitload.tiers.upkeep import FLUSH_EVERY, LARGE_SHARE, Upkeep
from tests.tiers.conftest import make_artifact


def upkeep_of(path, *, max_bytes=1 << 30, read_only=False):
    disk = DiskStore(str(path), max_bytes=max_bytes, read_only=read_only, verify=lambda _kind, _data: None)
    return disk, Upkeep(disk, Counters())


def put(disk, upkeep, artifact):
    assert disk.put(artifact)
    upkeep.add(artifact, {})


def test_so_many_entries_are_written_down_without_waiting_for_the_exit(tmp_path):
    disk, upkeep = upkeep_of(tmp_path / "cache")
    for number in range(FLUSH_EVERY):
        assert len(upkeep.unindexed) == number
        put(disk, upkeep, make_artifact(number))
    assert upkeep.unindexed == {}
    assert sum(sums.entries for sums in upkeep.index.sums().values()) == FLUSH_EVERY


def test_entries_that_are_a_large_part_of_the_bound_are_written_down_at_once(tmp_path):
    disk, upkeep = upkeep_of(tmp_path / "cache", max_bytes=LARGE_SHARE * 10_000)
    put(disk, upkeep, make_artifact(1))
    assert len(upkeep.unindexed) == 1
    put(disk, upkeep, make_artifact(2, padding=11_000))
    assert upkeep.unindexed == {}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_that_is_read_only_or_not_there_has_no_index(tmp_path, is_there):
    disk, upkeep = upkeep_of(tmp_path / "cache", read_only=is_there)
    if is_there:
        (tmp_path / "cache").mkdir()
    assert upkeep.index is None
    upkeep.flush()
    assert upkeep.note() == 0
    assert not is_there or list((tmp_path / "cache").iterdir()) == []
    assert disk.directory.exists() == is_there


def test_what_one_thread_remembers_is_not_lost_to_another_that_writes(tmp_path):
    """The one is stopped in the middle of it until the other has written, or waits for it."""
    disk, upkeep = upkeep_of(tmp_path / "cache")
    begun, written = threading.Event(), threading.Event()

    class Slow(dict):
        def __setitem__(self, key, row):
            begun.set()
            written.wait(0.5)
            super().__setitem__(key, row)

    put(disk, upkeep, make_artifact(0))
    upkeep.flush()  # the index is there, and to write takes less than the time that the one is stopped
    first, second = make_artifact(1), make_artifact(2)
    put(disk, upkeep, first)
    assert disk.put(second)
    upkeep.unindexed = Slow(upkeep.unindexed)
    remembers = threading.Thread(target=upkeep.add, args=(second, {}))
    remembers.start()
    assert begun.wait(60)
    upkeep.flush()
    written.set()
    remembers.join()
    upkeep.flush()
    assert upkeep.unindexed == {}
    rows = dict(upkeep.index.rows())
    assert {rows[artifact.key].get("kind") for artifact in (first, second)} == {first.kind.value}
