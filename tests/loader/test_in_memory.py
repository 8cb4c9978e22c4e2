"""Images arrive as bytes and become modules without a file, a directory or a temporary name on the way."""

import json
import os
import subprocess
import sys

import pytest

import jitload

SOURCE = 'extern "C" __global__ void twice(int *x) { x[threadIdx.x] *= 2; }'

# Runs in a process of its own: an audit hook cannot be taken out again. `touched` are the paths that were opened for
# writing, made, renamed or removed after the hook was set.
WATCHED = """
import json, os, sys
touched = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
def watch(event, args):
    if event == "open":
        path, mode, flags = args
        if isinstance(path, str) and (flags & WRITING if flags is not None else set(mode or "") & set("wax+")):
            touched.append(path)
    elif event in {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.truncate", "subprocess.Popen"}:
        touched.append([event, str(args[0])])
    elif event.startswith("tempfile."):
        touched.append([event, str(args[0])])
kind = sys.argv[1]
image = sys.stdin.buffer.read()
sys.addaudithook(watch)
"""

LOAD = """
import jitload
module = jitload.load_module_from_bytes(kind, image)
functions, saved = module.functions, module.save_to_bytes() == image
"""

LAUNCH = """
import numpy
x = numpy.arange(32, dtype="int32")
module["twice"][1, 32](x)
assert (x == 2 * numpy.arange(32)).all()
"""

TVM_FFI = """
import tvm_ffi
from jitload.interop import tvm_ffi as bridge
bridge.install()
theirs = tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")(kind, image)
assert theirs.implements_function("twice")
"""


def run(kind, code, device, directory, before="pass"):
    with jitload.configure(cache_dir=str(directory / "cache")):
        image = jitload.compile(SOURCE, kind=kind, arch="compute_75" if kind == "ptx" else "sm_80").data
    root = os.path.dirname(os.path.dirname(jitload.__file__))
    empty = directory / "empty"
    empty.mkdir()
    where = {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "JITLOAD_DEVICE": device, "HOME": str(empty)}
    environment = {**os.environ, **where, "JITLOAD_CACHE_DIR": str(empty / "cache"), "TMPDIR": str(empty)}
    program = f"{before}{WATCHED}{code}\nprint(json.dumps([touched, list(functions), saved]))"
    command = [sys.executable, "-c", program, kind]
    done = subprocess.run(
        command, input=image, env=environment, cwd=empty, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert list(empty.iterdir()) == []
    return json.loads(done.stdout)


def test_a_cubin_becomes_a_module_and_no_file_is_created(tmp_path):
    assert run("cubin", LOAD, "cuda", tmp_path) == [[], ["twice"], True]


def test_ptx_becomes_a_module_and_runs_and_no_file_is_created(tmp_path):
    assert run("ptx", LOAD + LAUNCH, "cpu", tmp_path) == [[], ["twice"], True]


@pytest.mark.parametrize("kind", ["cubin", "ptx"])
def test_on_the_way_through_tvm_ffi_no_file_is_created_either(tmp_path, kind):
    pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")
    # tvm-ffi is imported before: to find its library, it starts ldconfig.
    assert run(kind, LOAD + TVM_FFI, "cpu", tmp_path, "import tvm_ffi") == [[], ["twice"], True]


def test_the_watcher_sees_what_it_must(tmp_path):
    touched, _, _ = run(
        "cubin", LOAD + 'open(os.devnull, "w").close(); os.makedirs("."  , exist_ok=True)', "cpu", tmp_path
    )
    assert os.devnull in touched
