"""The road takes everything as arguments: it asks those whom it was given, in its order, and nobody else."""

from __future__ import annotations

import ast
import pathlib

import pytest

import jitload
from jitload import config, road
from jitload.compiler.isolate import compile_isolated
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolkit_roots
from jitload.source.request import CompileRequest

SOURCE = 'extern "C" __global__ void k(int *x) { *x = 3; }'
#: What a caller has in force, or what is asked of this machine: for the door to fill in.
AMBIENT = {
    "bundles_in_force",
    "config",
    "default_cache",
    "is_sealed",
    "resolve_device",
    "scope_in_force",
    "session_part",
    "toolchain",
    "toolkit_roots",
}


class Seen:
    """Roles that note who was asked, over what really does the work."""

    def __init__(self, *, sealed: bool = False) -> None:
        self.asked: list[str] = []
        self.said: list[object] = []

        def note(role, answer):
            def asked(*arguments):
                self.asked.append(role)
                return answer(*arguments)

            return asked

        self.roles = road.Roles(
            bundles=note("bundles", lambda settings: ()),
            sealed=note("sealed", lambda: sealed),
            toolkit=note("toolkit", toolkit_roots),
            compile=note("compile", compile_artifact),
            compile_alone=note("compile alone", compile_isolated),
            warn=self.said.extend,
        )


@pytest.fixture
def cache():
    return jitload.Cache(None)


def request_for(source=SOURCE, **options):
    return CompileRequest(source, kind="ptx", arch="compute_75", **options)


def test_a_miss_asks_each_role_and_a_hit_asks_for_bundles_alone(cache):
    seen = Seen()
    artifact = road.compile_request(request_for(), cache, config.current(), seen.roles)
    assert set(seen.asked) == {"bundles", "sealed", "toolkit", "compile"}
    assert seen.asked.count("compile") == 1
    seen.asked.clear()
    assert road.compile_request(request_for(), cache, config.current(), seen.roles) is artifact
    assert seen.asked == ["bundles"]


def test_the_seal_that_counts_is_the_one_it_was_given(cache):
    jitload.seal()
    try:
        road.compile_request(request_for(), cache, config.current(), Seen().roles)
    finally:
        jitload.seal(False)
    with pytest.raises(jitload.CompileDisabledError, match="sealed"):
        road.compile_request(request_for("/* */" + SOURCE), cache, config.current(), Seen(sealed=True).roles)


def test_what_would_outlive_its_call_is_compiled_alone_whoever_was_to_compile_it(cache):
    seen = Seen()
    road.compile_request(
        request_for(options=["--restrict"]),
        cache,
        config.current(),
        seen.roles,
        compiler=seen.roles.compile,
    )
    assert "compile alone" in seen.asked
    assert "compile" not in seen.asked


def test_warnings_go_to_the_role_and_to_whoever_is_given_in_its_place(cache):
    source = 'extern "C" __global__ void k(int *x) { int unused; *x = 3; }'
    seen, own = Seen(), []
    road.compile_request(request_for(source), cache, config.current(), seen.roles)
    road.compile_request(request_for("\n" + source), cache, config.current(), seen.roles, warn=own.extend)
    assert [len(seen.said), len(own)] == [1, 1]


def test_settings_are_those_that_it_was_given(cache):
    with jitload.configure(compile="never"):
        never = config.current()
    with pytest.raises(jitload.NotPrecompiledError):
        road.compile_request(request_for(), cache, never, Seen().roles)
    missing = config.current()
    with jitload.configure(compile="never"):
        road.compile_request(request_for(), cache, missing, Seen().roles)


def test_it_names_nothing_that_is_in_force():
    """Nor does what it hands a request to fill a cache with."""
    for file in ("road.py", "tiers/fill.py"):
        tree = ast.parse((pathlib.Path(road.__file__).parent / file).read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & AMBIENT, file
