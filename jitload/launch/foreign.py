"""What launches ask of values of other libraries, none of which is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    NumpyArray = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
    NumpyDtype = np.dtype[np.generic]
    # torch.autograd.graph.increment_version, which raises `_version` of tensors
    VersionCounter = Callable[[tuple[object, ...]], object]

#: An argument, a stream or a size as it came from whoever launches: anything at all, and asked for what it can.
Given = Any
#: A type of ctypes: a simple one, an array, a structure or a union, each with attributes of its own.
CtypesType = Any
#: `__cuda_array_interface__`, whose items are whatever its library put there.
Interface = dict[str, Any]


#: Whatever of the three knows the shape of an array.
Layout = Any


class TorchTensor(Protocol):
    """A tensor of torch, as far as launches look at it."""

    is_cuda: bool
    is_cpu: bool
    device: object
    requires_grad: bool
    shape: tuple[int, ...]

    def data_ptr(self) -> int:
        """The address of its first element."""

    def element_size(self) -> int:
        """The bytes of an element."""

    def numel(self) -> int:
        """How many elements it has."""

    def stride(self) -> tuple[int, ...]:
        """Per axis, in elements."""

    def is_contiguous(self) -> bool:
        """Whether its elements lie side by side in the order of C."""

    def is_conj(self) -> bool:
        """Whether its memory holds the conjugates of what it shows."""

    def is_pinned(self) -> bool:
        """Whether a GPU sees its host memory."""
