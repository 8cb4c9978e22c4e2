"""`jitload cache merge`: what it says, and its exit code."""

from __future__ import annotations

import json

import jitload
from tests.tiers.conftest import make_artifact


def filled(path, number: int) -> None:
    cache = jitload.Cache(path)
    cache.put(make_artifact(number))
    cache.flush()


def test_the_command(invoke, tmp_path):
    filled(tmp_path / "own", 1)
    filled(tmp_path / "a", 2)
    filled(tmp_path / "b", 3)
    arguments = ["cache", "merge", tmp_path / "a", tmp_path / "b", "--dir", tmp_path / "own"]
    assert json.loads(invoke(*arguments, "--json").stdout) == {
        "directory": str(tmp_path / "own"),
        "added": 2,
        "present": 0,
        "records": 0,
        "lost": 0,
        "damaged": [],
    }
    key = make_artifact(3).key
    (tmp_path / "b" / "objects" / key[:2] / key[2:]).write_bytes(b"damaged")
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "own: 0 entries added, 1 already there" in result.stdout
    assert f"damaged: {key[:12]}  " in result.stdout
    assert invoke("cache", "merge", tmp_path, "--dir", tmp_path / "own").exit_code == 1
    assert invoke("cache", "merge", tmp_path / "absent").exit_code == 1
