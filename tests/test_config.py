"""Settings: what counts first, what is refused, and that a change is seen."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from pathlib import Path

import pytest

import jitload
from jitload import config
from jitload.config import configure, current
from jitload.errors import UsageTypeError, UsageValueError
from jitload.settings.scope import scope_in_force

DEFAULTS = {
    "cache_max_bytes": config.DEFAULT_CACHE_MAX_BYTES,
    "device": "auto",
    "compile": "missing",
    "offline": False,
    "strict": False,
    "bundles": (),
    "trust": (),
    "record": None,
    "log": None,
    "cpu_check": (),
    "sync": False,
    "read_only_dirs": (),
}


@pytest.fixture(autouse=True)
def _no_settings_left():
    yield
    assert scope_in_force().state.layers == (), "a test left its settings behind"
    assert scope_in_force().blocks == (), "a test left a block open"


def test_defaults():
    assert {name: getattr(current(), name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("JITLOAD_CACHE_DIR", "/a/../b", "cache_dir", "/b"),
        ("JITLOAD_CACHE_MAX_BYTES", "4096", "cache_max_bytes", 4096),
        ("JITLOAD_CACHE_MAX_BYTES", "0", "cache_max_bytes", 0),
        ("JITLOAD_CACHE_MAX_BYTES", "2G", "cache_max_bytes", 2 << 30),
        ("JITLOAD_READ_ONLY_DIRS", "/a:/b", "read_only_dirs", ("/a", "/b")),
        ("JITLOAD_DEVICE", "cpu", "device", "cpu"),
        ("JITLOAD_COMPILE", "never", "compile", "never"),
        ("JITLOAD_OFFLINE", "1", "offline", True),
        ("JITLOAD_OFFLINE", "off", "offline", False),
        ("JITLOAD_STRICT", "yes", "strict", True),
        ("JITLOAD_BUNDLES", "/a.jlb:/b.jlb", "bundles", ("/a.jlb", "/b.jlb")),
        ("JITLOAD_TRUST", "unsigned", "trust", ("unsigned",)),
        ("JITLOAD_TRUST", "ed25519:00, /ci.pub", "trust", ("ed25519:00", "/ci.pub")),
        ("JITLOAD_RECORD", "/w.json", "record", "/w.json"),
        ("JITLOAD_LOG", "debug", "log", "DEBUG"),
        ("JITLOAD_CPU_CHECK", "init, memory,init", "cpu_check", ("memory", "init")),
        ("JITLOAD_SYNC", "true", "sync", True),
        ("CUDA_HOME", "/opt/cuda", "cuda_home", "/opt/cuda"),
    ],
)
def test_each_variable(monkeypatch, variable, text, field, value):
    monkeypatch.setenv(variable, text)
    assert getattr(current(), field) == value
    if variable.startswith("JITLOAD_") and field not in {"cache_dir"}:
        monkeypatch.setenv(variable, "")
        assert getattr(current(), field) == DEFAULTS[field], "an empty variable counts as none"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("JITLOAD_DEVICE", "gpu"),
        ("JITLOAD_COMPILE", "sometimes"),
        ("JITLOAD_OFFLINE", "2"),
        ("JITLOAD_SYNC", "maybe"),
        ("JITLOAD_CPU_CHECK", "memory,races"),
        ("JITLOAD_CACHE_MAX_BYTES", "2X"),
        ("JITLOAD_CACHE_MAX_BYTES", "-1"),
        ("JITLOAD_CACHE_MAX_BYTES", "1.5"),
        ("JITLOAD_LOG", "loud"),
    ],
)
def test_a_variable_that_means_nothing_is_named_with_what_was_expected(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=f"{variable}=.*{text}.*expected"):
        current()


@pytest.mark.parametrize(
    "options",
    [
        {"device": "gpu"},
        {"device": None},
        {"compile": "sometimes"},
        {"compile": True},
        {"offline": "perhaps"},
        {"sync": None},
        {"cache_max_bytes": -1},
        {"cache_max_bytes": 1.5},
        {"cache_max_bytes": True},
        {"cache_max_bytes": "many"},
        {"cache_dir": 7},
        {"cache_dir": ""},
        {"cache_dir": b"/a"},
        {"cache_dir": "/a\0b"},
        {"bundles": 7},
        {"bundles": [7]},
        {"trust": 7},
        {"trust": [b"key"]},
        {"record": 7},
        {"cpu_check": 7},
        {"cpu_check": "race,bounds"},
    ],
    ids=str,
)
def test_configure_refuses_what_means_nothing_and_changes_nothing(options):
    before = current()
    with pytest.raises(ValueError, match=next(iter(options))):
        configure(
            sync=True, **{key: value for key, value in options.items() if key != "sync"}
        ) if "sync" not in options else configure(**options)
    assert current() is before


def test_configure_refuses_an_option_that_does_not_exist_and_lists_those_that_do():
    with pytest.raises(TypeError, match=r"no option 'cache_directory'.*cache_dir, cache_max_bytes"):
        configure(cache_directory="/a")


def test_configure_beats_the_environment_and_the_newest_beats_the_older(monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cuda")
    with configure(device="cpu") as settings:
        assert settings.device == "cpu"
        with configure(device="auto", sync=True):
            assert (current().device, current().sync) == ("auto", True)
        assert (current().device, current().sync) == ("cpu", False)
    assert current().device == "cuda"


def test_configure_without_a_block_stays_until_it_is_taken_back():
    setting = configure(device="cpu")
    assert current().device == "cpu"
    setting.__exit__(None, None, None)
    assert current().device == "auto"


def test_blocks_may_end_in_any_order():
    first, second = configure(device="cpu"), configure(device="cuda", sync=True)
    first.__exit__(None, None, None)
    assert (current().device, current().sync) == ("cuda", True)
    second.__exit__(None, None, None)
    assert (current().device, current().sync) == ("auto", False)
    second.__exit__(None, None, None)
    assert current().device == "auto"


def test_a_block_that_raises_ends_its_settings():
    with pytest.raises(KeyError), configure(device="cpu"):
        raise KeyError
    assert current().device == "auto"


def test_the_same_object_can_be_used_for_a_second_block():
    setting = configure(device="cpu")
    with setting:
        assert current().device == "cpu"
    assert current().device == "auto"
    with setting:
        assert current().device == "cpu"


def test_equal_settings_in_two_blocks_are_two_settings():
    with configure(device="cpu"), configure(device="cpu"):
        pass
    outer = configure(device="cpu")
    with configure(device="cpu"):
        pass
    assert current().device == "cpu"
    outer.__exit__(None, None, None)


def test_a_change_of_the_environment_is_seen_at_once(monkeypatch):
    for device in ("cpu", "cuda", "auto"):
        monkeypatch.setenv("JITLOAD_DEVICE", device)
        assert current().device == device
    monkeypatch.delenv("JITLOAD_DEVICE")
    assert current().device == "auto"


def test_unchanged_settings_are_one_object():
    assert current() is current()


def test_settings_are_frozen():
    with pytest.raises(AttributeError, match="frozen"):
        current().device = "cpu"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/me"}, "/home/me/.cache/jitload"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/var/caches"}, "/var/caches/jitload"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "relative"}, "/home/me/.cache/jitload"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": ""}, "/home/me/.cache/jitload"),
        ({"HOME": "relative"}, None),
        ({"HOME": ""}, None),
        ({}, None),
        ({"HOME": "/home/me", "JITLOAD_CACHE_DIR": "~/kernels"}, "/home/me/kernels"),
        ({"HOME": "/home/me", "JITLOAD_CACHE_DIR": "/scratch"}, "/scratch"),
    ],
    ids=str,
)
def test_where_the_cache_is(monkeypatch, environment, expected):
    for name in ("HOME", "XDG_CACHE_HOME", "JITLOAD_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert current().cache_dir == expected


def test_paths_are_made_absolute_when_they_are_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with configure(cache_dir="kernels", bundles=[Path("a.jlb"), "b.jlb"], record="w.json"):
        monkeypatch.chdir("/")
        assert current().cache_dir == str(tmp_path / "kernels")
        assert current().bundles == (str(tmp_path / "a.jlb"), str(tmp_path / "b.jlb"))
        assert current().record == str(tmp_path / "w.json")


def test_a_cache_in_memory_only():
    with configure(cache_dir=None):
        assert current().cache_dir is None


def test_one_bundle_and_several():
    for given, expected in (
        ("/a.jlb", ("/a.jlb",)),
        (Path("/a.jlb"), ("/a.jlb",)),
        (["/a.jlb"], ("/a.jlb",)),
        (None, ()),
        ((), ()),
    ):
        with configure(bundles=given):
            assert current().bundles == expected


def test_no_setting_is_lost_when_threads_come_and_go():
    """A list that is rebuilt by one thread while another adds to it would lose what was added."""
    failures = []

    def work():
        for _ in range(300):
            mine = configure(record=f"/{threading.get_ident()}.json")  # of this thread alone
            if {"record": f"/{threading.get_ident()}.json"} not in scope_in_force().state.layers:
                failures.append("lost")
            current()
            mine.__exit__(None, None, None)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert current().record is None


def in_thread(function):
    """What a function gives in a thread of its own."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def test_a_block_is_its_threads_alone_and_a_plain_call_is_everybodys():
    with configure(device="cpu", compile="never"):
        assert in_thread(lambda: (current().device, current().compile)) == ("auto", "missing")
    plain = configure(device="cpu")
    assert in_thread(lambda: current().device) == "cpu"
    plain.__exit__(None, None, None)
    assert in_thread(lambda: current().device) == "auto"


def test_no_other_thread_ever_sees_a_block_not_even_while_it_begins():
    """`configure(...)` alone would hold for the process, so the object of a `with` must never have done so."""
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add((current().device, current().sync))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3000):
            with configure(device="cpu"), configure(sync=True) as inner:
                assert (inner.device, inner.sync) == ("cpu", True)
    finally:
        stop.set()
        watcher.join()
        sys.setswitchinterval(interval)
    assert seen == {("auto", False)}


@pytest.mark.parametrize("lines", [1, 3000], ids=["short", "long"])
def test_a_block_is_known_for_one_however_long_it_is(lines):
    """In old Pythons the instruction of a long block has a prefix."""
    text = "def body():\n    with configure(device='cpu'):\n" + "        x = 1\n" * lines + "        return layers()"
    names = {"configure": configure, "layers": lambda: scope_in_force().state.layers}
    exec(text, names)
    assert names["body"]() == ()


def test_a_block_is_known_for_one_where_a_function_gives_it():
    def on_cpu():
        return configure(device="cpu")

    def through_another():
        return on_cpu()

    for function in (on_cpu, through_another, partial(configure, device="cpu")):
        with function():
            assert current().device == "cpu"
            assert scope_in_force().state.layers == ()
        setting = function()
        assert len(scope_in_force().state.layers) == 1
        setting.__exit__(None, None, None)


def test_no_moment_remains_in_which_others_have_a_block():
    """Seen at every step of the interpreter between the call and the block."""
    seen = []

    def trace(frame, event, argument):
        frame.f_trace_opcodes = True
        seen.append(scope_in_force().state.layers)
        return trace

    def body():
        with configure(device="cpu"):
            pass

    before = sys.gettrace()  # coverage's, in the gate: it would see nothing of what this process runs later
    sys.settrace(trace)
    try:
        body()
    finally:
        sys.settrace(before)
    assert len(seen) > 10
    assert set(map(len, seen)) == {0}


def test_a_block_of_a_stack_is_its_threads_alone_once_it_is_entered():
    with ExitStack() as stack:
        stack.enter_context(configure(device="cpu"))
        assert current().device == "cpu"
        assert in_thread(lambda: current().device) == "auto"
    assert current().device == "auto"


def test_two_threads_have_two_settings_at_once_each_with_nested_blocks_and_one_object_for_both():
    shared, barrier, failures = configure(sync=True), threading.Barrier(2), []

    def work(device):
        for _ in range(200):
            with configure(device=device), shared:
                barrier.wait()
                if (current().device, current().sync) != (device, True):
                    failures.append((device, current()))
            if (current().device, current().sync) != ("auto", False):
                failures.append(("after", current()))

    with shared:
        pass  # what it held for the process is over
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(work, ("cpu", "cuda")))
    assert failures == []


def test_a_thread_begins_without_the_block_and_takes_it_along_in_a_copied_context():
    with configure(device="cpu"):
        assert in_thread(lambda: current().device) == "auto"
        assert in_thread(partial(copy_context().run, lambda: current().device)) == "cpu"


def test_tasks_have_the_blocks_in_which_they_were_made_and_blocks_of_their_own():
    async def work(device, gate):
        await gate.wait()
        outer = current().sync
        with configure(device=device):
            await asyncio.sleep(0)
            return outer, current().device

    async def main():
        gate = asyncio.Event()
        with configure(sync=True):
            tasks = [asyncio.create_task(work(device, gate)) for device in ("cpu", "cuda")]
        gate.set()  # the block is over here, and goes on in what was made in it
        return await asyncio.gather(*tasks), current().sync

    assert asyncio.run(main()) == ([(True, "cpu"), (True, "cuda")], False)


def test_a_generator_may_be_closed_by_another_thread_than_began_it():
    def generate():
        with configure(device="cpu"):
            yield current().device

    generator = generate()
    assert next(generator) == "cpu"
    in_thread(generator.close)
    assert current().device == "auto"
    with configure(sync=True):
        assert current().device == "auto"


def test_the_blocks_of_generators_may_end_in_any_order():
    def generate(**options):
        with configure(**options):
            yield

    first, second = generate(device="cpu"), generate(device="cuda", sync=True)
    next(first)
    next(second)
    first.close()
    assert (current().device, current().sync) == ("cuda", True)
    second.close()
    assert (current().device, current().sync) == ("auto", False)


def test_one_object_may_be_entered_within_itself():
    setting = configure(device="cpu")
    with setting:
        with setting, configure(device="cuda"):
            assert current().device == "cuda"
        assert current().device == "cpu"
    assert current().device == "auto"


def test_an_open_block_counts_before_what_is_set_for_the_process_meanwhile():
    with configure(device="cpu"):
        plain = configure(device="cuda", sync=True)
        assert (current().device, current().sync) == ("cpu", True)
    assert current().device == "cuda"
    plain.__exit__(None, None, None)


def test_a_block_that_cannot_begin_leaves_nothing_behind(monkeypatch):
    monkeypatch.setenv("JITLOAD_SYNC", "maybe")
    with pytest.raises(UsageValueError, match="JITLOAD_SYNC"), configure(device="cpu"):
        pass
    monkeypatch.delenv("JITLOAD_SYNC")
    assert current().device == "auto"


def test_settings_can_be_taken_elsewhere():
    with configure(device="cpu", bundles=["/a.jlb"], trust="unsigned", cache_max_bytes="2G") as settings:
        options = settings.options()
    with configure(**options) as again:
        assert again == settings


def test_an_option_that_is_not_there_is_refused_with_those_that_are():
    before = current()
    with pytest.raises(UsageTypeError, match=r"no option 'remotes'; it knows .*\bremote\b"):
        configure(remotes="redis://nowhere:1")
    assert current() is before


def test_importing_reads_nothing_from_the_environment():
    """A nonsensical variable only matters once a setting is asked for."""
    script = "import jitload.config; print('imported'); jitload.config.current()"
    ran = subprocess.run(
        [sys.executable, "-c", script], env={"JITLOAD_DEVICE": "nonsense"}, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "imported\n"
    assert "JITLOAD_DEVICE='nonsense'" in ran.stderr


def test_configure_is_public():
    assert jitload.configure is configure
