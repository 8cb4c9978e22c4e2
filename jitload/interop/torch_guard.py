"""What torch would compute wrongly of an operator, and say nothing: refused before the operator runs.

torch gives an operator that changes an argument no history, and one that has no rule for forward mode no tangent: what
is differentiated through them is then as if they had done nothing (torch 2.13, torch/_library/autograd.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import ArgumentError
from jitload.launch.arrays import has_tangent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from jitload.launch.foreign import Given

_KEYS = ("AutogradCPU", "AutogradCUDA")


def guard(torch: ModuleType, operator: Given, name: str, arguments: Sequence[str], changed: Sequence[str]) -> None:
    """Let calls of an operator be checked, in front of what torch does for gradients.

    Args:
        torch: the module.
        operator: the operator, a `CustomOpDef`.
        name: its name.
        arguments: the names of its arguments.
        changed: those that it writes to.
    """
    if not hasattr(torch.library, "get_kernel"):  # before torch 2.9 nothing can be put in front
        return
    overload = operator._opoverload
    for key in _KEYS:
        behind = torch.library.get_kernel(overload, key)

        def checked(keyset: Given, *given: Given, behind: Given = behind) -> object:
            for argument, value in zip(arguments, given, strict=False):  # defaults are left out
                if isinstance(value, torch.Tensor):
                    _check(torch, name, argument, value, argument in changed)
            return behind.call_boxed(keyset, *given)

        operator._lib.impl(name.partition("::")[2], checked, key, with_keyset=True)


def _check(torch: ModuleType, name: str, argument: str, value: Given, changed: bool) -> None:
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
