"""What can go wrong with a remote: each compile gives the right artifact, in time, and says once what is wrong."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import pytest

import jitload
from jitload.format.entry import encode_entry
from jitload.tiers.remote import breaker
from jitload.tiers.remote.deadline import OPERATION_SECONDS
from tests.tiers.conftest import make_artifact
from tests.tiers.remote.conftest import Host
from tests.tiers.remote.proxy import Proxy
from tests.tiers.remote.servers import redis_server

#: Beyond the deadline a look-up takes no longer than this on a machine that is busy with other things: less than a second
#: deadline would.
SLACK_SECONDS = 1.8
KEY, DIGEST = make_artifact(1).key, "cd" * 32


@pytest.fixture
def proxy(redis):
    made = Proxy(redis.port)
    made.url = f"redis://127.0.0.1:{made.port}/0"
    yield made
    made.close()


def fill(remote, number=1):
    """An entry in the store, and nothing of it in this process."""
    artifact = make_artifact(number)
    assert remote.put(artifact)
    remote.flush()
    return artifact


def timed(ask, *arguments):
    start = time.monotonic()
    found = ask(*arguments)
    return time.monotonic() - start, found


def stall(server, proxy):
    server.pause()


def crawl(server, proxy):
    proxy.slow_seconds = 0.1


def die(server, proxy):
    server.stop()


def reset(server, proxy):
    proxy.reset_after = 3


@pytest.mark.parametrize(
    ("harm", "words"),
    [(stall, {"timed out"}), (crawl, {"timed out"}), (die, {"away", "timed out"}), (reset, {"away", "damaged"})],
)
def test_a_look_up_is_over_at_the_deadline_and_the_next_at_once(redis, proxy, remote_of, caplog, harm, words):
    remote = remote_of(proxy.url)
    fill(remote)
    harm(redis, proxy)
    seconds, said = timed(lambda: [remote.variants(DIGEST)[1], remote.read(KEY)[1], remote.variants(DIGEST)[1]])
    assert words & set(said), said
    assert "hit" not in said
    assert seconds < OPERATION_SECONDS + SLACK_SECONDS
    later = [timed(remote.read, KEY) for _ in range(20)]
    assert {found for _, found in later} == {(None, "away")}
    assert statistics.median(seconds for seconds, _ in later) < 0.005
    assert [record.message for record in caplog.records if "left alone" in record.message][1:] == []
    assert sum(jitload.stats().remote_errors.values()) == 1


def test_one_look_up_has_one_deadline_for_all_it_asks(redis, proxy, remote_of):
    """However often it asks: a miss is looked for several times."""
    remote = remote_of(proxy.url)
    proxy.slow_seconds = 0.2
    seconds, words = timed(lambda: [remote.variants(DIGEST)[1] for _ in range(6)])
    assert words[:2] == ["absent", "absent"]  # four bytes each
    assert "timed out" in words
    assert words[-1] == "away"
    assert seconds < OPERATION_SECONDS + SLACK_SECONDS


def test_a_remote_that_comes_back_is_used_again_and_nobody_waits_for_the_question(
    redis, remote_of, caplog, monkeypatch
):
    monkeypatch.setattr(breaker, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(breaker, "OPERATION_SECONDS", 0.3)  # of the question that nobody waits for
    remote = remote_of(redis.url)
    artifact = fill(remote)
    redis.pause()
    assert remote.read(KEY)[1] == "timed out"
    began, took = time.monotonic(), []
    while remote.breaker.why is not None and time.monotonic() < began + 60:
        if time.monotonic() > began + 1 and redis.paused:  # it has been asked in vain by then
            redis.go_on()
        took.append(timed(remote.read, KEY)[0])
        time.sleep(0.05)
    assert statistics.median(took) < 0.005
    assert remote.read(KEY) == (artifact, "hit")
    said = [record.message for record in caplog.records if "remote" in record.message]
    assert len(said) == 2, said
    assert "left alone" in said[0]
    assert "answers again" in said[1]


def test_a_name_that_nobody_resolves_in_time_costs_what_a_connection_may(remote_of, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    remote = remote_of("redis://a-name-that-hangs:6379/0")
    seconds, (_, word) = timed(remote.variants, DIGEST)
    assert word == "timed out"
    assert seconds < 0.5 + SLACK_SECONDS


def test_a_server_that_has_no_room_is_read_as_ever(redis, remote_of, caplog):
    remote = remote_of(redis.url)
    artifact = fill(remote)
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    for number in range(2, 6):
        remote.put(make_artifact(number))
    remote.flush()
    assert remote.read(KEY) == (artifact, "hit")
    assert remote.read(make_artifact(2).key)[1] == "absent"
    assert not remote.leases
    assert [record.message for record in caplog.records if "writing to remote" in record.message][1:] == []


def entry(number=1):
    return encode_entry(make_artifact(number))


BAD = {
    "empty": b"",
    "short": entry()[:-40],
    "one bit": entry()[:300] + bytes([entry()[300] ^ 1]) + entry()[301:],
    "other key": entry(2),
    "not ours": b"<html>404</html>" * 10,
    "more behind it": entry() + b"more",
    "a tail that is none": entry() + b"\xff\xff\xff\xff" + b"JLSIGNED",
}


@pytest.mark.parametrize("case", BAD)
def test_bytes_that_are_not_the_entry_are_a_miss_and_the_next_compile_puts_that_right(shared, remote_of, case, request):
    remote = remote_of(shared.url)
    until = time.monotonic() + 20
    remote.store.write_entry(KEY, BAD[case], until, replace=True)
    artifact, word = remote.read(KEY)
    assert (artifact, word) == (None, "absent" if case == "empty" and shared.url.startswith("redis:") else "damaged")
    fill(remote)
    assert remote.read(KEY)[0] == make_artifact(1)


def test_records_that_are_none_are_passed_over(shared, remote_of):
    remote = remote_of(shared.url)
    for data in (b"x", b"JLMANIF1" + b"0" * 64 + b"\n{}", entry()):
        remote.store.add_record(DIGEST, data, time.monotonic() + 20)
    assert remote.variants(DIGEST) == ((), "damaged")


def test_what_is_larger_than_is_taken_neither_comes_nor_goes(shared, remote_of):
    remote = remote_of(shared.url, remote_max_entry_bytes=5000)
    assert remote.put(make_artifact(2, padding=6000))
    remote.flush()
    assert remote.read(make_artifact(2).key)[1] == "absent"
    remote.store.write_entry(KEY, b"x" * 6000, time.monotonic() + 20, replace=True)
    assert remote.read(KEY)[1] == "too large"
    assert remote.breaker.why is None


@pytest.mark.parametrize("name", ["s3", "redis"])
def test_a_process_compiles_and_ends_in_time_while_the_server_stands_still(name, host, request):
    server = request.getfixturevalue(name)
    server.pause()
    start = time.monotonic()
    said = host(server.url).run(1, 2, 3)
    assert said["compiles"] == 3
    assert said["times"][0] < OPERATION_SECONDS + 5
    assert max(said["times"][1:]) < OPERATION_SECONDS
    assert said["log"].count("left alone") == 1, said["log"]
    assert time.monotonic() - start < 25


def test_a_server_that_was_started_anew_is_asked_as_before(redis, remote_of, caplog):
    """It has lost everything, and the connections to it are closed; that is a miss, and nothing else."""
    remote = remote_of(redis.url)
    fill(remote)
    redis.stop()
    redis.start()
    assert remote.read(KEY) == (None, "absent")
    fill(remote)
    assert remote.read(KEY) == (make_artifact(1), "hit")
    assert not caplog.records


@pytest.mark.parametrize("harm", [crawl, reset])
def test_a_bucket_behind_a_bad_network_costs_a_deadline_and_then_nothing(s3, remote_of, caplog, harm):
    behind = Proxy(s3.port)
    remote = remote_of(f"{s3.url}?endpoint=http://127.0.0.1:{behind.port}")
    fill(remote)
    harm(s3, behind)
    seconds, said = timed(lambda: [remote.variants(DIGEST)[1], remote.read(KEY)[1], remote.variants(DIGEST)[1]])
    behind.close()
    assert {"timed out", "away", "damaged"} & set(said), said
    assert "hit" not in said
    assert seconds < OPERATION_SECONDS + SLACK_SECONDS
    assert statistics.median(timed(remote.read, KEY)[0] for _ in range(20)) < 0.005
    assert [record.message for record in caplog.records if "left alone" in record.message][1:] == []


#: Looks twice for a kernel in a remote whose name nobody resolves, on a machine whose name server says nothing.
UNRESOLVED = """
import json, socket, time, jitload
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 53))
remote = jitload.Cache.default().remote
took, words = [], []
for _ in range(3):
    begun = time.monotonic()
    words.append(remote.read("ab" * 32)[1])
    took.append(time.monotonic() - begun)
print(json.dumps({"took": took, "words": words}))
"""


def test_a_name_server_that_does_not_answer_costs_what_a_connection_may(tmp_path, host):
    """On a machine of its own; where there can be none, the test before this one has to do."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    begin = f'ip link set lo up && mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'
    alone = ["unshare", "--net", "--mount", "sh", "-c", begin, "sh"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no network of its own here: {error}")
        return
    said = Host(tmp_path / "alone", "redis://cache.example:6379/0", enter=alone).run(program=UNRESOLVED)
    assert said["words"] == ["timed out", "away", "away"], said
    assert said["took"][0] < 0.5 + SLACK_SECONDS
    assert max(said["took"][1:]) < 0.5
    assert said["log"].count("left alone") == 1


@pytest.fixture
def full_disk(tmp_path):
    """A directory on a disk of 64 KiB; without the right to mount one, None."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_gets_full_keeps_what_it_has(full_disk, directory, remote_of, caplog):
    url = directory.url if full_disk is None else f"file://{full_disk}"
    remote = remote_of(url)
    artifact = fill(remote)
    if full_disk is None:
        shutil.rmtree(directory.path / "jitload/1/e")
        (directory.path / "jitload/1/e").write_text("no directory")
    for number in range(2, 20):
        remote.put(make_artifact(number, padding=8000))
    remote.flush()
    assert jitload.stats().remote_errors == {"refused": 1}
    assert len([record for record in caplog.records if "writing to remote" in record.message]) == 1
    if full_disk is not None:
        assert remote.read(KEY) == (artifact, "hit")
        assert {remote.read(make_artifact(number, padding=8000).key)[1] for number in range(2, 20)} == {"hit", "absent"}


def test_a_redis_whose_disk_is_full_is_read_as_ever(full_disk, tmp_path, remote_of, caplog):
    place = full_disk or tmp_path / "gone"
    place.mkdir(exist_ok=True)
    with redis_server(tmp_path, "--dir", str(place)) as server:
        remote = remote_of(f"redis://127.0.0.1:{server.port}/0")
        artifact = fill(remote)
        if full_disk is None:
            place.rmdir()
        else:
            (place / "ballast").write_bytes(bytes(64 << 10))
        server.ask("CONFIG", "SET", "save", "1 1")
        server.ask("BGSAVE")
        until = time.monotonic() + 30
        while b"rdb_last_bgsave_status:err" not in server.info("persistence"):
            assert time.monotonic() < until
            time.sleep(0.05)
        remote.put(make_artifact(2))
        remote.put(make_artifact(3))
        remote.flush()
        assert remote.read(KEY) == (artifact, "hit")
        assert remote.read(make_artifact(2).key)[1] == "absent"
    assert jitload.stats().remote_errors == {"refused": 1}
    assert len([record for record in caplog.records if "writing to remote" in record.message]) == 1


def test_a_place_that_takes_nothing_costs_what_is_written(tmp_path, host):
    shared = tmp_path / "shared" / "jitload"
    shared.parent.mkdir()
    shared.write_text("no directory")
    said = host(f"file://{shared.parent}").run(1, 2)
    assert said["compiles"] == 2
    assert said["log"].count("left alone") <= 2, said["log"]


def test_where_nothing_may_be_touched_nothing_of_it_is_imported(tmp_path):
    code = (
        (
            "import json, sys, jitload; jitload.compile('__global__ void k() {}', kind='ptx', arch='compute_75', names=[]);"
            "print(json.dumps(sorted(sys.modules)))"
        )
        .replace("__global__", 'extern \\"C\\" __global__')
        .replace("'extern", "'extern")
        .replace('\\"', '"')
    )
    for remote in ("redis://127.0.0.1:1", "s3://bucket"):
        environment = {**os.environ, "JITLOAD_REMOTE": remote, "JITLOAD_OFFLINE": "1"}
        environment |= {"PYTHONPATH": str(pathlib.Path(jitload.__file__).parent.parent)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        modules = json.loads(done.stdout)
        assert not [name for name in modules if name.startswith(("redis", "obstore", "jitload.tiers.remote", "ssl"))]


def test_a_client_that_is_not_installed_is_said_once_with_what_installs_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "jitload.tiers.remote.redis_store", raising=False)
    from jitload.lazy import lazy
    from jitload.tiers.remote import open as opener

    monkeypatch.setattr(opener, "redis_store", lazy("jitload.tiers.remote.redis_store"))
    for _ in range(2):
        with jitload.Session(cache_dir=tmp_path, remote="redis://127.0.0.1:1"):
            assert jitload.Cache.default().remote is None
    (said,) = [record.message for record in caplog.records]
    assert "jitload[redis]" in said
