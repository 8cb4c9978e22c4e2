"""Parts: what begins alike goes together unless one worker would have too much of it, and what is long comes first."""

from __future__ import annotations

import pytest

from jitload import CompileRequest
from jitload.batch.expected import header_seconds, own_seconds
from jitload.batch.parts import parts_of


@pytest.fixture
def heavy(tmp_path):
    """`heavy(number)`: a request that reaches two hundred headers, as those of CUB do."""
    for number in range(200):
        (tmp_path / f"{number}.h").write_text(f'#include "{number + 1}.h"\n' if number < 199 else "")

    def make(number: int, first: int = 0, **changes) -> CompileRequest:
        source = f'#include "{first}.h"\n' + simple(number).source
        fields = {"kind": "cubin", "arch": "sm_80", "include_dirs": [tmp_path], **changes}
        return CompileRequest(source, **fields)

    return make


def simple(number: int, **changes) -> CompileRequest:
    source = f'extern "C" __global__ void k{number}(int *x) {{ *x = {number}; }}'
    return CompileRequest(source, **{"kind": "cubin", "arch": "sm_80", "name": f"k{number}.cu", **changes})


def sizes(parts) -> list[int]:
    return [len(part) for part in parts]


def test_requests_that_begin_alike_go_together(heavy):
    alike = [heavy(number) for number in range(6)]
    others = [simple(1), heavy(1, arch="sm_90"), heavy(1, defines={"N": 1}), heavy(2, first=1)]
    parts = parts_of([*others, *alike], jobs=1)
    assert parts[0] == alike
    assert sorted(sizes(parts)) == [1, 1, 1, 1, 6]
    assert sizes(parts_of(alike, jobs=2)) == [3, 3]
    assert sizes(parts_of(alike, jobs=100)) == [1] * 6
    assert sizes(parts_of(alike, jobs=1, most=4)) == [3, 3]


def test_what_shares_headers_is_cut_where_the_others_would_wait_for_it(heavy):
    """Parsed twice by two workers it is done sooner than once by one, while the other has nothing to do."""
    alike = [heavy(number) for number in range(24)]
    few, many = [simple(number) for number in range(4)], [simple(number) for number in range(100)]
    assert max(sizes(parts_of([*few, *alike], jobs=2))) == 12
    assert max(sizes(parts_of([*many, *alike], jobs=2))) == 24


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_everything_is_in_one_part_and_the_longest_begins_first(heavy, jobs):
    long = simple(0, names=[f"f<{number}>" for number in range(50)])
    requests = [*(simple(number, arch=arch) for number in range(1, 60) for arch in ("sm_80", "sm_90")), heavy(1), long]
    parts = parts_of(requests, jobs)
    assert sorted(one.digest for part in parts for one in part) == sorted(one.digest for one in requests)
    assert parts[0][0] == long
    assert [heavy(1)] in parts[:2]


def test_short_requests_go_together_and_fewer_of_them_towards_the_end():
    parts = parts_of([simple(number) for number in range(100)], jobs=2, most=8)
    assert sizes(parts) == sorted(sizes(parts), reverse=True)
    assert (max(sizes(parts)), sizes(parts)[-4:]) == (8, [1, 1, 1, 1])
    assert len(parts) < 25


def test_what_is_expected_of_a_compile(heavy, tmp_path):
    """Headers count, names and machine code count; what cannot be found is left to the compile."""
    assert header_seconds(heavy(1)) > 10 * header_seconds(heavy(1, first=190)) > 0
    assert header_seconds(simple(1)) == 0
    (tmp_path / "a.cu").write_text('#include "nowhere.h"\n')
    assert header_seconds(CompileRequest(tmp_path / "a.cu", kind="ptx", arch="compute_75")) == 0
    assert own_seconds(simple(1)) > own_seconds(simple(1, kind="ptx", arch="compute_75"))
    assert own_seconds(simple(1, kind="fatbin", arch=["sm_80", "sm_90"])) > own_seconds(simple(1))
    assert own_seconds(simple(1, names=["f<1>"])) > own_seconds(simple(1))
