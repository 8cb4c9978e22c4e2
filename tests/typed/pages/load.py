from pathlib import Path
import jitload

source = 'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'
ptx = jitload.compile(source, kind="ptx", arch="compute_80").data
cubin = jitload.compile(source, kind="cubin", arch="sm_80").data
fatbin = jitload.compile(source, kind="fatbin", arch=["sm_80", "sm_90"]).data
Path("twice.ptx").write_bytes(ptx)

module: jitload.Module = jitload.load_module_from_bytes("ptx", ptx)
module = jitload.load_module("twice.ptx")             # its suffix, or its content, tells the kind
module = jitload.module_from_ptx(ptx, functions={"double": "twice"}, source=source)
assert "double" in module.functions
jitload.module_from_cubin(cubin)
jitload.module_from_fatbin(fatbin)
jitload.create_module("ptx", ptx, functions={"double": "twice"})

@jitload.register_loader("echo")                      # a kind of one's own
def load_echo(data: bytes) -> jitload.Module:
    return jitload.Module("echo", {"payload": lambda: data}, data=data)

assert "echo" in jitload.registered_kinds()
top = jitload.LibraryModule({"host": lambda: "host"})
top.import_module(jitload.load_module_from_bytes("echo", b"inside"))
root = jitload.load_whole_module(jitload.pack_module(top))       # a tree of modules as one blob
jitload.unregister_loader("echo")

jitload.register_system_symbol("reference_host", lambda: "linked in", override=True)
assert jitload.system_lib("reference_")["host"]() == "linked in"
