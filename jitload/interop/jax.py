"""A kernel as a function of JAX arrays, which never change: what it writes is new.

    from jitload.interop.jax import jax_function

    scale = jax_function(kernel, grid=lambda a, x, y, n: -(-n // 256), block=256, outputs={"y": "x"})
    y = scale(2.0, x, x.size)                       # also within jax.jit

This is `jax.pure_callback`: XLA hands the arrays to Python on the host, which launches. Arrays on a GPU go to the host
and back for that, which is right, and slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from jitload.errors import ArgumentError, UsageValueError
from jitload.interop.operands import Operand, operands_of, require_options, require_output
from jitload.launch.advice import element_advice
from jitload.launch.elements import lanes_needed, numpy_element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.jit.kernel import JitKernel
    from jitload.launch.foreign import Given
    from jitload.launch.kernel import Kernel

__all__ = ["jax_function"]

_NUMBERS = (bool, int, float, complex)
#: The methods of `jax.pure_callback` that call once for each element of the batch, and None, which refuses `jax.vmap`.
#: Others hand over the whole batch at once, of which a kernel for one element knows nothing.
_VMAP_METHODS = ("sequential", "sequential_unrolled", None)


def jax_function(
    kernel: JitKernel | Kernel,
    *,
    grid: Given,
    block: Given,
    outputs: Mapping[str, str | Callable[..., jax.ShapeDtypeStruct]],
    vmap_method: str | None = "sequential",
    **launch: Given,
) -> Callable[..., object]:
    """Make a kernel a function of JAX arrays and numbers, for eager use, `jax.jit` and `jax.vmap`.

    Its arguments are the kernel's, in their order, without those in `outputs`. The kernel is compiled, or found in the
    cache, right here. The function has no gradient: `jax.custom_vjp` gives it one.

    Args:
        kernel: a `jit_kernel`, with no template argument open, or the kernel of a loaded module.
        grid: blocks: a number, a tuple, or a function of all the kernel's arguments, as NumPy arrays and numbers.
        block: threads per block: a number or a tuple.
        outputs: every pointer that is not to const, by name, in the order in which they are returned: the name of the
            argument whose shape and dtype the output has, or a function of the arguments that gives a
            `jax.ShapeDtypeStruct`. An output begins as zeros. With its own name, `{"y": "y"}`, it is an argument too,
            and begins as a copy of that.
        vmap_method: of `jax.pure_callback`: "sequential" or "sequential_unrolled", which launch once for each element
            of the batch, or None, by which `jax.vmap` is an error.
        launch: `shared_bytes`, `cluster`, `cooperative` and the hints of `Kernel.bind`.

    Returns:
        The function: of one output it gives an array, of several a tuple.

    Raises:
        UsageTypeError, UsageValueError: what was given makes no function.
        CompileError: the kernel does not compile.
    """
    require_options("jax_function", launch)
    if vmap_method not in _VMAP_METHODS:
        raise UsageValueError(
            f"a kernel is for one element of a batch: vmap_method is {', '.join(map(repr, _VMAP_METHODS))}, got "
            f"{vmap_method!r}"
        )
    return _Function(kernel, {"grid": grid, "block": block, **launch}, dict(outputs), vmap_method)


class _Function:
    """A kernel with all that is decided about it."""

    def __init__(
        self, kernel: JitKernel | Kernel, launch: dict[str, Given], outputs: dict[str, Given], vmap_method: str | None
    ) -> None:
        self.__name__ = getattr(kernel, "__name__", "") or getattr(kernel, "name", "jax_function")
        self._kernel, self._launch, self._outputs, self._vmap = kernel, launch, outputs, vmap_method
        self._operands = operands_of(self.__name__, kernel)
        self._inputs = [one for one in self._operands if one.name not in outputs or outputs[one.name] == one.name]
        for name, like in outputs.items():
            self._check_output(name, like)
        for operand in self._operands:
            if operand.written and operand.name not in outputs:
                raise UsageValueError(
                    f"{self.__name__}: the kernel writes {operand.name!r}, and arrays of JAX never change: name it in "
                    f'outputs=, as {{"{operand.name}": "{operand.name}"}} where it is read too'
                )

    def __call__(self, *given: Given, **named: Given) -> object:
        """Call the kernel on arrays and numbers.

        Raises:
            ArgumentError: there are too many arguments or too few, an array is of another dtype, or a number does not
                fit.
        """
        values = self._complete(given, named)
        for operand in self._inputs:  # here, since what is raised in a callback becomes an error of JAX's own
            self._check_elements(operand, values[operand.name])
            self._check_number(operand, values[operand.name])
        shapes = [self._shape(like, values) for like in self._outputs.values()]
        by_name = dict(zip(self._outputs, shapes, strict=True))
        for operand in self._operands:
            if operand.name not in values:
                self._check_elements(operand, by_name[operand.name])
        arrays = [operand.name for operand in self._inputs if not _stays(operand, values[operand.name])]

        def call(*read: Given) -> tuple[object, ...]:
            return self._run({**values, **dict(zip(arrays, map(np.asarray, read), strict=True))}, shapes)

        made = jax.pure_callback(call, tuple(shapes), *[values[name] for name in arrays], vmap_method=self._vmap)
        return made[0] if len(made) == 1 else tuple(made)

    def _run(self, values: dict[str, Given], shapes: list[Given]) -> tuple[object, ...]:
        made = {}
        for name, shape in zip(self._outputs, shapes, strict=True):
            made[name] = np.array(values[name]) if name in values else np.zeros(shape.shape, shape.dtype)
        together = {**values, **made}
        self._kernel(*[_ready(operand, together[operand.name]) for operand in self._operands], **self._launch)
        return tuple(made.values())

    def _complete(self, given: tuple[Given, ...], named: dict[str, Given]) -> dict[str, Given]:
        values = dict(zip([operand.name for operand in self._inputs], given, strict=False))
        for operand in self._inputs[len(given) :]:
            value = named.pop(operand.name, operand.default)
            if value is not None:
                values[operand.name] = value
        if len(given) > len(self._inputs) or named or len(values) < len(self._inputs):
            names = ", ".join(operand.name for operand in self._inputs)
            wrong = ", ".join(f"{name}=" for name in named)
            raise ArgumentError(
                f"{self.__name__}() takes {names}, got {len(given)} arguments{' and ' if wrong else ''}{wrong}"
            )
        return values

    def _shape(self, like: Given, values: dict[str, Given]) -> jax.ShapeDtypeStruct:
        if callable(like):
            return like(*values.values())
        array = values[like]
        return jax.ShapeDtypeStruct(np.shape(array), jax.numpy.result_type(array))

    def _check_elements(self, operand: Operand, value: Given) -> None:
        if operand.kind != "tensor":
            return
        if not hasattr(value, "dtype"):
            raise ArgumentError(f"{self.__name__}: {operand.name!r} is an array, got {type(value).__name__}")
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
            raise ArgumentError(
                f"{self.__name__}: {operand.name!r} is made of {value.dtype}, which is JAX's own; pass "
                "jax.random.key_data(...) of it"
            )
        if strange := _strange(value):
            raise ArgumentError(f"{self.__name__}: {operand.name!r} is {strange}")
        element = numpy_element(np.dtype(value.dtype))
        if operand.pointee is not None and not lanes_needed(element, operand.pointee):
            advice = element_advice(value, element, operand.pointee)
            raise ArgumentError(
                f"{self.__name__}: {operand.name!r} is made of {element.name}, and the kernel's of "
                f"{operand.pointee.scalar}: {advice}"
            )
        kept = jax.dtypes.canonicalize_dtype(value.dtype)
        if isinstance(value, np.ndarray) and kept != value.dtype:
            raise ArgumentError(
                f"{self.__name__}: {operand.name!r} is made of {value.dtype}, and JAX would make {kept} of it: turn on "
                "jax_enable_x64"
            )

    def _check_number(self, operand: Operand, value: Given) -> None:
        if operand.kind == "tensor" or isinstance(value, jax.core.Tracer):
            return
        is_array = isinstance(value, jax.Array)
        if not is_array and not _stays(operand, value):
            raise ArgumentError(f"{self.__name__}: {operand.name!r} is a number, got {type(value).__name__}")
        if np.ndim(value):
            raise ArgumentError(
                f"{self.__name__}: {operand.name!r} is a number, got an array of shape {np.shape(value)}"
            )
        operand.require_fit(self.__name__, _ready(operand, np.asarray(value) if is_array else value))

    def _check_output(self, name: str, like: Given) -> None:
        require_output(self.__name__, self._operands, name)
        tensors = [operand.name for operand in self._inputs if operand.kind == "tensor"]
        if not callable(like) and like not in tensors:
            raise UsageValueError(
                f"{self.__name__}: outputs[{name!r}] is the name of an array argument "
                f"({', '.join(tensors) or 'there is none'}) or a function of the arguments, got {like!r}"
            )


def _ready(operand: Operand, value: Given) -> Given:
    if operand.kind == "tensor" or isinstance(value, _NUMBERS):
        return np.ascontiguousarray(value) if operand.kind == "tensor" and np.ndim(value) else value
    return value[()]  # an array without axes, as NumPy's scalar


def _strange(value: Given) -> str:
    """What an array of NumPy is that JAX refuses in words of its own, and what to pass; else ""."""
    if isinstance(value, np.ma.MaskedArray):
        return "a masked array, which JAX does not take: pass .filled(...) of it"
    if not isinstance(value, np.ndarray):
        return ""
    if value.dtype.names:
        return f"made of {value.dtype}, and JAX has no structures: pass one field of it"
    if not value.dtype.isnative:
        return f'made of {value.dtype.str} in the other byte order: convert it with .astype("{value.dtype.name}")'
    return ""


def _stays(operand: Operand, value: Given) -> bool:
    """Whether a value is no array for JAX: a number of Python or NumPy, which as one would lose precision.

    Within a trace it would be unknown to `grid`, too.
    """
    return isinstance(value, _NUMBERS) or (operand.kind != "tensor" and isinstance(value, (np.generic, np.ndarray)))
