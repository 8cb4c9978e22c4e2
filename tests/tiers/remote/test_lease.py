"""One compile per fleet: with real servers, and machines that are cache directories of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitload
from jitload import config
from jitload.tiers.cache import Cache
from jitload.tiers.lookup import Answer
from jitload.tiers.remote import lease
from jitload.tiers.remote.object_lease import ObjectLeases
from tests.tiers.remote.conftest import Host, put
from tests.tiers.remote.network import network
from tests.tiers.remote.servers import redis_server, s3_server

DIGEST = "cd" * 32


def open_store(url):
    with config.configure(remote=url):
        return Cache(remote=config.current()).remote.store


def soon(seconds=20.0):
    return time.monotonic() + seconds


def test_a_lease_is_one_holders_until_it_is_given_back_or_over(shared):
    store = open_store(shared.url)
    assert store.take_lease(DIGEST, "one", 30, soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    assert not store.renew_lease(DIGEST, "two", 30, soon())
    store.free_lease(DIGEST, "two", soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    assert store.renew_lease(DIGEST, "one", 30, soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    assert store.renew_lease(DIGEST, "one", 0.2, soon())
    end = soon(30)
    while not store.take_lease(DIGEST, "two", 30, soon()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not store.renew_lease(DIGEST, "one", 30, soon())
    store.free_lease(DIGEST, "one", soon())
    assert not store.take_lease(DIGEST, "three", 30, soon())
    store.free_lease(DIGEST, "two", soon())
    assert store.take_lease(DIGEST, "three", 30, soon())


class Stalled:
    """A store that does something, once, between what it reads of a lease and what is made of that."""

    def __init__(self, store, between):
        self._store = store
        self._between = between

    def version(self, *arguments):
        found = self._store.version(*arguments)
        between, self._between = self._between, lambda: None
        between()
        return found

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.mark.parametrize("kind", ["s3", "directory"])
@pytest.mark.parametrize("late", ["free", "renew"])
def test_a_holder_that_is_too_late_leaves_the_lease_of_the_next_one_alone(kind, late, request):
    """It had read its own lease when another took that over, and then deleted what the other had."""
    store = open_store(request.getfixturevalue(kind).url)

    def take_over():
        assert not other.take(DIGEST, "two", 30, soon())  # from then on it counts
        end = soon()
        while not other.take(DIGEST, "two", 30, soon()):
            assert time.monotonic() < end
            time.sleep(0.02)

    one, other = ObjectLeases(Stalled(store, take_over)), ObjectLeases(store)
    assert one.take(DIGEST, "one", 0.05, soon())
    if late == "free":
        one.free(DIGEST, "one", soon())
    else:
        assert not one.renew(DIGEST, "one", 30, soon())
    assert not ObjectLeases(store).take(DIGEST, "three", 30, soon())
    assert other.renew(DIGEST, "two", 30, soon())
    other.free(DIGEST, "two", soon())
    assert ObjectLeases(store).take(DIGEST, "three", 30, soon())


def test_what_lies_in_the_place_of_a_lease_holds_nobody_for_ever(shared):
    store = open_store(shared.url)
    shared.plant(f"l/{DIGEST}")
    if shared.url.startswith("redis:"):  # what is of another type there is no lease; elsewhere it may be a newer one's
        assert store.take_lease(DIGEST, "one", 0.2, soon())
        return
    assert not store.take_lease(DIGEST, "one", 0.2, soon())
    time.sleep(0.3)
    assert store.take_lease(DIGEST, "one", 0.2, soon())


def at_once(hosts, processes, numbers):
    """So many processes on each machine compile the same kernels at once; what each of them says."""
    started = [(one, one.start(*numbers)) for one in hosts for _ in range(processes)]
    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(lambda pair: pair[0].end(pair[1]), started))


@pytest.mark.timeout(280)
def test_machines_that_start_at_once_compile_each_kernel_once(shared, host):
    """Who is not answered within its two seconds compiles for itself and says so: then another kernel shows it."""
    hosts = [host(shared.url, str(number)) for number in range(3)]
    for number in range(1, 5):
        said = at_once(hosts, 1, [number])
        if not any("remote" in one["log"] for one in said):
            break
    assert sum(one["compiles"] for one in said) == 1, said
    assert all(one["errors"] == {} for one in said)


@contextlib.contextmanager
def machines(server, count, directory, monkeypatch):
    """So many machines and how they are: each of a network of its own, or each of a directory where there is none."""
    start = {"redis": redis_server, "s3": s3_server}[server]
    with network(count) as (lan, why), start(directory, network=lan) as running:
        with contextlib.suppress(OSError):  # it stands for a machine that has nothing else to do
            os.setpriority(os.PRIO_PROCESS, running.process.pid, -15)
        places = [((), "127.0.0.1")] * count if lan is None else lan.machines
        urls = [f"redis://{address}:{running.port}/0" for _, address in places]
        if server == "s3":
            for name, value in {
                "ACCESS_KEY_ID": "AKIATEST",
                "SECRET_ACCESS_KEY": "secret",
                "REGION": "us-east-1",
            }.items():
                monkeypatch.setenv(f"AWS_{name}", value)
            running.do_there(put, f"http://127.0.0.1:{running.port}/kernels")
            urls = [f"s3://kernels/team?endpoint=http://{address}:{running.port}" for _, address in places]
        hosts = [
            Host(directory / f"machine-{number}", url, enter=enter)
            for number, ((enter, _), url) in enumerate(zip(places, urls, strict=True))
        ]
        yield hosts, f"directories, since there are no networks here ({why})" if lan is None else "networks"


@pytest.mark.slow(keep=2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("server", ["redis", "s3"])
def test_four_machines_of_eight_processes_compile_ten_kernels_ten_times(
    server, tmp_path, monkeypatch, bounded, record_property, round_
):
    """Each machine has a network, a name and a directory of its own; where that is not permitted, a directory."""
    count, processes, kernels = bounded((4, 8, 10), (2, 4, 4))
    with machines(server, count, tmp_path, monkeypatch) as (hosts, how):
        record_property("machines", how)
        print(f"{count} machines of {processes} processes are {how}")
        said = at_once(hosts, processes, [f"{round_ + 1}{number}" for number in range(1, kernels + 1)])
    assert sum(one["compiles"] for one in said) == kernels, said
    assert all(one["errors"] == {} for one in said), said


REQUEST = jitload.CompileRequest('extern "C" __global__ void k(int *x) { *x = 5; }', kind="ptx", arch="compute_75")
#: Takes the lease on the request of that digest, says so, and renews it until it is killed.
HOLD = """
import json, sys, time
from jitload.tiers.cache import Cache
from jitload.tiers.lookup import Answer
from jitload.tiers.remote.lease import Lease
lease = Lease(Cache.default().remote, sys.argv[1])
assert lease.wait(lambda: Answer(None), "it", None) is None
print(json.dumps({}), flush=True)
time.sleep(60)
"""


def waiting(remote):
    """(a thread that waits for the lease and then ends, an event: it waits)."""
    begun = threading.Event()
    waiter = lease.Lease(remote, REQUEST.digest)

    def wait():
        waiter.wait(lambda: Answer(REQUEST), "it", lambda seconds, said: begun.set())
        waiter.end()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, begun


def test_a_holder_that_is_killed_is_taken_over_when_its_lease_is_over(shared, host, remote_of, monkeypatch, caplog):
    monkeypatch.setattr(lease, "SAY_SECONDS", 0.01)
    holder = host(shared.url, "a", remote_lease_seconds=2).start(REQUEST.digest, program=HOLD)
    try:
        assert json.loads(holder.stdout.readline()) == {}
        thread, begun = waiting(remote_of(shared.url, remote_wait_seconds=60))
        assert begun.wait(30)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=20)
    thread.join(50)
    assert not thread.is_alive()
    assert "compiling it as well" not in caplog.text  # so it did not wait to its own bound


def test_nobody_waits_longer_than_the_bound(shared, remote_of, monkeypatch, caplog):
    monkeypatch.setattr(lease, "SAY_SECONDS", 0.01)
    remote = remote_of(shared.url, remote_wait_seconds=0.3)
    assert remote.store.take_lease(REQUEST.digest, "another", 60, soon())
    compiled = jitload.compile(REQUEST.source, kind="ptx", arch="compute_75")
    stats = jitload.stats()
    assert b"k(" in compiled.data
    assert (stats.compiles, stats.lease_waits) == (1, 1)
    assert "compiling it as well" in caplog.text
    assert "waiting for another machine" in caplog.text


def test_machines_that_do_not_wait_compile_each_for_itself(redis, remote_of):
    remote = remote_of(redis.url, remote_lease_seconds=0)
    assert remote.store.take_lease(REQUEST.digest, "another", 60, soon())
    jitload.compile(REQUEST.source, kind="ptx", arch="compute_75")
    assert (jitload.stats().compiles, jitload.stats().lease_waits) == (1, 0)
    assert remote.store.read_entry("ab" * 32, 10, soon()) is None


def test_who_waits_has_what_is_there_while_another_still_has_the_lease(shared, remote_of):
    """A thousand who wait for one kernel do not take the lease one after the other to look."""
    remote = remote_of(shared.url, remote_wait_seconds=60)
    assert remote.store.take_lease(REQUEST.digest, "another", 600, soon())
    looks = []

    def look():
        answer = Answer(REQUEST)
        looks.append(answer)
        answer.artifact = "it" if len(looks) == 3 else None
        return answer

    waiter = lease.Lease(remote, REQUEST.digest)
    assert waiter.wait(look, "it", None) is looks[2]
    waiter.end()
    remote.flush()
    assert not remote.store.take_lease(REQUEST.digest, "third", 600, soon())


@pytest.fixture
def nonsense():
    """The port of a server that answers whatever comes with a line that is not Redis's protocol."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    while connection.recv(1 << 16):
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{port}/0",
        "redis://a..b:{port}/0",
        "redis://127.0.0.1:{port}/0?credential_provider=none",
        "redis://127.0.0.1:{port}/0?redis_connect_func=none",
    ],
)
def test_a_lease_that_cannot_be_had_is_not_waited_for(remote_of, nonsense, url):
    """What answers is no Redis, its name is none, or the client fails in ways of its own."""
    remote_of(url.format(port=nonsense), remote_wait_seconds=60)
    started = time.monotonic()
    assert b"k(" in jitload.compile(REQUEST.source, kind="ptx", arch="compute_75").data
    assert time.monotonic() - started < 20
    assert jitload.stats().compiles == 1
    assert sum(jitload.stats().remote_errors.values()) < 20
