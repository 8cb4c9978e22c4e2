"""Where one thread accesses memory, or several that access one place: checked in line where it is likely to be.

Accesses from one base in a block are checked together. Where that fails, each asks the run time by itself, which
stops the thread with what it asked for; the lanes executor's own check then words the fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.faults import Refused
from jitload.cpu.native import context
from jitload.cpu.text.ir import Memory, Register, Symbol

if TYPE_CHECKING:
    from jitload.cpu.native.reach import Access, Reach
    from jitload.cpu.native.writer import KernelWriter

_SLABS = {
    "shared": (context.SHARED, context.SHARED_BYTES),
    "param": (context.PARAMS, context.PARAM_BYTES),
    "local": (context.LOCAL, context.LOCAL_BYTES),
}
#: How a fault names the space of an access.
SPACES = ("global", "shared", "local", "param", "generic")


class Found(NamedTuple):
    """What the check of several accesses gave: whether all are good, and where their base is if so."""

    good: str
    base: str


def place(w: KernelWriter, access: Access) -> str:
    """A pointer to what all threads access that the text is for."""
    reach = w.reach()
    if reach is None or reach.count == 1:
        return locate(w, access.space, access.memory, access.nbytes, write=access.write)
    base, space, _ = find_base(w, access.space, access.memory)
    if reach.found is None:
        reach.found = _check(w, space, base, reach)
    found = reach.found
    assert isinstance(found, Found)
    quick = behind(w, found.base, access.memory.offset)
    address = _plus(w, base, access.memory.offset)
    return _or_ask(w, found.good, quick, space, address, access.nbytes, write=access.write)


def locate(w: KernelWriter, space: str, memory: Memory, nbytes: int, *, write: bool) -> str:
    """A pointer to `nbytes` that the thread may access, or else the thread stops."""
    base, space, size = find_base(w, space, memory)
    if space in _SLABS and 0 <= memory.offset <= size - nbytes and not (int(base or 0) + memory.offset) % nbytes:
        return behind(w, slab_start(w, space), int(base) + memory.offset)
    address = _plus(w, base, memory.offset)
    good, quick = inside(w, space, address, nbytes)
    good = _aligned(w, good, address, nbytes)
    w.near += 1
    near = w.near - 1
    return _or_ask(w, good, quick, space, address, nbytes, write=write, near=near)


def _plus(w: KernelWriter, address: str, offset: int) -> str:
    return w.single(f"add i64 {address}, {offset}") if offset else address


def find_base(w: KernelWriter, space: str, memory: Memory) -> tuple[str, str, int]:
    """(base as 64 bits, its space, how large what lies there is where that is known)."""
    base = memory.base
    if isinstance(base, Register):
        if base.type.bits == 64:
            return w.value(base, 64), space, 0
        if base.type.bits != 32 or space in {"global", "generic"}:
            raise Refused(f"an address of {base.type.bits} bits has no native form here")
        return w.new(f"sext i32 {w.value(base, 32)} to i64"), space, 0
    if isinstance(base, Symbol):
        found, address = w.address_of(base)
        found = "global" if found == "const" else found
        if found not in {"global", "shared", "param", "local"} or space not in {found, "param"}:
            raise Refused(f"{base.name[:80]} has no native form here")
        size = base.variable.size - base.offset if base.variable is not None and base.offset >= 0 else 0
        return address, found, size
    return "0", space, 0


def slab_start(w: KernelWriter, space: str) -> str:
    """Where the memory of a space lies that has offsets for addresses."""
    start = w.word(_SLABS[space][0])
    if space == "local":
        thread = w.single(f"mul i64 {w.first_thread()}, {w.word(context.LOCAL_STRIDE)}")
        start = w.single(f"add i64 {start}, {thread}")
    return w.single(f"inttoptr i64 {start} to ptr")


def slab_limit(w: KernelWriter, space: str, nbytes: int) -> str:
    """How far from its start an access may not begin any more."""
    behind = w.single(f"add i64 {w.word(_SLABS[space][1])}, 1")
    return w.single(f"call i64 @llvm.usub.sat.i64(i64 {behind}, i64 {nbytes})")


def near_words(w: KernelWriter) -> tuple[str, str, str]:
    """What the site that is written now found last: where it starts, how far an access may begin, what to add."""
    first = context.NEAR + context.NEAR_WORDS * w.near
    return w.word(first), w.word(first + 1), w.word(first + 2)


def inside(w: KernelWriter, space: str, address: str, nbytes: int) -> tuple[str, str]:
    """(whether an access is in the memory of its space, or in the allocation hit last; where it is if so)."""
    if space in _SLABS:
        good = w.single(f"icmp ult i64 {address}, {slab_limit(w, space, nbytes)}")
        return good, w.single(f"getelementptr i8, ptr {slab_start(w, space)}, i64 {address}")
    start, limit, delta = near_words(w)
    good = w.single(f"icmp ult i64 {w.single(f'sub i64 {address}, {start}')}, {limit}")
    return good, w.single(f"inttoptr i64 {w.single(f'add i64 {address}, {delta}')} to ptr")


def _aligned(w: KernelWriter, good: str, address: str, nbytes: int) -> str:
    if nbytes == 1:
        return good
    low = w.single(f"and i64 {address}, {nbytes - 1}")
    return w.single(f"and i1 {good}, {w.single(f'icmp eq i64 {low}, 0')}")


def _check(w: KernelWriter, space: str, base: str, reach: Reach) -> Found:
    """Check all accesses from one base at once."""
    good, start = checked(w, space, _plus(w, base, reach.low), reach.high - reach.low, write=reach.write)
    good = _aligned(w, good, _plus(w, base, reach.anchor), reach.align)
    return Found(good, behind(w, start, -reach.low))


def checked(
    w: KernelWriter, space: str, address: str, nbytes: int, *, write: bool, windows: bool = True
) -> tuple[str, str]:
    """`inside`, where the allocation hit last is looked up anew when it is another.

    With `windows`, generic addresses may be those of shared and local memory: of one thread's.
    """
    good, quick = inside(w, space, address, nbytes)
    if space in _SLABS:
        return good, quick
    look, near, done = w.label(), w.label(), w.label()
    w.act(f"br i1 {good}, label %{near}, label %{look}, !prof !1")
    w.act(f"{look}:")
    arguments = f"ptr %c, ptr {w.word_at(context.NEAR + context.NEAR_WORDS * w.near)}, i64 {address}, i64 {nbytes}"
    look_up = space if windows else "global"
    found = w.single(f"call ptr @{look_up}({arguments}, i64 {int(write)})")
    some = w.single(f"icmp ne ptr {found}, null")
    w.act(f"br label %{done}")
    w.act(f"{near}:")
    w.act(f"br label %{done}")
    w.act(f"{done}:")
    w.near += 1
    good = w.single(f"phi i1 [ true, %{near} ], [ {some}, %{look} ]")
    return good, w.single(f"phi ptr [ {quick}, %{near} ], [ {found}, %{look} ]")


def question(w: KernelWriter, space: str, nbytes: int, *, write: bool) -> str:
    """The last arguments of what asks the run time."""
    return f"i64 {nbytes}, i64 {int(write) | SPACES.index(space) << 1}, i64 {w.site}"


def _or_ask(
    w: KernelWriter, good: str, quick: str, space: str, address: str, nbytes: int, *, write: bool, near: int = -1
) -> str:
    """A pointer that is good, or what the run time gives for the address, or the thread stops."""
    ask, done, here = w.label(), w.label(), w.label()
    if near < 0:
        near = w.near
        w.near += 1
    w.place(here)
    w.act(f"br i1 {good}, label %{done}, label %{ask}, !prof !1")
    w.act(f"{ask}:")
    words = w.word_at(context.NEAR + context.NEAR_WORDS * near)
    last = question(w, space, nbytes, write=write)
    slow = w.single(f"call ptr @ask(ptr %c, ptr {words}, i64 {address}, {last})")
    some = w.single(f"icmp ne ptr {slow}, null")
    w.act(f"br i1 {some}, label %{done}, label %stopped, !prof !1")
    w.act(f"{done}:")
    return w.single(f"phi ptr [ {quick}, %{here} ], [ {slow}, %{ask} ]")


def behind(w: KernelWriter, pointer: str, offset: int) -> str:
    """A pointer so many bytes further."""
    return w.single(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer
