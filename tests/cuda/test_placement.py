"""Several GPUs: a launch runs where its stream is, else where its arrays are."""

import pytest

TWO = """
use(1)
there = stream()
y = Array([1.0, 2.0])
use(0)
here = stream()
x = Array([1.0, 2.0])
module = load_module_from_bytes("ptx", ptx())
kernel, room = module["scale"], module["room"]
def finish():
    for ordinal in (1, 0):
        use(ordinal)
        ok(cu.cuCtxSynchronize())
def where():
    return model.launches[-1][-1]
"""
GPUS = {"capabilities": [[9, 0], [9, 0]]}
ROADS = pytest.mark.parametrize("native", [0, 1])


@ROADS
def test_the_device_of_the_stream_or_of_the_arrays(on_gpu, native):
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + TWO
        + """
for _ in range(3):
    for launch, array, ordinal in (
        (kernel[1, 2, there], y, 1), (kernel[1, 2], y, 1), (kernel[1, 2], x, 0), (kernel[1, 2, here], x, 0),
    ):
        launch(array, 2.0, 2)
        assert where() == ordinal
        assert int(ok(cu.cuCtxGetDevice())) == 0, "what was current is current again"
finish()
assert x.now() == y.now() == [64.0, 128.0]
""",
        **GPUS,
    )


@ROADS
def test_an_array_of_another_device_is_refused(on_gpu, native):
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + TWO
        + """
for _ in range(2):
    kernel[1, 2, here](x, 2.0, 2)
    error = raises(ArgumentError, "lies on device 1, and the launch runs on device 0, that of stream", kernel[1, 2, here], y, 2.0, 2)
    assert (error.kernel, error.position) == ("scale", 0), error
    kernel[1, 2, there](y, 2.0, 2)
    raises(ArgumentError, "lies on device 0, and the launch runs on device 1", kernel[1, 2, there], x, 2.0, 2)
two = load_module_from_bytes("ptx", b'''.version 7.8
.target sm_75
.address_size 64
.visible .entry two(.param .u64 p, .param .u64 q) { ret; }''')["two"]
two[1, 1](y, y)
raises(ArgumentError, "argument 1 lies on device 0, and the launch runs on device 1, that of argument 0", two[1, 1], y, x)
assert int(ok(cu.cuCtxGetDevice())) == 0
""",
        **GPUS,
    )


@ROADS
def test_arrays_that_tell_their_device_are_held_against_that_of_the_stream(on_gpu, native):
    """Native code takes them without asking the driver."""
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + TWO
        + """
from tests.launch.stand_ins import DLPack, Shown
on_first = DLPack(Shown(address=x.address, shape=(2,), device=0))
on_second = DLPack(Shown(address=y.address, shape=(2,), device=1))
bound = kernel.bind(grid=1, block=2, stream=there)
for ordinal in (0, 1, 1, 0):
    use(ordinal)
    bound(on_second, 2.0, 2)
    assert where() == 1
    raises(ArgumentError, "lies on device 0, and the launch runs on device 1", bound, on_first, 2.0, 2)
finish()
assert y.now() == [16.0, 32.0] and x.now() == [1.0, 2.0]
""",
        **GPUS,
    )


@ROADS
def test_a_prepared_launch_is_allowed_on_every_device(on_gpu, native):
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + TWO
        + """
bound = room.bind(grid=1, block=1, shared_bytes=100_000)
clusters = room.bind(grid=16, block=1, cluster=16)
for ordinal in (0, 1, 0, 1):
    use(ordinal)
    bound(0)
    assert where() == ordinal
    clusters(0)
    assert where() == ordinal
    model.forbidden.clear()  # the first try on another device was refused
room[1, 1, there, 200_000](0)
finish()
""",
        **GPUS,
    )


def test_host_arrays_go_where_the_stream_is(on_gpu):
    on_gpu(
        TWO
        + """
h = np.ones(2, "f4")
kernel[1, 2, there](h, 3.0, 2)
assert h.tolist() == [3.0, 3.0] and where() == 1
kernel[1, 2](h, 3.0, 2)
assert h.tolist() == [9.0, 9.0] and where() == 0
""",
        **GPUS,
    )


def test_a_device_with_less_than_the_launch_needs_says_so(on_gpu):
    on_gpu(
        TWO
        + """
room[1, 1, here, 200_000](0)
raises(LaunchError, "sm_86 allows 101376 bytes", lambda: room[1, 1, there, 200_000](0))
""",
        capabilities=[[9, 0], [8, 6]],
    )


def test_a_thread_without_a_context_takes_the_device_of_the_framework(on_gpu):
    on_gpu(
        TWO
        + """
import types
cuda = types.SimpleNamespace(is_initialized=lambda: True, current_device=lambda: 1,
                             current_stream=lambda: types.SimpleNamespace(cuda_stream=0))
sys.modules["torch"] = types.SimpleNamespace(cuda=cuda, Tensor=type("Tensor", (), {}))
def work():
    kernel[1, 1](0, 2.0, 0)
    found.append(where())
found = []
thread = threading.Thread(target=work)
thread.start(); thread.join()
assert found == [1]
""",
        **GPUS,
    )


@ROADS
def test_a_large_cluster_of_the_code_itself_is_allowed(on_gpu, native):
    """No launch says anything of it, so the first one is refused by the driver, and allowed then."""
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        """
kernel = load_module_from_bytes("ptx", b'''.version 8.4
.target sm_90
.address_size 64
.visible .entry wide(.param .u64 p) .explicitcluster .reqnctapercluster 16, 1, 1 { ret; }''')["wide"]
bound = kernel.bind(grid=32, block=1)
bound(0)
model.forbidden.clear()
bound(0)
kernel[16, 1](0)
raises((LaunchError, DriverError), "", kernel[8, 1], 0)
model.forbidden.clear()
""",
        capabilities=[[9, 0]],
    )
