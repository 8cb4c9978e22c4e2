"""The disk tier: what is read is what was written, or it is a miss with a reason; nothing raises."""

from __future__ import annotations

import logging
import os
import stat

import pytest

from jitload.format.entry import MAX_ENTRY_BYTES, encode_entry
from jitload.headers.record import Variant
from jitload.images.check import verify_image
from jitload.tiers.contents import STALE_SECONDS
from jitload.tiers.disk import TOUCH_SECONDS, DiskStore

from .conftest import make_artifact


@pytest.fixture
def store(tmp_path):
    return DiskStore(str(tmp_path / "cache"), max_bytes=1 << 30, verify=verify_image)


def path_of(store: DiskStore, key: str) -> str:
    return f"{store.directory.path}/objects/{key[:2]}/{key[2:]}"


def overwrite(store: DiskStore, key: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path_of(store, key)), exist_ok=True)
    with open(path_of(store, key), "wb") as file:
        file.write(data)


def test_what_was_put_is_read(store, artifact):
    assert store.read(artifact.key) == (None, "absent")
    assert store.put(artifact)
    found, reason = store.read(artifact.key)
    assert reason == "hit"
    assert found == artifact
    assert found.kernels == artifact.kernels


def test_files_and_directories_are_private(store, artifact):
    store.put(artifact)
    for root, directories, files in os.walk(store.directory.path):
        assert stat.S_IMODE(os.stat(root).st_mode) == 0o700, root
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(root, name)).st_mode) == 0o600
        assert "incoming" not in directories or os.listdir(f"{root}/incoming") == []


def test_a_flipped_bit_anywhere_is_a_miss_and_put_aside(store, artifact, caplog):
    data = encode_entry(artifact)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << (offset % 8)
        overwrite(store, artifact.key, bytes(damaged))
        assert store.read(artifact.key) == (None, "damaged"), offset
        assert not os.path.exists(path_of(store, artifact.key))
    assert store.put(artifact)
    assert store.read(artifact.key)[1] == "hit"
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_every_truncation_is_a_miss(store, artifact):
    data = encode_entry(artifact)
    for length in range(len(data)):
        overwrite(store, artifact.key, data[:length])
        assert store.read(artifact.key) == (None, "damaged"), length


def test_another_kernels_entry_under_this_name_is_a_miss(store, artifact):
    overwrite(store, artifact.key, encode_entry(make_artifact(1)))
    assert store.read(artifact.key) == (None, "damaged")


def test_a_good_entry_with_a_broken_image_is_a_miss(store, artifact):
    broken = type(artifact)(**{**artifact.__getstate__(), "kernels": [], "data": b"not PTX at all"})
    overwrite(store, artifact.key, encode_entry(broken))
    assert store.read(artifact.key) == (None, "damaged")


@pytest.mark.parametrize("plant", ["symlink", "directory", "fifo", "huge"])
def test_what_is_no_plain_file_is_a_miss(store, artifact, tmp_path, plant):
    path = path_of(store, artifact.key)
    os.makedirs(os.path.dirname(path), mode=0o700)
    os.chmod(store.directory.path, 0o700)
    outside = tmp_path / "outside"
    outside.write_bytes(encode_entry(artifact))
    if plant == "symlink":
        os.symlink(outside, path)
    elif plant == "directory":
        os.mkdir(path)
    elif plant == "fifo":
        os.mkfifo(path)
    else:
        with open(path, "wb") as file:
            file.truncate(MAX_ENTRY_BYTES + 1)
    assert store.read(artifact.key) == (None, "damaged")
    assert outside.read_bytes() == encode_entry(artifact)
    assert store.put(artifact)
    assert store.read(artifact.key)[1] == "hit"


def test_a_directory_that_others_may_write_is_refused_once_and_said(store, artifact, caplog):
    store.put(artifact)
    os.chmod(store.directory.path, 0o777)
    fresh = DiskStore(store.directory.path, max_bytes=1 << 30, verify=verify_image)
    assert fresh.read(artifact.key) == (None, "unreadable")
    assert not fresh.put(make_artifact(1))
    (record,) = caplog.records
    assert "can be written by other users (mode 0777)" in record.getMessage()
    assert "chmod go-w" in record.getMessage()


def test_a_directory_of_another_user_is_refused(store, artifact, caplog):
    if os.geteuid() != 0:
        pytest.skip("giving a directory away needs root")
    store.put(artifact)
    os.chown(store.directory.path, 12345, 12345)
    fresh = DiskStore(store.directory.path, max_bytes=1 << 30, verify=verify_image)
    assert fresh.read(artifact.key) == (None, "unreadable")
    assert "belongs to user 12345" in caplog.text


def test_a_file_in_place_of_the_directory_is_a_miss_and_one_warning(tmp_path, artifact, caplog):
    (tmp_path / "cache").write_text("not a directory")
    store = DiskStore(str(tmp_path / "cache"), max_bytes=1 << 30, verify=verify_image)
    assert not store.put(artifact)
    assert not store.put(make_artifact(1))
    assert store.read(artifact.key)[0] is None
    assert len(caplog.records) == 1
    assert (tmp_path / "cache").read_text() == "not a directory"


def test_a_directory_removed_while_in_use_is_made_again(store, artifact):
    import shutil

    store.put(artifact)
    shutil.rmtree(store.directory.path)
    assert store.read(artifact.key) == (None, "absent")
    assert store.put(artifact)
    assert store.read(artifact.key)[1] == "hit"


def test_read_only_writes_nothing_not_even_a_time_of_use(store, artifact):
    store.put(artifact)
    old = os.stat(path_of(store, artifact.key)).st_mtime - 10 * TOUCH_SECONDS
    os.utime(path_of(store, artifact.key), (old, old))
    before = sorted((root, *directories, *files) for root, directories, files in os.walk(store.directory.path))
    reader = DiskStore(store.directory.path, max_bytes=1, read_only=True, verify=verify_image)
    assert reader.read(artifact.key)[1] == "hit"
    assert not reader.put(make_artifact(1))
    assert reader.contents.collect() == ([], os.stat(path_of(store, artifact.key)).st_size)
    after = sorted((root, *directories, *files) for root, directories, files in os.walk(store.directory.path))
    assert before == after
    assert os.stat(path_of(store, artifact.key)).st_mtime == old


def test_use_is_noted_and_the_least_recently_used_goes_first(store):
    artifacts = [make_artifact(number, padding=10_000) for number in range(6)]
    for age, artifact in enumerate(artifacts):
        store.put(artifact)
        stamp = os.stat(path_of(store, artifact.key)).st_mtime - (10 - age) * TOUCH_SECONDS
        os.utime(path_of(store, artifact.key), (stamp, stamp))
    assert store.read(artifacts[0].key)[1] == "hit"  # the oldest is used again
    size = os.stat(path_of(store, artifacts[0].key)).st_size
    dropped, left = store.contents.collect(max_bytes=4 * size)
    assert set(dropped) == {artifacts[1].key, artifacts[2].key, artifacts[3].key}
    assert left == 3 * size
    assert store.read(artifacts[0].key)[1] == "hit"


def test_what_dead_writers_left_is_swept(store, artifact):
    store.put(artifact)
    incoming = f"{store.directory.path}/incoming"
    host = os.uname().nodename
    dead = f"{incoming}/{host}.4194303.0123456789abcdef"
    mine = f"{incoming}/{host}.{os.getpid()}.0123456789abcdef"
    elsewhere = f"{incoming}/other-host.1.0123456789abcdef"
    theirs = f"{incoming}/other-host.4194303.0123456789abcdef"  # its processes are not ours to judge, only its age
    for path in (dead, mine, elsewhere, theirs):
        open(path, "wb").close()
    old = os.stat(elsewhere).st_mtime - 2 * STALE_SECONDS
    os.utime(elsewhere, (old, old))
    store.contents.collect()
    assert set(os.listdir(incoming)) == {os.path.basename(mine), os.path.basename(theirs)}


def test_clear_drops_everything(store):
    for number in range(3):
        store.put(make_artifact(number))
    store.add_variant("ab" * 32, Variant("cd" * 32, make_artifact().toolchain, [], []))
    assert store.variants("ab" * 32)[1] == "hit"
    assert store.contents.clear() == 3
    assert list(store.contents.scan_keys()) == []
    assert store.variants("ab" * 32) == ((), "absent")
