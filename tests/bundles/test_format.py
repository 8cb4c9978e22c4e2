"""The bytes of a bundle: what is written comes back, and whatever else a file holds is refused with our own errors."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jitload
from jitload.bundles import format as jlb
from jitload.bundles import index
from jitload.bundles.build import create, merge
from jitload.door import compile_request
from jitload.errors import BundleError, TrustError
from jitload.workloads.workload import Workload

from .conftest import requests_of, write_sources

REFUSALS = (BundleError, TrustError)
MANIFEST = {
    "archs": ["sm_80"],
    "builder": "",
    "kinds": ["cubin"],
    "licences": [],
    "requests": 0,
    "targets": [],
    "toolchains": [],
    "workload": "",
}


def read_all(data, trust="unsigned"):
    return jitload.Bundle.from_bytes(data, trust=trust).verify()


def test_what_goes_in_comes_out(built, unsigned):
    bundle = jitload.Bundle.open(unsigned, trust="unsigned")
    assert bundle.verify() == len(bundle) == 3
    for request in built[1]:
        (entry,) = bundle.read(request.digest)
        assert entry.artifact == built[2].get(entry.artifact.key)
        assert entry.artifact.compile_seconds == 0
    assert bundle.manifest["targets"] == [["cubin", "sm_80"], ["cubin", "sm_90"], ["ptx", "compute_90"]]


def test_an_unknown_request_is_absent(unsigned):
    bundle = jitload.Bundle.open(unsigned, trust="unsigned")
    for request in ("00" * 32, "77" * 32, "ff" * 32):
        assert bundle.read(request) == []
        assert request not in bundle


def test_two_builds_in_two_directories_are_the_same_bytes(tmp_path):
    """Line information too: no path of the build is in it."""
    found = []
    for user in ("alice", "bob/deeper"):
        source = write_sources(tmp_path / user)
        cache = jitload.Cache(tmp_path / user / "cache")
        requests = requests_of(source, options=["-lineinfo"], include_dirs=[tmp_path / user / "include"])
        for request in requests if user == "alice" else reversed(requests):
            compile_request(request, cache)
        create(tmp_path / user / "k.jlb", requests, cache=cache)
        found.append((tmp_path / user / "k.jlb").read_bytes())
    assert found[0] == found[1]
    assert str(tmp_path).encode() not in found[0]


def test_an_artifact_that_the_cache_lacks_is_named(built, tmp_path):
    with pytest.raises(BundleError, match=r"saxpy.cu \(cubin, sm_86\)"):
        create(tmp_path / "k.jlb", requests_of(built[0], [("cubin", "sm_86")]), cache=built[2])
    assert not (tmp_path / "k.jlb").exists()


def test_merging_bundles_of_parts_gives_the_bundle_of_the_whole(built, unsigned, tmp_path):
    parts = []
    for number, request in enumerate(built[1]):
        parts.append(create(tmp_path / f"{number}.jlb", [request], cache=built[2]))
    merge(tmp_path / "all.jlb", parts)
    assert (tmp_path / "all.jlb").read_bytes() == unsigned.read_bytes()


@pytest.mark.parametrize("which", ["unsigned", "signed", "carrying"])
def test_every_flipped_byte_is_refused(which, keys, request):
    """Each byte in turn: at opening, or when the entry that it is in is read."""
    data = request.getfixturevalue(which).read_bytes()
    trust = "unsigned" if which == "unsigned" else [keys["ci"][1]]
    assert read_all(data, trust) == 3
    # Every byte of what is parsed; of the images, which one digest covers alike, every 61st.
    front = jlb.decode_header(data[:128], len(data))
    offsets = [
        *range(front.blobs_start + 512),
        *range(front.blobs_start, front.end, 61),
        *range(front.end - (512 if which != "carrying" else 1800), len(data)),
    ]
    for offset in offsets:
        altered = bytearray(data)
        altered[offset] ^= 1 << offset % 8
        with pytest.raises(REFUSALS):
            read_all(bytes(altered), trust)


@pytest.mark.parametrize("which", ["unsigned", "signed", "carrying"])
def test_every_truncation_is_refused(which, keys, request):
    data = request.getfixturevalue(which).read_bytes()
    trust = "unsigned" if which == "unsigned" else [keys["ci"][1]]
    for size in [*range(700), *range(700, len(data), 97), *range(len(data) - 300, len(data))]:
        with pytest.raises(REFUSALS):
            read_all(data[:size], trust)
    with pytest.raises(BundleError):
        read_all(data + b"\0", trust)


def test_an_entry_is_verified_whenever_it_is_read(built, unsigned, tmp_path):
    """A file that is altered after it was opened is found out, too."""
    path = tmp_path / "k.jlb"
    path.write_bytes(unsigned.read_bytes())
    bundle = jitload.Bundle.open(path, trust="unsigned")
    digest = built[1][0].digest
    assert bundle.read(digest)
    with path.open("r+b") as file:
        file.seek(bundle.tiers[1].row(digest)[0] + 200)
        file.write(b"\xff\x00\xff\x00")
    with pytest.raises(BundleError, match="altered since"):
        bundle.read(digest)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(BundleError, match="shorter"):
        bundle.read(digest)


def rewritten(table, blobs, manifest=None, **header):
    """A bundle whose digests are right and whose figures are what the test says."""
    rows = b"".join(struct.pack("<32sQQ32s", *row) for row in table)
    summary = jlb.canonical_json({**MANIFEST, "requests": len(table), **(manifest or {})})
    fields = {"rows": len(table), "manifest_bytes": len(summary), "version": 1, "flags": 0, "reserved": b"", **header}
    front = jlb.aligned(128 + len(rows) + len(summary))
    end = header.get("end", front + len(blobs))
    head = struct.pack(
        "<8sIIQQQ32s32s24s",
        jlb.MAGIC,
        fields["version"],
        fields["flags"],
        fields["rows"],
        fields["manifest_bytes"],
        end,
        jlb.sha256(rows),
        jlb.sha256(summary),
        fields["reserved"],
    )
    body = head + rows + summary
    return body + b"\0" * (front - len(body)) + blobs


def place(rows):
    """The offset of the first blob behind that many rows, found by layout."""
    data = rewritten([(bytes([n]) * 32, 0, 8, b"") for n in range(rows)], b"")
    return len(data)


BLOB = b"\0" * 64


@pytest.mark.parametrize(
    "data",
    [
        rewritten([], b"", rows=1 << 60),
        rewritten([], b"", rows=(1 << 64) - 1),
        rewritten([], b"", manifest_bytes=1 << 62),
        rewritten([], b"", end=1 << 63),
        rewritten([], b"", version=2),
        rewritten([], b"", version=3),
        rewritten([], BLOB, manifest={"workload_bytes": 5}),
        rewritten([], BLOB, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": 0}, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": 65}, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": -1}, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": 1 << 29}, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": 1 << 62}, version=2),
        rewritten([], BLOB, manifest={"workload_bytes": True}, version=2),
        rewritten([], b"", flags=1),
        rewritten([], b"", reserved=b"\0\1"),
        rewritten([], BLOB),
        rewritten([(b"a" * 32, 1 << 63, 64, b"")], BLOB),
        rewritten([(b"a" * 32, place(1), 1 << 63, b"")], BLOB),
        rewritten([(b"a" * 32, place(1), 65, b"")], BLOB),
        rewritten([(b"a" * 32, place(1), 0, b"")], BLOB),
        rewritten([(b"b" * 32, place(2), 64, b""), (b"a" * 32, place(2) + 64, 64, b"")], BLOB * 2),
        rewritten([(b"a" * 32, place(2), 64, b""), (b"a" * 32, place(2) + 64, 64, b"")], BLOB * 2),
        rewritten([(b"a" * 32, place(2), 64, b""), (b"b" * 32, place(2), 64, b"")], BLOB),
        rewritten([(b"a" * 32, place(1) + 64, 64, b"")], BLOB * 2),
        rewritten([], b"", manifest={"requests": 5}),
        rewritten([], b"", manifest={"archs": "sm_80"}),
        rewritten([], b"", manifest={"targets": [["cubin"]]}),
        rewritten([], b"", manifest={"builder": 7}),
        rewritten([], b"") + b"JLBSIGN\n",
        rewritten([], b"") + b"JLBSIGN\n\x02\0\0\0{}",
        rewritten([], b"") + b"JLBSIGN\n" + struct.pack("<I", 40000) + b"[" * 40000,
        rewritten([], b"") + b"JLBSIGN\n\x0d\0\0\0" + b'[["../k","00"]]'[:13],
    ],
)
def test_figures_that_lie_are_refused_at_opening(data):
    with pytest.raises(BundleError):
        jitload.Bundle.from_bytes(data, trust="unsigned")


def test_a_bundle_with_its_sources_is_the_same_with_more_behind_it(built, unsigned, carrying, tmp_path):
    """Without them it is a file of version 1, which an earlier reader takes; with them one of version 2."""
    full, plain = (jitload.Bundle.open(path, trust="unsigned") for path in (carrying, unsigned))
    assert [entry.data for entry in full.entries()] == [entry.data for entry in plain.entries()]
    assert plain.workload() is None
    versions = [path.read_bytes()[len(jlb.MAGIC) :][:4] for path in (unsigned, carrying)]
    assert versions == [struct.pack("<I", 1), struct.pack("<I", 2)]
    workload = full.workload()
    assert workload.digest == full.manifest["workload"]
    with workload.unpacked() as requests:
        (program,) = requests
        digests = {requests[program].replace(kind=kind, arch=arch).digest for kind, arch, _ in program.targets}
    assert digests == {request.digest for request in built[1]} == set(full.requests)
    create(tmp_path / "again.jlb", built[1], cache=built[2], workload=workload, with_workload=True)
    assert (tmp_path / "again.jlb").read_bytes() == carrying.read_bytes()[: full.unsigned_bytes]
    with pytest.raises(ValueError, match="not a digest"):
        create(tmp_path / "none.jlb", built[1], cache=built[2], workload=workload.digest, with_workload=True)


def test_sources_are_not_in_a_bundle_unless_asked_for(built, carrying, tmp_path):
    workload = jitload.Bundle.open(carrying, trust="unsigned").workload()
    create(tmp_path / "k.jlb", built[1], cache=built[2], workload=workload)
    assert b"blockIdx" not in (tmp_path / "k.jlb").read_bytes()
    assert b"blockIdx" in carrying.read_bytes()


def test_sources_that_are_none_are_refused_with_our_own_errors():
    for sources in (b"[" * 5000, b'{"jitload workload":1}\n{"x":1}\n', b"\xff", b'{"jitload workload":2}\n'):
        manifest = {**MANIFEST, "workload": jlb.sha256(sources).hex()}
        bundle = jitload.Bundle.from_bytes(jlb.encode_bundle({}, manifest, sources), trust="unsigned")
        with pytest.raises(BundleError):
            bundle.workload()


def test_merging_keeps_sources_when_all_have_them(built, carrying, unsigned, tmp_path):
    full, plain = (jitload.Bundle.open(path, trust="unsigned") for path in (carrying, unsigned))
    assert merge(tmp_path / "a.jlb", [full, plain]).workload().digest == full.manifest["workload"]
    with jitload.record(tmp_path / "b.jlw"):
        compile_request(built[1][0], built[2])
    other = Workload.read(tmp_path / "b.jlw")
    carried = create(tmp_path / "b.jlb", built[1][:1], cache=built[2], workload=other, with_workload=True)
    merged = merge(tmp_path / "c.jlb", [full, carried])
    assert merged.workload().digest == merged.manifest["workload"] == full.workload().merged(other).digest
    named = create(tmp_path / "d.jlb", built[1][:1], cache=built[2], workload=other)
    lacking = merge(tmp_path / "e.jlb", [full, named])
    assert lacking.workload() is None
    assert lacking.manifest["workload"]


def test_an_entry_of_another_request_is_refused(built, unsigned):
    """A blob that is moved to another row answers to none: keys are computed from the request."""
    bundle = jitload.Bundle.open(unsigned, trust="unsigned")
    first, second = bundle.requests[:2]
    blob = unsigned.read_bytes()[bundle.tiers[1].row(first)[0] :][: bundle.tiers[1].row(first)[1]]
    data = jlb.encode_bundle({bytes.fromhex(second): blob}, {**MANIFEST, "requests": 1})
    moved = jitload.Bundle.from_bytes(data, trust="unsigned")
    with pytest.raises(BundleError):
        moved.read(second)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_blob_or_refused(data):
    try:
        variants, entries = jlb.split_blob(data)
    except BundleError:
        return
    assert jlb.encode_blob(variants, entries) == data


@given(st.lists(st.binary(max_size=90), min_size=1, max_size=16), st.binary(max_size=90))
def test_blobs_round_trip(entries, variants):
    assert jlb.split_blob(jlb.encode_blob(variants, entries)) == (variants, entries)


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.binary(min_size=8, max_size=200), max_size=20))
def test_bundles_of_any_blobs_open_and_find_every_row(blobs):
    bundle = jitload.Bundle.from_bytes(jlb.encode_bundle(blobs, {**MANIFEST, "requests": len(blobs)}), trust="unsigned")
    assert bundle.requests == tuple(sorted(request.hex() for request in blobs))
    for request in blobs:
        assert request.hex() in bundle


@pytest.mark.parametrize("which", ["unsigned", "carrying"])
@settings(max_examples=300)
@given(data=st.data())
def test_a_bundle_with_any_bytes_put_over_it_is_itself_or_refused(unsigned, carrying, keys, which, data):
    """The fuzz run: only our own errors come out, and nothing but the old contents."""
    trust = "unsigned" if which == "unsigned" else keys["ci"][1]  # without a key, signatures are not looked into
    original = (unsigned if which == "unsigned" else carrying).read_bytes()
    ends = st.integers(0, min(len(original) - 1, 3000)) | st.integers(max(0, len(original) - 3000), len(original) - 1)
    offset = data.draw(ends)
    patch = data.draw(st.binary(min_size=1, max_size=24))
    altered = original[:offset] + patch + original[offset + len(patch) :]
    try:
        read_all(altered, trust)
    except REFUSALS:
        return
    assert altered == original


@settings(max_examples=300)
@given(st.binary(max_size=600))
def test_any_bytes_are_a_bundle_or_refused(data):
    for candidate in (data, jlb.MAGIC + data, jlb.MAGIC + struct.pack("<II", 1, 0) + data):
        with pytest.raises(REFUSALS):
            read_all(candidate)


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=12))
def test_rising_words_are_told_from_others(words):
    """By the upper 63 bits: the lanes of one large integer do what a loop would."""
    from array import array

    expected = all(before >> 1 < after >> 1 for before, after in itertools.pairwise(words))
    assert index.is_rising(array("Q", words)) == expected
    assert index.is_rising(array("Q", sorted({word & ~1 for word in words})))


def test_requests_that_differ_in_their_last_bytes_are_found():
    blobs = {bytes(31) + bytes([n]): jlb.encode_blob(b"", [b"%d" % n]) for n in range(5)}
    bundle = jitload.Bundle.from_bytes(jlb.encode_bundle(blobs, {**MANIFEST, "requests": 5}), trust="unsigned")
    assert all(request.hex() in bundle for request in blobs)
    assert (bytes(31) + b"\x09").hex() not in bundle
