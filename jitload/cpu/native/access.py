"""Accesses to memory: checked in line where a thread is likely to be, by a function of the run time elsewhere.

Whatever fails stops the thread with what it asked for; the lanes executor's own check then words the fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.emit.address import take_hints
from jitload.cpu.faults import Refused
from jitload.cpu.native import context
from jitload.cpu.native.text import fault_code
from jitload.cpu.text.ir import Memory, Register, Sink, Symbol, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_SPACES = {
    "global": "global", "const": "global", "shared": "shared", "shared::cta": "shared", "local": "local",
    "param": "param", "param::entry": "param",
}  # fmt: skip
_SLABS = {
    "shared": (context.SHARED, context.SHARED_BYTES),
    "param": (context.PARAMS, context.PARAM_BYTES),
    "local": (context.LOCAL, context.LOCAL_BYTES),
}


def emit_load(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`ld`."""
    target, source, type_, count, pointer = _access(w, instruction, modifiers, write=False)
    del source
    items = _items(target, count)
    for number, item in enumerate(items):
        if isinstance(item, Sink):
            continue
        place = pointer if not number else w.new(f"getelementptr i8, ptr {pointer}, i64 {number * type_.size}")
        value = w.new(f"load i{type_.bits}, ptr {place}, align {type_.size}")
        w.result(item, type_.bits, value, signed=type_.kind == "s")


def emit_store(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`st`."""
    _, value, type_, count, pointer = _access(w, instruction, modifiers, write=True)
    read = w.number if type_.kind == "f" else w.value
    for number, item in enumerate(_items(value, count)):
        bits = read(item, type_.bits)
        place = pointer if not number else w.new(f"getelementptr i8, ptr {pointer}, i64 {number * type_.size}")
        w.line(f"store i{type_.bits} {bits}, ptr {place}, align {type_.size}")


def _access(
    w: KernelWriter, instruction: Instruction, modifiers: Modifiers, *, write: bool
) -> tuple[Operand, Operand, Type, int, str]:
    """(first, second operand, type, elements or 0, where it is) of a checked access."""
    w.unguarded()
    found = take_hints(modifiers, instruction)
    type_ = modifiers.type()
    vector = modifiers.choice("v2", "v4", "v8")
    space = _SPACES[modifiers.choice(*_SPACES) or "global"] if modifiers.left else "generic"
    if type_.bits > 64 or type_.bits < 8 or len(found) != 2:
        raise Refused(f"an access of .{type_.name} has no native form")
    count = int(vector[1]) if vector else 0
    memory = found[0] if write else found[1]
    assert isinstance(memory, Memory)
    pointer = locate(w, space, memory, type_.size * max(count, 1), write=write)
    return found[0], found[1], type_, count, pointer


def _items(operand: Operand, count: int) -> tuple[Operand, ...]:
    if not count:
        return (operand,)
    if not isinstance(operand, Vector) or len(operand.items) != count:
        raise Refused(f"a vector of {count} elements is expected")
    return operand.items


def locate(w: KernelWriter, space: str, memory: Memory, nbytes: int, *, write: bool) -> str:
    """A pointer to `nbytes` that the thread may access, or else the thread stops."""
    base, found = _base(w, space, memory)
    space = found if space == "param" else space
    address = w.new(f"add i64 {base}, {memory.offset}") if memory.offset else base
    if space in _SLABS:
        return _in_slab(w, space, address, nbytes, write=write)
    if space == "generic":
        return _ask(w, "generic", address, nbytes, write=write)
    return _in_arena(w, address, nbytes, write=write)


def _base(w: KernelWriter, space: str, memory: Memory) -> tuple[str, str]:
    """(base as 64 bits, its space)."""
    base = memory.base
    if isinstance(base, Register):
        if base.type.bits == 64:
            return w.value(base, 64), space
        if base.type.bits != 32 or space in {"global", "generic"}:
            raise Refused(f"an address of {base.type.bits} bits has no native form here")
        return w.new(f"sext i32 {w.value(base, 32)} to i64"), space
    if isinstance(base, Symbol):
        found, address = w.address_of(base)
        found = "global" if found == "const" else found
        if found not in {"global", "shared", "param", "local"} or space not in {found, "param"}:
            raise Refused(f"{base.name[:80]} has no native form here")
        return address, found
    return "0", space


def _in_slab(w: KernelWriter, space: str, offset: str, nbytes: int, *, write: bool) -> str:
    """In shared, local or parameter memory: offsets from 0 to its size."""
    memory, size = _SLABS[space]
    last = w.new(f"add i64 {offset}, {nbytes}")
    fits = w.new(f"icmp sle i64 {last}, {w.word(size)}")
    inside = w.new(f"icmp ult i64 {offset}, 1099511627776")
    good = w.new(f"and i1 {fits}, {inside}")
    _stop_unless(w, _aligned(w, good, offset, nbytes), space, offset, nbytes, write=write)
    start = w.word(memory)
    if space == "local":
        thread = w.new(f"mul i64 {w.word(context.THREAD)}, {w.word(context.LOCAL_STRIDE)}")
        start = w.new(f"add i64 {start}, {thread}")
    return w.new(f"inttoptr i64 {w.new(f'add i64 {start}, {offset}')} to ptr")


def _aligned(w: KernelWriter, good: str, address: str, nbytes: int) -> str:
    if nbytes == 1:
        return good
    low = w.new(f"and i64 {address}, {nbytes - 1}")
    return w.new(f"and i1 {good}, {w.new(f'icmp eq i64 {low}, 0')}")


def _in_arena(w: KernelWriter, address: str, nbytes: int, *, write: bool) -> str:
    """In global memory: in the allocation that this site hit last, or in another."""
    first = context.NEAR + context.NEAR_WORDS * w.near
    distance = w.new(f"sub i64 {address}, {w.word(first)}")
    hit = w.new(f"icmp ult i64 {distance}, {w.word(first + 1)}")
    near, far, done = w.label(), w.label(), w.label()
    w.line(f"br i1 {_aligned(w, hit, address, nbytes)}, label %{near}, label %{far}, !prof !1")
    w.line(f"{far}:")
    slow = _ask(w, "global", address, nbytes, write=write)
    end = w.label()
    w.place(end)
    w.line(f"br label %{done}")
    w.line(f"{near}:")
    quick = w.new(f"inttoptr i64 {w.new(f'add i64 {address}, {w.word(first + 2)}')} to ptr")
    w.line(f"br label %{done}")
    w.line(f"{done}:")
    return w.new(f"phi ptr [ {slow}, %{end} ], [ {quick}, %{near} ]")


def _ask(w: KernelWriter, space: str, address: str, nbytes: int, *, write: bool) -> str:
    """Ask the run time."""
    near = w.word_at(context.NEAR + context.NEAR_WORDS * w.near)
    w.near += 1
    found = w.new(f"call ptr @{space}(ptr %c, ptr {near}, i64 {address}, i64 {nbytes}, i64 {int(write)})")
    good = w.new(f"icmp ne ptr {found}, null")
    _stop_unless(w, good, space, address, nbytes, write=write)
    return found


#: How a fault names the space of an access.
SPACES = ("global", "shared", "local", "param", "generic")


def _stop_unless(w: KernelWriter, good: str, space: str, address: str, nbytes: int, *, write: bool) -> None:
    on, stop = w.label(), w.label()
    w.line(f"br i1 {good}, label %{on}, label %{stop}, !prof !1")
    w.line(f"{stop}:")
    w.set_word(context.ADDRESS, address)
    w.set_word(context.NBYTES, nbytes)
    w.set_word(context.WRITES, int(write) | SPACES.index(space) << 1)
    fault_code(w, context.FAULT, w.site)
    w.line(f"{on}:")
