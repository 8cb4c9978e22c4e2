
import jitload
key = "a" * 64
def produce() -> bytes: return b"made"

blobs = jitload.Cache.default().blobs("somebody")      # the namespace: whose keys these are

data = blobs.get(key)                                  # verified bytes, or None
if data is None:
    data = produce()
    blobs.put(key, data)
with blobs.lock(key) as found:                         # the same with one producer: None, and the right to produce
    if found is None:
        blobs.put(key, produce())


source = 'extern "C" __global__ void k(int *x) { *x = 1; }'

from cuda.core import Program, ProgramOptions
from jitload.interop.cuda_core import ProgramCache

with ProgramCache() as cache:                                        # or ProgramCache(jitload.Cache(directory))
    code = Program(source, "c++", ProgramOptions(arch="sm_90")).compile("cubin", cache=cache)
    with cache.single_flight() as one:                               # of processes and machines, one compiles
        code = Program(source, "c++", ProgramOptions(arch="sm_90")).compile("cubin", cache=one)

from jitload.interop import cupy as jitload_cupy

jitload_cupy.install()        # before the first kernel; CuPy 14, whose interface for it is experimental
