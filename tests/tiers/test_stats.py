"""`Stats`: what a snapshot of the counters says."""

from __future__ import annotations

import pickle

from jitload.tiers.stats import Stats
from tests.tiers.test_counters import counted


def test_a_snapshot_has_everything():
    stats = Stats.of_counts(counted().total())
    assert dict(stats.hits) == {"memory": 0, "bundle": 0, "disk": 1, "remote": 0}
    assert dict(stats.misses) == {"absent": 2, "damaged": 1}
    assert dict(stats.remote_errors) == {"timed out": 1}
    assert (stats.compiles, stats.compile_seconds, stats.seconds_saved) == (1, 0.5, 1.5)
    assert (stats.bytes_stored, stats.bytes_received, stats.bytes_sent) == (1000, 5000, 6000)
    assert (stats.evictions, stats.quarantined) == (3, 1)
    assert (stats.lease_waits, stats.lease_wait_seconds) == (1, 0.25)
    assert {type(stats.compiles), type(stats.bytes_sent), type(stats.lease_waits)} == {int}
    assert pickle.loads(pickle.dumps(stats)) == stats
