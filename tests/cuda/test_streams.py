"""Launches on streams: captured ones, and arrays that another stream still works on."""

import pytest

CAPTURE = """
kernel = load_module_from_bytes("ptx", ptx())["scale"]
here, there = stream(), stream()
x = Array([1.0, 2.0])
GLOBAL = cu.CUstreamCaptureMode(0)
def begin(on=here):
    ok(cu.cuStreamBeginCapture(on, GLOBAL))
def end(on=here):
    return ok(cu.cuStreamEndCapture(on))
def run(graph):
    instantiate = getattr(cu, "cuGraphInstantiateWithFlags", None) or cu.cuGraphInstantiate
    ok(cu.cuGraphLaunch(ok(instantiate(graph, 0)), here))
    ok(cu.cuStreamSynchronize(here))
def sound(on=here):
    assert int(ok(cu.cuStreamIsCapturing(on))) == 1
"""


@pytest.mark.parametrize("native", [0, 1])
def test_another_stream_is_waited_for_by_an_event(on_gpu, native):
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + CAPTURE
        + """
busy = Array([1.0, 2.0], stream=there)
for round in range(1, 4):
    before = calls("cuStreamSynchronize")
    kernel[1, 2, there](busy, 2.0, 2)
    kernel[1, 2, here](busy, 3.0, 2)
    assert calls("cuStreamSynchronize") == before and calls("cuEventRecord") == round, "the host does not wait"
    ok(cu.cuStreamSynchronize(here))
    assert busy.now() == [6.0 ** round, 2 * 6.0 ** round]
assert calls("cuEventCreate") == calls("cuEventDestroy")
one = Array([1.0], stream=1)
kernel[1, 1](one, 2.0, 1)
assert calls("cuEventRecord") == 3, "the default stream is the one launched on"
"""
    )


@pytest.mark.parametrize("native", [0, 1])
def test_arrays_of_the_gpu_are_captured_from_the_first_launch_on(on_gpu, native):
    on_gpu(
        f"""os.environ["JITLOAD_NATIVE"] = "{native}"\n"""
        + CAPTURE
        + """
begin()
kernel[1, 2, here](x, 2.0, 2)
kernel[1, 2, here](x, 2.0, 2)
with jitload.configure(sync=True):
    kernel[1, 2, here](x, 2.0, 2)
graph = end()
ok(cu.cuCtxSynchronize())
assert x.now() == [1.0, 2.0]
run(graph)
assert x.now() == [8.0, 16.0]
"""
    )


def test_host_arrays_are_refused_before_they_break_the_capture(on_gpu):
    on_gpu(
        CAPTURE
        + """
begin()
raises(LaunchError, "'scale' got host arrays while stream", kernel[1, 2, here], np.ones(2, "f4"), 2.0, 2)
sound()
kernel[1, 2, here](x, 2.0, 2)
run(end())
assert x.now() == [2.0, 4.0]
"""
    )


def test_a_capture_elsewhere_is_not_broken_by_host_arrays(on_gpu):
    on_gpu(
        CAPTURE
        + """
begin(there)
y = np.ones(2, "f4")
kernel[1, 2, here](y, 2.0, 2)
assert y.tolist() == [2.0, 2.0]
sound(there)
end(there)
"""
    )


def test_work_outside_a_capture_is_waited_for_where_it_is_done_and_refused_where_not(on_gpu):
    on_gpu(
        CAPTURE
        + """
busy = Array([1.0], stream=there)
begin()
kernel[1, 1, here](busy, 2.0, 1)
sound()
run(end())
assert busy.now() == [2.0]
kernel[1, 1, there](x, 2.0, 1)
begin()
raises(LaunchError, "synchronize before the capture begins, or capture both streams", kernel[1, 1, here], busy, 2.0, 1)
sound()
end()
begin(there)
raises(LaunchError, "only that one is captured", kernel[1, 1, here], busy, 2.0, 1)
sound(there)
end(there)
"""
    )


def test_two_streams_of_one_capture_wait_for_each_other(on_gpu):
    on_gpu(
        CAPTURE
        + """
busy = Array([1.0], stream=there)
begin()
event = ok(cu.cuEventCreate(2))
ok(cu.cuEventRecord(event, here))
ok(cu.cuStreamWaitEvent(there, event, 0))
kernel[1, 1, there](busy, 2.0, 1)
kernel[1, 1, here](busy, 3.0, 1)
run(end())
assert busy.now() == [6.0]
"""
    )


def test_the_default_stream_in_a_capture_that_it_waits_for(on_gpu):
    on_gpu(
        CAPTURE
        + """
blocking = ok(cu.cuStreamCreate(0))
begin(blocking)
raises(LaunchError, "launch on the stream that is captured", kernel[1, 1], np.ones(1, "f4"), 2.0, 1)
sound(blocking)
end(blocking)
"""
    )
