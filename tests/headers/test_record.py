"""Closure records: any bytes give variants or ArtifactError, and a variant is good only while its headers are."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.digest import sha256_hex
from jitload.errors import ArtifactError
from jitload.format.json import canonical_json
from jitload.headers import search
from jitload.headers.closure import Closure
from jitload.headers.record import (
    MAGIC,
    MAX_VARIANTS,
    Variant,
    check_variant,
    decode_record,
    encode_record,
    variant_of,
)
from jitload.source.request import CompileRequest
from jitload.values import Toolchain

DIGEST = "12" * 32
COMPILER = Toolchain("nvrtc", "12.9.86", "ab" * 32)

hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
relatives = texts.filter(lambda text: not text.startswith("/"))
stamps = st.none() | st.tuples(*[st.integers(0, 1 << 63)] * 5)
variants = st.builds(
    Variant,
    hexes,
    st.builds(Toolchain, texts, texts, hexes),
    st.lists(st.tuples(texts, relatives, hexes, stamps), max_size=4),
    st.lists(st.tuples(texts, relatives), max_size=4),
)


def example(number=1):
    files = [("include/0", "a.h", "cd" * 32, (1, 2, 3, 4, 5)), ("toolkit/cuda", "b.h", "ef" * 32, None)]
    return Variant(f"{number:064x}", COMPILER, files, [("source", "a.h")])


def record(body):
    return MAGIC + sha256_hex(body).encode() + b"\n" + body


@given(hexes, st.lists(variants, max_size=4))
def test_round_trip(digest, some):
    assert decode_record(encode_record(digest, some), digest) == tuple(some)


def test_names_that_are_not_utf8_round_trip():
    variant = Variant("0" * 64, COMPILER, [("source", "v\udce9.h", "cd" * 32, None)], [("source", "\udcff")])
    assert decode_record(encode_record(DIGEST, [variant]), DIGEST) == (variant,)


def test_the_newest_variants_are_kept():
    some = [example(number) for number in range(MAX_VARIANTS + 5)]
    assert decode_record(encode_record(DIGEST, some), DIGEST) == tuple(some[:MAX_VARIANTS])
    assert encode_record(DIGEST, some) == encode_record(DIGEST, some[:MAX_VARIANTS]), "no more is written either"


def test_no_path_of_the_machine_is_in_it(write):
    root = write({"k.cu": '#include "a.h"\n#include <b.h>\n', "a.h": "", "inc/b.h": ""})
    request = CompileRequest(root / "k.cu", kind="ptx", arch="compute_75", include_dirs=[root / "inc"])
    data = encode_record(request.digest, [variant_of(Closure(request, ()), COMPILER)])
    assert b"b.h" in data
    assert str(root).encode() not in data


def test_every_flipped_bit_is_refused():
    data = encode_record(DIGEST, [example()])
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(ArtifactError):
                decode_record(bytes(damaged), DIGEST)


def test_every_truncation_and_extension_is_refused():
    data = encode_record(DIGEST, [example()])
    for length in range(len(data)):
        with pytest.raises(ArtifactError):
            decode_record(data[:length], DIGEST)
    with pytest.raises(ArtifactError):
        decode_record(data + b" ", DIGEST)


def test_another_request_is_refused():
    with pytest.raises(ArtifactError, match="not the one asked for"):
        decode_record(encode_record(DIGEST, [example()]), "34" * 32)


def row(**changes):
    good = {
        "absent": [["source", "a"]],
        "closure": "0" * 64,
        "files": [["source", "a.h", "1" * 64, None]],
        "toolchain": ["nvrtc", "12", "2" * 64],
    }
    return {**good, **changes}


BAD_ROWS = {
    "no row": None,
    "a list": [],
    "closure that is no digest": row(closure="x" * 64),
    "short closure": row(closure="0" * 63),
    "closure of another type": row(closure=7),
    "absolute path": row(files=[["absolute", "/etc/passwd", "1" * 64, None]]),
    "absolute absent path": row(absent=[["absolute", "/etc/passwd"]]),
    "NUL in a path": row(files=[["source", "a\0.h", "1" * 64, None]]),
    "short file": row(files=[["source", "a.h"]]),
    "long file": row(files=[["source", "a.h", "1" * 64, None, None]]),
    "file of another type": row(files=[7]),
    "short stamp": row(files=[["source", "a.h", "1" * 64, [1, 2]]]),
    "stamp of another type": row(files=[["source", "a.h", "1" * 64, [1, 2, 3, 4, 5.5]]]),
    "stamp with a bool": row(files=[["source", "a.h", "1" * 64, [1, 2, 3, 4, True]]]),
    "stamp that is a number": row(files=[["source", "a.h", "1" * 64, 7]]),
    "short toolchain": row(toolchain=["nvrtc"]),
    "toolchain digest that is none": row(toolchain=["nvrtc", "12", ""]),
    "absent of another type": row(absent=7),
    "short absent": row(absent=[["source"]]),
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_garbage_with_a_right_digest_is_refused(bad):
    good = record(canonical_json({"request": DIGEST, "variants": [row()]}))
    assert len(decode_record(good, DIGEST)) == 1
    with pytest.raises(ArtifactError):
        decode_record(record(canonical_json({"request": DIGEST, "variants": [bad]})), DIGEST)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 100_000, b"{}", canonical_json({"request": DIGEST}), canonical_json({"request": DIGEST, "variants": {"a": 1}}), canonical_json({"request": DIGEST, "variants": 7})]
)  # fmt: skip
def test_other_bodies_with_a_right_digest_are_refused(body):
    with pytest.raises(ArtifactError):
        decode_record(record(body), DIGEST)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    for attempt in (data, MAGIC + data, record(data)):
        with pytest.raises(ArtifactError):
            decode_record(attempt, DIGEST)


SOURCE = '#include "value.h"\n#include <lib/lib.h>\n#if __has_include(<option.h>)\n#endif\n'
FILES = {"value.h": "1", "one/other.h": "", "two/lib/lib.h": "2", "toolkit/driver.h": ""}


@pytest.fixture
def recorded(write):
    """(root, check): a tree, and what `check_variant` says about the variant that was recorded from it."""
    root = write(FILES)
    toolkit = (("toolkit/cuda", str(root / "toolkit")),)

    def request(**changes):
        arguments = {
            "source_dir": root,
            "include_dirs": [root / "one", root / "two"],
            "headers": {"given.h": "x"},
            **changes,
        }
        return CompileRequest(
            SOURCE + '#include "given.h"\n#include <driver.h>\n', kind="ptx", arch="compute_75", **arguments
        )

    variant = variant_of(Closure(request(), toolkit), COMPILER)

    def check(*, toolkit=toolkit, skip_toolkit=False, **changes):
        return check_variant(variant, request(**changes), toolkit, skip_toolkit=skip_toolkit)

    assert check() is None
    return root, check


def test_an_edited_header(write, recorded):
    root, check = recorded
    write({"value.h": "2"})
    assert check() == f"header {root}/value.h changed"


def test_an_edit_that_is_taken_back(write, recorded):
    write({"value.h": "2"})
    write({"value.h": "1"})
    assert recorded[1]() is None


def test_a_header_that_is_gone(recorded):
    root, check = recorded
    (root / "two/lib/lib.h").unlink()
    assert check() == f"header {root}/two/lib/lib.h is gone"


@pytest.mark.parametrize("path", ["one/lib/lib.h", "lib/lib.h", "one/option.h", "two/option.h", "toolkit/option.h"])
def test_a_header_that_would_be_found_first(write, recorded, path):
    """A quoted name is looked for beside the source first, but not one in angle brackets."""
    root, check = recorded
    write({path: ""})
    reason = check()
    if path == "lib/lib.h":
        assert reason is None
    else:
        assert reason in {f"{root}/{path} appeared", f"{root}/{path.partition('/')[0]}/lib/ appeared"}


def test_a_directory_in_a_files_place_is_no_header(recorded):
    root, check = recorded
    (root / "one/option.h").mkdir()
    assert check() is None


def test_a_changed_text_of_headers(recorded):
    assert recorded[1](headers={"given.h": "y"}) == "header 'given.h' of headers= changed"
    assert recorded[1](headers={}) == "header 'given.h' of headers= changed"


def test_fewer_directories(recorded):
    root, check = recorded
    assert check(include_dirs=[root / "one"]) == "include/1 is no longer searched"


def test_the_toolkit(write, recorded):
    root, check = recorded
    write({"toolkit/driver.h": "changed"})
    assert check() == f"header {root}/toolkit/driver.h changed"
    assert check(skip_toolkit=True) is None
    assert check(toolkit=()) is None, "where no compiler is installed, its headers are taken as recorded"


def test_a_header_that_cannot_be_read(recorded):
    root, check = recorded
    (root / "value.h").unlink()
    (root / "value.h").symlink_to("value.h")
    assert check() == f"header {root}/value.h is gone"


def test_a_fresh_file_has_no_stamp_to_be_believed(write):
    root = write({"a.h": ""})
    assert search.read_header(str(root / "a.h"))[1] is None


def test_a_settled_file_has_a_stamp_and_is_read_once(write, monkeypatch):
    """Two seconds after its last change the stamp tells; a clock set forward stands in for the wait."""
    root = write({"a.h": "one"})
    path = str(root / "a.h")
    clock = time.time_ns
    monkeypatch.setattr(search.time, "time_ns", lambda: clock() + 10**10)
    first = search.read_header(path)
    assert first[1] is not None
    assert search.read_header(path) is first
    os.utime(path)
    again = search.read_header(path)
    assert again is not first
    assert again[0] == first[0]


def test_a_file_from_the_future_has_no_stamp(write):
    root = write({"a.h": ""})
    os.utime(root / "a.h", (4e9, 4e9))
    assert search.read_header(str(root / "a.h"))[1] is None


def test_one_that_appears_among_many_that_were_looked_for(write):
    """Of many names a directory is listed once, if it is there; deeper names are looked for one by one."""
    root = write({"inc/deep/here.h": ""})
    names = [*(f"a{number}.h" for number in range(30)), "deep/b.h", "none/c.h"]
    text = "".join(f"#if __has_include(<{name}>)\n#endif\n" for name in names)
    wanted = CompileRequest(text, kind="ptx", arch="compute_75", include_dirs=[root / "inc", root / "later"])
    variant = variant_of(Closure(wanted, ()), COMPILER)
    assert len(variant.absent) == 32 * 4, "in both directories, in the toolkit, and among those that come with jitload"
    assert check_variant(variant, wanted, ()) is None
    (root / "inc/a6.h").mkdir()
    assert check_variant(variant, wanted, ()) is None
    for path in ("inc/a7.h", "inc/deep/b.h", "later/a8.h"):
        write({path: ""})
        assert check_variant(variant, wanted, ()) == f"{root}/{path} appeared"
        (root / path).unlink()
    (root / "inc/none").mkdir()
    assert check_variant(variant, wanted, ()) == f"{root}/inc/none/ appeared"
