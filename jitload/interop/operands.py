"""What a kernel takes, as an operator of a framework says it: by name, a tensor or a number, read or written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import ArgumentError, UsageTypeError, UsageValueError
from jitload.jit.kernel import JitKernel
from jitload.launch.codec import value_codec
from jitload.launch.cpp_type import element_of, value_of
from jitload.launch.kernel import Kernel
from jitload.launch.misfit import Misfit
from jitload.launch.signature import split_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jitload.launch.codec import Codec
    from jitload.launch.cpp_type import CppType
    from jitload.values import KernelInfo, Parameter

#: What a launch may be given beside grid and block; the stream is the framework's affair.
_OPTIONS = frozenset(
    {"shared_bytes", "cluster", "cooperative", "pdl", "priority", "cluster_scheduling", "carveout_percent"}
)
_INTEGERS = ("int", "uint", "char", "byte", "wchar")


class Operand(NamedTuple):
    """A parameter of a kernel.

    Attributes:
        name: as declared in Python, else in C++.
        kind: "tensor", "int", "float", "bool" or "complex".
        written: whether it is a tensor that the kernel may write to.
        default: a number, or None where the declaration has none.
        pointee: what a tensor is made of, or None where that is not known.
        codec: how a number becomes the parameter's bits; None for a tensor.
    """

    name: str
    kind: str
    written: bool = False
    default: bool | int | float | None = None
    pointee: CppType | None = None
    codec: Codec | None = None

    def require_fit(self, operator: str, value: object) -> None:
        """Nothing, where a number can be packed as the parameter.

        Raises:
            ArgumentError: it is none, or does not fit.
        """
        if self.codec is None:
            return
        try:
            self.codec.convert(value)
        except Misfit as misfit:
            raise ArgumentError(f"{operator}: {self.name!r}: {misfit}") from None


def operands_of(operator: str, kernel: object) -> list[Operand]:
    """The operands of a kernel, in its order. A `jit_kernel` is compiled for that, or found in the cache.

    Raises:
        UsageTypeError: it is no kernel, or takes what is neither a tensor nor a number.
        UsageValueError: it is declared with more or fewer parameters than it has.
        SymbolNotFoundError: its source has no kernel of its name.
        CompileError: it does not compile.
    """
    info, names, defaults = _described(operator, kernel)
    if len(names) != len(info.params):
        raise UsageValueError(
            f"{operator}: {info.name!r} is declared with {len(names)} parameters, and the kernel has {len(info.params)}"
        )
    operands = []
    for name, parameter in zip(names, info.params, strict=True):
        kind = _kind(operator, name, parameter)
        default = defaults.get(name)
        number = default if isinstance(default, (bool, int, float)) else None
        is_tensor = kind == "tensor"
        pointee = element_of(parameter) if is_tensor else None
        codec = None if is_tensor else value_codec(parameter)
        operands.append(Operand(name, kind, is_tensor and not parameter.const, number, pointee, codec))
    return operands


def require_output(operator: str, operands: list[Operand], name: str) -> None:
    """Nothing, where a kernel writes to the operand of that name.

    Raises:
        UsageValueError: it does not, or there is none.
    """
    written = [operand.name for operand in operands if operand.written]
    if name not in written:
        known = ", ".join(map(repr, written)) or "nothing"
        raise UsageValueError(f"{operator}: outputs= names {name!r}, and the kernel writes {known}")


def require_options(function: str, given: Iterable[str]) -> None:
    """Nothing, where all that is given is an option of a launch.

    Raises:
        UsageTypeError: something else was given.
    """
    unknown = ", ".join(sorted(set(given) - _OPTIONS))
    if unknown:
        raise UsageTypeError(f"{function}() has no option {unknown}; a launch takes {', '.join(sorted(_OPTIONS))}")


def _described(operator: str, kernel: object) -> tuple[KernelInfo, list[str], Mapping[str, object]]:
    if isinstance(kernel, JitKernel):
        parameters = split_signature(kernel.__wrapped__)[0]
        return kernel.described(kernel.artifact()), parameters.names, parameters.defaults
    if isinstance(kernel, Kernel):
        names = [parameter.name or f"argument{n}" for n, parameter in enumerate(kernel.info.params)]
        return kernel.info, names, {}
    raise UsageTypeError(f"{operator} takes a jit_kernel or a loaded kernel, got {type(kernel).__name__}")


def _kind(operator: str, name: str, parameter: Parameter) -> str:
    if parameter.pointer:
        return "tensor"
    found = None if parameter.pointer is None else value_of(parameter)
    if found is not None and found.complex:
        return "complex"
    if found is not None and found.lanes == 1:
        if found.scalar == "bool":
            return "bool"
        if found.scalar.startswith(("float", "bfloat")):
            return "float"
        if found.scalar.startswith(_INTEGERS):
            return "int"
    raise UsageTypeError(
        f"{operator}: {name!r} is of type {parameter.cpp or parameter.declared or 'unknown'}, and an operator takes "
        "tensors and numbers: launch from an operator, or a callback, of your own"
    )
