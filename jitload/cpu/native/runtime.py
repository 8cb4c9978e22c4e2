"""What every kernel is compiled with, as LLVM IR: the driver of blocks, and what is said of threads elsewhere."""

from __future__ import annotations

import itertools
import re
from string import Template
from typing import TYPE_CHECKING

from jitload.cpu.memory.arena import LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from jitload.cpu.memory.slab import UNSET
from jitload.cpu.native import context
from jitload.cpu.native.barriers import MEET
from jitload.cpu.native.errands import ERRANDS, NO_ERRANDS
from jitload.cpu.native.frame import HELD, LANES, MASK, RESULT, VALUE
from jitload.cpu.native.lookup import LOOK_UP, row_helpers
from jitload.cpu.native.loops import CALL
from jitload.cpu.native.threads import THREADS
from jitload.cpu.native.warps import TOGETHER, operation_numbers, warps_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.native.frame import Meet

_DRIVER = """\
define internal void @fill(i64 %memory, i64 %bytes, i64 %word) noinline {
entry:
  %start = inttoptr i64 %memory to ptr
  %one = insertelement <4 x i64> poison, i64 %word, i32 0
  %each = shufflevector <4 x i64> %one, <4 x i64> poison, <4 x i32> zeroinitializer
  %whole = and i64 %bytes, -32
  br label %more
more:
  %at = phi i64 [ 0, %entry ], [ %next, %four ]
  %open = icmp ult i64 %at, %whole
  br i1 %open, label %four, label %rest
four:
  %place = getelementptr i8, ptr %start, i64 %at
  store <4 x i64> %each, ptr %place, align 8
  %next = add i64 %at, 32
  br label %more
rest:
  %last = phi i64 [ %whole, %more ], [ %next_last, %single ]
  %some = icmp ult i64 %last, %bytes
  br i1 %some, label %single, label %done
single:
  %last_place = getelementptr i8, ptr %start, i64 %last
  store i64 %word, ptr %last_place
  %next_last = add i64 %last, 8
  br label %rest
done:
  ret void
}

define i32 @launch(ptr %c, i64 %first, i64 %count) {
entry:
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states_bytes = mul i64 %threads, 4
  %width = call i64 @word(ptr %c, i64 $NCTAID)
  %height = call i64 @word(ptr %c, i64 $NCTAID_Y)
  %plane = mul i64 %width, %height
  %shared = call i64 @word(ptr %c, i64 $SHARED)
  %shared_bytes = call i64 @word(ptr %c, i64 $SHARED_BYTES)
  %local = call i64 @word(ptr %c, i64 $LOCAL)
  %local_bytes = call i64 @word(ptr %c, i64 $LOCAL_BYTES)
  %local_stride = call i64 @word(ptr %c, i64 $LOCAL_STRIDE)
  %local_unset = call i64 @word(ptr %c, i64 $LOCAL_UNSET)
  %end = add i64 %first, %count
  br label %block
block:
  %b = phi i64 [ %first, %entry ], [ %next_b, %over ], [ %next_b, %poll_blocks ]
  %more = icmp ult i64 %b, %end
  br i1 %more, label %begin, label %done
begin:
  call void @set(ptr %c, i64 $BLOCK, i64 %b)
  %z = udiv i64 %b, %plane
  %in_plane = urem i64 %b, %plane
  %y = udiv i64 %in_plane, %width
  %x = urem i64 %in_plane, %width
  call void @set(ptr %c, i64 $CTAID, i64 %x)
  call void @set(ptr %c, i64 $CTAID_Y, i64 %y)
  call void @set(ptr %c, i64 $CTAID_Z, i64 %z)
  call void @set(ptr %c, i64 $ROUNDS, i64 0)
  call void @set(ptr %c, i64 $PARTED, i64 0)
  call void @fill(i64 %states_word, i64 %states_bytes, i64 0)
  call void @fill(i64 %shared, i64 %shared_bytes, i64 $UNSET_WORD)
  %has_local = icmp ne i64 %local_bytes, 0
  br i1 %has_local, label %fill_local, label %rounds
fill_local:
  %t = phi i64 [ 0, %begin ], [ %next_t, %fill_local ]
  %before = mul i64 %t, %local_stride
  %mine = add i64 %local, %before
  call void @fill(i64 %mine, i64 %local_unset, i64 $UNSET_WORD)
  %next_t = add i64 %t, 1
  %filled = icmp eq i64 %next_t, %threads
  br i1 %filled, label %rounds, label %fill_local
rounds:
  %waiting = call i32 @round(ptr %c)
  %bad = icmp slt i32 %waiting, 0
  br i1 %bad, label %stop, label %check
check:
  %finished = icmp eq i32 %waiting, 0
  br i1 %finished, label %over, label %release
release:
  %sent = call i32 @errands(ptr %c)
  switch i32 %sent, label %stop [ i32 0, label %again i32 2, label %everybody ]
everybody:
  %met = call i1 @meet(ptr %c)
  br i1 %met, label %again, label %stuck
again:
  %turns = call i64 @word(ptr %c, i64 $ROUNDS)
  %turn = add i64 %turns, 1
  call void @set(ptr %c, i64 $ROUNDS, i64 %turn)
  %left = call i64 @word(ptr %c, i64 $FUEL)
  %rest = sub i64 %left, %threads
  call void @set(ptr %c, i64 $FUEL, i64 %rest)
  %empty = icmp sle i64 %rest, 0
  br i1 %empty, label %poll, label %rounds
poll:
  call void @set(ptr %c, i64 $SITE, i64 $ALL_MET)
  %poll_word = call i64 @word(ptr %c, i64 $POLL)
  %poll_function = inttoptr i64 %poll_word to ptr
  %answer = call i32 %poll_function(ptr %c)
  %on = icmp eq i32 %answer, 0
  br i1 %on, label %rounds, label %stop
over:
  %next_b = add i64 %b, 1
  %fuel_now = call i64 @word(ptr %c, i64 $FUEL)
  %fuel_rest = sub i64 %fuel_now, %threads
  call void @set(ptr %c, i64 $FUEL, i64 %fuel_rest)
  %spent = icmp sle i64 %fuel_rest, 0
  br i1 %spent, label %poll_blocks, label %block
poll_blocks:
  call void @set(ptr %c, i64 $SITE, i64 -1)
  %blocks_poll_word = call i64 @word(ptr %c, i64 $POLL)
  %blocks_poll = inttoptr i64 %blocks_poll_word to ptr
  %blocks_answer = call i32 %blocks_poll(ptr %c)
  %blocks_on = icmp eq i32 %blocks_answer, 0
  br i1 %blocks_on, label %block, label %stop
done:
  ret i32 0
stuck:
  call void @set(ptr %c, i64 $CODE, i64 $STUCK)
  ret i32 1
stop:
  ret i32 1
}
"""

#: `@barriers` has the number of a barrier, and this much more where it is one with a predicate.
_FOLDED = 16
_FOLDS = {"": 0, "popc": 1, "or": 2, "and": 3}


#: Words of the context in the text of the driver, which spells them as calls.
_WORD = re.compile(r"  %(\w+) = call i64 @word\(ptr %c, i64 (\d+)\)\n")
_SET = re.compile(r"  call void @set\(ptr %c, i64 (\d+), i64 ([-%\w]+)\)\n")


def _load_word(match: re.Match[str]) -> str:
    name, number = match.groups()
    return f"  %{name}.at = getelementptr i64, ptr %c, i64 {number}\n  %{name} = load i64, ptr %{name}.at\n"


def _store_word(match: re.Match[str]) -> str:
    number, value = match.groups()
    place = f"%set{match.start()}"
    return f"  {place} = getelementptr i64, ptr %c, i64 {number}\n  store i64 {value}, ptr {place}\n"


def runtime_text(meetings: Sequence[Meet], common: list[list[int]] | None) -> str:
    """The text for a kernel.

    Args:
        meetings: in the order of their numbers, the first being 1.
        common: what a row must have in common behind each; None where nothing runs rows.
    """
    names = {name: value for name, value in vars(context).items() if name.isupper()}
    for vector in ("TID", "NTID", "CTAID", "NCTAID"):
        names |= {f"{vector}_Y": names[vector] + 1, f"{vector}_Z": names[vector] + 2}
    names |= {"SHARED_WINDOW": SHARED_WINDOW, "LOCAL_WINDOW": LOCAL_WINDOW, "PARAM_WINDOW": PARAM_WINDOW}
    names |= {"WINDOW_BYTES": WINDOW_BYTES, "UNSET_WORD": int.from_bytes(UNSET.to_bytes(2, "little") * 4, "little")}
    names |= {
        "MASK": LANES * MASK,
        "VALUE": LANES * VALUE,
        "RESULT": LANES * RESULT,
        "LANES": LANES,
        "HELD": HELD,
        "MEETING": HELD - 1,
        "TOGETHER": TOGETHER,
    }
    names |= {"FOLDED": _FOLDED, "OR": _FOLDS["or"], "AND": _FOLDS["and"]}
    names["ROWS"] = "false" if common is None else "true"
    errands = ERRANDS if any(meet.errand for meet in meetings) else NO_ERRANDS
    text = LOOK_UP + warps_text(meetings) + THREADS + errands + MEET + CALL + _DRIVER
    text = _WORD.sub(_load_word, _SET.sub(_store_word, Template(text).substitute(names)))
    return text + _tables(meetings) + row_helpers() + _rows_text(common) + _PROFILES


def _tables(meetings: Sequence[Meet]) -> str:
    """What the driver asks of a meeting, by its number."""
    numbers = operation_numbers([meet.name for meet in meetings])
    barriers = [-1 if meet.name or meet.errand else meet.barrier + (_FOLDED if meet.fold else 0) for meet in meetings]
    return (
        _table("barriers", [0, *barriers])
        + _table("aligned", [0, *(int(meet.aligned) for meet in meetings)])
        + _table("folds", [0, *(_FOLDS[meet.fold] for meet in meetings)])
        + _table("errand", [0, *(int(meet.errand) for meet in meetings)])
        + _table("operations", [0, *(numbers[meet.name] for meet in meetings)])
    )


def _rows_text(common: list[list[int]] | None) -> str:
    """Tables of the slots that a row must have in common, by where those of each meeting begin."""
    if common is None:
        return "define internal i32 @wide(ptr %c, ptr %f, i32 %from) {\n  ret i32 -1\n}\n" + _rows_text([])
    begins = [0, *itertools.accumulate(map(len, [[], *common]))]
    return _table("common_begin", begins) + _table("common", [slot for one in common for slot in one] + [0])


#: How likely branches are: the second way of a back edge and the second way of a check are rare.
_PROFILES = '!0 = !{!"branch_weights", i32 1, i32 100000}\n!1 = !{!"branch_weights", i32 100000, i32 1}\n'


def _table(name: str, values: list[int]) -> str:
    items = ", ".join(f"i32 {value}" for value in values)
    return f"@{name} = internal constant [{len(values)} x i32] [{items}]\n"
