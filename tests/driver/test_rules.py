"""Contexts, handles and memory: each misuse is refused with the status of the documentation."""


def test_nothing_before_the_start(on_driver):
    on_driver("""
from cuda.bindings import driver as cu
from checking_driver import driver as model
assert int(cu.cuDeviceGetCount()[0]) == int(cu.cuCtxGetCurrent()[0]) == 3
assert int(cu.cuDriverGetVersion()[0]) == 0
assert [line.partition(":")[0] for line in model.forbidden] == ["cuDeviceGetCount", "cuCtxGetCurrent"]
assert int(cu.cuInit(1)[0]) == 1
assert int(cu.cuInit(0)[0]) == 0
""")


def test_a_call_that_is_not_modelled_is_refused(driver):
    """What nobody has thought about must not seem to work."""
    driver("""
refused(801, "not modelled", (model.answer("cuSomethingNew", []),))
gives(500, cu.cuGetProcAddress(b"cuSomethingNew", 12000, 0)[:1])
""")


def test_a_thread_without_a_context(driver):
    driver("""
stream = ok(cu.cuStreamCreate(0))
def work():
    refused(201, "no current context", cu.cuMemAlloc(16))
    refused(201, "no current context", cu.cuStreamCreate(0))
    refused(201, "no current context", cu.cuEventCreate(0))
    refused(201, "no current context", cu.cuCtxGetDevice())
    refused(201, "no current context", cu.cuCtxSynchronize())
    refused(201, "no current context", cu.cuStreamSynchronize(0))
    refused(201, "no current context", cu.cuKernelGetFunction(kernel))
    refused(201, "no current context", fill(kernel, 0))
    ok(fill(kernel, memory, stream=stream))  # a stream brings its own
kernel, memory = kernel_of(load()), ok(cu.cuMemAlloc(4))
threads = [threading.Thread(target=lambda: (work(), done.append(1)))]
done = []
for thread in threads: thread.start(); thread.join()
assert done == [1]
assert int(ok(cu.cuCtxGetDevice())) == 0
""")


def test_a_primary_context_lives_as_long_as_it_is_retained(driver):
    driver(
        """
context = ok(cu.cuDevicePrimaryCtxRetain(1))
ok(cu.cuCtxPushCurrent(context))
assert int(ok(cu.cuCtxGetDevice())) == 1
ok(cu.cuCtxPopCurrent())
ok(cu.cuDevicePrimaryCtxRelease(1))
refused(201, "nobody retains", cu.cuCtxSetCurrent(context))
refused(201, "not retained", cu.cuDevicePrimaryCtxRelease(1))
refused(101, "device 2", cu.cuDeviceGet(2))
""",
        capabilities=[[9, 0], [8, 0]],
    )


def test_a_handle_is_of_one_kind_and_dies(driver):
    driver("""
stream, event = ok(cu.cuStreamCreate(1)), ok(cu.cuEventCreate(2))
refused(400, "is a stream, expected a Event", cu.cuEventRecord(cu.CUevent(int(stream)), stream))
refused(400, "is a event, expected a Stream", cu.cuStreamSynchronize(cu.CUstream(int(event))))
refused(400, "is no handle", cu.cuStreamSynchronize(cu.CUstream(0x1234)))
refused(400, "is a event, expected a Kernel", launch(event))
ok(cu.cuEventDestroy(event))
refused(400, "is destroyed", cu.cuEventRecord(event, stream))
refused(400, "is destroyed", cu.cuEventDestroy(event))
ok(cu.cuStreamDestroy(stream))
refused(400, "is destroyed", cu.cuStreamQuery(stream))
refused(1, "stream flags", cu.cuStreamCreate(2))
refused(1, "event flags", cu.cuEventCreate(8))
""")


def test_memory(driver):
    driver("""
host = bytearray(range(16))
refused(1, "0 bytes", cu.cuMemAlloc(0))
memory = ok(cu.cuMemAlloc(16))
ok(cu.cuMemcpyHtoD(memory, host, 16))
refused(1, "not in one allocation", cu.cuMemcpyHtoD(memory, bytes(17), 17))
refused(1, "not in one allocation", cu.cuMemcpyDtoH(bytearray(8), int(memory) + 12, 8))
refused(1, "not in one allocation", cu.cuMemcpyDtoH(bytearray(8), 0x1000, 8))
back = bytearray(16)
ok(cu.cuMemcpyDtoH(back, memory, 16))
assert back == host
refused(1, "is of no pool", cu.cuMemFreeAsync(memory, 0))
refused(1, "is no allocation", cu.cuMemFree(int(memory) + 4))
ok(cu.cuMemFree(memory))
refused(1, "is no allocation", cu.cuMemFree(memory))
ok(cu.cuMemFree(0))
gives(2, cu.cuMemAlloc(1 << 46))
gives(1, cu.cuPointerGetAttribute(cu.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory))
refused(1, "device attribute", (model.answer("cuDeviceGetAttribute", [0x1000, 9999, 0]),))
refused(1, "page-locked", cu.cuMemFreeHost(0x1000))
""")


def test_pools(driver):
    driver(
        """
props = cu.CUmemPoolProps()
refused(1, "allocation type", cu.cuMemPoolCreate(props))
props.allocType = cu.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
props.location.type = cu.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
props.location.id = 1
pool = ok(cu.cuMemPoolCreate(props))
refused(1, "different devices", cu.cuMemAllocFromPoolAsync(4, pool, 0))
refused(1, "pool attribute", cu.cuMemPoolSetAttribute(
    pool, cu.CUmemPool_attribute.CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, 1))
use(1)
ok(cu.cuMemPoolSetAttribute(
    pool, cu.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, cu.cuuint64_t(1 << 20)))
memory = ok(cu.cuMemAllocFromPoolAsync(4, pool, 0))
ok(cu.cuMemFreeAsync(memory, 0))
ok(cu.cuStreamSynchronize(0))
refused(1, "is no allocation", cu.cuMemFreeAsync(memory, 0))
assert not model.memory.blocks
ok(cu.cuMemPoolDestroy(pool))
""",
        capabilities=[[9, 0], [9, 0]],
    )


def test_a_device_without_pools(driver):
    driver(
        """
pools = cu.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED
assert ok(cu.cuDeviceGetAttribute(pools, 0)) == 0
refused(801, "no memory pools", cu.cuMemAllocAsync(4, 0))
""",
        pools=False,
    )


def test_a_forked_child_has_no_driver(driver):
    driver("""
child = os.fork()
if not child:
    os._exit(int(cu.cuDeviceGetCount()[0]))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
""")


def test_a_machine_without_a_device(on_driver):
    on_driver(
        """
from cuda.bindings import driver as cu
from checking_driver import driver as model
assert int(cu.cuInit(0)[0]) == 100
assert model.forbidden == []
""",
        capabilities=[],
    )


def test_calls_from_several_threads_do_not_meet(driver):
    driver("""
def work():
    use(0)
    for value in range(50):
        memory = ok(cu.cuMemAlloc(4))
        ok(fill(kernel, memory, value))
        back = bytearray(4)
        ok(cu.cuMemcpyDtoH(back, memory, 4))
        assert int.from_bytes(back, "little") == value
        ok(cu.cuMemFree(memory))
    done.append(1)
kernel, done = kernel_of(load()), []
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert done == [1] * 4 and not model.memory.blocks
""")


def test_after_the_end_of_python_the_driver_is_gone(driver):
    """Destructors run late; they get a status, and never a call into an interpreter that is no more."""
    driver("""
import atexit
class Late:
    def __del__(self):
        status = cu.cuCtxGetCurrent()[0]
        os.write(1, str(int(status)).encode())
sys.late = Late()
""")
