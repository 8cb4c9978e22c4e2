"""What somebody names is a regular file, or an error at once: a FIFO that nobody writes to is never waited for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import jitload
from jitload.batch.plan import Plan
from jitload.bundles.sign import sign_bundle
from jitload.bundles.trust_file import find_key
from jitload.errors import JitloadError
from jitload.files.regular import open_regular
from jitload.source.python_text import python_source
from jitload.workloads.workload import Workload

SOURCE = 'extern "C" __global__ void k(int *o) { *o = 1; }\n'


@pytest.fixture(autouse=True)
def at_once():
    """What waits is told so, rather than left to wait."""

    def fail(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def bundle(tmp_path):
    jitload.Bundle.create(tmp_path / "k.jlb", [jitload.CompileRequest(SOURCE, kind="ptx", arch="compute_80")])
    return tmp_path / "k.jlb"


def compile_with(header):
    source = f'#include "{header.name}"\n{SOURCE}'
    return jitload.compile(source, kind="ptx", arch="compute_80", include_dirs=[header.parent])


READERS = {
    "artifact": (jitload.Artifact.open, "a.jle"),
    "module": (jitload.load_module, "a.ptx"),
    "module without a suffix": (jitload.load_module, "a"),
    "source": (lambda path: jitload.compile(path, kind="ptx", arch="compute_80"), "a.cu"),
    "header": (compile_with, "a.h"),
    "plan": (Plan.read, "a.toml"),
    "workload": (Workload.read, "a.jlw"),
    "item of a bundle": (lambda path: jitload.Bundle.create(path.parent / "b.jlb", [path], archs=["sm_80"]), "a.jlw"),
    "bundle": (jitload.Bundle.open, "a.jlb"),
    "key": (lambda path: find_key(str(path), []), "a.pub"),
}


@pytest.mark.parametrize("kind", ["fifo", "zero"])
@pytest.mark.parametrize(("read", "name"), READERS.values(), ids=READERS)
def test_what_is_no_file_is_an_error_with_its_name_at_once(read, name, kind, tmp_path):
    path = tmp_path / name
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises((JitloadError, OSError), match=name):
        read(path)


def test_a_private_key_and_the_file_beside_it_may_be_fifos(bundle, tmp_path):
    """The first is an error; the second is no name."""
    pytest.importorskip("cryptography")
    from jitload.bundles.sign import generate_keys

    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(jitload.TrustError, match="fifo: not a regular file"):
        sign_bundle(bundle, tmp_path / "fifo")
    generate_keys(tmp_path / "key", "me")
    (tmp_path / "key.pub").unlink()
    os.mkfifo(tmp_path / "key.pub")
    assert sign_bundle(bundle, tmp_path / "key").name == ""


def test_a_header_that_became_a_fifo_is_gone(tmp_path):
    (tmp_path / "a.h").write_text("#define A 1\n")
    compile_with(tmp_path / "a.h")
    (tmp_path / "a.h").unlink()
    os.mkfifo(tmp_path / "a.h")
    with pytest.raises(jitload.CompileError, match=r"a\.h"):
        compile_with(tmp_path / "a.h")


def test_a_python_file_that_is_a_fifo_has_no_text(tmp_path):
    os.mkfifo(tmp_path / "a.py")
    assert python_source(str(tmp_path / "a.py")) is None


def test_directories_sockets_and_missing_files_are_errors_by_their_names(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path, kind in ((tmp_path, IsADirectoryError), (tmp_path / "s", OSError), (tmp_path / "no", OSError)):
            with pytest.raises(kind) as caught:
                open_regular(path)
            assert str(caught.value.filename) == str(path)


def test_a_source_may_come_through_a_pipe_of_our_own(tmp_path):
    """`cat a.cu | jitload compile /dev/stdin`, and `jitload compile <(cat a.cu)`."""
    command = [sys.executable, "-m", "jitload", "compile", "-a", "compute_80", "-o", str(tmp_path / "a.ptx")]
    done = subprocess.run([*command, "/dev/stdin"], input=SOURCE, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b".entry k" in (tmp_path / "a.ptx").read_bytes()
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("bash is not installed")
    (tmp_path / "a.cu").write_text(SOURCE)
    script = f'"$@" <(cat {tmp_path / "a.cu"})'
    done = subprocess.run([shell, "-c", script, "bash", *command], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
