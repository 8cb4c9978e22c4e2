"""`jitload bundle push` and `pull`, against Debian's docker-registry."""

from __future__ import annotations

import pytest

import jitload
from jitload import Bundle, CompileRequest
from tests.bundles.registry import running

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with running(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    request = CompileRequest("__global__ void k() {}", kind="cubin", arch="sm_80")
    return Bundle.create(tmp_path / "k.jlb", [request]).path


def test_there_and_back(host, bundle, invoke, tmp_path):
    pushed = invoke("bundle", "push", bundle, f"oci://{host}/k:1")
    assert pushed.exit_code == 0, pushed.stderr
    pinned = pushed.stdout.strip()
    pulled = invoke("bundle", "pull", pinned, "-o", tmp_path / "back.jlb")
    assert (pulled.exit_code, pulled.stdout) == (0, f"{pinned}\n")
    assert (tmp_path / "back.jlb").read_bytes() == (tmp_path / "k.jlb").read_bytes()


def test_failures_are_one_line_and_an_exit_code(host, bundle, invoke, tmp_path):
    missing = invoke("bundle", "pull", f"oci://{host}/none:1", "-o", tmp_path / "x.jlb")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith(f"jitload: GET http://{host}/v2/none/manifests/1: the registry answers 404")
    assert invoke("bundle", "push", bundle, "k:1").exit_code == 1
    key = jitload.bundles.sign.generate_keys(tmp_path / "key", "ci")
    assert invoke("bundle", "push", bundle, f"oci://{host}/k:2").exit_code == 0
    refused = invoke("bundle", "pull", f"oci://{host}/k:2", "-o", tmp_path / "x.jlb", "--trust", key)
    assert refused.exit_code == 4
    assert not (tmp_path / "x.jlb").exists()
