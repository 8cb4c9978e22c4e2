"""Mutations of trust files, workloads and bundles: what is wrong is refused, with our own errors, soon, in little memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import resource
import struct
import time

import pytest

import jitload
from jitload.artifact import Artifact
from jitload.bundles import format as jlb
from jitload.bundles.trust import decode_trust_file, key_id, parse_public_key, verify_serial
from jitload.compiler.key import key_of
from jitload.digest import sha256, sha256_hex
from jitload.errors import BundleError, TrustError
from jitload.format.entry import HEADER, encode_entry
from jitload.format.json import canonical_json
from jitload.headers.record import MAGIC as MANIFEST_MAGIC
from jitload.headers.record import Variant, encode_record
from jitload.tiers.row import written_options
from jitload.values import KernelInfo, Kind, Parameter, Toolchain
from jitload.workloads.workload import decode_workload, encode_line

from .mutate import Pairs, at, mutated, mutated_bytes, places, put, text_of, to_pairs
from .test_bounds import cheap
from .test_format import MANIFEST

KEYS = ["ed25519:" + digit * 64 for digit in "123"]
IDS = [key_id(parse_public_key(key)) for key in KEYS]
POLICY = {
    "jitload trust": 1,
    "keys": [{"key": KEYS[0], "name": "ci"}, {"key": KEYS[1], "name": "release"}],
    "threshold": 2,
    "revoked": [IDS[2]],
    "not_older_than": {"ops": 7, "*": 0},
}
SOURCE, INCLUDED = 'extern "C" __global__ void k(int *x) { *x = 7; }', "#define A 1\n"
PROGRAM = {
    "absent": [["source", "b.h"], ["include/0", "cub/"]],
    "aliases": [["source", "deep/c.h", "source", "a.h"]],
    "defines": [["N", "4"], ["BARE", None]],
    "files": [["include/0", "../b.h", sha256_hex(INCLUDED.encode())], ["source", "a.h", sha256_hex(INCLUDED.encode())]],
    "headers": [["given.h", sha256_hex(INCLUDED.encode())]],
    "name": "k.cu",
    "names": ["f<int>"],
    "options": ["--generate-line-info", "--std=c++17"],
    "source": sha256_hex(SOURCE.encode()),
    "targets": [["cubin", "sm_80", "device"], ["ptx", "compute_75", "chosen"]],
    "undefines": ["M"],
}
TEXTS = [{"sha256": sha256_hex(text.encode()), "text": text} for text in (SOURCE, INCLUDED)]
FULL_MANIFEST = {
    **MANIFEST, "name": "ops", "serial": 7, "targets": [["cubin", "sm_80"], ["fatbin", "sm_80,compute_90"]],
    "toolchains": [["nvrtc", "12.9.86", "ab" * 32]], "licences": ["MIT, see LICENSE"], "workload": "cd" * 32,
}  # fmt: skip
SIGNATURES = [[IDS[0], "ab" * 64], [IDS[1], "cd" * 64, "release", 1_700_000_000]]
OURS = (BundleError, TrustError)


def read_policy_text(rng):
    text = (
        mutated(POLICY, rng)
        if rng.random() < 0.8
        else mutated_bytes(json.dumps(POLICY).encode(), rng).decode("latin-1")
    )
    policy = decode_trust_file(text)
    verify_serial("a bundle", {"name": "ops", "serial": 9}, policy)
    assert policy.threshold >= 1
    assert all(len(public) == 32 for _, public in policy.keys.values())


def read_workload_bytes(rng):
    values = [{"jitload workload": 1}, *TEXTS, PROGRAM]
    which = rng.choice((0, 1, 3, 3, 3, 3, 3))
    lines = [encode_line(value) for value in values]
    lines[which] = mutated(values[which], rng).encode() + b"\n"
    data = b"".join(lines)
    workload = decode_workload(data if rng.random() < 0.85 else mutated_bytes(data, rng))
    if rng.random() < 0.3:
        with workload.unpacked() as requests:
            assert all(os.path.isdir(request.source_dir) for request in requests.values())
    assert decode_workload(workload.encode()).encode() == workload.encode()


def read_bundle_bytes(rng):
    what = rng.random()
    summary = mutated(FULL_MANIFEST, rng).encode() if what < 0.4 else canonical_json(FULL_MANIFEST)
    if what < 0.4 and rng.random() < 0.8:
        with contextlib.suppress(ValueError, RecursionError):  # in the one spelling, so that the fields are looked at
            summary = canonical_json(json.loads(summary))
    end = jlb.aligned(128 + len(summary))
    fields = [jlb.MAGIC, 1, 0, 0, len(summary), end, sha256(b""), sha256(summary), b""]
    if 0.4 <= what < 0.6:
        at = rng.randrange(1, 6)
        fields[at] = (
            rng.choice((0, 1, 2, 63, 64, 1 << 20, 1 << 31)) if at < 3 else rng.choice((0, 1, 64, 1 << 40, 1 << 63))
        )
    data = struct.pack("<8sIIQQQ32s32s24s", *fields) + summary
    data += bytes(end - len(data))
    if what >= 0.6:
        body = mutated(SIGNATURES, rng).encode()
        data += rng.choice((b"JLBSIGN\n", b"JLBSIG2\n")) + struct.pack("<I", len(body)) + body
    if rng.random() < 0.1:
        data = mutated_bytes(data, rng)
    jitload.Bundle.from_bytes(data, trust=rng.choice(("unsigned", "unsigned", KEYS[2]))).verify()


CHAIN = Toolchain("nvrtc", "12.9.86", "ab" * 32)
REQUEST, CLOSURE = "12" * 32, "34" * 32
PTX = b".version 8.0\n.target sm_75\n.address_size 64\n.visible .entry k() { ret; }\n"
ENTRY = encode_entry(
    Artifact(
        kind=Kind.PTX, data=PTX, arch="compute_75", name="k.cu", key=key_of(REQUEST, CLOSURE, CHAIN),
        kernels=[KernelInfo("k", "k", (Parameter(0, 8, 8, "u64", name="x", declared="int *", pointer=True),))],
        toolchain=CHAIN,
    ),
    canonical_json({"defines": {"N": "4"}, "headers": {}, "options": ["-G"], "request": REQUEST, "undefines": []}),
)  # fmt: skip
VARIANT = Variant(CLOSURE, CHAIN, [("source", "a.h", "56" * 32, None)], [("source", "b.h")])
ENTRIES_MANIFEST = {**MANIFEST, "kinds": ["ptx"], "requests": 1, "targets": [["ptx", "compute_75"]]}


def resealed(entry, rng):
    """An entry whose metadata or factors are mutated and whose figures and digest are right."""
    fields = list(HEADER.unpack_from(entry))
    ends = [HEADER.size, HEADER.size + fields[2], HEADER.size + fields[2] + fields[3], len(entry) - 32]
    sections = [entry[start:end] for start, end in itertools.pairwise(ends)]
    which = rng.choice((0, 0, 0, 1))
    sections[which] = mutated(json.loads(sections[which]), rng).encode()
    fields[2:5] = map(len, sections)
    body = HEADER.pack(*fields) + b"".join(sections)
    return body + sha256(body)


def read_entry_bytes(rng):
    """A bundle of which every digest fits, with an entry or its variants mutated: read, as `inspect` and `check` do."""
    entry, variants = ENTRY, encode_record(REQUEST, [VARIANT])
    if rng.random() < 0.6:
        entry = resealed(entry, rng)
    else:
        body = mutated(json.loads(variants[len(MANIFEST_MAGIC) + 65 :]), rng).encode()
        variants = MANIFEST_MAGIC + sha256_hex(body).encode() + b"\n" + body
    data = jlb.encode_bundle({bytes.fromhex(REQUEST): jlb.encode_blob(variants, [entry])}, ENTRIES_MANIFEST)
    with jitload.Bundle.from_bytes(data, trust="unsigned") as bundle:
        for found in bundle.entries():
            assert f"{found.artifact}"
            written_options(found.factors)
        bundle.verify()


READERS = {
    "policy": read_policy_text,
    "workload": read_workload_bytes,
    "bundle": read_bundle_bytes,
    "entry": read_entry_bytes,
}


def survive(reader, rounds, seed):
    rng = random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for number in range(rounds):
        started = time.process_time()
        try:
            reader(rng)
        except OURS:
            refused += 1
        assert time.process_time() - started < 1, f"round {number} of seed {seed}"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 256
    return refused


def test_what_is_not_mutated_is_read():
    assert decode_trust_file(json.dumps(POLICY)).threshold == 2
    data = b"".join(map(encode_line, [{"jitload workload": 1}, *TEXTS, PROGRAM]))
    with decode_workload(data).unpacked() as requests:
        assert len(requests) == 1
    assert (
        jitload.Bundle.from_bytes(jlb.encode_bundle({}, {**FULL_MANIFEST, "targets": []}), trust="unsigned").verify()
        == 0
    )


def read_policy(text):
    decode_trust_file(text)


def read_program(text):
    head = b"".join(map(encode_line, [{"jitload workload": 1}, *TEXTS]))
    decode_workload(head + text.encode() + b"\n")


def read_manifest(text):
    summary = text.encode()
    end = jlb.aligned(128 + len(summary))
    head = (jlb.MAGIC, 1, 0, 0, len(summary), end, sha256(b""), sha256(summary), b"")
    data = struct.pack("<8sIIQQQ32s32s24s", *head) + summary
    jitload.Bundle.from_bytes(data + bytes(end - len(data)), trust="unsigned")


SHAPES = {
    "policy": (POLICY, read_policy),
    "program": (PROGRAM, read_program),
    "manifest": ({**FULL_MANIFEST, "programs": ["k.cu"]}, read_manifest),
}
OF_OTHER_TYPES: list = [None, True, False, 0, 1, 1.0, "", "1", [], {}, [[]], [None], [{}], {"a": []}]


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_of_another_type_is_taken(name):
    """True for 1, {} for [], null for "": each of them in the place of every value."""
    value, read = SHAPES[name]
    read(canonical_json(value).decode())
    macros = {("defines", 0, 1), ("defines", 1, 1)}  # a macro has a text, or none
    for path in places(value):
        for other in OF_OTHER_TYPES:
            if type(other) is type(at(value, path)) or path in macros:
                continue
            with pytest.raises(OURS):
                read(canonical_json(put(value, path, other)).decode())


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_taken_twice(name):
    """No field of any object, and no item of any list but of options, whose repetition means something."""
    value, read = SHAPES[name]
    for path in places(value):
        found = at(value, path)
        if isinstance(found, dict):
            for key in found:
                twice = Pairs([*to_pairs(found), (key, to_pairs(found[key]))])
                with pytest.raises(OURS, match="a key twice"):
                    read(text_of(twice if not path else to_pairs(put(value, path, twice))))
        elif isinstance(found, list) and path != ("options",) and found:
            with pytest.raises(OURS):
                read(canonical_json(put(value, path, [*found, found[0]])).decode())


@pytest.mark.parametrize("where", ["variants", "meta", "factors"])
def test_json_in_an_entry_that_makes_much_of_itself_is_refused(where):
    bomb = b"[" + b"[]," * (8 << 20) + b"[]]"
    variants, entry = encode_record(REQUEST, [VARIANT]), ENTRY
    if where == "variants":
        variants = MANIFEST_MAGIC + sha256_hex(bomb).encode() + b"\n" + bomb
    else:
        fields = list(HEADER.unpack_from(entry))
        at = 2 if where == "meta" else 3
        start = HEADER.size if where == "meta" else HEADER.size + fields[2]
        body = entry[HEADER.size : start] + bomb + entry[start + fields[at] : -32]
        fields[at] = len(bomb)
        entry = HEADER.pack(*fields) + body
        entry += sha256(entry)
    data = jlb.encode_bundle({bytes.fromhex(REQUEST): jlb.encode_blob(variants, [entry])}, ENTRIES_MANIFEST)
    with cheap(peak_bytes=128 << 20), pytest.raises(BundleError, match="brackets and commas"):
        jitload.Bundle.from_bytes(data, trust="unsigned").verify()


@pytest.mark.parametrize("name", READERS)
def test_a_thousand_mutations(name):
    assert survive(READERS[name], 1000, seed=0) > 500


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_twenty_thousand_mutations(name, bounded):
    survive(READERS[name], bounded(20_000, 4000), seed=1)
