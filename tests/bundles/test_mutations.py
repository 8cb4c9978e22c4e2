"""Mutations of trust files, workloads and bundles: what is wrong is refused, with our own errors, soon, in little memory."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import struct
import time

import pytest

import jitload
from jitload.bundles import format as jlb
from jitload.bundles.trust import decode_trust_file, key_id, parse_public_key, verify_serial
from jitload.bundles.workload import decode_workload, encode_line
from jitload.digest import sha256, sha256_hex
from jitload.errors import BundleError, TrustError

from .mutate import mutated, mutated_bytes
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
SOURCE, HEADER = 'extern "C" __global__ void k(int *x) { *x = 7; }', "#define A 1\n"
PROGRAM = {
    "absent": [["source", "b.h"], ["include/0", "cub/"]],
    "aliases": [["source", "deep/c.h", "source", "a.h"]],
    "defines": [["N", "4"], ["BARE", None]],
    "files": [["include/0", "../b.h", sha256_hex(HEADER.encode())], ["source", "a.h", sha256_hex(HEADER.encode())]],
    "headers": [["given.h", sha256_hex(HEADER.encode())]],
    "name": "k.cu",
    "names": ["f<int>"],
    "options": ["--generate-line-info", "--std=c++17"],
    "source": sha256_hex(SOURCE.encode()),
    "targets": [["cubin", "sm_80", "device"], ["ptx", "compute_75", "chosen"]],
    "undefines": ["M"],
}
TEXTS = [{"sha256": sha256_hex(text.encode()), "text": text} for text in (SOURCE, HEADER)]
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
    summary = mutated(FULL_MANIFEST, rng).encode() if what < 0.4 else jlb.canonical_json(FULL_MANIFEST)
    if what < 0.4 and rng.random() < 0.8:
        with contextlib.suppress(ValueError, RecursionError):  # in the one spelling, so that the fields are looked at
            summary = jlb.canonical_json(json.loads(summary))
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


READERS = {"policy": read_policy_text, "workload": read_workload_bytes, "bundle": read_bundle_bytes}


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


@pytest.mark.parametrize("name", READERS)
def test_a_thousand_mutations(name):
    assert survive(READERS[name], 1000, seed=0) > 700


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_twenty_thousand_mutations(name):
    survive(READERS[name], 20_000, seed=1)
