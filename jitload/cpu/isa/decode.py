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


def _misfit(name: Name, operands: tuple[Operand, ...]) -> str:
    """Why operands do not fit a form, or ""."""
    places = _places(name, len(operands))
    if places is None:
        return f"{len(operands)} operands"
    for number, (place, accepted, operand) in enumerate(zip(*places, operands, strict=True)):
        if type(operand) is Register:
            if place.sign != "[" and (accepted is None or operand.type.name in accepted):
                continue
        elif _fits(place, accepted, operand, name):
            continue
        what = f", a register of type .{operand.type.name}," if isinstance(operand, Register) else ""
        return f"operand {number + 1}{what} does not fit"
    return ""


@lru_cache(maxsize=4096)
def _places(name: Name, count: int) -> tuple[tuple[Place, ...], tuple[frozenset[str] | None, ...]] | None:
    """The places that so many operands take, and the types of registers for each; None where they are too many or few."""
    taken = [place for place in name.row.places if not place.when or name.has(place.when)]
    spare = len(taken) - count
    for place in [place for place in reversed(taken) if place.optional][: max(spare, 0)]:
        taken.remove(place)
    if len(taken) != count:
        return None
    return tuple(taken), tuple(
        _registers(type_at(name, place), wider=place.mark == ">") if place.holds != "#" else frozenset[str]()
        for place in taken
    )


@lru_cache(maxsize=256)
def _registers(type_: Type | None, *, wider: bool) -> frozenset[str] | None:
    """The types of registers that hold a type (PTX ISA sections 9.4 and 9.4.1); None for any."""
    if type_ is None:
        return None
    if type_.kind == "p":
        return frozenset({"pred"})
    equal, more = _KINDS.get(type_.kind, ({"b"}, {"b"}))
    found = {
        one.name
        for one in TYPES.values()
        if (one.bits == type_.bits and one.kind in equal) or (wider and one.bits > type_.bits and one.kind in more)
    }
    return frozenset(found | {type_.name})


def _fits(place: Place, accepted: frozenset[str] | None, operand: Operand, name: Name) -> bool:
    """Whether an operand that is no register may stand in a place."""
    if place.sign == "[":
        return isinstance(operand, Texel if place.name == "t" else Memory)
    if isinstance(operand, Sink):
        return place.name == "_d" or place.pair != "" or place.holds == "_"
    if accepted is None:
        return place.holds != "_" and not isinstance(operand, Memory | Texel)
    if place.holds == "#":
        return isinstance(operand, Immediate)
    if isinstance(operand, Pair):
        return _is_pair(place, accepted, operand)
    if place.pair == "&":
        return False
    if isinstance(operand, Vector):
        return place.sign == "{" and all(_is_element(one, accepted, place) for one in operand.items)
    if isinstance(operand, Immediate):
        type_ = type_at(name, place)
        return not place.is_result and type_ is not None and _is_literal(operand, type_)
    if isinstance(operand, Not):
        return place.holds == "p"
    return isinstance(operand, Special | Symbol) and not place.is_result


def _is_pair(place: Place, accepted: frozenset[str], operand: Pair) -> bool:
    first, second = operand
    return (
        place.pair != ""
        and (isinstance(first, Sink) or (isinstance(first, Register) and first.type.name in accepted))
        and (isinstance(second, Sink) or (isinstance(second, Register) and second.type.name == "pred"))
    )


def _is_element(operand: Operand, accepted: frozenset[str], place: Place) -> bool:
    if isinstance(operand, Register):
        return operand.type.name in accepted
    return isinstance(operand, Sink) if place.is_result else isinstance(operand, Immediate)


def _is_literal(operand: Immediate, type_: Type) -> bool:
    """Whether a literal may stand for a value of this type: whole numbers for integers, others for floats."""
    if type_.kind in {"u", "s"}:
        return operand.float_width == 0
    if type_.kind == "b":
        return operand.float_width != 1
    return type_.kind == "p" or (type_.kind == "f" and type_.bits > 16 and operand.float_width != 0)
