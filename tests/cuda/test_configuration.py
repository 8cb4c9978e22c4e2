"""What a launch tells the driver besides the parameters, and that a kernel is not launched once it is gone."""

import pytest

ROADS = pytest.mark.parametrize("native", [0, 1])


@ROADS
def test_attributes_arrive(on_gpu, native):
    """Each row of them lies where cuda.h has it, the second one too."""
    on_gpu(f"""
os.environ["JITLOAD_NATIVE"] = "{native}"
kernel = load_module_from_bytes("ptx", ptx())["room"]
for _ in range(2):
    kernel(0, grid=(4, 2), block=32, shared_bytes=256, cluster=2, cooperative=True)
assert model.launches == [("room", (4, 2, 1), (32, 1, 1), 256, {{4: (2, 1, 1), 2: (1,)}}, 0)] * 2, model.launches
""")


@ROADS
def test_nothing_is_launched_after_the_end(on_gpu, native):
    on_gpu(f"""
os.environ["JITLOAD_NATIVE"] = "{native}"
module = load_module_from_bytes("ptx", ptx())
kernel = module["scale"]
bound, x = kernel.bind(grid=1, block=1), Array([1.0])
bound(x, 2.0, 1)
bound(x, 2.0, 1)
module.close()
for launch in (bound, kernel[1, 1]):
    for _ in range(2):
        raises(LoadError, "its module is closed", launch, x, 2.0, 1)
assert len(model.launches) == 2
model.forbidden.clear()  # a launch that was prepared is told by a handle of 0, which the driver refuses
""")
