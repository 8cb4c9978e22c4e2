
import numpy as np
import jitload

@jitload.jit_kernel(source='''namespace filters { __constant__ float taps[3]; }
extern "C" __global__ void smooth(float *x) { x[threadIdx.x] *= filters::taps[threadIdx.x]; }''')
def smooth(x: np.ndarray) -> None: ...

kernel, taps, held = smooth, np.array([1, 2, 3], np.float32), np.zeros(3, np.float32)
kernel.kernel()
module = kernel.module

kernel.constant("filters::taps", taps)                        # a jit_kernel: before the first launch, and between launches
module.get_global("filters::taps").copy_from(taps)            # any module; kernel.module is that of a jit_kernel
module.get_global("filters::taps").copy_to(held)
