"""How the threads of a block take their turns, as LLVM IR: in rows of eight where a row is together, else alone."""

from __future__ import annotations

#: `i32 round(context)` lets every thread run to its next meeting, warps again as long as they can, and gives how many
#: wait then, or -1.
THREADS = """\
define internal i32 @part(ptr %c) {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
  %frames_word = call i64 @word(ptr %c, i64 $FRAMES)
  %frames = inttoptr i64 %frames_word to ptr
  %frame_bytes = call i64 @word(ptr %c, i64 $FRAME_BYTES)
  %first = call i64 @word(ptr %c, i64 $THREAD)
  %first_x = call i64 @word(ptr %c, i64 $TID)
  call void @set(ptr %c, i64 $PARTED, i64 1)
  br label %thread
thread:
  %lane = phi i64 [ 0, %entry ], [ %next_lane, %keep ]
  %t = add i64 %first, %lane
  %x = add i64 %first_x, %lane
  call void @set(ptr %c, i64 $THREAD, i64 %t)
  call void @set(ptr %c, i64 $TID, i64 %x)
  %state_at = getelementptr i32, ptr %states, i64 %t
  %state = load i32, ptr %state_at
  %lane_of = and i64 %t, 7
  %row_begin = sub i64 %t, %lane_of
  %row_offset = mul i64 %row_begin, %frame_bytes
  %row_frames = getelementptr i8, ptr %frames, i64 %row_offset
  %frame = getelementptr i64, ptr %row_frames, i64 %lane_of
  %found = call i32 @run(ptr %c, ptr %frame, i32 %state)
  %bad = icmp slt i32 %found, 0
  br i1 %bad, label %stop, label %keep
keep:
  %over = icmp eq i32 %found, 0
  %held = or i32 %found, $HELD
  %new_state = select i1 %over, i32 -1, i32 %held
  store i32 %new_state, ptr %state_at
  %next_lane = add i64 %lane, 1
  %done = icmp eq i64 %next_lane, 8
  br i1 %done, label %out, label %thread
out:
  ret i32 -2
stop:
  ret i32 -1
}

define internal i1 @alike(ptr %frame, i32 %state) noinline {
entry:
  %index = sext i32 %state to i64
  %begin_at = getelementptr i32, ptr @common_begin, i64 %index
  %begin = load i32, ptr %begin_at
  %behind = add i64 %index, 1
  %end_at = getelementptr i32, ptr @common_begin, i64 %behind
  %end = load i32, ptr %end_at
  br label %slot
slot:
  %at = phi i32 [ %begin, %entry ], [ %next_at, %next_slot ]
  %more = icmp slt i32 %at, %end
  br i1 %more, label %read, label %good
read:
  %slot_at = getelementptr i32, ptr @common, i32 %at
  %slot_number = load i32, ptr %slot_at
  %slot_words = mul i32 %slot_number, 8
  %first_at = getelementptr i64, ptr %frame, i32 %slot_words
  %first = load i64, ptr %first_at
  br label %lane
lane:
  %k = phi i64 [ 1, %read ], [ %next_k, %next_lane ]
  %other_at = getelementptr i64, ptr %first_at, i64 %k
  %other = load i64, ptr %other_at
  %same = icmp eq i64 %first, %other
  br i1 %same, label %next_lane, label %differ
next_lane:
  %next_k = add i64 %k, 1
  %last = icmp eq i64 %next_k, 8
  br i1 %last, label %next_slot, label %lane
next_slot:
  %next_at = add i32 %at, 1
  br label %slot
good:
  ret i1 true
differ:
  ret i1 false
}

define internal i32 @threads_of_warp(ptr %c, i64 %first) {
entry:
  %states_word = call i64 @word(ptr %c, i64 $STATES)
  %states = inttoptr i64 %states_word to ptr
  %frames_word = call i64 @word(ptr %c, i64 $FRAMES)
  %frames = inttoptr i64 %frames_word to ptr
  %frame_bytes = call i64 @word(ptr %c, i64 $FRAME_BYTES)
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  %width = call i64 @word(ptr %c, i64 $NTID)
  %height = call i64 @word(ptr %c, i64 $NTID_Y)
  %width_rest = and i64 %width, 7
  %whole = icmp eq i64 %width_rest, 0
  %flat = icmp eq i64 %width, %threads
  %in_rows = or i1 %whole, %flat
  %rows = and i1 %in_rows, $ROWS
  %after_warp = add i64 %first, 32
  %end = call i64 @llvm.umin.i64(i64 %threads, i64 %after_warp)
  %lines = udiv i64 %first, %width
  %first_x = urem i64 %first, %width
  %first_y = urem i64 %lines, %height
  %first_z = udiv i64 %lines, %height
  br label %thread
thread:
  %t = phi i64 [ %first, %entry ], [ %next_t, %step ]
  %x = phi i64 [ %first_x, %entry ], [ %next_x, %step ]
  %y = phi i64 [ %first_y, %entry ], [ %next_y, %step ]
  %z = phi i64 [ %first_z, %entry ], [ %next_z, %step ]
  %waiting = phi i32 [ 0, %entry ], [ %now_waiting, %step ]
  %more = icmp ult i64 %t, %end
  br i1 %more, label %look, label %done
look:
  %state_at = getelementptr i32, ptr %states, i64 %t
  %state = load i32, ptr %state_at
  %stays = icmp uge i32 %state, $HELD
  %ended = icmp slt i32 %state, 0
  %stays_waiting = select i1 %ended, i32 0, i32 1
  %row_stays_waiting = select i1 %ended, i32 0, i32 8
  %lane_of = and i64 %t, 7
  %row_begin = sub i64 %t, %lane_of
  %row_offset = mul i64 %row_begin, %frame_bytes
  %row_frames = getelementptr i8, ptr %frames, i64 %row_offset
  %frame = getelementptr i64, ptr %row_frames, i64 %lane_of
  call void @set(ptr %c, i64 $THREAD, i64 %t)
  call void @set(ptr %c, i64 $TID, i64 %x)
  call void @set(ptr %c, i64 $TID_Y, i64 %y)
  call void @set(ptr %c, i64 $TID_Z, i64 %z)
  %in_row = and i64 %t, 7
  %begins = icmp eq i64 %in_row, 0
  %behind = add i64 %t, 8
  %fits = icmp ule i64 %behind, %threads
  %begins_row = and i1 %begins, %fits
  %try_row = and i1 %begins_row, %rows
  br i1 %try_row, label %row, label %alone
row:
  %all = load <8 x i32>, ptr %state_at, align 4
  %one_state = insertelement <8 x i32> poison, i32 %state, i32 0
  %each_state = shufflevector <8 x i32> %one_state, <8 x i32> poison, <8 x i32> zeroinitializer
  %equal = icmp eq <8 x i32> %all, %each_state
  %equal_bits = bitcast <8 x i1> %equal to i8
  %together = icmp eq i8 %equal_bits, -1
  br i1 %together, label %row_state, label %alone
row_state:
  br i1 %stays, label %step, label %row_calm
row_calm:
  %parted = call i64 @word(ptr %c, i64 $PARTED)
  %calm = icmp eq i64 %parted, 0
  %fresh = icmp eq i32 %state, 0
  %sure = or i1 %calm, %fresh
  br i1 %sure, label %go_row, label %row_alike
row_alike:
  %alike = call i1 @alike(ptr %frame, i32 %state)
  br i1 %alike, label %go_row, label %alone
go_row:
  %came = call i32 @wide(ptr %c, ptr %frame, i32 %state)
  switch i32 %came, label %keep_row [ i32 -1, label %stop i32 -2, label %apart ]
keep_row:
  %row_over = icmp eq i32 %came, 0
  %row_held = or i32 %came, $HELD
  %row_new = select i1 %row_over, i32 -1, i32 %row_held
  %row_first = insertelement <8 x i32> poison, i32 %row_new, i32 0
  %row_states = shufflevector <8 x i32> %row_first, <8 x i32> poison, <8 x i32> zeroinitializer
  store <8 x i32> %row_states, ptr %state_at, align 4
  %row_waiting = select i1 %row_over, i32 0, i32 8
  br label %step
apart:
  %after = load <8 x i32>, ptr %state_at, align 4
  %wait = icmp sgt <8 x i32> %after, zeroinitializer
  %wait_bits = bitcast <8 x i1> %wait to i8
  %wait_count = call i8 @llvm.ctpop.i8(i8 %wait_bits)
  %apart_waiting = zext i8 %wait_count to i32
  br label %step
alone:
  br i1 %stays, label %step, label %go
go:
  %found = call i32 @run(ptr %c, ptr %frame, i32 %state)
  %bad = icmp slt i32 %found, 0
  br i1 %bad, label %stop, label %keep
keep:
  %over = icmp eq i32 %found, 0
  %held = or i32 %found, $HELD
  %new_state = select i1 %over, i32 -1, i32 %held
  store i32 %new_state, ptr %state_at
  %one = select i1 %over, i32 0, i32 1
  br label %step
step:
  %more_waiting = phi i32 [ %row_stays_waiting, %row_state ], [ %row_waiting, %keep_row ], [ %apart_waiting, %apart ],
    [ %stays_waiting, %alone ], [ %one, %keep ]
  %steps = phi i64 [ 8, %row_state ], [ 8, %keep_row ], [ 8, %apart ], [ 1, %alone ], [ 1, %keep ]
  %now_waiting = add i32 %waiting, %more_waiting
  %next_t = add i64 %t, %steps
  %x1 = add i64 %x, %steps
  %x_over = icmp uge i64 %x1, %width
  %next_x = select i1 %x_over, i64 0, i64 %x1
  %y1 = add i64 %y, 1
  %y_new = select i1 %x_over, i64 %y1, i64 %y
  %y_over = icmp eq i64 %y_new, %height
  %next_y = select i1 %y_over, i64 0, i64 %y_new
  %z1 = add i64 %z, 1
  %next_z = select i1 %y_over, i64 %z1, i64 %z
  br label %thread
done:
  ret i32 %waiting
stop:
  ret i32 -1
}

define internal i32 @round(ptr %c) {
entry:
  %threads = call i64 @word(ptr %c, i64 $THREADS)
  br label %warp
warp:
  %first = phi i64 [ 0, %entry ], [ %next_first, %warp_done ]
  %waiting = phi i32 [ 0, %entry ], [ %now_waiting, %warp_done ]
  %more = icmp ult i64 %first, %threads
  br i1 %more, label %turn, label %done
turn:
  %turns = phi i64 [ 0, %warp ], [ %turns_after, %again ], [ %turns_after, %poll ]
  %found = call i32 @threads_of_warp(ptr %c, i64 %first)
  %bad = icmp slt i32 %found, 0
  br i1 %bad, label %stop, label %meet_in_warp
meet_in_warp:
  %released = call i32 @warp(ptr %c, i64 %first)
  %moves = icmp ne i32 %released, 0
  br i1 %moves, label %again, label %warp_done
again:
  %turns_after = add i64 %turns, 1
  %left = call i64 @word(ptr %c, i64 $FUEL)
  %rest = sub i64 %left, 32
  call void @set(ptr %c, i64 $FUEL, i64 %rest)
  %empty = icmp sle i64 %rest, 0
  br i1 %empty, label %poll, label %turn
poll:
  call void @set(ptr %c, i64 $WARP_TURNS, i64 %turns_after)
  call void @set(ptr %c, i64 $SITE, i64 -1)
  %poll_word = call i64 @word(ptr %c, i64 $POLL)
  %poll_function = inttoptr i64 %poll_word to ptr
  %answer = call i32 %poll_function(ptr %c)
  %on = icmp eq i32 %answer, 0
  br i1 %on, label %turn, label %stop
warp_done:
  %now_waiting = add i32 %waiting, %found
  %next_first = add i64 %first, 32
  br label %warp
done:
  ret i32 %waiting
stop:
  ret i32 -1
}
"""
