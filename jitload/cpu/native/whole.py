"""What a whole warp works out that waits at one operation with a full member mask, as LLVM IR: four rows at once.

`i32 whole(states, frames, bytes of a frame)` gives how many threads may go on, or -1 where the warp is none of those:
it has parted, or its masks are not full. It needs 32 threads, and leaves in their frames what `warp` would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.native.frame import LANES, MASK, RESULT, VALUE
from jitload.cpu.native.text import Text
from jitload.cpu.native.widen import row_of, vector_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.cpu.native.frame import Meet

_WARP_THREADS = 32
_ROWS = _WARP_THREADS // LANES
_WORDS, _LANES, _BITS = vector_of("i64"), vector_of("i32"), vector_of("i1")

_WHOLE = """\
define internal i32 @whole(ptr %states, ptr %frames, i64 %frame_bytes) {{
entry:
  %state = load i32, ptr %states
  %all = load <32 x i32>, ptr %states, align 4
  %one = insertelement <32 x i32> poison, i32 %state, i32 0
  %each = shufflevector <32 x i32> %one, <32 x i32> poison, <32 x i32> zeroinitializer
  %equal = icmp eq <32 x i32> %all, %each
  %equal_bits = bitcast <32 x i1> %equal to i32
  %together = icmp eq i32 %equal_bits, -1
  br i1 %together, label %what, label %no
what:
  %ended = icmp slt i32 %state, 0
  br i1 %ended, label %nothing, label %kind
kind:
  %meeting = and i32 %state, $MEETING
  %kind_at = getelementptr i32, ptr @wholes, i32 %meeting
  %number = load i32, ptr %kind_at
  %is_warp = icmp ne i32 %number, 0
  br i1 %is_warp, label %masks, label %nothing
masks:
  %full = call i1 @masks_are_full(ptr %frames, i64 %frame_bytes)
  br i1 %full, label %go, label %no
go:
  %one_on = insertelement <32 x i32> poison, i32 %meeting, i32 0
  %each_on = shufflevector <32 x i32> %one_on, <32 x i32> poison, <32 x i32> zeroinitializer
  store <32 x i32> %each_on, ptr %states, align 4
  switch i32 %number, label %no [ {cases} ]
{calls}nothing:
  ret i32 0
no:
  ret i32 -1
}}
"""
_CALL = """\
on{number}:
  call void @whole.{number}(ptr %frames, i64 %frame_bytes)
  ret i32 32
"""


class _Warp(Text):
    """Text over the frames of the 32 threads of a warp."""

    def __init__(self) -> None:
        super().__init__()
        self._row_bytes = self.new(f"mul i64 %frame_bytes, {LANES}")
        self._rows = ["%frames"]
        for _ in range(1, _ROWS):
            self._rows.append(self.new(f"getelementptr i8, ptr {self._rows[-1]}, i64 {self._row_bytes}"))

    def at(self, word: int) -> list[str]:
        """Where a word of each row lies."""
        return [self.new(f"getelementptr i64, ptr {row}, i64 {LANES * word}") for row in self._rows]

    def load(self, word: int) -> list[str]:
        """A word of each thread, a row after the other."""
        return [self.new(f"load {_WORDS}, ptr {place}, align 8") for place in self.at(word)]

    def store(self, word: int, rows: Sequence[str]) -> None:
        """Write a word of each thread."""
        for place, row in zip(self.at(word), rows, strict=True):
            self.line(f"store {_WORDS} {row}, ptr {place}, align 8")

    def tell(self, word: int, value: str) -> None:
        """Write 32 bits to a word of all threads."""
        self.store(word, [self.each(self.new(f"zext i32 {value} to i64"))] * _ROWS)

    def each(self, value: str) -> str:
        """One number for each thread of a row."""
        first = self.new(f"insertelement {_WORDS} poison, i64 {value}, i32 0")
        return self.new(f"shufflevector {_WORDS} {first}, {_WORDS} poison, <{LANES} x i32> zeroinitializer")

    def two(self, name: str, a: str, b: str) -> str:
        """An instruction over 32 bits of each thread of a row."""
        return self.new(f"{name} {_LANES} {a}, {b}")

    def bits(self, test: str, rows: Sequence[str], other: str) -> str:
        """A bit for each thread, of a comparison."""
        total = "0"
        for number, row in enumerate(rows):
            found = self.new(f"icmp {test} {_WORDS} {row}, {other}")
            wide = self.new(f"zext i{LANES} {self.new(f'bitcast {_BITS} {found} to i{LANES}')} to i32")
            total = self.new(f"or i32 {total}, {self.new(f'shl i32 {wide}, {number * LANES}')}")
        return total

    def row_at(self, places: str) -> str:
        """What lies at eight offsets from the frames."""
        found = "poison"
        for lane in range(LANES):
            place = self.new(f"extractelement {_WORDS} {places}, i32 {lane}")
            one = self.new(f"load i64, ptr {self.new(f'getelementptr i8, ptr %frames, i64 {place}')}")
            found = self.new(f"insertelement {_WORDS} {found}, i64 {one}, i32 {lane}")
        return found

    def function(self, head: str, returned: str) -> str:
        """The text of a function."""
        body = "\n".join(f"  {line}" for line in self.lines)
        return f"define internal {head}(ptr %frames, i64 %frame_bytes) {{\n{body}\n  {returned}\n}}\n"


def whole_text(meetings: Sequence[Meet]) -> str:
    """The functions for these meetings, in the order of their numbers, and what each of those does."""
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(map(_kind, meetings)), 1) if kind[0]}
    cases = " ".join(f"i32 {number}, label %on{number}" for number in kinds.values())
    calls = "".join(_CALL.format(number=number) for number in kinds.values())
    table = ", ".join(f"i32 {kinds.get(kind, 0)}" for kind in (("", None), *map(_kind, meetings)))
    return (
        _WHOLE.format(cases=cases, calls=calls)
        + "".join(_operation(number, *kind) for kind, number in kinds.items())
        + _masks()
        + f"@wholes = internal constant [{len(meetings) + 1} x i32] [{table}]\n"
    )


def _kind(meet: Meet) -> tuple[str, tuple[int, int] | None]:
    return meet.name, meet.lanes


def _masks() -> str:
    w = _Warp()
    masks = w.load(MASK)
    total = masks[0]
    for one in masks[1:]:
        total = w.new(f"and {_WORDS} {total}, {one}")
    full = w.new(f"icmp eq {_WORDS} {total}, {row_of('i64', 0xFFFFFFFF)}")
    found = w.new(f"icmp eq i{LANES} {w.new(f'bitcast {_BITS} {full} to i{LANES}')}, -1")
    return w.function("i1 @masks_are_full", f"ret i1 {found}")


def _operation(number: int, name: str, lanes: tuple[int, int] | None) -> str:
    w = _Warp()
    family, _, rest = name.partition(".")
    mode, _, type_ = rest.partition(".")
    if family == "shfl" and lanes is not None:
        _shuffle_known(w, mode, *lanes)
    else:
        _WRITERS[family](w, mode, type_)
    return w.function(f"void @whole.{number}", "ret void")


def _sync(_w: _Warp, _mode: str, _type: str) -> None:
    """Nobody learns anything."""


def _active(w: _Warp, _mode: str, _type: str) -> None:
    w.store(RESULT, [row_of("i64", 0xFFFFFFFF)] * _ROWS)


def _elect(w: _Warp, _mode: str, _type: str) -> None:
    w.store(RESULT, ["zeroinitializer"] * _ROWS)
    w.store(RESULT + 1, [row_of("i64", *(int(row == lane == 0) for lane in range(LANES))) for row in range(_ROWS)])


def _vote(w: _Warp, mode: str, _type: str) -> None:
    yes = w.bits("ne", w.load(VALUE), "zeroinitializer")
    if mode == "ballot":
        w.tell(RESULT, yes)
        return
    some, all_ = w.new(f"icmp ne i32 {yes}, 0"), w.new(f"icmp eq i32 {yes}, -1")
    found = {"any": some, "all": all_}.get(mode) or w.new(f"or i1 {all_}, {w.new(f'xor i1 {some}, true')}")
    w.tell(RESULT, w.new(f"zext i1 {found} to i32"))


def _match(w: _Warp, mode: str, _type: str) -> None:
    values, places = w.load(VALUE), w.at(RESULT)
    for number in range(_WARP_THREADS if mode == "any" else 1):
        row, lane = divmod(number, LANES)
        value = w.each(w.new(f"extractelement {_WORDS} {values[row]}, i32 {lane}"))
        alike = w.bits("eq", values, value)
        if mode == "any":
            wide = w.new(f"zext i32 {alike} to i64")
            w.line(f"store i64 {wide}, ptr {w.new(f'getelementptr i64, ptr {places[row]}, i64 {lane}')}")
            continue
        all_ = w.new(f"icmp eq i32 {alike}, -1")
        w.tell(RESULT, w.new(f"sext i1 {all_} to i32"))
        w.tell(RESULT + 1, w.new(f"zext i1 {all_} to i32"))


def _redux(w: _Warp, mode: str, type_: str) -> None:
    ones = [w.new(f"trunc {_WORDS} {row} to {_LANES}") for row in w.load(VALUE)]
    sign = "su"[type_ != "s32"] if mode in {"min", "max"} else ""
    total = ones[0]
    for one in ones[1:]:
        if sign:
            total = w.new(f"call {_LANES} @llvm.{sign}{mode}.v{LANES}i32({_LANES} {total}, {_LANES} {one})")
        else:
            total = w.two(mode, total, one)
    w.tell(RESULT, w.new(f"call i32 @llvm.vector.reduce.{sign}{mode}.v{LANES}i32({_LANES} {total})"))


def _shuffle_known(w: _Warp, mode: str, b: int, c: int) -> None:
    """From lanes that are known where the code is written."""
    pairs = [_source(mode, lane, b, c) for lane in range(_WARP_THREADS)]
    rows = w.load(VALUE)
    pair, every = f"<{2 * LANES} x i64>", f"<{_WARP_THREADS} x i64>"
    order = ", ".join(f"i32 {lane}" for lane in range(2 * LANES))
    halves = [
        w.new(f"shufflevector {_WORDS} {one}, {_WORDS} {other}, <{2 * LANES} x i32> <{order}>")
        for one, other in (rows[:2], rows[2:])
    ]
    order = ", ".join(f"i32 {lane}" for lane in range(_WARP_THREADS))
    all_ = w.new(f"shufflevector {pair} {halves[0]}, {pair} {halves[1]}, <{_WARP_THREADS} x i32> <{order}>")
    found, inside = [], []
    for first in range(0, _WARP_THREADS, LANES):
        sources = pairs[first : first + LANES]
        order = ", ".join(f"i32 {source}" for source, _ in sources)
        found.append(w.new(f"shufflevector {every} {all_}, {every} poison, <{LANES} x i32> <{order}>"))
        inside.append(row_of("i64", *(int(good) for _, good in sources)))
    w.store(RESULT, found)
    w.store(RESULT + 1, inside)


def _source(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """(lane that is read, whether it lies within the segment), by the PTX ISA's text of `shfl.sync`."""
    b, clamp, segment = b & 31, c & 31, c >> 8 & 31
    base = lane & segment
    last = base | clamp & ~segment
    source = {"up": lane - b, "down": lane + b, "bfly": lane ^ b, "idx": base | b & ~segment}[mode]
    inside = source >= last if mode == "up" else source <= last
    return (source if inside else lane), inside


def _shuffle(w: _Warp, mode: str, _type: str) -> None:
    row_bytes = w.new(f"trunc i64 {w.new(f'mul i64 %frame_bytes, {LANES}')} to i32")
    first = w.new(f"insertelement {_LANES} poison, i32 {row_bytes}, i32 0")
    apart = w.new(f"shufflevector {_LANES} {first}, {_LANES} poison, <{LANES} x i32> zeroinitializer")
    found, inside = [], []
    for row, words in enumerate(zip(w.load(VALUE + 1), w.load(VALUE + 2), strict=True)):
        b, c = (w.new(f"trunc {_WORDS} {one} to {_LANES}") for one in words)
        lanes = row_of("i32", *range(row * LANES, (row + 1) * LANES))
        source, good = _sources(w, mode, lanes, b, c)
        inside.append(w.new(f"zext {_BITS} {good} to {_WORDS}"))
        down = w.two("mul", w.two("lshr", source, _all(3)), apart)
        along = w.two("shl", w.two("and", source, _all(LANES - 1)), _all(3))
        place = w.new(f"zext {_LANES} {w.two('add', down, along)} to {_WORDS}")
        found.append(w.row_at(w.new(f"add {_WORDS} {place}, {row_of('i64', 8 * LANES * VALUE)}")))
    w.store(RESULT, found)
    w.store(RESULT + 1, inside)


def _sources(w: _Warp, mode: str, lanes: str, b: str, c: str) -> tuple[str, str]:
    """`_source` for the lanes of a row."""
    b, clamp = w.two("and", b, _all(31)), w.two("and", c, _all(31))
    segment = w.two("and", w.two("lshr", c, _all(8)), _all(31))
    base, within = w.two("and", lanes, segment), w.two("xor", segment, _all(-1))
    last = w.two("or", base, w.two("and", clamp, within))
    if mode == "idx":
        source = w.two("or", base, w.two("and", b, within))
    else:
        source = w.two({"up": "sub", "down": "add", "bfly": "xor"}[mode], lanes, b)
    inside = w.two(f"icmp {'sge' if mode == 'up' else 'sle'}", source, last)
    return w.new(f"select {_BITS} {inside}, {_LANES} {source}, {_LANES} {lanes}"), inside


def _all(value: int) -> str:
    return row_of("i32", value)


_WRITERS: dict[str, Callable[[_Warp, str, str], None]] = {
    "sync": _sync, "activemask": _active, "elect": _elect, "vote": _vote, "match": _match, "redux": _redux,
    "shfl": _shuffle,
}  # fmt: skip
