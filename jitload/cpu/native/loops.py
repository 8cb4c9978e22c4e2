"""NumPy's own loops, by their addresses: what machine code calls where lanes call NumPy.

Lanes compute approximations with NumPy, whose functions differ from those of a C library in the last bit of f64: the
machine code calls the very loops that NumPy has for one double, by a table of their addresses.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Array

#: Opcode -> the function of NumPy; their order is that of the table.
FUNCTIONS = {"ex2": np.exp2, "lg2": np.log2, "sin": np.sin, "cos": np.cos, "tanh": np.tanh}

#: `double numpy(context, number, x)`: a loop takes pointers to arrays, how many, and strides.
CALL = """\
define internal double @numpy(ptr %c, i64 %number, double %x) noinline {
entry:
  %places = alloca [2 x ptr]
  %count = alloca i64
  %strides = alloca [2 x i64]
  %in = alloca double
  %out = alloca double
  store double %x, ptr %in
  store ptr %in, ptr %places
  %second_place = getelementptr ptr, ptr %places, i64 1
  store ptr %out, ptr %second_place
  store i64 1, ptr %count
  store i64 8, ptr %strides
  %second_stride = getelementptr i64, ptr %strides, i64 1
  store i64 8, ptr %second_stride
  %table_word = call i64 @word(ptr %c, i64 $FUNCTIONS)
  %table = inttoptr i64 %table_word to ptr
  %row = mul i64 %number, 2
  %loop_at = getelementptr ptr, ptr %table, i64 %row
  %loop = load ptr, ptr %loop_at
  %data_at = getelementptr ptr, ptr %loop_at, i64 1
  %data = load ptr, ptr %data_at
  call void %loop(ptr %places, ptr %count, ptr %strides, ptr %data)
  %found = load double, ptr %out
  ret double %found
}
"""


class _Ufunc(ctypes.Structure):
    """The head of NumPy's `PyUFuncObject`, which is part of its C interface."""

    _fields_ = (
        ("references", ctypes.c_ssize_t), ("type", ctypes.c_void_p),
        ("inputs", ctypes.c_int), ("outputs", ctypes.c_int), ("arguments", ctypes.c_int), ("identity", ctypes.c_int),
        ("loops", ctypes.POINTER(ctypes.c_void_p)), ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("count", ctypes.c_int), ("reserved", ctypes.c_int), ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    )  # fmt: skip


@functools.cache
def loops() -> Array:
    """The table: of each function its loop over doubles, and what that is given."""
    table = np.zeros((len(FUNCTIONS), 2), np.int64)
    for row, function in zip(table, FUNCTIONS.values(), strict=True):
        head = _Ufunc.from_address(id(function))
        place = function.types.index("d->d")
        row[:] = head.loops[place] or 0, head.data[place] or 0
    return table
