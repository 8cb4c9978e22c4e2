"""The native column of atomics, and which of them may run one thread after the other.

Lanes carry out one instruction of all threads after the other. Sums of integers and the like give the same in any
order, as long as nobody looks at what was there before; of others a place has one instruction, to which threads come in
their order. Sums of floats may be rounded in another order, which CUDA leaves open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.liveness import registers_of, results_and_sources
from jitload.cpu.emit.address import take_hints
from jitload.cpu.faults import Refused
from jitload.cpu.native import halves
from jitload.cpu.native.floats import FLOAT, as_bits, as_float, settled
from jitload.cpu.native.operands import Resolved
from jitload.cpu.native.places import locate
from jitload.cpu.native.turns import Order
from jitload.cpu.native.widen import Unwidened
from jitload.cpu.text.ir import Memory, Register, Sink, Symbol, Vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.control import Block
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_SPACES = {"global": "global", "shared": "shared", "shared::cta": "shared"}
_OPERATIONS = ("add", "and", "or", "xor", "min", "max", "inc", "dec", "exch", "cas")
_VECTORS = ("v2", "v4", "v8")
_COMMUTING = frozenset(["add", "and", "or", "xor", "min", "max"])
#: Types whose sums are rounded.
FLOATS = halves.TYPES | {"f32", "f64"}


def emit_atomic(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`atom` and `red`: threads run one after the other, so each is a load and a store."""
    w.unguarded()
    if w.lanes > 1:
        raise Unwidened(instruction.opcode)
    found = take_hints(modifiers, instruction)
    name, type_ = modifiers.need(*_OPERATIONS), modifiers.type()
    vector = modifiers.choice(*_VECTORS)
    modifiers.flag("noftz")
    space = _SPACES[modifiers.need(*_SPACES)] if modifiers.left else "generic"
    target = found[0] if instruction.opcode == "atom" else Sink()
    memory, *operands = found[1:] if instruction.opcode == "atom" else found
    assert isinstance(memory, Memory)
    if vector:
        values = [_items(one, int(vector[1])) for one in operands]
        targets = (target,) * int(vector[1]) if isinstance(target, Sink) else _items(target, int(vector[1]))
    else:
        values, targets = [(one,) for one in operands], (target,)
    for number, (each, *own) in enumerate(zip(targets, *values, strict=True)):
        _emit_one(w, (name, type_, space), memory._replace(offset=memory.offset + number * type_.size), own, each)


def _items(operand: Operand, count: int) -> tuple[Operand, ...]:
    if not isinstance(operand, Vector) or len(operand.items) != count:
        raise Refused(f"a vector of {count} elements is expected")
    return operand.items


def _emit_one(
    w: KernelWriter, what: tuple[str, Type, str], memory: Memory, operands: list[Operand], target: Operand
) -> None:
    """One element, which is atomic by itself."""
    name, type_, space = what
    bits = type_.bits
    if bits > 64:
        raise Refused(f"an atomic of .{type_.name} has no native form")
    values = [(w.number if type_.kind == "f" and bits > 16 else w.value)(one, bits) for one in operands]
    place = locate(w, space, memory, type_.size, write=True)
    old = w.new(f"load i{bits}, ptr {place}, align {type_.size}")
    w.act(f"store i{bits} {_after(w, name, type_, old, values)}, ptr {place}, align {type_.size}")
    w.result(target, bits, old, signed=type_.kind == "s")


def _after(w: KernelWriter, name: str, type_: Type, old: str, values: list[str]) -> str:
    """What is in memory afterwards."""
    bits, b = type_.bits, values[0]
    kind = f"i{bits}"
    if type_.name in halves.TYPES:
        return halves.combined(w, name, type_.name, (old, b))
    if type_.kind == "f":
        x = w.new(f"fadd {FLOAT[bits]} {as_float(w, old, bits)}, {as_float(w, b, bits)}")
        return settled(w, as_bits(w, x, bits), bits, [old, b])
    if name in {"add", "and", "or", "xor"}:
        return w.new(f"{name} {kind} {old}, {b}")
    if name in {"min", "max"}:
        which = f"llvm.{'s' if type_.kind == 's' else 'u'}{name}.{kind}"
        return w.new(f"call {kind} @{which}({kind} {old}, {kind} {b})")
    if name == "exch":
        return b
    if name == "cas":
        return w.select(w.new(f"icmp eq {kind} {old}, {b}"), kind, values[1], old)
    if name == "inc":
        return w.select(w.new(f"icmp uge {kind} {old}, {b}"), kind, "0", w.new(f"add {kind} {old}, 1"))
    zero, above = w.new(f"icmp eq {kind} {old}, 0"), w.new(f"icmp ugt {kind} {old}, {b}")
    return w.select(w.new(f"or i1 {zero}, {above}"), kind, b, w.new(f"sub {kind} {old}, 1"))


#: In place of where a pointer is from: it may point anywhere.
ANY = Resolved("", 0)


class _Site(NamedTuple):
    """One atomic: its block, space, operation, whether its result is read, and from what its address is made."""

    block: int
    space: str
    operation: str
    wanted: bool
    roots: frozenset[Resolved]
    instruction: Instruction


def expect_order(
    blocks: list[Block], resolve: Callable[[Symbol], Resolved], *, fair: bool
) -> tuple[frozenset[Resolved], ...]:
    """Let pass what gives the same in the order of threads.

    Args:
        blocks: of the kernel.
        resolve: gives where a symbol lies.
        fair: whether lanes may let some threads go on before others come.

    Returns:
        What was taken for places apart, which a launch must look at: of each the parameters and variables of the module
        that point there.

    Raises:
        Refused: what an atomic gives depends on the order of threads.
    """
    order = Order(blocks)
    places = _places(_sites(blocks, _read_registers(blocks), resolve))
    for place in places:
        if len({one.operation for one in place}) == 1 and all(_commutes(one) for one in place):
            continue
        if fair or not _is_in_turn(place, order):
            raise Refused("what this atomic gives depends on the order of threads", place[0].instruction.place)
    roots = [frozenset(root for one in place for root in one.roots) for place in places if place[0].space != "shared"]
    return tuple(roots) if len(roots) > 1 else ()


def sums_in_any_order(blocks: list[Block], resolve: Callable[[Symbol], Resolved], *, fair: bool) -> bool:
    """Whether threads come to some sum of floats in another order than on lanes: it may be rounded in another way.

    Args:
        blocks: of the kernel.
        resolve: gives where a symbol lies.
        fair: whether lanes may let some threads go on before others come.
    """
    order = Order(blocks)
    places = _places(_sites(blocks, _read_registers(blocks), resolve))
    return any(any(_sums_floats(one) for one in place) and (fair or not _is_in_turn(place, order)) for place in places)


def _is_in_turn(place: list[_Site], order: Order) -> bool:
    """Whether threads come to a place one after the other, each at most once.

    Of vectors, lanes do the first elements of all threads before the second ones.
    """
    return (
        len(place) == 1
        and frozenset(_VECTORS).isdisjoint(place[0].instruction.modifiers)
        and order.is_in_turn(place[0].block)
    )


def _sums_floats(site: _Site) -> bool:
    operation, _, type_ = site.operation.partition(".")
    return operation == "add" and type_ in FLOATS


def _commutes(site: _Site) -> bool:
    operation, _, type_ = site.operation.partition(".")
    if type_ in FLOATS:
        return operation in {"add", "min", "max"} and not site.wanted
    return operation in _COMMUTING and not site.wanted


def _read_registers(blocks: list[Block]) -> set[int]:
    """Registers that something reads."""
    found: set[int] = set()
    for block in blocks:
        for step in block.instructions:
            found.update(one.index for one in results_and_sources(step)[1])
        end = block.end
        if (guard := getattr(end, "guard", None)) is not None:
            found.add(guard.index)
        instruction = getattr(end, "instruction", None)
        for operand in instruction.operands if instruction is not None else ():
            found.update(one.index for one in registers_of(operand))
    return found


def _sites(blocks: list[Block], read: set[int], resolve: Callable[[Symbol], Resolved]) -> list[_Site]:
    makers: dict[int, list[Instruction]] = {}
    for block in blocks:
        for step in block.instructions:
            for register in results_and_sources(step)[0]:
                makers.setdefault(register.index, []).append(step)
    found = []
    for block in blocks:
        for step in block.instructions:
            if step.opcode not in {"atom", "red"}:
                continue
            parts = step.modifiers
            space = next((_SPACES.get(one, "") for one in parts if one in _SPACES), "generic")
            operation = next(one for one in parts if one in _OPERATIONS)
            gives = step.opcode == "atom" and any(one.index in read for one in registers_of(step.operands[0]))
            memory = next(one for one in step.operands if isinstance(one, Memory))
            roots = frozenset(_roots(memory.base, makers, set(), resolve))
            found.append(_Site(block.number, space, f"{operation}.{parts[-1]}", gives, roots, step))
    return found


def _roots(
    base: Operand | None,
    makers: dict[int, list[Instruction]],
    seen: set[int],
    resolve: Callable[[Symbol], Resolved],
) -> set[Resolved]:
    """What an address may be made of."""
    if isinstance(base, Symbol):
        if base.variable is None:
            return set()
        variable = resolve(base)
        return {variable._replace(offset=variable.offset - base.offset)}
    if not isinstance(base, Register) or base.index in seen:
        return set()
    seen.add(base.index)
    found: set[Resolved] = set()
    for step in makers.get(base.index, ()):
        if step.opcode == "cvt":  # what is widened is no address
            continue
        if step.opcode not in {"ld", "ldu", "atom"} and not any(isinstance(one, Vector) for one in step.operands):
            for one in step.operands[1:]:
                found |= _roots(one, makers, seen, resolve)
        elif base.type.bits == 64 and "64" in step.modifiers[-1]:
            found.add(_loaded(step, resolve))
    return found


def _loaded(step: Instruction, resolve: Callable[[Symbol], Resolved]) -> Resolved:
    """The parameter that an address is; one that lies in memory, or is put together from halves, may be any."""
    memory = step.operands[-1]
    if step.opcode == "ld" and isinstance(memory, Memory) and isinstance(memory.base, Symbol):
        found = resolve(memory.base)
        if found.space == "param":
            return found._replace(offset=found.offset + memory.offset)
    return ANY


def _places(sites: list[_Site]) -> list[list[_Site]]:
    """Sites that may meet at one address, together."""
    places: list[tuple[list[_Site], set[Resolved]]] = []
    for site in sites:
        reach = {*site.roots} if site.space != "generic" and site.roots else {ANY}
        touched = [one for one in places if ANY in reach | one[1] or one[1] & reach]
        merged = [site, *(other for one in touched for other in one[0])]
        places = [one for one in places if one not in touched]
        places.append((merged, reach.union(*(one[1] for one in touched))))
    return [one for one, _ in places]
