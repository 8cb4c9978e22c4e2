"""`Cache`: the order of the tiers, what is written where, and the layers that are only read."""

from __future__ import annotations

import os
import pickle

import pytest

import jitload
from jitload.tiers.cache import default_cache

from .conftest import make_artifact

SOURCE = 'extern "C" __global__ void k(int *x) { *x = 77; }'


def tree(path) -> list:
    return sorted(
        (root, name, os.stat(os.path.join(root, name)).st_mtime_ns)
        for root, directories, files in os.walk(path)
        for name in (*directories, *files)
    )


def test_memory_is_asked_before_the_disk(tmp_path, artifact):
    cache = jitload.Cache(tmp_path / "cache")
    assert cache.get(artifact.key) is None
    cache.put(artifact)
    hits = jitload.stats().hits
    assert cache.get(artifact.key) is artifact
    cache.memory.clear()
    assert cache.get(artifact.key) == artifact
    after = jitload.stats().hits
    assert (after["memory"] - hits["memory"], after["disk"] - hits["disk"]) == (1, 1)


def test_a_cache_without_a_directory_keeps_in_memory(artifact):
    cache = jitload.Cache()
    cache.put(artifact)
    assert cache.get(artifact.key) is artifact
    assert cache.directory is None
    assert list(cache.entries()) == []
    assert cache.clear() == 0
    assert cache.get(artifact.key) is None


def test_entries_stats_verify_gc_and_clear(tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    artifacts = [make_artifact(number, padding=1000 * number) for number in range(5)]
    for made in artifacts:
        cache.put(made, {"request": "ab" * 32})
    entries = {entry.key: entry for entry in cache.entries()}
    assert entries.keys() == {made.key for made in artifacts}
    assert entries[artifacts[2].key].name == "k2.cu"
    assert cache.stats().entries == 5
    assert cache.stats().bytes == sum(entry.bytes for entry in entries.values())
    cache.flush()
    assert {entry.kind for entry in jitload.Cache(tmp_path / "cache").entries()} == {"ptx"}
    assert cache.verify() == (5, [])
    (tmp_path / "cache" / "objects" / artifacts[0].key[:2] / artifacts[0].key[2:]).write_bytes(b"damaged")
    assert cache.verify() == (4, [artifacts[0].key])
    assert cache.gc(0) == 4
    cache.put(artifacts[1])
    assert cache.clear() == 1
    assert cache.stats().entries == 0


def test_read_only_serves_and_never_writes(tmp_path, artifact):
    jitload.Cache(tmp_path / "cache").put(artifact)
    before = tree(tmp_path / "cache")
    cache = jitload.Cache(tmp_path / "cache", read_only=True)
    assert cache.get(artifact.key) == artifact
    cache.put(make_artifact(1))
    made = jitload.compile(SOURCE, arch="compute_75", cache=cache)
    assert jitload.compile(SOURCE, arch="compute_75", cache=cache) is made
    assert (cache.gc(0), cache.clear()) == (0, 0)
    cache.flush()
    assert tree(tmp_path / "cache") == before


@pytest.fixture
def layered(tmp_path):
    """A layer that holds SOURCE, and a cache over it that holds nothing."""
    layer = jitload.Cache(tmp_path / "opt")
    made = jitload.compile(SOURCE, arch="compute_75", cache=layer)
    layer.flush()
    return made, jitload.Cache(tmp_path / "own", layers=[tmp_path / "opt"])


def test_a_layer_serves_and_is_never_written(layered, tmp_path):
    made, cache = layered
    before = tree(tmp_path / "opt")
    compiles = jitload.stats().compiles
    assert jitload.compile(SOURCE, arch="compute_75", cache=cache) == made
    assert jitload.stats().compiles == compiles
    assert not (tmp_path / "own").exists()
    jitload.compile(SOURCE + "\n", arch="compute_75", cache=cache)
    cache.flush()
    assert tree(tmp_path / "opt") == before
    assert len(list(cache.entries())) == 1


def test_what_a_layer_knows_of_headers_is_not_copied_into_the_own_manifest(tmp_path):
    (tmp_path / "value.h").write_text("#define VALUE 1\n")
    (tmp_path / "k.cu").write_text('#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n')
    jitload.compile(tmp_path / "k.cu", arch="compute_75", cache=jitload.Cache(tmp_path / "opt"))
    (tmp_path / "value.h").write_text("#define VALUE 2\n")
    over = jitload.Cache(tmp_path / "own", layers=[tmp_path / "opt"])
    jitload.compile(tmp_path / "k.cu", arch="compute_75", cache=over)
    digest = jitload.CompileRequest(tmp_path / "k.cu", kind="ptx", arch="compute_75").digest
    assert len(over.variants(digest)) == 2
    assert len(jitload.Cache(tmp_path / "own").variants(digest)) == 1


def test_a_damaged_layer_is_passed_over(layered, tmp_path, caplog):
    made, cache = layered
    (entry,) = (tmp_path / "opt" / "objects").glob("*/*")
    entry.write_bytes(b"damaged")
    assert jitload.compile(SOURCE, arch="compute_75", cache=cache) == made
    assert entry.read_bytes() == b"damaged"
    assert "is not used" in caplog.text


def test_a_layer_that_others_may_write_is_refused(layered, tmp_path, caplog):
    _, cache = layered
    (tmp_path / "opt").chmod(0o777)
    compiles = jitload.stats().compiles
    jitload.compile(SOURCE, arch="compute_75", cache=cache)
    assert jitload.stats().compiles == compiles + 1
    assert "can be written by other users" in caplog.text


def test_a_layer_may_belong_to_somebody_else(layered, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("giving a directory away needs root")
    made, cache = layered
    os.chown(tmp_path / "opt", 12345, 12345)
    compiles = jitload.stats().compiles
    assert jitload.compile(SOURCE, arch="compute_75", cache=cache) == made
    assert jitload.stats().compiles == compiles


def test_the_default_cache_follows_the_settings(tmp_path, monkeypatch):
    first = default_cache()
    assert first is default_cache() is jitload.Cache.default()
    with jitload.configure(cache_dir=tmp_path / "other", read_only_dirs=[tmp_path / "opt"]):
        assert default_cache().directory == str(tmp_path / "other")
        assert [layer.directory.path for layer in default_cache().layers] == [str(tmp_path / "opt")]
    monkeypatch.setenv("JITLOAD_READ_ONLY_DIRS", f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert len(default_cache().layers) == 2


def test_no_home_means_memory_only_and_one_warning(monkeypatch, caplog):
    for name in ("JITLOAD_CACHE_DIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache().directory is None
    assert jitload.compile(SOURCE, arch="compute_75").data
    assert len(caplog.records) == 1
    assert "set JITLOAD_CACHE_DIR" in caplog.text


def test_a_changed_bound_or_layer_does_not_lose_what_is_there(tmp_path, artifact):
    jitload.Cache(tmp_path / "cache").put(artifact)
    assert jitload.Cache(tmp_path / "cache", max_bytes=1).get(artifact.key) == artifact


def test_the_bound_is_kept_while_the_process_runs(tmp_path):
    """Not only at exit: after every FLUSH_EVERY new entries."""
    from jitload.tiers.upkeep import FLUSH_EVERY

    before = jitload.stats()
    cache = jitload.Cache(tmp_path / "cache", max_bytes=200_000)
    for number in range(FLUSH_EVERY):
        cache.put(make_artifact(number, padding=10_000))
    assert cache.stats().bytes <= 200_000
    after = jitload.stats()
    assert after.evictions - before.evictions == FLUSH_EVERY - cache.stats().entries
    assert after.bytes_stored - before.bytes_stored > FLUSH_EVERY * 10_000


def test_what_is_put_aside_is_counted(tmp_path, artifact):
    cache = jitload.Cache(tmp_path / "cache")
    cache.put(artifact)
    cache.memory.clear()
    (entry,) = (tmp_path / "cache" / "objects").glob("*/*")
    entry.write_bytes(b"damaged")
    before = jitload.stats().quarantined
    assert cache.get(artifact.key) is None
    assert jitload.stats().quarantined == before + 1


@pytest.mark.parametrize("bound", [-1, "2X", 1.5, None])
def test_a_bound_that_is_no_number_of_bytes_is_refused(tmp_path, bound):
    with pytest.raises(ValueError, match=r"max_bytes=.* is not a number of bytes"):
        jitload.Cache(tmp_path, max_bytes=bound)


def test_stats_go_to_another_process():
    stats = jitload.stats()
    again = pickle.loads(pickle.dumps(stats))
    assert again == stats
    with pytest.raises(TypeError):
        again.hits["disk"] = 1


def test_settings_that_take_turns_each_keep_their_cache(tmp_path):
    """Its memory would be lost with it: threads may have two at the same time."""
    places = [tmp_path / "a", tmp_path / "b"]

    def default(place):
        with jitload.configure(cache_dir=place):
            return jitload.Cache.default()

    first = [default(place) for place in places]
    assert [default(place) for place in places] == first
    assert first[0] is not first[1]


def test_a_directory_of_others_that_is_not_there_is_said_once(tmp_path, caplog):
    for _ in range(2):
        with jitload.configure(cache_dir=tmp_path / "own", read_only_dirs=[tmp_path / "absent"]):
            jitload.Cache.default()
    assert len(caplog.records) == 1
    assert f"{tmp_path / 'absent'} is passed over" in caplog.text
