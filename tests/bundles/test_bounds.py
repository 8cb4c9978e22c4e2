"""Lengths that lie: each has a bound of its own, and is refused before it costs time or memory, signed or not."""

from __future__ import annotations

import struct
import time
import tracemalloc
from contextlib import contextmanager

import pytest

import jitload
from jitload.bundles import format as jlb
from jitload.bundles.index import MAX_ROWS, ROW_BYTES
from jitload.bundles.manifest import MAX_SUMMARY_BYTES
from jitload.bundles.signature import MAX_SIGNATURE_BYTES
from jitload.bundles.source import MemorySource
from jitload.digest import sha256, sha256_parts
from jitload.errors import BundleError, TrustError
from jitload.format.json import canonical_json
from jitload.workloads.program import MAX_WORKLOAD_BYTES

from .test_format import MANIFEST

KEY = "ed25519:" + "11" * 32
GIB = 1 << 30
SPARSE_BYTES = 100 * GIB
SUMMARY = canonical_json(MANIFEST)


@contextmanager
def cheap(seconds=1.0, peak_bytes=64 << 20):
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
    finally:
        spent, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert spent < seconds
    assert peak < peak_bytes


def header(rows, manifest_bytes, end, index_digest=bytes(32), manifest_digest=bytes(32), version=1):
    fields = (jlb.MAGIC, version, 0, rows, manifest_bytes, end, index_digest, manifest_digest, b"")
    return struct.pack("<8sIIQQQ32s32s24s", *fields)


def sparse(path, head, size=SPARSE_BYTES, at_end=b""):
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
        if at_end:
            file.seek(size)
            file.write(at_end)
    return path


def zeros(count):
    return sha256_parts(bytes(min(1 << 20, count - at)) for at in range(0, count, 1 << 20))


LARGEST = (MAX_ROWS, MAX_SUMMARY_BYTES)


@pytest.mark.parametrize("trust", ["unsigned", KEY])
@pytest.mark.parametrize(
    "head",
    [
        header((SPARSE_BYTES - 4096) // ROW_BYTES, 2, SPARSE_BYTES),
        header(MAX_ROWS + 1, 2, SPARSE_BYTES),
        header(0, SPARSE_BYTES - 4096, SPARSE_BYTES),
        header(0, MAX_SUMMARY_BYTES + 1, SPARSE_BYTES),
        header(1 << 63, 1 << 63, SPARSE_BYTES),
        header(*LARGEST, SPARSE_BYTES),
        header(*LARGEST, SPARSE_BYTES, zeros(MAX_ROWS * ROW_BYTES), zeros(MAX_SUMMARY_BYTES)),
        header(0, 2, SPARSE_BYTES - GIB // 64 * 64),
    ],
    ids=["rows", "one-row", "manifest", "one-byte", "both", "largest", "largest-of-zeros", "signatures"],
)
def test_a_sparse_file_with_a_forged_header_costs_nothing(tmp_path, head, trust):
    path = sparse(tmp_path / "k.jlb", head)
    with cheap(), pytest.raises((BundleError, TrustError)):
        jitload.Bundle.open(path, trust=trust)


def test_with_a_key_neither_index_nor_manifest_is_read_before_the_signature(unsigned):
    """All that is asked of the file is its header and what follows its end."""
    data = unsigned.read_bytes()
    read = []

    class Watched(MemorySource):
        def read(self, offset, size):
            read.append((offset, size))
            return super().read(offset, size)

    with pytest.raises(TrustError):
        jitload.Bundle(Watched(data, "watched"), trust=[KEY])
    assert read == [(0, 128), (len(data), 0)]


def with_manifest(summary, behind=b""):
    end = jlb.aligned(128 + len(summary))
    data = header(0, len(summary), end, sha256(b""), sha256(summary)) + summary
    return data + bytes(end - len(data)) + behind


@pytest.mark.parametrize(
    "summary",
    [
        b"[" * (16 << 20),
        b"[" + b"[]," * (5 << 20) + b"[]]",
        b"[" * MAX_SUMMARY_BYTES,
        b"[" + b"[]," * (MAX_SUMMARY_BYTES // 3 - 2) + b"[]]",
        b'{"a":' * (MAX_SUMMARY_BYTES // 8),
        b'{"requests":' + b"9" * 5000 + b"}",
        b'{"requests":NaN}',
        b'{"a":1,"a":1}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        b"7",
        b"null",
    ],
    ids=lambda summary: f"{summary[:12]}-{len(summary)}",
)
def test_a_manifest_that_is_a_bomb_or_no_json_costs_nothing(summary):
    data = with_manifest(summary)
    with cheap(peak_bytes=32 << 20), pytest.raises(BundleError):
        jitload.Bundle.from_bytes(data, trust="unsigned")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"[" + b"[]," * 60_000 + b"[]]",
        b"[[1,2]]",
        b"null",
        b"[]",
        b"{}",
        b'{"aa":"bb"}',
        b'[["aaa","b"]]',
        b'["ab"]',
        b"[NaN]",
        b'[["aa",' + b"9" * 4500 + b"]]",
        b'[["%s","%s"],["%s","%s"]]' % ((b"aa" * 16, b"bb" * 64) * 2),
        b'[["%s","%s","a",true]]' % (b"aa" * 16, b"bb" * 64),
        b'[["%s","%s","a",-1]]' % (b"aa" * 16, b"bb" * 64),
        b'[["%s","%s","a\\nb",1]]' % (b"aa" * 16, b"bb" * 64),
        b'[["%s","%s","a"]]' % (b"aa" * 16, b"bb" * 64),
        b'[["%s","%s"]]' % (b"AA" * 16, b"bb" * 64),
        b'[ ["%s","%s"]]' % (b"aa" * 16, b"bb" * 64),
        b"[" + b",".join(b'["%032x","%s"]' % (number, b"bb" * 64) for number in range(257)) + b"]",
    ],
    ids=lambda body: f"{body[:14]}-{len(body)}",
)
@pytest.mark.parametrize("magic", [b"JLBSIGN\n", b"JLBSIG2\n"])
@pytest.mark.parametrize("trust", ["unsigned", KEY])
def test_signatures_that_are_none_cost_nothing(body, magic, trust):
    data = with_manifest(SUMMARY, magic + struct.pack("<I", len(body)) + body)
    with cheap(peak_bytes=32 << 20), pytest.raises(BundleError):
        jitload.Bundle.from_bytes(data, trust=trust)


def test_the_longest_signature_block_is_shorter_than_what_may_follow_a_bundle():
    with pytest.raises(BundleError, match="something else follows it"):
        jitload.Bundle.from_bytes(with_manifest(SUMMARY, bytes(MAX_SIGNATURE_BYTES + 1)), trust="unsigned")


def one_blob(tmp_path, size, head=b"", workload_bytes=0):
    """A sparse bundle with one blob, or with sources alone, whose index and manifest are right."""
    manifest = {**MANIFEST, "requests": 0 if workload_bytes else 1}
    if workload_bytes:
        manifest |= {"workload_bytes": workload_bytes, "workload": "ab" * 32}
    summary = canonical_json(manifest)
    rows = 0 if workload_bytes else 1
    start = jlb.aligned(128 + rows * ROW_BYTES + len(summary))
    index = struct.pack("<32sQQ32s", b"a" * 32, start, size, bytes(32)) * rows
    end = start + jlb.aligned(size or workload_bytes)
    front = header(rows, len(summary), end, sha256(index), sha256(summary), 2 if workload_bytes else 1)
    front += index + summary
    return sparse(tmp_path / "k.jlb", front + bytes(start - len(front)) + head, end)


@pytest.mark.parametrize("size", [2 * GIB, 4 * GIB, 1 << 40])
def test_a_blob_has_a_bound(tmp_path, size):
    """Its row, its place and the size of the file agree, and it is larger than entries get."""
    path = one_blob(tmp_path, size)
    with cheap(), pytest.raises(BundleError, match="overlap, leave gaps"):
        jitload.Bundle.open(path, trust="unsigned")


def test_a_blob_of_zeros_is_refused_by_its_first_bytes(tmp_path):
    path = one_blob(tmp_path, 2 * GIB - 64)
    with cheap(), jitload.Bundle.open(path, trust="unsigned") as bundle:
        with pytest.raises(BundleError, match="promises 0 entries"):
            bundle.read((b"a" * 32).hex())
        assert bundle.requests == ((b"a" * 32).hex(),)


def test_a_large_part_is_hashed_before_it_is_held(tmp_path):
    """The memory goes to what matches its digest alone."""
    size = 256 << 20
    path = one_blob(tmp_path, size, struct.pack("<IIQ", 1, 0, size - 16))
    with cheap(seconds=30), pytest.raises(BundleError, match="does not match its digest"):
        jitload.Bundle.open(path, trust="unsigned").verify()
    path = one_blob(tmp_path, 0, workload_bytes=size)
    with cheap(seconds=30), pytest.raises(BundleError, match="do not match their digest"):
        jitload.Bundle.open(path, trust="unsigned").workload()


def test_sources_have_a_bound(tmp_path):
    with pytest.raises(BundleError, match="expected an integer from 1"):
        jitload.Bundle.open(one_blob(tmp_path, 0, workload_bytes=MAX_WORKLOAD_BYTES + 1), trust="unsigned")


def test_more_requests_than_a_bundle_holds_are_refused_when_it_is_written(monkeypatch):
    monkeypatch.setattr(jlb, "MAX_ROWS", 1)
    with pytest.raises(BundleError, match="make several"):
        jlb.encode_bundle({bytes(32): b"12345678", b"a" * 32: b"12345678"}, {**MANIFEST, "requests": 2})


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 5000])
def test_a_path_that_cannot_be_is_refused_with_our_own_error(path):
    with pytest.raises(BundleError):
        jitload.Bundle.open(path, trust="unsigned")


def test_what_is_no_digest_is_in_no_bundle(unsigned):
    with jitload.Bundle.open(unsigned, trust="unsigned") as bundle:
        for text in ("", "zz", "00", "\ud800"):
            assert text not in bundle
            assert bundle.read(text) == []
