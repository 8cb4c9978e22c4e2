"""What the threads of a warp do together, as LLVM IR over what they left in their frames.

`i32 warp(context, first thread)` carries out what is complete, and gives how many threads may go on. As on lanes, an
operation is complete when every live thread of a member mask waits at one of its name with the same mask; who asks for
the threads that run together (`activemask`) goes on when nobody before it in the code can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.native.operations import operations_text
from jitload.cpu.native.whole import whole_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.native.frame import Meet

_NONE = """\
define internal i32 @warp(ptr %c, i64 %first) {
  ret i32 0
}
"""

_WARP = """\
define internal i32 @warp(ptr %c, i64 %first) noinline {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %all_states = inttoptr i64 %states_word to ptr
  %states = getelementptr i32, ptr %all_states, i64 %first
  %frames_word = call i64 @word(ptr %c, i64 $FRAMES)
  %all_frames = inttoptr i64 %frames_word to ptr
  %frame_bytes = call i64 @word(ptr %c, i64 $FRAME_BYTES)
  %frames_before = mul i64 %first, %frame_bytes
  %frames = getelementptr i8, ptr %all_frames, i64 %frames_before
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  %rest_of_block = sub i64 %threads, %first
  %few = icmp ult i64 %rest_of_block, 32
  %count = select i1 %few, i64 %rest_of_block, i64 32
  br i1 %few, label %lanes, label %whole
whole:
  %gone_on = call i32 @whole(ptr %states, ptr %frames, i64 %frame_bytes)
  %was_whole = icmp sge i32 %gone_on, 0
  br i1 %was_whole, label %all, label %lanes
all:
  ret i32 %gone_on
lanes:
  br label %lane
lane:
  %l = phi i64 [ 0, %lanes ], [ %next_l, %seen ]
  %live = phi i32 [ 0, %lanes ], [ %now_live, %seen ]
  %held = phi i32 [ 0, %lanes ], [ %now_held, %seen ]
  %together = phi i32 [ 2147483647, %lanes ], [ %now_together, %seen ]
  %sent = phi i32 [ 2147483647, %lanes ], [ %now_sent, %seen ]
  %open = icmp ult i64 %l, %count
  br i1 %open, label %see, label %parties
see:
  %state_at = getelementptr i32, ptr %states, i64 %l
  %state = load i32, ptr %state_at
  %ended = icmp slt i32 %state, 0
  br i1 %ended, label %seen, label %look
look:
  %l32 = trunc i64 %l to i32
  %bit = shl i32 1, %l32
  %live_too = or i32 %live, %bit
  %meeting = and i32 %state, $MEETING
  %kind_at = getelementptr i32, ptr @operations, i32 %meeting
  %kind = load i32, ptr %kind_at
  %is_warp = icmp ne i32 %kind, 0
  %bit_held = select i1 %is_warp, i32 %bit, i32 0
  %held_too = or i32 %held, %bit_held
  %is_together = icmp eq i32 %kind, $TOGETHER
  %before = icmp ult i32 %meeting, %together
  %first_together = and i1 %is_together, %before
  %together_too = select i1 %first_together, i32 %meeting, i32 %together
  %errand_at = getelementptr i32, ptr @errand, i32 %meeting
  %errand = load i32, ptr %errand_at
  %is_errand = icmp ne i32 %errand, 0
  %before_sent = icmp ult i32 %meeting, %sent
  %first_sent = and i1 %is_errand, %before_sent
  %sent_too = select i1 %first_sent, i32 %meeting, i32 %sent
  br label %seen
seen:
  %now_live = phi i32 [ %live, %see ], [ %live_too, %look ]
  %now_held = phi i32 [ %held, %see ], [ %held_too, %look ]
  %now_together = phi i32 [ %together, %see ], [ %together_too, %look ]
  %now_sent = phi i32 [ %sent, %see ], [ %sent_too, %look ]
  %next_l = add i64 %l, 1
  br label %lane
parties:
  %left = phi i32 [ %held, %lane ], [ %left_skipped, %next ], [ %left_after, %party_done ]
  %released = phi i32 [ 0, %lane ], [ %released, %next ], [ %released_after, %party_done ]
  %some_left = icmp ne i32 %left, 0
  br i1 %some_left, label %leader, label %finished
leader:
  %leader_lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %leader_bit = shl i32 1, %leader_lane
  %leader_off = xor i32 %leader_bit, -1
  %left_skipped = and i32 %left, %leader_off
  %leader_64 = zext i32 %leader_lane to i64
  %leader_state_at = getelementptr i32, ptr %states, i64 %leader_64
  %leader_state = load i32, ptr %leader_state_at
  %leader_meeting = and i32 %leader_state, $MEETING
  %leader_kind_at = getelementptr i32, ptr @operations, i32 %leader_meeting
  %operation = load i32, ptr %leader_kind_at
  %early = icmp ult i32 %leader_meeting, %together
  br i1 %early, label %gather, label %next
next:
  br label %parties
gather:
  %same = call i32 @standing(ptr %states, i32 %held, i32 %operation)
  %ready = call i32 @ready(ptr %frames, i64 %frame_bytes, i32 %same, i32 %live)
  %not_same = xor i32 %same, -1
  %left_after = and i32 %left, %not_same
  br label %part
part:
  %group_rest = phi i32 [ %ready, %gather ], [ %group_after, %operate ]
  %some_group = icmp ne i32 %group_rest, 0
  br i1 %some_group, label %operate, label %party_done
operate:
  %group_lane = call i32 @llvm.cttz.i32(i32 %group_rest, i1 true)
  %group = call i32 @same_mask(ptr %frames, i64 %frame_bytes, i32 %group_rest, i32 %group_lane)
  call void @operate(ptr %frames, i64 %frame_bytes, i32 %operation, i32 %group, i32 %ready)
  %not_group = xor i32 %group, -1
  %group_after = and i32 %group_rest, %not_group
  br label %part
party_done:
  call void @let_go(ptr %states, i32 %ready)
  %released_now = call i32 @llvm.ctpop.i32(i32 %ready)
  %released_after = add i32 %released, %released_now
  br label %parties
finished:
  %any = icmp ne i32 %released, 0
  %nobody = icmp eq i32 %together, 2147483647
  %may_come = icmp ult i32 %sent, %together
  %nobody_now = or i1 %nobody, %may_come
  %enough = or i1 %any, %nobody_now
  br i1 %enough, label %done, label %active
active:
  %active_lanes = call i32 @standing(ptr %states, i32 %held, i32 $TOGETHER)
  %active_here = call i32 @at(ptr %states, i32 %active_lanes, i32 %together)
  call void @operate(ptr %frames, i64 %frame_bytes, i32 $TOGETHER, i32 %active_here, i32 %active_here)
  call void @let_go(ptr %states, i32 %active_here)
  %active_count = call i32 @llvm.ctpop.i32(i32 %active_here)
  br label %done
done:
  %result = phi i32 [ %released, %finished ], [ %active_count, %active ]
  ret i32 %result
}

define internal i32 @ready(ptr %frames, i64 %frame_bytes, i32 %same, i32 %live) {
entry:
  br label %part
part:
  %rest = phi i32 [ %same, %entry ], [ %rest_after, %look ]
  %ready = phi i32 [ 0, %entry ], [ %ready_after, %look ]
  %some = icmp ne i32 %rest, 0
  br i1 %some, label %look, label %done
look:
  %lane = call i32 @llvm.cttz.i32(i32 %rest, i1 true)
  %lane_64 = zext i32 %lane to i64
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %lane_64)
  %mask_at = getelementptr i64, ptr %frame, i64 $MASK
  %mask_64 = load i64, ptr %mask_at
  %mask = trunc i64 %mask_64 to i32
  %group = call i32 @same_mask(ptr %frames, i64 %frame_bytes, i32 %rest, i32 %lane)
  %needed = and i32 %mask, %live
  %not_here = xor i32 %group, -1
  %missing = and i32 %needed, %not_here
  %complete = icmp eq i32 %missing, 0
  %more = select i1 %complete, i32 %group, i32 0
  %ready_after = or i32 %ready, %more
  %rest_after = and i32 %rest, %not_here
  br label %part
done:
  ret i32 %ready
}
"""

#: Loops over the lanes of a set: head and parameters, what is found of each, and the bit that it gives.
_FINDS = {
    "standing": (
        "ptr %states, i32 %set, i32 %operation",
        """\
  %state_at = getelementptr i32, ptr %states, i64 %l
  %state = load i32, ptr %state_at
  %meeting = and i32 %state, $MEETING
  %kind_at = getelementptr i32, ptr @operations, i32 %meeting
  %kind = load i32, ptr %kind_at
  %fits = icmp eq i32 %kind, %operation
""",
    ),
    "at": (
        "ptr %states, i32 %set, i32 %wanted",
        """\
  %state_at = getelementptr i32, ptr %states, i64 %l
  %state = load i32, ptr %state_at
  %meeting = and i32 %state, $MEETING
  %fits = icmp eq i32 %meeting, %wanted
""",
    ),
    "same_mask": (
        "ptr %frames, i64 %frame_bytes, i32 %set, i32 %leader",
        """\
  %leader_64 = zext i32 %leader to i64
  %leader_frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %leader_64)
  %wanted_at = getelementptr i64, ptr %leader_frame, i64 $MASK
  %wanted = load i64, ptr %wanted_at
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %l)
  %mask_at = getelementptr i64, ptr %frame, i64 $MASK
  %mask = load i64, ptr %mask_at
  %fits = icmp eq i64 %mask, %wanted
""",
    ),
    "let_go": (
        "ptr %states, i32 %set",
        """\
  %state_at = getelementptr i32, ptr %states, i64 %l
  %state = load i32, ptr %state_at
  %meeting = and i32 %state, $MEETING
  store i32 %meeting, ptr %state_at
  %fits = icmp eq i32 0, 0
""",
    ),
    # Values of a group: a bit for each lane whose value is not 0, or is that of another.
    "ballot": (
        "ptr %frames, i64 %frame_bytes, i32 %set",
        """\
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %l)
  %value_at = getelementptr i64, ptr %frame, i64 $VALUE
  %value = load i64, ptr %value_at
  %fits = icmp ne i64 %value, 0
""",
    ),
    "equal": (
        "ptr %frames, i64 %frame_bytes, i32 %set, i64 %wanted",
        """\
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %l)
  %value_at = getelementptr i64, ptr %frame, i64 $VALUE
  %value = load i64, ptr %value_at
  %fits = icmp eq i64 %value, %wanted
""",
    ),
}

_FIND = """\
define internal i32 @{name}({parameters}) {{
entry:
  br label %lane
lane:
  %rest = phi i32 [ %set, %entry ], [ %rest_after, %look ]
  %found = phi i32 [ 0, %entry ], [ %found_after, %look ]
  %some = icmp ne i32 %rest, 0
  br i1 %some, label %look, label %done
look:
  %l32 = call i32 @llvm.cttz.i32(i32 %rest, i1 true)
  %l = zext i32 %l32 to i64
  %bit = shl i32 1, %l32
{body}  %more = select i1 %fits, i32 %bit, i32 0
  %found_after = or i32 %found, %more
  %bit_off = xor i32 %bit, -1
  %rest_after = and i32 %rest, %bit_off
  br label %lane
done:
  ret i32 %found
}}
"""

#: The number of `activemask` among operations.
TOGETHER = 1


def operation_numbers(names: Sequence[str]) -> dict[str, int]:
    """A number for each name of a warp operation; barriers, "", have 0."""
    others = sorted({*names} - {"", "activemask"})
    return {"": 0, "activemask": TOGETHER, **{name: number for number, name in enumerate(others, 2)}}


def warps_text(meetings: Sequence[Meet]) -> str:
    """The functions for a kernel with these meetings, as a template of words and constants."""
    names = [meet.name for meet in meetings]
    if not any(names):
        return _NONE
    numbers = operation_numbers(names)
    used = [name for name in numbers if name in names and name]
    finds = "".join(_FIND.format(name=name, parameters=head, body=body) for name, (head, body) in _FINDS.items())
    return _WARP + whole_text(meetings) + finds + operations_text({numbers[name]: name for name in used})
