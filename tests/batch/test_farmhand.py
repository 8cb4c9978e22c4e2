"""A worker of a farm: when its compiler processes end."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys, time
import jitload
from jitload.batch import farmhand
from jitload.batch.parcel import Parcel, decode_reply
from jitload.compiler.toolkit import toolchain
from jitload.workloads.workload import Workload


def ask(number):
    source = f'extern "C" __global__ void k(int *x) {{ *x = {number}; }}'
    with jitload.record(f"{number}.jlw"):
        jitload.compile(source, kind="ptx", arch="compute_90", cache=jitload.Cache())
    request = jitload.CompileRequest(source, kind="ptx", arch="compute_90")
    parcel = Parcel(Workload.read(f"{number}.jlw"), [request.digest], [toolchain(None)], "missing")
    (row,) = decode_reply(farmhand.answer(parcel.encode())).rows
    assert row.outcome == "compiled", row


def children():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                state, parent = file.read().rpartition(") ")[2].split()[:2]
        except OSError:  # it has ended
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.append(pid)
    return found


def wait_for_their_end():
    end = time.monotonic() + 60
    while children():
        assert time.monotonic() < end, "they wait for work for ever"
        time.sleep(0.05)


farmhand.IDLE_SECONDS = 3600.0
ask(1)
assert children()
child = os.fork()
if child == 0:
    status = 1
    try:
        farmhand.IDLE_SECONDS = 0.1
        ask(2)
        wait_for_their_end()
        status = 0
    finally:
        os._exit(status)
_, status = os.waitpid(child, 0)
assert status == 0, status
farmhand.end_idle()
wait_for_their_end()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_child_of_a_fork_ends_its_idle_compilers_though_its_parent_had_a_timer(tmp_path, monkeypatch):
    """A fork takes along what is known of the timer, and not the thread."""
    monkeypatch.setenv("JITLOAD_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True, timeout=240)
