"""Status codes of the driver API (cuda.h, CUresult), and how a call of the model ends with one."""

from __future__ import annotations

SUCCESS = 0
INVALID_VALUE = 1
OUT_OF_MEMORY = 2
NOT_INITIALIZED = 3
NO_DEVICE = 100
INVALID_DEVICE = 101
INVALID_IMAGE = 200
INVALID_CONTEXT = 201
NO_BINARY_FOR_GPU = 209
INVALID_PTX = 218
UNSUPPORTED_PTX_VERSION = 222
INVALID_HANDLE = 400
NOT_FOUND = 500
NOT_READY = 600
ILLEGAL_ADDRESS = 700
LAUNCH_OUT_OF_RESOURCES = 701
CONTEXT_IS_DESTROYED = 709
ASSERT = 710
LAUNCH_FAILED = 719
COOPERATIVE_LAUNCH_TOO_LARGE = 720
NOT_SUPPORTED = 801
STREAM_CAPTURE_UNSUPPORTED = 900
STREAM_CAPTURE_INVALIDATED = 901
STREAM_CAPTURE_UNMATCHED = 903
STREAM_CAPTURE_IMPLICIT = 906
INVALID_CLUSTER_SIZE = 912
UNKNOWN = 999

NAMES = {
    value: (name if name == "SUCCESS" else f"ERROR_{name}") for name, value in list(globals().items()) if name.isupper()
}
TEXTS = {
    ILLEGAL_ADDRESS: "an illegal memory access was encountered",
    ASSERT: "device-side assert triggered",
    LAUNCH_FAILED: "unspecified launch failure",
    INVALID_VALUE: "invalid argument",
    NO_BINARY_FOR_GPU: "no kernel image is available for execution on the device",
}


class Refused(Exception):
    """A call that ends with a status other than success."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(f"{NAMES.get(status, status)}: {why}")
        self.status = status
        self.why = why
