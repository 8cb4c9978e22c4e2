"""A kernel as an operator of PyTorch.

    from jitload.interop.torch import custom_op

    scale = custom_op(kernel, "mylib::scale", grid=lambda a, x, y, n: -(-n // 256), block=256, outputs={"y": "x"})
    y = scale(2.0, x, x.numel())

Unlike a plain launch, an operator is seen by `torch.compile`, by fake tensors and, with `backward=`, by autograd.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from jitload.errors import ArgumentError, UsageTypeError, UsageValueError
from jitload.given import given_name
from jitload.interop.operands import Operand, operands_of, require_options, require_output
from jitload.launch.arrays import has_tangent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jitload.jit.kernel import JitKernel
    from jitload.launch.foreign import Given
    from jitload.launch.kernel import Kernel

__all__ = ["custom_op"]

_NAME = re.compile(r"[A-Za-z_]\w*::[A-Za-z_]\w*")
#: Where torch decides on gradients.
_KEYS = ("AutogradCPU", "AutogradCUDA")
#: How torch's schemas call what a kernel takes.
_KINDS = {"tensor": "Tensor", "int": "SymInt", "float": "float", "bool": "bool", "complex": "complex"}


def custom_op(
    kernel: JitKernel | Kernel,
    name: str,
    *,
    grid: Given,
    block: Given,
    outputs: Mapping[str, str | Callable[..., torch.Tensor]] | None = None,
    backward: Callable[..., object] | None = None,
    saves: Sequence[str] | None = None,
    **launch: Given,
) -> torch.library.CustomOpDef:
    """Make a kernel an operator of `torch.library`, `torch.ops.<namespace>.<name>`.

    Its arguments are the kernel's, in their order and by their names, without those in `outputs`: pointers are tensors,
    numbers are int, float or bool. What it writes follows from the kernel: the pointers that are not to const. Those in
    `outputs` are allocated by the operator and returned; the others are arguments that are changed in place. To know
    all that, the kernel is compiled, or found in the cache, right here.

    Tensors that the kernel only reads may have any strides: what is not contiguous is copied first. The launch is on
    torch's current stream, on the device of the tensors.

    Args:
        kernel: a `jit_kernel`, with no template argument open, or the kernel of a loaded module.
        name: "namespace::name".
        grid: blocks: a number, a tuple, or a function of all the kernel's arguments, outputs too.
        block: threads per block: a number or a tuple.
        outputs: by name, in the order in which they are returned: the name of the tensor argument whose shape, dtype
            and device the output has, or a function that gets the operator's arguments and returns a new contiguous
            tensor (`lambda a, x, n: x.new_empty(n)`). It also says what is allocated where torch only traces.
        backward: a function of one gradient per output, then of what is saved, which gives one gradient per tensor
            argument: one, or a tuple, with None for what has none. It may be another operator of this function.
        saves: the names of the arguments and outputs that `backward` gets; default: all arguments.
        launch: `shared_bytes`, `cluster`, `cooperative` and the hints of `Kernel.bind`.

    Returns:
        The operator, called with its arguments; what `torch.library.custom_op` makes.

    Raises:
        UsageTypeError, UsageValueError: what was given makes no operator.
        CompileError: the kernel does not compile.
    """
    if not _NAME.fullmatch(given_name("name", name)):
        raise UsageValueError(f'an operator is named "namespace::name", got {name!r}')
    require_options("custom_op", launch)
    operator = _Operator(name, kernel, {"grid": grid, "block": block, **launch}, dict(outputs or {}))
    made = torch.library.custom_op(name, operator.run, mutates_args=operator.changed, schema=operator.schema)
    made.register_fake(operator.trace)
    _guard(made, name, [argument.name for argument in operator.inputs], operator.changed)
    if backward is not None:
        gradient = _Gradient(operator, backward, saves)
        made.register_autograd(gradient.run, setup_context=gradient.save)
    elif saves is not None:
        raise UsageValueError(f"{name}: saves= is what backward= gets, and there is no backward=")
    return made


class _Operator:
    """A kernel with all that is decided about it: what `torch.library` calls."""

    def __init__(
        self, name: str, kernel: JitKernel | Kernel, launch: dict[str, Given], outputs: dict[str, Given]
    ) -> None:
        self.name = name
        self._kernel = kernel
        self._launch = launch
        self.arguments = operands_of(name, kernel)
        self.inputs = [argument for argument in self.arguments if argument.name not in outputs]
        self.outputs = {key: self._allocator(key, like) for key, like in outputs.items()}
        self.changed = [argument.name for argument in self.inputs if argument.written]
        self.schema = f"({', '.join(self._texts())}) -> {self._returned()}"

    def run(self, *given: Given) -> object:
        """Allocate the outputs, launch, return them."""
        values = dict(zip((argument.name for argument in self.inputs), self._complete(given), strict=True))
        made = [make(*values.values()) for make in self.outputs.values()]
        values.update(zip(self.outputs, made, strict=True))
        arguments = [self._ready(argument, values[argument.name]) for argument in self.arguments]
        device = next((value.device for value in arguments if isinstance(value, torch.Tensor) and value.is_cuda), None)
        if device is None:
            self._kernel(*arguments, **self._launch)
        else:
            with torch.cuda.device(device):
                self._kernel(*arguments, **self._launch)
        return self._result(made)

    def trace(self, *given: Given) -> object:
        """The outputs without what is in them, of tensors without memory."""
        inputs = self._complete(given)
        return self._result([make(*inputs) for make in self.outputs.values()])

    def _complete(self, given: tuple[Given, ...]) -> list[Given]:
        # torch leaves out what a call gave as the default says.
        return [*given, *(argument.default for argument in self.inputs[len(given) :])]

    def _result(self, made: list[torch.Tensor]) -> object:
        if not made:
            return None
        return made[0] if len(made) == 1 else tuple(made)

    def _ready(self, argument: Operand, value: Given) -> Given:
        if argument.kind != "tensor":
            return value
        if not argument.written:
            return value.resolve_conj().resolve_neg().contiguous()
        if not value.is_contiguous():
            fix = "its function in outputs= must make one that is"
            if argument.name not in self.outputs:
                fix = "pass .contiguous(), and copy what was written back"
            raise ArgumentError(
                f"{self.name}: {argument.name!r} is written and must be contiguous, and its strides are "
                f"{tuple(value.stride())} for shape {tuple(value.shape)}; {fix}"
            )
        return value

    def _allocator(self, name: str, like: Given) -> Callable[..., torch.Tensor]:
        require_output(self.name, self.arguments, name)
        if callable(like):
            make: Callable[..., torch.Tensor] = like
            return make
        tensors = [argument.name for argument in self.inputs if argument.kind == "tensor"]
        if like not in tensors:
            known = ", ".join(tensors) or "there is none"
            raise UsageValueError(
                f"{self.name}: outputs[{name!r}] is the name of a tensor argument ({known}) or a function of the "
                f"arguments, got {like!r}"
            )
        position = [argument.name for argument in self.inputs].index(like)
        return lambda *inputs: torch.empty_like(inputs[position], memory_format=torch.contiguous_format)

    def _texts(self) -> list[str]:
        texts = []
        for number, argument in enumerate(self.inputs):
            kind = f"Tensor(a{number}!)" if argument.written else _KINDS[argument.kind]
            default = "" if argument.default is None else f"={argument.default!r}"
            texts.append(f"{kind} {argument.name}{default}")
        return texts

    def _returned(self) -> str:
        return "Tensor" if len(self.outputs) == 1 else f"({', '.join(['Tensor'] * len(self.outputs))})"


class _Gradient:
    """What autograd calls for an operator."""

    def __init__(self, operator: _Operator, backward: Callable[..., object], saves: Sequence[str] | None) -> None:
        if not callable(backward):
            raise UsageTypeError(f"{operator.name}: backward is a function, got {type(backward).__name__}")
        if operator.changed or not operator.outputs:
            raise UsageValueError(
                f"{operator.name}: an operator with backward= changes no argument, and this one writes "
                f"{', '.join(map(repr, operator.changed)) or 'nothing'}: name that in outputs="
            )
        self._operator = operator
        self._backward = backward
        inputs = [argument.name for argument in operator.inputs]
        known = {*inputs, *operator.outputs}
        self._saves = inputs if saves is None else list(saves)
        if isinstance(saves, str) or not known.issuperset(self._saves):
            raise UsageValueError(f"{operator.name}: saves is a list of {', '.join(sorted(known))}, got {saves!r}")
        self._tensors = {argument.name for argument in operator.arguments if argument.kind == "tensor"}

    def save(self, ctx: Given, inputs: tuple[Given, ...], output: Given) -> None:
        """Keep for `backward` what it asked for."""
        made = (output,) if isinstance(output, torch.Tensor) else output
        values = dict(zip((argument.name for argument in self._operator.inputs), inputs, strict=True))
        values.update(zip(self._operator.outputs, made, strict=True))
        ctx.save_for_backward(*[values[name] for name in self._saves if name in self._tensors])
        ctx.jitload_numbers = [values[name] for name in self._saves if name not in self._tensors]

    def run(self, ctx: Given, *gradients: torch.Tensor) -> tuple[object, ...]:
        """The gradients of all arguments; numbers have none."""
        tensors, numbers = iter(ctx.saved_tensors), iter(ctx.jitload_numbers)
        saved = [next(tensors if name in self._tensors else numbers) for name in self._saves]
        found = self._backward(*gradients, *saved)
        given = list(found) if isinstance(found, (tuple, list)) else [found]
        wanted = [argument for argument in self._operator.inputs if argument.kind == "tensor"]
        if len(given) != len(wanted):
            raise UsageValueError(
                f"{self._operator.name}: backward gives a gradient for each of "
                f"{', '.join(argument.name for argument in wanted)}, in this order, or None; it gave {len(given)}"
            )
        rest = iter(given)
        return tuple(next(rest) if argument.kind == "tensor" else None for argument in self._operator.inputs)


def _guard(made: Given, name: str, arguments: Sequence[str], changed: Sequence[str]) -> None:
    """Have calls of an operator checked, in front of what torch does for gradients.

    torch gives an operator that changes an argument no history, and one that has no rule for forward mode no tangent:
    what is differentiated through them is then as if they had done nothing (torch 2.13, torch/_library/autograd.py).
    """
    if not hasattr(torch.library, "get_kernel"):  # before torch 2.9 nothing can be put in front
        return
    for key in _KEYS:
        behind = torch.library.get_kernel(made._opoverload, key)

        def checked(keyset: Given, *given: Given, behind: Given = behind) -> object:
            for argument, value in zip(arguments, given, strict=False):  # defaults are left out
                if isinstance(value, torch.Tensor):
                    _check_gradient(name, argument, value, argument in changed)
            return behind.call_boxed(keyset, *given)

        made._lib.impl(name.partition("::")[2], checked, key, with_keyset=True)


def _check_gradient(name: str, argument: str, value: Given, changed: bool) -> None:
    if changed and value.requires_grad and torch.is_grad_enabled():
        raise ArgumentError(
            f"{name}: {argument!r} requires grad and is changed, which autograd would not see; call it under "
            "torch.no_grad() or with .detach(), or name it in outputs="
        )
    if has_tangent(value):
        raise ArgumentError(
            f"{name}: {argument!r} has a tangent, and the operator has no rule for forward mode: what it returns would "
            "have none; differentiate in reverse"
        )
