"""The simulation of a fleet: what it says in small is what can be said without it."""

import pytest


@pytest.fixture
def fleet(benchmarks):
    return pytest.importorskip("fleet")


def test_with_a_lease_every_kernel_is_compiled_once(fleet):
    for how in ("lease", "turns"):
        row = fleet.cold_job(20, 3, how)
        assert row["compiles"] == 3
        assert row["last start, s"] > row["median start, s"] * 0.99
    assert fleet.cold_job(20, 3, "alone")["compiles"] > 3


def test_one_host_asks_as_often_as_it_has_kernels(fleet):
    """A look-up and two writes for each, and a lease and its end where there are leases."""
    assert fleet.cold_job(1, 5, "alone")["requests per process"] * fleet.PER_HOST == 15
    assert fleet.cold_job(1, 5, "lease")["requests per process"] * fleet.PER_HOST == 25


def test_edges_ask_for_an_entry_once(fleet):
    row = fleet.behind_edges(80_000, 100, 50)
    assert row["origin requests"] <= 2 * fleet.EDGES * 100
    assert row["requests per process"] <= 2 * 50 / fleet.PER_HOST


def test_the_slope_of_what_grows_in_proportion_is_one(fleet):
    assert fleet.slope([(1, 3), (10, 30), (100, 300)]) == pytest.approx(1.0)
