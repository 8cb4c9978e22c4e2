"""Writes the images in this directory again: `python remake.py`, with the NVRTC and nvFatbin that are installed.

The tests read these files, so they check image structures of several toolkits without having any. The file names say
the arch and the NVRTC release; what an absent NVRTC made stays as it is.
"""

from pathlib import Path

from cuda.bindings import nvfatbin, nvrtc

SOURCE = b"""
__device__ int count;
extern "C" __global__ void saxpy(int n, float a, const float* x, float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
template <class T> __global__ void fill(T* p, T value) { p[threadIdx.x] = value; atomicAdd(&count, 1); }
"""
HERE = Path(__file__).parent


def compiled(arch: str, *options: bytes) -> nvrtc.nvrtcProgram:
    _, program = nvrtc.nvrtcCreateProgram(SOURCE, b"k.cu", 0, [], [])
    nvrtc.nvrtcAddNameExpression(program, b"fill<float>")
    arguments = [f"-arch={arch}".encode(), *options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(arguments), arguments)
    assert int(status) == 0, (arch, options, status)
    return program


def output(program: nvrtc.nvrtcProgram, what: str) -> bytes:
    _, size = getattr(nvrtc, f"nvrtcGet{what}Size")(program)
    data = b" " * size
    getattr(nvrtc, f"nvrtcGet{what}")(program, data)
    return data


def fatbin(cubin: bytes, ptx: bytes) -> bytes:
    handle = nvfatbin.create(["-64", "-cuda"], 2)
    nvfatbin.add_cubin(handle, cubin, len(cubin), "90", "k")
    nvfatbin.add_ptx(handle, ptx, len(ptx), "90", "k", "")
    data = bytearray(nvfatbin.size(handle))
    nvfatbin.get(handle, data)
    nvfatbin.destroy(handle)
    return bytes(data)


def main() -> None:
    _, major, _ = nvrtc.nvrtcVersion()
    for arch in ("sm_75", "sm_90", "sm_90a", "sm_100a"):
        (HERE / f"{arch}-nvrtc{major}.cubin").write_bytes(output(compiled(arch), "CUBIN"))
    sm_90 = compiled("sm_90")
    cubin, ptx = output(sm_90, "CUBIN"), output(sm_90, "PTX")
    (HERE / f"sm_90-nvrtc{major}.ptx").write_bytes(ptx)
    (HERE / f"sm_90-nvrtc{major}.ltoir").write_bytes(output(compiled("sm_90", b"-dlto"), "LTOIR"))
    (HERE / f"sm_90-relocatable-nvrtc{major}.cubin").write_bytes(output(compiled("sm_90", b"-rdc=true"), "CUBIN"))
    (HERE / f"sm_90-nvrtc{major}.fatbin").write_bytes(fatbin(cubin, ptx))


if __name__ == "__main__":
    main()
