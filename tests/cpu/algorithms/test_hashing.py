"""Hashes against hashlib, zlib and plain Python; the table against a dict."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "80", "100")


def fnv1a(message: bytes) -> int:
    value = 14695981039346656037
    for byte in message:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def murmur3(message: bytes, seed: int) -> int:
    def mixed(word):
        word = word * 0xCC9E2D51 % 2**32
        return (word << 15 | word >> 17) % 2**32 * 0x1B873593 % 2**32

    value, whole = seed, len(message) & ~3
    for start in range(0, whole, 4):
        value ^= mixed(int.from_bytes(message[start : start + 4], "little"))
        value = ((value << 13 | value >> 19) % 2**32 * 5 + 0xE6546B64) % 2**32
    value ^= mixed(int.from_bytes(message[whole:], "little")) ^ len(message)
    value = (value ^ value >> 16) * 0x85EBCA6B % 2**32
    value = (value ^ value >> 13) * 0xC2B2AE35 % 2**32
    return value ^ value >> 16


def messages(rng, count, length):
    text = rng.integers(0, 256, (count, length)).astype(np.uint8)
    return text, [row.tobytes() for row in text]


@sizes((1, 1), (100, 19), (33, 8))
def test_fnv1a(program, rng, size):
    text, plain = messages(rng, *size)
    out = np.zeros(size[0], np.uint64)
    program.run("fnv1a", blocks(size[0], 64), 64, text, size[1], out, size[0])
    assert out.tolist() == [fnv1a(one) for one in plain]


@sizes((1, 1), (70, 23), (65, 18), (40, 16))
def test_murmur3(program, rng, size):
    text, plain = messages(rng, *size)
    out = np.zeros(size[0], np.uint32)
    program.run("murmur3", blocks(size[0], 64), 64, text, size[1], 0x9747B28C, out, size[0])
    assert out.tolist() == [murmur3(one, 0x9747B28C) for one in plain]


@sizes((1, 3), (65, 55), (3, 20))
def test_sha256(program, rng, size):
    text, plain = messages(rng, *size)
    out = np.zeros((size[0], 32), np.uint8)
    program.run("sha256", blocks(size[0], 64), 64, text, size[1], out, size[0])
    assert [row.tobytes() for row in out] == [hashlib.sha256(one).digest() for one in plain]


@sizes((1, 1), (300, 21), (40, 9))
def test_crc32(program, rng, size):
    text, plain = messages(rng, *size)
    out = np.zeros(size[0], np.uint32)
    program.run("crc32", 1, 256, text, size[1], out, size[0])
    assert out.tolist() == [zlib.crc32(one) for one in plain]


@sizes(1, 60, 1000, 500, slow=[30_000])
def test_hash_table_with_compare_and_swap(program, rng, size):
    keys = rng.integers(0, max(size // 3, 1), size).astype(np.uint32) * 7919
    values = rng.integers(0, 100, size).astype(np.int32)
    slots = size // 2 + 3
    table, sums = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    program.run("insert", blocks(size, 64), 64, keys, values, table, sums, slots, size)
    want = Counter()
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        want[key] += value
    assert sorted(table[table > 0].tolist()) == sorted(key + 1 for key in want)
    asked = np.concatenate([keys[:50], np.array([1, 2, 3], np.uint32)])
    out = np.zeros(len(asked), np.int32)
    program.run("look_up", 1, 64, asked, table, sums, out, slots, len(asked))
    assert out.tolist() == [want.get(key, -1) for key in asked.tolist()]
