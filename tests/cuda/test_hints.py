"""Hints of a launch, as they reach the driver by either road: in the layout of cuda.h, and where the device has them."""

import pytest

from jitload.cuda.configuration import usable_hints
from jitload.launch import native
from jitload.launch.hints import Hints

PROGRAM = """
import numpy as np
import jitload
from checking_driver import driver as model

SOURCE = '''extern "C" __global__ void set(int *p, int value) { *p = value; }'''
kernel = jitload.compile(SOURCE, kind="ptx", arch="compute_80").load()["set"]
bound = kernel.bind(grid=2, block=1, **OPTIONS)
out = np.zeros(1, np.int32)
for turn in (1, 2, 3):
    bound(out, turn)
    assert out[0] == turn
kernel(out, 4, grid=2, block=1, **OPTIONS)
assert out[0] == 4
kernel[2, 1](out, 5)
seen = [attributes for _, _, _, _, attributes, _ in model.launches]
assert seen == [EXPECTED] * 4 + [{}], seen
assert model.forbidden == [], model.forbidden
"""
ALL = {"pdl": True, "priority": -3, "cluster_scheduling": "spread", "carveout_percent": 50}


@pytest.fixture(params=["0", "1"], ids=["python", "native"])
def run(request, on_driver, monkeypatch):
    """run(options, expected, **scenario): launches with these options reach the driver with these attributes."""
    if request.param == "1" and native.build().module is None:
        pytest.skip(native.build().found)
    monkeypatch.setenv("JITLOAD_NATIVE", request.param)
    return lambda options, expected, **scenario: on_driver(
        f"OPTIONS, EXPECTED = {options!r}, {expected!r}\n{PROGRAM}", **scenario
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"pdl": True}, {6: (1,)}),
        ({"priority": 0}, {8: (0,)}),
        ({"priority": -3}, {8: (2**32 - 3,)}),
        ({"cluster_scheduling": "spread"}, {5: (1,)}),
        ({"cluster_scheduling": "load_balancing", "cluster": 2}, {4: (2, 1, 1), 5: (2,)}),
        ({"carveout_percent": 0}, {14: (0,)}),
        ({**ALL, "cooperative": True}, {2: (1,), 5: (1,), 6: (1,), 8: (2**32 - 3,), 14: (50,)}),
    ],
    ids=lambda value: "-".join(map(str, value)) or "none",
)
def test_hints_reach_the_driver(run, options, expected):
    run(options, expected)


def test_a_device_without_a_hint_launches_all_the_same(run):
    run(ALL, {8: (2**32 - 3,), 14: (50,)}, capabilities=[[8, 0]])


def test_what_a_device_and_a_driver_know():
    hints = Hints(**ALL)
    assert usable_hints(hints, 9, (12, 3)) == hints
    assert usable_hints(hints, 8, (13, 0)) == Hints(priority=-3, carveout_percent=50)
    assert usable_hints(hints, 12, (12, 2)) == hints._replace(carveout_percent=None)
