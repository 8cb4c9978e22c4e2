"""What native code has to know to read arrays like one that a launch in Python has taken.

A row of facts is for one exact type with one element, and says by which road it is read (jitload/launch/c/arrays.c).
Only what is the same for all arrays of that kind is in it. The rest is looked at in every launch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jitload.launch import dlpack
from jitload.launch.elements import MEMORY, typestr_element
from jitload.launch.numbers import learned_number
from jitload.launch.pointers import version_counter

if TYPE_CHECKING:
    from jitload.launch import _native
    from jitload.launch.arrays import ArrayView
    from jitload.launch.foreign import Given
    from jitload.launch.pointers import Pointer

_EXCHANGE_API = "__dlpack_c_exchange_api__"
_KNOWN_TVM_FFI = "0.1."
#: Where their dtype alone tells what an array's bytes are: `arrays.py` looks at it then, too.
_BYTES = frozenset({"void", "uint8", "int8"})
# (array, road, is it torch's, has it is_neg, is_conj, DLPack's dtype, lanes, stride of neighbours, dtype, layout, type
# string); `...` is what does not matter
_Facts = tuple[object, str, bool, bool, bool, int, int, int, object, object, object]


def learn_number(plan: _native.Plan, kind: type) -> None:
    """Let a plan take scalars of this type, where it is known how they are read."""
    reader = learned_number(kind)
    if reader is not None:
        plan.learn_number(kind, reader is float)


def learn_array(plan: _native.Plan, position: int, value: Given, view: ArrayView, pointer: Pointer) -> None:
    """Let a plan take arrays like `value`, which was taken for the parameter at `position`."""
    lanes = pointer.lanes_of(view.element)
    if view.torch:
        facts = _torch_facts(value, view, lanes)
        counter = None if pointer.const else version_counter(sys.modules["torch"])
        if counter is not None:
            plan.count_writes(counter)
    elif isinstance(view.layout, dlpack.Tensor):
        facts = _dlpack_facts(value, view, lanes)
    else:
        facts = _interface_facts(value, view, lanes)
    if facts is not None:
        plan.learn(position, facts)


def _torch_facts(tensor: object, view: ArrayView, lanes: int) -> _Facts | None:
    negates, conjugates = hasattr(tensor, "is_neg"), view.element.lanes == 2
    if hasattr(type(tensor), _EXCHANGE_API):
        return tensor, "x", True, negates, conjugates, 0, lanes, 1, ..., ..., ...
    dtype, layout = getattr(tensor, "dtype", None), getattr(tensor, "layout", ...)
    if dtype is None:
        return None
    return tensor, "t", True, negates, conjugates, 0, lanes, 1, dtype, layout, ...


def _dlpack_facts(array: object, view: ArrayView, lanes: int) -> _Facts | None:
    tensor: dlpack.Tensor = view.layout
    if tensor.device_type == dlpack.CUDA_HOST:
        return None
    if view.element is MEMORY and hasattr(array, "__dict__"):  # another one might have a dtype
        return None
    road = "x" if hasattr(type(array), _EXCHANGE_API) else "h" if _has_handle(type(array)) else "d"
    return array, road, False, False, False, tensor.dtype, lanes, 1, ..., ..., ...


def _has_handle(kind: type) -> bool:
    """Whether arrays of a type are objects of a tvm-ffi that are laid out as the native code knows them."""
    package, core = sys.modules.get("tvm_ffi"), sys.modules.get("tvm_ffi.core")
    known = str(getattr(package, "__version__", "")).startswith(_KNOWN_TVM_FFI)
    return known and kind is getattr(core, "Tensor", None)


def _interface_facts(array: Given, view: ArrayView, lanes: int) -> _Facts:
    kind, unit = type(array), view.element.nbytes
    if kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray":
        return array, "c", False, False, False, 0, lanes, unit, array.dtype, ..., ...
    typestr = view.layout["typestr"]
    dtype = getattr(array, "dtype", None) if typestr_element(typestr).scalar in _BYTES else ...
    return array, "i", False, False, False, 0, lanes, unit, dtype, ..., typestr
