"""The disk tier under fire: killed writers, full and read-only disks, other users, hostile files, many processes.

The long forms run with `-m slow`.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import jitload
from jitload.artifact import decode_entry
from jitload.errors import ArtifactError
from jitload.images.check import verify_image
from jitload.tiers.disk import DiskStore

ROOT = pathlib.Path(jitload.__file__).parent.parent
TESTS = pathlib.Path(__file__).parent
SOURCE = 'extern "C" __global__ void k(int *x) {{ *x = {}; }}'


def start(code: str, *arguments: object, cache_dir: pathlib.Path | None = None, prefix=()) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS.parent.parent}"}
    if cache_dir is not None:
        environment["JITLOAD_CACHE_DIR"] = str(cache_dir)
    command = [*prefix, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> tuple[str, str]:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out, err


# A writer that puts entries of several sizes over and over until it is killed.
WRITER = """
import sys, random
sys.path.insert(0, sys.argv[2])
from tests.tiers.conftest import make_artifact
from jitload.tiers.disk import DiskStore
store = DiskStore(sys.argv[1], max_bytes=1 << 40, verify=lambda kind, data: None)
artifacts = [make_artifact(number, padding=random.choice((10, 5_000, 500_000))) for number in range(40)]
print("writing", flush=True)
while True:
    store.put(random.choice(artifacts))
"""


def kill_rounds(tmp_path: pathlib.Path, rounds: int) -> None:
    path = tmp_path / "cache"
    store = DiskStore(str(path), max_bytes=1 << 40, verify=verify_image)
    seen = 0
    for _ in range(rounds):
        writers = [start(WRITER, path, ROOT) for _ in range(4)]
        for writer in writers:
            assert writer.stdout.readline() == "writing\n"
        time.sleep(random.uniform(0.0, 0.05))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.communicate()
        for key, _ in list(store.contents.scan_keys()):
            artifact, reason = store.read(key)
            assert reason == "hit", reason  # rename makes an entry whole or absent, never half
            assert artifact.key == key
            seen += 1
    store.contents.collect()
    assert os.listdir(path / "incoming") == []
    assert not (path / "quarantine").exists()
    assert seen > rounds


def test_kill_9_in_the_middle_of_writes(tmp_path):
    kill_rounds(tmp_path, 8)


@pytest.mark.slow(keep=0)
@pytest.mark.timeout(1200)
def test_kill_9_in_the_middle_of_writes_300_rounds(tmp_path):
    kill_rounds(tmp_path, 300)


COMPILE_MANY = """
import json, sys, time, jitload
while time.time() < float(sys.argv[1]): pass
keys = []
for number in json.loads(sys.argv[2]):
    source = 'extern "C" __global__ void k(int *x) { *x = %d; }' % number
    keys.append(jitload.compile(source, arch="compute_75").key)
print(json.dumps([jitload.stats().compiles, keys]))
"""


def cold_keys(tmp_path: pathlib.Path, processes: int) -> None:
    when = time.time() + 2 + processes * 0.1
    order = list(range(10))
    workers = []
    for _ in range(processes):
        random.shuffle(order)
        workers.append((list(order), start(COMPILE_MANY, when, json.dumps(order), cache_dir=tmp_path / "cache")))
    results = [(order, json.loads(finish(worker)[0])) for order, worker in workers]
    assert sum(count for _, (count, _) in results) == 10
    assert len({key for order, (_, keys) in results for key in zip(order, keys, strict=True)}) == 10


def test_eight_processes_on_ten_cold_keys_compile_ten_times(tmp_path):
    cold_keys(tmp_path, 8)


@pytest.mark.slow(keep=0)
@pytest.mark.timeout(600)
def test_thirty_two_processes_on_ten_cold_keys_compile_ten_times(tmp_path):
    cold_keys(tmp_path, 32)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount and to change users")


@pytest.fixture
def small_disk(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", mount], check=False)
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def write_for_ever(descriptor: int) -> None:
    while True:
        os.write(descriptor, b"\0" * 4096)


def fill(path: pathlib.Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space left"):
        write_for_ever(descriptor)
    os.close(descriptor)


@needs_root
def test_a_full_disk_evicts_and_then_carries_on(small_disk, caplog):
    """4 MB: the oldest entries make room; what can never fit is lost with one warning; nothing raises."""
    from .conftest import make_artifact

    store = DiskStore(str(small_disk / "cache"), max_bytes=1 << 30, verify=verify_image)
    artifacts = [make_artifact(number, padding=600_000) for number in range(20)]
    for artifact in artifacts:
        assert store.put(artifact)
    kept = [artifact for artifact in artifacts if store.read(artifact.key)[1] == "hit"]
    assert artifacts[-1] in kept
    assert 3 <= len(kept) <= 6
    assert caplog.records == []
    huge = make_artifact(99, padding=5_000_000)
    assert not store.put(huge)
    assert not store.put(make_artifact(98, padding=5_000_000))
    assert len(caplog.records) == 1
    assert "carrying on without keeping kernels" in caplog.text
    assert os.listdir(small_disk / "cache" / "incoming") == []


@needs_root
def test_a_full_disk_makes_room_for_an_entry_of_any_size(small_disk, caplog):
    """Many small entries go for a large one, which is kept."""
    from .conftest import make_artifact

    store = DiskStore(str(small_disk / "cache"), max_bytes=1 << 30, verify=verify_image)
    for number in range(38):
        assert store.put(make_artifact(number, padding=100_000))
    large = make_artifact(99, padding=2_000_000)
    assert store.put(large)
    assert store.read(large.key)[1] == "hit"
    assert caplog.records == []


@needs_root
def test_compiles_on_a_disk_that_is_full_of_other_things(small_disk, caplog):
    cache = jitload.Cache(small_disk / "cache")
    (small_disk / "cache").mkdir(mode=0o700)
    fill(small_disk / "ballast")
    for number in range(3):
        artifact = jitload.compile(SOURCE.format(number), arch="compute_75", cache=cache)
        assert str(number).encode() in artifact.data
    cache.flush()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == len(set(texts)) <= 3


COMPILE_TWO = """
import json, logging, sys
import jitload
messages = []
class Collect(logging.Handler):
    def emit(self, record): messages.append(record.getMessage())
logging.getLogger("jitload").addHandler(Collect())
artifacts = [jitload.compile(sys.argv[1].format(number), arch="compute_75") for number in (1, 2)]
right = all(str(number).encode() in artifact.data for number, artifact in zip((1, 2), artifacts))
jitload.Cache.default().flush()
print(json.dumps([right, jitload.stats().compiles, messages]))
"""

# Root ignores permissions; without these capabilities it is a user like any other, and can still run this Python.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all"]


@needs_root
@pytest.mark.parametrize("owner", ["read-only", "foreign", "foreign and unreadable"])
def test_a_directory_that_is_not_ours_to_write_costs_one_warning_each(tmp_path, owner):
    cache_dir = tmp_path / "cache"
    cache_dir.mkdir()
    cache_dir.chmod({"read-only": 0o555, "foreign": 0o755, "foreign and unreadable": 0o700}[owner])
    if owner != "read-only":
        os.chown(cache_dir, 65534, 65534)
    out, err = finish(start(COMPILE_TWO, SOURCE, cache_dir=cache_dir, prefix=WITHOUT_PRIVILEGES))
    right, compiles, messages = json.loads(out)
    assert (right, compiles) == (True, 2), err
    assert len(messages) == len(set(messages))
    assert 1 <= len(messages) <= 3, messages
    assert list(cache_dir.iterdir()) == []


LIST_TWICE = """
import json, logging, sys
import jitload
messages = []
class Collect(logging.Handler):
    def emit(self, record): messages.append(record.getMessage())
logging.getLogger("jitload").addHandler(Collect())
counts = [jitload.Cache.default().stats().entries for _ in range(2)]
print(json.dumps([counts, messages]))
"""


def test_a_directory_that_cannot_be_listed_is_said_once(tmp_path):
    cache_dir = tmp_path / "cache"
    for number in range(2):
        jitload.compile(SOURCE.format(number), arch="compute_75", cache=jitload.Cache(cache_dir))
    prefix = WITHOUT_PRIVILEGES if os.geteuid() == 0 else []
    out, _ = finish(start(LIST_TWICE, cache_dir=cache_dir, prefix=prefix))
    assert json.loads(out) == [[2, 2], []]
    (cache_dir / "objects").chmod(0o300)
    out, err = finish(start(LIST_TWICE, cache_dir=cache_dir, prefix=prefix))
    counts, messages = json.loads(out)
    assert counts == [0, 0], err
    assert len(messages) == 1
    assert f"{cache_dir}/objects cannot be listed (Permission denied)" in messages[0]


def test_the_directory_removed_between_compiles(tmp_path, caplog):
    cache = jitload.Cache(tmp_path / "cache")
    for number in range(3):
        jitload.compile(SOURCE.format(number), arch="compute_75", cache=cache)
        shutil.rmtree(tmp_path / "cache")
    jitload.compile(SOURCE.format(9), arch="compute_75", cache=cache)
    assert len(list(jitload.Cache(tmp_path / "cache").entries())) == 1
    assert caplog.records == []


def test_a_hostile_directory_has_no_effect_outside_and_gives_no_wrong_bytes(tmp_path, caplog):
    """Links in the place of files and directories, entries with lying lengths, a foreign index: misses, all of them."""
    cache_dir = tmp_path / "cache"
    good = jitload.compile(SOURCE.format(1), arch="compute_75", cache=jitload.Cache(cache_dir))
    jitload.Cache(cache_dir).flush()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (entry,) = (cache_dir / "objects").glob("*/*")
    (manifest,) = (cache_dir / "manifests").glob("*/*")
    data = bytearray(entry.read_bytes())
    data[12:16] = (0xFFFFFFF0).to_bytes(4, "little")
    entry.write_bytes(data)
    manifest.unlink()
    manifest.symlink_to(outside / "precious")
    for name in ("incoming", "quarantine", "locks", "index"):
        shutil.rmtree(cache_dir / name, ignore_errors=True)
        (cache_dir / name).symlink_to(outside)
    before = jitload.stats().compiles
    again = jitload.compile(SOURCE.format(1), arch="compute_75", cache=jitload.Cache(cache_dir))
    assert again.data == good.data
    assert jitload.stats().compiles == before + 1
    cache = jitload.Cache(cache_dir)
    cache.gc(0)
    cache.clear()
    cache.flush()
    assert sorted(path.name for path in outside.iterdir()) == ["precious"]
    assert (outside / "precious").read_text() == "precious"


@pytest.mark.parametrize("seed", range(4))
def test_mutated_entries_give_our_errors_only(artifact, seed):
    from jitload.format.entry import encode_entry

    rng = random.Random(seed)
    data = encode_entry(artifact)
    for _ in range(400):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            where = rng.randrange(len(mutated))
            choice = rng.randrange(3)
            if choice == 0:
                mutated[where] = rng.randrange(256)
            elif choice == 1:
                del mutated[where : where + rng.randrange(64)]
            else:
                mutated[where:where] = rng.randbytes(rng.randrange(64))
        if bytes(mutated) != data:
            with pytest.raises(ArtifactError):
                decode_entry(bytes(mutated), artifact.key)
