"""The tier in a bucket, a directory and behind a web server."""

from __future__ import annotations

import shutil
import time

import pytest

import jitload
from jitload.headers.record import Variant
from jitload.settings.address import Address
from jitload.tiers.remote.object_store import open_store
from jitload.tiers.remote.open import open_remote
from jitload.tiers.remote.store import StoreError
from jitload.values import Toolchain
from tests.tiers.conftest import make_artifact
from tests.tiers.remote.servers import http_server

KEY, DIGEST = "ab" * 32, "cd" * 32


def soon(seconds=20.0):
    return time.monotonic() + seconds


@pytest.fixture(params=["s3", "directory"])
def objects(request):
    return request.getfixturevalue(request.param)


def test_what_one_machine_compiles_the_others_have_and_the_next_process_asks_nobody(objects, host):
    first = host(objects.url, "a").run(1)
    assert (first["compiles"], first["errors"]) == (1, {})
    assert host(objects.url, "b").run(1)["hits"] == {"remote": 1}
    assert host("", "b").run(1)["hits"] == {"disk": 1}


def test_an_entry_is_written_once_and_replaced_only_when_that_is_meant(objects):
    store = open_store(objects.url, "p/1")
    assert store.read_entry(KEY, 100, soon()) is None
    assert store.write_entry(KEY, b"one", soon())
    assert not store.write_entry(KEY, b"two", soon())
    assert store.read_entry(KEY, 100, soon()) == b"one"
    assert store.write_entry(KEY, b"two", soon(), replace=True)
    assert store.read_entry(KEY, 100, soon()) == b"two"
    with pytest.raises(StoreError) as caught:
        store.read_entry(KEY, 2, soon())
    assert caught.value.word == "too large"


def test_records_of_several_writers_add_up(objects):
    store = open_store(objects.url, "p/1")
    assert store.read_records(DIGEST, 1000, soon()) == []
    for data in (b"one", b"two", b"one"):
        store.add_record(DIGEST, data, soon())
    assert sorted(store.read_records(DIGEST, 1000, soon())) == [b"one", b"two"]


def test_a_record_that_was_altered_is_put_right_by_the_next_writer(directory):
    store = open_store(directory.url, "p/1")
    store.add_record(DIGEST, b"one", soon())
    (path,) = [path for path in (directory.path / "p/1/r" / DIGEST).iterdir() if path.name != "first"]
    path.write_bytes(b"onx")
    store.add_record(DIGEST, b"one", soon())
    assert store.read_records(DIGEST, 1000, soon()) == [b"one"]


def test_a_bucket_that_is_not_there_is_no_miss_but_said(s3, remote_of, caplog):
    remote = remote_of("s3://no-such-bucket/x")
    assert remote.read(KEY) == (None, "refused")
    assert "no such bucket" in caplog.text or "NoSuchBucket" in caplog.text


def test_a_web_server_serves_what_a_directory_has(directory, tmp_path, host, remote_of):
    """Read only, without leases; the first headers that a request had are found without a listing."""
    host(directory.url, "a").run(1)
    web = tmp_path / "web"
    web.mkdir()
    with http_server(web) as server:
        shutil.copytree(directory.path, web / "files", dirs_exist_ok=True)
        url = f"http://127.0.0.1:{server.port}"
        said = host(url, "b").run(1, 2)
        assert (said["hits"], said["compiles"], said["errors"], said["log"]) == ({"remote": 1}, 1, {}, "")
        remote = remote_of(url)
        assert not remote.writes
        assert not remote.leases
        assert not remote.put(make_artifact(1))


def test_a_child_of_a_process_that_used_the_client_compiles_and_does_not_hang(objects, host):
    code = """
import json, os, jitload
def compiled(number):
    source = 'extern "C" __global__ void k(int *x) { *x = %d; }' % number
    return jitload.compile(source, kind="ptx", arch="compute_75")
compiled(1)
child = os.fork()
if child == 0:
    compiled(2)
    os._exit(0 if jitload.stats().remote_errors.get("away") else 1)
print(json.dumps({"child": os.waitpid(child, 0)[1]}))
"""
    said = host(objects.url).run(program=code)
    assert said["child"] == 0, said
    assert said["log"].count("forked") == 1


def test_a_url_that_the_client_does_not_take_is_said_once_and_leaves_the_remote_out(tmp_path, caplog):
    for url in ("s3://bucket?secret=x", "az://"):
        with jitload.Session(cache_dir=tmp_path, remote=Address(url)):
            assert jitload.Cache.default().remote is None
    assert len(caplog.records) == 2
    assert open_remote is not None


def test_records_of_two_machines_are_both_found(objects, remote_of):
    for name in "ab":
        remote = remote_of(objects.url)
        remote.add_variant(DIGEST, Variant(name * 64, Toolchain("nvrtc", "12.9.86", "ab" * 32), (), ()))
        remote.flush()
    assert {variant.closure[0] for variant in remote.variants(DIGEST)[0]} == {"a", "b"}
