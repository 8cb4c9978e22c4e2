import numpy as np
import jitload

@jitload.jit_kernel(source='extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }')
def twice(x: np.ndarray) -> None: ...

def told(event: jitload.Event) -> None:
    print(event.name, event.kernel, event.tier, event.seconds)

with jitload.on_event(told), jitload.configure(device="cpu"):   # for the block
    twice[1, 32](np.ones(32, np.float32))

counts: jitload.Stats = jitload.stats()
print(counts.hits, counts.misses, counts.compiles)
cache = jitload.Cache.default()                       # a jitload.Cache of the directory in force
print(len(list(cache.entries())), cache.stats().bytes)

jitload.Bundle.create("app.jlb", [twice], archs=["sm_90", "compute_90"])
bundle = jitload.use_bundle("app.jlb", trust="unsigned")        # asked before every directory
jitload.stop_bundle(bundle)

with jitload.Session(cache_dir="own"):                # settings, bundles, counters and kernels of its own
    twice[1, 32](np.ones(32, np.float32))
