"""Everything that one machine has goes to each kind of store, and from there to another machine."""

from __future__ import annotations

import threading
import time

import pytest

import jitload
from jitload.batch.exchange import pull_everything, push, push_everything
from jitload.tiers.remote import deadline, redis_store
from jitload.tiers.remote.writer import Writer
from tests.tiers.conftest import make_artifact
from tests.tiers.remote.servers import http_server

SOURCE = 'extern "C" __global__ void k(int *x) {{ *x = {0}; }}'


def requests(count=3):
    return [jitload.CompileRequest(SOURCE.format(number), kind="ptx", arch="compute_75") for number in range(count)]


def compile_at(directory, **options):
    with jitload.Session(cache_dir=directory, offline=True, **options):
        for request in requests():
            jitload.compile(request.source, kind="ptx", arch="compute_75")
        cache = jitload.Cache.default()
        cache.blobs("other").put(b"key", b"value")
        cache.flush()


@pytest.fixture
def pages(monkeypatch):
    """Listings of Redis come in many pages."""
    monkeypatch.setattr(redis_store, "PAGE_NAMES", 2)


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("everything", [True, False])
def test_what_is_pushed_is_pulled_as_a_whole(shared, tmp_path, everything):
    compile_at(tmp_path / "a")
    with jitload.Session(cache_dir=tmp_path / "a", remote=shared.url):
        cache = jitload.Cache.default()
        given = push_everything(cache) if everything else push(cache, requests(), None, None)
        assert (given.moved, given.failed, given.missing) == (3 + everything, 0, ())
    with jitload.Session(cache_dir=tmp_path / "b", remote=shared.url):
        taken = pull_everything(jitload.Cache.default())
        assert (taken.moved, taken.present, taken.missing) == (3 + everything, 0, ())
        again = pull_everything(jitload.Cache.default())
        assert (again.moved, again.present) == (0, 3 + everything)
    with jitload.Session(cache_dir=tmp_path / "b", offline=True, compile="never"):
        for request in requests():
            assert jitload.compile(request.source, kind="ptx", arch="compute_75").kernels
        if everything:
            assert jitload.Cache.default().blobs("other").get(b"key") == b"value"


def test_what_is_damaged_or_not_ours_is_named_and_the_rest_comes(shared, tmp_path, remote_of):
    key = make_artifact(1).key
    compile_at(tmp_path / "a")
    with jitload.Session(cache_dir=tmp_path / "a", remote=shared.url):
        push_everything(jitload.Cache.default())
    shared.plant("e/no-key")
    remote_of(shared.url).store.write_entry(key, b"nonsense", time.monotonic() + 20)
    with jitload.Session(cache_dir=tmp_path / "b", remote=shared.url):
        taken = pull_everything(jitload.Cache.default())
        assert (taken.moved, taken.missing) == (4, (f"{key[:12]}: damaged",))


def test_a_record_that_is_damaged_is_named(shared, tmp_path, remote_of):
    """Without it nothing leads to its entry where no compiler is, however complete the entries are."""
    key = make_artifact(1).key
    remote_of(shared.url).store.add_record(key, b"nonsense", time.monotonic() + 20)
    with jitload.Session(cache_dir=tmp_path / "b", remote=shared.url):
        assert pull_everything(jitload.Cache.default()).missing == (f"{key[:12]}: damaged",)


def test_a_pull_keeps_to_the_bound_of_the_directory(directory, tmp_path, monkeypatch):
    """And what lands does not wait for itself to have landed, which would take until nobody waits any more."""
    waiting, flush = [], Writer.flush
    monkeypatch.setattr(Writer, "flush", lambda one: waiting.append(threading.current_thread().name) or flush(one))
    compile_at(tmp_path / "a")
    with jitload.Session(cache_dir=tmp_path / "a", remote=directory.url):
        push_everything(jitload.Cache.default())
    with jitload.Session(cache_dir=tmp_path / "b", remote=directory.url, cache_max_bytes=4000):
        assert pull_everything(jitload.Cache.default()).moved == 4
    size = sum(path.stat().st_size for path in (tmp_path / "b/objects").rglob("*") if path.is_file())
    assert size <= 4000
    assert waiting
    assert "jitload-remote-writer" not in waiting


def test_what_cannot_be_listed_or_fails_meanwhile_says_so(redis, tmp_path, monkeypatch):
    (tmp_path / "web").mkdir()
    with (
        http_server(tmp_path / "web") as web,
        jitload.Session(cache_dir=tmp_path / "b", remote=f"http://127.0.0.1:{web.port}"),
        pytest.raises(OSError, match="a web server is not listed"),
    ):
        pull_everything(jitload.Cache.default())
    monkeypatch.setattr(deadline, "PAGE_SECONDS", 0.5)
    with jitload.Session(cache_dir=tmp_path / "c", remote=redis.url):
        cache = jitload.Cache.default()
        assert pull_everything(cache).moved == 0
        redis.pause()
        with pytest.raises(OSError, match="0 entries came: no answer in time"):
            pull_everything(cache)


def test_a_prefix_with_marks_of_a_pattern_is_that_prefix(redis, tmp_path):
    for url in (f"{redis.url}?prefix=a[b]*", f"{redis.url}?prefix=ab"):
        compile_at(tmp_path / "a")
        with jitload.Session(cache_dir=tmp_path / "a", remote=url):
            push_everything(jitload.Cache.default())
    with jitload.Session(cache_dir=tmp_path / "b", remote=f"{redis.url}?prefix=a[b]*"):
        assert pull_everything(jitload.Cache.default()).moved == 4
