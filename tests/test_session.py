"""Sessions: what one has for itself, who sees it, and that it ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitload
from jitload.bundles.build import create
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.toolkit import find_nvrtc
from jitload.config import configure, current
from jitload.errors import CompileDisabledError, NotPrecompiledError, UsageTypeError, UsageValueError
from jitload.tiers.cache import default_cache

SOURCE = 'extern "C" __global__ void k(int *x) { *x = VALUE; }'


def compile_value(value: int) -> jitload.Artifact:
    return jitload.compile(SOURCE.replace("VALUE", str(value)), arch="compute_75")


def in_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def test_two_sessions_in_two_threads_do_not_see_each_other(tmp_path):
    """Settings, caches, counters and the seal of each, however their threads take turns; the process has its own."""
    before, barrier = jitload.stats(), threading.Barrier(2)
    sessions = {
        number: jitload.Session(cache_dir=tmp_path / str(number), device="cpu" if number else "cuda")
        for number in range(2)
    }
    seen = {}

    def work(number):
        with sessions[number]:
            for value in range(3 + number):
                barrier.wait(60) if value < 3 else None
                compile_value(value)
            barrier.wait(60)
            jitload.seal(number == 1)
            barrier.wait(60)
            try:
                compile_value(10 + number)
                sealed = False
            except CompileDisabledError:
                sealed = True
            stats = jitload.stats()
            seen[number] = (current().device, default_cache().directory, stats.compiles, dict(stats.misses), sealed)

    threads = [threading.Thread(target=work, args=[number]) for number in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert seen == {
        0: ("cuda", str(tmp_path / "0"), 4, {"absent": 4}, False),
        1: ("cpu", str(tmp_path / "1"), 4, {"absent": 5}, True),
    }
    assert jitload.stats() == before
    assert current().device == "auto"


def test_a_bundle_of_a_session_is_in_force_in_it_alone(tmp_path):
    request = jitload.CompileRequest(SOURCE.replace("VALUE", "1"), kind="ptx", arch="compute_75")
    jitload.compile(request.source, arch="compute_75")
    create(tmp_path / "k.jlb", [request]).close()
    with jitload.Session(cache_dir=tmp_path / "empty", compile="never"):
        jitload.use_bundle(tmp_path / "k.jlb", trust="unsigned")
        assert compile_value(1)
        assert {tier: count for tier, count in jitload.stats().hits.items() if count} == {"bundle": 1}
    assert bundles_in_force() == ()
    with jitload.Session(cache_dir=tmp_path / "empty", compile="never"), pytest.raises(NotPrecompiledError):
        compile_value(1)


def test_sessions_on_one_directory_share_its_files_and_no_memory(tmp_path):
    served = []
    for _ in range(2):
        with jitload.Session(cache_dir=tmp_path / "shared"):
            compile_value(1)
            compile_value(1)
            served.append({tier: count for tier, count in jitload.stats().hits.items() if count})
    assert served == [{"memory": 1}, {"disk": 1, "memory": 1}]


def test_what_is_configured_outside_does_not_count_and_what_is_inside_does():
    with configure(device="cpu"), jitload.Session(compile="never"):
        assert (current().device, current().compile) == ("auto", "never")
        configure(device="cuda")  # for the session, until it is set again
        with configure(compile="always"):
            assert (current().device, current().compile) == ("cuda", "always")
        assert (current().device, current().compile) == ("cuda", "never")
    assert (current().device, current().compile) == ("auto", "missing")


def test_the_environment_is_below_what_a_session_is_given(monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    monkeypatch.setenv("JITLOAD_COMPILE", "never")
    with jitload.Session(compile="missing"):
        assert (current().device, current().compile) == ("cpu", "missing")
        monkeypatch.setenv("JITLOAD_DEVICE", "cuda")
        assert current().device == "cuda"


def test_a_session_goes_on_where_it_was_left():
    session = jitload.Session()
    with session:
        compile_value(20)
        configure(device="cpu")
    with session:
        assert (jitload.stats().compiles, current().device) == (1, "cpu")


def test_sessions_nest_also_in_themselves():
    outer, inner = jitload.Session(device="cpu"), jitload.Session(device="cuda")
    with outer:
        with inner:
            with outer:
                assert current().device == "cpu"
            assert current().device == "cuda"
        assert current().device == "cpu"
    assert current().device == "auto"


def test_a_session_that_ends_out_of_turn_leaves_those_that_are_open():
    outer, inner = jitload.Session(device="cpu"), jitload.Session(device="cuda")
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    assert current().device == "auto"
    inner.__exit__(None, None, None)  # once more does nothing
    assert current().device == "auto"


def test_a_thread_begins_without_and_may_enter_it():
    session = jitload.Session(device="cpu")
    with session:
        assert in_thread(lambda: current().device) == "auto"
        assert in_thread(session.run, lambda: current().device) == "cpu"
        assert in_thread(contextvars.copy_context().run, lambda: current().device) == "cpu"
    assert session.run(lambda: current().device) == "cpu"
    assert current().device == "auto"


def test_tasks_have_the_session_in_which_they_were_made():
    async def device():
        await asyncio.sleep(0)
        return current().device

    async def main():
        with jitload.Session(device="cpu"):
            task = asyncio.create_task(device())
        return await task, await device()

    assert asyncio.run(main()) == ("cpu", "auto")


def test_what_cannot_be_set_is_refused_before_anything_is_in_force(monkeypatch):
    with pytest.raises(UsageTypeError, match="no option 'devices'"):
        jitload.Session(devices="cpu")
    with pytest.raises(UsageValueError, match="device"):
        jitload.Session(device="gpu")
    monkeypatch.setenv("JITLOAD_COMPILE", "sometimes")
    session = jitload.Session(device="cpu")
    with pytest.raises(UsageValueError, match="JITLOAD_COMPILE"):
        session.__enter__()
    monkeypatch.delenv("JITLOAD_COMPILE")
    assert current().device == "auto"


def test_a_session_looks_for_the_compiler_itself(monkeypatch):
    before = find_nvrtc()
    with jitload.Session():
        assert find_nvrtc() == before
        assert find_nvrtc() is find_nvrtc()
    assert find_nvrtc() is before


def test_synchronous_launches_of_a_session_are_seen_by_a_kernel_that_was_bound_before():
    with jitload.Session(sync=True):
        assert jitload.config.sync_seen
