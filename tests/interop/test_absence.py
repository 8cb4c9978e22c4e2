"""jitload's registry needs neither tvm-ffi nor NVRTC nor a CUDA driver; what needs them says so."""

import os
import subprocess
import sys

import jitload

# Hides packages and libraries the way a machine without them does.
HIDE = """
import sys, ctypes
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tvm_ffi", "cuda"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""

WHOLE_REGISTRY = """
import jitload
def load(data):
    return jitload.Module("echo", {"payload": lambda: data}, data=data)
with jitload.register_loader("echo", load):
    top = jitload.LibraryModule()
    top.import_module(jitload.load_module_from_bytes("echo", b"bytes"))
    root = jitload.load_module_from_bytes("library_bin", jitload.pack_module(top))
    assert root.get_function("payload", query_imports=True)() == b"bytes"
try:
    jitload.load_module_from_bytes("echo", b"")
except jitload.LoaderNotFoundError as error:
    assert "ffi.Module.load_from_bytes.echo" in str(error)
jitload.register_system_symbol("f", len)
assert jitload.system_lib()["f"] is len
cubin = sys.stdin.buffer.read()
module = jitload.load_module_from_bytes("cubin", cubin)
assert module.functions == ("k",) and module.save_to_bytes() == cubin
try:
    module["k"]
except jitload.LoadError as error:
    print(error)
try:
    import jitload.interop.tvm_ffi
except ModuleNotFoundError as error:
    print(error)
assert not {"tvm_ffi", "cuda.bindings"} & set(sys.modules)
"""


def test_the_whole_registry_works_without_them(cache_dir):
    cubin = jitload.compile('extern "C" __global__ void k() {}', kind="cubin", arch="sm_80").data
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(jitload.__file__))}
    command = [sys.executable, "-W", "error", "-c", HIDE + WHOLE_REGISTRY]
    done = subprocess.run(command, input=cubin, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    why, missing = done.stdout.decode().splitlines()
    assert why.startswith("no CUDA driver")
    assert missing == "No module named 'tvm_ffi'"


def test_importing_jitload_does_not_import_tvm_ffi():
    code = "import sys, jitload; jitload.load_module_from_bytes; jitload.Module; print('tvm_ffi' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(jitload.__file__))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
