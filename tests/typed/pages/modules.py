import jitload

def load_echo(data: bytes) -> jitload.Module:
    return jitload.Module("echo", {"payload": lambda: data}, data=data)

jitload.register_loader("echo", load_echo)          # or as a decorator, or in a `with` statement for a while
module = jitload.load_module_from_bytes("echo", b"any bytes")
assert module["payload"]() == b"any bytes"

source = 'extern "C" __global__ void twice(int *x) { x[threadIdx.x] *= 2; }'
ptx = jitload.compile(source, kind="ptx", arch="compute_75").data
module = jitload.module_from_ptx(ptx, functions={"double": "twice"}, source=source)
again = jitload.load_module_from_bytes("ptx", module.save_to_bytes())
assert "double" in again.functions and again.inspect_source() == source

top = jitload.LibraryModule({"host": lambda: "host"})      # functions of the program: in the blob, a place for them
top.import_module(jitload.load_module_from_bytes("echo", b"inside"))
blob = jitload.pack_module(top)

root = jitload.load_module_from_bytes("library_bin", blob)
assert root.get_function("payload", query_imports=True)() == b"inside"
root = jitload.load_whole_module(blob, jitload.LibraryModule({"host": lambda: "mine"}))
assert root["host"]() == "mine"

jitload.register_system_symbol("demo_host", lambda: "linked in")
jitload.register_system_symbol("demo___tvm_ffi__library_bin", blob)
root = jitload.system_lib("demo_")
assert root["host"]() == "linked in"
assert root.get_function("payload", query_imports=True)() == b"inside"

import numpy as np
import tvm_ffi
from jitload.interop import tvm_ffi as jitload_tvm_ffi

jitload.configure(device="cpu")
jitload_tvm_ffi.install()

load = tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")       # for C++ and Rust too
module = load("ptx", ptx)                                       # a tvm_ffi.Module
x = np.arange(32, dtype=np.int32)
module["twice"](x, 1, 1, 1, 32, 1, 1)                           # arguments, grid x y z, block x y z
assert (x == 2 * np.arange(32)).all()

jitload_tvm_ffi.uninstall()
