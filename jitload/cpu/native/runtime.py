"""What every kernel is compiled with, as LLVM IR: the driver of blocks, and what is said of threads elsewhere."""

from __future__ import annotations

import itertools
import re
from string import Template

from jitload.cpu.memory.arena import LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from jitload.cpu.memory.slab import UNSET
from jitload.cpu.native import context
from jitload.cpu.native.lookup import LOOK_UP, row_helpers
from jitload.cpu.native.threads import THREADS

_DRIVER = """\
define internal void @fill(i64 %memory, i64 %bytes) noinline {
entry:
  %start = inttoptr i64 %memory to ptr
  br label %more
more:
  %at = phi i64 [ 0, %entry ], [ %next, %fill ]
  %open = icmp ult i64 %at, %bytes
  br i1 %open, label %fill, label %done
fill:
  %place = getelementptr i8, ptr %start, i64 %at
  store i64 $UNSET_WORD, ptr %place
  %next = add i64 %at, 8
  br label %more
done:
  ret void
}

define internal i1 @meet(ptr %c) {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  br label %thread
thread:
  %t = phi i64 [ 0, %entry ], [ %next_t, %step ]
  %number = phi i32 [ -1, %entry ], [ %next_number, %step ]
  %site = phi i32 [ -1, %entry ], [ %next_site, %step ]
  %more = icmp ult i64 %t, %threads
  br i1 %more, label %look, label %good
look:
  %lane = and i64 %t, 31
  %first = icmp eq i64 %lane, 0
  %warp_site = select i1 %first, i32 -1, i32 %site
  %state_at = getelementptr i32, ptr %states, i64 %t
  %state = load i32, ptr %state_at
  %ended = icmp slt i32 %state, 0
  br i1 %ended, label %step, label %compare
compare:
  %index = zext i32 %state to i64
  %barrier_at = getelementptr i32, ptr @barriers, i64 %index
  %barrier = load i32, ptr %barrier_at
  %new = icmp eq i32 %number, -1
  %same = icmp eq i32 %number, %barrier
  %agree = or i1 %new, %same
  %aligned_at = getelementptr i32, ptr @aligned, i64 %index
  %aligned = load i32, ptr %aligned_at
  %none_before = icmp eq i32 %warp_site, -1
  %same_site = icmp eq i32 %warp_site, %state
  %free = icmp eq i32 %aligned, 0
  %together = or i1 %none_before, %same_site
  %fine = or i1 %together, %free
  %both = and i1 %agree, %fine
  br i1 %both, label %step, label %bad
step:
  %next_number = phi i32 [ %number, %look ], [ %barrier, %compare ]
  %next_site = phi i32 [ %warp_site, %look ], [ %state, %compare ]
  %next_t = add i64 %t, 1
  br label %thread
good:
  ret i1 true
bad:
  ret i1 false
}

define i32 @launch(ptr %c, i64 %first, i64 %count) {
entry:
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
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
  call void @llvm.memset.p0.i64(ptr %states, i8 0, i64 %states_bytes, i1 false)
  call void @fill(i64 %shared, i64 %shared_bytes)
  %has_local = icmp ne i64 %local_bytes, 0
  br i1 %has_local, label %fill_local, label %rounds
fill_local:
  %t = phi i64 [ 0, %begin ], [ %next_t, %fill_local ]
  %before = mul i64 %t, %local_stride
  %mine = add i64 %local, %before
  call void @fill(i64 %mine, i64 %local_unset)
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

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


#: Words of the context in the text of the driver, which spells them as calls.
_WORD = re.compile(r"  %(\w+) = call i64 @word\(ptr %c, i64 (\d+)\)\n")
_SET = re.compile(r"  call void @set\(ptr %c, i64 (\d+), i64 (%?\w+)\)\n")


def _load_word(match: re.Match[str]) -> str:
    name, number = match.groups()
    return f"  %{name}.at = getelementptr i64, ptr %c, i64 {number}\n  %{name} = load i64, ptr %{name}.at\n"


def _store_word(match: re.Match[str]) -> str:
    number, value = match.groups()
    place = f"%set{match.start()}"
    return f"  {place} = getelementptr i64, ptr %c, i64 {number}\n  store i64 {value}, ptr {place}\n"


def runtime_text(barriers: list[int], aligned: list[bool], common: list[list[int]] | None) -> str:
    """The text for a kernel with these meetings, in the order of their numbers, the first being 1.

    Args:
        barriers: the barrier of each.
        aligned: whether all threads of a warp must be at that one.
        common: what a row must have in common behind each; None where nothing runs rows.
    """
    names = {name: value for name, value in vars(context).items() if name.isupper()}
    for vector in ("TID", "NTID", "CTAID", "NCTAID"):
        names |= {f"{vector}_Y": names[vector] + 1, f"{vector}_Z": names[vector] + 2}
    names |= {"SHARED_WINDOW": SHARED_WINDOW, "LOCAL_WINDOW": LOCAL_WINDOW, "PARAM_WINDOW": PARAM_WINDOW}
    names |= {"WINDOW_BYTES": WINDOW_BYTES, "UNSET_WORD": int.from_bytes(UNSET.to_bytes(2, "little") * 4, "little")}
    names["ROWS"] = "false" if common is None else "true"
    text = _WORD.sub(_load_word, _SET.sub(_store_word, Template(LOOK_UP + THREADS + _DRIVER).substitute(names)))
    text += _table("barriers", [0, *barriers]) + _table("aligned", [0, *map(int, aligned)])
    return text + row_helpers() + _rows_text(common) + _PROFILES


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
