"""Mutations of JSON that know its structure: values of other types, fields twice, too many, too deep, names that bite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


class Raw(str):
    """Text that is written as it is."""

    __slots__ = ()


HOSTILE: list[Any] = [
    None, True, False, 0, 1, -1, 2**63, 2**64, 10**18, 0.5, "", " ", "a", [], {}, [[]], [None], [[], []], {"a": 1},
    Raw("NaN"), Raw("-Infinity"), Raw("1e999"), Raw("9" * 25), Raw("9" * 5000), Raw("1.0"), Raw("tru"), Raw('"\\ud800"'),
    Raw("[" * 5000), Raw('{"a":' * 3000 + "1" + "}" * 3000), Raw("[" + "[]," * 20_000 + "[]]"), Raw('{"a":1,"a":1}'),
    "x" * 300, "x" * 70_000, "../" * 20 + "x", "/etc/passwd", "a/" * 400 + "b", "..", ".", "a\0b", "\x1b[2J", "\udc80",
    "source", "include/0", "include/1000", "source/../..", "sourceX", "unsigned", "*", "--time=x", "-Xptxas=-optf,/x",
    "--create-pch=x", "--keep-dir=x", "-I/etc", "-DA=1", "sm_90", "compute_999", "compute_" + "9" * 500, "cubin", "fatbin",
    "sm_80,sm_90", "ltoir", "chosen", "ab" * 16, "ab" * 32, "AB" * 32, "ed25519:" + "11" * 32, "ed25519:" + "zz" * 32,
]  # fmt: skip


def mutated(value: Any, rng: random.Random) -> str:
    """The text of a value with one to three things wrong, or perhaps nothing."""
    pairs = to_pairs(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        pairs = _mutate(pairs, rng)
    return text_of(pairs)


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few of them changed, taken out or put in twice."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        what = rng.randrange(4)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del changed[at : at + rng.choice((1, 1, 8, 64))]
        elif what == 2:
            changed[at:at] = changed[at : at + rng.choice((1, 8, 64))]
        else:
            changed[at:at] = rng.randbytes(rng.choice((1, 4)))
    return bytes(changed)


class Pairs(list):
    """An object as (key, value) pairs, where a key can be there twice."""


def to_pairs(value: Any) -> Any:
    """A value whose objects are pairs."""
    if isinstance(value, Pairs):
        return value
    if isinstance(value, dict):
        return Pairs((key, to_pairs(item)) for key, item in value.items())
    return [to_pairs(item) for item in value] if isinstance(value, list) else value


def _mutate(value: Any, rng: random.Random) -> Any:
    """One change somewhere: here, or with the greater chance further in."""
    if isinstance(value, (Pairs, list)) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        changed = type(value)(value)
        if rng.random() < 0.2:
            changed.insert(at, changed[at])
        elif rng.random() < 0.15:
            del changed[at]
        elif isinstance(value, Pairs):
            key, item = value[at]
            changed[at] = (rng.choice(_NAMES), item) if rng.random() < 0.1 else (key, _mutate(item, rng))
        else:
            changed[at] = _mutate(value[at], rng)
        return changed
    return to_pairs(rng.choice(HOSTILE))


_NAMES = [
    "",
    "a",
    "keys",
    "targets",
    "name",
    "serial",
    "text",
    "jitload workload",
    "jitload trust",
    "\ud800",
    "x" * 300,
]


def text_of(value: Any) -> str:
    """The JSON of a value whose objects are pairs."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{text_of(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return json.dumps(value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value in a value, itself with ()."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """What lies there."""
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with something else there."""
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed
