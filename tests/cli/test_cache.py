"""`jitload cache ls` and `stats`: right with the index and without it."""

import os
import shutil

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")


def test_ls_shows_a_line_for_each_entry_in_aligned_columns(invoke, ask, cache):
    lines = invoke("cache", "ls").stdout.splitlines()
    entries = ask("ls")["entries"]
    header, *rows, last = lines
    assert header.split() == ["KEY", "KIND", "ARCH", "NAME", "KERNELS", "BYTES", "LAST", "USE", "COMPILE"]
    assert [row.split()[0] for row in rows] == [entry["key"][:12] for entry in entries]
    for name in ("KIND", "ARCH", "NAME", "KERNELS", "LAST USE"):
        column = header.index(name)
        assert all(row[column - 1] == " " and row[column] != " " for row in rows)
    assert {len(row) for row in rows} == {len(header)}
    assert last.startswith("4 entries, ")


def test_ls_as_json_has_everything(ask, cache, entry_file):
    report = ask("ls")
    assert set(report) == {"directory", "entries"}
    assert report["directory"] == str(cache)
    rows = [(entry["name"], entry["kind"], entry["arch"]) for entry in report["entries"]]
    assert rows == sorted(rows)
    fields = {"key", "kind", "arch", "name", "kernels", "options", "bytes", "used", "compile_seconds", "damaged"}
    for entry in report["entries"]:
        assert set(entry) == fields
        artifact = jitload.Artifact.open(entry_file(entry["key"]))
        assert (entry["kernels"], entry["options"]) == (list(artifact.kernels), "")
        assert (entry["kind"], entry["arch"], entry["name"]) == (artifact.kind, artifact.arch, artifact.name)
        assert entry["compile_seconds"] == artifact.compile_seconds > 0
        status = entry_file(entry["key"]).stat()
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
    keys = [entry["key"] for entry in ask("ls", "--sort", "key")["entries"]]
    assert keys == sorted(keys)
    assert ask("ls") == ask("ls", "--sort", "name")
    assert sizes == sorted(sizes, reverse=True)
    assert uses == sorted(uses, reverse=True)
    assert len(set(uses)) == 4


SCALE = "template <class T, int N> __global__ void scale(T *x) { *x *= N * M; }"


@pytest.mark.parametrize("index", ["as it is", "without names", "none"])
def test_ls_tells_specialisations_apart(ask, invoke, cache_dir, index):
    """Template arguments, macros and options, from the index, from one of an earlier version, and without any."""
    for names, fields in (
        (["scale<float, 2>"], {"defines": {"M": 1}}),
        (["scale<double, 2>", "scale<double, 3>"], {"defines": {"M": 1}}),
        (["scale<float, 2>"], {"defines": {"M": 2}, "options": ["-use_fast_math"]}),
    ):
        jitload.compile(SCALE, arch="sm_80", name="scale.cu", names=names, **fields)
    jitload.Cache.default().flush()
    if index == "none":
        shutil.rmtree(cache_dir / "index")
    elif index == "without names":
        found = jitload.Cache.default().index
        rows = dict(found.rows())
        found.replace(
            {key: {f: v for f, v in row.items() if f not in {"kernels", "options"}} for key, row in rows.items()}
        )
    entries = ask("ls")["entries"]
    assert [(entry["kernels"], entry["options"]) for entry in entries] == [
        (["scale<double, 2>", "scale<double, 3>"], "-DM=1"),
        (["scale<float, 2>"], "-DM=1"),
        (["scale<float, 2>"], "-DM=2 --use_fast_math"),
    ]
    shown = invoke("cache", "ls").stdout
    assert "scale.cu  scale<double, 2>, scale<double, 3> (-DM=1) " in shown
    assert "scale.cu  scale<float, 2> (-DM=2 --use_fast_math) " in shown
    assert len(ask("ls", "--name", "scale<float*")["entries"]) == 2


def test_a_row_with_names_of_another_kind_is_not_believed(ask, cache_dir):
    jitload.compile('extern "C" __global__ void k() {}', arch="sm_80")
    found = jitload.Cache.default()
    found.flush()
    rows = dict(found.index.rows())
    for kernels, options in (({"a": 1}, ""), ([7], ""), ("k", ""), (["k"], 7)):
        found.index.replace({key: {**row, "kernels": kernels, "options": options} for key, row in rows.items()})
        assert [(entry["kernels"], entry["options"]) for entry in ask("ls")["entries"]] == [(["k"], "")]


def test_many_kernels_in_one_program_leave_their_row_short(ask):
    names = [f"scale<float, {number}>" for number in range(300)]
    jitload.compile(SCALE, arch="compute_80", names=names, defines={"M": 1})
    jitload.Cache.default().flush()
    (entry,) = ask("ls")["entries"]
    assert entry["kernels"][-1] == "..."
    assert entry["kernels"][:-1] == sorted(names)[: len(entry["kernels"]) - 1]
    assert 40 < len(entry["kernels"]) < 100


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


def test_ls_shows_damage_that_no_row_hides(ask, invoke, cache, entry_file):
    shutil.rmtree(cache / "index")
    key = ask("ls")["entries"][0]["key"]
    entry_file(key).write_bytes(b"damaged")
    row = ask("ls")["entries"][0]
    assert (row["key"], row["kind"], row["damaged"], row["bytes"]) == (key, "", True, 7)
    assert invoke("cache", "ls").stdout.splitlines()[1].split()[:2] == [key[:12], "damaged"]
    assert entry_file(key).exists()


def test_stats_as_json_has_everything(ask, cache):
    entries = ask("ls")["entries"]
    stats = ask("stats")
    total = sum(entry["bytes"] for entry in entries)
    assert stats.pop("compile_seconds") == pytest.approx(sum(entry["compile_seconds"] for entry in entries))
    kinds, archs = stats.pop("kinds"), stats.pop("archs")
    assert stats.pop("counts")["compiles"] == 4
    assert stats == {
        "namespaces": {},
        "directory": str(cache),
        "read_only": False,
        "entries": 4,
        "bytes": total,
        "max_bytes": 2 << 30,
        "records": {"files": 4, "bytes": sum(path.stat().st_size for path in (cache / "manifests").glob("*/*"))},
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


def test_stats_says_where_the_index_disagrees(ask, invoke, cache, entry_file):
    first, second = (entry["key"] for entry in ask("ls")["entries"][:2])
    opened = jitload.Cache(cache)
    opened.index.remove([first])
    entry_file(second).unlink()
    assert ask("stats")["index"] == {"agrees": False, "missing": 1, "stale": 1}
    text = invoke("cache", "stats").stdout
    assert "lacks 1 entry and has 1 row of entries that are gone" in text
    assert "jitload cache rebuild" in text


def test_stats_counts_damage_and_quarantine(ask, invoke, cache, entry_file):
    first, second = (entry["key"] for entry in ask("ls")["entries"][:2])
    for key in (first, second):
        entry_file(key).write_bytes(b"damaged")
    shutil.rmtree(cache / "index")
    assert (ask("stats")["entries"], ask("stats")["damaged"]) == (4, 2)
    assert "2 entries: `jitload cache verify`" in invoke("cache", "stats").stdout
    ask("verify", code=1)
    stats = ask("stats")
    assert (stats["entries"], stats["damaged"]) == (2, 0)
    assert stats["quarantined"] == {"files": 2, "bytes": 14}


def test_the_group_names_every_command_with_a_whole_sentence(invoke):
    lines = invoke("cache", "--help").stdout.splitlines()
    for name in ("ls", "stats", "verify", "gc", "clear", "rebuild", "explain", "merge", "push", "pull"):
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert line.endswith(".")
        assert not line.endswith("...")
        helped = invoke("cache", name, "--help").stdout
        assert "--dir DIR" in helped or "remote" in helped


def test_as_a_process_of_its_own(spawn, cache):
    result = spawn("cache", "ls", "--arch", "sm_90", "--kind", "cubin")
    _, row, last = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr) == (0, b"")
    assert row.split()[1:4] == ["cubin", "sm_90", "scale.cu"]
    assert last.startswith("1 of 4 entries, ")
