import numpy as np
import jitload

source = 'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'

@jitload.jit_kernel(source=source)
def twice(x: np.ndarray) -> None: ...                                     # a jitload.JitKernel

with jitload.record("app.jlw"):                       # what is asked for in the block, as a workload
    twice[1, 32](np.ones(32, np.float32))

request = jitload.CompileRequest(source, kind="cubin", arch="sm_90", name="twice.cu")
report = jitload.precompile([twice, request], archs=["sm_80"])      # what the cache lacks, by worker processes
print(jitload.explain(request))                       # which image it would get, and from where; compiles nothing

artifact = jitload.compile(source, kind="cubin", arch="sm_90", name="twice.cu")    # a hit by now
unit = jitload.compile(source, kind="ltoir", arch="sm_80", options=["-rdc=true"])
linked = jitload.link([unit], arch="sm_90")

assert isinstance(twice, jitload.JitKernel) and not report.failed
jitload.seal()                                        # from here on a compile is an error
jitload.seal(False)
