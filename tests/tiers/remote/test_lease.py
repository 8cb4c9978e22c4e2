"""One compile per fleet: with real servers, and machines that are cache directories of their own."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jitload import config
from jitload.tiers.cache import Cache

DIGEST = "cd" * 32


def open_store(url):
    with config.configure(remote=url):
        return Cache(remote=config.current()).remote.store


def soon(seconds=2.0):
    return time.monotonic() + seconds


def test_a_lease_is_one_holders_until_it_is_given_back_or_over(shared):
    store = open_store(shared.url)
    assert store.take_lease(DIGEST, "one", 30, soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    assert not store.renew_lease(DIGEST, "two", 30, soon())
    store.free_lease(DIGEST, "two", soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    assert store.renew_lease(DIGEST, "one", 0.3, soon())
    assert not store.take_lease(DIGEST, "two", 30, soon())
    time.sleep(0.4)
    assert store.take_lease(DIGEST, "two", 30, soon())
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
    said = fleet(host, shared, 3, 1, [1, 2])
    assert sum(one["compiles"] for one in said) == 2, said
    assert all(one["errors"] == {} for one in said)


@pytest.mark.slow(keep=2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("shared", ["redis", "s3"], indirect=True)
def test_four_machines_of_eight_processes_compile_ten_kernels_ten_times(shared, host, bounded, round_):
    machines, processes, kernels = bounded((4, 8, 10), (2, 4, 4))
    said = fleet(host, shared, machines, processes, [f"{round_ + 1}{number}" for number in range(1, kernels + 1)])
    assert sum(one["compiles"] for one in said) == kernels, said


HOLD = """
import json, sys
from jitload import config
from jitload.tiers.cache import Cache
import jitload
cache = Cache.default()
request = jitload.CompileRequest('extern "C" __global__ void k(int *x) { *x = 5; }', kind="ptx", arch="compute_75")
assert cache.remote.store.take_lease(request.digest, "holder", float(sys.argv[1]), __import__("time").monotonic() + 5)
print(json.dumps({}), flush=True)
import time
time.sleep(60)
"""


def test_a_holder_that_is_killed_is_taken_over_when_its_lease_is_over(shared, host):
    holder = host(shared.url, "a").start(8, program=HOLD)
    assert json.loads(holder.stdout.readline()) == {}
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=20)
    said = host(shared.url, "b", remote_wait_seconds=90).run(5)
    assert (said["compiles"], said["waits"]) == (1, 1)
    assert "compiling it as well" not in said["log"]  # so it did not wait to its own bound


def test_nobody_waits_longer_than_the_bound(shared, host):
    store = open_store(shared.url)
    holder = host(shared.url, "a").start(60, program=HOLD)
    assert json.loads(holder.stdout.readline()) == {}
    try:
        said = host(shared.url, "b", remote_wait_seconds=1.2).run(5)
    finally:
        holder.kill()
        holder.communicate(timeout=20)
    assert (said["compiles"], said["waits"]) == (1, 1)
    assert "compiling it as well" in said["log"]
    assert "waiting for another machine" in said["log"]
    assert store is not None


def test_machines_that_do_not_wait_compile_each_for_itself(redis, host):
    store = open_store(redis.url)
    holder = host(redis.url, "a").start(60, program=HOLD)
    assert json.loads(holder.stdout.readline()) == {}
    holder.kill()
    holder.communicate(timeout=20)
    said = host(redis.url, "b", remote_lease_seconds=0).run(5)
    assert (said["compiles"], said["waits"]) == (1, 0)
    assert store.read_entry("ab" * 32, 10, soon()) is None
