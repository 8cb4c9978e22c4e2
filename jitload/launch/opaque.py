"""Launches are opaque to `torch.compile`: it calls them as they are, between the graphs that it makes of the rest.

It would otherwise follow the Python code of a launch, with tensors that have no memory, down into the executor. torch
is not imported here: functions carry the mark of `torch.compiler.disable`, at which its tracing stops, and where torch
is there, it is told to leave alone the frames of their code and all below them (torch/csrc/dynamo/eval_frame.c). Where
it comes later, it is told when the part of it is imported that compiles.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    Marked = TypeVar("Marked", bound=Callable[..., Any])

_REASON = (
    "a kernel of jitload writes through pointers, which torch.compile does not see; for a graph without a break make "
    "the launch an operator: jitload.interop.torch.custom_op"
)
_COMPILES = "torch._dynamo"
#: Code that torch was not told of, by its id: two functions of one text have codes that are equal.
_waiting: dict[int, weakref.ref[CodeType]] = {}


def opaque(function: Marked) -> Marked:
    """Mark a function that `torch.compile` must call, and not follow."""
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    function._torchdynamo_disable_msg = _REASON  # type: ignore[attr-defined]
    code = function.__code__
    where = id(code)
    _waiting[where] = weakref.ref(code, lambda _: _waiting.pop(where, None))
    return function


def made_opaque(function: Marked) -> Marked:
    """The same for a function that is made while torch may be there."""
    marked = opaque(function)
    keep_opaque()
    return marked


def keep_opaque() -> None:
    """Tell torch of all that is marked: now where it can compile, else as soon as it can."""
    if _COMPILES in sys.modules:
        _tell()
    elif _watch not in sys.meta_path:
        sys.meta_path.insert(0, _watch)


class _Watch:
    """Finds no module, and sees which one is looked for."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == _COMPILES:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            _tell()


_watch: Any = _Watch()


def _tell() -> None:
    frames: Any = getattr(getattr(getattr(sys.modules.get("torch"), "_C", None), "_dynamo", None), "eval_frame", None)
    strategy, action = getattr(frames, "_FrameExecStrategy", None), getattr(frames, "_FrameAction", None)
    if strategy is None or action is None:  # a version of torch that has no such thing
        return
    while _waiting:
        try:
            code = _waiting.popitem()[1]()
        except KeyError:  # another thread took the last
            return
        if code is not None:
            frames.set_code_exec_strategy(code, strategy(action.SKIP, action.SKIP))
