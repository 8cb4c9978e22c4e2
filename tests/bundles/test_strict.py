"""Strict mode: signed bundles answer, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

import jitload
from jitload.artifact import Artifact
from jitload.bundles import installed as installed_bundles
from jitload.bundles import tier
from jitload.bundles.build import create
from jitload.bundles.sign import sign_bundle
from jitload.door import compile_request
from jitload.errors import NotPrecompiledError, TrustError

from .conftest import SAXPY, requests_of


@pytest.fixture(autouse=True)
def _session():
    """No bundle of a test is in force in the next one."""
    with jitload.Session():
        yield


@pytest.fixture(scope="module")
def only_one(built, keys, tmp_path_factory):
    """A signed bundle with the first of the three requests; the cache has them all."""
    path = tmp_path_factory.mktemp("strict") / "one.jlb"
    create(path, built[1][:1], cache=built[2]).close()
    sign_bundle(path, keys["ci"][0])
    return path


@pytest.mark.parametrize("policy", ["missing", "never", "always"])
def test_what_no_bundle_has_is_not_precompiled(built, only_one, keys, policy):
    """Though it is on the disk, in memory, and could be compiled."""
    before = jitload.stats()
    cache = jitload.Cache(built[2].directory)
    compile_request(built[1][1], cache)
    with jitload.configure(bundles=[only_one], trust=keys["ci"][1], strict=True), jitload.configure(compile=policy):
        assert compile_request(built[1][0], cache).arch == "compute_90"
        with pytest.raises(NotPrecompiledError) as caught:
            compile_request(built[1][1], cache)
    assert jitload.stats().compiles == before.compiles
    error = caught.value
    assert "strict mode is on (JITLOAD_STRICT)" in str(error)
    assert "not asked: in strict mode" in error.searched[-1]
    assert error.nearest == ("same program as ptx compute_90 in one.jlb: asked for was cubin sm_80",)
    assert "jitload bundle sign" in error.fix
    assert "JITLOAD_COMPILE" not in error.fix
    assert compile_request(built[1][1], cache)


def test_the_variable_and_no_bundle_at_all(built, monkeypatch):
    monkeypatch.setenv("JITLOAD_STRICT", "1")
    assert jitload.config.current().compile == "never"
    with pytest.raises(NotPrecompiledError, match="none in force"):
        compile_request(built[1][0], jitload.Cache(built[2].directory))


def test_every_bundle_in_force_must_be_signed(built, unsigned, signed, keys, monkeypatch):
    cache = jitload.Cache()
    with jitload.configure(bundles=[unsigned], trust="unsigned", strict=True):
        with pytest.raises(TrustError, match="in strict mode"):
            compile_request(built[1][0], cache)
        with pytest.raises(TrustError, match="in strict mode"):
            jitload.use_bundle(signed)  # signed, and nobody is asked to say by whom
    opened = jitload.use_bundle(unsigned, trust="unsigned")
    with jitload.configure(bundles=[signed], trust=keys["ci"][1]):
        with jitload.configure(strict=True), pytest.raises(TrustError, match=r"plain\.jlb"):
            compile_request(built[1][0], cache)
        tier.stop_bundle(opened)
        with jitload.Bundle.open(unsigned, trust="unsigned") as installed, jitload.configure(strict=True):
            assert compile_request(built[1][0], cache)
            monkeypatch.setattr(installed_bundles, "open_installed", lambda _trust: (installed,))
            with (
                jitload.Session(bundles=[signed], trust=keys["ci"][1], strict=True),
                pytest.raises(TrustError, match=r"plain\.jlb"),
            ):
                compile_request(built[1][0], cache)


def test_an_image_for_the_device_is_still_chosen(built, signed, keys):
    (request,) = requests_of(built[0], [("cubin", "sm_86")])
    with jitload.configure(bundles=[signed], trust=keys["ci"][1], strict=True):
        assert compile_request(request, jitload.Cache(), device="sm_86").arch == "sm_80"


@pytest.mark.parametrize("strict", [False, True])
def test_what_a_directory_put_into_memory_does_not_stand_in_for_a_bundle(built, signed, keys, tmp_path, strict):
    """An entry that is whole and of the right key, with another kernel in it, is read before the bundle is named."""
    request = built[1][2]
    genuine = compile_request(request, built[2])
    other = compile_request(built[1][2].replace(defines={"SCALE2": 2}), jitload.Cache())
    fields = {name: getattr(genuine, name) for name in ("kind", "arch", "name", "key", "toolchain")}
    poisoned = Artifact(data=other.data + b"\0", kernels=genuine.kernels.values(), **fields)
    cache = jitload.Cache(tmp_path / "cache")
    cache.put(poisoned)
    cache.add_variant(request.digest, built[2].variants(request.digest)[0])
    cache.memory.clear()
    assert compile_request(request, cache).data == poisoned.data  # who can write to the directory can do that
    with jitload.configure(bundles=[signed], trust=keys["ci"][1], strict=strict):
        for _ in range(2):
            assert compile_request(request, cache).data == genuine.data


def test_a_kernel_that_was_loaded_before_is_not_launched_on(only_one, keys):
    kernel = jitload.jit_kernel(source=SAXPY.replace('#include "scale.h"', "#define SCALE 1"))(saxpy)
    x = np.ones(32, np.float32)
    with jitload.configure(device="cpu"):
        kernel[1, 32](2.0, x, x.copy(), 32)
        strict = jitload.configure(bundles=[only_one], trust=keys["ci"][1], strict=True)
        with strict, pytest.raises(NotPrecompiledError):
            kernel[1, 32](2.0, x, x.copy(), 32)
        kernel[1, 32](2.0, x, x.copy(), 32)


def saxpy(a, x, y, n): ...
