"""After a kernel has failed every call says so, whichever notices it: in one text, which names whom to look at."""

import pytest

LOST = "a kernel that was launched earlier has failed, and the CUDA context of this process is lost with it"


@pytest.mark.parametrize("native", [0, 1])
def test_every_call_tells_the_same(on_gpu, native):
    on_gpu(f"""
os.environ["JITLOAD_NATIVE"] = "{native}"
LOST = {LOST!r}
module = load_module_from_bytes("ptx", ptx())
crash, scale = module["crash"], module["scale"]
first, second = stream(), stream()
x = Array([1.0])
for _ in range(2):
    scale[1, 1, second](x, 2.0, 1)
    crash[1, 1, first](0)
raises(DriverError, LOST + "; the last one on this stream was 'crash'", scale._function.synchronize, int(first))
for call, name in (
    (lambda: scale[1, 1, first](x, 2.0, 1), "crash"),
    (lambda: scale[1, 1, second](x, 2.0, 1), "scale"),
    (lambda: scale[1, 1, second](np.ones(1, "f4"), 2.0, 1), None),
    (lambda: load_module_from_bytes("ptx", ptx())["scale"], None),
    (lambda: module.get_function("room"), None),
    (lambda: scale.bind(grid=1, block=1, shared_bytes=100_000)(x, 2.0, 1), None),
):
    error = raises(DriverError, LOST, call)
    assert error.code == 700 and error.name == "CUDA_ERROR_ILLEGAL_ADDRESS", error
    assert "JITLOAD_SYNC=1" in str(error) and "a new process" in str(error) and f"({{error.call}} failed" in str(error)
    assert name is None or f"last one on this stream was {{name!r}}" in str(error), error
del module, crash, scale
gc.collect()
""")


def test_a_synchronous_launch_shows_the_kernel_that_fails(on_gpu):
    on_gpu("""
module = load_module_from_bytes("ptx", ptx())
with jitload.configure(sync=True):
    error = raises(DriverError, "the last one on this stream was 'crash'", module["crash"][1, 1], 0)
assert error.call == "cuStreamSynchronize"
""")


@pytest.mark.parametrize("native", [0, 1])
def test_the_last_kernel_of_a_stream_is_that_of_either_road(on_gpu, native):
    on_gpu(f"""
os.environ["JITLOAD_NATIVE"] = "{native}"
from jitload.launch import latest
module = load_module_from_bytes("ptx", ptx())
scale, room = module["scale"], module["room"]
x, here = Array([1.0]), stream()
scale_here, room_here = scale[1, 1, here], room[1, 1, here]
def last():
    return latest.told(int(here))
for _ in range(3):
    scale_here(x, 2.0, 1)
    assert last().endswith("'scale'"), last()
    room_here(x)
    assert last().endswith("'room'"), last()
    scale_here(np.ones(1, "f4"), 2.0, 1)  # by the long road
    assert last().endswith("'scale'"), last()
    room[1, 1](x)
    assert last().endswith("'scale'"), last()
    assert "on each stream was" in latest.told(None) and "'room'" in latest.told(None)
""")
