"""`jitload.on_event`: what is told, when, to whom; and that listening changes nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import jitload
from jitload import events

SOURCE = 'extern "C" __global__ void k(int *x) { x[0] = 1; }'
KIND = {"kind": "ptx", "arch": "compute_75"}


@pytest.fixture
def told():
    """The events of the test, in order."""
    found = []
    with jitload.on_event(found.append):
        yield found


def names(found):
    return [event.name for event in found]


def test_a_miss_a_compile_and_a_hit_of_each_tier(told, tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    artifact = jitload.compile(SOURCE, cache=cache, **KIND)
    miss, compiled = told
    assert (miss.name, miss.kernel, miss.kind, miss.arch, miss.reason) == ("miss", "k", "ptx", "compute_75", "absent")
    assert (miss.tier, miss.seconds, len(miss.key)) == ("", 0.0, 64)
    assert compiled == jitload.Event(
        "compile", "k", artifact.key, "ptx", "compute_75", seconds=artifact.compile_seconds
    )
    told.clear()
    jitload.compile(SOURCE, cache=cache, **KIND)
    jitload.compile(SOURCE, cache=jitload.Cache(tmp_path / "cache"), **KIND)
    assert told == [
        jitload.Event("hit", "k", artifact.key, "ptx", "compute_75", tier="memory"),
        jitload.Event("hit", "k", artifact.key, "ptx", "compute_75", tier="disk"),
    ]


def test_a_miss_says_why(told, tmp_path):
    (tmp_path / "k.cu").write_text('#include "v.h"\n__global__ void k(int *x) { x[0] = V; }\n')
    (tmp_path / "v.h").write_text("#define V 1\n")
    cache = jitload.Cache(tmp_path / "cache")
    jitload.compile(tmp_path / "k.cu", cache=cache, **KIND)
    (tmp_path / "v.h").write_text("#define V 22\n")
    jitload.compile(tmp_path / "k.cu", cache=cache, **KIND)
    with jitload.configure(compile="always"):
        jitload.compile(tmp_path / "k.cu", cache=cache, **KIND)
    assert [event.reason for event in told if event.name == "miss"] == ["absent", "header changed", "compile=always"]
    assert names(told) == ["miss", "compile"] * 3


def test_templates_are_told_by_their_name_expressions(told):
    source = "template <class T> __global__ void fill(T *x) { *x = 0; }"
    jitload.compile(source, names=["fill<int>", "fill<float>"], cache=jitload.Cache(), **KIND)
    assert [event.kernel for event in told] == ["fill<float>, fill<int>"] * 2


def test_a_bundle_that_serves_and_one_that_is_refused(told, tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    request = jitload.CompileRequest(SOURCE, **KIND)
    artifact = jitload.compile(SOURCE, cache=cache, **KIND)
    path = tmp_path / "k.jlb"
    jitload.Bundle.create(path, [request], cache=cache)
    told.clear()
    with jitload.configure(bundles=path, trust="unsigned"):
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert [(event.name, event.tier, event.key) for event in told] == [
        ("hit", "bundle", artifact.key),
        ("hit", "memory", artifact.key),
    ]
    told.clear()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.jlb").write_bytes(data)
    with (
        jitload.configure(bundles=tmp_path / "bad.jlb", trust="unsigned"),
        pytest.raises(jitload.BundleError) as caught,
    ):
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    (event,) = told
    assert (event.name, event.kernel, event.tier, event.reason) == ("reject", "k", "bundle", str(caught.value))


def test_a_damaged_entry_is_refused_before_it_is_a_miss(told, tmp_path, caplog):
    cache = jitload.Cache(tmp_path / "cache")
    artifact = jitload.compile(SOURCE, cache=cache, **KIND)
    entry = next(path for path in (tmp_path / "cache" / "objects").rglob("*") if path.is_file())
    data = entry.read_bytes()
    entry.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    told.clear()
    jitload.compile(SOURCE, cache=jitload.Cache(tmp_path / "cache"), **KIND)
    rejected = told[0]
    assert (rejected.name, rejected.tier, rejected.key) == ("reject", "disk", artifact.key)
    assert "digest" in rejected.reason
    assert names(told) == ["reject", "miss", "compile"]
    assert told[1].reason == "damaged"


def test_what_is_dropped_for_room_is_told_by_its_key(told, tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    keys = {jitload.compile(SOURCE + f"// {n}", cache=cache, **KIND).key for n in range(3)}
    told.clear()
    cache.gc(max_bytes=0)
    assert {(event.name, event.tier) for event in told} == {("evict", "disk")}
    assert {event.key for event in told} == keys
    told.clear()
    cache.memory.max_bytes = 1 + len(cache.memory.read(next(iter(keys)))[0].data)
    jitload.compile(SOURCE + "// 3", cache=cache, **KIND)
    assert {(event.name, event.tier) for event in told if event.name == "evict"} == {("evict", "memory")}


def test_loads_of_artifacts_kernels_and_bytes(told):
    artifact = jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    told.clear()
    with jitload.configure(device="cpu"):
        artifact.load()
        jitload.load_module_from_bytes("ptx", artifact.data)
    one, other = told
    assert (one.name, one.kernel, one.key, one.kind, one.arch) == ("load", "k", artifact.key, "ptx", "compute_75")
    assert (other.name, other.kernel, other.key, other.kind) == ("load", "k", "", "ptx")
    assert one.seconds > 0
    assert other.seconds > 0


def test_a_jit_kernel_tells_its_first_use_and_nothing_of_a_launch(told):
    @jitload.jit_kernel(source=SOURCE + "// first use\n", cache=jitload.Cache())
    def k(x): ...

    with jitload.configure(device="cpu"):
        for _ in range(3):
            k[1, 1](np.zeros(1, np.int32))
    assert names(told) == ["miss", "compile", "load"]
    assert {event.kernel for event in told} == {"k"}


def test_whoever_waits_for_another_thread_says_how_long(told):
    started, go_on = threading.Event(), threading.Event()
    cache = jitload.Cache()
    request = jitload.CompileRequest(SOURCE + "// waited for\n", **KIND)

    def slowly(request, closure, toolchain):
        from jitload.compiler.program import compile_artifact

        started.set()
        go_on.wait(10)
        return compile_artifact(request, closure, toolchain)

    from jitload.door import compile_request

    first = threading.Thread(target=compile_request, args=(request, cache), kwargs={"compiler": slowly})
    first.start()
    started.wait(10)
    second = threading.Thread(target=compile_request, args=(request, cache))
    second.start()
    time.sleep(0.2)
    go_on.set()
    first.join()
    second.join()
    (wait,) = [event for event in told if event.name == "wait"]
    assert (wait.kernel, wait.key, wait.kind, wait.arch) == ("k", request.digest, "ptx", "compute_75")
    assert 0.1 < wait.seconds < 10
    assert names(told).count("compile") == 1


def test_listening_begins_at_once_and_ends_with_the_block_or_with_remove():
    one, other = [], []
    listening = jitload.on_event(one.append)
    with jitload.on_event(other.append) as same:
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
        same.close()
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert (len(one), len(other)) == (4, 2)
    assert "no more" not in repr(listening)
    listening.remove()
    listening.remove()
    assert "no more" in repr(listening)
    jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert (len(one), len(other)) == (4, 2)
    assert events.listeners == ()


def test_the_same_callback_may_listen_twice_and_stop_once():
    found = []
    with jitload.on_event(found.append):
        with jitload.on_event(found.append):
            jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert len(found) == 4 + 2


def test_a_callback_that_raises_fails_nothing_and_is_said_once(told, caplog):
    def broken(event):
        raise RuntimeError(f"no {event.name}")

    with jitload.on_event(broken):
        assert jitload.compile(SOURCE, cache=jitload.Cache(), **KIND).kernels
        assert jitload.compile(SOURCE, cache=jitload.Cache(), **KIND).kernels
    assert caplog.text.count("raised RuntimeError: no ") == 1
    assert names(told) == ["miss", "compile"] * 2  # the others hear it all the same


def test_what_a_callback_compiles_is_told_to_nobody():
    found = []

    def compiling(event):
        found.append(event)
        jitload.compile(SOURCE + "// by the callback\n", cache=jitload.Cache(), **KIND)

    with jitload.on_event(compiling):
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
        jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert names(found) == ["miss", "compile"] * 2


@pytest.mark.parametrize("callback", [None, "print", 3], ids=str)
def test_what_cannot_be_called_does_not_listen(callback):
    with pytest.raises(jitload.UsageTypeError, match="on_event takes a function of one Event"):
        jitload.on_event(callback)


def test_an_event_is_a_frozen_value():
    event = jitload.Event("hit", "k", tier="disk")
    assert event == pickle.loads(pickle.dumps(event))
    assert len({event, jitload.Event("hit", "k", tier="disk")}) == 1
    with pytest.raises(AttributeError, match="frozen"):
        event.name = "miss"


def test_threads_that_come_and_go_lose_no_event(told):
    cache = jitload.Cache()
    jitload.compile(SOURCE, cache=cache, **KIND)
    told.clear()

    def come_and_go():
        for _ in range(50):
            with jitload.on_event(lambda event: None):
                jitload.compile(SOURCE, cache=cache, **KIND)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(told) == ["hit"] * 200
    assert len(events.listeners) == 1


def test_who_listens_at_the_same_moment_is_heard_all_the_same():
    """Adding and taking away are changes of one tuple; none gets lost between two threads."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    kept = []

    def add_many():
        mine = [jitload.on_event(lambda event: None) for _ in range(200)]
        for listening in mine[::2]:
            listening.remove()
        kept.extend(mine[1::2])

    try:
        threads = [threading.Thread(target=add_many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert set(events.listeners) == set(kept)
    for listening in kept:
        listening.remove()


def test_a_forked_child_goes_on_telling():
    code = f"""
import os, jitload
found = []
jitload.on_event(found.append)
cache = jitload.Cache()
jitload.compile({SOURCE!r}, cache=cache, kind="ptx", arch="compute_75")
pid = os.fork()
jitload.compile({SOURCE!r}, cache=cache, kind="ptx", arch="compute_75")
if pid == 0:
    os._exit(len(found))
print(len(found), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=60
    )
    assert done.stdout.split() == ["3", "3"], done.stderr
