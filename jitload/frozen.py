"""Frozen value objects without `dataclasses`.

The standard module brings `inspect` along: 14 ms at start-up on the machine this was measured on, a quarter of the
budget for a whole new process with a verified hit. Everything on the hit path derives from `Value` instead.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeVar

    from typing_extensions import Self

    Made = TypeVar("Made", bound="Value")


class Value:
    """An immutable object whose identity is its `__slots__`: equality, hash, repr and pickling go by them."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def _maker(cls) -> Callable[..., Self]:
        """A function that makes an instance from the values of its slots, by name, unchecked.

        Several times as fast as `__init__`: it fills a class of the same layout that is not frozen yet, then makes it
        one of this class. Like `collections.namedtuple`, it is compiled from the names of the fields.
        """
        names = cls.__slots__
        thawed = {"__slots__": names, "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
        found: dict[str, Any] = {"new": object.__new__, "draft": type(cls.__name__, (Value,), thawed), "made": cls}
        fill = "".join([f" self.{name} = {name}\n" for name in names])
        text = f"def make(*, {', '.join(names)}):\n self = new(draft)\n{fill} self.__class__ = made\n return self"
        exec(text, found)  # noqa: S102 - the field names of our own classes
        make: Callable[..., Self] = found["make"]
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


class Makers(dict["type[Value]", "Callable[..., object]"]):
    """A class -> what its `_maker()` gives, asked for when one is first made.

    To compile one takes 0.1 ms, and a process that never makes one does not pay for it: whoever keeps bytes under keys
    of his own decodes no kernel. To look one up takes 30 ns.
    """

    if TYPE_CHECKING:

        def __getitem__(self, made: type[Made]) -> Callable[..., Made]:
            """The maker of that class."""

    def __missing__(self, made: type[Value]) -> Callable[..., object]:
        return self.setdefault(made, made._maker())
