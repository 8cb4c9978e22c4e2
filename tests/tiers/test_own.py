"""Bytes that are executed: only what this user's own processes have put into this user's own directory is taken."""

from __future__ import annotations

import pathlib
import shutil

import pytest

import jitload
from jitload.tiers.blobs import blob_key
from jitload.tiers.cache import Cache
from jitload.tiers.own import OwnBlobs
from jitload.values import Blob

KEY = b"k" * 32


def own(directory, **keywords) -> OwnBlobs:
    return OwnBlobs(Cache(directory, **keywords), "code")


@pytest.fixture
def full(cache_dir):
    own(cache_dir).put(KEY, b"bytes")
    assert own(cache_dir).get(KEY) == b"bytes"
    return pathlib.Path(cache_dir)


def entry(directory: pathlib.Path) -> pathlib.Path:
    (found,) = [path for path in (directory / "objects").rglob("*") if path.is_file()]
    return found


def test_nothing_is_had_under_another_key_or_namespace(full):
    assert own(full).get(b"other") is None
    assert OwnBlobs(Cache(full), "more").get(KEY) is None


def test_it_counts_to_the_bound_and_is_listed(full):
    cache = Cache(full)
    assert [(one.kind, one.name) for one in cache.entries()] == [("blob", "code")]
    assert cache.gc(0) == 1
    assert own(full).get(KEY) is None


def test_a_key_that_is_no_text_is_listed_by_its_digits(full):
    own(full).put(b"\xb1" * 32, b"bytes")
    assert sorted(one.kernels for one in Cache(full).entries()) == [("b1" * 32,), ("k" * 32,)]


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_flipped_bit_is_a_miss_and_put_aside(full, at):
    path = entry(full)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert own(full).get(KEY) is None
    assert not path.exists()
    assert list((full / "quarantine").iterdir())


def test_an_entry_without_a_seal_is_put_aside_though_its_digest_is_right(full):
    Cache(full).put(Blob("code", KEY, b"\0" * 32 + b"evil", blob_key("code", KEY)))
    assert own(full).get(KEY) is None
    assert list((full / "quarantine").iterdir())


def test_what_is_merged_or_lies_in_a_layer_is_not_taken(full, tmp_path):
    merged = Cache(tmp_path / "merged")
    merged.merge([full])
    assert len(list(merged.entries())) == 1
    assert OwnBlobs(merged, "code").get(KEY) is None
    own(tmp_path / "merged").put(KEY, b"mine")
    shutil.copy(full / "sealing", tmp_path / "other")
    assert own(tmp_path / "layered", layers=[full]).get(KEY) is None


def test_a_read_only_cache_gives_and_keeps_nothing(full):
    reader = own(full, read_only=True)
    reader.put(b"other", b"bytes")
    assert reader.get(KEY) is None
    assert own(None).get(KEY) is None
    assert entry(full)


def test_strict_mode_gives_and_keeps_nothing(full):
    with jitload.configure(strict=True):
        own(full).put(b"other", b"bytes")
        assert own(full).get(KEY) is None
    assert entry(full)


def test_a_directory_that_others_may_write_to_is_not_used(full):
    full.chmod(0o777)
    try:
        assert own(full).get(KEY) is None
        own(full).put(b"other", b"bytes")
    finally:
        full.chmod(0o700)
    assert own(full).get(KEY) == b"bytes"


@pytest.mark.parametrize("mode", [0o622, 0o666])
def test_a_secret_that_others_may_write_is_none(full, mode):
    (full / "sealing").chmod(mode)
    assert own(full).get(KEY) is None


def test_the_secret_is_for_the_user_alone_and_stays(full):
    assert (full / "sealing").stat().st_mode & 0o77 == 0
    before = (full / "sealing").read_bytes()
    own(full).put(b"other", b"bytes")
    assert (full / "sealing").read_bytes() == before
