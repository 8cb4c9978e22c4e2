"""Barriers of whole thread blocks, as LLVM IR."""

from __future__ import annotations

#: `i1 meet(context)` lets the threads of a block go on that all wait at one barrier; whether they do. `i1 at_once` does
#: where all stand in one place that asks nothing of them, eight at a time: else nobody has gone on.
MEET = """\
define internal ptr @frame(ptr %frames, i64 %frame_bytes, i64 %t) {
  %lane = and i64 %t, 7
  %row = sub i64 %t, %lane
  %before = mul i64 %row, %frame_bytes
  %row_frames = getelementptr i8, ptr %frames, i64 %before
  %frame = getelementptr i64, ptr %row_frames, i64 %lane
  ret ptr %frame
}

define internal i1 @at_once(ptr %states, i64 %threads) {
entry:
  %state = load i32, ptr %states
  %index = and i32 %state, $MEETING
  %ended = icmp slt i32 %state, 0
  %part = and i64 %threads, 7
  %some_part = icmp ne i64 %part, 0
  %none = or i1 %ended, %some_part
  br i1 %none, label %no, label %kind
kind:
  %barrier_at = getelementptr i32, ptr @barriers, i32 %index
  %barrier = load i32, ptr %barrier_at
  %is_plain = icmp ult i32 %barrier, $FOLDED
  br i1 %is_plain, label %begin, label %no
begin:
  %one = insertelement <8 x i32> poison, i32 %state, i32 0
  %each = shufflevector <8 x i32> %one, <8 x i32> poison, <8 x i32> zeroinitializer
  br label %row
row:
  %t = phi i64 [ 0, %begin ], [ %next_t, %alike ]
  %row_at = getelementptr i32, ptr %states, i64 %t
  %row_states = load <8 x i32>, ptr %row_at, align 4
  %equal = icmp eq <8 x i32> %row_states, %each
  %equal_bits = bitcast <8 x i1> %equal to i8
  %together = icmp eq i8 %equal_bits, -1
  br i1 %together, label %alike, label %no
alike:
  %next_t = add i64 %t, 8
  %more = icmp ult i64 %next_t, %threads
  br i1 %more, label %row, label %go
go:
  %one_on = insertelement <8 x i32> poison, i32 %index, i32 0
  %each_on = shufflevector <8 x i32> %one_on, <8 x i32> poison, <8 x i32> zeroinitializer
  br label %go_row
go_row:
  %g = phi i64 [ 0, %go ], [ %next_g, %go_row ]
  %go_at = getelementptr i32, ptr %states, i64 %g
  store <8 x i32> %each_on, ptr %go_at, align 4
  %next_g = add i64 %g, 8
  %rest = icmp ult i64 %next_g, %threads
  br i1 %rest, label %go_row, label %yes
yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @meet(ptr %c) {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
  %all_threads = call i64 @word(ptr %c, i64 $THREADS)
  %gone_on = call i1 @at_once(ptr %states, i64 %all_threads)
  br i1 %gone_on, label %good, label %one_by_one
one_by_one:
  %frames_word = call i64 @word(ptr %c, i64 $FRAMES)
  %frames = inttoptr i64 %frames_word to ptr
  %frame_bytes = call i64 @word(ptr %c, i64 $FRAME_BYTES)
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  br label %thread
thread:
  %t = phi i64 [ 0, %one_by_one ], [ %next_t, %step ]
  %number = phi i32 [ -1, %one_by_one ], [ %next_number, %step ]
  %site = phi i32 [ -1, %one_by_one ], [ %next_site, %step ]
  %arrived = phi i64 [ 0, %one_by_one ], [ %next_arrived, %step ]
  %true = phi i64 [ 0, %one_by_one ], [ %next_true, %step ]
  %more = icmp ult i64 %t, %threads
  br i1 %more, label %look, label %results
look:
  %lane = and i64 %t, 31
  %first = icmp eq i64 %lane, 0
  %warp_site = select i1 %first, i32 -1, i32 %site
  %state_at = getelementptr i32, ptr %states, i64 %t
  %state = load i32, ptr %state_at
  %ended = icmp slt i32 %state, 0
  br i1 %ended, label %step, label %compare
compare:
  %index = and i32 %state, $MEETING
  %barrier_at = getelementptr i32, ptr @barriers, i32 %index
  %barrier = load i32, ptr %barrier_at
  %new = icmp eq i32 %number, -1
  %same = icmp eq i32 %number, %barrier
  %agree = or i1 %new, %same
  %is_barrier = icmp sge i32 %barrier, 0
  %aligned_at = getelementptr i32, ptr @aligned, i32 %index
  %aligned = load i32, ptr %aligned_at
  %none_before = icmp eq i32 %warp_site, -1
  %same_site = icmp eq i32 %warp_site, %index
  %free = icmp eq i32 %aligned, 0
  %together = or i1 %none_before, %same_site
  %fine = or i1 %together, %free
  %fits = and i1 %agree, %fine
  %both = and i1 %fits, %is_barrier
  br i1 %both, label %count, label %bad
count:
  store i32 %index, ptr %state_at
  %asks = icmp sge i32 %barrier, $FOLDED
  br i1 %asks, label %ask, label %counted
ask:
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %t)
  %value_at = getelementptr i64, ptr %frame, i64 $VALUE
  %value = load i64, ptr %value_at
  br label %counted
counted:
  %own = phi i64 [ 0, %count ], [ %value, %ask ]
  %one_more = add i64 %arrived, 1
  %true_too = add i64 %true, %own
  br label %step
step:
  %next_number = phi i32 [ %number, %look ], [ %barrier, %counted ]
  %next_site = phi i32 [ %warp_site, %look ], [ %index, %counted ]
  %next_arrived = phi i64 [ %arrived, %look ], [ %one_more, %counted ]
  %next_true = phi i64 [ %true, %look ], [ %true_too, %counted ]
  %next_t = add i64 %t, 1
  br label %thread
results:
  %folds = icmp sge i32 %number, $FOLDED
  br i1 %folds, label %tell, label %good
tell:
  %r = phi i64 [ 0, %results ], [ %next_r, %told ]
  %rest = icmp ult i64 %r, %threads
  br i1 %rest, label %whom, label %good
whom:
  %r_state_at = getelementptr i32, ptr %states, i64 %r
  %r_state = load i32, ptr %r_state_at
  %r_ended = icmp slt i32 %r_state, 0
  br i1 %r_ended, label %told, label %say
say:
  %fold_at = getelementptr i32, ptr @folds, i32 %r_state
  %fold = load i32, ptr %fold_at
  %some = icmp ne i64 %true, 0
  %all = icmp eq i64 %true, %arrived
  %is_or = icmp eq i32 %fold, $OR
  %is_and = icmp eq i32 %fold, $AND
  %some_64 = zext i1 %some to i64
  %all_64 = zext i1 %all to i64
  %or_or_count = select i1 %is_or, i64 %some_64, i64 %true
  %answer = select i1 %is_and, i64 %all_64, i64 %or_or_count
  %r_frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %r)
  %result_at = getelementptr i64, ptr %r_frame, i64 $RESULT
  store i64 %answer, ptr %result_at
  br label %told
told:
  %next_r = add i64 %r, 1
  br label %tell
good:
  ret i1 true
bad:
  ret i1 false
}
"""
