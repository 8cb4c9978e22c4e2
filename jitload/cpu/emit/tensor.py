"""Code for copies of boxes of tensors and for reductions in bulk (PTX ISA sections 9.7.9.25 and 9.7.9.27).

They are complete at once, as bulk copies are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.emit.address import SCOPES, address_name, number_text, take_hints
from jitload.cpu.emit.mbarrier import emit_completion
from jitload.cpu.faults import Refused
from jitload.cpu.memory import copies, multicast, tensors
from jitload.cpu.memory.tensor_map import FIELDS, TENSOR_MAP_BYTES
from jitload.cpu.text.ir import Immediate, Memory, Texel

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_AXES = ("1d", "2d", "3d", "4d", "5d")
#: Of a copy of rows, `.tile::gather4` and `.tile::scatter4`.
_ROWS = 4
_SHARED = ("shared::cluster", "shared::cta")
_OPERATIONS = ("add", "min", "max", "inc", "dec", "and", "or", "xor")
_BYTES = "mbarrier::complete_tx::bytes"


def emit_tensor_copy(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cp.async.bulk.tensor` and the reductions, `cp.reduce.async.bulk`."""
    writer.function.use(tensors, multicast)
    modifiers.flag("async", "bulk", "tile")
    operation = modifiers.need(*_OPERATIONS) if modifiers.flag("reduce") else ""
    found = take_hints(modifiers, instruction)
    if not modifiers.flag("tensor"):
        _emit_reduction(writer, found, modifiers, operation)
        return
    axes = int(modifiers.need(*_AXES)[0])
    by_rows = modifiers.flag("tile::gather4", "tile::scatter4")
    pairs = not modifiers.flag("cta_group::1") and modifiers.flag("cta_group::2")
    modifiers.flag(*_SHARED, "global", "bulk_group")
    if modifiers.flag("prefetch"):
        modifiers.flag("L2")
        return
    counted = modifiers.flag(_BYTES)
    tensor, near = (found[1], found[0]) if counted else (found[0], found[1])
    given = _tensor(writer, tensor, axes - 1 + _ROWS if by_rows else axes)
    place = f"{given}, {_place(writer, 'cluster' if counted else 'shared', near)}, {writer.site}"
    rows = ", by_rows=True" if by_rows else ""
    if not counted:
        writer.line(f"store_tensor(batch, {place}{f', {operation!r}' if operation else ''}{rows})")
        return
    if not modifiers.flag("multicast::cluster"):
        emit_completion(writer, found[2], writer.temporary(f"load_tensor(batch, {place}{rows})"))
        return
    mask = writer.source(found[3], "u16")
    size = writer.temporary(f"load_tensor(batch, {place}, {mask}{rows})")
    told = f"{number_text(writer, 'cluster', found[2])}, {mask}, {size}, {writer.site}"
    writer.line(f"{'complete_in_pairs' if pairs else 'complete_multicast'}(batch, {told})")


def _tensor(writer: BlockWriter, operand: Operand, axes: int) -> str:
    """The tensor map and the coordinates."""
    if not isinstance(operand, Texel) or len(operand.coordinates.items) != axes:
        raise Refused(f"the address of a tensor map in a register, and {axes} coordinates, are expected")
    name, offset = address_name(writer, "generic", Memory(operand.handle, 0))
    coordinates = "".join(f"{writer.source(one, 'u32')}, " for one in operand.coordinates.items)
    return f"{name}, {offset}, ({coordinates})"


def _place(writer: BlockWriter, space: str, operand: Operand) -> str:
    """How addresses are made, and of which number."""
    return f"at_{space}, {number_text(writer, space, operand)}"


def _emit_reduction(writer: BlockWriter, found: tuple[Operand, ...], modifiers: Modifiers, operation: str) -> None:
    """`cp.reduce.async.bulk`."""
    into = "global" if modifiers.flag("global") else "cluster"
    modifiers.flag(*_SHARED, "bulk_group", "noftz")
    counted = modifiers.flag(_BYTES)
    element = modifiers.type().name
    element = element.replace("b", "u") if element in {"b32", "b64"} else element
    size = writer.source(found[2], "u32")
    places = f"({_place(writer, into, found[0])}), ({_place(writer, 'shared', found[1])})"
    writer.line(f"reduce_bulk(batch, {places}, {size}, {element!r}, {operation!r}, {writer.site})")
    if counted:
        emit_completion(writer, found[3], size)


def emit_tensor_map_fence(_writer: BlockWriter, _instruction: Instruction, modifiers: Modifiers) -> None:
    """Copies see at once what was written."""
    modifiers.flag("proxy", "tensormap::generic", "release", "acquire", *SCOPES)


def emit_tensor_map(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tensormap.replace`, and `.cp_fenceproxy`, which copies a map that was changed in shared memory."""
    found = instruction.operands
    if modifiers.flag("cp_fenceproxy"):
        writer.function.use(copies)
        modifiers.flag("global", "shared::cta", "tensormap::generic", "release", "sync", "aligned", *SCOPES)
        (target, to), (source, start) = (
            address_name(writer, space, one) for space, one in (("global", found[0]), ("shared", found[1]))
        )
        size = writer.function.constant("u32", TENSOR_MAP_BYTES)
        writer.line(f"copy_bulk(batch, {target}, {to}, {source}, {start}, {size}, {writer.site})")
        return
    modifiers.flag("replace", "tile", "b1024")
    field = modifiers.need(*FIELDS)
    space = {"global": "global", "shared::cta": "shared"}.get(modifiers.choice("global", "shared::cta"), "generic")
    type_ = modifiers.type()
    first, nbytes = FIELDS[field]
    if len(found) == 3:
        first += nbytes * _number(found[1])
    name, offset = address_name(writer, space, found[0])
    value = f"{writer.source(found[-1], type_.rep.replace('s', 'u'))}.astype(u{8 * nbytes})"
    writer.line(f"{name}.store({offset + first}, 'u{8 * nbytes}', {nbytes}, {writer.site}, {value})")


def _number(operand: Operand) -> int:
    """The literal that says which axis is meant."""
    if not isinstance(operand, Immediate) or not 0 <= operand.value < len(_AXES):
        raise Refused(f"the number of an axis, 0 to {len(_AXES) - 1}, is expected")
    return int(operand.value)
