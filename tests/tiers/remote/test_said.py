"""What is said of a remote: by `explain`, and by `jitload doctor`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import jitload
from jitload.bundles.sign import generate_keys

REQUEST = jitload.CompileRequest(
    'extern "C" __global__ void k(int *x) { *x = 1; }', kind="ptx", arch="compute_75", name="k.cu"
)


def rows(explanation):
    return {place: said for place, said in explanation.tiers if "remote" in place or "remote" in said}


def explained(url, directory, **options):
    with jitload.Session(remote=url, cache_dir=directory, **options):
        return jitload.explain(REQUEST)


def test_an_explanation_has_the_answer_of_the_remote_whatever_it_is(redis, tmp_path, monkeypatch):
    place = f"remote {redis.url}"
    said = explained(redis.url, tmp_path / "a")
    assert rows(said)[f"closure record in {place}"] == "absent"
    with jitload.Session(remote=redis.url, cache_dir=tmp_path / "b"):
        jitload.compile(REQUEST.source, name="k.cu", kind="ptx", arch="compute_75")
        jitload.Cache.default().flush()
    said = explained(redis.url, tmp_path / "a")
    assert (said.outcome, said.tier) == ("hit", "remote")
    assert any(f"{place}: hit" in text for text in rows(said).values())
    public = generate_keys(tmp_path / "ci")
    said = explained(redis.url, tmp_path / "a", remote_trust=public)
    assert said.outcome == "compile"
    assert rows(said)[f"closure record in {place}"] == "unsigned"
    redis.stop()
    with jitload.Session(remote=redis.url, cache_dir=tmp_path / "a"):
        for _ in range(2):
            said = jitload.explain(REQUEST)
        assert "asked again in" in rows(said)[f"closure record in {place}"]


@pytest.fixture
def doctor(monkeypatch, tmp_path):
    def run(**variables):
        environment = {f"JITLOAD_{name.upper()}": value for name, value in variables.items()}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = (
            "import json; from jitload.cli.checks.remote import check_remote; found = check_remote(None);"
            "print(json.dumps([found.status, found.found, dict(found.details)]))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_doctor_measures_the_remote_and_says_how_it_is_used(shared, doctor, tmp_path):
    status, found, details = doctor(remote=shared.url)
    assert status == "ok"
    assert details["milliseconds"] > 0
    assert (details["writes"], details["leases"], details["trusted_keys"]) == (True, True, [])
    assert "whoever can write there runs code here" in found
    public = generate_keys(tmp_path / "ci", name="ci")
    status, found, details = doctor(remote=shared.url, remote_trust=public)
    assert (status, details["writes"], len(details["trusted_keys"])) == ("ok", False, 1)
    assert "no key to sign with" in found


def test_doctor_says_what_is_wrong_with_a_remote(redis, doctor):
    assert doctor()[:2] == ["ok", "none"]
    assert "mode read" in doctor(remote=redis.url, remote_mode="read")[1]
    assert "not touched" in doctor(remote=redis.url, offline="1")[1]
    redis.stop()
    status, _, details = doctor(remote=redis.url, offline="0")
    assert (status, details["reason"]) == ("problem", "away")
    assert doctor(remote="s3://bucket?what=x")[0] == "problem"
