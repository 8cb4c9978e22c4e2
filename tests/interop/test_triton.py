"""Triton's cache on ours: its interface without Triton, and Triton itself where the frameworks are installed."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading
import time

import pytest

import jitload
from jitload.errors import UsageValueError
from jitload.interop.triton import CacheManager
from jitload.tiers.cache import Cache

REPOSITORY = pathlib.Path(jitload.__file__).parent.parent
KEY = "ABCDEFGH"
KERNEL = REPOSITORY / "examples" / "caches" / "triton_kernel.py"

FILES = {"k.source": b"ir", "k.cubin": b"\x7fELF\0", "k.json": b"{}"}


def fill(manager=None):
    """What `triton.compile` does of a kernel that is not there."""
    manager = CacheManager(KEY) if manager is None else manager
    assert manager.get_group("k.json") is None
    group = {name: manager.put(data, name) for name, data in FILES.items()}
    manager.put_group("k.json", group)
    return group


def contents(group):
    return {name: pathlib.Path(path).read_bytes() for name, path in group.items()}


def test_a_group_is_had_by_the_next_who_asks():
    assert contents(fill()) == FILES
    found = CacheManager(KEY).get_group("k.json")
    assert contents(found) == FILES
    assert list(found) == list(FILES)
    assert CacheManager("OTHER").get_group("k.json") is None


def test_files_are_for_their_user_alone_and_whatever_happens_to_them_changes_nothing():
    path = pathlib.Path(fill()["k.cubin"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    path.chmod(0o600)
    path.write_bytes(b"altered")
    assert contents(CacheManager(KEY).get_group("k.json")) == FILES
    shutil.rmtree(path.parent)
    assert contents(CacheManager(KEY).get_group("k.json")) == FILES


def test_a_group_is_there_as_a_whole_or_not_at_all():
    manager = CacheManager(KEY)
    assert manager.get_group("k.json") is None
    manager.put(b"half", "k.cubin")
    assert manager.get_file("k.cubin") is not None
    del manager
    again = CacheManager(KEY)
    assert again.get_group("k.json") is None
    assert not again.has_file("k.cubin")


def test_a_flipped_bit_is_a_miss(cache_dir):
    fill()
    (path,) = [path for path in (cache_dir / "objects").rglob("*") if path.is_file()]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with jitload.Session(cache_dir=cache_dir):
        assert CacheManager(KEY).get_group("k.json") is None


def test_a_directory_can_be_moved(cache_dir, tmp_path):
    fill()
    cache_dir.rename(tmp_path / "moved")
    with jitload.Session(cache_dir=tmp_path / "moved"):
        assert contents(CacheManager(KEY).get_group("k.json")) == FILES
    assert str(tmp_path).encode() not in b"".join(
        path.read_bytes() for path in (tmp_path / "moved" / "objects").rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("data", [b"bytes", "text", {"as": "str"}], ids=["bytes", "str", "object"])
def test_a_file_alone_is_kept_at_once(data, cache_dir):
    manager = CacheManager(KEY)
    assert (manager.get_file("k.autotune.json"), manager.has_file("k.autotune.json")) == (None, False)
    path = manager.put(data, "k.autotune.json", binary=False)
    expected = data if isinstance(data, bytes) else str(data).encode()
    assert pathlib.Path(path).read_bytes() == expected
    with jitload.Session(cache_dir=cache_dir):
        other = CacheManager(KEY)
        assert other.has_file("k.autotune.json")
        assert pathlib.Path(other.get_file("k.autotune.json")).read_bytes() == expected


def test_a_file_of_a_group_is_found_by_its_name():
    fill()
    manager = CacheManager(KEY)
    assert manager.has_file("k.cubin")
    assert pathlib.Path(manager.get_file("k.cubin")).read_bytes() == FILES["k.cubin"]
    assert manager.get_file("k.ptx") is None


def test_a_group_may_hold_files_that_were_put_before(tmp_path):
    manager = CacheManager(KEY)
    (tmp_path / "elsewhere").write_bytes(b"there")
    manager.put_group("g.json", {"one": manager.put(b"1", "one"), "two": str(tmp_path / "elsewhere")})
    assert contents(CacheManager(KEY).get_group("g.json")) == {"one": b"1", "two": b"there"}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\0b", "x" * 300], ids=repr)
def test_no_name_leads_out_of_the_directory(name):
    with pytest.raises(UsageValueError, match="not the name of a file"):
        CacheManager(KEY).put(b"v", name)
    with pytest.raises(UsageValueError, match="not the name of a file"):
        CacheManager(name).put(b"v", "k")


def packed(rows, data=b""):
    text = json.dumps(rows).encode()
    return len(text).to_bytes(4, "little") + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff{}",
        packed({}) + b"more",
        packed([["../k", 1]], b"x"),
        packed([["k", -1]], b""),
        packed([["k", 5]], b"x"),
        packed([["k", True]], b"x"),
        packed([["k"]], b"x"),
        packed([[1, 1]], b"x"),
        packed(5),
    ],
    ids=lambda data: data.hex()[:40] or "empty",
)
def test_what_is_no_group_is_a_miss(data):
    """As who may write to a remote without signatures could make it."""
    Cache.default().blobs("triton").put(f"{KEY}/__grp__k.json", data)
    assert CacheManager(KEY).get_group("k.json") is None


@pytest.mark.parametrize("name", [None, 5, b"k", "", "..", "a/b", "\0", "\ud800", "x" * 300, ["k"]])
def test_what_is_not_the_name_of_a_file_is_refused_and_nothing_is_kept(name):
    manager = CacheManager(KEY)
    for ask in (manager.get_file, manager.has_file, lambda name: manager.put(b"v", name)):
        with pytest.raises(UsageValueError, match="is not the name of a file"):
            ask(name)
    assert len(Cache.default().blobs("triton")) == 0


def test_of_threads_that_miss_one_compiles(in_threads):
    missed = []

    def work():
        manager = CacheManager(KEY)
        if manager.get_group("k.json") is None:
            missed.append(time.sleep(0.05))
            manager.put_group("k.json", {"k.json": manager.put(b"{}", "k.json")})

    in_threads(work)
    assert len(missed) == 1


def test_a_compile_that_fails_holds_nobody_up():
    def fails():
        assert CacheManager(KEY).get_group("k.json") is None

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join(60)
    fill()


def test_a_child_of_a_fork_has_files_of_its_own_and_leaves_those_of_its_parent():
    program = f"""
import os, pathlib
from jitload.interop.triton import CacheManager
path = CacheManager({KEY!r}).put(b"v", "k")
child = os.fork()
own = CacheManager({KEY!r}).put(b"v", "k")
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert pathlib.Path(path).read_bytes() == b"v" and own == path
else:
    assert own != path
print(own)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    paths = done.stdout.split()
    assert len(set(paths)) == 2
    assert not any(pathlib.Path(path).exists() for path in paths)


def test_a_hit_in_a_new_process_loads_nothing_that_is_for_requests(tmp_path):
    program = f"""
import sys
from jitload.interop.triton import CacheManager
manager = CacheManager({KEY!r})
if manager.get_group("k.json") is None:
    manager.put_group("k.json", {{"k.json": manager.put(b"", "k.json")}})
print(*[name for name in sys.modules if name.startswith("jitload.")])
"""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    run = [sys.executable, "-c", program]
    for _ in range(2):
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "jitload.tiers.disk" in loaded
    assert not loaded & {"jitload.source.request", "jitload.headers.record", "jitload.compiler", "jitload.tiers.flight"}


#: A program on modules that have what is touched of Triton.
STAND_IN = """
import functools, sys
from types import ModuleType, SimpleNamespace
names = ("triton", "triton.knobs", "triton.runtime", "triton.runtime.cache", "triton.runtime.autotuner")
modules = {name: ModuleType(name) for name in names}
sys.modules.update(modules)
triton, knobs, _, cache, autotuner = modules.values()
triton.__version__, triton.__file__ = sys.argv[1], "/nowhere/triton/__init__.py"
knobs.cache = SimpleNamespace(manager_class=None)
exec("def triton_key(): return 'made'", vars(cache))
cache.CacheManager = type("CacheManager", (), {})
autotuner.triton_key = before = cache.triton_key = functools.lru_cache(cache.triton_key)
from jitload.interop.triton import CacheManager, install
"""


def on_stand_in(program, version, tmp_path):
    """What the program prints, word by word."""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    run = [sys.executable, "-c", STAND_IN + program, version]
    return subprocess.run(run, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.mark.parametrize(("version", "own"), [("3.9.1", False), ("3.10.0", True), ("4.0", True)])
def test_only_a_triton_whose_key_is_known_has_it_remembered(version, own, tmp_path):
    program = """
for _ in range(2):
    install()
assert knobs.cache.manager_class is CacheManager
assert cache.triton_key is autotuner.triton_key and cache.triton_key() == "made"
print(cache.triton_key is before)
"""
    assert on_stand_in(program, version, tmp_path) == [str(own)]


@pytest.mark.parametrize(("version", "own"), [("3.9.1", False), ("3.10.0", True)])
def test_the_first_manager_has_it_remembered_where_only_the_variable_is_set(version, own, tmp_path):
    program = """
print(cache.triton_key is before)
CacheManager("KEY"), CacheManager("OTHER")
assert cache.triton_key is autotuner.triton_key and cache.triton_key() == "made"
print(cache.triton_key is before)
"""
    assert on_stand_in(program, version, tmp_path) == ["True", str(own)]


def test_nothing_is_looked_for_in_a_triton_that_is_not_known(tmp_path):
    program = """
del cache.triton_key, autotuner.triton_key
CacheManager("KEY")
install()
print(knobs.cache.manager_class is CacheManager)
"""
    assert on_stand_in(program, "3.10.0", tmp_path) == ["True"]


def test_a_key_that_triton_has_made_is_left_alone(tmp_path):
    program = """
autotuner.triton_key()
CacheManager("KEY")
install()
print(cache.triton_key is before, autotuner.triton_key is before)
"""
    assert on_stand_in(program, "3.9.1", tmp_path) == ["True", "True"]


# -- Triton itself --


@pytest.fixture
def triton():
    pytest.importorskip("triton", reason="triton is not installed")


@pytest.fixture
def start(triton, tmp_path):
    """`start(directory)`: a process that compiles a kernel for sm_90, with `end` for what it tells."""

    def begin(directory, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRITON")}
        environment |= {
            "JITLOAD_CACHE_DIR": str(directory),
            "PYTHONPATH": str(REPOSITORY),
            "TRITON_CACHE_DIR": str(tmp_path / "not-used"),
            "TRITON_CACHE_MANAGER": "jitload.interop.triton:CacheManager",
            "TRITON_DEFAULT_FP_FUSION": "1",
            **variables,
        }
        return subprocess.Popen(
            [sys.executable, str(KERNEL), "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def end(process):
    out, log = process.communicate(timeout=240)
    assert process.returncode == 0, log[-3000:]
    return json.loads(out.splitlines()[-1])


def test_triton_compiles_once_and_hits_also_in_a_moved_directory(start, cache_dir, tmp_path):
    cold, warm = end(start(cache_dir)), end(start(cache_dir))
    assert (cold["hit"], warm["hit"]) == (False, True)
    assert cold["digest"] == warm["digest"]
    cache_dir.rename(tmp_path / "moved")
    assert end(start(tmp_path / "moved")) == warm
    assert not (tmp_path / "not-used").exists()
    for path in [path for path in (tmp_path / "moved" / "objects").rglob("*") if path.is_file()]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert end(start(tmp_path / "moved")) == cold


def test_of_four_processes_of_triton_one_compiles(start, cache_dir):
    told = [end(process) for process in [start(cache_dir) for _ in range(4)]]
    assert sorted(one["hit"] for one in told) == [False, True, True, True]


def test_a_second_machine_compiles_nothing(start, tmp_path):
    remote = {"JITLOAD_REMOTE": f"file://{tmp_path}/shared"}
    assert not end(start(tmp_path / "one", **remote))["hit"]
    assert end(start(tmp_path / "two", **remote))["hit"]


def test_installed_it_makes_the_key_that_triton_makes_once_for_all_processes(triton, cache_dir):
    """Hashing half a gigabyte is most of a warm start; a second process does not read the library."""
    program = """
import json, sys
from jitload.interop import triton as jitload_triton
import triton
from triton import knobs
from triton.runtime import autotuner, cache
own = cache.triton_key
jitload_triton.install()
jitload_triton.install()
assert knobs.cache.manager_class is jitload_triton.CacheManager
assert cache.triton_key is autotuner.triton_key is not own
key, made = cache.triton_key(), own.cache_info().misses
print(json.dumps([made, key == own()]))
"""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir)}
    run = [sys.executable, "-c", program]
    told = [
        json.loads(subprocess.run(run, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout)
        for _ in range(2)
    ]
    assert told == [[1, True], [0, True]]


def test_dumps_and_overrides_are_tritons_own(start, cache_dir, tmp_path):
    dump = {"TRITON_KERNEL_DUMP": "1", "TRITON_DUMP_DIR": str(tmp_path / "dump"), "TRITON_ALWAYS_COMPILE": "1"}
    end(start(cache_dir, **dump))
    (ptx,) = (tmp_path / "dump").rglob("*.ptx")
    other = {"TRITON_KERNEL_OVERRIDE": "1", "TRITON_OVERRIDE_DIR": str(tmp_path / "dump"), "TRITON_ALWAYS_COMPILE": "1"}
    edited = ptx.read_text().replace(".entry add_kernel", "// edited\n.entry add_kernel")
    assert "// edited" in edited
    ptx.write_text(edited)
    assert "// edited" in end(start(cache_dir, **other))["ptx"]


def test_by_the_variable_a_process_that_asks_for_a_module_in_c_first_remembers_the_key_as_well(triton, cache_dir):
    """As with a GPU: Triton's module for the driver is asked for before any kernel."""
    program = """
import json
import triton
from triton.runtime import cache
own = cache.triton_key
cache.get_cache_manager("00").get_file("cuda_utils.so")
key, made = cache.triton_key(), own.cache_info().misses
print(json.dumps([made, key == own()]))
"""
    environment = {
        **os.environ,
        "JITLOAD_CACHE_DIR": str(cache_dir),
        "TRITON_CACHE_MANAGER": "jitload.interop.triton:CacheManager",
    }
    run = [sys.executable, "-c", program]
    told = [
        json.loads(subprocess.run(run, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout)
        for _ in range(2)
    ]
    assert told == [[1, True], [0, True]]
