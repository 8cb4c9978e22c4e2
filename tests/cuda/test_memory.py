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
assert calls("cuMemHostAlloc") == 1
assert not any(calls(name) for name in ("cuMemAlloc", "cuMemFree", "cuCtxSynchronize", "cuMemcpyHtoD", "cuMemcpyDtoH"))
assert calls("cuMemPoolCreate") == 1 and not model.memory.blocks
""")


COPY = """
copy = load_module_from_bytes("ptx", b'''.version 7.8
.target sm_75
.address_size 64
.visible .entry copy(.param .u64 p, .param .u64 q) {
    .reg .b64 %p, %q; .reg .b32 %r;
    ld.param.u64 %p, [p]; ld.param.u64 %q, [q]; ld.global.u32 %r, [%p]; st.global.u32 [%q], %r; ret; }''')["copy"]
"""


@pytest.mark.parametrize("count", [10, 1 << 15])
def test_two_arrays_come_back_by_one_wait_where_they_are_small(on_gpu, count):
    """The model runs queued work when it must: whoever waits too little sees old bytes here."""
    on_gpu(
        COPY
        + f"""
from checking_driver.stream import Stream
waits = []
wait = Stream.wait
Stream.wait = lambda self: (waits.append(1), wait(self))
here, p, q = stream(), np.full({count}, 5, "f4"), np.zeros({count}, "f4")
copy[1, 1, here](p, q)
assert q[0] == 5 and q[1:].sum() == 0 and (p == 5).all()
assert len(waits) == (1 if {count} == 10 else 3), waits
"""
    )


def test_threads_do_not_share_what_arrays_come_back_through(on_gpu):
    on_gpu(
        COPY
        + """
def work(number):
    for step in range(20):
        p, q = np.full(50, number * 100 + step, "f4"), np.zeros(50, "f4")
        copy[1, 1, streams[number]](p, q)
        if q[0] != p[0]:
            wrong.append((number, step, q[0]))
streams, wrong = [stream() for _ in range(4)], []
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert wrong == [] and calls("cuMemHostAlloc") <= 4
"""
    )


def test_const_parameters_are_not_copied_back(on_gpu):
    on_gpu("""
from jitload.values import KernelInfo, Parameter
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
        COPY
        + """
base = np.arange(10, dtype="f4")
copy[1, 1](base[3:], base[:7])
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
