"""The one look-up: the order of tiers, what they are asked, what a hit leaves behind, and the reasons of a miss."""

from __future__ import annotations

import ast
import pathlib

import pytest

import jitload
from jitload.bundles.build import create
from jitload.door import compile_request
from jitload.headers.record import Variant
from jitload.tiers.lookup import ask
from jitload.tiers.memory import MemoryStore
from jitload.values import Toolchain

SOURCE = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'


class Shelf:
    """A tier of a test: what it is given, and what it was asked for."""

    checks_toolkit = True

    def __init__(self, name="disk", said="absent"):
        self.name, self.place, self.said = name, f"{name} of a test", said
        self.known, self.kept, self.asked = {}, {}, []

    def variants(self, request_digest):
        self.asked.append("variants")
        known = self.known.get(request_digest, ())
        return known, "hit" if known else self.said

    def add_variant(self, request_digest, variant):
        self.known[request_digest] = (variant, *self.known.get(request_digest, ()))

    def read(self, key):
        self.asked.append("read")
        return self.peek(key)

    def peek(self, key):
        return (self.kept[key], "hit") if key in self.kept else (None, self.said)

    def put(self, artifact, factors=b"{}"):
        self.kept[artifact.key] = artifact
        return True


@pytest.fixture
def project(tmp_path):
    (tmp_path / "k.cu").write_text(SOURCE)
    (tmp_path / "value.h").write_text("#define VALUE 1\n")
    return tmp_path


@pytest.fixture
def wanted(project):
    return jitload.CompileRequest(project / "k.cu", kind="ptx", arch="compute_75")


@pytest.fixture
def made(wanted, tmp_path):
    """The artifact of the request, its headers, and a cache that has both."""
    cache = jitload.Cache(tmp_path / "made")
    artifact = compile_request(wanted, cache)
    return artifact, cache.variants(wanted.digest)[0], cache


def filled(made, wanted, name="disk"):
    shelf = Shelf(name)
    shelf.put(made[0])
    shelf.add_variant(wanted.digest, made[1])
    return shelf


def hits():
    return {tier: count for tier, count in jitload.stats().hits.items() if count}


def gained(before):
    return {tier: count - before.get(tier, 0) for tier, count in hits().items() if count != before.get(tier, 0)}


def test_the_first_tier_that_has_it_serves_and_later_ones_are_not_asked(made, wanted):
    first, second, before = filled(made, wanted), filled(made, wanted, "remote"), hits()
    answer = ask(wanted, (MemoryStore(), first, second), made[2].compiler)
    assert (answer.artifact, answer.tier, answer.variant) == (made[0], first, made[1])
    assert answer.reason == "hit"
    assert gained(before) == {"disk": 1}
    assert second.asked == []


def test_what_a_later_tier_has_is_kept_in_the_memory(made, wanted):
    shelf, memory, before = filled(made, wanted, "remote"), MemoryStore(), hits()
    for _ in range(3):
        assert ask(wanted, (memory, shelf), made[2].compiler).artifact == made[0]
    assert gained(before) == {"remote": 1, "memory": 2}
    assert shelf.asked == ["variants", "read"]
    memory.clear()  # what it knows of the headers stays, so the tier need not be asked for them
    assert ask(wanted, (memory, shelf), made[2].compiler).tier is shelf
    assert shelf.asked == ["variants", "read", "read"]


def test_a_key_that_one_tier_leads_to_is_asked_of_all(made, wanted):
    """A directory that has lost the image, and not what it knows of the headers, leads to the image elsewhere."""
    knows, has = Shelf(), Shelf("remote")
    knows.add_variant(wanted.digest, made[1])
    has.put(made[0])
    answer = ask(wanted, (MemoryStore(), knows, has), made[2].compiler)
    assert answer.tier is has
    assert has.asked == ["read"]


def test_no_variant_is_tried_twice(made, wanted):
    tiers = (MemoryStore(), *(Shelf(said="damaged") for _ in range(3)))
    for tier in tiers:
        tier.add_variant(wanted.digest, made[1])
    answer = ask(wanted, tiers, made[2].compiler)
    assert answer.artifact is None
    assert [tried.variant for tried in answer.tried] == [made[1]]
    assert [tier.asked.count("read") for tier in tiers[1:]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("nothing", "absent"),
        ("no entry", "absent"),
        ("damaged", "damaged"),
        ("away", "timed out"),
        ("header", "header changed"),
        ("compiler", "compiler changed"),
        ("compiler, header", "header changed"),
    ],
)
def test_a_miss_has_the_reason_that_says_most(made, wanted, project, case, reason):
    _, variant, cache = made
    shelf, other = Shelf(said=reason if case in {"damaged", "away"} else "absent"), Shelf("remote")
    if case != "nothing":
        shelf.add_variant(wanted.digest, variant)
    if "header" in case:
        (project / "value.h").write_text("#define VALUE 2\n")
    if "compiler" in case:
        alien = Variant(variant.closure, Toolchain("nvrtc", "1.0", "ef" * 32), variant.files, variant.absent)
        shelf.known[wanted.digest] = (alien, *(shelf.known[wanted.digest] if "header" in case else ()))
    answer = ask(wanted, (MemoryStore(), shelf, other), cache.compiler)
    assert (answer.artifact, answer.reason) == (None, reason)


def test_a_tier_that_checks_no_toolkit_serves_what_any_compiler_made(made, wanted):
    _, variant, cache = made
    alien = Variant(variant.closure, Toolchain("nvrtc", "1.0", "ef" * 32), variant.files, variant.absent)
    shelf = Shelf()
    shelf.known[wanted.digest] = (alien,)
    answer = ask(wanted, (shelf,), cache.compiler)
    assert (answer.reason, answer.tried[0].said) == ("compiler changed", ())
    shelf.checks_toolkit = False
    assert [tier for tier, _ in ask(wanted, (shelf,), cache.compiler).tried[0].said] == [shelf]


def test_an_explanation_hears_every_tier_and_leaves_nothing_behind(made, wanted):
    memory, first, second = MemoryStore(), filled(made, wanted), filled(made, wanted, "remote")
    before = jitload.stats()
    answer = ask(wanted, (memory, first, second), made[2].compiler, use=False)
    assert (answer.artifact, answer.tier) == (made[0], first)
    assert [(tier.name, said) for tier, said in answer.tried[0].said] == [
        ("memory", "absent"),
        ("disk", "hit"),
        ("remote", "hit"),
    ]
    assert jitload.stats() == before
    assert (len(memory), memory.variants(wanted.digest)) == (0, ((), "absent"))
    assert "read" not in first.asked + second.asked


@pytest.fixture
def remote(made, wanted, tmp_path):
    """A cache with one tier more, which alone has the artifact."""
    cache = jitload.Cache(tmp_path / "empty")
    shelf = filled(made, wanted, "remote")
    cache.tiers = (*cache.tiers, shelf)
    return cache, shelf


def test_one_place_in_the_tuple_is_all_that_a_new_tier_needs(made, wanted, remote, tmp_path):
    """Launches, explanations, recordings and bundles ask it without knowing of it."""
    cache, _ = remote
    before, said = jitload.stats(), jitload.explain(wanted, cache)
    assert (said.outcome, said.tier, said.key) == ("hit", "remote", made[0].key)
    assert said.launch == "ptx compute_75 from remote of a test"
    assert "memory: absent; disk: absent; remote of a test: hit" in str(said)
    with jitload.record(tmp_path / "app.jlw"), jitload.configure(compile="never"):
        assert compile_request(wanted, cache) == made[0]
    assert jitload.stats().hits["remote"] == before.hits["remote"] + 1
    assert jitload.stats().compiles == before.compiles
    assert b"value.h" in (tmp_path / "app.jlw").read_bytes()
    cache.memory.clear()
    with create(tmp_path / "k.jlb", [wanted], cache=cache) as bundle:
        assert [entry.artifact.key for entry in bundle.entries()] == [made[0].key]


def test_what_is_compiled_is_kept_in_every_tier(wanted, tmp_path):
    cache, shelf = jitload.Cache(tmp_path / "own"), Shelf("remote")
    cache.tiers = (*cache.tiers, shelf)
    artifact = compile_request(wanted, cache)
    assert list(shelf.kept) == [artifact.key]
    assert shelf.known[wanted.digest] == cache.disk.variants(wanted.digest)[0]


def test_a_tier_that_is_away_costs_a_reason_and_no_compile_fails(wanted, tmp_path):
    cache, shelf = jitload.Cache(tmp_path / "own"), Shelf("remote", "timed out")
    cache.tiers = (*cache.tiers, shelf)
    artifact = compile_request(wanted, cache)
    cache.clear()
    before = dict(jitload.stats().misses)
    shelf.kept.clear()
    assert compile_request(wanted, cache) == artifact
    assert jitload.stats().misses["timed out"] == before.get("timed out", 0) + 1


def test_a_tier_that_cannot_say_what_it_knows_is_a_reason_too(wanted, tmp_path):
    cache, shelf = jitload.Cache(tmp_path / "own"), Shelf("remote", "timed out")
    cache.tiers = (*cache.tiers, shelf)
    assert ask(wanted, cache.tiers, cache.compiler, use=False).reason == "timed out"
    said = jitload.explain(wanted, cache)
    assert (said.outcome, dict(said.tiers)["closure record in remote of a test"]) == ("compile", "timed out")
    before = dict(jitload.stats().misses)
    compile_request(wanted, cache)
    assert jitload.stats().misses["timed out"] == before.get("timed out", 0) + 1


def test_a_damaged_closure_record_is_no_request_that_was_never_compiled(made, wanted, tmp_path):
    (manifest,) = (tmp_path / "made" / "manifests").glob("*/*")
    manifest.write_bytes(b"JLMANIF1 and no more")
    assert ask(wanted, jitload.Cache(tmp_path / "made").tiers, use=False).reason == "damaged"


def test_the_memory_remembers_the_last_variant_first_and_the_others_too(artifact):
    memory = MemoryStore()
    variants = [Variant(f"{number:02x}" * 32, artifact.toolchain, [], []) for number in range(20)]
    for variant in variants:
        memory.add_variant("ab" * 32, variant)
    memory.add_variant("ab" * 32, variants[10])
    assert memory.variants("ab" * 32)[0] == (variants[10], *reversed(variants[11:]), *reversed(variants[4:10]))
    memory.forget_variants()
    assert memory.variants("ab" * 32) == ((), "absent")


def test_nobody_else_walks_over_variants():
    """A second look-up would answer otherwise one day."""
    package = pathlib.Path(jitload.__file__).parent
    callers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "check_variant"
    }
    # The second says in what an image differs that is not served.
    assert callers == {"tiers/lookup.py", "bundles/nearest.py"}
