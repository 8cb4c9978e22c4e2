"""Host arrays: copied over, launched on, copied back, freed; aliases stay aliases."""

import struct

import numpy as np
import pytest

from jitload import LaunchError
from jitload.values import Parameter


def pointers(*names):
    return [
        Parameter(8 * i, 8, 8, "u64", name=n.strip("!"), declared="float *", pointer=True, const=n.endswith("!"))
        for i, n in enumerate(names)
    ]


def run_saxpy(memory, parameters):
    a, x, y, n = struct.unpack("<f4xQQi", parameters)
    x_block, x_at = memory.at(x)
    y_block, y_at = memory.at(y)
    xs = np.frombuffer(x_block, "f4", n, x_at)
    ys = np.frombuffer(y_block, "f4", n, y_at)
    ys[:] = a * xs + ys


def test_a_kernel_sees_the_arrays_and_the_arrays_see_the_kernel(saxpy):
    kernel, function = saxpy
    function.body = run_saxpy
    x, y = np.arange(5, dtype="f4"), np.ones(5, "f4")
    kernel[2, 32](2, x, y, 5)
    assert y.tolist() == [1, 3, 5, 7, 9]
    assert x.tolist() == [0, 1, 2, 3, 4]
    log = function.memory.log
    assert [entry for entry in log if entry[0] == "allocate"] == [("allocate", "x", 20), ("allocate", "y", 20)]
    assert [entry for entry in log if entry[0] == "read"] == [("read", 20)]  # x is const
    assert function.memory.blocks == {}
    assert function.synchronized == [0]


def test_arrays_and_addresses_mix(saxpy):
    kernel, function = saxpy
    kernel[1, 1, 9](1.0, np.zeros(4, "f4"), 0x1234, 4)
    assert struct.unpack("<f4xQQi", function.launches[0][0])[2] == 0x1234
    assert function.synchronized == [9]


def test_overlapping_arrays_are_one_memory(saxpy):
    kernel, function = saxpy
    function.body = run_saxpy
    base = np.arange(10, dtype="f4")
    expected = base.copy()
    expected[2:7] += 3 * base[0:5]
    kernel[1, 1](3.0, base[0:5], base[2:7], 5)
    assert base.tolist() == expected.tolist()
    allocations = [entry for entry in function.memory.log if entry[0] == "allocate"]
    assert allocations == [("allocate", "x and y", 28)]


def test_the_same_array_twice(saxpy):
    kernel, function = saxpy
    function.body = run_saxpy
    x = np.ones(4, "f4")
    kernel[1, 1](2.0, x, x, 4)
    assert x.tolist() == [3, 3, 3, 3]


def test_an_array_within_another_and_a_neighbour(make_kernel):
    kernel, function = make_kernel(*pointers("part!", "whole!", "after"))
    base = np.zeros(12, "f4")
    kernel[1, 1](base[2:4], base[:8], base[8:])
    part, whole, _ = struct.unpack("<QQQ", function.launches[0][0])
    assert part == whole + 8
    labels = [entry[1:] for entry in function.memory.log if entry[0] == "allocate"]
    assert labels == [("part and whole", 32), ("after", 16)]
    assert [entry for entry in function.memory.log if entry[0] == "read"] == [("read", 16)]


def test_empty_arrays(saxpy):
    kernel, function = saxpy
    empty = np.zeros(0, "f4")
    kernel[1, 1](1.0, empty, empty, 0)
    assert [e[0] for e in function.memory.log] == ["allocate", "allocate", "free", "free"]


def test_unnamed_parameters_are_labelled_by_position(make_kernel):
    kernel, function = make_kernel(*pointers("", ""))
    kernel[1, 1](np.zeros(1, "f4"), np.zeros(1, "f4"))
    assert [e[1] for e in function.memory.log if e[0] == "allocate"] == ["argument 0", "argument 1"]


@pytest.mark.parametrize("where", ["launch", "synchronize", "write", "second allocate"])
def test_after_an_error_nothing_is_written_back_and_all_is_freed(saxpy, where):
    kernel, function = saxpy
    y = np.ones(4, "f4")

    def fail(*_):
        raise LaunchError("no")

    if where == "launch":
        function.body = fail
    elif where == "synchronize":
        function.body, function.synchronize = run_saxpy, fail
    elif where == "write":
        function.memory.write = fail
    else:
        allocate = function.memory.allocate
        function.memory.allocate = lambda nbytes, label: fail() if label == "y" else allocate(nbytes, label)
    with pytest.raises(LaunchError, match="no"):
        kernel[1, 1](2.0, np.ones(4, "f4"), y, 4)
    assert y.tolist() == [1, 1, 1, 1]
    assert function.memory.blocks == {}


def test_a_failing_free_does_not_hide_the_first_error(saxpy):
    kernel, function = saxpy

    def fail_launch(*_):
        raise LaunchError("the kernel")

    def fail_free(_):
        raise LaunchError("the free")

    function.body, function.memory.free = fail_launch, fail_free
    with pytest.raises(LaunchError, match="the kernel"):
        kernel[1, 1](2.0, np.ones(4, "f4"), np.ones(4, "f4"), 4)
