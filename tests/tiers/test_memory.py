"""The memory tier: bounded by bytes, the least recently used goes first."""

from __future__ import annotations

from jitload.tiers.memory import MemoryStore

from .conftest import make_artifact


def test_hit_and_miss(artifact):
    store = MemoryStore()
    assert store.read(artifact.key) == (None, "absent")
    store.put(artifact)
    assert store.read(artifact.key) == (artifact, "hit")
    store.clear()
    assert store.read(artifact.key) == (None, "absent")


def test_the_bound_is_kept_and_use_counts():
    artifacts = [make_artifact(number, padding=1000) for number in range(4)]
    store = MemoryStore(max_bytes=3 * len(artifacts[0].data))
    for artifact in artifacts[:3]:
        store.put(artifact)
    store.read(artifacts[0].key)
    store.put(artifacts[3])
    assert [store.read(a.key)[1] for a in artifacts] == ["hit", "absent", "hit", "hit"]
    assert len(store) == 3


def test_putting_twice_counts_once():
    artifact = make_artifact(padding=1000)
    store = MemoryStore(max_bytes=len(artifact.data))
    store.put(artifact)
    store.put(artifact)
    assert store.read(artifact.key)[1] == "hit"


def test_what_is_larger_than_the_bound_is_not_kept(artifact):
    store = MemoryStore(max_bytes=10)
    assert not store.put(artifact)
    assert store.read(artifact.key) == (None, "absent")
