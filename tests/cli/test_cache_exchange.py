"""`jitload cache push` and `pull`: what one machine has compiled is on another one before anybody asks for it."""

from __future__ import annotations

import json

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")

SOURCE = 'extern "C" __global__ void k{0}(int *x) {{ *x = {0}; }}\n'


@pytest.fixture
def sources(tmp_path, monkeypatch):
    pytest.importorskip("obstore", reason="needs obstore")
    monkeypatch.setenv("JITLOAD_REMOTE", f"file://{tmp_path}/shared")
    (tmp_path / "shared").mkdir()
    for number in range(3):
        (tmp_path / f"k{number}.cu").write_text(SOURCE.format(number))
    return [tmp_path / f"k{number}.cu" for number in range(3)]


def machine(tmp_path, name: str, **options):
    """What is in force on a machine of its own, which has nothing but the remote in common with others."""
    return jitload.Session(cache_dir=tmp_path / name, remote=f"file://{tmp_path}/shared", **options)


def compile_without_remote(tmp_path, name: str, sources) -> None:
    with jitload.Session(cache_dir=tmp_path / name, offline=True):
        for source in sources:
            jitload.compile(source, arch="sm_80")
        jitload.Cache.default().flush()


@pytest.mark.parametrize("everything", [True, False])
def test_what_is_pushed_can_be_pulled(tmp_path, invoke, sources, everything):
    compile_without_remote(tmp_path, "a", sources)
    with machine(tmp_path, "a"):
        result = invoke("cache", "push", *(["--all"] if everything else [*sources, "--arch", "sm_80"]))
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("3 entries given to remote file://")
    with machine(tmp_path, "b"):
        pulled = json.loads(invoke("cache", "pull", *sources, "--arch", "sm_80", "--json").stdout)
        assert pulled == {"moved": 3, "present": 0, "failed": 0, "missing": []}
        again = json.loads(invoke("cache", "pull", *sources, "--arch", "sm_80", "--json").stdout)
        assert (again["moved"], again["present"]) == (0, 3)
    with jitload.Session(cache_dir=tmp_path / "b", offline=True, compile="never"):
        for source in sources:
            assert jitload.compile(source, arch="sm_80").kernels


def test_what_is_missing_is_told(tmp_path, invoke, sources):
    compile_without_remote(tmp_path, "a", sources[:1])
    with machine(tmp_path, "a"):
        result = invoke("cache", "push", *sources, "--arch", "sm_80")
        assert result.exit_code == 1
        assert result.stderr.count("jitload: missing: ") == 2
        assert "k1.cu (cubin, sm_80): absent" in result.stderr
    with machine(tmp_path, "b"):
        result = invoke("cache", "pull", *sources, "--arch", "sm_80")
        assert result.exit_code == 1
        assert result.stdout.startswith("1 entry from remote file://")
        assert result.stderr.count("jitload: missing: ") == 2


def test_a_damaged_entry_is_not_pushed(tmp_path, invoke, sources):
    compile_without_remote(tmp_path, "a", sources)
    entry = next((tmp_path / "a" / "objects").glob("*/*"))
    entry.write_bytes(b"damaged")
    with machine(tmp_path, "a"):
        result = invoke("cache", "push", "--all")
        assert result.exit_code == 1
        assert result.stdout.startswith("2 entries given")
        assert "1 thing did not arrive, or is damaged here" in result.stderr


def test_where_nothing_can_be_moved_says_so(tmp_path, invoke, sources):
    with jitload.Session(cache_dir=tmp_path / "a", offline=True):
        assert "set JITLOAD_REMOTE" in invoke("cache", "push", "--all").stderr
        assert "set JITLOAD_REMOTE" in invoke("cache", "pull", *sources).stderr
    with machine(tmp_path, "a", remote_mode="read"):
        assert "JITLOAD_REMOTE_MODE must be readwrite" in invoke("cache", "push", "--all").stderr
    with machine(tmp_path, "a"):
        assert invoke("cache", "push").exit_code == 2
        assert invoke("cache", "push", "--all", *sources).exit_code == 2
        assert invoke("cache", "pull").exit_code == 2
        assert invoke("cache", "pull", "--all", *sources).exit_code == 2
        for command in ("push", "pull"):
            for chosen in (["--arch", "sm_80"], ["--kind", "ptx"]):
                assert "leave --arch and --kind out" in invoke("cache", command, "--all", *chosen).stderr
