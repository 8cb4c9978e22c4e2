"""Parts of a batch: together everything, nothing twice, whatever the order; and caches made so are merged to one."""

from __future__ import annotations

import random

import pytest

import jitload
from jitload.batch.shard import Shard

SOURCE = 'extern "C" __global__ void k{0}(int *x) {{ *x = {0}; }}'


def requests(count: int) -> list[jitload.CompileRequest]:
    return [
        jitload.CompileRequest(SOURCE.format(n), kind="ptx", arch="compute_80", name=f"{n}.cu") for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 100])
def test_the_parts_are_everything_and_have_nothing_in_common(count):
    everything = requests(60)
    parts = [Shard.parse(f"{number}/{count}") for number in range(1, count + 1)]
    of_part = [{one.digest for one in everything if part.has(one)} for part in parts]
    assert sum(map(len, of_part)) == 60
    assert set().union(*of_part) == {one.digest for one in everything}
    random.Random(0).shuffle(everything)
    assert of_part == [{one.digest for one in everything[::-1] if part.has(one)} for part in parts]


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "1/0", "-1/8", "1", "1/8/2", "a/b", "", "\uff11/8", "1/1000000000", " 1/8"]
)
def test_what_is_no_part_is_refused(text):
    with pytest.raises(jitload.UsageValueError, match="is no part of a whole"):
        jitload.precompile([], shard=text)


def test_a_number_is_no_part():
    with pytest.raises(jitload.UsageTypeError, match="'3/8'"):
        jitload.precompile([], shard=3)


def test_each_machine_compiles_its_part(tmp_path, needs_nvrtc):
    everything = requests(6)
    compiled = []
    for number in (1, 2, 3):
        cache = jitload.Cache(tmp_path / str(number))
        report = jitload.precompile(everything, cache=cache, jobs=1, shard=f"{number}/3")
        assert report.ok
        compiled += [request.name for request in report.compiled]
        cache.flush()
    assert sorted(compiled) == sorted(request.name for request in everything)
