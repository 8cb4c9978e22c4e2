"""`jitload cache stats`: what all processes have counted, since a day, as text, as JSON and for Prometheus."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

import jitload
from jitload.files.directory import Directory
from jitload.tiers.journal import Journal, Note, today

COUNTS = {
    "hits.disk": 6,
    "hits.remote": 2,
    "misses.absent": 1,
    'misses.a "quoted" \\ reason': 1,
    "compiles": 2,
    "compile_seconds": 1.5,
    "seconds_saved": 4.25,
    "bytes_stored": 10_000,
    "bytes_received": 5000,
    "remote_errors.timed out": 3,
    "lease_waits": 1,
    "lease_wait_seconds": 0.5,
    "unknown": 7,
}
PROCESS = """
import jitload
source = 'extern "C" __global__ void k(int *x) { *x = 1; }'
for _ in range(3):
    jitload.compile(source, arch="sm_80")
"""


@pytest.fixture
def counted(tmp_path):
    """A cache directory of which two days are known, the later one not yet by the index."""
    path = tmp_path / "counted"
    path.mkdir(mode=0o700)
    journal = Journal(Directory(str(path)))
    journal.append(Note("2026-11-01", COUNTS, {}))
    index = jitload.Cache(path).index
    (note,) = journal.take()

    def write(ledger):
        with ledger.changes():
            ledger.add_counts(note.day, note.counts)

    assert index.work(write)
    journal.append(Note("2026-11-28", {"hits.disk": 10}, {}))
    (path / "objects").mkdir()
    return path


def counts_of(ask, path, *arguments) -> dict:
    return ask("stats", "--dir", path, *arguments)["counts"]


def test_json_has_everything(ask, counted):
    counts = counts_of(ask, counted)
    assert counts["since"] == "2026-11-01"
    assert counts["hits"] == {"memory": 0, "bundle": 0, "disk": 16, "remote": 2}
    assert counts["misses"] == {"absent": 1, 'a "quoted" \\ reason': 1}
    assert counts["hit_rate"] == 0.9
    assert (counts["compiles"], counts["compile_seconds"], counts["seconds_saved"]) == (2, 1.5, 4.25)
    assert (counts["bytes_stored"], counts["bytes_received"], counts["bytes_sent"]) == (10_000, 5000, 0)
    assert counts["remote_errors"] == {"timed out": 3}
    assert (counts["lease_waits"], counts["lease_wait_seconds"]) == (1, 0.5)


def test_since_a_day(ask, invoke, counted):
    later = counts_of(ask, counted, "--since", "2026-11-02")
    assert (later["since"], later["hits"]["disk"], later["hit_rate"]) == ("2026-11-28", 10, 1.0)
    assert counts_of(ask, counted, "--since", "2026-11-01")["hits"]["disk"] == 16
    never = counts_of(ask, counted, "--since", "2027-01-01")
    assert (never["since"], never["hit_rate"]) == (None, None)
    result = invoke("cache", "stats", "--dir", counted, "--since", "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' is no day: write 2026-11-28" in result.stderr


def test_as_text(invoke, counted):
    text = invoke("cache", "stats", "--dir", counted).stdout
    assert "since 2026-11-01  90.0% hits\n" in text
    assert "16 disk, 2 remote\n" in text
    assert '1 a "quoted" \\ reason, 1 absent\n' in text
    assert "4.9 KiB received, 0 B sent; errors: 3 timed out\n" in text
    assert "nothing was counted" in invoke("cache", "stats", "--dir", counted, "--since", "2027-01-01").stdout


def test_prometheus_reads_it(invoke, ask, counted):
    text = invoke("cache", "stats", "--dir", counted, "--prometheus").stdout
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["jitload_hits_total", "disk"] == 16
    assert samples["jitload_misses_total", 'a "quoted" \\ reason'] == 1
    assert samples["jitload_compile_seconds_total",] == 1.5
    assert samples["jitload_remote_errors_total", "timed out"] == 3
    assert samples["jitload_cache_max_bytes",] == 2 << 30
    assert {family.type for family in families.values()} == {"counter", "gauge"}
    assert all(family.documentation for family in families.values())
    assert len(families) == 16
    assert invoke("cache", "stats", "--dir", counted, "--prometheus", "--json").exit_code == 2


def test_every_process_is_counted(ask, cache_dir, needs_nvrtc):
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 3
    counts = ask("stats", "--since", today())["counts"]
    assert counts["compiles"] == 1
    assert sum(counts["hits"].values()) == 8
    assert 1 <= sum(counts["misses"].values()) <= 3


def test_counts_of_a_session_go_to_its_cache(tmp_path, ask, needs_nvrtc):
    with jitload.Session(cache_dir=tmp_path / "own"):
        jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', arch="sm_80")
        jitload.Cache.default().flush()
    assert counts_of(ask, tmp_path / "own")["compiles"] == 1
