"""A database that others wrote: rows or none, in bounded time and memory, and nothing but faults of our own."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import time

import diskcache
import pytest

import jitload
from jitload.files.directory import Directory
from jitload.images.check import verify_image
from jitload.tiers import database
from jitload.tiers.audit import rebuild_index, verify_entries
from jitload.tiers.disk import DiskStore
from jitload.tiers.index import Index

from .conftest import make_artifact

KEY = "ab" * 32
ROW = {"arch": "sm_90", "compile_seconds": 0.5, "kind": "cubin", "name": "k.cu"}
MANY = """WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < {})
 INSERT INTO Cache(key, raw, mode, value, size) SELECT printf('%064x', i), 1, 1, cast('{{"a":1}}' AS BLOB), 0 FROM t"""


@pytest.fixture
def cache(tmp_path):
    """A cache with an entry of its own, and its row."""
    made = jitload.Cache(tmp_path / "cache")
    made.put(make_artifact())
    made.flush()
    return made


def file_of(cache: jitload.Cache) -> str:
    return f"{cache.directory}/index/cache.db"


def execute(path: str, statement: str, *arguments: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, arguments)
    connection.commit()
    connection.close()


CARE = """
import pathlib, re, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
import jitload
from tests.tiers.conftest import make_artifact
cache = jitload.Cache(sys.argv[1])
started = time.monotonic()
cache.put(make_artifact(1))
cache.flush()
assert len(list(cache.entries())) == 2
cache.verify()
rebuilt = cache.rebuild()
assert rebuilt.entries == 2 and rebuilt.damaged == ()
assert len(dict(cache.index.rows())) == 2
# Not ru_maxrss, which begins with that of the process that started this one.
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", pathlib.Path("/proc/self/status").read_text())
print(time.monotonic() - started, int(peak[1]) >> 10)
"""


def care(cache: jitload.Cache) -> tuple[float, int]:
    """Everything that is done with an index, in a process of its own; (seconds, MiB)."""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", CARE, str(cache.directory)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seconds, mebibytes = done.stdout.split()
    return float(seconds), int(mebibytes)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE Settings SET value = zeroblob(150000000) WHERE key = 'count'",
        "UPDATE Settings SET value = zeroblob(1000000) WHERE key = 'size'",
        "INSERT INTO Cache(key, raw, mode, value, size) VALUES (printf('%064x', 7), 1, 1, zeroblob(200000000), 0)",
        """INSERT INTO Cache(key, raw, mode, value, size)
         VALUES (printf('%064x', 7), 1, 1, cast(replace(hex(zeroblob(2500000)), '0', '[') AS BLOB), 0)""",
        MANY.format(250_000),
        "CREATE VIEW Evil AS SELECT * FROM Cache",
        "INSERT INTO Settings VALUES ('get', 'broken')",
    ],
    ids=["giant setting", "large setting", "giant row", "nested row", "many rows", "view", "foreign setting"],
)
def test_what_is_beyond_the_bounds_costs_the_index_and_neither_time_nor_memory(cache, statement):
    execute(file_of(cache), statement)
    seconds, mebibytes = care(cache)
    assert seconds < 30
    assert mebibytes < 256


@pytest.mark.parametrize(("bound", "value"), [("MAX_BYTES", 5000), ("MAX_ROWS", 1)])
def test_a_database_beyond_a_bound_is_not_ours(cache, monkeypatch, bound, value):
    settings = frozenset({"count", "size", *diskcache.DEFAULT_SETTINGS, *diskcache.core.METADATA})
    execute(file_of(cache), MANY.format(3))
    assert database.is_ours(file_of(cache), settings)
    monkeypatch.setattr(database, bound, value)
    assert not database.is_ours(file_of(cache), settings)


def test_a_row_that_is_too_long_is_passed_over(cache):
    execute(
        file_of(cache),
        "INSERT INTO Cache(key, raw, mode, value, size) VALUES (?, 1, 1, ?, 0)",
        KEY,
        b'{"name": "%s"}' % (b"n" * 5000),
    )
    assert KEY not in dict(cache.index.rows())


@pytest.mark.parametrize("plant", ["fifo", "link", "hard link", "directory", "open to all", "socket"])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_what_lies_in_the_place_of_its_files_is_neither_waited_for_nor_changed(cache, tmp_path, suffix, plant):
    import socket

    victim = tmp_path / "precious"
    victim.write_bytes(b"")  # an empty file is one that SQLite would fill
    path = f"{file_of(cache)}{suffix}"
    if os.path.lexists(path):
        os.unlink(path)
    if plant == "fifo":
        os.mkfifo(path)
    elif plant == "link":
        os.symlink(victim, path)
    elif plant == "hard link":
        os.link(victim, path)
    elif plant == "directory":
        os.makedirs(f"{path}/x")
    elif plant == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
    else:
        with open(path, "wb"):
            os.chmod(path, 0o666)
    care(cache)
    assert victim.read_bytes() == b""
    assert not os.listdir(f"{cache.directory}/incoming")


def test_its_files_are_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        index = Index(Directory(str(tmp_path / "cache")))
        assert index.write({KEY: ROW})
        connection = sqlite3.connect(f"{tmp_path}/cache/index/cache.db")
        connection.execute("UPDATE Settings SET value = 0 WHERE key = 'hits'")
        modes = {
            name: os.stat(f"{tmp_path}/cache/index/{name}").st_mode & 0o777
            for name in os.listdir(f"{tmp_path}/cache/index")
        }
        connection.close()
    finally:
        os.umask(before)
    assert {"cache.db", "cache.db-journal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_rows_that_are_too_long_or_too_many_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("jitload.tiers.ledger.MAX_ROWS", 10)
    index = Index(Directory(str(tmp_path / "cache")))
    assert index.write({KEY: ROW, "cd" * 32: {**ROW, "name": "n" * 5000}})
    assert dict(index.rows()) == {KEY: ROW}
    rows = {f"{number:064x}": ROW for number in range(20)}
    assert index.write(rows)
    assert len(dict(index.rows())) == 10
    assert index.write({KEY: {**ROW, "name": "other.cu"}})
    assert dict(index.rows())[KEY]["name"] == "other.cu"


def test_a_database_that_never_comes_to_an_end_is_thrown_away(cache, monkeypatch):
    """Pages that lead to each other in many ways: a look at it is interrupted."""
    execute(file_of(cache), MANY.format(50_000))
    monkeypatch.setattr(database, "LOOK_SECONDS", -1.0)
    assert not database.is_ours(file_of(cache), frozenset({"count", "size"}))
    assert list(cache.index.rows()) == []
    monkeypatch.undo()
    assert cache.index.write({KEY: ROW})
    assert dict(cache.index.rows()) == {KEY: ROW}


VALUES = (
    lambda rng: None,
    lambda rng: rng.choice((0, 1, -1, 2**31, 2**62, -(2**63), 2**63 - 1)),
    lambda rng: rng.choice((0.0, -1e308, 1e308, 1e-300, float("inf"))),
    lambda rng: rng.choice(("", "x", "ab" * 32, "AB" * 32, "/etc/passwd", "../../x", "\0", "x" * rng.randrange(5000))),
    lambda rng: rng.randbytes(rng.choice((0, 1, 64, 4096, 4097, 20_000))),
    lambda rng: b"[" * rng.choice((10, 1000, 4000)),
    lambda rng: b'{"a":' * rng.choice((10, 700)),
    lambda rng: b'{"compile_seconds":' + b"9" * rng.choice((10, 400, 4000)) + b"}",
    lambda rng: (
        b'{"kind":"ptx","arch":"compute_75","name":"k","compile_seconds":'
        + rng.choice((b"NaN", b"1e999", b"[]", b"1"))
        + b"}"
    ),
    lambda rng: b'{"kind":["ptx"],"arch":{},"name":null,"compile_seconds":true}',
    lambda rng: "\ud800".encode("utf-8", "surrogatepass"),
)
COLUMNS = (
    "key",
    "raw",
    "store_time",
    "expire_time",
    "access_time",
    "access_count",
    "tag",
    "size",
    "mode",
    "filename",
    "value",
)


def mutate(connection: sqlite3.Connection, rng: random.Random, keys: list[str]) -> None:
    """One change of what a row or a setting says, as only somebody else would make it."""
    value = rng.choice(VALUES)(rng)
    try:
        if rng.random() < 0.1:
            name = rng.choice(
                ("count", "size", "hits", "misses", "cull_limit", "sqlite_journal_mode", "disk_pickle_protocol")
            )
            connection.execute("UPDATE Settings SET value = ? WHERE key = ?", (value, name))
        elif rng.random() < 0.2:
            row = [rng.choice(VALUES)(rng) for _ in COLUMNS]
            connection.execute(f"INSERT INTO Cache({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})", row)
        else:
            connection.execute(f"UPDATE Cache SET {rng.choice(COLUMNS)} = ? WHERE key = ?", (value, rng.choice(keys)))
    except (sqlite3.Error, OverflowError):
        pass  # one that SQLite itself does not take


def mutate_rows(tmp_path, rounds: int, seed: int) -> None:
    """Every round changes some rows, then does all that is done with an index; only the result of faults is seen."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = random.Random(seed)
    store = DiskStore(str(tmp_path / f"cache{seed}"), max_bytes=1 << 30, verify=verify_image)
    artifacts = [make_artifact(number) for number in range(8)]
    for artifact in artifacts:
        assert store.put(artifact)
    index = Index(store.directory)
    path = f"{store.directory.path}/index/cache.db"
    rebuild_index(store, index)
    keys = [artifact.key for artifact in artifacts]
    for _ in range(rounds):
        connection = sqlite3.connect(path)
        for _ in range(rng.randint(1, 4)):
            mutate(connection, rng, keys)
        connection.commit()
        connection.close()
        started = time.monotonic()
        seen = dict(index.rows())
        assert all(database.is_row_key(key) and isinstance(row, dict) for key, row in seen.items())
        index.write({KEY: ROW})
        index.remove([KEY, keys[0]])
        took = time.monotonic() - started
        if rng.random() < 0.1:
            verify_entries(store, index)
            rebuild_index(store, index)
            assert dict(index.rows()).keys() == set(keys)
        assert took < 10, "a second on a machine of its own"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 512


@pytest.mark.parametrize("seed", range(3))
def test_rows_changed_by_others_never_raise(tmp_path, seed):
    mutate_rows(tmp_path, 60, seed)


@pytest.mark.slow(keep=0)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 108))
def test_rows_changed_by_others_never_raise_20000(tmp_path, seed):
    mutate_rows(tmp_path, 2500, seed)
