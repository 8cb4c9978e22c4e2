"""What names the working directory is compiled as if that were "/", and the process keeps its own."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

import jitload
from jitload.compiler.rooted import call_in_root

SOURCE = 'extern "C" __global__ void triple(int *x) { *x *= 3; }'


def test_the_working_directory_is_the_root_for_that_call_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    here, seen, stop = str(tmp_path), set(), threading.Event()

    def look():
        while not stop.is_set():
            seen.add(os.getcwd())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        assert call_in_root(lambda: (time.sleep(0.02), os.getcwd())[1]) == "/"
        assert os.getcwd() == here
    finally:
        stop.set()
        watching.join()
    assert seen == {here}


def test_what_a_call_raises_comes_out():
    with pytest.raises(ZeroDivisionError):
        call_in_root(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ltoir", ["-rdc=true"]),
        ("ltoir", ["-lineinfo"]),
        ("cubin", ["-G", "-rdc=true"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_equal_inputs_give_equal_bytes_in_every_directory(kind, options, monkeypatch, tmp_path):
    """So a link of them is found in a cache that another directory has filled."""
    images = []
    for name in ("one", "another/directory"):
        (tmp_path / name).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        images.append(jitload.compile(SOURCE, kind=kind, arch="sm_80", options=options, cache=jitload.Cache()).data)
    assert images[0] == images[1]


def test_a_link_made_in_one_directory_is_a_hit_in_another(tmp_path):
    program = f"""
import os, sys, jitload
os.chdir(sys.argv[1])
cache = jitload.Cache(sys.argv[2])
unit = jitload.compile({SOURCE!r}, kind="ltoir", arch="sm_80", options=["-rdc=true"], cache=jitload.Cache())
jitload.link([unit], arch="sm_80", cache=cache)
print(jitload.stats().links)
"""
    for name, links in (("one", "1"), ("another", "0")):
        pathlib.Path(tmp_path / name).mkdir()
        command = [sys.executable, "-c", program, str(tmp_path / name), str(tmp_path / "cache")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.split() == [links]
