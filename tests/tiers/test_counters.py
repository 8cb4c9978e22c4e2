"""The counters of a process: what is counted, and what is taken of them once, to be written down."""

from __future__ import annotations

import os

from jitload.tiers.counters import Counters


def counted() -> Counters:
    counters = Counters()
    counters.count_hit("disk", 1.5)
    counters.count_miss("absent")
    counters.count_miss("damaged")
    counters.count_miss("absent")
    counters.count_compile(0.5)
    counters.count_stored(1000)
    counters.count_evictions(3)
    counters.count_quarantined()
    counters.count_received(5000)
    counters.count_sent(6000)
    counters.count_remote_error("timed out")
    counters.count_lease_wait(0.25)
    return counters


def test_what_is_taken_is_taken_once():
    counters = counted()
    assert counters.take() == {
        "hits.disk": 1,
        "misses.absent": 2,
        "misses.damaged": 1,
        "remote_errors.timed out": 1,
        "compiles": 1,
        "compile_seconds": 0.5,
        "seconds_saved": 1.5,
        "bytes_stored": 1000,
        "bytes_received": 5000,
        "bytes_sent": 6000,
        "evictions": 3,
        "quarantined": 1,
        "lease_waits": 1,
        "lease_wait_seconds": 0.25,
    }
    assert counters.take() == {}
    counters.count_hit("disk", 0.0)
    assert counters.take() == {"hits.disk": 1}
    assert counters.total()["hits.disk"] == 2


def test_what_could_not_be_written_is_given_back():
    counters = counted()
    taken = counters.take()
    counters.count_compile(0.5)
    counters.give_back(taken)
    assert counters.take() == {**taken, "compiles": 2, "compile_seconds": 1.0}


def test_a_forked_child_writes_only_what_it_counts_itself():
    counters = counted()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counters.count_sent(1)
        os.write(writing, repr(counters.take()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1000) == b"{'bytes_sent': 1.0}"
    assert counters.take()["bytes_sent"] == 6000
