"""Host arrays on a GPU: their copies are queued with the launch, and the host waits once."""

import pytest


def test_the_host_waits_once_and_only_for_the_stream(on_gpu):
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["scale"]
here, y = stream(), np.ones(1000, "f4")
for count in range(1, 4):
    kernel[1, 1000, here](y, 2.0, 1000)
    assert (y == 2.0 ** count).all()
    assert calls("cuStreamSynchronize") == count
assert not any(calls(name) for name in ("cuMemAlloc", "cuMemFree", "cuCtxSynchronize", "cuMemcpyHtoD", "cuMemcpyDtoH"))
assert calls("cuMemPoolCreate") == 1 and not model.memory.blocks
""")


def test_const_parameters_are_not_copied_back(on_gpu):
    on_gpu("""
from jitload.artifact import KernelInfo, Parameter
module = load_module_from_bytes("ptx", ptx())
p, a, n = module["scale"].info.params
const = Parameter(p.offset, p.size, p.alignment, p.type, name="p", cpp="const float *", pointer=True, const=True)
module.attach_kernels([KernelInfo("reads", "scale", [const, a, n])])
x = np.ones(4, "f4")
x.flags.writeable = False
module["reads"][1, 4](x, 2.0, 4)
assert x.tolist() == [1.0] * 4 and calls("cuMemcpyDtoHAsync") == 0
""")


@pytest.mark.parametrize("pools", [True, False])
def test_overlapping_and_empty_arrays(on_gpu, pools):
    on_gpu(
        """
two = load_module_from_bytes("ptx", b'''.version 7.8
.target sm_75
.address_size 64
.visible .entry copy(.param .u64 p, .param .u64 q) {
    .reg .b64 %p, %q; .reg .b32 %r;
    ld.param.u64 %p, [p]; ld.param.u64 %q, [q]; ld.global.u32 %r, [%p]; st.global.u32 [%q], %r; ret; }''')["copy"]
base = np.arange(10, dtype="f4")
two[1, 1](base[3:], base[:7])
assert base.tolist() == [3, 1, 2, 3, 4, 5, 6, 7, 8, 9]
load_module_from_bytes("ptx", ptx())["scale"][1, 1](np.zeros(0, "f4"), 2.0, 0)
assert not model.memory.blocks
""",
        pools=pools,
    )


@pytest.mark.parametrize(
    "call", ["cuMemAllocFromPoolAsync", "cuMemcpyHtoDAsync", "cuLaunchKernelEx", "cuMemcpyDtoHAsync"]
)
def test_whatever_fails_nothing_is_left_behind_and_nothing_is_written(on_gpu, call):
    on_gpu(
        f"""
kernel = load_module_from_bytes("ptx", ptx())["scale"]
y, here = np.ones(4, "f4"), stream()
error = raises(DriverError, "{call} failed", kernel[1, 4, here], y, 2.0, 4)
assert (error.code, error.call) == (2, "{call}") and y.tolist() == [1.0] * 4
ok(cu.cuStreamSynchronize(here))
assert not model.memory.blocks
kernel[1, 4, here](y, 2.0, 4)
assert y.tolist() == [2.0] * 4
""",
        fail={call: 2},
    )
