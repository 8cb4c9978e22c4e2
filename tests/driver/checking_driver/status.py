"""Status codes of the driver API (cuda.h, CUresult), and how a call of the model ends with one."""

from __future__ import annotations

SUCCESS = 0
INVALID_VALUE = 1
OUT_OF_MEMORY = 2
NOT_INITIALIZED = 3
DEINITIALIZED = 4
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
ASSERT = 710
LAUNCH_FAILED = 719
COOPERATIVE_LAUNCH_TOO_LARGE = 720
NOT_SUPPORTED = 801
STREAM_CAPTURE_UNSUPPORTED = 900
STREAM_CAPTURE_INVALIDATED = 901
STREAM_CAPTURE_MERGE = 902
STREAM_CAPTURE_UNMATCHED = 903
STREAM_CAPTURE_UNJOINED = 904
STREAM_CAPTURE_ISOLATION = 905
STREAM_CAPTURE_IMPLICIT = 906
CAPTURED_EVENT = 907
STREAM_CAPTURE_WRONG_THREAD = 908
INVALID_CLUSTER_SIZE = 912
UNKNOWN = 999

NAMES = {
    value: f"CUDA_{'' if name == 'SUCCESS' else 'ERROR_'}{name}"
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int)
}
TEXTS = {
    INVALID_VALUE: "invalid argument",
    NO_BINARY_FOR_GPU: "no kernel image is available for execution on the device",
    ILLEGAL_ADDRESS: "an illegal memory access was encountered",
    ASSERT: "device-side assert triggered",
    LAUNCH_FAILED: "unspecified launch failure",
}


class Refused(Exception):
    """A call that ends with a status other than success.

    Attributes:
        status: the CUresult.
        why: what the model has against the call.
        expected: whether a right program makes such calls too (the end of a list, a name that is not there).
    """

    def __init__(self, status: int, why: str = "", *, expected: bool = False) -> None:
        super().__init__(f"{NAMES.get(status, status)}: {why}")
        self.status = status
        self.why = why
        self.expected = expected
