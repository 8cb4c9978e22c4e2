"""Work runs when somebody must have its result: whoever forgets to wait reads old bytes."""


def test_forgetting_to_wait_gives_old_bytes(driver):
    driver("""
kernel, stream = kernel_of(load()), ok(cu.cuStreamCreate(1))
memory = ok(cu.cuMemAlloc(4))
ok(fill(kernel, memory, 7, stream=stream))
assert word(memory) != 7
back = bytearray(4)
ok(cu.cuMemcpyDtoH(back, memory, 4))  # on the default stream, for which a non-blocking one does not wait
assert back != (7).to_bytes(4, "little")
ok(cu.cuStreamSynchronize(stream))
assert word(memory) == 7
""")


def test_the_default_stream_waits_for_blocking_ones(driver):
    driver("""
kernel, stream = kernel_of(load()), ok(cu.cuStreamCreate(0))
memory = ok(cu.cuMemAlloc(4))
ok(fill(kernel, memory, 7, stream=stream))
back = bytearray(4)
ok(cu.cuMemcpyDtoH(back, memory, 4))
assert back == (7).to_bytes(4, "little")
ok(fill(kernel, memory, 8))
ok(cu.cuMemcpyDtoHAsync(back, memory, 4, stream))
assert back == (8).to_bytes(4, "little")
""")


def test_events_order_streams_and_nothing_else_does(driver):
    driver("""
kernel = kernel_of(load())
first, second = ok(cu.cuStreamCreate(1)), ok(cu.cuStreamCreate(1))
memory, event = ok(cu.cuMemAlloc(4)), ok(cu.cuEventCreate(2))
ok(fill(kernel, memory, 1, stream=first))
ok(fill(kernel, memory, 2, stream=second))
ok(cu.cuStreamSynchronize(second))
assert word(memory) == 2
ok(cu.cuStreamSynchronize(first))
assert word(memory) == 1, "the first has not waited either"
ok(fill(kernel, memory, 3, stream=first))
ok(cu.cuEventRecord(event, first))
ok(fill(kernel, memory, 4, stream=first))  # behind the event
ok(cu.cuStreamWaitEvent(second, event, 0))
ok(cu.cuStreamSynchronize(second))
assert word(memory) == 3
gives(600, cu.cuStreamQuery(first))
assert word(memory) == 4
gives(0, cu.cuStreamQuery(first))
refused(1, "flags", cu.cuStreamWaitEvent(second, event, 2))
""")


def test_an_event_of_another_context(driver):
    driver(
        """
event = ok(cu.cuEventCreate(2))
use(1)
stream = ok(cu.cuStreamCreate(1))
refused(400, "different contexts", cu.cuEventRecord(event, stream))
refused(400, "different contexts", cu.cuEventRecord(event, 0))
""",
        capabilities=[[9, 0], [9, 0]],
    )


def test_page_locked_memory_is_read_and_written_when_the_copy_runs(driver):
    driver("""
stream, memory = ok(cu.cuStreamCreate(1)), ok(cu.cuMemAlloc(4))
pinned = ok(cu.cuMemHostAlloc(4, 0))
view = (ctypes.c_uint * 1).from_address(int(pinned))
view[0] = 5
ok(cu.cuMemcpyHtoDAsync(memory, pinned, 4, stream))
ok(cu.cuMemcpyDtoHAsync(pinned, memory, 4, stream))
view[0] = 6  # too early
ok(cu.cuStreamSynchronize(stream))
assert (word(memory), view[0]) == (6, 6)
ok(cu.cuMemcpyDtoHAsync(pinned, memory, 4, stream))
view[0] = 7
assert view[0] == 7
ok(cu.cuStreamSynchronize(stream))
assert view[0] == 6
pageable = bytearray(b"\\5\\0\\0\\0")
ok(cu.cuMemcpyHtoDAsync(memory, pageable, 4, stream))
pageable[0] = 6
ok(cu.cuMemcpyDtoHAsync(pageable, memory, 4, stream))
assert pageable[0] == 5, "a copy to pageable memory has happened when the call returns"
ok(cu.cuMemFreeHost(pinned))
""")


def test_no_garbage_of_the_caller_is_collected_in_the_midst_of_a_kernel(driver):
    """A finalizer that unloads a library waits for the kernel; within it, that would be for what comes after it."""
    driver("""
import gc

kernel, stream, memory = kernel_of(load()), ok(cu.cuStreamCreate(1)), ok(cu.cuMemAlloc(4))
pinned = ok(cu.cuMemHostAlloc(4, 0))
view = (ctypes.c_uint * 1).from_address(int(pinned))
libraries, collected, usable = [load()], [], model.memory.must_be_usable

class Dropped:
    def __init__(self):
        self.itself, self.library = self, libraries.pop()
    def __del__(self):
        collected.append(ok(cu.cuLibraryUnload(self.library)))

def in_the_midst(*arguments):
    if libraries:
        Dropped()
        gc.set_threshold(1)
    return usable(*arguments)

model.memory.must_be_usable = in_the_midst
ok(fill(kernel, memory, 7, stream=stream))
ok(cu.cuMemcpyDtoHAsync(pinned, memory, 4, stream))
ok(cu.cuStreamSynchronize(stream))
assert (word(memory), view[0]) == (7, 7)
gc.collect()
assert len(collected) == 1
""")


def test_freeing_waits_for_kernels(driver):
    driver("""
kernel, stream = kernel_of(load()), ok(cu.cuStreamCreate(1))
memory, other = ok(cu.cuMemAlloc(4)), ok(cu.cuMemAlloc(4))
ok(fill(kernel, memory, 7, stream=stream))
ok(cu.cuMemFree(other))
assert word(memory) == 7
ok(fill(kernel, memory, 8, stream=stream))
ok(cu.cuCtxSynchronize())
assert word(memory) == 8
""")


def test_memory_of_a_pool_is_there_once_its_stream_has_got_there(driver):
    """Whoever uses it on another stream without an event in between faults."""
    driver("""
kernel, stream, other = kernel_of(load()), ok(cu.cuStreamCreate(1)), ok(cu.cuStreamCreate(1))
memory = ok(cu.cuMemAllocAsync(4, stream))
ok(fill(kernel, memory, 7, stream=stream))
ok(cu.cuStreamSynchronize(stream))
assert word(memory) == 7
early = ok(cu.cuMemAllocAsync(4, stream))
ok(fill(kernel, early, 7, stream=other))
gives(700, cu.cuStreamSynchronize(other))
assert "before the stream that it was allocated on" in model.devices[0].context.told
""")


def test_use_after_free_faults(driver):
    driver("""
kernel, stream = kernel_of(load()), ok(cu.cuStreamCreate(1))
memory = ok(cu.cuMemAllocAsync(4, stream))
ok(cu.cuMemFreeAsync(memory, stream))
ok(fill(kernel, memory, 7, stream=stream))
gives(700, cu.cuStreamSynchronize(stream))
""")


def test_a_fault_is_told_late_and_for_ever(driver):
    driver("""
library, stream = load(), ok(cu.cuStreamCreate(1))
kernel, memory = kernel_of(library, b"raise"), ok(cu.cuMemAlloc(4))
ok(launch(kernel, (0, ctypes.c_void_p), stream=stream))
ok(launch(kernel, (0, ctypes.c_void_p), stream=stream))
gives(700, cu.cuStreamSynchronize(stream))
for outcome in (
    cu.cuStreamSynchronize(0), cu.cuCtxSynchronize(), cu.cuMemAlloc(4), cu.cuMemFree(memory), cu.cuStreamQuery(stream),
    cu.cuMemcpyHtoD(memory, bytes(4), 4), cu.cuMemAllocAsync(4, 0), launch(kernel, (0, ctypes.c_void_p)),
    cu.cuLibraryLoadData(PTX + bytes(1), [], [], 0, [], [], 0), cu.cuLibraryGetKernel(library, b"fill"),
    cu.cuLibraryUnload(library), cu.cuKernelGetFunction(kernel),
):
    gives(700, outcome)
ok(cu.cuCtxGetCurrent())
""")
