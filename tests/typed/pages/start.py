import numpy as np
import jitload

@jitload.jit_kernel
def saxpy(a: float, x: np.ndarray, y: np.ndarray, n: int) -> None:
    r"""
    extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
    {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a * x[i] + y[i];
    }
    """

n = 1000
x, y = np.ones(n, np.float32), np.zeros(n, np.float32)
saxpy[4, 256](2.0, x, y, n)                      # compiled, cached and loaded at the first use
saxpy(2.0, x, y, n, grid=4, block=256)           # the same as a call
bound = saxpy.bind(grid=4, block=256)            # for the hot path

source = "template <class T, int N> __global__ void scale(T *x) { if (threadIdx.x < N) x[threadIdx.x] *= 2; }"
artifact = jitload.compile(source, kind="cubin", arch="sm_90", names=["scale<float, 256>"])
artifact.kernels          # names as you wrote them -> lowered name, parameter layout and C++ types
print(jitload.occupancy(artifact, 256))          # 8 blocks, 64 warps per multiprocessor (100%), limited by warps
artifact.save("scale.jle")                       # where such a GPU is: jitload.Artifact.open("scale.jle").load()

here = jitload.compile(source, names=["scale<float, 256>"])     # for the device here: PTX, where that is the CPU executor
here.load()["scale<float, 256>"][1, 256](x)

print(saxpy.explain())                           # the image it would get and from where; what differs in the nearest
jitload.stats()                                  # hits by tier, misses by reason, compiles and their seconds
jitload.seal()                                   # from here on a compile is an error
listening = jitload.on_event(print)              # tell every hit, miss, compile, wait, load, ..., until listening.remove()

module = jitload.load_module_from_bytes("cubin", artifact.data)

@jitload.register_loader("echo")
def load_echo(data: bytes) -> jitload.Module:
    return jitload.Module("echo", {"echo": lambda: data}, data=data)
