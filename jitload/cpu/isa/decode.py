"""Reading an instruction by its rows: which form it is, or why it is none and what would be legal."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.isa.registry import candidates, explain, rows_of
from jitload.cpu.text.ir import Immediate, Memory, Not, Pair, Register, Sink, Special, Symbol, Texel, Vector
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Place
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

#: Order of types in a name, as rows call them.
_TYPES = {"T": 0, "U": 0, "W": 0, "S": 1, "R": 2}
#: Kind of a type -> the kinds of registers of its width that hold it, and of wider ones where those do as well.
_KINDS = {
    "u": ({"u", "s", "b"}, {"u", "s", "b"}),
    "s": ({"u", "s", "b"}, {"u", "s", "b"}),
    "b": ({"u", "s", "b", "f", "bf", "tf", "x2"}, {"u", "s", "b", "f"}),
    "f": ({"f", "b"}, {"b"}),
}
#: Every `Immediate.float_width`.
_WIDTHS = frozenset({0, 1, 32, 64})


def read(instruction: Instruction) -> Name:
    """The form of an instruction.

    Raises:
        Refused: it is not known, not like this, or does not run here.
    """
    found = candidates(instruction.opcode, instruction.modifiers)
    if not found:
        if not rows_of(instruction.opcode):
            raise Refused("unknown instruction")
        raise Refused(explain(instruction.opcode, instruction.modifiers))
    if found[0].row.refused:
        raise Refused(found[0].row.refused)
    if instruction.malformed is not None:
        raise Refused(instruction.malformed)
    operands = instruction.operands
    if "exchanges" in found[0].row.effects:
        operands = operands[:2]  # registers for the addresses of rows stand behind them
    why = ""
    for name in found:
        misfit = _misfit(name, operands)
        if not misfit:
            return name
        why = why or misfit
    raise Refused(f"{why}; legal is {' or '.join(dict.fromkeys(_spell(name) for name in found))}")


def _spell(name: Name) -> str:
    """A form with the operands that it takes, for people."""
    taken = [place for place in name.row.places if not place.when or name.has(place.when)]
    words = []
    for place in taken:
        held = "" if place.sign == "[" or place.holds in {"*", "_"} else f":{_held(name, place)}"
        word = "_" if place.holds == "_" else f"[{place.name}]" if place.sign == "[" else f"{place.name}{held}"
        words.append(f"{{{word}}}" if place.optional else word)
    return f"{name.row.opcode}{''.join(f'.{part}' for part in name.picked if part)} {', '.join(words)}".strip()


def _held(name: Name, place: Place) -> str:
    type_ = type_at(name, place)
    return "literal" if place.holds == "#" else type_.name if type_ is not None else ""


def type_at(name: Name, place: Place) -> Type | None:
    """What an operand holds, where the row says it."""
    holds = place.holds
    if holds in {"*", "#", "_"}:
        return None
    if holds == "p":
        return TYPES["pred"]
    position = _TYPES.get(holds)
    if position is None:
        return TYPES[holds]
    word = name.types[position]
    return TYPES[f"{word[0]}{2 * int(word[1:])}"] if holds == "W" else TYPES[word]


class _Spot:
    """A place in a form as so many operands take it.

    Attributes:
        place: what the row says.
        type: what it holds, where the row says it.
        registers: the types of registers that may stand there.
        widths: of literals that may stand there, `Immediate.float_width`.
    """

    __slots__ = ("place", "registers", "type", "widths")

    def __init__(self, place: Place, type_: Type | None, registers: frozenset[str], widths: frozenset[int]) -> None:
        self.place = place
        self.type = type_
        self.registers = registers
        self.widths = widths


def _misfit(name: Name, operands: tuple[Operand, ...]) -> str:
    """Why operands do not fit a form, or ""."""
    spots = _spots(name, len(operands))
    if spots is None:
        return f"{len(operands)} operands"
    for spot, operand in zip(spots, operands, strict=True):
        if type(operand) is Register:  # nearly all are registers or literals
            if operand.type.name in spot.registers:
                continue
        elif operand.float_width in spot.widths if type(operand) is Immediate else _fits(spot, operand):
            continue
        what = f", a register of type .{operand.type.name}," if isinstance(operand, Register) else ""
        return f"operand {spots.index(spot) + 1}{what} does not fit"
    return ""


@lru_cache(maxsize=4096)
def _spots(name: Name, count: int) -> tuple[_Spot, ...] | None:
    """The places that so many operands take; None where they are too many or few."""
    taken = [place for place in name.row.places if not place.when or name.has(place.when)]
    spare = len(taken) - count
    for place in [place for place in reversed(taken) if place.optional][: max(spare, 0)]:
        taken.remove(place)
    if len(taken) != count:
        return None
    return tuple([_spot(place, type_at(name, place)) for place in taken])


def _spot(place: Place, type_: Type | None) -> _Spot:
    if place.sign == "[":
        return _Spot(place, type_, frozenset(), frozenset())
    if place.holds == "#":
        return _Spot(place, type_, frozenset(), _WIDTHS)
    if place.holds == "_":
        return _Spot(place, type_, frozenset(), frozenset())
    registers = _registers(type_, wider=place.mark == ">")
    if type_ is None:
        return _Spot(place, type_, registers, _WIDTHS)
    literal = not place.is_result and place.pair != "&"
    return _Spot(place, type_, registers, _widths(type_) if literal else frozenset())


@lru_cache(maxsize=256)
def _registers(type_: Type | None, *, wider: bool) -> frozenset[str]:
    """The types of registers that hold a type (PTX ISA sections 9.4 and 9.4.1); of none in particular, all."""
    if type_ is None:
        return frozenset(TYPES)
    if type_.kind == "p":
        return frozenset({"pred"})
    equal, more = _KINDS.get(type_.kind, ({"b"}, {"b"}))
    found = {
        one.name
        for one in TYPES.values()
        if (one.bits == type_.bits and one.kind in equal) or (wider and one.bits > type_.bits and one.kind in more)
    }
    return frozenset(found | {type_.name})


def _fits(spot: _Spot, operand: Operand) -> bool:
    """Whether an operand that is no register and no literal may stand in a place."""
    place = spot.place
    if place.sign == "[":
        return isinstance(operand, Texel) if place.name == "t" else isinstance(operand, Memory) and _leads(operand)
    if isinstance(operand, Sink):
        return place.name == "_d" or place.pair != "" or place.holds == "_"
    if place.holds == "#":
        return False
    if spot.type is None:
        return place.holds != "_" and not isinstance(operand, Memory | Texel)
    if isinstance(operand, Pair):
        return _is_pair(spot, operand)
    if place.pair == "&":
        return False
    if isinstance(operand, Vector):
        return place.sign == "{" and _are_elements(operand.items, spot)
    if isinstance(operand, Not):
        return not place.is_result and spot.type.kind == "p" and isinstance(operand.operand, Register)
    return isinstance(operand, Special | Symbol) and not place.is_result


def _leads(operand: Memory) -> bool:
    """Whether it may be an address: floats are none."""
    return not isinstance(operand.base, Register) or operand.base.type.kind in {"u", "s", "b"}


def _is_pair(spot: _Spot, operand: Pair) -> bool:
    first, second = operand
    several = isinstance(first, Vector) and spot.place.sign == "{" and _are_elements(first.items, spot)
    return (
        spot.place.pair != ""
        and (several or isinstance(first, Sink) or (isinstance(first, Register) and first.type.name in spot.registers))
        and (isinstance(second, Sink) or (isinstance(second, Register) and second.type.name == "pred"))
    )


def _are_elements(operands: tuple[Operand, ...], spot: _Spot) -> bool:
    registers, other = spot.registers, Sink if spot.place.is_result else Immediate
    if {operand.type.name if type(operand) is Register else "" for operand in operands} <= registers:
        return True
    for operand in operands:
        if type(operand) is Register:
            if operand.type.name not in registers:
                return False
        elif type(operand) is not other:
            return False
    return True


def _widths(type_: Type) -> frozenset[int]:
    """Of literals that may stand for a value of this type: whole numbers for integers, others for floats."""
    if type_.kind in {"u", "s"}:
        return frozenset({0})
    if type_.kind == "b":
        return _WIDTHS - {1}
    if type_.kind == "f" and type_.bits > 16:
        return _WIDTHS - {0}
    return _WIDTHS if type_.kind == "p" else frozenset()
