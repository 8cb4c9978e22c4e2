"""Memory of the card without a framework: an array that launches take, and that says what is in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitload.cuda import driver


class DeviceArray:
    """A copy of a NumPy array on the card.

    Attributes:
        address: where it is.
        dtype, shape: of its elements, and in elements.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.dtype, self.shape, self.nbytes = array.dtype, array.shape, array.nbytes
        bindings = driver.ensure_context()
        self.address = int(driver.check("cuMemAlloc", bindings.cuMemAlloc(max(self.nbytes, 1))))
        source = np.ascontiguousarray(array)
        driver.check("cuMemcpyHtoD", bindings.cuMemcpyHtoD(self.address, source.ctypes.data, self.nbytes))
        wait()  # a copy from pageable memory may return before it is there, and some streams do not wait for it

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False), "version": 3}

    def host(self) -> np.ndarray:
        """What is in it now, after all that runs."""
        wait()
        array = np.empty(self.shape, self.dtype)
        copy = driver.ensure_context().cuMemcpyDtoH(array.ctypes.data, self.address, self.nbytes)
        driver.check("cuMemcpyDtoH", copy)
        return array

    def free(self) -> None:
        """Give it back."""
        driver.check("cuMemFree", driver.ensure_context().cuMemFree(self.address))


def wait() -> None:
    """Until the card has done all that this process gave it.

    Raises:
        DriverError: a kernel faulted.
    """
    driver.check("cuCtxSynchronize", driver.ensure_context().cuCtxSynchronize())
