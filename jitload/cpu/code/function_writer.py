"""What the generated functions of one PTX function share: constants, sites, names of special registers."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.code.namespace import functions_of
from jitload.cpu.faults import Refused
from jitload.cpu.types import BITS, DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jitload.cpu.text.ir import Immediate, Place, Register, Symbol


class Value:
    """A Python name that holds lanes of one representation.

    Attributes:
        root: tells which names share storage.
        affine: whether it may be an `Affine` instead of an array or a scalar.
    """

    __slots__ = ("affine", "name", "rep", "root")

    def __init__(self, name: str, rep: str, root: str, affine: bool = False) -> None:
        self.name = name
        self.rep = rep
        self.root = root
        self.affine = affine


@lru_cache(maxsize=4096)
def loaded(number: int, rep: str, affine: bool) -> Value:
    """What a block loads as its register of that number."""
    name = f"r{number}"
    return Value(name, rep, name, affine)


class FunctionWriter:
    """What the blocks of one function share.

    Args:
        name: the function's symbol.
        constants: the namespace of the generated code; constants are added to it.
        places: where fault messages look a site number up; grows.
        resolve: gives the address of a symbol: (space, address or frame offset).
        entry: whether the function is a kernel.
        carry: the register that stands for the carry flag CC.CF.
        linear: numbers of the registers that may hold an `Affine`.
    """

    def __init__(
        self,
        name: str,
        constants: dict[str, object],
        places: list[Place],
        resolve: Callable[[Symbol], tuple[str, int]],
        entry: bool,
        carry: Register,
        linear: set[int],
    ) -> None:
        self.name = name
        self.constants = constants
        self.places = places
        self.resolve = resolve
        self.entry = entry
        self.carry = carry
        self.linear = linear
        self._pool: dict[tuple[str, bytes], str] = {}
        self._integers: dict[tuple[str, int], str] = {}

    def constant(self, rep: str, value: float) -> str:
        """The name of a typed constant; an integer gives exact bits, also of a float representation."""
        if not isinstance(value, int):
            return self._name(rep, DTYPES[rep].type(value))
        name = self._integers.get((rep, value))
        if name is None:
            bits = BITS[rep]
            raw = (value & ((1 << bits) - 1)).to_bytes(max(bits // 8, 1), "little")
            name = self._integers[rep, value] = self._name(rep, np.frombuffer(raw, DTYPES[rep])[0])
        return name

    def _name(self, rep: str, scalar: np.generic) -> str:
        key = (rep, scalar.tobytes())
        name = self._pool.get(key)
        if name is None:
            name = self._pool[key] = f"c{len(self.constants)}"
            self.constants[name] = scalar
        return name

    def literal(self, operand: Immediate, rep: str) -> str:
        """The name of a literal, seen as `rep`.

        Raises:
            Refused: it cannot be that.
        """
        value, width = operand.value, operand.float_width
        if rep == "p":
            return self.constant("p", 1 if value else 0)
        if width > 1 and rep[0] == "f" and BITS[rep] != width:
            raw = int(value).to_bytes(width // 8, "little")
            return self.constant(rep, float(struct.unpack("<f" if width == 32 else "<d", raw)[0]))
        if width == 1 and rep[0] != "f":
            raise Refused("a floating-point literal in an integer operand")
        if rep[0] == "f" and width == 0:
            return self.constant(rep, float(value))
        return self.constant(rep, value)

    def use(self, *files: ModuleType) -> None:
        """Let the code call functions of files of lanes or of memory that few kernels need."""
        for file in files:
            self.constants.update(functions_of(file))

    def site(self, place: Place) -> int:
        """A number for the place of an instruction."""
        if not self.places or self.places[-1] is not place:
            self.places.append(place)
        return len(self.places) - 1
