"""Stream capture: what is recorded, what breaks it."""

CAPTURE = """
kernel = kernel_of(load())
ok(cu.cuKernelGetFunction(kernel))
memory = ok(cu.cuMemAlloc(4))
stream, other = ok(cu.cuStreamCreate(1)), ok(cu.cuStreamCreate(1))
GLOBAL, LOCAL, RELAXED = (cu.CUstreamCaptureMode(number) for number in range(3))
def begin(mode=GLOBAL, on=None):
    ok(cu.cuStreamBeginCapture(on or stream, mode))
def broken():
    refused(901, "was broken", cu.cuStreamEndCapture(stream))
def state(on=None):
    return int(ok(cu.cuStreamIsCapturing(on or stream)))
"""


def test_what_is_captured_runs_when_the_graph_is_launched(driver):
    driver(
        CAPTURE
        + """
begin()
assert state() == 1 and state(other) == 0
ok(fill(kernel, memory, 7, stream=stream))
graph = ok(cu.cuStreamEndCapture(stream))
assert state() == 0
ok(cu.cuCtxSynchronize())
assert word(memory) != 7
executable = ok(cu.cuGraphInstantiateWithFlags(graph, 0) if hasattr(cu, "cuGraphInstantiateWithFlags")
                else cu.cuGraphInstantiate(graph, 0))
for value in (1, 2):
    ok(fill(kernel, memory, value, stream=stream))
    ok(cu.cuGraphLaunch(executable, stream))
    ok(cu.cuStreamSynchronize(stream))
    assert word(memory) == 7
ok(cu.cuGraphExecDestroy(executable))
ok(cu.cuGraphDestroy(graph))
refused(400, "destroyed", cu.cuGraphLaunch(executable, stream))
"""
    )


def test_waiting_breaks_a_capture(driver):
    driver(
        CAPTURE
        + """
for call, why in (
    (lambda: cu.cuStreamSynchronize(stream), "on a stream that captures"),
    (lambda: cu.cuStreamQuery(stream), "on a stream that captures"),
    (lambda: cu.cuCtxSynchronize(), "on a stream that captures"),
    (lambda: cu.cuMemAlloc(4), "during a capture"),
    (lambda: cu.cuMemFree(0), "during a capture"),
    (lambda: cu.cuMemHostAlloc(4, 0), "during a capture"),
    (lambda: cu.cuLibraryLoadData(PTX + bytes(1), [], [], 0, [], [], 0), "during a capture"),
    (lambda: cu.cuLibraryUnload(library), "during a capture"),
    (lambda: cu.cuKernelGetFunction(late), "during a capture"),
):
    library = load()
    late = kernel_of(library)
    begin()
    refused(900, why, call())
    assert state() == 2
    refused(901, "broken by", fill(kernel, memory, 7, stream=stream))
    broken()
assert state() == 0
"""
    )


def test_the_mode_of_a_capture_says_whom_it_binds(driver):
    driver(
        CAPTURE
        + """
def elsewhere(call):
    def work():
        use(0)
        found.append(call())
    found = []
    thread = threading.Thread(target=work)
    thread.start(); thread.join()
    return found[0]
allocate = lambda: cu.cuMemAlloc(4)
begin(GLOBAL); refused(900, "cuMemAlloc during a capture", elsewhere(allocate)); broken()
begin(LOCAL); ok(elsewhere(allocate)); refused(900, "cuMemAlloc", allocate()); broken()
begin(RELAXED); ok(allocate()); ok(elsewhere(allocate)); ok(cu.cuStreamEndCapture(stream))
begin(GLOBAL)
assert ok(cu.cuThreadExchangeStreamCaptureMode(RELAXED)) == GLOBAL
ok(allocate())
assert ok(cu.cuThreadExchangeStreamCaptureMode(GLOBAL)) == RELAXED
ok(cu.cuStreamEndCapture(stream))
begin(GLOBAL); refused(908, "another thread", elsewhere(lambda: cu.cuStreamEndCapture(stream)))
ok(cu.cuStreamEndCapture(stream))
"""
    )


def test_the_default_stream_beside_a_capture(driver):
    driver(
        CAPTURE
        + """
refused(900, "cannot be captured", cu.cuStreamBeginCapture(0, GLOBAL))
begin()
ok(fill(kernel, memory, 7))  # the stream that captures is a non-blocking one
ok(cu.cuStreamEndCapture(stream))
stream = ok(cu.cuStreamCreate(0))
for call in (
    lambda: fill(kernel, memory, 7), lambda: cu.cuStreamSynchronize(0), lambda: cu.cuMemcpyHtoD(memory, bytes(4), 4),
):
    begin()
    refused(906, "during a capture", call())
    broken()
begin()
gives(906, cu.cuStreamIsCapturing(0))
ok(cu.cuStreamEndCapture(stream))
"""
    )


def test_streams_join_by_events_and_must_be_waited_for(driver):
    driver(
        CAPTURE
        + """
event, back = ok(cu.cuEventCreate(2)), ok(cu.cuEventCreate(2))
def fork():
    begin()
    ok(cu.cuEventRecord(event, stream))
    ok(cu.cuStreamWaitEvent(other, event, 0))
    assert state(other) == 1
    ok(fill(kernel, memory, 7, stream=other))
fork()
ok(cu.cuEventRecord(back, other))
ok(cu.cuStreamWaitEvent(stream, back, 0))
ok(cu.cuStreamEndCapture(stream))
assert state(other) == 0
fork()
refused(904, "not waited for", cu.cuStreamEndCapture(stream))
fork()
refused(903, "began on another", cu.cuStreamEndCapture(other))
refused(907, "captured", cu.cuEventSynchronize(event))
broken()
begin(); refused(1, "already capturing", cu.cuStreamBeginCapture(stream, GLOBAL)); ok(cu.cuStreamEndCapture(stream))
refused(1, "does not capture", cu.cuStreamEndCapture(stream))
"""
    )


def test_a_capture_is_an_island(driver):
    driver(
        CAPTURE
        + """
event = ok(cu.cuEventCreate(2))
ok(fill(kernel, memory, 7, stream=other))
ok(cu.cuEventRecord(event, other))
begin()
refused(905, "outside it", cu.cuStreamWaitEvent(stream, event, 0))
broken()
ok(cu.cuStreamBeginCapture(other, RELAXED))
begin(RELAXED)
ok(cu.cuEventRecord(event, other))
refused(902, "another capture", cu.cuStreamWaitEvent(stream, event, 0))
refused(906, "cannot join", cu.cuStreamWaitEvent(0, event, 0))
numbers = [int(ok(cu.cuStreamGetCaptureInfo(one))[1]) for one in (stream, other)]
assert numbers[0] != numbers[1]
ok(cu.cuStreamEndCapture(other))
ok(cu.cuStreamEndCapture(stream))
"""
    )
