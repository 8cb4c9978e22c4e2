"""What the driver takes as an image, and when it says that one is bad."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

import jitload
from gpu.check import Seen, within
from gpu.machine import is_model
from gpu.smoke.program import artifact, check_saxpy, expect, module
from jitload.compiler.nvrtc import supported_archs
from jitload.cuda import driver
from jitload.errors import JitloadError, LoadError

_RIGHT, _WRONG = b"fma.rn.f32", b"fma.rx.f32"
#: CUjit_option (cuda.h).
_ERROR_LOG, _ERROR_LOG_BYTES = 5, 6
_LOG_BYTES = 4096


def a_kind(kind: str, make_arch: Any) -> str:
    """One kind of image, compiled, loaded and launched."""
    made = artifact(kind, make_arch())
    check_saxpy(made.load()["saxpy"])
    return f"{made.arch}, {len(made.data)} bytes"


def of_the_card() -> str:
    """As machine code."""
    return driver.device_arch()


def oldest_ptx() -> str:
    """The lowest arch that NVRTC compiles for without complaint."""
    return f"compute_{max(75, min(supported_archs()))}"


def fatbin_archs() -> list[str]:
    """This card's, and PTX for later ones."""
    return [driver.device_arch(), oldest_ptx()]


def bad_ptx() -> bytes:
    """PTX that is well-formed as far as its header goes."""
    good = artifact("ptx").data
    assert _RIGHT in good, "the PTX of saxpy has no fused multiply-add"
    return good.replace(_RIGHT, _WRONG)


def bad_ptx_has_a_log() -> str:
    """The fetch of a kernel fails, with the driver's log."""
    try:
        jitload.load_module_from_bytes("ptx", bad_ptx())["saxpy"]
    except LoadError as error:
        log = str(getattr(error, "log", ""))
        assert log, f"no log: {error}"
        return f"{type(error).__name__} with a log of {len(log)} characters: {log.strip()[:160]}"
    raise AssertionError("the kernel was fetched")


def when_bad_ptx_shows() -> Seen:
    """Which call of the driver is the first that says so, and whether it says why."""
    bindings = driver.ensure_context()
    log = bytearray(_LOG_BYTES)  # the driver writes there for as long as the library lives
    options = [bindings.CUjit_option(_ERROR_LOG), bindings.CUjit_option(_ERROR_LOG_BYTES)]
    loaded = bindings.cuLibraryLoadData(bad_ptx() + b"\0", options, [log, _LOG_BYTES], 2, [], [], 0)
    when, status = "cuLibraryLoadData", loaded[0]
    if not status:
        when, (status, kernel) = "cuLibraryGetKernel", bindings.cuLibraryGetKernel(loaded[1], b"saxpy")
    if not status:
        when, (status, _) = "cuKernelGetFunction", bindings.cuKernelGetFunction(kernel)
    assert status, "no call refused it"
    said = log.partition(b"\0")[0].decode(errors="replace")
    return Seen(f"{when}: {status.name}, with a log of {len(said)} characters", {"call": when, "log": said[:300]})


def newer_image_is_refused() -> str:
    """Machine code for another card is refused with words about it."""
    number = 80 if driver.device_arch()[3:] != "80" else 90
    try:
        artifact("cubin", f"sm_{number}").load()["saxpy"]
    except JitloadError as error:
        assert str(number) in str(error), str(error)
        return str(error)[:200]
    major = int(driver.device_arch()[3:]) // 10
    assert major == number // 10, f"machine code for sm_{number} was taken"
    return f"sm_{number} runs here too"


def a_global() -> str:
    """A variable of the module is found, read and written."""
    program = artifact().load()
    x = np.zeros(4, np.float32)
    program["add_shift"](x, grid=1, block=4)
    expect(x, [1, 2, 3, 4])
    found = program.get_global("shift")
    address, nbytes = (found.address, found.nbytes) if hasattr(found, "nbytes") else found
    new = np.array([10, 20, 30, 40], np.float32)
    assert nbytes == new.nbytes, f"{nbytes} bytes"
    driver.check("cuMemcpyHtoD", driver.ensure_context().cuMemcpyHtoD(address, new.ctypes.data, nbytes))
    program["add_shift"](x, grid=1, block=4)
    expect(x, [11, 22, 33, 44])
    return f"{nbytes} bytes at {address:#x}"


def many_modules() -> str:
    """Loading and closing gives everything back: free memory of the card is the same after as before."""
    made = artifact()
    check_saxpy(module()["saxpy"])
    model = is_model()
    count = 5 if model else 100
    free = []
    started = time.perf_counter()
    for _ in range(2):
        for _ in range(count):
            one = made.load()
            one["saxpy"]
            one.close()
        if not model:
            free.append(int(driver.check("cuMemGetInfo", driver.ensure_context().cuMemGetInfo())[0]))
    each = (time.perf_counter() - started) / (2 * count)
    assert model or free[1] >= free[0], f"{count} modules cost {free[0] - free[1]} bytes"
    return f"load, fetch and close took {each * 1e6:.0f} us each"


CHECKS = {
    "cubin": partial(a_kind, "cubin", of_the_card),
    "PTX of an old arch": partial(a_kind, "ptx", oldest_ptx),
    "fatbin": partial(a_kind, "fatbin", fatbin_archs),
    "LTO-IR": partial(a_kind, "ltoir", of_the_card),
    "bad PTX has a log": bad_ptx_has_a_log,
    "when bad PTX shows": when_bad_ptx_shows,
    "machine code of another card": newer_image_is_refused,
    "a global": a_global,
    "200 modules": within(60)(many_modules),
}
