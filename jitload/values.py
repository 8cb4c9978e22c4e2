"""Frozen value objects without `dataclasses`.

The standard module brings `inspect` along: 14 ms at start-up on the machine this was measured on, a quarter of the
budget for a whole new process with a verified hit. Everything on the hit path derives from `Value` instead.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from typing_extensions import Self


class Value:
    """An immutable object whose identity is its `__slots__`: equality, hash, repr and pickling go by them."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def _maker(cls) -> Callable[..., Self]:
        """A function that makes an instance from the values of its slots, in their order, unchecked.

        Six times as fast as `__init__`: it fills a class of the same layout that is not frozen yet, then makes it one
        of this class. Like `collections.namedtuple`, it is compiled from the names of the fields.
        """
        names = cls.__slots__
        text = f"def __init__(self, {', '.join(names)}):\n " + "; ".join([f"self.{name} = {name}" for name in names])
        found: dict[str, Any] = {}
        exec(text, found)  # noqa: S102 - the field names of our own classes
        thawed = {"__slots__": names, "__init__": found["__init__"]}
        thawed |= {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
        draft: Any = type(cls.__name__, (Value,), thawed)

        def make(*values: object) -> Any:
            made = draft(*values)
            made.__class__ = cls
            return made

        return make

    def _set(self, **fields: object) -> None:
        """Fill the slots, once, from `__init__`."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be deleted")

    def _fields(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__slots__])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**state)


class Resources(Value):
    """What one kernel takes of a multiprocessor, as its cubin says. No GPU is needed to know it.

    Attributes:
        registers: per thread.
        stack_bytes: of its stack frame, per thread: local arrays, and registers that were spilled.
        shared_bytes: static shared memory per block, without the 1024 bytes that the system keeps from sm_90 on.
        spill_store_bytes: written to the stack for want of registers, or None where the compiler was not asked.
        spill_load_bytes: read back, likewise.
        constant_bytes: of its constant bank 0: the parameters and what lies before them.
        code_bytes: of its machine code.
        barriers: named barriers per block.
        max_threads: the most threads per block that can be launched, by `__launch_bounds__` and by registers.
    """

    __slots__ = (
        "barriers",
        "code_bytes",
        "constant_bytes",
        "max_threads",
        "registers",
        "shared_bytes",
        "spill_load_bytes",
        "spill_store_bytes",
        "stack_bytes",
    )
    registers: int
    stack_bytes: int
    shared_bytes: int
    spill_store_bytes: int | None
    spill_load_bytes: int | None
    constant_bytes: int
    code_bytes: int
    barriers: int
    max_threads: int

    def __init__(
        self,
        *,
        registers: int,
        stack_bytes: int = 0,
        shared_bytes: int = 0,
        spill_store_bytes: int | None = None,
        spill_load_bytes: int | None = None,
        constant_bytes: int = 0,
        code_bytes: int = 0,
        barriers: int = 0,
        max_threads: int = 1024,
    ) -> None:
        self._set(
            registers=registers,
            stack_bytes=stack_bytes,
            shared_bytes=shared_bytes,
            spill_store_bytes=spill_store_bytes,
            spill_load_bytes=spill_load_bytes,
            constant_bytes=constant_bytes,
            code_bytes=code_bytes,
            barriers=barriers,
            max_threads=max_threads,
        )
