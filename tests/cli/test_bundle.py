"""`jitload record`, `bundle`, `check` and `repro`: the whole way from an application to a machine without a compiler."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest

import jitload
from jitload.compiler.toolkit import toolchain

from .conftest import ROOT, SAXPY

APP = """
import sys
import numpy as np, jitload

@jitload.jit_kernel(file="saxpy.cu")
def saxpy(a, x, y, n): ...

x = np.ones(64, np.float32)
saxpy[2, 32](2.0, x, x.copy(), 64)
print(jitload.stats().compiles, jitload.stats().hits["bundle"])
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory with app.py, saxpy.cu, app.jlw of them, and k.jlb, signed by the key in `key`; made once."""
    directory = tmp_path_factory.mktemp("made")
    (directory / "saxpy.cu").write_text(SAXPY)
    (directory / "app.py").write_text(APP)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    environment |= {"PYTHONPATH": str(ROOT), "JITLOAD_CACHE_DIR": str(directory / "cache")}
    for arguments, device in (
        (["record", "-o", "app.jlw", "--", sys.executable, "app.py"], {"JITLOAD_DEVICE": "cpu"}),
        (["bundle", "create", "app.jlw", "-o", "k.jlb", "--arch", "sm_80,sm_90a", "--arch", "compute_75"], {}),
        (["bundle", "keygen", "key", "--name", "ci"], {}),
        (["bundle", "sign", "k.jlb", "--key", "key"], {}),
    ):
        command = [sys.executable, "-m", "jitload", *arguments]
        subprocess.run(command, cwd=directory, env={**environment, **device}, check=True, timeout=60)
    return directory


@pytest.fixture
def app(made, workdir, cache_dir):
    """All that in the current directory, and the cache in which it was compiled."""
    shutil.copytree(made, workdir, dirs_exist_ok=True)
    (workdir / "cache").rename(cache_dir)
    return workdir


def test_the_whole_way(app, spawn, tmp_path, invoke):
    from jitload.config import child_environment

    env = child_environment(
        JITLOAD_CACHE_DIR=str(tmp_path / "none"), JITLOAD_COMPILE="never", JITLOAD_BUNDLES=str(app / "k.jlb"),
        JITLOAD_TRUST=str(app / "key.pub"), JITLOAD_DEVICE="cpu",
    )  # fmt: skip
    done = subprocess.run([sys.executable, app / "app.py"], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1"], done.stderr
    for gpu, code in (("sm_80", 0), ("sm_89", 0), ("sm_90", 0), ("sm_120", 0), ("cpu", 0), ("sm_70", 3)):
        result = invoke("check", "-w", "app.jlw", "-b", "k.jlb", "--gpu", gpu, "--trust", "key.pub")
        assert result.exit_code == code, result.stdout
    invoke("bundle", "keygen", "other")
    assert invoke("check", "-w", "app.jlw", "-b", "k.jlb", "--gpu", "sm_80", "--trust", "other.pub").exit_code == 4
    assert invoke("check", "-w", "app.jlw", "-b", "k.jlb", "--gpu", "sm_80").exit_code == 4
    assert invoke("bundle", "verify", "k.jlb", "--trust", "key.pub").exit_code == 0
    assert invoke("bundle", "verify", "k.jlb", "--trust", "other.pub").exit_code == 4
    result = invoke("repro", "k.jlb", "-w", "app.jlw", "--sample", "2")
    assert (result.exit_code, "2 of 2 are the same bytes" in result.stdout) == (0, True)


def test_check_in_json_gives_the_reasons(app, invoke):
    arguments = ("check", "-w", "app.jlw", "-b", "k.jlb", "--trust", "unsigned", "--json", "--gpu")
    result = json.loads(invoke(*arguments, "sm_70").stdout)
    assert result["covered"] is False
    (request,) = result["requests"]
    assert request["wanted"] == "cubin sm_70"
    assert len(request["reasons"]) == 3
    covered = json.loads(invoke(*arguments, "sm_86").stdout)
    assert covered["requests"][0]["found"] == "cubin sm_80"


def test_ptx_that_is_newer_than_the_driver_is_not_coverage(app, invoke):
    arguments = ("check", "-w", "app.jlw", "-b", "k.jlb", "--trust", "unsigned", "--gpu", "sm_120", "--driver")
    old = invoke(*arguments, "525")
    assert old.exit_code == 3
    assert "PTX ISA" in old.stdout
    assert invoke(*arguments, "1000").exit_code == 0
    # The oldest driver of the toolkit's major version takes its cubins.
    oldest = "525" if toolchain().version.startswith("12.") else "580"
    assert invoke(*arguments[:-2], "sm_80", "--driver", oldest).exit_code == 0
    assert invoke(*arguments, "100").exit_code == 1
    assert invoke(*arguments[:-3], "--gpu", "compute_80").exit_code == 1


def test_inspect_merge_diff_extract(app, invoke):
    manifest = json.loads(invoke("bundle", "inspect", "k.jlb", "--json").stdout)
    assert [row["arch"] for row in manifest["entries"]].count("sm_90a") == 1
    assert len(manifest["signatures"]) == 1
    assert "by key" in invoke("bundle", "inspect", "k.jlb").stdout
    assert invoke("bundle", "create", "app.jlw", "-o", "one.jlb", "--arch", "sm_80").exit_code == 0
    result = invoke("bundle", "diff", "one.jlb", "k.jlb")
    assert result.exit_code == 1
    assert len([line for line in result.stdout.splitlines() if line.startswith("+ ")]) == 2
    assert invoke("bundle", "merge", "one.jlb", "k.jlb", "-o", "all.jlb", "--trust", "unsigned").exit_code == 0
    assert invoke("bundle", "diff", "all.jlb", "k.jlb").exit_code == 0
    assert invoke("bundle", "extract", "k.jlb", "-o", "out", "--trust", "key.pub").exit_code == 0
    files = sorted((app / "out").iterdir())
    assert len(files) == 3
    assert {jitload.Artifact.open(file).arch for file in files} == {"sm_80", "sm_90a", "compute_75"}


def test_inspect_tells_specialisations_apart_and_sorts_by_name(workdir, invoke):
    source = "template <class T> __global__ void scale(T *x) { *x *= M; }"
    with jitload.record(workdir / "app.jlw"):
        for name, define in (("scale<int>", 2), ("scale<float>", 1), ("scale<float>", 3)):
            jitload.compile(source, arch="sm_80", name="scale.cu", names=[name], defines={"M": define})
        jitload.compile('extern "C" __global__ void k() {}', arch="sm_80", name="a.cu")
    assert invoke("bundle", "create", "app.jlw", "-o", "k.jlb").exit_code == 0
    entries = json.loads(invoke("bundle", "inspect", "k.jlb", "--json").stdout)["entries"]
    assert [(entry["program"], entry["kernels"], entry["options"]) for entry in entries] == [
        ("a.cu", ["k"], ""),
        ("scale.cu", ["scale<float>"], "-DM=1"),
        ("scale.cu", ["scale<float>"], "-DM=3"),
        ("scale.cu", ["scale<int>"], "-DM=2"),
    ]
    shown = invoke("bundle", "inspect", "k.jlb").stdout
    assert "scale.cu  scale<float> (-DM=3) " in shown
    assert shown.index("a.cu") < shown.index("scale<float> (-DM=1)") < shown.index("scale<int>")


def test_a_trust_file_with_a_threshold(app, invoke):
    invoke("bundle", "keygen", "second")
    assert invoke("bundle", "trust", "key.pub", "second.pub", "-o", "trust.json", "--threshold", "2").exit_code == 0
    assert invoke("bundle", "verify", "k.jlb", "--trust", "trust.json").exit_code == 4
    assert invoke("bundle", "sign", "k.jlb", "--key", "second").exit_code == 0
    shown = invoke("bundle", "verify", "k.jlb", "--trust", "trust.json").stdout
    assert set(shown.split("signed by ")[1].strip().split(", ")) == {"ci", "second"}
    report = json.loads(invoke("bundle", "verify", "k.jlb", "--trust", "trust.json", "--json").stdout)
    assert (report["artifacts"], set(report["signed_by"])) == (3, {"ci", "second"})


def test_keygen_tells_the_id_by_which_a_key_is_revoked(workdir, invoke):
    ids = []
    for name in ("ci", "old"):
        public, line = invoke("bundle", "keygen", name, "--name", f"{name} key").stdout.splitlines()
        assert (workdir / f"{name}.pub").read_text() == f"{public} {name} key\n"
        ids.append(line.removeprefix("key id "))
        assert len(ids[-1]) == 32
    for revoked in ("old.pub", (workdir / "old.pub").read_text().split()[0], ids[1], ids[1][:12]):
        result = invoke("bundle", "trust", "ci.pub", "old.pub", "-o", "trust.json", "--revoke", revoked)
        assert result.stdout == "trust.json: 1 of 1 key must sign; 1 key revoked\n", result.stderr
        assert json.loads((workdir / "trust.json").read_text())["revoked"] == [ids[1]]
    before = (workdir / "trust.json").read_bytes()
    for revoked in ("nothing.pub", "zz", "0" * 12, "ed25519:00"):
        result = invoke("bundle", "trust", "ci.pub", "old.pub", "-o", "trust.json", "--revoke", revoked)
        assert result.exit_code == 1
        assert result.stderr.startswith("jitload: ")
    assert (workdir / "trust.json").read_bytes() == before
    again = invoke("bundle", "keygen", "ci")
    assert again.exit_code == 1
    assert "ci: exists, and a key is never overwritten" in again.stderr


def test_who_signed_and_when_is_shown(app, invoke):
    result = invoke("bundle", "sign", "k.jlb", "--key", "key", "--name", "release", "--time", "2026-05-01T12:00:00Z")
    assert "(release, 2026-05-01T12:00:00Z)" in result.stdout
    shown = invoke("bundle", "inspect", "k.jlb").stdout
    assert "(release, 2026-05-01T12:00:00Z), not verified" in shown
    (signature,) = json.loads(invoke("bundle", "inspect", "k.jlb", "--json").stdout)["signatures"]
    assert (signature["name"], signature["time"]) == ("release", "2026-05-01T12:00:00Z")
    assert signature["key"] in shown
    for wrong in ("yesterday", "2026-05-01", "-1", "9" * 40):
        assert invoke("bundle", "sign", "k.jlb", "--key", "key", "--time", wrong).exit_code in {1, 2}


def test_a_bundle_that_is_too_old_for_the_trust_file_is_not_trusted(app, invoke):
    for serial in ("6", "7"):
        arguments = ("bundle", "create", "app.jlw", "-o", f"{serial}.jlb", "-a", "sm_80", "--name", "ops")
        assert invoke(*arguments, "--serial", serial).exit_code == 0
        assert invoke("bundle", "sign", f"{serial}.jlb", "--key", "key").exit_code == 0
    assert "name       ops, serial 7" in invoke("bundle", "inspect", "7.jlb").stdout
    assert invoke("bundle", "trust", "key.pub", "-o", "trust.json", "--not-older-than", "ops=7").exit_code == 0
    assert invoke("bundle", "verify", "7.jlb", "--trust", "trust.json").exit_code == 0
    old = invoke("bundle", "verify", "6.jlb", "--trust", "trust.json")
    assert (old.exit_code, "takes none before serial 7" in old.stderr) == (4, True)
    assert invoke("bundle", "verify", "k.jlb", "--trust", "trust.json").exit_code == 4
    assert invoke("bundle", "trust", "key.pub", "-o", "t.json", "--not-older-than", "ops").exit_code == 1


def test_recording_gives_the_exit_code_of_the_program(app, spawn):
    done = spawn("record", "-o", "app.jlw", "--", sys.executable, "app.py", "7", JITLOAD_DEVICE="cpu")
    assert done.returncode == 7
    assert b"1 program (0 new), 1 request\n" in done.stderr


def test_what_does_not_compile_is_told_and_no_bundle_is_written(workdir, invoke):
    with jitload.record(workdir / "app.jlw"):
        jitload.compile('extern "C" __global__ void k() { if (__CUDA_ARCH__ > 0) { } }', kind="ptx", arch="compute_75")
    text = (workdir / "app.jlw").read_text()
    assert invoke("bundle", "create", "app.jlw", "-o", "k.jlb").exit_code == 0
    (workdir / "bad.jlw").write_text(text.replace("compute_75", "compute_7"))
    result = invoke("bundle", "create", "bad.jlw", "-o", "bad.jlb")
    assert result.exit_code == 1
    assert not (workdir / "bad.jlb").exists()


def test_repro_finds_the_workload_in_the_bundle_or_beside_it(app, spawn, invoke, tmp_path):
    def repro(*arguments):
        done = spawn("repro", *arguments)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    alone = tmp_path / "alone"
    alone.mkdir()
    (app / "aaa.jlw").write_text("not a workload")
    assert repro("k.jlb", "--sample", "1") == (0, "k.jlb: 1 of 1 are the same bytes\n")
    (app / "k.jlb").rename(alone / "k.jlb")
    digest = json.loads(invoke("bundle", "inspect", alone / "k.jlb", "--json").stdout)["manifest"]["workload"]
    code, text = repro(alone / "k.jlb")
    assert code == 1
    for words in (digest, "carries no sources", f"there is no workload in {alone}", "--with-workload"):
        assert words in text
    assert repro(alone / "k.jlb", "-w", "app.jlw", "--sample", "1")[0] == 0
    assert invoke("bundle", "create", "app.jlw", "-o", alone / "full.jlb", "--with-workload").exit_code == 0
    assert repro(alone / "full.jlb")[0] == 0
    assert "sources are in it" in invoke("bundle", "inspect", alone / "full.jlb").stdout
    assert invoke("bundle", "extract", alone / "full.jlb", "-o", "out", "--trust", "unsigned").exit_code == 0
    assert (app / "out" / "workload.jlw").read_bytes() == (app / "app.jlw").read_bytes()


def test_repro_names_what_it_has_no_source_of(app, invoke):
    with jitload.record(app / "other.jlw"):
        jitload.compile('extern "C" __global__ void k() {}', kind="ptx", arch="compute_75", name="other.cu")
    result = invoke("repro", "k.jlb", "-w", "other.jlw", "--sample", "1")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "k.jlb: 0 of 1 are the same bytes"
    assert "its source is not in the workload" in result.stdout


def test_create_shows_a_bar_on_a_terminal_and_lines_in_a_log(app, spawn):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "jitload", "bundle", "create", "app.jlw", "-o", "t.jlb", "-a", "sm_80,sm_86"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env={**os.environ, "TERM": "xterm"}) as run:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the last writer is gone
            while chunk := os.read(leader, 4096):
                shown += chunk
        answer = run.stdout.read().decode().splitlines()
    os.close(leader)
    assert run.returncode == 0
    assert b"2/2" in shown
    assert len(answer) == 2
    assert answer[0].endswith("1 compiled, 1 cached, 0 failed")
    lines = spawn("bundle", "create", "app.jlw", "-o", "l.jlb", "-a", "sm_80,sm_86").stdout.decode().splitlines()
    assert sorted(lines[:2]) == ["[1/2] cached: saxpy.cu (cubin, sm_80)", "[2/2] cached: saxpy.cu (cubin, sm_86)"]


def test_a_workload_is_precompiled(app, invoke):
    result = invoke("precompile", "app.jlw", "--arch", "89,compute_75", "-j", "1")
    assert result.exit_code == 0
    assert "2 requests" in result.stdout
    assert "1 compiled, 1 cached, 0 failed" in result.stdout


def test_a_place_that_cannot_be_written_is_told_before_anything_compiles(app, invoke):
    result = invoke("bundle", "create", "app.jlw", "-o", "none/k.jlb", "--arch", "sm_90")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "jitload: none: no such directory to write into: make it first\n"


def test_a_trust_file_that_nothing_could_meet_is_refused(app, invoke):
    result = invoke("bundle", "trust", "key.pub", "-o", "trust.json", "--threshold", "2")
    assert result.exit_code == 1
    assert "2 keys must sign and 1 would count" in result.stderr
    assert not (app / "trust.json").exists()


def test_one_is_counted_as_one(app, invoke):
    assert "one.jlb: 1 request, cubin" in invoke("bundle", "create", "app.jlw", "-o", "one.jlb", "-a", "sm_80").stdout
    assert "1 artifact of one.jlb" in invoke("bundle", "extract", "one.jlb", "-o", "d", "--trust", "unsigned").stdout
    assert "1 artifact is" in invoke("bundle", "verify", "one.jlb", "--trust", "unsigned").stdout
    check = ("check", "-w", "app.jlw", "-b", "one.jlb", "--trust", "unsigned", "--gpu")
    assert invoke(*check, "sm_80").stdout == "sm_80: covered (1 request)\n"
    assert invoke(*check, "sm_90").stdout.endswith("sm_90: 1 of 1 missing\n")
    assert invoke(*check, "H100").stderr.endswith("'sm_100f' or 'compute_80'; H100 is sm_90\n")


def test_what_a_bundle_says_of_itself_cannot_steer_a_terminal(workdir, invoke):
    red = "\x1b[31m"
    with jitload.record(workdir / "app.jlw"):
        jitload.compile('extern "C" __global__ void k() {}', arch="sm_80", name=f"{red}.cu", defines={"A": red})
    made = invoke("bundle", "create", "app.jlw", "-o", "k.jlb", "--builder", red, "--licence", red)
    assert made.exit_code == 0, made.stderr
    other = jitload.CompileRequest('extern "C" __global__ void other() {}', kind="cubin", arch="sm_80")
    jitload.Bundle.create("none.jlb", [other])
    for arguments in (
        ("bundle", "inspect", "k.jlb"),
        ("bundle", "diff", "none.jlb", "k.jlb"),
        ("check", "-w", "app.jlw", "-b", "none.jlb", "--gpu", "sm_80", "--trust", "unsigned"),
        ("cache", "ls"),
    ):
        shown = invoke(*arguments).stdout
        assert "\\x1b[31m" in shown, arguments
        assert "\x1b" not in shown


def test_files_that_are_no_bundle(workdir, invoke):
    (workdir / "empty.jlb").write_bytes(b"")
    assert "empty.jlb: not a bundle: 0 bytes" in invoke("bundle", "inspect", "empty.jlb").stderr
    assert "not a bundle: starts with" in invoke("bundle", "verify", "saxpy.cu").stderr
