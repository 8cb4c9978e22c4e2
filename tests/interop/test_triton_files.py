"""The files that Triton opens: in memory where there is room, of this process, and gone with it."""

import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

import pytest

import jitload
from jitload.interop import triton_files
from jitload.interop.triton_files import ProcessFiles

REPOSITORY = pathlib.Path(jitload.__file__).parent.parent
WRITE = """
import sys
from jitload.interop import triton_files
triton_files.MEMORY = sys.argv[1]
files = triton_files.ProcessFiles("KEY")
print(files.write("k.cubin", b"v"), files.write("k.so", b"v", loaded=True), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """`start()`: a process with such files, which stands still until it is ended; and where its files are.

    What stands for the file system in memory is tmp_path / "memory", so that it has room.
    """
    memory = tmp_path / "memory"
    memory.mkdir()
    with ExitStack() as processes:

        def begin(**variables):
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
            process = subprocess.Popen(
                [sys.executable, "-c", WRITE, str(memory)],
                env={name: value for name, value in environment.items() if value},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process, *map(pathlib.Path, process.stdout.readline().split())

        yield begin


def end(process):
    process.stdin.close()
    assert process.wait(60) == 0


def test_they_go_with_their_process(start, tmp_path):
    process, kernel, module = start(TMPDIR="")
    assert kernel.read_bytes() == b"v"
    assert kernel.is_relative_to(tmp_path / "memory")
    assert not module.is_relative_to(tmp_path / "memory")  # which may be mounted noexec
    end(process)
    assert not kernel.parent.parent.exists()
    assert not module.parent.parent.exists()


def test_tmpdir_says_where_they_stand(start, tmp_path):
    _, kernel, module = start(TMPDIR=str(tmp_path))
    assert {kernel.parents[2], module.parents[2]} == {tmp_path}


def test_what_a_killed_process_has_left_is_removed_by_the_next_and_nothing_else(start):
    (killed, kernel, module), (alive, other, _) = start(TMPDIR=""), start(TMPDIR="")
    left, kept = kernel.parent.parent, other.parent.parent
    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    end(start(TMPDIR="")[0])
    assert left.exists()  # too young to be certain of
    an_hour_ago = time.time() - 3600
    for directory in (left, kept):
        os.utime(directory, (an_hour_ago, an_hour_ago))
    end(start(TMPDIR="")[0])
    assert not left.exists()
    assert other.exists()
    end(alive)
    assert not kept.exists()
    shutil.rmtree(module.parent.parent)  # on the disk, where what is left costs no memory


def test_a_full_memory_is_not_the_end(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    real = os.open

    def refuse(path, flags, *rest, **more):
        if str(path).startswith(triton_files.MEMORY) and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "no room", path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    path = pathlib.Path(ProcessFiles("FULL").write("k.cubin", b"v"))
    assert path.is_relative_to("/tmp")
    assert path.read_bytes() == b"v"


def test_what_another_thread_has_half_written_is_replaced():
    path = pathlib.Path(ProcessFiles("TWICE").write("k.cubin", b"whole"))
    path.write_bytes(b"wh")
    assert pathlib.Path(ProcessFiles("TWICE").write("k.cubin", b"whole")).read_bytes() == b"whole"
