"""`jitload.TensorMap`: an array and the boxes that a kernel copies of it (TMA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jitload.cpu.memory.tensor_map import ELEMENTS, SWIZZLES, TENSOR_MAP_BYTES, encode_tensor_map, misfit_of
from jitload.cpu.memory.tensor_map import TensorMap as Fields
from jitload.device import resolve_device
from jitload.errors import UsageTypeError, UsageValueError
from jitload.launch.arrays import read_array
from jitload.launch.misfit import Misfit
from jitload.launch.structures import DescribedArray
from jitload.lazy import lazy
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from jitload.cuda import tensor_map as driver_maps
    from jitload.launch.arrays import ArrayView
else:
    driver_maps = lazy("jitload.cuda.tensor_map")

__tracebackhide__ = is_mistake

_NAMES = {name: number for number, (_, _, name) in enumerate(ELEMENTS)}
#: What is moved as an integer of its width: a copy changes no bits.
_MOVED = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
_PROMOTED = (0, 64, 128, 256)
Choice = TypeVar("Choice")


class TensorMap(DescribedArray):
    """An array and the boxes that a kernel copies of it, for a parameter `const __grid_constant__ CUtensorMap`.

    It is passed like an array: one of the host is there for the launch and back after it, one on a GPU stays where it
    is. Axes and what goes with them stand in the order of the array's, x last; the kernel names coordinates the other
    way round, as PTX does. The descriptor is the driver's on a GPU (`cuTensorMapEncodeTiled`, compute capability 9.0
    on), and one of its own on the CPU executor: what it holds is for copies alone.

    Args:
        array: 1 to 5 axes of numbers of 1, 2, 4 or 8 bytes; the last axis is dense, the others lie multiples of 16
            bytes apart.
        box: elements of a box along each axis, 1 to 256; along the last one a multiple of 16 bytes.
        steps: along each axis, copy every how-manieth element of the box, 1 to 8; of the last axis all are copied.
        swizzle: 32, 64 or 128 bytes over which chunks of 16 are permuted in shared memory, so that columns lie in
            different banks and `wgmma` finds them; 0 for none. A box spans at most that along the last axis.
        outside: what a copy finds outside of the array: "zeros", or "nan" in floats.
        l2_promotion: bytes that a GPU reads at once into its L2 cache, 0, 64, 128 or 256; the result is the same.

    Raises:
        UsageTypeError: no array, or not of numbers.
        UsageValueError: what `cuTensorMapEncodeTiled` refuses.
        DriverError: it refused the map, at a launch that has it.
    """

    @short_errors
    def __init__(
        self,
        array: object,
        box: Sequence[int],
        *,
        steps: Sequence[int] | None = None,
        swizzle: int = 0,
        outside: str = "zeros",
        l2_promotion: int = 0,
    ) -> None:
        self.nbytes = TENSOR_MAP_BYTES
        self._device = resolve_device()
        self._promotion = _chosen("l2_promotion", l2_promotion, _PROMOTED)
        try:
            found = read_array(array, 0, self._device)
        except Misfit as misfit:
            raise UsageTypeError(f"a tensor map of an array that no kernel takes: {misfit}") from misfit
        if found is None:
            raise UsageTypeError(f"a tensor map is of an array, got {type(array).__name__}")
        self.view = found
        shape, strides = _axes(found)
        if not shape:
            raise UsageValueError("a tensor map is of an array of 1 to 5 axes, got one without")
        self._fields = Fields(
            0,
            tuple(reversed(shape)),
            tuple(reversed(strides[:-1])),
            _along("box", box, len(shape)),
            _along("steps", (1,) * len(shape) if steps is None else steps, len(shape)),
            _element(found),
            _chosen("swizzle", swizzle, (0, *SWIZZLES[1:])) or SWIZZLES[0],
            _chosen("outside", outside, ("zeros", "nan")) == "nan",
        )
        sparse = all(shape) and shape[-1] > 1 and strides[-1] != self._fields.size
        why = "its last axis is not dense" if sparse else ""
        why = why or misfit_of(self._fields if found.host else self._fields._replace(address=found.address))
        if why:
            raise UsageValueError(f"a tensor map of shape {shape}, box {tuple(box)}: {why}")

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(
            "a tensor map belongs to this process and can be neither copied nor pickled: send its array"
        )

    def describe(self, address: int) -> bytes:
        """The 128 bytes of the descriptor, as a launch asks for them.

        Args:
            address: where the array begins on the device.

        Raises:
            ArgumentError: by the launch, which makes it of a `Misfit`: the address is no multiple of 16.
            DriverError: the driver refused it.
        """
        placed = self._fields._replace(address=address)
        if why := misfit_of(placed):
            raise Misfit(f"a tensor map cannot be made: {why}")
        if self._device == "cpu":
            return encode_tensor_map(placed)
        name = ELEMENTS[placed.element][2]
        swizzle = 0 if placed.swizzle == SWIZZLES[0] else placed.swizzle
        return driver_maps.encode_by_driver(
            name, address, placed.extents, placed.strides, placed.boxes, placed.steps, swizzle,
            promotion=self._promotion, fills_nan=placed.fills_nan,
        )  # fmt: skip


def _axes(view: ArrayView) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(shape, strides in bytes)."""
    shape, strides, unit = view.axes()
    shape = tuple(int(extent) for extent in shape)
    if strides is not None:
        scale = view.element.nbytes if unit == 1 else 1  # strides count elements, or bytes
        return shape, tuple(int(stride) * scale for stride in strides)
    dense = [view.element.nbytes]
    for extent in reversed(shape[1:]):
        dense.append(dense[-1] * extent)
    return shape, tuple(reversed(dense))


def _element(view: ArrayView) -> int:
    element = view.element
    moved = _MOVED.get(element.nbytes)
    if moved is None or element.lanes != 1 or element.scalar in {"record", "void"}:
        raise UsageTypeError(f"a tensor map is of numbers of 1, 2, 4 or 8 bytes, got {element.name}")
    return _NAMES.get(element.scalar, _NAMES[moved])


def _along(what: str, given: Sequence[int], axes: int) -> tuple[int, ...]:
    """A number for each axis, the innermost first."""
    if not isinstance(given, list | tuple) or any(type(one) is not int for one in given):
        raise UsageTypeError(f"{what}={given!r}: a list or tuple of integers is expected")
    if len(given) != axes:
        raise UsageValueError(f"{what}={given!r}: the array has {axes} axes")
    return tuple(reversed(given))


def _chosen(what: str, given: Choice, choices: tuple[Choice, ...]) -> Choice:
    if type(given) is bool or given not in choices:
        raise UsageValueError(f"{what}={given!r}: expected one of {', '.join(map(repr, choices))}")
    return given
