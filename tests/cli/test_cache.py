"""`jitload cache`: true with the index and without it, safe on what is not a cache of ours, and plain about both."""

import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")

SAXPY = 'extern "C" __global__ void saxpy(float a, const float *x, float *y) { *y += a * *x; }\n'
SCALE = '#include "factor.cuh"\nextern "C" __global__ void scale(float *x) { *x *= FACTOR; }\n'
COMMANDS = ["ls", "stats", "verify", "gc", "rebuild"]
CHANGES = [["gc"], ["clear", "--yes"], ["rebuild"]]
# Root may write everywhere; without these capabilities it is a user like any other, and can still run this Python.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with sources, and a cache in which four images of them are; made once."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)
    root = tmp_path_factory.mktemp("prepared")
    (root / "saxpy.cu").write_text(SAXPY)
    (root / "scale.cu").write_text(SCALE)
    (root / "factor.cuh").write_text("#define FACTOR 2.0f\n")
    cache = jitload.Cache(root / "cache")
    for source, arch in (
        ("saxpy.cu", "sm_80"),
        ("saxpy.cu", "compute_80"),
        ("saxpy.cu", ["sm_80", "sm_90"]),
        ("scale.cu", "sm_90"),
    ):
        jitload.compile(root / source, arch=arch, cache=cache)
    cache.close()
    # One minute apart, so that the order of use is known.
    for age, entry in enumerate(sorted(cache.entries(), key=lambda entry: (entry.name, entry.kind))):
        os.utime(cache_file(root / "cache", entry.key), (1_700_000_000 + 60 * age,) * 2)
    cache.close()
    return root


@pytest.fixture
def cache(prepared, cache_dir, tmp_path, monkeypatch):
    """The prepared sources in the current directory, and the prepared cache as the user's own."""
    shutil.copytree(prepared / "cache", cache_dir)
    for name in ("saxpy.cu", "scale.cu", "factor.cuh"):
        shutil.copy(prepared / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return cache_dir


@pytest.fixture
def ask(invoke):
    """`ask("ls", ...)`: what `jitload cache ls ... --json` says; its exit code must be `code`."""

    def call(*arguments, code=0):
        result = invoke("cache", *arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return call


def cache_file(directory, key):
    return directory / "objects" / key[:2] / key[2:]


def tree(path):
    return sorted((root, *directories, *files) for root, directories, files in os.walk(path))


def run_unprivileged(*arguments):
    prefix = WITHOUT_PRIVILEGES if os.geteuid() == 0 else []
    command = [*prefix, sys.executable, "-m", "jitload", "cache", *map(str, arguments)]
    root = str(pathlib.Path(jitload.__file__).parents[1])
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False, timeout=60
    )


# ls


def test_ls_shows_a_line_for_each_entry_in_aligned_columns(invoke, ask, cache):
    lines = invoke("cache", "ls").stdout.splitlines()
    entries = ask("ls")["entries"]
    header, *rows, last = lines
    assert header.split() == ["KEY", "KIND", "ARCH", "NAME", "BYTES", "LAST", "USE", "COMPILE"]
    assert [row.split()[0] for row in rows] == [entry["key"][:12] for entry in entries]
    for name in ("KIND", "ARCH", "NAME", "LAST USE"):
        column = header.index(name)
        assert all(row[column - 1] == " " and row[column] != " " for row in rows)
    assert {len(row) for row in rows} == {len(header)}
    assert last.startswith("4 entries, ")


def test_ls_as_json_has_everything(ask, cache):
    report = ask("ls")
    assert set(report) == {"directory", "entries"}
    assert report["directory"] == str(cache)
    keys = [entry["key"] for entry in report["entries"]]
    assert keys == sorted(keys)
    for entry in report["entries"]:
        assert set(entry) == {"key", "kind", "arch", "name", "bytes", "used", "compile_seconds", "damaged"}
        artifact = jitload.Artifact.open(cache_file(cache, entry["key"]))
        assert (entry["kind"], entry["arch"], entry["name"]) == (artifact.kind, artifact.arch, artifact.name)
        assert entry["compile_seconds"] == artifact.compile_seconds > 0
        status = cache_file(cache, entry["key"]).stat()
        assert (entry["bytes"], entry["used"], entry["damaged"]) == (status.st_size, status.st_mtime, False)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--kind", "cubin"], {("saxpy.cu", "sm_80"), ("scale.cu", "sm_90")}),
        (["--kind", "PTX"], {("saxpy.cu", "compute_80")}),
        (["--arch", "sm_90"], {("saxpy.cu", "sm_80,sm_90"), ("scale.cu", "sm_90")}),
        (["--arch", "9.0", "--name", "sc*"], {("scale.cu", "sm_90")}),
        (["--name", "s?xpy.cu", "--kind", "fatbin"], {("saxpy.cu", "sm_80,sm_90")}),
        (["--name", "nothing"], set()),
    ],
)
def test_ls_filters(ask, invoke, cache, arguments, found):
    assert {(entry["name"], entry["arch"]) for entry in ask("ls", *arguments)["entries"]} == found
    last = invoke("cache", "ls", *arguments).stdout.splitlines()[-1]
    assert last.startswith(f"{len(found)} of 4 entries, ")


def test_ls_sorts(ask, cache):
    sizes = [entry["bytes"] for entry in ask("ls", "--sort", "bytes")["entries"]]
    uses = [entry["used"] for entry in ask("ls", "--sort", "used")["entries"]]
    assert sizes == sorted(sizes, reverse=True)
    assert uses == sorted(uses, reverse=True)
    assert len(set(uses)) == 4


@pytest.mark.parametrize("damage", ["deleted", "garbage", "a file"])
def test_ls_is_right_without_its_index(ask, cache, damage):
    before = ask("ls")
    if damage == "garbage":
        (cache / "index" / "cache.db").write_bytes(os.urandom(4096))
    else:
        shutil.rmtree(cache / "index")
    if damage == "a file":
        (cache / "index").write_text("in the way")
    assert ask("ls") == before
    assert (cache / "index").exists() is (damage != "deleted")


def test_ls_shows_damage_that_no_row_hides(ask, invoke, cache):
    shutil.rmtree(cache / "index")
    key = ask("ls")["entries"][0]["key"]
    cache_file(cache, key).write_bytes(b"damaged")
    row = ask("ls")["entries"][0]
    assert (row["key"], row["kind"], row["damaged"], row["bytes"]) == (key, "", True, 7)
    assert invoke("cache", "ls").stdout.splitlines()[1].split()[:2] == [key[:12], "damaged"]
    assert cache_file(cache, key).exists()


# stats


def test_stats_as_json_has_everything(ask, cache):
    entries = ask("ls")["entries"]
    stats = ask("stats")
    total = sum(entry["bytes"] for entry in entries)
    assert stats.pop("compile_seconds") == pytest.approx(sum(entry["compile_seconds"] for entry in entries))
    kinds, archs = stats.pop("kinds"), stats.pop("archs")
    assert stats == {
        "directory": str(cache),
        "read_only": False,
        "entries": 4,
        "bytes": total,
        "max_bytes": 2 << 30,
        "oldest_use": 1_700_000_000,
        "newest_use": 1_700_000_180,
        "damaged": 0,
        "quarantined": {"files": 0, "bytes": 0},
        "index": {"agrees": True, "missing": 0, "stale": 0},
    }
    assert {kind: sums["entries"] for kind, sums in kinds.items()} == {"cubin": 2, "fatbin": 1, "ptx": 1}
    assert set(archs) == {"sm_80", "compute_80", "sm_80,sm_90", "sm_90"}
    for group in (kinds, archs):
        assert sum(sums["bytes"] for sums in group.values()) == total


def test_stats_as_text(invoke, cache):
    lines = invoke("cache", "stats").stdout.splitlines()
    facts = dict(line.split("  ", 1) for line in lines[: lines.index("")])
    assert facts["directory"].strip() == str(cache)
    assert " of 2.0 GiB" in facts["size"]
    assert facts["index"].strip() == "agrees with the entries"
    assert [line.split()[0] for line in lines[lines.index("") :] if line][:4] == ["KIND", "cubin", "fatbin", "ptx"]


def test_stats_says_where_the_index_disagrees(ask, invoke, cache):
    first, second = (entry["key"] for entry in ask("ls")["entries"][:2])
    opened = jitload.Cache(cache)
    opened.index.remove([first])
    opened.close()
    cache_file(cache, second).unlink()
    assert ask("stats")["index"] == {"agrees": False, "missing": 1, "stale": 1}
    text = invoke("cache", "stats").stdout
    assert "lacks 1 entry and has 1 row of entries that are gone" in text
    assert "jitload cache rebuild" in text


def test_stats_counts_damage_and_quarantine(ask, invoke, cache):
    first, second = (entry["key"] for entry in ask("ls")["entries"][:2])
    for key in (first, second):
        cache_file(cache, key).write_bytes(b"damaged")
    shutil.rmtree(cache / "index")
    assert (ask("stats")["entries"], ask("stats")["damaged"]) == (4, 2)
    assert "2 entries: `jitload cache verify`" in invoke("cache", "stats").stdout
    ask("verify", code=1)
    stats = ask("stats")
    assert (stats["entries"], stats["damaged"]) == (2, 0)
    assert stats["quarantined"] == {"files": 2, "bytes": 14}


# verify


def test_verify_of_a_sound_cache(ask, invoke, cache):
    assert ask("verify") == {"directory": str(cache), "good": 4, "damaged": []}
    assert invoke("cache", "verify").stdout == f"{cache}: 4 entries good\n"


def test_verify_puts_damaged_entries_aside_and_says_where(ask, cache):
    keys = [entry["key"] for entry in ask("ls")["entries"]]
    flipped = bytearray(cache_file(cache, keys[0]).read_bytes())
    flipped[100] ^= 1
    cache_file(cache, keys[0]).write_bytes(flipped)
    shutil.copy(cache_file(cache, keys[3]), cache_file(cache, keys[1]))
    report = ask("verify", code=1)
    assert (report["good"], [damage["key"] for damage in report["damaged"]]) == (2, keys[:2])
    assert "digest does not match" in report["damaged"][0]["reason"]
    assert f"holds key {keys[3][:12]}" in report["damaged"][1]["reason"]
    for damage in report["damaged"]:
        assert pathlib.Path(damage["file"]).parent == cache / "quarantine"
        assert pathlib.Path(damage["file"]).is_file()
    assert [entry["key"] for entry in ask("ls")["entries"]] == keys[2:]
    assert ask("stats")["index"]["agrees"]
    assert ask("verify")["good"] == 2


def test_verify_as_text_shows_the_reason_and_the_place(invoke, ask, cache):
    key = ask("ls")["entries"][0]["key"]
    cache_file(cache, key).write_bytes(b"damaged")
    result = invoke("cache", "verify")
    assert result.exit_code == 1
    assert f"damaged: {key[:12]}  entry too short" in result.stdout
    assert f"put aside as {cache}/quarantine/objects-{key[:2]}-{key[2:]}" in result.stdout


# gc and clear


def test_gc_drops_what_was_used_longest_ago(ask, invoke, cache):
    entries = ask("ls", "--sort", "used")["entries"]
    newest = entries[0]
    report = ask("gc", "--max-bytes", int(newest["bytes"] * 1.2))
    assert report == {
        "directory": str(cache),
        "removed": 3,
        "removed_bytes": sum(entry["bytes"] for entry in entries[1:]),
        "entries": 1,
        "bytes": newest["bytes"],
        "max_bytes": int(newest["bytes"] * 1.2),
    }
    assert [entry["key"] for entry in ask("ls")["entries"]] == [newest["key"]]
    assert ask("stats")["index"]["agrees"]
    text = invoke("cache", "gc", "--max-bytes", "2G").stdout
    assert text.startswith(f"{cache}: removed 0 entries, 0 B\nleft: 1 entry, ")
    assert text.endswith(" of 2.0 GiB\n")


def test_gc_goes_by_the_bound_in_force(ask, cache, monkeypatch):
    monkeypatch.setenv("JITLOAD_CACHE_MAX_BYTES", "0")
    report = ask("gc")
    assert (report["removed"], report["max_bytes"]) == (4, 0)


def test_gc_refuses_what_is_no_size(invoke, cache):
    result = invoke("cache", "gc", "--max-bytes", "much")
    assert result.exit_code == 2
    assert "'much' is not a size" in result.stderr


def test_clear_removes_everything_and_the_quarantine(ask, cache):
    key = ask("ls")["entries"][0]["key"]
    cache_file(cache, key).write_bytes(b"damaged")
    ask("verify", code=1)
    total = ask("stats")["bytes"]
    assert ask("clear", "--yes") == {
        "directory": str(cache),
        "removed": 3,
        "removed_bytes": total,
        "quarantined": 1,
        "entries": 0,
    }
    files = [file for part in ("objects", "manifests", "quarantine") for file in (cache / part).rglob("*")]
    assert not [file for file in files if file.is_file()]
    assert ask("stats")["index"] == {"agrees": True, "missing": 0, "stale": 0}


def test_clear_does_nothing_where_nobody_can_be_asked(invoke, ask, cache):
    result = invoke("cache", "clear")
    assert result.exit_code == 2
    assert "write --yes" in result.stderr
    assert len(ask("ls")["entries"]) == 4


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("n", 1, 4), ("", 1, 4)])
def test_clear_asks_on_a_terminal(ask, cache, answer, code, left):
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "jitload", "cache", "clear", "--json"]
    result = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert result.returncode == code
    assert "Remove 4 entries, " in result.stderr
    assert f"from {cache}?" in result.stderr
    assert result.stdout == "" if code else json.loads(result.stdout)["removed"] == 4
    assert len(ask("ls")["entries"]) == left


# rebuild

KILLED = """
import os, signal, sys, jitload
jitload.compile(sys.argv[1], arch="sm_86")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_rebuild_finds_what_a_killed_process_left(ask, cache):
    before = {entry["key"] for entry in ask("ls")["entries"]}
    done = subprocess.run([sys.executable, "-c", KILLED, SAXPY], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    entries = ask("ls")["entries"]
    (new,) = [entry for entry in entries if entry["key"] not in before]
    assert (new["kind"], new["arch"], new["name"]) == ("cubin", "sm_86", "kernel.cu")
    assert new["compile_seconds"] > 0
    assert ask("stats")["index"] == {"agrees": False, "missing": 1, "stale": 0}
    counts = {"entries": 5, "added": 1, "changed": 0, "removed": 0, "damaged": []}
    assert ask("rebuild") == {"directory": str(cache), **counts}
    assert ask("stats")["index"]["agrees"]
    assert ask("ls")["entries"] == entries


@pytest.mark.parametrize("damage", ["deleted", "garbage"])
def test_rebuild_makes_a_lost_index_anew(ask, invoke, cache, damage):
    before = ask("ls")
    shutil.rmtree(cache / "index")
    if damage == "garbage":
        (cache / "index").mkdir()
        (cache / "index" / "cache.db").write_bytes(os.urandom(4096))
    result = invoke("cache", "rebuild")
    assert result.stdout == f"{cache}: the index knows 4 entries (rows: 4 added, 0 changed, 0 removed)\n"
    assert ask("stats")["index"] == {"agrees": True, "missing": 0, "stale": 0}
    assert ask("ls") == before


def test_rebuild_mends_rows_that_lie(ask, invoke, cache):
    before = ask("ls")["entries"]
    opened = jitload.Cache(cache)
    lie = {"arch": "sm_10", "compile_seconds": 1e6, "kind": "ptx", "name": "lie.cu"}
    opened.index.write({before[0]["key"]: lie, "cd" * 32: lie})
    opened.close()
    cache_file(cache, before[1]["key"]).write_bytes(b"damaged")
    result = invoke("cache", "rebuild")
    assert result.exit_code == 0
    assert "the index knows 3 entries (rows: 0 added, 1 changed, 2 removed)" in result.stdout
    assert f"damaged: {before[1]['key'][:12]}  " in result.stdout
    assert ask("ls")["entries"] == [before[0], *before[2:]]


# explain


def test_explain_of_a_hit(ask, invoke, cache):
    (report,) = ask("explain", "scale.cu", "--arch", "sm_90")
    assert set(report) == {"request", "key", "hit", "factors", "tiers", "nearest"}
    assert report["hit"]
    assert report["key"] in {entry["key"] for entry in ask("ls")["entries"]}
    assert invoke("cache", "explain", "scale.cu", "--arch", "sm_90").stdout.startswith(
        "scale.cu (cubin, sm_90): a hit\n"
    )


def test_explain_of_a_miss_names_the_header_that_changed(ask, invoke, cache):
    pathlib.Path("factor.cuh").write_text("#define FACTOR 3.0f\n")
    result = invoke("cache", "explain", "scale.cu", "--arch", "sm_90")
    assert result.exit_code == 3
    assert result.stdout.startswith("scale.cu (cubin, sm_90): a miss\n")
    assert "factor.cuh" in result.stdout
    (report,) = ask("explain", "scale.cu", "--arch", "sm_90", code=3)
    (difference,) = report["nearest"][0]["differences"]
    assert difference["factor"].endswith("factor.cuh")


def test_explain_takes_the_arguments_of_compile(ask, invoke, cache):
    arguments = ["-a", "sm_80,sm_90", "-k", "cubin", "-D", "N=3", "-n", "&saxpy", "--option=-lineinfo", "-I", "."]
    assert [one["hit"] for one in ask("explain", "saxpy.cu", *arguments, code=3)] == [False, False]
    entries = len(ask("ls")["entries"])
    assert invoke("compile", "saxpy.cu", *arguments, "-o", "{arch}.cubin").exit_code == 0
    reports = ask("explain", "saxpy.cu", *arguments)
    assert [one["hit"] for one in reports] == [True, True]
    assert reports[0]["factors"]["arch"] == "sm_80"
    assert len(ask("ls")["entries"]) == entries + 2


def test_explain_compiles_and_makes_nothing(invoke, cache):
    shutil.rmtree(cache)
    compiles = jitload.stats().compiles
    assert invoke("cache", "explain", "saxpy.cu", "--arch", "sm_80").exit_code == 3
    assert jitload.stats().compiles == compiles
    assert not cache.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.cu", "-a", "sm_90"], "absent.cu: No such file or directory"),
        (["saxpy.cu", "-a", "volta"], "sm_90"),
        (["saxpy.cu", "-a", "compute_90", "-k", "cubin"], "sm_90"),
    ],
)
def test_explain_says_what_cannot_be_asked(invoke, cache, arguments, words):
    result = invoke("cache", "explain", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


# directories


@pytest.mark.parametrize("command", [*COMMANDS, "clear", "explain"])
def test_an_unknown_directory_is_an_error_and_is_not_made(invoke, cache, tmp_path, command):
    rest = {"clear": ["--yes"], "explain": ["saxpy.cu", "-a", "sm_80"]}.get(command, [])
    result = invoke("cache", command, *rest, "--dir", tmp_path / "absent")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"jitload: {tmp_path}/absent: no such directory\n"
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_another_directory_can_be_named(ask, cache, prepared, tmp_path, command):
    shutil.copytree(prepared / "cache", tmp_path / "other")
    shutil.rmtree(cache)
    assert ask(command, "--dir", tmp_path / "other")["directory"] == f"{tmp_path}/other"
    assert ask(command, "--dir", "other")["directory"] == f"{tmp_path}/other"
    assert not cache.exists()


def test_explain_asks_the_directory_that_was_named(ask, cache, prepared, tmp_path):
    shutil.copytree(prepared / "cache", tmp_path / "other")
    shutil.rmtree(cache)
    assert ask("explain", "saxpy.cu", "-a", "sm_80", "--dir", "other")[0]["hit"]
    assert not ask("explain", "saxpy.cu", "-a", "sm_80", code=3)[0]["hit"]


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["clear", "--yes"]])
def test_a_cache_that_was_never_used_is_empty_and_is_not_made(ask, cache_dir, command):
    report = ask(*command)
    assert report["directory"] == str(cache_dir)
    assert not report.get("entries")
    assert not cache_dir.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_of_other_things_is_no_cache(invoke, tmp_path, command):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    before = tree(tmp_path)
    result = invoke("cache", command, "--dir", tmp_path / "precious")
    assert result.exit_code == 1
    assert "precious: not a cache directory" in result.stderr
    assert invoke("cache", command, "--dir", tmp_path / "precious" / "file").exit_code == 1
    assert tree(tmp_path) == before


def test_an_empty_directory_is_an_empty_cache(ask, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in COMMANDS[:4]:
        assert not ask(command, "--dir", tmp_path / "empty").get("entries")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_directory_of_somebody_else_is_read_and_never_changed(invoke, ask, cache, monkeypatch):
    expected = ask("ls")
    key = expected["entries"][0]["key"]
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    before = tree(cache)
    result = invoke("cache", "ls", "--json")
    assert json.loads(result.stdout) == expected
    assert f"{cache} belongs to user {os.getuid()}, not to you" in result.stderr
    stats = ask("stats")
    assert (stats["read_only"], stats["index"]) == (True, None)
    for change in CHANGES:
        result = invoke("cache", *change)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nothing can be changed in it" in result.stderr
    cache_file(cache, key).write_bytes(b"damaged")
    (damage,) = ask("verify", code=1)["damaged"]
    assert (damage["key"], damage["file"]) == (key, None)
    assert tree(cache) == before


def test_explain_speaks_of_the_directory_as_a_compile_would_meet_it(invoke, cache, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    result = invoke("cache", "explain", "saxpy.cu", "--arch", "sm_80")
    assert result.exit_code == 1
    assert "set JITLOAD_CACHE_DIR to a directory of your own" in result.stderr


def test_a_read_only_directory(cache):
    cache.chmod(0o555)
    try:
        listed = run_unprivileged("ls", "--json")
        assert len(json.loads(listed.stdout)["entries"]) == 4
        assert listed.stderr == f"jitload: {cache} is not writable: reading only\n"
        for change in CHANGES:
            result = run_unprivileged(*change)
            assert (result.returncode, result.stdout) == (1, "")
            assert result.stderr == f"jitload: {cache} is not writable: nothing can be changed in it\n"
    finally:
        cache.chmod(0o700)


def test_a_directory_that_cannot_be_read_is_no_empty_cache(cache):
    cache.chmod(0o300)
    try:
        result = run_unprivileged("ls")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"jitload: {cache}: cannot be read by you\n"
    finally:
        cache.chmod(0o700)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_others_may_write_is_refused(invoke, cache, command):
    cache.chmod(0o770)
    result = invoke("cache", command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "can be written by other users" in result.stderr


def test_without_a_home_it_says_what_to_set(invoke, monkeypatch):
    for name in ("JITLOAD_CACHE_DIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    result = invoke("cache", "ls")
    assert result.exit_code == 1
    assert "set JITLOAD_CACHE_DIR, or write --dir DIR" in result.stderr


# the group


def test_the_group_names_every_command_with_a_whole_sentence(invoke):
    lines = invoke("cache", "--help").stdout.splitlines()
    for name in [*COMMANDS, "clear", "explain"]:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert line.endswith(".")
        assert not line.endswith("...")
        assert "--dir DIR" in invoke("cache", name, "--help").stdout


def test_as_a_process_of_its_own(spawn, cache):
    result = spawn("cache", "ls", "--arch", "sm_90", "--kind", "cubin")
    _, row, last = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr) == (0, b"")
    assert row.split()[1:4] == ["cubin", "sm_90", "scale.cu"]
    assert last.startswith("1 of 4 entries, ")
