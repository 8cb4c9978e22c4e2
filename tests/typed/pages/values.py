import jitload

artifact: jitload.Artifact = jitload.compile(
    'extern "C" __global__ void scale(float a, float *x) { x[threadIdx.x] *= a; }', kind="cubin", arch="sm_90"
)
assert (artifact.kind, artifact.arch) == (jitload.Kind.CUBIN, "sm_90")
compiler: jitload.Toolchain = artifact.toolchain
kernel: jitload.KernelInfo = artifact.kernels["scale"]
first: jitload.Parameter = kernel.params[0]           # (offset, bytes, C++ type) of each
assert kernel.parameters == ("float", "float *") and (first.offset, first.size) == (0, 4)
taken: jitload.Resources | None = kernel.resources    # bytes and registers, per thread or per block
assert taken, "of a cubin; of PTX it is None"
print(compiler, taken.registers, taken.spill_store_bytes)
