"""Tensor maps on a GPU that the checking driver shows: the driver makes them, for arrays of the host and of the GPU."""

from __future__ import annotations

from tests.test_tensor_map import SOURCE

KERNELS = (
    f"SOURCE = {SOURCE!r}\n"
    """
kernel = jitload.compile(SOURCE, arch="sm_90").load()["floats"]

class Plane:
    def __init__(self, values):
        self.address, self.shape = int(ok(cu.cuMemAlloc(values.nbytes))), values.shape
        ok(cu.cuMemcpyHtoD(self.address, values, values.nbytes))
        self.__cuda_array_interface__ = {"shape": values.shape, "typestr": "<f4", "data": (self.address, False), "version": 3}
    def now(self):
        ok(cu.cuCtxSynchronize())
        back = np.empty(self.shape, "f4")
        model.arena.read(self.address, memoryview(back).cast("B"))
        return back
"""
)


def test_arrays_of_the_gpu_stay_where_they_are(on_gpu):
    """Strides are the array's: every other row of a larger one."""
    on_gpu(
        KERNELS
        + """
x, out = Plane(np.arange(16 * 16, dtype="f4").reshape(16, 16)), Plane(np.zeros((8, 16), "f4"))
x.__cuda_array_interface__.update(shape=(8, 16), strides=(128, 4))
maps = [jitload.TensorMap(array, (8, 16), swizzle=64, l2_promotion=128) for array in (x, out)]
bound = kernel.bind(grid=1, block=32)
for _ in range(3):
    bound(*maps, 0, 0, 512, None)
assert (out.now() == np.arange(16 * 16).reshape(16, 16)[::2] + 1).all()
assert calls("cuTensorMapEncodeTiled") == 6
class Shifted:
    __cuda_array_interface__ = {**x.__cuda_array_interface__, "data": (x.address + 4, False)}
raises(jitload.UsageValueError, "must begin at a multiple of 16 bytes", jitload.TensorMap, Shifted(), (8, 16))
""",
        capabilities=[(9, 0)],
    )


def test_arrays_of_the_host_are_there_for_a_launch(on_gpu):
    on_gpu(
        KERNELS
        + """
x, out = np.arange(8 * 16, dtype="f4").reshape(8, 16), np.zeros((8, 16), "f4")
kernel(jitload.TensorMap(x, (8, 16)), jitload.TensorMap(out, (8, 16)), 0, 0, 512, None, grid=1, block=32)
assert (out == x + 1).all()
""",
        capabilities=[(9, 0)],
    )


def test_a_map_that_the_driver_refuses_is_its_error(on_gpu):
    on_gpu(
        KERNELS
        + """
x = np.zeros((8, 16), "f4")
same = jitload.TensorMap(x, (8, 16))
error = raises(DriverError, "cuTensorMapEncodeTiled", kernel, same, same, 0, 0, 512, None, grid=1, block=32)
assert error.code == 1
""",
        capabilities=[(9, 0)],
        fail={"cuTensorMapEncodeTiled": 1},
    )
