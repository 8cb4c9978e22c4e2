"""Blobs: bytes of other systems under keys of their own, in memory, directory and layers."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jitload
from jitload.artifact import Artifact, decode_entry
from jitload.digest import sha256_hex
from jitload.errors import ArtifactError, UsageTypeError, UsageValueError
from jitload.format.entry import decode_kept, encode_entry
from jitload.tiers import flight
from jitload.tiers.blobs import blob_key
from jitload.tiers.cache import Cache
from jitload.values import Blob
from tests.tiers.conftest import make_artifact

REPOSITORY = pathlib.Path(jitload.__file__).parent.parent


@pytest.fixture
def cache(cache_dir):
    return Cache(cache_dir)


def objects(directory):
    return sorted(path for path in pathlib.Path(directory, "objects").rglob("*") if path.is_file())


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_is_put_is_had_by_the_next_process_too(cache, cache_dir):
    blobs = cache.blobs("somebody")
    assert blobs.get(b"k") is None
    blobs.put(b"k", b"bytes")
    assert (blobs.get(b"k"), Cache(cache_dir).blobs("somebody").get("k")) == (b"bytes", b"bytes")
    assert (blobs.keys(), len(blobs)) == ([b"k"], 1)


@pytest.mark.parametrize(
    "data", [b"", b"\0", bytearray(b"ab"), memoryview(b"abcd")[1:3]], ids=lambda data: bytes(data).hex() or "none"
)
def test_data_are_any_bytes(cache, cache_dir, data):
    cache.blobs("n").put("k", data)
    found = Cache(cache_dir).blobs("n").get("k")
    assert (found, type(found)) == (bytes(data), bytes)


KEYS = [b"", b"\0", b"../../etc/passwd", b"/", b"a" * 100_000, bytes(range(256)), "\N{SNOWMAN}", "\ud800", "a/b\n"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: repr(key[:20]))
def test_keys_are_any_bytes_of_any_length_and_never_a_path(cache, cache_dir, key):
    blobs = cache.blobs("n")
    blobs.put(key, b"v")
    fresh = Cache(cache_dir).blobs("n")
    as_bytes = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    assert (fresh.get(key), fresh.get(as_bytes), fresh.keys()) == (b"v", b"v", [as_bytes])
    (path,) = objects(cache_dir)
    assert len(path.name) == 62
    assert blobs.delete(key)
    assert objects(cache_dir) == []


@given(st.text(min_size=1, max_size=20), st.binary(max_size=40), st.binary(max_size=200))
def test_an_entry_gives_back_what_it_was_made_of(namespace, key, data):
    blob = Blob(namespace, key, data, sha256_hex(key))
    entry = encode_entry(blob)
    assert decode_kept(entry, blob.key, dict, dict) == blob
    with pytest.raises(ArtifactError, match="no kernel"):
        decode_entry(entry, blob.key)


def test_namespaces_do_not_meet(cache):
    one, other = cache.blobs("one"), cache.blobs("other")
    one.put("k", b"1")
    other.put("k", b"2")
    cache.put(make_artifact())
    assert (one.get("k"), other.get("k"), len(one), len(other)) == (b"1", b"2", 1, 1)
    assert one.clear() == 1
    assert (one.get("k"), other.get("k"), len(one), len(other)) == (None, b"2", 0, 1)
    assert cache.get(make_artifact().key) is not None
    assert cache.clear() == 2
    assert other.get("k") is None


def test_a_put_replaces_and_a_delete_takes_away_for_every_process(cache, cache_dir):
    blobs = cache.blobs("n")
    blobs.put("k", b"1")
    blobs.put("k", b"2")
    assert (Cache(cache_dir).blobs("n").get("k"), len(blobs)) == (b"2", 1)
    assert (blobs.delete("k"), blobs.delete("k"), blobs.get("k")) == (True, False, None)
    assert Cache(cache_dir).blobs("n").get("k") is None
    assert len(blobs) == 0


def test_memory_alone_will_do():
    blobs = Cache().blobs("n")
    blobs.put("k", b"v")
    assert (blobs.get("k"), blobs.keys(), len(blobs), blobs.clear(), len(blobs)) == (b"v", [b"k"], 1, 1, 0)


def test_every_flipped_bit_of_an_entry_is_a_miss_and_put_aside(cache, cache_dir):
    size = len(encode_entry(Blob("n", b"k", b"v", "ab" * 32)))
    for at in range(0, size, 7):
        cache.blobs("n").put("k", b"v")
        (path,) = objects(cache_dir)
        flip(path, at)
        fresh = Cache(cache_dir).blobs("n")
        assert fresh.get("k") is None, at
        assert (objects(cache_dir), fresh.keys()) == ([], [])
    assert len(list((cache_dir / "quarantine").iterdir())) >= 1


def test_a_file_in_the_place_of_another_is_never_believed(cache, cache_dir):
    cache.blobs("n").put("one", b"1")
    (one,) = objects(cache_dir)
    cache.blobs("n").put("two", b"2")
    (two,) = set(objects(cache_dir)) - {one}
    shutil.copy(one, two)
    assert Cache(cache_dir).blobs("n").get("two") is None


def test_an_entry_of_another_key_or_namespace_under_a_key_of_ours_is_a_miss(cache, cache_dir):
    """As who writes to a remote without signatures could make one."""
    cache.blobs("n").put("one", b"1")
    (path,) = objects(cache_dir)
    key = path.parent.name + path.name
    for blob in (Blob("n", b"two", b"2", key), Blob("m", b"one", b"2", key)):
        path.write_bytes(encode_entry(blob))
        assert Cache(cache_dir).blobs("n").get("one") is None


def test_a_blob_is_no_artifact_and_an_artifact_no_blob(cache, cache_dir):
    cache.blobs("n").put("k", b"v")
    (path,) = objects(cache_dir)
    fresh = Cache(cache_dir)
    assert fresh.get(path.parent.name + path.name) is None
    with pytest.raises(ArtifactError, match="the bytes of another system"):
        Artifact.open(path)
    with pytest.raises(ArtifactError, match="the bytes of another system"):
        jitload.load_module_from_bytes("ptx", path.read_bytes())


def test_a_layer_serves_blobs_and_keeps_them(cache, cache_dir, tmp_path):
    cache.blobs("n").put("k", b"v")
    above = Cache(tmp_path / "own", layers=[cache_dir]).blobs("n")
    assert (above.get("k"), len(above)) == (b"v", 1)  # in memory
    above.clear()
    assert above.get("k") == b"v"


def test_a_directory_that_is_only_read_is_read(cache, cache_dir):
    cache.blobs("n").put("k", b"v")
    blobs = Cache(cache_dir, read_only=True).blobs("n")
    blobs.put("more", b"w")
    assert (blobs.get("k"), blobs.get("more"), blobs.keys()) == (b"v", b"w", [b"k", b"more"])
    with blobs.lock("k") as found:
        assert found == b"v"
    assert len(objects(cache_dir)) == 1


def test_blobs_count_to_the_bound_and_go_in_the_order_of_use(cache_dir):
    cache = Cache(cache_dir, max_bytes=20_000)
    blobs = cache.blobs("n")
    for number in range(8):
        blobs.put(f"k{number}", bytes(4_000))
        os.utime(objects(cache_dir)[0])
    cache.flush()
    assert cache.stats().bytes <= 20_000
    left = Cache(cache_dir).blobs("n").keys()
    assert 1 <= len(left) <= 5
    assert blobs.stats().entries == len(left)


def test_they_are_counted_listed_and_verified_like_kernels(cache, cache_dir):
    counted = jitload.stats()
    cache.blobs("triton").put("abc/k.cubin", b"v")
    cache.blobs("triton").get("abc/k.cubin")
    cache.blobs("triton").get("more")
    now = jitload.stats()
    assert now.hits["memory"] == counted.hits["memory"] + 1
    assert now.misses["absent"] == counted.misses.get("absent", 0) + 1
    cache.put(make_artifact())
    for one in (cache, Cache(cache_dir)):  # before the index is written, and after
        listed = {entry.name: (entry.kind, entry.kernels) for entry in one.entries()}
        assert listed == {"triton": ("blob", ("abc/k.cubin",)), "k0.cu": ("ptx", ("k",))}
        one.flush()
    assert cache.verify() == (2, [])
    shutil.rmtree(cache_dir / "index")
    rebuilt = Cache(cache_dir).rebuild()
    assert (rebuilt.entries, rebuilt.added, rebuilt.damaged) == (2, 2, ())


def test_merge_takes_them(cache, cache_dir, tmp_path):
    cache.blobs("n").put("k", b"v")
    other = Cache(tmp_path / "other")
    assert other.merge([cache_dir]).added == 1
    assert Cache(tmp_path / "other").blobs("n").get("k") == b"v"


def test_an_explanation_passes_them_over(cache, cache_dir):
    cache.blobs("k.cu").put("k", b"v")
    source = 'extern "C" __global__ void k() {}'
    told = jitload.explain(jitload.CompileRequest(source, kind="ptx", arch="compute_75", name="k.cu"), cache)
    assert told.outcome == "compile"
    assert told.nearest == ()


def test_events_tell_of_them(cache):
    told = []
    with jitload.on_event(lambda event: told.append((event.name, event.kind, event.kernel, event.tier))):
        cache.blobs("n").get("k")
        cache.blobs("n").put("k", b"v")
        cache.blobs("n").get("k")
    assert told == [("miss", "blob", "n", ""), ("hit", "blob", "n", "memory")]


def test_one_thread_produces(cache):
    made = []

    def work():
        with cache.blobs("n").lock("k") as found:
            if found is None:
                made.append(time.sleep(0.05))
                cache.blobs("n").put("k", b"v")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1


def test_its_thread_may_take_a_lock_again_and_others_beside_it(cache, monkeypatch):
    """Also where two keys share a lock file."""
    monkeypatch.setattr(flight, "WAIT_SECONDS", 5)
    blobs = cache.blobs("n")
    first = blob_key("n", b"0")[:3]
    twin = next(str(n) for n in range(1, 100_000) if blob_key("n", str(n).encode())[:3] == first)
    started = time.monotonic()
    with blobs.lock("0"), blobs.lock("0", 5), blobs.lock(twin, 5):
        pass
    with blobs.lock(twin, 5):
        pass
    assert time.monotonic() - started < 4


def test_a_lock_is_over_when_its_holder_fails(cache):
    blobs = cache.blobs("n")
    with pytest.raises(RuntimeError, match="mine"), blobs.lock("k"):
        raise RuntimeError("mine")
    with blobs.lock("k", 5) as found:
        assert found is None


PRODUCER = """
import sys, time
from jitload.tiers.cache import Cache
blobs = Cache(sys.argv[1]).blobs("n")
with blobs.lock("k") as found:
    if found is None:
        time.sleep(0.3)
        blobs.put("k", b"v")
        print("made")
assert blobs.get("k") == b"v"
"""


def test_one_process_produces(cache_dir):
    command = [sys.executable, "-c", PRODUCER, str(cache_dir)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert "".join(said).count("made") == 1


@pytest.mark.parametrize("namespace", ["", "x" * 101, "a\nb", "\0"], ids=repr)
def test_a_namespace_is_a_short_line(cache, namespace):
    with pytest.raises(UsageValueError, match="1 to 100 printable characters"):
        cache.blobs(namespace)


def test_what_is_no_bytes_is_refused(cache):
    with pytest.raises(UsageTypeError, match="namespace is a str, got int"):
        cache.blobs(1)
    blobs = cache.blobs("n")
    for call in (blobs.get, blobs.delete, blobs.lock):
        with pytest.raises(UsageTypeError, match="key of a blob is bytes or str, got int"):
            call(1)
    for data in ("text", 5, None, ["a"]):
        with pytest.raises(UsageTypeError, match="bytes-like, got"):
            blobs.put("k", data)


def test_what_cannot_be_written_is_lost_and_no_more(cache_dir, caplog):
    cache_dir.write_text("a file in the place of the directory")
    blobs = Cache(cache_dir).blobs("n")
    blobs.put("k", b"v")
    assert (blobs.get("k"), len(blobs)) == (b"v", 1)
    with blobs.lock("other") as found:
        assert found is None


def test_the_commands_show_them_by_namespace(cache, cache_dir):
    cache.blobs("triton").put("abc", bytes(100))
    cache.blobs("cupy").put("def", bytes(100))
    cache.put(make_artifact())
    cache.flush()

    def command(*words):
        said = subprocess.run(
            [sys.executable, "-m", "jitload", "cache", *words], capture_output=True, text=True, check=True, timeout=60
        )
        return said.stdout

    figures = json.loads(command("stats", "--json"))
    assert {name: sums["entries"] for name, sums in figures["namespaces"].items()} == {"cupy": 1, "triton": 1}
    assert set(figures["archs"]) == {"compute_75"}
    assert figures["kinds"]["blob"]["entries"] == 2
    assert figures["index"] == {"agrees": True, "missing": 0, "stale": 0}
    assert "NAMESPACE" in command("stats")
    listed = json.loads(command("ls", "--kind", "blob", "--json"))["entries"]
    assert [(entry["name"], entry["kernels"], entry["damaged"]) for entry in listed] == [
        ("cupy", ["def"], False),
        ("triton", ["abc"], False),
    ]
