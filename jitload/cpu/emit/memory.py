"""Code for loads, stores, atomics and what orders them (PTX ISA sections 9.7.9.8 to 9.7.9.12 and 9.7.13).

The executor runs one instruction of all its lanes after the other, so memory is sequentially consistent: cache hints,
scopes and fences are read, checked and need no code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.emit.address import HINTS, address_name, take_hints, take_modifiers
from jitload.cpu.faults import Refused
from jitload.cpu.text.ir import Memory, Sink, Symbol, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_SPACES = {
    "global": "global", "const": "const", "shared": "shared", "shared::cta": "shared", "shared::cluster": "cluster",
    "local": "local", "param": "param", "param::entry": "param", "param::func": "param",
}  # fmt: skip
_OPERATIONS = ("add", "and", "or", "xor", "min", "max", "inc", "dec", "exch", "cas")
_ATOMIC_TYPES = {
    "add": ("u32", "s32", "u64", "s64", "f32", "f64", "f16", "bf16", "f16x2", "bf16x2"),
    "and": ("b32", "b64"), "or": ("b32", "b64"), "xor": ("b32", "b64"),
    "min": ("u32", "s32", "u64", "s64"), "max": ("u32", "s32", "u64", "s64"),
    "inc": ("u32",), "dec": ("u32",), "exch": ("b32", "b64", "b128", "u32", "s32", "f32", "u64", "s64"),
    "cas": ("b16", "b32", "b64", "b128", "u32", "s32", "u64", "s64"),
}  # fmt: skip


def _space(modifiers: Modifiers) -> str:
    return _SPACES.get(modifiers.choice(*_SPACES), "generic")


def _element_type(modifiers: Modifiers) -> Type:
    type_ = modifiers.type()
    if type_.kind not in {"u", "s", "b", "f", "bf"} and type_.name not in {"f16x2", "bf16x2"}:
        raise Refused(f"type .{type_.name} is not supported here")
    return type_


class _Access(NamedTuple):
    """What the name of a load or store says; a kernel has few of them, many times."""

    type: Type
    vector: str
    space: str
    hinted: bool


@lru_cache(maxsize=1024)
def _read_access(parts: tuple[str, ...]) -> _Access:
    modifiers = Modifiers(parts)
    hinted = take_modifiers(modifiers)
    found = _Access(_element_type(modifiers), modifiers.choice("v2", "v4", "v8"), _space(modifiers), hinted)
    modifiers.finish()
    return found


def _accessed(instruction: Instruction, modifiers: Modifiers) -> tuple[tuple[Operand, Operand], tuple[Type, str, str]]:
    """(the two operands, (type, vector or "", space)) of a load or store."""
    type_, vector, space, hinted = _read_access(modifiers.take())
    found = instruction.operands[:-1] if hinted else instruction.operands
    if len(found) != 2:
        raise Refused(f"{len(found)} operands where 2 are expected")
    return (found[0], found[1]), (type_, vector, space)


@emits("ld", "ldu")
def emit_load(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`ld`: an element, or a vector of them."""
    (d, source), (type_, count, space) = _accessed(instruction, modifiers)
    if not count and _is_plain_parameter(writer, space, source, type_):
        assert isinstance(source, Memory)
        assert isinstance(source.base, Symbol)
        offset = writer.function.resolve(source.base)[1] + source.offset
        writer.result(d, type_.rep, f"batch.params.views[{type_.rep!r}][{offset // type_.size}]")
        return
    addresses, offset = address_name(writer, space, source)
    if not count:
        call = f"{addresses}.load({offset}, {type_.rep!r}, {type_.size}, {writer.site})"
        writer.result(d, type_.rep, call)
        return
    items = _vector(d, int(count[1]), type_)
    call = f"{addresses}.load_vector({offset}, {type_.rep!r}, {type_.size}, {len(items)}, {writer.site})"
    for item, loaded in zip(items, writer.temporaries(len(items), call), strict=True):
        if not isinstance(item, Sink):
            writer.result(item, type_.rep, loaded)


def _vector(operand: Operand, count: int, type_: Type) -> tuple[Operand, ...]:
    if not isinstance(operand, Vector) or len(operand.items) != count or count * type_.size > 32:
        raise Refused(f"a vector of {count} elements is expected")
    return operand.items


def _is_plain_parameter(writer: BlockWriter, space: str, operand: Operand, type_: Type) -> bool:
    """Whether this reads a kernel parameter at a fixed, aligned place: the common case, and no check is needed."""
    if space != "param" or not isinstance(operand, Memory) or not isinstance(operand.base, Symbol):
        return False
    found, start = writer.function.resolve(operand.base)
    variable = operand.base.variable
    inside = variable is not None and 0 <= operand.offset <= variable.size - type_.size
    return found == "param" and inside and (start + operand.offset) % type_.size == 0


@emits("st")
def emit_store(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`st`: the same."""
    (target, value), (type_, count, space) = _accessed(instruction, modifiers)
    if space == "const":
        raise Refused("constant memory cannot be written")
    addresses, offset = address_name(writer, space, target)
    if not count:
        source = writer.source(value, type_.rep)
        writer.line(f"{addresses}.store({offset}, {type_.rep!r}, {type_.size}, {writer.site}, {source})")
        return
    items = _vector(value, int(count[1]), type_)
    sources = ", ".join(writer.source(item, type_.rep) for item in items)
    writer.line(f"{addresses}.store_vector({offset}, {type_.rep!r}, {type_.size}, {writer.site}, [{sources}])")


@emits("atom", "red")
def emit_atomic(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`atom`, which gives what was there, and `red`."""
    found = take_hints(modifiers, instruction)
    space = _space(modifiers)
    name = modifiers.need(*_OPERATIONS)
    modifiers.flag("noftz")
    vector = modifiers.choice("v2", "v4", "v8")
    type_ = modifiers.type()
    if vector:
        _emit_vector_atomic(writer, instruction, found, (space, name, int(vector[1])), type_)
        return
    if type_.name not in _ATOMIC_TYPES[name] or space in {"const", "local", "param"}:
        raise Refused(f"atomic {name} does not exist for .{type_.name} in {space} memory")
    wanted = instruction.opcode == "atom" and not isinstance(found[0] if found else None, Sink)
    rest = found[1:] if instruction.opcode == "atom" else found
    if len(rest) != (3 if name == "cas" else 2):
        raise Refused(f"{len(found)} operands are not what atomic {name} takes")
    addresses, offset = address_name(writer, space, rest[0])
    sources = [writer.source(operand, type_.rep) for operand in rest[1:]]
    second = sources[1] if name == "cas" else "None"
    number = writer.site
    what = f"{type_.name!r}, {type_.rep!r}, {type_.size}, {number}, {name!r}"
    call = f"atomic(batch, {addresses}, {offset}, {what}, {sources[0]}, {second}, {wanted})"
    if wanted:
        writer.result(found[0], type_.rep, call)
    else:
        writer.line(call)


def _emit_vector_atomic(
    writer: BlockWriter, instruction: Instruction, found: tuple[Operand, ...], what: tuple[str, str, int], type_: Type
) -> None:
    """Each element is atomic by itself (PTX ISA section 9.7.13.15)."""
    space, name, count = what
    wants = instruction.opcode == "atom"
    if space not in {"global", "generic"} or len(found) != 2 + wants:
        raise Refused("vector atomics work on global memory")
    halves = {"f16", "bf16", "f16x2", "bf16x2"}
    if type_.name not in {"add": {"f32", *halves}, "min": halves, "max": halves}.get(name, ()):
        raise Refused(f"vector atomic {name} does not exist for .{type_.name}")
    addresses, offset = address_name(writer, space, found[wants])
    sources = [writer.source(one, type_.rep) for one in _vector(found[wants + 1], count, type_)]
    targets = _vector(found[0], count, type_) if wants else (Sink(),) * count
    for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
        place = f"{offset + number * type_.size}, {type_.name!r}, {type_.rep!r}, {type_.size}, {writer.site}"
        wanted = not isinstance(target, Sink)
        call = writer.temporary(f"atomic(batch, {addresses}, {place}, {name!r}, {source}, None, {wanted})")
        if wanted:
            writer.result(target, type_.rep, call, shared=True)


@emits("createpolicy")
def _emit_policy(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    modifiers.type()
    modifiers.flag("fractional", "range", "cvt", "L2", "global", *HINTS)
    writer.result(instruction.operands[0], "u64", writer.function.constant("u64", 0), shared=True)


@emits("trap", "brkpt")
def _emit_trap(writer: BlockWriter, instruction: Instruction, _modifiers: Modifiers) -> None:
    operands(instruction, 0)
    writer.line(f"batch.fail({writer.site}, 0, {instruction.opcode!r})")
