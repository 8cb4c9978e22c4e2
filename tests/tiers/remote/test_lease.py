"""One compile per fleet: with real servers, and machines that are cache directories of their own."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitload
from jitload import config
from jitload.tiers.cache import Cache
from jitload.tiers.lookup import Answer
from jitload.tiers.remote import lease

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


def test_what_lies_in_the_place_of_a_lease_holds_nobody_for_ever(shared):
    store = open_store(shared.url)
    shared.plant(f"l/{DIGEST}")
    if shared.url.startswith("redis:"):  # what is of another type there is no lease; elsewhere it may be a newer one's
        assert store.take_lease(DIGEST, "one", 0.2, soon())
        return
    assert not store.take_lease(DIGEST, "one", 0.2, soon())
    time.sleep(0.3)
    assert store.take_lease(DIGEST, "one", 0.2, soon())


def fleet(host, shared, machines, processes, numbers, **variables):
    """So many processes on so many machines compile the same kernels at once; what each of them says."""
    hosts = [host(shared.url, str(number), **variables) for number in range(machines)]
    started = [(one, one.start(*numbers)) for one in hosts for _ in range(processes)]
    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(lambda pair: pair[0].end(pair[1]), started))


@pytest.mark.timeout(280)
def test_machines_that_start_at_once_compile_each_kernel_once(shared, host, tmp_path):
    said = fleet(host, shared, 3, 1, [1])
    assert sum(one["compiles"] for one in said) == 1, said
    assert all(one["errors"] == {} for one in said)


@pytest.mark.slow(keep=2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("shared", ["redis", "s3"], indirect=True)
def test_four_machines_of_eight_processes_compile_ten_kernels_ten_times(shared, host, bounded, round_):
    machines, processes, kernels = bounded((4, 8, 10), (2, 4, 4))
    said = fleet(host, shared, machines, processes, [f"{round_ + 1}{number}" for number in range(1, kernels + 1)])
    assert sum(one["compiles"] for one in said) == kernels, said


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
