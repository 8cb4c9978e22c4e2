"""Accesses of a row of threads to places of their own: at once where the addresses are as foreseen.

Foreseen is a distance from each thread's place to the next one's. Where it is not foreseen, every thread's address is
looked at; where the places do not lie in one allocation, the run time is asked for one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.native import context, places
from jitload.cpu.native.frame import LANES
from jitload.cpu.native.reach import Reach
from jitload.cpu.native.widen import row_of, vector_of
from jitload.cpu.text.ir import Register

if TYPE_CHECKING:
    from jitload.cpu.native.reach import Access
    from jitload.cpu.native.wide import WideWriter
    from jitload.cpu.native.writer import KernelWriter

_ADDRESSES = vector_of("i64")
#: So far from a base of 32 bits that no sum can wrap around.
_FAR = 1 << 24


class Line(NamedTuple):
    """Places at equal distances: whether they are and may be accessed, the first one's base, and the distance."""

    good: str
    base: str
    step: int


class Places(NamedTuple):
    """Places anywhere: whether all may be accessed, and the base of each as a row of numbers."""

    good: str
    bases: str


def last(w: KernelWriter, bits: int, value: str) -> str:
    """What is left in one place that a row of threads writes: what the last one did."""
    return value if w.lanes == 1 else wide(w).element(f"i{bits}", value, LANES - 1)


def wide(w: KernelWriter) -> WideWriter:
    """The writer, which is one of rows."""
    return w  # type: ignore[return-value]


def is_row(w: KernelWriter, access: Access) -> bool:
    """Whether an access is one of a row of threads to places of their own."""
    if w.lanes == 1:
        return False
    base = access.memory.base
    if isinstance(base, Register) and base.index in wide(w).shapes.varying:
        return True
    return access.space in {"local", "generic"} or places.find_base(w, access.space, access.memory)[1] == "local"


def load(w: KernelWriter, access: Access) -> list[str]:
    """What each thread finds, an element after the other."""
    row = wide(w)
    found, addresses, space = _reached(row, access)
    kind, size = f"i{access.type.bits}", access.type.size
    count = max(access.elements, 1)
    if isinstance(found, Places):
        hosts = _hosts(row, found, addresses, space, access)
        return [_gather(row, hosts, number * size, kind) for number in range(count)]
    quick, slow, done = row.label(), row.label(), row.label()
    row.act(f"br i1 {found.good}, label %{quick}, label %{slow}, !prof !1")
    row.act(f"{slow}:")
    hosts, end = _ask(row, addresses, space, access)
    vector = vector_of(kind)
    arguments = [f"{_ADDRESSES} {hosts}, i64 {number * size}" for number in range(count)]
    others = [row.vector(f"call {vector} @load.{kind[1:]}({one})", kind) for one in arguments]
    row.act(f"br label %{done}")
    row.act(f"{quick}:")
    values = _load_line(row, found, access)
    row.act(f"br label %{done}")
    row.act(f"{done}:")
    pairs = zip(values, others, strict=True)
    return [row.vector(f"phi {vector} [ {one}, %{quick} ], [ {other}, %{end} ]", kind) for one, other in pairs]


def store(w: KernelWriter, access: Access, values: list[str]) -> None:
    """Write what each thread has, the last thread's last."""
    row = wide(w)
    kind, size = f"i{access.type.bits}", access.type.size
    found, addresses, space = _reached(row, access)
    if isinstance(found, Places):
        hosts = _hosts(row, found, addresses, space, access)
        _scatter(row, hosts, values, access)
        return
    quick, slow, done = row.label(), row.label(), row.label()
    row.act(f"br i1 {found.good}, label %{quick}, label %{slow}, !prof !1")
    row.act(f"{slow}:")
    hosts, _ = _ask(row, addresses, space, access)
    for number, value in enumerate(values):
        arguments = f"{_ADDRESSES} {hosts}, i64 {number * size}, {vector_of(kind)} {row.row(kind, value)}"
        row.act(f"call void @store.{kind[1:]}({arguments})")
    row.act(f"br label %{done}")
    row.act(f"{quick}:")
    _store_line(row, found, access, values)
    row.act(f"br label %{done}")
    row.act(f"{done}:")


def _reached(w: WideWriter, access: Access) -> tuple[Line | Places, str, str]:
    """(what the check gave, the address of each thread, the space)."""
    base, space, _ = places.find_base(w, access.space, access.memory)
    base = w.row("i64", base)
    reach = w.reach() or Reach(access)
    if reach.found is None:
        reach.found = _check(w, space, base, reach, access)
    found = reach.found
    assert isinstance(found, Line | Places)
    return found, _added(w, base, access.memory.offset), space


def _check(w: WideWriter, space: str, base: str, reach: Reach, access: Access) -> Line | Places:
    register = access.memory.base
    narrow = isinstance(register, Register) and register.type.bits == 32
    step = w.shapes.step(register)
    foreseen = step is not None and not step % reach.align and abs(step) < _FAR and space != "local"
    if not foreseen or (narrow and not -_FAR < reach.low <= reach.high < _FAR):
        return _check_each(w, space, base, reach)
    assert step is not None
    return _check_line(w, space, base, reach, step)


def _check_line(w: WideWriter, space: str, base: str, reach: Reach, step: int) -> Line:
    first = w.element("i64", base, 0)
    expected = w.single(f"add {_ADDRESSES} {w.row('i64', first)}, {row_of('i64', *(step * k for k in range(LANES)))}")
    equal = _all(w, w.single(f"icmp eq {_ADDRESSES} {base}, {expected}"))
    low = reach.low + min(0, (LANES - 1) * step)
    address = w.single(f"add i64 {first}, {low}")
    nbytes = reach.high - reach.low + (LANES - 1) * abs(step)
    good, start = places.checked(w, space, address, nbytes, write=reach.write, windows=False)
    good = w.single(f"and i1 {good}, {equal}")
    if reach.align > 1:
        odd = w.single(f"and i64 {w.single(f'add i64 {first}, {reach.anchor}')}, {reach.align - 1}")
        good = w.single(f"and i1 {good}, {w.single(f'icmp eq i64 {odd}, 0')}")
    return Line(good, w.single(f"getelementptr i8, ptr {start}, i64 {-low}"), step)


def _check_each(w: WideWriter, space: str, base: str, reach: Reach) -> Places:
    address = _added(w, base, reach.low)
    nbytes = reach.high - reach.low
    if space in {"global", "generic"}:
        start, limit, delta = places.near_words(w)
        distance = w.single(f"sub {_ADDRESSES} {address}, {w.row('i64', start)}")
        bases = w.single(f"add {_ADDRESSES} {base}, {w.row('i64', delta)}")
    else:
        limit, distance = places.slab_limit(w, space, nbytes), address
        memory = w.row("i64", w.single(f"ptrtoint ptr {places.slab_start(w, space)} to i64"))
        if space == "local":
            stride = w.row("i64", w.word(context.LOCAL_STRIDE))
            apart = w.single(f"mul {_ADDRESSES} {stride}, {row_of('i64', *range(LANES))}")
            memory = w.single(f"add {_ADDRESSES} {memory}, {apart}")
        bases = w.single(f"add {_ADDRESSES} {base}, {memory}")
    fits = w.single(f"icmp ult {_ADDRESSES} {distance}, {w.row('i64', limit)}")
    if reach.align > 1:
        odd = w.single(f"and {_ADDRESSES} {_added(w, base, reach.anchor)}, {row_of('i64', reach.align - 1)}")
        even = w.single(f"icmp eq {_ADDRESSES} {odd}, zeroinitializer")
        fits = w.single(f"and {vector_of('i1')} {fits}, {even}")
    good = _all(w, fits)
    if space in {"global", "generic"}:
        _look_up(w, good, address, nbytes, write=reach.write)
    return Places(good, bases)


def _look_up(w: WideWriter, good: str, address: str, nbytes: int, *, write: bool) -> None:
    """Where not all places are in the allocation that was hit last: take the first one's for the next time."""
    look, done = w.label(), w.label()
    w.act(f"br i1 {good}, label %{done}, label %{look}, !prof !1")
    w.act(f"{look}:")
    near = w.word_at(context.NEAR + context.NEAR_WORDS * w.near)
    first = w.single(f"extractelement {_ADDRESSES} {address}, i32 0")
    w.single(f"call ptr @global(ptr %c, ptr {near}, i64 {first}, i64 {nbytes}, i64 {int(write)})")
    w.act(f"br label %{done}")
    w.act(f"{done}:")
    w.near += 1


def _hosts(w: WideWriter, found: Places, addresses: str, space: str, access: Access) -> str:
    """Where each thread's place is."""
    here, ask, done = w.label(), w.label(), w.label()
    quick = _added(w, found.bases, access.memory.offset)
    w.place(here)
    w.act(f"br i1 {found.good}, label %{done}, label %{ask}, !prof !1")
    w.act(f"{ask}:")
    slow, end = _ask(w, addresses, space, access)
    w.act(f"br label %{done}")
    w.act(f"{done}:")
    return w.single(f"phi {_ADDRESSES} [ {quick}, %{here} ], [ {slow}, %{end} ]")


def _ask(w: WideWriter, addresses: str, space: str, access: Access) -> tuple[str, str]:
    """(where each thread's place is, by the run time; the label of the block that knows), or a thread stops."""
    good = w.label()
    w.act(f"store {_ADDRESSES} {addresses}, ptr %rows")
    near = w.word_at(context.NEAR + context.NEAR_WORDS * w.near)
    w.near += 1
    last_ = places.question(w, space, access.nbytes, write=access.write)
    found = w.single(f"call i1 @ask_row(ptr %c, ptr {near}, ptr %rows, {last_})")
    w.act(f"br i1 {found}, label %{good}, label %stopped, !prof !1")
    w.act(f"{good}:")
    return w.single(f"load {_ADDRESSES}, ptr %rows"), good


def _all(w: WideWriter, bits: str) -> str:
    return w.single(f"icmp eq i8 {w.single(f'bitcast <8 x i1> {bits} to i8')}, -1")


def _added(w: WideWriter, values: str, offset: int) -> str:
    return w.single(f"add {_ADDRESSES} {values}, {row_of('i64', offset)}") if offset else values


def _pointer(w: WideWriter, hosts: str, lane: int, offset: int) -> str:
    one = w.single(f"extractelement {_ADDRESSES} {hosts}, i32 {lane}")
    pointer = w.single(f"inttoptr i64 {one} to ptr")
    return w.single(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer


def _gather(w: WideWriter, hosts: str, offset: int, kind: str) -> str:
    return _assembled(w, [_pointer(w, hosts, lane, offset) for lane in range(LANES)], kind)


def _assembled(w: WideWriter, pointers: list[str], kind: str) -> str:
    found = "poison"
    for lane, pointer in enumerate(pointers):
        one = w.single(f"load {kind}, ptr {pointer}, align {int(kind[1:]) // 8}")
        found = w.vector(f"insertelement {vector_of(kind)} {found}, {kind} {one}, i32 {lane}", kind)
    return found


def _scatter(w: WideWriter, hosts: str, values: list[str], access: Access) -> None:
    kind, size = f"i{access.type.bits}", access.type.size
    for lane in range(LANES):
        for number, value in enumerate(values):
            one = w.element(kind, value, lane)
            w.act(f"store {kind} {one}, ptr {_pointer(w, hosts, lane, number * size)}, align {size}")


def _line_places(w: WideWriter, found: Line, access: Access, number: int) -> list[str]:
    """Where each thread has an element."""
    first = access.memory.offset + number * access.type.size
    return [w.single(f"getelementptr i8, ptr {found.base}, i64 {first + lane * found.step}") for lane in range(LANES)]


def _load_line(w: WideWriter, found: Line, access: Access) -> list[str]:
    kind, count, size = f"i{access.type.bits}", max(access.elements, 1), access.type.size
    if found.step == 0:
        ones = [_line_places(w, found, access, number)[0] for number in range(count)]
        return [w.row(kind, w.single(f"load {kind}, ptr {one}, align {size}")) for one in ones]
    if found.step != access.nbytes:
        return [_assembled(w, _line_places(w, found, access, number), kind) for number in range(count)]
    place = w.single(f"getelementptr i8, ptr {found.base}, i64 {access.memory.offset}")
    every = f"<{LANES * count} x {kind}>"
    all_ = w.vector(f"load {every}, ptr {place}, align {size}", kind)
    if count == 1:
        return [all_]
    masks = [", ".join(f"i32 {number + lane * count}" for lane in range(LANES)) for number in range(count)]
    return [w.vector(f"shufflevector {every} {all_}, {every} poison, <8 x i32> <{mask}>", kind) for mask in masks]


def _store_line(w: WideWriter, found: Line, access: Access, values: list[str]) -> None:
    kind, size = f"i{access.type.bits}", access.type.size
    if found.step == access.nbytes and len(values) == 1:
        place = w.single(f"getelementptr i8, ptr {found.base}, i64 {access.memory.offset}")
        w.act(f"store {vector_of(kind)} {w.row(kind, values[0])}, ptr {place}, align {size}")
        return
    pointers = [_line_places(w, found, access, number) for number in range(len(values))]
    for lane in range(LANES):
        for places_, value in zip(pointers, values, strict=True):
            w.act(f"store {kind} {w.element(kind, value, lane)}, ptr {places_[lane]}, align {size}")
