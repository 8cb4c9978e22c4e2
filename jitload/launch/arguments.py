"""Python arguments against a kernel's own parameter list.

A launch passes a block of bytes without types, so a wrong count or width would be read as something else, silently.
Everything is therefore checked here against `KernelInfo.params`, for the GPU and for the CPU executor alike.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from jitload.errors import ArgumentError
from jitload.launch.arrays import ArrayView
from jitload.launch.codec import field_codec
from jitload.launch.misfit import Misfit
from jitload.launch.pointers import Pointer
from jitload.launch.readers import learn_array, learn_number
from jitload.launch.shapes import spread_hint
from jitload.launch.staging import HostArray
from jitload.launch.structures import DescribedArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jitload.launch import _native
    from jitload.launch.row import Row, Value
    from jitload.values import KernelInfo, Parameter


_new = tuple.__new__  # a third of what the class takes


class Missing:
    """The default of every parameter of a compiled launch, so that a wrong count can be told in our own words."""


MISSING = Missing()


class Signature:
    """The parameter list of one kernel on one device, ready to convert arguments.

    Args:
        info: the kernel.
        device: "cuda" or "cpu".
        foreign: whether an address is surely none of the device's memory, where that can be told.

    Attributes:
        info: the kernel.
        layout: packs converted values into the parameter block.
        fast_types: per parameter, the exact Python type that needs no conversion; None when one has no such type.
    """

    def __init__(self, info: KernelInfo, device: str, foreign: Callable[[int], bool] | None = None) -> None:
        self.info = info
        self._fields = [field_codec(parameter, device, foreign) for parameter in info.params]
        self.layout = struct.Struct(_layout(info.params, [field.format for field in self._fields]))
        self._converters: list[tuple[bool, Callable[..., Value | ArrayView]]] = [
            (isinstance(field, Pointer), field.convert) for field in self._fields
        ]
        self._consts = [isinstance(field, Pointer) and field.const for field in self._fields]
        self._labels = [one.name or f"argument {position}" for position, one in enumerate(info.params)]
        fast = tuple(field.fast for field in self._fields)
        self.fast_types: tuple[str, ...] | None = fast if all(fast) else None

    def rows(self) -> tuple[Row, ...]:
        """What native code may know of every parameter."""
        return tuple([field.row() for field in self._fields])

    def convert(self, args: Sequence[object], stream: int) -> tuple[list[Value], list[HostArray], dict[int, ArrayView]]:
        """The values to pack, the host arrays to stage (their values are still 0), and every array by its position.

        Raises:
            ArgumentError: the arguments do not fit the parameters.
        """
        # What is missing was filled in from the right.
        if len(args) != len(self._converters) or (args and args[-1] is MISSING):
            raise self._count_error([arg for arg in args if arg is not MISSING])
        values: list[Value] = []
        hosts: list[HostArray] = []
        views: dict[int, ArrayView] = {}
        for position, (is_pointer, convert) in enumerate(self._converters):
            given = args[position]
            if isinstance(given, DescribedArray) and given.nbytes == self.info.params[position].size:
                views[position] = given.view
                values.append(self._place(position, given, hosts))
                continue
            try:
                converted = convert(given, stream) if is_pointer else convert(given)
            except Misfit as misfit:
                raise self._argument_error(position, misfit) from misfit.__cause__
            if isinstance(converted, ArrayView):
                views[position] = converted
                if converted.host:
                    known = position, self._labels[position], self._consts[position], converted, None
                    hosts.append(_new(HostArray, known))
                    converted = 0
                else:
                    converted = converted.address
            values.append(converted)
        return values, hosts, views

    def _place(self, position: int, given: DescribedArray, hosts: list[HostArray]) -> bytes:
        """The structure of an array, or an empty one and the array among those to stage."""

        def describe(address: int) -> bytes:
            try:
                return given.describe(address)
            except Misfit as misfit:
                raise self._argument_error(position, misfit) from misfit.__cause__

        if not given.view.host:
            return describe(given.view.address)
        hosts.append(HostArray(position, self._labels[position], bool(given.view.readonly), given.view, describe))
        return bytes(given.nbytes)

    def learn(self, plan: _native.Plan, args: Sequence[object], views: Mapping[int, ArrayView]) -> None:
        """Let native code take such arguments itself the next time; they were launched with, this time."""
        for position, field in enumerate(self._fields):
            value, view = args[position], views.get(position)
            if view is None:
                learn_number(plan, type(value))
            elif isinstance(field, Pointer) and not view.host:
                learn_array(plan, position, value, view, field)

    def __str__(self) -> str:
        return f"{self.info.name}({', '.join(_described_parameter(p) for p in self.info.params)})"

    def _count_error(self, given: list[object]) -> ArgumentError:
        expected = len(self._fields)
        came = ", ".join(type(value).__name__ for value in given) or "none"
        return ArgumentError(
            f"kernel {self.info.name!r} takes {expected} argument{'' if expected == 1 else 's'}, got {len(given)} "
            f"({came}): it is {self}{spread_hint(given)}",
            kernel=self.info.name,
        )

    def _argument_error(self, position: int, misfit: Misfit) -> ArgumentError:
        parameter = self.info.params[position]
        return ArgumentError(
            f"kernel {self.info.name!r}, argument {position} ({_described_parameter(parameter)}): {misfit}. "
            f"The kernel is {self}",
            kernel=self.info.name,
            position=position,
            parameter=parameter.name or None,
        )


def _layout(params: Iterable[Parameter], formats: Iterable[str]) -> str:
    """A `struct` format with the parameters at their offsets; the gaps are written as zeros."""
    pieces = ["<"]
    position = 0
    for parameter, item in zip(params, formats, strict=True):
        gap = parameter.offset - position
        pieces.append(f"{gap}x{item}" if gap else item)
        position = parameter.offset + parameter.size
    return "".join(pieces)


def _described_parameter(parameter: Parameter) -> str:
    declared = (parameter.cpp or parameter.declared).strip()
    if not declared:
        kind = "pointer" if parameter.pointer else f".{parameter.type}"
        if parameter.type == "b8" and parameter.size > 1:
            kind = f"{parameter.size} bytes"
        return f"{kind} {parameter.name}".rstrip()
    return f"{declared}{'' if declared.endswith('*') else ' '}{parameter.name}".rstrip()
