"""JSON from others: what is right is read as ever, what is not is a ValueError, at once and in little memory."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.format.json import (
    all_different,
    canonical_json,
    count_of,
    decode_json,
    decode_memo,
    encode_memo,
    list_of,
    name_of,
    object_of,
    read_canonical,
)

BOUNDS = {"max_bytes": 32 << 20, "max_marks": 1 << 18}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_come_back(value):
    assert decode_json(json.dumps(value).encode(), **BOUNDS) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_value_error(data):
    with contextlib.suppress(ValueError):
        decode_json(data, **BOUNDS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"a":2}}]',
        b"NaN",
        b"[-Infinity]",
        b"1.0",
        b"1e5",
        b"9" * 21,
        b"9" * 5000,
        b"-" + b"1" * 30,
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[] []",
        b"[" + b"[]," * (5 << 20) + b"[]]",
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_ambiguous_or_too_much_is_refused_at_once(data):
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        decode_json(data, **BOUNDS)
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 64 << 20


def test_lengths_are_looked_at_first():
    with pytest.raises(ValueError, match="7 bytes, and 6 are the most"):
        decode_json(b"[1,2,3]", max_bytes=6, max_marks=9)
    with pytest.raises(ValueError, match="3 brackets and commas, and 2 are the most"):
        decode_json(b"[1,2,3]", max_bytes=7, max_marks=2)
    assert decode_json(b"[1,2,3]", max_bytes=7, max_marks=3) == [1, 2, 3]


@pytest.mark.parametrize("value", [[], None, {}, {"a": 1}, {"a": 1, "b": 2, "c": 3, "d": 4}])
def test_an_object_has_its_fields_and_no_others(value):
    with pytest.raises(ValueError):  # noqa: PT011
        object_of(value, ("a", "b"), ("c",))
    assert object_of({"a": 1, "b": 2}, ("a", "b"), ("c",)) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("value", "kind", "length"), [({}, str, None), ("ab", str, 2), ([True], int, 1), (["a"], str, 2)]
)
def test_a_list_is_of_one_type(value, kind, length):
    with pytest.raises(ValueError):  # noqa: PT011
        list_of(value, kind, length)
    assert list_of(["a", "b"], str, 2) == ["a", "b"]


@pytest.mark.parametrize("value", [True, False, -1, 1 << 63, 1.0, "1", None])
def test_a_count_is_an_integer_within_bounds(value):
    with pytest.raises(ValueError):  # noqa: PT011
        count_of(value)
    assert count_of(0) == 0


@pytest.mark.parametrize("value", ["a\nb", "\x1b[2J", "x" * 201, 7, None, "\ud800", "a\u202eb"])
def test_a_name_prints_in_one_line(value):
    with pytest.raises(ValueError):  # noqa: PT011
        name_of(value)
    assert name_of("ci 2026 äö") == "ci 2026 äö"


def test_what_is_there_twice_is_named():
    with pytest.raises(ValueError, match="a key twice: 'b'"):
        all_different("abcb", "a key")
    all_different("abc", "a key")


def test_a_memo_is_as_it_was_written_or_none():
    body = {"stamps": [1, [2, 3]], "key": "äö"}
    memo = encode_memo(body)
    assert decode_memo(memo) == body
    for place in range(len(memo)):
        with pytest.raises(ValueError):  # noqa: PT011
            decode_memo(memo[:place] + bytes([memo[place] ^ 1]) + memo[place + 1 :])
        with pytest.raises(ValueError):  # noqa: PT011
            decode_memo(memo[:place])


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{}", b'{"digest": 1}', b'{"digest": []}', b"[" * 100_000])
def test_what_is_no_memo_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011
        decode_memo(data)


@given(PLAIN | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.text()))
def test_canonical_json_is_what_the_standard_module_writes_and_comes_back(value):
    written = canonical_json(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    assert written == text.encode("utf-8", "surrogatepass")
    assert read_canonical(written) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), {"a": b""}])
def test_what_has_no_json_is_not_written(value):
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


@pytest.mark.parametrize("data", [b"", b" ", b" 1", b"1 ", b"1 2", b"[1]]", b"[1", b"\xff", b"nil", b'{"a":}'])
def test_canonical_json_is_one_value_and_nothing_beside(data):
    with pytest.raises(ValueError, match=r"\w"):
        read_canonical(data)


WITHOUT_C = r"""
import sys
sys.modules["_json"] = None
from jitload.format.json import canonical_json, decode_json, read_canonical
value = {"b": [1, 2.5, None, True, "\u00e4\udc80"], "a": {}}
assert canonical_json(value) == '{"a":{},"b":[1,2.5,null,true,"\u00e4\udc80"]}'.encode("utf-8", "surrogatepass")
assert read_canonical(canonical_json(value)) == value
assert decode_json(b' {"a": [1, 2]} ', max_bytes=99, max_marks=9) == {"a": [1, 2]}
for data in (b"1 2", b"", b'{"a":1,"a":2}', b"1.5"):
    try:
        decode_json(data, max_bytes=99, max_marks=9)
    except ValueError:
        continue
    raise AssertionError(data)
"""


def test_a_python_without_the_half_in_c_reads_and_writes_the_same():
    subprocess.run([sys.executable, "-c", WITHOUT_C], check=True, timeout=60)
