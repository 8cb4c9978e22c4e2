"""Faults to plant into jitload, and the test that sees each.

`ONCE` are faults that the CUDA road has had; `MORE` is what else may go wrong there.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault.

    Attributes:
        name: what is wrong.
        seen_by: the test that fails.
        file: the file of the package that is changed.
        changes: (text, planted instead) pairs; each text is there once.
    """

    name: str
    seen_by: str
    file: str
    changes: tuple[tuple[str, str], ...]


def fault(name, seen_by, file, *changes):
    return Fault(name, f"tests/{seen_by}", file, tuple(zip(changes[::2], changes[1::2], strict=True)))


LIBRARY, LIMITS, STREAMS = "cuda/test_library.py::test_", "cuda/test_limits.py::test_", "cuda/test_streams.py::test_"
PLACEMENT, MEMORY, FAULTS = "cuda/test_placement.py::test_", "cuda/test_memory.py::test_", "cuda/test_faults.py::test_"
ARRAYS = "launch/test_native_arrays.py::test_"

ONCE = [
    fault(
        "NVRTC's library of built-ins is left to the search path",
        "compiler/test_nvrtc.py::test_built_ins_are_those_beside_the_library[cubin]",
        "compiler/nvrtc.py",
        "        if os.path.isfile(path := ",
        "        if 0 and os.path.isfile(path := ",
    ),
    fault(
        "an installed toolkit is not asked for headers where a package is",
        "compiler/test_toolkit.py::test_an_installed_toolkit_completes_the_packages",
        "compiler/toolkit.py",
        "find_headers(nvrtc.major, _sites(), cuda_homes())",
        "find_headers(nvrtc.major, _sites(), [])",
    ),
    fault(
        "PTX loses the types of its parameters",
        LIBRARY + "what_is_typed_on_the_cpu_is_typed_on_a_gpu",
        "cuda/module.py",
        'if self.kind == "ptx":\n            found = layouts',
        'if self.kind == "":\n            found = layouts',
    ),
    fault(
        "arrays are never read by native code",
        ARRAYS + "an_array_is_read_by_native_code_from_the_second_launch_on[written-torch]",
        "launch/readers.py",
        "    if facts is not None:\n        plan.learn(",
        "    if facts is None:\n        plan.learn(",
    ),
    fault(
        "dropped modules stay loaded",
        LIBRARY + "a_dropped_module_is_unloaded_when_the_last_kernel_is",
        "cuda/library.py",
        "    if os.getpid() != process:",
        "    if True:",
    ),
    fault(
        "the buffers of the log are given back after cuLibraryLoadData",
        LIBRARY + "whenever_the_driver_compiles_its_log_is_in_the_error_of_the_fetch[kernel]",
        "cuda/library.py",
        "self._logs = logs\n",
        "self._logs = bytearray(), bytearray()\n",
        "_unload, bindings, handle, logs,",
        "_unload, bindings, handle, None,",
    ),
    fault(
        "the first launch loads the kernel",
        LIBRARY + "a_kernel_is_loaded_when_it_is_fetched",
        "cuda/library.py",
        "return int(bindings.cuKernelGetFunction(kernel)[0])",
        "return 0",
    ),
    fault(
        "one name of a kernel lowers the limit of the other",
        LIMITS + "names_of_one_kernel_share_their_limits",
        "cuda/limits.py",
        "or shared_bytes <= self._raised.get(ordinal, 0):",
        "or shared_bytes == self._raised.get(ordinal, 0):",
        "max(shared_bytes, self._get(_MAX_DYNAMIC_SHARED_SIZE_BYTES, ordinal))",
        "shared_bytes",
    ),
    fault(
        "any status ends the list of parameters",
        LIBRARY + "only_the_end_of_the_parameters_ends_them",
        "cuda/library.py",
        "if int(status) == driver.INVALID_VALUE:",
        "if status:",
    ),
    fault(
        "after a fault the wrong call is blamed",
        FAULTS + "every_call_tells_the_same[0]",
        "cuda/driver.py",
        "    if code in _LOST:",
        "    if code in ():",
    ),
    fault(
        "closing after a fault raises",
        LIBRARY + "closing_after_a_fault_hides_nothing",
        "cuda/library.py",
        "if status and not driver.is_lost(status):",
        "if status:",
    ),
    fault(
        "an interface that raises is the last word",
        "launch/test_dlpack.py::test_an_array_whose_interface_raises_goes_by_dlpack",
        "launch/arrays.py",
        "        failure = error\n",
        "        raise Misfit(str(error)) from error\n",
    ),
    fault(
        "host arrays break a capture",
        STREAMS + "host_arrays_are_refused_before_they_break_the_capture",
        "cuda/function.py",
        "if streams.capture_of(stream,",
        "if False and streams.capture_of(stream,",
    ),
    fault(
        "the host waits for the stream of an array",
        STREAMS + "another_stream_is_waited_for_by_an_event[0]",
        "cuda/streams.py",
        '    event = driver.check("cuEventCreate"',
        '    bindings.cuStreamSynchronize(other)\n    return\n    event = driver.check("cuEventCreate"',
    ),
    fault(
        "limits are those of the current device",
        PLACEMENT + "a_prepared_launch_is_allowed_on_every_device[0]",
        "cuda/function.py",
        "again = self._limits.allow_again(driver.current_device(), clusters=outcome == _INVALID_CLUSTER_SIZE)",
        "again = False",
    ),
    fault(
        "arrays of another device are launched with",
        PLACEMENT + "an_array_of_another_device_is_refused[0]",
        "cuda/placement.py",
        "if wanted is not None and home != wanted:",
        "if False:",
    ),
    fault(
        "a thread without a context gets device 0",
        PLACEMENT + "a_thread_without_a_context_takes_the_device_of_the_framework",
        "cuda/driver.py",
        "primary_context(frameworks_device() or 0)",
        "primary_context(0)",
    ),
    fault(
        "conjugated tensors pass the memory that is not",
        ARRAYS + "conjugates_of_torch_are_refused_in_every_launch",
        "launch/arrays.py",
        "if element.lanes == 2 and tensor.is_conj():",
        "if False:",
    ),
    fault(
        "PTX that is newer than the driver has no way out",
        LIBRARY + "ptx_that_is_newer_than_the_driver_is_linked[function]",
        "cuda/library.py",
        "if status not in _NOT_COMPILED_HERE or not self._may_link:",
        "if True:",
    ),
]
MORE = [
    fault(
        "the attributes of a launch are laid out otherwise",
        "cuda/test_configuration.py::test_attributes_arrive",
        "cuda/configuration.py",
        "ctypes.c_uint32 * 16",
        "ctypes.c_uint32 * 15",
    ),
    fault(
        "parameters are read from the wrong places",
        STREAMS + "another_stream_is_waited_for_by_an_event[0]",
        "cuda/function.py",
        "[address + parameter.offset for",
        "[address + parameter.size for",
    ),
    fault(
        "a kernel is launched after its library was unloaded",
        "cuda/test_configuration.py::test_nothing_is_launched_after_the_end",
        "cuda/function.py",
        "        self._function.value = 0\n",
        "",
        "        if self._module is None:",
        "        if False:",
    ),
    fault(
        "host arrays are read before they have arrived",
        MEMORY + "the_host_waits_once_and_only_for_the_stream",
        "cuda/memory.py",
        'self._check("cuStreamSynchronize", self._bindings.cuStreamSynchronize(self._stream))',
        "pass",
    ),
    fault(
        "memory for host arrays is not given back",
        MEMORY + "overlapping_and_empty_arrays[True]",
        "cuda/memory.py",
        'self._check("cuMemFreeAsync", self._bindings.cuMemFreeAsync(address, self._stream))',
        "pass",
    ),
    fault(
        "every pool is of device 0",
        PLACEMENT + "host_arrays_go_where_the_stream_is",
        "cuda/memory.py",
        "wanted.location.id = ordinal",
        "wanted.location.id = 0",
    ),
    fault(
        "an event is recorded on the stream that waits for it",
        STREAMS + "another_stream_is_waited_for_by_an_event[0]",
        "cuda/streams.py",
        "bindings.cuEventRecord(event, other)",
        "bindings.cuEventRecord(event, stream)",
    ),
    fault(
        "events are never destroyed",
        STREAMS + "another_stream_is_waited_for_by_an_event[0]",
        "cuda/streams.py",
        "        bindings.cuEventDestroy(event)",
        "        pass",
    ),
    fault(
        "loading and unloading break captures",
        LIBRARY + "unloading_from_the_collector_in_a_capture_breaks_nothing",
        "cuda/driver.py",
        "CUstreamCaptureMode(_RELAXED)",
        "CUstreamCaptureMode(0)",
    ),
    fault(
        "a stream that is captured is waited for",
        STREAMS + "arrays_of_the_gpu_are_captured_from_the_first_launch_on[0]",
        "cuda/function.py",
        "if streams.is_captured(stream):",
        "if False:",
    ),
    fault(
        "a context that was made current stays so",
        PLACEMENT + "the_device_of_the_stream_or_of_the_arrays[0]",
        "cuda/placement.py",
        'return lambda: driver.check("cuCtxPopCurrent", bindings.cuCtxPopCurrent())',
        "return None",
    ),
    fault(
        "the end of the process unloads",
        LIBRARY + "another_process_and_the_end_of_this_one_unload_nothing",
        "cuda/library.py",
        "self._finalizer.atexit = False",
        "self._finalizer.atexit = True",
    ),
    fault(
        "the static part of a kernel's shared memory is not counted",
        LIMITS + "static_memory_counts",
        "cuda/limits.py",
        "static = self._get(_SHARED_SIZE_BYTES, ordinal)",
        "static = 0",
    ),
    fault(
        "const arrays are copied back",
        MEMORY + "const_parameters_are_not_copied_back",
        "launch/staging.py",
        "self.written = not first.const",
        "self.written = True",
    ),
]
